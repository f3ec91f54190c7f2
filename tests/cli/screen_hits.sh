# SPDX-License-Identifier: Apache-2.0
# A hit is a sentence whose score is at or above the threshold; --all gives a row for every sentence.
xml=$DATA/medline/pubmed2.xml
adesieve screen --all --precision f32 -f tsv --threshold 0.9 "$xml" >all
adesieve screen -q --precision f32 -f tsv --threshold 0.9 "$xml" | wc -l
wc -l <all
# The middle one of the scores as the threshold: that row and all above it are hits, the others are not.
middle=$(cut -f 9 all | tail -n +2 | sort | sed -n 10p)
adesieve screen -q --precision f32 -f tsv --threshold "$middle" "$xml" >hits
awk -F '\t' -v t="$middle" 'NR == 1 || $9 >= t' all | cmp - hits
test "$(wc -l <hits)" -ge 11
# The same rows from gzip, from a folder and from standard input, which has no name.
gzip -c "$xml" >pubmed2.xml.gz
adesieve screen -q --all --precision f32 -f tsv pubmed2.xml.gz | sed 's/pubmed2.xml.gz/pubmed2.xml/' | cmp - all
mkdir folder
cp "$xml" folder
adesieve screen -q -a --precision f32 -f tsv -t 0.9 folder | cmp - all
adesieve screen -q --all --precision f32 -f tsv - <"$xml" | cut -f 1-11,13 >stdin
cut -f 1-11,13 all | cmp - stdin
