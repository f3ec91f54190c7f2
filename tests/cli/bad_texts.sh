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
printf 'text\tid\na\n' >field.tsv
printf 'id;text\n1;a\n' >semicolon.csv
printf 'text\tid\na\t1\n' >tab.csv
for file in latin1.txt column.csv quote.csv fields.tsv field.jsonl broken.jsonl cut.txt.gz plain.txt.gz utf16.txt empty.csv field.tsv \
    semicolon.csv tab.csv; do
    adesieve classify -o out "$file" || echo "exit $?"
    test ! -e out
done
# The others are done: status 3.
echo fine >fine.txt
adesieve classify fine.txt cut.txt.gz fine.txt 2>/dev/null | wc -l
adesieve classify -o out fine.txt cut.txt.gz fine.txt 2>/dev/null || echo "exit $?"
# Files that are no texts, told by name or first bytes, unless --input-format says otherwise.
printf '<?xml version="1.0"?>\n' | tee notes.XML >unnamed.txt
printf '\xef\xbb\xbf<?xml?>\n' | gzip >unnamed.gz
printf 'PK\x03\x04\xff' >archive
printf '%%PDF-1.7\n' | tee a.pdf >paper
for suffix in json xlsx docx zip xls parquet html json.gz; do
    echo a >"a.$suffix"
    [[ $suffix == *.gz ]] && gzip -c fine.txt >"a.$suffix"
done
adesieve tokenize notes.XML unnamed.txt unnamed.gz archive a.pdf paper a.json a.xlsx a.docx a.zip a.xls a.parquet a.html \
    a.json.gz nowhere.xml || echo "exit $?"
adesieve tokenize -q - <notes.XML || echo "exit $?"
adesieve tokenize -q -i lines notes.XML archive a.pdf a.json --invalid-utf8 replace | wc -l
adesieve classify -q -o out fine.txt notes.XML || echo "exit $?"
wc -l <out
