# SPDX-License-Identifier: Apache-2.0
# A baseline before the model: what it lets pass is classified as without it, the rest is counted, and the cost is said.
baseline=$(dirname "$(dirname "$DATA")")/models/tfidf-logreg
xml=$DATA/medline/pubmed26n1334.xml.gz
named="not ADE,ade" # the model's labels have no names, and a prefilter must look for the same one
adesieve screen -q --labels "$named" --precision f32 --all "$xml" >all
adesieve screen --labels "$named" --precision f32 --all --prefilter "$baseline" --stats s.json --manifest m.json "$xml" >some 2>said
sed -n '/^prefilter/p;/^sentences/p' said
# The rows are some of the rows without it, in their order.
grep -Fxf some all | cmp - some && test "$(wc -l <some)" -lt "$(wc -l <all)" && echo 'a part of the rows'
value() { sed -n "s/^ *\"$1\": \([0-9.]*\),*$/\1/p" s.json | head -1; }
test "$(value sentences)" -eq $(($(value screened) + $(value skipped))) && test "$(value prefiltered)" -gt 50 && echo 'the counts add up'
for file in s.json m.json; do sed -n '/"prefilter": {/,/"threshold"/p' "$file" | grep -E '"(name|n|data|target|value)"'; done
# A lower recall lets less pass; --quiet says nothing; a dry run needs no prefilter.
adesieve screen -q --labels "$named" --all --prefilter "$baseline" --prefilter-recall 0.9 "$xml" 2>said >fewer
test "$(wc -l <fewer)" -lt "$(wc -l <some)" && echo fewer
test -s said || echo 'nothing said'
adesieve screen --dry-run --prefilter "$baseline" "$xml" 2>&1 | grep -c prefilter || true
# A store knows the prefilter and its threshold.
adesieve screen -q --labels "$named" --state db --prefilter "$baseline" "$xml" >/dev/null
adesieve screen --labels "$named" --state db "$xml" && exit 1
adesieve screen --labels "$named" --state db --prefilter "$baseline" --prefilter-recall 0.9 "$xml" 2>err && exit 1
grep -o 'made with other settings: prefilter threshold is' err
cp -r "$baseline" other
chmod -R u+w other
sed -i 's/"id2label"/"name": "x", "id2label"/' other/config.json
adesieve calibrate -q -m other "$DATA/test.csv" >/dev/null
adesieve screen --labels "$named" --state db --prefilter other "$xml" 2>err && exit 1
grep -o 'prefilter is "[0-9a-f]*" ([^)]*) there and "[0-9a-f]*" ([^)]*) in this run' err | sed 's/"[0-9a-f]*"/HASH/g'
# What cannot be a prefilter.
adesieve screen --prefilter "$MODEL" "$xml" && exit 1
adesieve screen --labels "$named" --prefilter "$(dirname "$DATA")/golden/baseline/plain" "$xml" 2>err && exit 1
grep -o 'the model has no calibration' err
for dry in '' --dry-run; do # which opens what a real run would
    adesieve screen $dry --prefilter nowhere "$xml" 2>err && exit 1
    grep -o 'nowhere: the model folder cannot be opened' err
done
adesieve screen --dry-run --prefilter "$MODEL" "$xml" && exit 1
# One that looks for something else than the model does.
adesieve screen --prefilter "$baseline" "$xml" && exit 1
adesieve screen -m "$baseline" --positive-label 'not ADE' --prefilter "$baseline" "$xml" && exit 1
# Its calibration is of other weights than it has now.
{ sed 1d "$baseline/vocab.txt"; echo zzzz; } >other/vocab.txt
adesieve screen --labels "$named" --prefilter other "$xml" && exit 1
sed -i '/"model":/d' other/calibration.json # an older file does not say
adesieve screen -q --labels "$named" --prefilter other "$xml" >rows
adesieve screen --prefilter-recall 0.9 "$xml" && exit 1
true
