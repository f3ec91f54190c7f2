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
# Numbers: what is a label's name and the number of another is neither.
try --labels 1,0 good.csv
adesieve evaluate --labels 0,1 good.csv | grep -c '^accuracy'
adesieve evaluate --labels 0,none good.csv | grep -c '^accuracy'
printf '{"text":"a","label":1.0}\n{"text":"b","label":0}\n' >pandas.jsonl
adesieve evaluate pandas.jsonl | grep -c '^accuracy'
printf '{"text":"a","label":1.5}\n' >half.jsonl
printf '{"text":"a","label":true}\n' >true.jsonl
printf '{"text":"a","label":[1]}\n' >list.jsonl
printf 'text,label\na,01\n' >zeros.csv
printf 'text,label\na,%059d\xc3\xa9\n' 0 >long.csv
for file in half.jsonl true.jsonl list.jsonl zeros.csv long.csv; do try "$file"; done
try --labels "$(printf '%059d' 0)"$'\xc3\xa9,b' unknown.csv
# More labels than can be shown: a model of 1001.
cp -r "$DATA/models/multi_label" wide
chmod -R u+w wide
sed -i '/"id2label"/,/}/d; /"label2id"/,/}/d; s/"multi_label_/"single_label_/; s/^{/{"num_labels": 1001,/' wide/config.json
from=$DATA/models/multi_label/model.safetensors
size=$(od -An -tu8 -N8 "$from" | tr -d ' ')
header=$(tail -c +9 "$from" | head -c "$size" | sed 's/"shape":\[3\],"data_offsets":\[81576,81588\]/"shape":[1001],"data_offsets":[81576,85580]/
    s/"shape":\[3,32\],"data_offsets":\[81588,81972\]/"shape":[1001,32],"data_offsets":[85580,213708]/')
{ printf '\xd8\x10\0\0\0\0\0\0%-4312s' "$header"; tail -c +$((9 + size)) "$from" | head -c 81576; head -c 132132 /dev/zero; } >wide/model.safetensors
try -m wide --precision f32 good.csv
# Scores that are no numbers.
cp -r "$MODEL" huge
chmod -R u+w huge
header=$(od -An -tu8 -N8 huge/model.safetensors | tr -d ' ')
size=$(stat -c %s huge/model.safetensors)
{ head -c $((8 + header)) "$MODEL/model.safetensors"; head -c $((size - 8 - header)) /dev/zero | tr '\0' '\177'; } >huge/model.safetensors
try -m huge --precision f32 good.csv
adesieve classify -m huge --precision f32 -o out good.csv good.csv || echo "exit $?"
# What the options ask for, but cannot be.
try
try --prevalence 0.1 good.csv
try --threshold precision=0.5 --prevalence 0.1 good.csv
