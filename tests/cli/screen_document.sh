# SPDX-License-Identifier: Apache-2.0
# --document: one row a record, with the highest score, the noisy-or and the best sentence of its sentences.
xml=$DATA/medline/pubmed2.xml
adesieve screen -q --precision f32 --all "$xml" "$DATA/medline/pubmed20n1016.xml.gz" >sentences
adesieve screen --precision f32 --document "$xml" "$DATA/medline/pubmed20n1016.xml.gz" 2>said >documents
sed -n '/^hits/p;/^documents/p' said
grep -c '"deleted":true' documents
# From the rows of the sentences to those of the documents, by awk: the first one with the highest score is the best.
value() { sed -n "s/.*\"$1\":\([^,}]*\)[,}].*/\1/p"; }
fields() { sed 's/"text":.*"label"/"label"/;s/"text":.*"source"/"source"/' "$1" | grep -v '"deleted":true' >plain; }
fields sentences
paste <(value pmid <plain) <(value score <plain) <(value sentence <plain) <(value start <plain) |
    awk '{ if (!($1 in n)) order[++records] = $1
           none[$1] = (n[$1]++ ? none[$1] : 1) * (1 - $2)
           if (!($1 in best) || $2 > best[$1]) { best[$1] = $2; where[$1] = $3 " " $4 } }
         END { for (i = 1; i <= records; i++) { p = order[i]; printf "%s %s %.9f %d %d %s\n", p, best[p], 1 - none[p], n[p], n[p], where[p] } }' >expected
fields documents
paste -d ' ' <(value pmid <plain) <(value score <plain) <(value noisy_or <plain | xargs printf '%.9f\n') <(value hits <plain) \
    <(value sentences <plain) <(value sentence <plain) <(value start <plain) >found
wc -l <found
# noisy_or is made of floats' doubles, which rows show rounded: 6 digits are left.
diff <(sed -E 's/(0\.[0-9]{6})[0-9]{3} /\1 /' expected) <(sed -E 's/(0\.[0-9]{6})[0-9]{3} /\1 /' found)
adesieve screen -q --document -f tsv "$xml" >table
head -1 table
cut -f 1-2,5-6,12-13 table | tail -n +2
adesieve screen -q --document -f csv --no-text --limit 1 "$DATA/medline/handmade.xml" | cut -d, -f 1,2,5,6,12-
# No hit, no row; with --all every record has one, also without any sentence.
adesieve screen -q --document --threshold 0.9 "$xml"
adesieve screen -q --document --threshold 0.9 --all "$xml" | wc -l
adesieve screen -q --document --all "$DATA/medline/pubmed_no_rows.xml"
adesieve screen -q --document --all -f csv "$DATA/medline/pubmed_no_rows.xml"
