# SPDX-License-Identifier: Apache-2.0
# The counts of --stats add up.
value() { sed -n "s/^ *\"$1\": \([0-9.]*\),\{0,1\}$/\1/p" "$2"; }
printf 'a b\nqqq \xe2\x98\x83\n\n' | adesieve classify --stats s.json --max-length 5 --split-special-tokens >rows
for name in inputs inputs_failed texts LABEL_0 LABEL_1 tokens unknown_tokens truncated_texts replaced_utf8 max_length; do
    echo "$name $(value $name s.json)"
done
grep -c -e '"sha256": "[0-9a-f]\{64\}"' -e '"version": "[0-9.]*"' -e '"device": "cpu"' s.json
grep -o '"tokens":[0-9]*' rows | cut -d: -f2 | tr '\n' ' '
echo
adesieve screen -q --stats s.json "$DATA/medline/pubmed26n1334.xml.gz" "$DATA/medline/pubmed2.xml" >rows
test "$(value citations s.json)" -eq $(($(value new s.json) + $(value revised s.json) + $(value unchanged s.json) + $(value superseded s.json)))
test "$(value sentences s.json)" -eq $(($(value screened s.json) + $(value skipped s.json)))
test "$(value rows s.json)" -eq "$(wc -l <rows)"
test "$(value rows_confirmed s.json)" -eq "$(wc -l <rows)"
test "$(value files s.json)" -eq 2
test "$(value files_done s.json)" -eq 2
test "$(value threshold s.json)" = 0.5
