# SPDX-License-Identifier: Apache-2.0
# No output takes the place of an input, of its MD5 sum, of the list, of the store or of another output: files are
# compared by what they are, before anything is opened.
mkdir in d
cp "$DATA/medline/pubmed1.xml" "$DATA/medline/pubmed2.xml" in
ln in/pubmed1.xml hard
ln -s in/pubmed2.xml soft
echo in/pubmed1.xml >list
adesieve screen -q --state db in >first
sums() { find . -type f ! -name before | sort | xargs md5sum; }
sums >before
try() { adesieve screen -q "$@" >rows || echo "exit $?"; rm -f rows; }
# An input: of a folder, under another name, behind a link, of the list, at standard input and output.
try -o hard in
try --stats soft in
try --parts ./in/../in/pubmed2.xml in
try --manifest hard --files-from list
try --metrics-file soft in
try -o soft - <in/pubmed2.xml
adesieve screen -q in >>in/pubmed1.xml || echo "exit $?"
ln -s ../in/pubmed1.xml d/pubmed2.jsonl
try --output-dir d in
rm d/pubmed2.jsonl
# A sum, whether it is there or not; the list.
try -o in/pubmed1.xml.md5 in
try --metrics-file ./list --files-from list
# The store and what SQLite puts beside it, also of a store that is not there.
ln -s db link
try --state db -o link in
try --state link --stats db-wal in
try --state new --metrics-file ./new-shm in
try --state d/pubmed1.jsonl --output-dir d in
# Two outputs: there or not, behind a link to nothing, of --output-dir, both at standard output.
ln -s one two
try -o one --stats ./one in
try -o one --metrics-file two in
try --parts one --manifest d/../one in
try --output-dir d --stats d/manifest.json in
try --output-dir new --parts ./new/pubmed1.jsonl in
try --stats - in
try --manifest /dev/stdout in
rm link two
sums | cmp - before
ls -A . in d
# What is no file is no conflict; another file of the same name in another folder is none.
adesieve screen -q -o /dev/null --stats /dev/null in
adesieve screen -q -o d/pubmed1.xml in
cmp d/pubmed1.xml first
