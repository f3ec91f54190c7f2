#!/usr/bin/env bash
# valgrind.sh BUILD: the command on the tiny model, without a leak and without a read of uninitialised memory.
set -euo pipefail
build=$1
data=$(cd "$(dirname "$0")" && pwd)/data
command -v valgrind >/dev/null || exit 77
# oneDNN generates code that valgrind's own CPU may not know; the lowest level is enough for memory errors.
export ONEDNN_MAX_CPU_ISA=AVX2 DNNL_MAX_CPU_ISA=AVX2
run() {
    valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
        --suppressions="$data/../valgrind.supp" "$@" >/dev/null
}
printf 'Rash after amoxicillin.\nNo fever.\n\nTNF-\316\261 5\302\2612 mg\n' |
    run "$build/adesieve" classify -m "$data/tiny_bert_cls" --precision f32 --threads 2 --quiet
printf 'Rash after amoxicillin.\n' | run "$build/adesieve" tokenize -m "$data/tiny_bert_cls" --quiet
run "$build/adesieve" screen --all -m "$data/tiny_bert_cls" --precision f32 --threads 2 --quiet \
    "$data/medline/pubmed2.xml"
