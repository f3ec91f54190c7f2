# SPDX-License-Identifier: Apache-2.0
# Deleted records: a row that says so, in every format.
xml=$DATA/medline/pubmed20n1016.xml.gz
adesieve screen -q "$xml" | grep '"deleted"' >json
wc -l <json
head -1 json
adesieve screen -q -f tsv "$xml" | grep 31034065
adesieve screen -q -f csv --no-text "$xml" | grep 31034065
