# SPDX-License-Identifier: Apache-2.0
# An interrupted run's output is gone on with, or the run is refused: nothing is lost or doubled without a word.
cp "$DATA/medline/pubmed1.xml" "$DATA/medline/pubmed2.xml" .
try() { adesieve screen "$@" || echo "exit $?"; }
mkfifo pubmed26n1334.xml
exec 3<>pubmed26n1334.xml
adesieve screen --state db -o out.tsv pubmed1.xml pubmed26n1334.xml 2>said &
until grep -qs pubmed1 said; do sleep 0.05; done
sleep 0.1
try -q --state db -o other.tsv pubmed2.xml # the store is in use
disown $!
kill -KILL $!
while kill -0 $! 2>/dev/null; do sleep 0.05; done
exec 3>&-
rm pubmed26n1334.xml
test ! -e other.tsv
# Another output, another shape, none at all:
try --state db -o other.tsv pubmed1.xml pubmed2.xml
try -q --state db -o out.tsv --all pubmed1.xml pubmed2.xml
try -q --state db -o out.tsv -f csv pubmed1.xml pubmed2.xml
try -q --state db pubmed1.xml pubmed2.xml
try -q --state db --output-dir folder pubmed1.xml pubmed2.xml
try -q --state db -o out.tsv --parts parts pubmed1.xml pubmed2.xml
try -q --state db -o out.tsv --threshold 0.7 pubmed1.xml pubmed2.xml
# A dry run looks at the store only.
adesieve screen --dry-run --state db pubmed1.xml pubmed2.xml 2>&1 | grep -v '^time'
# The unfinished output was changed, or is gone.
partial=$(echo .out.tsv.*.part)
cp "$partial" saved
sed -i 's/true/TRUE/;s/false/FALSE/' "$partial"
try -q --state db -o out.tsv pubmed1.xml pubmed2.xml
head -c 20 saved >"$partial"
try -q --state db -o out.tsv pubmed1.xml pubmed2.xml
rm "$partial"
try -q --state db -o out.tsv pubmed1.xml pubmed2.xml
echo unfinished >"$partial"
# A new output holds what is new only.
adesieve screen -q --state db -o other.tsv --abandon-output pubmed1.xml pubmed2.xml
cut -f 12 other.tsv | sort | uniq -c
ls -A
# A file that fails leaves no rows in the output; when it is there as a whole, the next run takes it.
head -c 36000 "$DATA/medline/pubmed26n1334.xml.gz" >pubmed26n1334.xml.gz
try -q --state fail.db -o fail.jsonl --parts fail.parts --stats stats pubmed2.xml pubmed26n1334.xml.gz
cut -d'"' -f 2- fail.jsonl | grep -o '"source":.*' | sort | uniq -c
grep -o '"source":.*' fail.parts | sort | uniq -c
grep -e '"rows' -e '"files' stats
{ adesieve screen -q --state fail.db pubmed26n1334.xml.gz || echo "exit $?" >&3; } 3>&1 >rows
cp "$DATA/medline/pubmed26n1334.xml.gz" .
adesieve screen -q --state fail.db pubmed2.xml pubmed26n1334.xml.gz >rows
grep -o '"source":.*' rows | sort | uniq -c
