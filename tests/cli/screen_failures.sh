# SPDX-License-Identifier: Apache-2.0
# A file that fails is named, also with -q, and the others are done: status 3; when all fail: 1, and no output.
head -c 3000 "$DATA/medline/pubmed2.xml" >cut.xml
head -c 3000 "$DATA/medline/pubmed26n1334.xml.gz" >cut.xml.gz
printf 'no xml\n' >text.xml
adesieve screen -q -o out "$DATA/medline/pubmed1.xml" cut.xml cut.xml.gz text.xml || echo "exit $?"
grep -c '"source":"pubmed1.xml"' out
adesieve screen --stats s.json "$DATA/medline/pubmed1.xml" cut.xml >rows || echo "exit $?"
grep -e files_failed -e files_done s.json
adesieve screen -q -o never cut.xml text.xml || echo "exit $?"
adesieve screen -q -o never --fail-fast cut.xml "$DATA/medline/pubmed1.xml" || echo "exit $?"
test ! -e never
# Texts are not for screen.
printf 'text\nRash.\n' >notes.csv
printf '{"text":"a"}\n' | gzip >notes.jsonl.gz
adesieve screen notes.csv || echo "exit $?"
adesieve screen --fail-fast -o never notes.jsonl.gz "$DATA/medline/pubmed1.xml" || echo "exit $?"
adesieve screen notes.csv text.xml "$DATA/medline/pubmed1.xml" 2>&1 >/dev/null | grep -c -e '^failed     2 inputs' -e 'hint'
