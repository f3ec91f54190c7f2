# SPDX-License-Identifier: Apache-2.0
# The examples of --help run as they are written.
printf 'Rash after amoxicillin.\nNo event.\n' >sentences.txt
printf 'sentence,label\n"Rash, after amoxicillin.",1\n' >sentences.csv
printf '{"text":"Rash after amoxicillin."}\n' | gzip >notes.jsonl.gz
mkdir medline
cp "$DATA/medline/pubmed2.xml" "$DATA/medline/pubmed1.xml" medline
gzip -c "$DATA/medline/pubmed2.xml" >medline.xml.gz
cp -r "$MODEL" biobert # calibrate writes into it
chmod -R u+w biobert
mkdir models
ln -s "$MODEL" models/tfidf-logreg
ln -s "$MODEL" models/adesieve-minilm
head -41 "$DATA/test.csv" >test.csv
head -101 "$DATA/test.csv" >val.csv
printf 'text,label\nRash after amoxicillin.,1\n' >train.csv
for command in screen classify evaluate calibrate tokenize export info; do
    adesieve "$command" --help | sed -n '/^examples:/,/^exit status:/s/^    \(.*adesieve .*\)/\1/p'
done >examples
wc -l <examples
while read -r line; do
    bash -euo pipefail -c "$line" >out 2>err </dev/null || { echo "failed: $line"; cat err; }
done <examples
test -s hits.jsonl -a -s errors.csv -a -s hits.tsv -a -s stats.json -a -s parts.jsonl -a -s scores.csv -a -s tokens.jsonl
