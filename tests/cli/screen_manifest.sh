# SPDX-License-Identifier: Apache-2.0
# --manifest: what was searched, with what, when and how, and what came of it.
cp "$DATA/medline/pubmed1.xml" "$DATA/medline/pubmed20n1016.xml.gz" .
head -c 3000 "$DATA/medline/pubmed2.xml" >cut.xml
adesieve screen -q --device cpu --precision f32 --document --no-text --state db -o out.csv --manifest m.json --labels no,yes \
    pubmed1.xml pubmed20n1016.xml.gz cut.xml nowhere.xml || echo "exit $?"
sed 's/"\(sha256\|name\|instruction_set\)": "[^"]*"\(,\{0,1\}\)$/"\1": "X"\2/;s/"\(run_began\|started\|ended\)": "20[0-9-]*T[0-9:]*Z"/"\1": "T"/
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
# The file in which it was reached is cut: its rows up to there are written, and it is not done.
cp "$DATA/medline/pubmed2.xml" pubmed99n0001.xml
adesieve screen -q --limit 5 --output-dir cut pubmed1.xml pubmed20n1016.xml.gz pubmed99n0001.xml
grep '^ .*"\(status\|citations\|error\)"' cut/manifest.json
grep -v '"deleted":true' cut/pubmed20n1016.jsonl | cmp - <(adesieve screen -q pubmed20n1016.xml.gz | head -"$(grep -vc '"deleted":true' cut/pubmed20n1016.jsonl)")
# A reader that went away.
{ adesieve screen -q --all --manifest closed.json "$DATA/medline/medline16n0902.xml.gz" || echo "exit $?" >&2; } | head -1 >rows
grep '^  "status"' closed.json
# No input was new: the output of before is named as it stays.
adesieve screen -q --state same -o same.jsonl pubmed1.xml
adesieve screen -q --state same -o same.jsonl --manifest same.json pubmed1.xml
sed -n '/"outputs": /,/^  \]/p' same.json | sed "s/\"bytes\": $(wc -c <same.jsonl),/\"bytes\": SIZE,/"
# A run that goes on with an interrupted one says when that began, and counts the rows of both.
mkfifo pubmed26n1334.xml
exec 3<>pubmed26n1334.xml
adesieve screen --state db2 -o two.jsonl pubmed1.xml pubmed26n1334.xml 2>said &
until grep -qs pubmed1 said; do sleep 0.05; done
sleep 1.1 # another second
kill -TERM $!
wait $! || true
exec 3>&-
adesieve screen -q --state db2 -o two.jsonl --manifest two.json pubmed1.xml "$DATA/medline/pubmed2.xml"
grep -c '' two.jsonl
sed -n '/"outputs": /,/^  \]/s/^ *\("rows": .*\)/\1/p;s/^ *\("resumed": .*\),/\1/p' two.json
test "$(sed -n 's/.*"run_began": //p' two.json)" \< "$(sed -n 's/.*"started": //p' two.json)"
