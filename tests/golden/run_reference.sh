#!/usr/bin/env bash
# run_reference.sh BUILD PYTHON: tokenizer, XML reader and Python package against independent implementations, on far more
# text than the stored golden values. PYTHON has the packages tokenizers, lxml and pubmed_parser; where it also has numpy,
# torch and transformers, one script runs by both pipelines. ADE_SHARED_DATA may name a folder with the whole corpus
# (ade_v2/ade_classification_hf_order.csv).
set -euo pipefail
build=$1 python=$2
here=$(cd "$(dirname "$0")" && pwd)
data=$here/../data
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" "$here/../../tokenizer/make_lists.py" --check
parts=$build/tests/golden/medline_parts
"$python" -B "$here/compare_medline.py" --lxml "$parts" "$data"/medline/*.xml "$data"/medline/*.xml.gz
"$python" -B "$here/compare_pubmed_parser.py" "$parts" "$data"/medline/*.xml "$data"/medline/*.xml.gz

# Every sentence of the MEDLINE samples, as the splitter cuts them.
"$build/adesieve" screen --all -q -f csv -m "$data/tiny_bert_cls" "$data"/medline/*.xml.gz "$data"/medline/pubmed*.xml \
    >"$work/sentences.csv"
corpus=$data/test.csv
[ -n "${ADE_SHARED_DATA:-}" ] && corpus=$ADE_SHARED_DATA/ade_v2/ade_classification_hf_order.csv
"$python" "$here/compare_tokenizer.py" "$build/tests/golden/tokenize_stdin" "$data/vocab" --csv "$corpus" \
    --csv "$work/sentences.csv" --medline "$data/medline" --random 50000

# Every code point and a million strings, on each instruction set; minutes.
"$python" -B "$here/sweep_tokenizer.py" "$build/tests/golden/tokenize_stdin" "$data"

# One script, by transformers' pipeline and by adesieve in its place.
if "$python" -c 'import numpy, torch, transformers' 2>/dev/null; then
    ADESIEVE_LIBRARY=$build/libadesieve.so PYTHONPATH=$here/../../python_bindings "$python" -B "$here/drop_in.py" both
else
    echo "drop_in.py: skipped, because torch or transformers is not installed; its recorded output is compared by pytest"
fi
