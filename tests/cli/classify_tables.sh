# SPDX-License-Identifier: Apache-2.0
# TSV and CSV out: label, score, text; what comes out can be read in again.
printf '{"text":"tab\\tfeed\\nreturn\\rback\\\\slash"}\n{"text":"comma, \\"quote\\""}\n{"text":""}\n' >a.jsonl
adesieve classify --format tsv a.jsonl >b.tsv
adesieve classify -f csv a.jsonl >b.csv
sed 's/0\.[0-9]*/SCORE/' b.tsv b.csv
for file in b.tsv b.csv; do
    adesieve classify --with-text "$file" >c
    adesieve classify --with-text a.jsonl | cmp - c
done
