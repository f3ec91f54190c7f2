# SPDX-License-Identifier: Apache-2.0
# Errors in files name the file, the line and the byte, and say what to do.
printf 'good\nb\xe9d\n' >latin1.txt
printf 'id,sentence\n1,a\n' >column.csv
printf 'text,id\na,1\n"open,2\n' >quote.csv
printf 'text\tid\na\tb\tc\n' >fields.tsv
printf '{"text":"a"}\n{"body":"b"}\n' >field.jsonl
printf '{"text":"a"}\n{"text":\n' >broken.jsonl
printf 'Rash after amoxicillin.\n' | gzip | head -c 30 >cut.txt.gz
printf 'plain\n' >plain.txt.gz
printf '\xff\xfea\0\n\0' >utf16.txt
: >empty.csv
for file in latin1.txt column.csv quote.csv fields.tsv field.jsonl broken.jsonl cut.txt.gz plain.txt.gz utf16.txt empty.csv; do
    adesieve classify -o out "$file" || echo "exit $?"
    test ! -e out
done
# The others are done: status 3.
echo fine >fine.txt
adesieve classify fine.txt cut.txt.gz fine.txt 2>/dev/null | wc -l
adesieve classify -o out fine.txt cut.txt.gz fine.txt 2>/dev/null || echo "exit $?"
