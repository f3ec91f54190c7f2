# SPDX-License-Identifier: Apache-2.0
# The counts of --stats add up.
value() { sed -n "s/^ *\"$1\": \([0-9.e-]*\),\{0,1\}$/\1/p" "$2" | head -1; }
# What a run has spent its time on stands at its end, so that the counts come first.
profile() { sed -n '/"profile": {/,/}/p' "$2" | sed -n "s/^ *\"$1\": \([0-9.e-]*\),\{0,1\}$/\1/p"; }
whole() { awk "BEGIN { a = $1 + $2 + $3 + $4 + $5; exit !($6 > 0 && a > 0.9 * $6 && a < 1.1 * $6) }"; }
adds_up() { whole $(for name in products attention elementwise waiting other encoding; do profile $name "$1"; done); }
printf 'a b\nqqq \xe2\x98\x83\n\n' | adesieve classify --stats s.json --max-length 5 --split-special-tokens >rows
for name in inputs inputs_failed texts LABEL_0 LABEL_1 tokens unknown_tokens truncated_texts replaced_utf8 max_length; do
    echo "$name $(value $name s.json)"
done
grep -c -e '"sha256": "[0-9a-f]\{64\}"' -e '"version": "[0-9.]*"' -e '"device": "cpu"' s.json
grep -o '"tokens":[0-9]*' rows | cut -d: -f2 | tr '\n' ' '
echo
test "$(profile tokens s.json)" -eq 11
test "$(profile texts s.json)" -eq 3
adds_up s.json
adesieve screen -q --precision f32 --stats s.json "$DATA/medline/pubmed26n1334.xml.gz" "$DATA/medline/pubmed2.xml" >rows
test "$(value citations s.json)" -eq $(($(value new s.json) + $(value revised s.json) + $(value unchanged s.json) + $(value superseded s.json)))
test "$(value sentences s.json)" -eq $(($(value screened s.json) + $(value skipped s.json)))
test "$(value rows s.json)" -eq "$(wc -l <rows)"
test "$(value rows_confirmed s.json)" -eq "$(wc -l <rows)"
test "$(value files s.json)" -eq 2
test "$(value files_done s.json)" -eq 2
test "$(value threshold s.json)" = 0.5
test "$(profile tokens s.json)" -eq "$(value tokens s.json)"
test "$(profile texts s.json)" -eq "$(value screened s.json)"
adds_up s.json
adesieve screen -q --dry-run --stats s.json "$DATA/medline/pubmed1.xml"
grep '"profile"' s.json
# evaluate has one such object a model.
root=$(dirname "$(dirname "$DATA")")
head -41 "$DATA/test.csv" >t.csv
adesieve evaluate --labels 'not ADE,ADE' --bootstrap 0 --stats s.json t.csv >report
test "$(value texts s.json)" -eq 40
test "$(profile texts s.json)" -eq 40
adds_up s.json
adesieve evaluate --labels 'not ADE,ADE' --bootstrap 0 --stats s.json -m "$MODEL" -m "$root/models/tfidf-logreg" t.csv >report
grep -c '"profile": {' s.json
grep -c -e '"encoding"' -e '"batches"' s.json
adesieve evaluate --stats t.csv t.csv && exit 1
adesieve evaluate --stats report -o report t.csv && exit 1
true
