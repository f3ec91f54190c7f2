# SPDX-License-Identifier: Apache-2.0
# A full disk is an error, also when it is seen at the very end, and for help too.
[[ -c /dev/full ]] || { echo "no /dev/full" >&2; exit 77; }
echo a >a.txt
adesieve classify -o /dev/full a.txt || echo "exit $?"
adesieve classify --stats /dev/full -o out a.txt || echo "exit $?"
{ adesieve tokenize a.txt || echo "exit $?" >&3; } 3>&1 >/dev/full
{ adesieve screen -q "$DATA/medline/pubmed2.xml" || echo "exit $?" >&3; } 3>&1 >/dev/full
{ adesieve screen -q --parts /dev/full "$DATA/medline/pubmed2.xml" || echo "exit $?" >&3; } 3>&1 >/dev/null
adesieve screen --state db -o /dev/full "$DATA/medline/pubmed2.xml" || echo "exit $?"
rm db
{ adesieve --help || echo "exit $?" >&3; } 3>&1 >/dev/full
{ adesieve info || echo "exit $?" >&3; } 3>&1 >/dev/full
{ adesieve classify a.txt || echo "exit $?" >&3; } 3>&1 >&-
# A real file on a file system that is full: the file-size limit does the same.
{
    (
        trap '' XFSZ
        ulimit -f 1
        yes 'some words' | head -200 | adesieve classify -o big 2>&1 || echo "exit $?" >&3
    ) | cat >&2
} 3>&1
ls -A
