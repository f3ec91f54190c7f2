# SPDX-License-Identifier: Apache-2.0
# --files-from: a path a line, relative to the working folder; errors name the line.
mkdir in 'with space'
cp "$DATA/medline/pubmed1.xml" "$DATA/medline/pubmed2.xml" in
cp "$DATA/medline/pubmed4.xml" 'with space/#4.xml'
adesieve screen -q in/pubmed1.xml in/pubmed2.xml 'with space/#4.xml' >expected
printf 'in/pubmed2.xml\n\nwith space/#4.xml\n\nin/pubmed1.xml' >list
adesieve screen -q --files-from list | cmp - expected
adesieve screen -q --files-from - <list | cmp - expected
gzip -c list >list.gz
adesieve screen -q --files-from=list.gz | cmp - expected
printf 'with space/#4.xml\n' | adesieve screen -q --files-from - in | cmp - expected
# A line may be a folder, and - standard input.
printf -- '-\nin\n' >list
adesieve screen -q --files-from list <'with space/#4.xml' | sed 's/"-"/"#4.xml"/' | sort | cmp - <(sort expected)
try() { adesieve screen "$@" || echo "exit $?"; }
printf 'in/pubmed1.xml\n\nnowhere.xml\nin/pubmed2.xml\r\n' >list
{ adesieve screen -q --files-from list || echo "exit $?" >&3; } 3>&1 >rows
grep -c '"source":"pubmed1.xml"' rows
try -q --files-from list --fail-fast
try --files-from nolist
try --files-from in
try --files-from /dev/null
printf 'a\0b\n' >list
try --files-from list
printf -- '-\n' >list
try --files-from - <list
try --files-from list - </dev/null
# Many: more than the command line's own.
for _ in $(seq 300); do echo; done >list
for i in $(seq 200); do cp in/pubmed1.xml "in/n$i.xml"; echo "in/n$i.xml"; done >>list
adesieve screen --dry-run --files-from list 2>&1 | grep -c ': 2 citations (2 new)'
# A file is an input once.
printf 'in/pubmed1.xml\n./in/pubmed1.xml\n' >list
{ adesieve screen -q --files-from list || echo "exit $?" >&3; } 3>&1 >rows
# The list is an input: no output replaces it.
try -q --files-from list -o list
