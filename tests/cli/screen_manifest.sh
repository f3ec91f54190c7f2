# SPDX-License-Identifier: Apache-2.0
# --manifest: what was searched, with what, when and how, and what came of it.
cp "$DATA/medline/pubmed1.xml" "$DATA/medline/pubmed20n1016.xml.gz" .
head -c 3000 "$DATA/medline/pubmed2.xml" >cut.xml
adesieve screen -q --device cpu --precision f32 --document --no-text --state db -o out.csv --manifest m.json --labels no,yes \
    pubmed1.xml pubmed20n1016.xml.gz cut.xml nowhere.xml || echo "exit $?"
sed 's/"\(sha256\|name\|instruction_set\)": "[^"]*"\(,\{0,1\}\)$/"\1": "X"\2/;s/"\(started\|ended\)": "20[0-9-]*T[0-9:]*Z"/"\1": "T"/
     s/"version": "[0-9.]*"/"version": "V"/;s/"bytes": '"$(wc -c <out.csv)"'/"bytes": SIZE/' m.json
# Everything that the run depends on is named; nothing of the host is.
grep -c -e "$PWD" -e "$(uname -n)" m.json || true
# It appears when it is complete: not when nothing came of the run.
adesieve screen -q -o never --manifest none.json cut.xml || echo "exit $?"
adesieve screen -q --manifest no/such.json pubmed1.xml || echo "exit $?"
adesieve screen -q --manifest m.json -o m.json pubmed1.xml || echo "exit $?"
adesieve screen -q --manifest pubmed1.xml pubmed1.xml || echo "exit $?"
test ! -e none.json
# Inputs that were done before are named with what they gave then.
adesieve screen -q --device cpu --precision f32 --state db --labels no,yes --manifest - -o out.csv --document --no-text pubmed1.xml |
    sed -n '/"inputs": /,/^  \]/p'
# A run that --limit has ended is not a complete one.
adesieve screen -q --limit 3 --output-dir limited pubmed1.xml "$DATA/medline/pubmed4.xml" "$DATA/medline/pubmed5.xml"
grep '^  "status"' limited/manifest.json
adesieve screen -q --output-dir limited pubmed1.xml
grep '^  "status"' limited/manifest.json
