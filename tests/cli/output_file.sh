# SPDX-License-Identifier: Apache-2.0
# A file has its name only when it is complete: a run that fails leaves what was there. A link stays a link, a mode stays.
echo a >a.txt
echo old >out
chmod 640 out
ln -s out link
printf 'good\nbad\xff\n' >bad.txt
adesieve classify -o out bad.txt || echo "exit $?"
adesieve classify -o >(cat >/dev/null) bad.txt || echo "exit $?"
printf '{"text":"a"}\n{"text":"b"}\nno\n' >bad.jsonl
adesieve tokenize -o out bad.jsonl || echo "exit $?"
cat out
adesieve classify -o link a.txt
grep -c LABEL_1 out
test -L link
stat -c %a out
adesieve classify --output=- a.txt | cmp - out
adesieve classify -o /dev/null a.txt
adesieve classify -o >(cat >piped) a.txt
# A link to nothing: the file that it names is made.
mkdir there
ln -s ../made there/near
ln -s there/near far
adesieve classify -o far a.txt
cmp made out
test -L far -a -L there/near
rm -r far there made
for _ in 1 2 3 4 5 6 7 8 9 10; do cmp -s piped out && break; sleep 0.1; done
cmp piped out
ls -A
# The name of the output says how to write the rows; -f wins.
for name in rows.tsv rows.CSV rows.jsonl rows.txt .tsv rows.tsv.gz; do
    adesieve classify -o "$name" a.txt
    echo "$name $(head -c 5 "$name")"
done
adesieve classify -f jsonl -o rows.tsv a.txt
head -c 5 rows.tsv
echo
adesieve screen -q --limit 1 -o rows.csv "$DATA/medline/pubmed2.xml"
head -c 5 rows.csv
echo
