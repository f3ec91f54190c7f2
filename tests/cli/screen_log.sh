# SPDX-License-Identifier: Apache-2.0
# One line for each file on standard error, also as JSON; none with --quiet. The numbers of --stats with a store.
cp "$DATA/medline/pubmed20n1016.xml.gz" "$DATA/medline/pubmed1.xml" .
head -c 3000 "$DATA/medline/pubmed2.xml" >cut.xml
adesieve screen --log-json --state db pubmed1.xml >rows
adesieve screen --log-json --state db --no-deleted --stats s.json pubmed1.xml pubmed20n1016.xml.gz cut.xml >rows || echo "exit $?"
grep -e '"files' -e '"rows' -e '"documents"' -e '"starved"' s.json
wc -l <rows
adesieve screen -q pubmed1.xml >rows
