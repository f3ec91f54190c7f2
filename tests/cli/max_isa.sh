# SPDX-License-Identifier: Apache-2.0
# Every arm of the dispatch that this processor has (ADESIEVE_MAX_ISA): the same ids, the same bits for a text alone and in
# a batch, the same labels as on the best one. All in f32; where an arm has bf16 or int8, these have bits of their own.
unset ADESIEVE_MAX_ISA
arms='baseline sse4.2 avx2 avx512 avx512_vnni avx512_bf16 amx'
root=$(dirname "$(dirname "$DATA")")
on() { ADESIEVE_MAX_ISA=$1 adesieve "${@:2}"; }

# What the processor has: the last arm whose instructions are other ones than those of the arm before.
best=$(adesieve info --device cpu --precision f32 | sed -n 's/^device *//p')
present=
for arm in $arms; do
    present="$present $arm"
    [ "$(on $arm info --device cpu --precision f32 | sed -n 's/^device *//p')" = "$best" ] && break
done

{
    tail -n +2 "$DATA/test.csv" | head -40 | cut -d, -f1 | tr -d '"'
    printf '%s\n' '' 'Na\303\257ve caf\303\251, \360\237\230\200 \346\274\242\345\255\227 \302\240 e\314\201!' '[SEP] and ##ing' \
        "$(printf 'antidisestablishmentarianism-%.0s' 1 2 3 4 5 6 7 8)"
} | while IFS= read -r line; do printf '%b\n' "$line"; done >texts
head -1 texts >alone

for arm in $present; do
    on $arm tokenize -m "$MODEL" texts >ids
    on $arm tokenize -m "$root/models/adesieve-minilm" texts >>ids
    [ -e ids.best ] || cp ids ids.best
    cmp ids ids.best || echo "$arm: other ids"
    for precision in f32 bf16 int8; do
        on $arm classify -qm "$MODEL" --device cpu --precision $precision texts >batch 2>said || {
            cat said
            continue
        }
        on $arm classify -qm "$MODEL" --device cpu --precision $precision --threads 1 --token-budget 64 texts | cmp - batch ||
            echo "$arm, $precision: other bits in smaller batches"
        on $arm classify -qm "$MODEL" --device cpu --precision $precision alone | cmp - <(head -1 batch) ||
            echo "$arm, $precision: other bits for a text alone"
    done >said.$arm
    on $arm classify -qm "$root/models/adesieve-minilm" --device cpu --precision f32 -f tsv texts | cut -f1 >labels
    [ -e labels.best ] || cp labels labels.best
    cmp labels labels.best || echo "$arm: other labels"
done

# An arm without the instructions refuses the precision, in a sentence that says what there is, and nothing else went wrong.
for arm in $present; do
    case $arm in
    baseline | sse4.2) has='SSE4.1' lacks='bf16 int8' ;;
    avx2) has=AVX2 lacks='bf16 int8' ;;
    avx512) has=AVX-512 lacks='bf16 int8' ;;
    avx512_vnni) has='AVX-512 VNNI' lacks=bf16 ;;
    *) lacks= ;;
    esac
    for precision in $lacks; do
        sed -n "/precision $precision needs a processor with AVX-512 .* or AMX, and this one has $has (ADESIEVE_MAX_ISA is set); use f32/d;p" said.$arm >left
        [ "$(wc -l <left)" -lt "$(wc -l <said.$arm)" ] || echo "$arm: $precision was not refused"
        mv left said.$arm
    done
    cat said.$arm
done

# A name that is none.
for arm in avx AVX2 avx512_vnni,amx; do on $arm classify -q alone && echo "exit 0: $arm"; done
on '' classify -q alone | cmp - <(adesieve classify -q alone)
