# SPDX-License-Identifier: Apache-2.0
# Calibrated values and thresholds by target, in classify and screen; a score itself never changes.
cp -r "$MODEL" m
chmod -R u+w m
run() { adesieve "$@" --device cpu --precision f32; }
head -400 "$DATA/test.csv" >val.csv
tail -n +2 val.csv | sed 's/.*,//' >labels
run calibrate -q -m m --method isotonic val.csv >table
run classify -m m -f csv val.csv >plain.csv
run classify -m m -f csv --calibrated val.csv >calibrated.csv
head -1 calibrated.csv
cmp <(cut -d , -f 1,2 plain.csv) <(cut -d , -f 1,2 calibrated.csv)
# A threshold by its target finds what it promises, and says so.
run classify -m m -f tsv --threshold recall=0.9 val.csv 2>said >hits.tsv
head -1 hits.tsv
sed 's/[01]\.[0-9]\{2,\}/N/g' said
paste labels <(tail -n +2 hits.tsv | cut -f 3) | awk '$1 == 1 { n++; found += $2 == "true" } END { print (found / n >= 0.9 && found / n < 0.95) }'
threshold=$(sed -n 's/^threshold  \([0-9.]*\) .*/\1/p' said)
run classify -m m -f tsv -t "$threshold" val.csv | cmp - hits.tsv
run classify -q -m m --threshold review=0.1 --stats s.json val.csv | grep -c '"hit":true' >hits
awk '{ print ($1 <= 39 && $1 >= 30) }' hits
sed -n '/"threshold"/,/"value"/p;/"calibrated"/,/"prevalence"/p' s.json | sed 's/: 0\.[0-9]*/: N/'
# The prevalence moves calibrated values and no score.
run classify -m m -f csv --prevalence 0.02 val.csv >rare.csv
cmp <(cut -d , -f 1,2 plain.csv) <(cut -d , -f 1,2 rare.csv)
paste -d , <(cut -d , -f 3 calibrated.csv) <(cut -d , -f 3 rare.csv) | awk -F , 'NR > 1 && !($2 < $1 && $2 > 0) { bad++ } END { print bad + 0 }'
head -2 val.csv | run classify -m m --input-format csv --calibrated - | grep -o '"score":[0-9.]*,"calibrated":0\.[0-9]*,"scores"' | sed 's/0\.[0-9]*/N/g'
# screen: a field and a column behind the score; the threshold is looked up before the run.
run screen -q -m m --all --calibrated "$DATA/medline/pubmed1.xml" | head -1 | grep -o '"score":.*"truncated"' | sed 's/0\.[0-9]*/N/g'
run screen -q -m m --all --calibrated --document -f csv "$DATA/medline/pubmed1.xml" | head -1
run screen -m m --prevalence 0.02 --threshold recall=0.9 --manifest m.json -f tsv --stats s.json "$DATA/medline/pubmed1.xml" 2>said >rows
head -1 rows
sed -n '1s/[01]\.[0-9]\{2,\}/N/gp' said
grep -c '^hits .* at a threshold of 0\.50' said
sed -n '/"threshold_target"/,/"prevalence"/p;/^    "calibrated"/,/"max_length"/p' m.json | sed 's/: 0\.[3-9][0-9]*/: N/'
grep -e '"calibrated"' -e '^  "prevalence"' s.json
# A store keeps the threshold as a number: the same target goes on with it, another one does not.
run screen -q -m m --state db --threshold recall=0.9 "$DATA/medline/pubmed1.xml" >rows
run screen -q -m m --state db --threshold recall=0.9 "$DATA/medline/pubmed1.xml"
run screen -q -m m --state db --threshold recall=0.5 "$DATA/medline/pubmed1.xml" 2>said || echo "exit $?"
grep -c threshold said
# Weights that were replaced since: a warning wherever it is used, and nowhere else; an older file does not say for which.
cp -r m stale
sed -i 's/"hidden_act"/ "hidden_act"/' stale/config.json
run classify -m stale -f csv --calibrated val.csv | cmp - calibrated.csv
run screen -m stale --threshold recall=0.9 "$DATA/medline/pubmed1.xml" 2>said >stale_rows
cmp stale_rows rows
grep warning said
run info -m stale | grep -A 3 '^  calibration' | tail -1
run classify -m stale -f csv --threshold 0.5 val.csv >out
sed -i '/"model":/d' stale/calibration.json
run classify -m stale -f csv --calibrated val.csv | cmp - calibrated.csv
run info -m stale -f json | grep model_sha256
# Another file, and none.
mv m/calibration.json other.json
run screen -q -m m --calibration other.json --threshold recall=0.9 "$DATA/medline/pubmed1.xml" | cmp - rows
run classify -m m -f csv --calibration other.json --calibrated val.csv | cmp - calibrated.csv
try() { run "$@" >rows || echo "exit $?"; }
try classify -m m --calibrated val.csv
try classify -m m --prevalence 0.1 val.csv
try classify -m m --threshold recall=0.9 val.csv
try screen -m m --calibrated "$DATA/medline/pubmed1.xml"
try screen -m m --prevalence 0.1 "$DATA/medline/pubmed1.xml"
try screen -m m --threshold review=0.9 "$DATA/medline/pubmed1.xml"
try classify -m m --calibration nowhere.json val.csv
try classify -m m --calibration other.json --threshold precision=0.99 val.csv
try classify -m m --threshold 1.5 val.csv
