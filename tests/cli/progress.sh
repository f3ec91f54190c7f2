# SPDX-License-Identifier: Apache-2.0
# Progress is asked for or on a terminal, comes after a second, and never into the rows.
slowly() { echo a; sleep 1.3; echo b; sleep 0.3; echo c; }
slowly | adesieve classify --progress always | wc -l
slowly | adesieve tokenize --progress auto | wc -l
slowly | adesieve classify --progress never --log-json | wc -l
slowly | adesieve classify --progress always --log-json | wc -l
adesieve screen -q --progress never "$DATA/medline/pubmed2.xml" >/dev/null
# What a store says is done is no part of the work that is left.
for i in 1 2; do zcat "$DATA/medline/medline16n0902.xml.gz" | sed "s/<PMID Version=\"1\">/&$i/" >pubmed26n000$i.xml; done
adesieve screen -q --state db pubmed26n0001.xml >rows
adesieve screen --state db --progress always --log-json --threads 1 pubmed26n0001.xml pubmed26n0002.xml 2>said | { sleep 1.5; cat >rows; }
fraction=$(sed -n 's/.*"level":"progress".*"fraction":\([0-9.]*\).*/\1/p' said | head -1)
awk -v fraction="${fraction:-none}" 'BEGIN { exit !(fraction < 0.95) }' || echo "fraction $fraction"
