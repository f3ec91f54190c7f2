# SPDX-License-Identifier: Apache-2.0
# tokenize reads texts as classify does, and writes its statistics.
printf 'id,body\n1,"two\nlines"\n2,b\xff\n' >a.csv
adesieve tokenize --model "$MODEL" -q --input-format csv --text-field body --invalid-utf8 replace --stats s.json --progress never -o out a.csv
wc -l <out
grep -c -e '"texts": 2,' -e '"replaced_utf8": 1,' -e '"command": "tokenize"' -e '"inputs_failed": 0' s.json
adesieve tokenize --text-field body --fail-fast -m "$MODEL" --log-json --output never a.csv 2>log || echo "exit $?"
grep -c '"level":"error".*line 4, byte 4: is not UTF-8 (0xff)' log
test ! -e never
