# SPDX-License-Identifier: Apache-2.0
# No text, no row; a header line where the format has one. An empty line is a text.
adesieve classify </dev/null
adesieve classify -f tsv </dev/null
adesieve classify -f csv </dev/null
: | gzip | adesieve tokenize
printf '\xef\xbb\xbf' | adesieve tokenize
printf '\n\n' | adesieve tokenize
printf 'text\n' | adesieve tokenize -i csv
printf 'text\n\n' | adesieve tokenize -i csv
printf '\n \n' | adesieve tokenize -i jsonl
