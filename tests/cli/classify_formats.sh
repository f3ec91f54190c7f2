# SPDX-License-Identifier: Apache-2.0
# The same texts stored in every format give the same bytes.
printf 'Rash, "after" it.\nsecond\n\n' >a.txt
printf '\xef\xbb\xbfid,text\r\n1,"Rash, ""after"" it."\r\n2,second\r\n3,\r\n' >a.csv
printf 'text\tid\nRash, "after" it.\t1\nsecond\t2\n\t3\n' >a.tsv
printf '{"text":"Rash, \\"after\\" it."}\n{"id":2,"text":"second"}\n{"text":""}\n' >a.jsonl
adesieve classify --with-text a.txt >want
for file in a.csv a.tsv a.jsonl; do
    adesieve classify --with-text "$file" | cmp - want
    gzip -k "$file"
    adesieve classify --with-text "$file.gz" | cmp - want
    adesieve classify --with-text -i "${file#a.}" - <"$file" | cmp - want
    adesieve classify --with-text -i "${file#a.}" <"$file.gz" | cmp - want # gzip is told by its first bytes
done
sed 's/text/sentence/' a.csv >b.csv
adesieve classify --with-text --text-field sentence b.csv | cmp - want
# Several files are one run, in the order given.
adesieve classify --with-text a.txt a.csv a.jsonl >three
cat want want want | cmp - three
