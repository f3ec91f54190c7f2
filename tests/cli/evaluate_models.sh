# SPDX-License-Identifier: Apache-2.0
# Several models side by side: what only one of two labels rightly, counted from what each says, and McNemar's test.
head -201 "$DATA/test.csv" >a.csv
a=$DATA/models/head_dim_32 b=$DATA/models/gamma_beta c=$DATA/models/sharded
for model in "$a" "$b" "$c"; do
    adesieve classify -qm "$model" --precision f32 -f csv a.csv | tail -n +2 | cut -d, -f1
done | awk '{ out[NR % 200] = out[NR % 200] "," $0 } END { for (i = 1; i <= 200; i++) print substr(out[i % 200], 2) }' >said
paste -d, said <(tail -n +2 a.csv | sed 's/.*,//') |
    awk -F, '{ t = $4 ? "ADE" : "not ADE"
        for (i = 1; i <= 3; i++) for (j = i + 1; j <= 3; j++) { x[i, j] += $i == t && $j != t; y[i, j] += $j == t && $i != t } }
        END { for (i = 1; i <= 3; i++) for (j = i + 1; j <= 3; j++) print x[i, j], y[i, j] }' >expected
adesieve evaluate -qm "$a" --model "$b" -m "$c" --precision f32 -f json a.csv >report
sed -n 's/^ *"only_first": \([0-9]*\),/\1/p; s/^ *"only_second": \([0-9]*\),/\1/p' report | paste -d' ' - - | cmp - expected
grep -E '^ *"(first|second|texts|models|mcnemar)"' report
# Alone each has the same numbers.
for model in "$a" "$b" "$c"; do
    adesieve evaluate -qm "$model" --precision f32 -f json a.csv | sed -n '/"name"/,$p' | sed 's/^ *//; s/,$//; s/^}$//' |
        grep . >alone
    name=$(basename "$model")
    sed -n "/\"name\": \"$name\"/,/\"expected_precision\"/p" report | sed 's/^ *//; s/,$//; s/^}$//' | grep . >beside
    head -"$(wc -l <beside)" alone | cmp - beside
done
adesieve evaluate -qm "$a" -m "$b" --precision f32 a.csv | awk 'length > 80'
adesieve evaluate -qm "$a" -m "$b" --precision f32 --errors errors.csv a.csv |
    sed -n '/^model /,/^$/p; /^first /,/^$/p' | sed 's/[0-9]\.[0-9]*/_/g; s/  *[0-9][0-9]*/ #/g'
head -1 errors.csv
wrong=$(paste -d, said <(tail -n +2 a.csv | sed 's/.*,//') |
    awk -F, '{ t = $4 ? "ADE" : "not ADE"; n += $1 != t || $2 != t } END { print n }')
test "$(($(wc -l <errors.csv) - 1))" = "$wrong"
# The same model twice: no text differs, and their folders tell them apart.
cp -r "$a" .
adesieve evaluate -qm "$a" -m head_dim_32 --bootstrap 0 -f markdown a.csv | grep '| 0 | 0 |' | sed "s|$a|DIR|"
# Labels in another order or in other letters are the same; others are not.
adesieve evaluate -m "$a" -m "$MODEL" a.csv || echo "exit $?"
adesieve evaluate -q -m "$a" -m "$MODEL" --labels 'not ADE,ADE' a.csv | grep -c '^accuracy'
chmod -R u+w head_dim_32
sed -i 's/"not ADE"/"x"/g; s/"ADE"/"Not ADE"/g; s/"x"/"ADE"/g' head_dim_32/config.json
adesieve evaluate -qm "$a" -m head_dim_32 --precision f32 -f json a.csv | sed -n 's/^ *"only_[a-z]*": \([0-9]*\),/\1/p' |
    awk '{ sum += $1 } END { print sum }'
sed -i 's/"ADE"/"ade"/g' head_dim_32/config.json
adesieve evaluate -m "$a" -m head_dim_32 a.csv || echo "exit $?"
# A baseline among them runs as it only can, whatever the options say for the others; alone it refuses. What cannot be
# opened is named.
baseline=$(dirname "$(dirname "$DATA")")/models/tfidf-logreg
side() { adesieve evaluate --bootstrap 0 -m "$baseline" -m "$a" -f json --labels 'not ADE,ADE' "$@" a.csv; }
side --precision f32 | grep -E '^ *"(device|max_length)"|"precision": "'
side --device cuda >report 2>said || true
grep -c "^$baseline is a baseline" said
side --precision f64 || echo "exit $?"
side -q --precision f32 2>&1 >report | wc -c
side --device cpu 2>&1 >report | grep -c 'is a baseline' || true
adesieve evaluate -m "$baseline" --precision f32 a.csv || echo "exit $?"
for folder in multi_label regression; do adesieve evaluate -m "$DATA/models/$folder" a.csv || echo "exit $?"; done
adesieve evaluate -m "$a" -m nowhere a.csv || echo "exit $?"
