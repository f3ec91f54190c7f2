# SPDX-License-Identifier: Apache-2.0
# What is no labelled text is an error that names file, line and cure, and nothing is written.
try() { adesieve evaluate -o out "$@" || echo "exit $?"; test ! -e out; }
printf 'text,class\na,1\n' >column.csv
printf 'text,label\na,1\nb,maybe\n' >unknown.csv
printf 'text,label\na,1\n\nb,2\n' >range.csv
printf 'text,label\na,1\nb,-1\n' >negative.csv
printf 'text,label\na,\n' >blank.csv
printf 'text,label\na,1.0\n' >float.csv
: >empty.csv
printf 'text,label\n' >header.csv
: >empty.jsonl
printf '{"text":"a","label":null}\n' >null.jsonl
printf '{"text":"a"}\n' >missing.jsonl
printf 'Rash after amoxicillin.\n' >plain.txt
printf 'text,label\na,1,2\n' >fields.csv
printf 'text,label\na,1\nb\xe9,0\n' >latin1.csv
printf 'text,label\na,1\n' | gzip | head -c 25 >cut.csv.gz
for file in column.csv unknown.csv range.csv negative.csv blank.csv float.csv empty.csv header.csv empty.jsonl null.jsonl \
    missing.jsonl plain.txt fields.csv latin1.csv cut.csv.gz nowhere.csv; do
    try "$file"
done
# Labelled texts must be whole: the first input that fails ends the run.
printf 'text,label\na,1\nb,0\n' >good.csv
try good.csv unknown.csv good.csv
try good.csv nowhere.csv good.csv
try - <good.csv
try header.csv header.csv
# Scores that are no numbers.
cp -r "$MODEL" huge
chmod -R u+w huge
header=$(od -An -tu8 -N8 huge/model.safetensors | tr -d ' ')
size=$(stat -c %s huge/model.safetensors)
{ head -c $((8 + header)) "$MODEL/model.safetensors"; head -c $((size - 8 - header)) /dev/zero | tr '\0' '\177'; } >huge/model.safetensors
try -m huge --precision f32 good.csv
# What the options ask for, but cannot be.
try
try --prevalence 0.1 good.csv
try --threshold precision=0.5 --prevalence 0.1 good.csv
