# SPDX-License-Identifier: Apache-2.0
# Where labels and texts are, what is left out, and what the calibration says of it.
cp -r "$MODEL" m
chmod -R u+w m
head -300 "$DATA/test.csv" >val.csv
show() { grep -e '"n":' -e '"n_positive"' -e '"data"' -e '"seen"' -e '"repeated"' -e '"method"' "$1"; }
sed '1s/.*/sentence,kind/' val.csv >other.csv
adesieve calibrate -q -m m -f json --text-field sentence --label-field kind --input-format csv --seed 7 --folds 5 other.csv >a
show a
grep -e '"folds"' -e '"seed"' m/calibration.json
test "$(grep -c '"threshold": null' a)" -ge 1 # with the reason why
grep -q '"error": "no threshold reaches a precision of 0.95 ' a
# Texts that the model was trained on are left out, and of those that occur twice all but one.
{ cat val.csv; sed -n '101,150p' val.csv; } >twice.csv
head -51 val.csv >train.csv
adesieve calibrate -q -m m -f json --seen train.csv twice.csv >a
show a
# Two files are one set; labels by name.
sed -e 's/,0$/,no/' -e 's/,1$/,YES/' val.csv >named.csv
head -150 named.csv >one.csv
{ head -1 named.csv; tail -n +151 named.csv; } >two.csv
adesieve calibrate -q --model m --format json --labels no,yes --positive-label yes --split-special-tokens one.csv two.csv >a
adesieve calibrate -q -m m --max-length 32 --token-budget 4096 --invalid-utf8 replace --progress never --output b val.csv >c
show a
grep '"labels"' m/calibration.json
# The positive label decides what is counted. Then the calibration is not one of the model's own positive label.
adesieve calibrate --log-json -m m --labels no,yes --positive-label no named.csv 2>said >table
sed -n 's/.*"message":"\([^"]\{40\}\).*/\1/p' said
grep -c . table
adesieve info -m m | grep calibration
adesieve classify -q -m m --labels no,yes --positive-label no --calibrated -f tsv val.csv | head -1
adesieve classify -m m --labels no,yes --positive-label yes --calibrated val.csv || echo "exit $?"
# A bad file is no reason not to make a new one.
echo '{' >m/calibration.json
adesieve calibrate --quiet -m m val.csv >table
adesieve info -m m >said
