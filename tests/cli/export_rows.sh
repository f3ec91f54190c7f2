# SPDX-License-Identifier: Apache-2.0
# What export writes of a store are the rows that screen wrote of its inputs, by PMID: hits, documents, deletions, in
# every format, with and without texts and metadata.
inputs=("$DATA/medline/handmade.xml" "$DATA/medline/pubmed2.xml" "$DATA/medline/pubmed5.xml"
    "$DATA/medline/pubmed20n1016.xml.gz")
screen() { adesieve screen -q --precision f32 -t 0.504727 "$@" "${inputs[@]}"; }
screen --state store >/dev/null
by_pmid() { { IFS= read -r header && echo "$header"; sort -t $'\t' -k 1,1n -k 5,5n; } }
screen -f tsv --no-deleted | by_pmid >hits.tsv
adesieve export -q -f tsv store | cmp - hits.tsv
adesieve export -q --format=tsv --output out.tsv store
cmp out.tsv hits.tsv
screen -f tsv --metadata --no-text | by_pmid >rows.tsv
adesieve export -q -f tsv --metadata --no-text --deleted store | cmp - rows.tsv
grep -c $'\ttrue\t' rows.tsv # deletions
test "$(wc -l <hits.tsv)" -gt 50
# One row a record; the name of the output says how.
document_order() { { IFS= read -r header && echo "$header"; sort -t , -k 1,1n; } }
screen -f csv --document --no-text --no-deleted | document_order >documents.csv
adesieve export -q --document --no-text -o out.csv store
cmp out.csv documents.csv
# JSON Lines, the default: the same keys in the same order.
pmids() { sed 's/{"pmid":\([0-9]*\).*"sentence":\([0-9]*\).*/\1 \2 &/' | sort -k 1,1n -k 2,2n | cut -d ' ' -f 3-; }
screen --no-deleted | pmids >hits.jsonl
adesieve export -q store | cmp - hits.jsonl
screen --no-deleted --document --metadata | pmids >documents.jsonl
adesieve export -q --document --metadata store | cmp - documents.jsonl
# A higher threshold: fewer hits, and a document counts these alone.
threshold=$(cut -f 9 hits.tsv | tail -n +2 | sort | sed -n 40p)
awk -F '\t' -v t="$threshold" 'NR == 1 || $9 >= t' hits.tsv >fewer.tsv
adesieve export -q -f tsv -t "$threshold" store | cmp - fewer.tsv
tail -n +2 fewer.tsv | cut -f 1 | uniq -c | awk '{ print $2 "," $1 }' >counts
adesieve export -q -f csv --document --threshold "$threshold" --no-text store >fewer.csv
tail -n +2 fewer.csv | cut -d , -f 1,5 | cmp - counts
# The best first, equal ones by PMID; with a limit the first of these.
adesieve export -q -f csv --document --no-text --sort score store >sorted.csv
{ head -1 documents.csv; tail -n +2 documents.csv | sort -t , -k 3,3gr -k 1,1n; } | cmp - sorted.csv
for n in 1 2 7 1000; do
    adesieve export -q -f csv --document --no-text --sort score --limit $n store >limited.csv
    head -$((n + 1)) sorted.csv | cmp - limited.csv
    adesieve export -q -f csv --document --no-text --sort=pmid --limit $n store >limited.csv
    head -$((n + 1)) documents.csv | cmp - limited.csv
done
# A deleted record has no score: it comes last.
adesieve export -q -f csv --document --no-text --sort score --deleted store | tail -1 | cut -d , -f 1-3,12
# The store is as it was, and so is the folder.
rm -f -- *.csv *.tsv *.jsonl
ls -A
