# SPDX-License-Identifier: Apache-2.0
# No output takes the place of a file of the model, whatever name it goes by; calibrate replaces its own.
cp -r "$MODEL" m
chmod -R u+w m
cat m/* | cksum >before
ln -s m/config.json link
ln m/model.safetensors weights
head -60 "$DATA/test.csv" >val.csv
try() { adesieve "$@" >rows && exit 1; test ! -s rows; }
try classify -m m -o m/config.json val.csv
try classify -m m --stats link val.csv
try evaluate -m "$MODEL" -m m --errors m/config.json val.csv
try calibrate -m m -o m/config.json val.csv
try tokenize -m m -o weights val.csv
try info -m m -o m/config.json
try screen -m m --manifest weights "$DATA/medline/pubmed1.xml"
try screen -m m --metrics-file link "$DATA/medline/pubmed1.xml"
try screen -m m --prefilter m --parts link "$DATA/medline/pubmed1.xml"
ADESIEVE_MODEL=m try classify -o link val.csv
cat m/* | cksum | cmp - before
# A file that is new there, or its calibration, is nobody's loss.
adesieve classify -q -m m -o m/rows.jsonl val.csv
rm m/rows.jsonl
adesieve calibrate -q -m m val.csv >rows
adesieve calibrate -q -m m -o m/calibration.json val.csv >rows
try classify -m m -o m/calibration.json val.csv
