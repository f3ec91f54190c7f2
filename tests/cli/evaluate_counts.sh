# SPDX-License-Identifier: Apache-2.0
# What evaluate counts is what classify says, whatever the format of the texts and however labels are written.
model=$DATA/models/head_dim_32
head -301 "$DATA/test.csv" >a.csv
adesieve classify -qm "$model" --precision f32 -f csv -o rows.csv a.csv
# The last column of a.csv is the label; no text of it has a line feed.
paste -d, <(tail -n +2 rows.csv | cut -d, -f1,2) <(tail -n +2 a.csv | sed 's/.*,//') >pairs
expected=$(awk -F, -v t=-1 '{ p = t < 0 ? $1 == "ADE" : $2 + 0 >= t; n[$3 + 0, p + 0]++ }
    END { printf "[%d, %d] [%d, %d]", n[0, 0], n[0, 1], n[1, 0], n[1, 1] }' pairs)
at_04=$(awk -F, -v t=0.4 '{ p = $2 + 0 >= t; n[$3 + 0, p + 0]++ }
    END { printf "[%d, %d] [%d, %d]", n[0, 0], n[0, 1], n[1, 0], n[1, 1] }' pairs)
run() { adesieve "$1" -qm "$model" --precision f32 -f json "${@:2}"; }
confusion() { tr -d '\n' | sed 's/.*"confusion": \[ *\(\[[0-9, ]*\]\), *\(\[[0-9, ]*\]\) *\].*/\1 \2/'; }
same() { test "$(confusion)" = "$expected" || echo "$1 differs"; }
[[ $expected == *"[0, "* || $expected == *", 0]"* ]] && echo "a cell is empty: $expected"
test "$at_04" != "$expected"
run evaluate a.csv >a.json
same 'CSV' <a.json
grep -o '"n": 300,' a.json
run evaluate --threshold 0.4 a.csv | confusion >b
test "$(cat b)" = "$at_04" || echo "the threshold differs"
# A score that was copied reaches itself, as in classify, however it reads as a double.
head -9 a.csv >few.csv
while IFS=, read -r _ score _; do
    hits=$(adesieve classify -qm "$model" --precision f32 -f csv --threshold "$score" few.csv | cut -d, -f3 | grep -c true)
    run evaluate --bootstrap 0 --threshold "$score" few.csv >at
    found=$(confusion <at | tr -d '[],' | awk '{ print $2 + $4 }')
    test "$found" = "$hits" || echo "at $score: $found texts, but classify has $hits hits"
    grep -q "\"threshold\": $score," at || echo "$score is written otherwise"
done < <(sed -n 2,9p rows.csv)
# Numbers, names, names in other letters; other columns; JSON Lines; compressed; standard input; several inputs.
sed -e 's/,0$/,not ADE/' -e 's/,1$/,ade/' a.csv >names.csv
run evaluate names.csv | same names
sed -e '1s/.*/sentence,class/' a.csv >columns.csv
run evaluate --text-field sentence --label-field class columns.csv | same columns
gzip -c a.csv >a.csv.gz
run evaluate a.csv.gz | same gzip
run evaluate --input-format csv - <a.csv | same 'standard input'
printf 'label\ttext\n1\tRash after a\\tb.\n0\tNo event.\n' >two.tsv
printf '{"text":"Rash after a\\tb.","label":"ADE"}\n{"label":0,"text":"No event."}\n' >two.jsonl
run evaluate two.tsv | confusion >b
run evaluate two.jsonl | confusion | cmp - b
run evaluate two.tsv two.jsonl a.csv | grep '"n": 304,'
# The same numbers whatever the batches are, and in every format of the report.
run evaluate --token-budget 100 --threads 1 --device cpu --output c.json a.csv
cmp a.json c.json
adesieve evaluate -m "$model" -f json --max-length 16 a.csv >c.json 2>err && grep -o 'of 300 texts were longer than 16 tokens' err
cmp -s a.json c.json && echo "max-length does nothing"
adesieve evaluate -qm "$model" --precision f32 -f markdown a.csv | grep -c '^| '
adesieve evaluate -qm "$model" --precision f32 a.csv | grep -E '^(not )?ADE  ' | tr -s ' ' | head -2 >text
adesieve evaluate -qm "$model" --precision f32 -f markdown a.csv | grep -E '^\| (not )?ADE \| [0-9.]* \(' |
    tr -d '|()' | sed 's/ to /-/g' | tr -s ' ' | sed 's/^ //; s/ $//' | cmp - text
# The seed moves the bounds, and nothing else; without samples there are none.
run evaluate --seed 7 a.csv | sed 's/_interval": \[.*/_interval": []/; s/"seed": .*//' >d.json
sed 's/_interval": \[.*/_interval": []/; s/"seed": .*//' a.json | cmp - d.json
run evaluate --seed 42 --bootstrap 10000 a.csv | cmp - a.json
run evaluate --bootstrap 0 a.csv | grep -c '_interval": \['
# Labels renamed, the first one positive, invalid UTF-8.
run evaluate --labels no,yes --positive-label no two.tsv | grep -o '"positive_label": "no"'
printf 'text,label\na\xff,1\nb,0\n' >bad.csv
adesieve evaluate -m "$model" -f json --invalid-utf8 replace bad.csv 2>err | grep '"n": 2,'
grep -o '1 invalid UTF-8 parts were replaced' err
printf 'text,label\n[SEP] a [MASK],1\nb,0\n' >special.csv
run evaluate special.csv | grep '"brier"' >one
run evaluate --split-special-tokens special.csv | grep '"brier"' | cmp -s - one && echo "special tokens are not split"
adesieve evaluate --quiet --log-json --progress never special.csv >text && grep '^2 texts' text
