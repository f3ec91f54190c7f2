# SPDX-License-Identifier: Apache-2.0
# --seen: all rows, those whose text is in the file, and the distinct ones that are not.
cat >test.csv <<'END'
text,label
seen,1
new,0
new,0
"seen, too",0
seen,1
other,1
new,1
Seen,0
END
printf 'id,text\n1,seen\n2,"seen, too"\n3,seen\n' >train.csv
adesieve evaluate --seen train.csv --bootstrap 0 test.csv | grep -A1 ' texts\?\b'
numbers() { grep -E '^ *"(n|seen|unseen|support|seen_file)"' | tr -d ' \n'; echo; }
adesieve evaluate --seen train.csv -f json test.csv | numbers
# Of a file without labels, of lines, compressed, from a pipe.
printf 'seen\nseen, too\n' >train.txt
adesieve evaluate --seen train.txt -f json test.csv | numbers >lines
gzip -c train.csv >train.csv.gz
adesieve evaluate --seen train.csv.gz -f json test.csv | numbers | sed 's/train.csv.gz/train.txt/' | cmp - lines
adesieve evaluate --seen - -i csv -f json test.csv <train.csv | numbers | sed 's/"-"/"train.txt"/' | cmp - lines
adesieve evaluate --seen <(cat train.csv) -i csv -f json test.csv | numbers | sed 's/"\/[^"]*"/"train.txt"/' | cmp - lines
# --input-format is for the labelled texts where this file's name says what it is.
printf '{"text":"seen","label":1}\n{"text":"new","label":0}\n' | adesieve evaluate --seen train.csv -i jsonl -f json - | numbers
# All is seen, nothing is seen.
adesieve evaluate -q --seen test.csv test.csv --bootstrap 0 | grep -A3 '^0 '
adesieve evaluate --seen train.txt -f markdown --bootstrap 0 test.csv | grep '^###'
# Which texts are distinct is as training/corpus.py has it: counts of the published split's test part.
head -1 "$DATA/test.csv" >none.csv
echo 'not there,0' >>none.csv
adesieve evaluate -q --seen none.csv -f json --bootstrap 0 --max-length 8 "$DATA/test.csv" | numbers | sed 's/"support":[0-9]*,*//g'
# What cannot be.
printf 'id,sentence\n1,seen\n' >bad.csv
adesieve evaluate --seen bad.csv test.csv || echo "exit $?"
printf 'text\n' >empty.csv
adesieve evaluate --seen empty.csv test.csv || echo "exit $?"
adesieve evaluate --seen nowhere.csv test.csv || echo "exit $?"
adesieve evaluate --seen - -i csv - <test.csv || echo "exit $?"
