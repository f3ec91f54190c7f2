# SPDX-License-Identifier: Apache-2.0
# Deleted records: a row that says so, in every format.
xml=$DATA/medline/pubmed20n1016.xml.gz
adesieve screen -q "$xml" | grep '"deleted"' >json
wc -l <json
head -1 json
adesieve screen -q -f tsv "$xml" | grep 31034065
adesieve screen -q -f csv --no-text "$xml" | grep 31034065
# --no-deleted leaves them out; the summary and the statistics count what is written.
summary() { sed -n 's/^hits  *//p;s/^citations.*; //p' said; }
adesieve screen --no-deleted --stats s.json "$xml" 2>said | grep -vc '"deleted"'
summary
grep -e '"deleted"' -e '"rows' s.json
adesieve screen --all "$xml" 2>said >rows
summary
wc -l <rows
