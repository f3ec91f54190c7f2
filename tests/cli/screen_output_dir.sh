# SPDX-License-Identifier: Apache-2.0
# --output-dir: a file for each input, which appears when the input is done; together they are what one stream has.
xml=$DATA/medline
mkdir in
cp "$xml/pubmed1.xml" "$xml/pubmed2.xml" "$xml/pubmed20n1016.xml.gz" "$xml/pubmed_no_rows.xml" in
adesieve screen -q --output-dir out/ in
adesieve screen -q in | cmp - <(cat out/pubmed_no_rows.jsonl out/pubmed1.jsonl out/pubmed2.jsonl out/pubmed20n1016.jsonl)
ls -A out
# Every table has its header, also one without rows; standard input has a name.
adesieve screen -q --output-dir tables -f csv --no-text in/pubmed_no_rows.xml - <in/pubmed1.xml
head -1 tables/*.csv
wc -l <tables/stdin.csv
# A file that fails leaves no rows and no texts, and its output of an earlier run as it was: the others are done.
head -c 36000 "$xml/pubmed26n1334.xml.gz" >in/cut.xml.gz
adesieve screen -q --output-dir some --parts parts in || echo "exit $?"
ls -A some
grep -c '"source":"cut.xml.gz"' parts || true
echo old >some/cut.jsonl
adesieve screen -q --output-dir some in || echo "exit $?"
cat some/cut.jsonl
grep -c '"cut' some/manifest.json
# What it has said counts as not said, so that a later file's records are new: the rows are those of that file alone.
cp "$xml/pubmed26n1334.xml.gz" in/last9999.xml.gz
adesieve screen -q --output-dir some in || echo "exit $?"
adesieve screen -q in/last9999.xml.gz | cmp - some/last9999.jsonl
rm in/last9999.xml.gz
# Refused before any work: two inputs of one name, also from folders; no folder; a folder that cannot be written.
try() { adesieve screen "$@" || echo "exit $?"; }
mkdir other
cp in/pubmed1.xml other/pubmed1.xml
gzip -c in/pubmed2.xml >other/pubmed2.xml.gz
try --output-dir never in other/pubmed1.xml
try -q --output-dir never in/pubmed2.xml other
try -q --output-dir in/pubmed1.xml in
try -q --output-dir no/such in
long=$(printf 'n%.0s' $(seq 250))
cp in/pubmed1.xml "$long.xml"
try -q --output-dir never "$long.xml"
test "$(ls -A never)" = ''
try --output-dir out -o rows in
# Interrupted: what is done stays, and the manifest says what that is.
mkfifo pubmed3.xml
exec 3<>pubmed3.xml
head -c 9000 in/pubmed2.xml >&3
adesieve screen -q --output-dir busy in/pubmed1.xml pubmed3.xml &
until [[ -e busy/pubmed1.jsonl ]]; do sleep 0.05; done
test ! -e busy/manifest.json
try -q --output-dir busy in/pubmed2.xml # another run has the folder
kill -TERM $!
wait $! || echo "exit $?"
exec 3>&-
ls -A busy
sed -n 's/^  "status"/status/p;s/^ *"name": "pubmed/name pubmed/p' busy/manifest.json
# With a store, killed and gone on with: the bytes of a run that was not killed.
rm pubmed3.xml in/cut.xml.gz
mkfifo in/pubmed26n1334.xml.gz
exec 3<>in/pubmed26n1334.xml.gz
head -c 36000 "$xml/pubmed26n1334.xml.gz" >&3
inputs=(in/pubmed1.xml in/pubmed2.xml in/pubmed20n1016.xml.gz in/pubmed26n1334.xml.gz)
adesieve screen --state db --output-dir resumed "${inputs[@]}" 2>said &
until grep -qs pubmed20n1016 said; do sleep 0.05; done # said when the store has it
disown $!
kill -KILL $!
while kill -0 $! 2>/dev/null; do sleep 0.05; done
exec 3>&-
rm in/pubmed26n1334.xml.gz
cp "$xml/pubmed26n1334.xml.gz" in
echo old >resumed/pubmed26n1334.jsonl
adesieve screen --state db --output-dir resumed "${inputs[@]}" 2>&1 | sed -n '1,5s/[0-9.]* s$/T s/;1,5p'
adesieve screen -q --output-dir whole "${inputs[@]}"
rm whole/manifest.json
for file in whole/*; do cmp "$file" "resumed/${file#whole/}"; done
ls -A resumed
# What is done is not done again; an output that is missing is said.
rm resumed/pubmed1.jsonl
adesieve screen --state db --output-dir resumed "${inputs[@]}" 2>&1 | tail -2
# A revised input of the same name: what is unchanged in it gives no rows.
mkdir new
sed '0,/<ArticleTitle>/s//<ArticleTitle>Revised. /' in/pubmed2.xml >new/pubmed2.xml
adesieve screen --state db --output-dir resumed new/pubmed2.xml 2>&1 | sed -n '1s/[0-9]* sentences/N sentences/;1s/^\(.*warning.*\)/\1/p'
grep -c '' resumed/pubmed2.jsonl resumed/pubmed2.2.jsonl
# Both outputs are known from now on.
adesieve screen -q --state db --output-dir resumed new/pubmed2.xml
ls resumed
# An interrupted run's inputs have no output in a new folder: --abandon-output says so, also with -q.
mkfifo pubmed3.xml
exec 3<>pubmed3.xml
adesieve screen --state db2 -o out.jsonl in/pubmed1.xml pubmed3.xml 2>said.later &
until grep -qs pubmed1 said.later; do sleep 0.05; done
kill -TERM $!
wait $! || true
exec 3>&-
adesieve screen -q --state db2 --output-dir fresh --abandon-output in/pubmed1.xml in/pubmed2.xml || echo "exit $?"
ls -A fresh
