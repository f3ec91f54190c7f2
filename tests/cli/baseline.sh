# SPDX-License-Identifier: Apache-2.0
# A baseline is a model like any other to the commands.
root=$(dirname "$(dirname "$DATA")")
baseline=$root/models/tfidf-logreg
(cd "$baseline" && sha256sum --quiet --check checksums.sha256) && echo 'as its checksums say'
adesieve info -m "$baseline" --threads 1 | sed -n '/^device/s/: .*, no .*/: no/p;/^runs as/p;/architecture/p;/parameters/p;/tokenizer/,$p'
printf '%s\n' 'Rash after amoxicillin.' '' 'A case of B reaction.' >texts
adesieve classify -m "$baseline" --max-length 128 --precision f64 texts | sed -E 's/([0-9]\.[0-9]{4})[0-9]*/\1/g'
adesieve tokenize -m "$baseline" texts
printf 'caf\351 rash\n' | adesieve classify -m "$baseline" --invalid-utf8 replace --device cpu | cut -d, -f 1,7-
adesieve classify -m "$baseline" -f tsv "$root/tests/data/test.csv" -q | cut -f1 | sort | uniq -c | sed 's/^ *//'
adesieve screen -q -m "$baseline" "$DATA/medline/pubmed26n1334.xml.gz" | wc -l
adesieve classify -m "$baseline" --max-length 64 --token-budget 512 texts >rows
adesieve screen -m "$baseline" --token-budget 512 --limit 1 "$DATA/medline/pubmed1.xml" 2>&1 >rows | head -1
adesieve classify -m "$baseline" --device cuda texts && exit 1
adesieve classify -m "$baseline" --precision bf16 texts && exit 1
adesieve classify --precision f64 texts && exit 1
true
