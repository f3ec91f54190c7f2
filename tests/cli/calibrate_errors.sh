# SPDX-License-Identifier: Apache-2.0
# What cannot be calibrated, and why; nothing is written then.
cp -r "$MODEL" m
chmod -R u+w m
try() { adesieve calibrate -m m "$@" || echo "exit $?"; }
head -40 "$DATA/test.csv" >few.csv
grep -v ',1$' "$DATA/test.csv" | head -60 >negative.csv
try
try few.csv -o -
try negative.csv
head -1 few.csv >empty.csv
try empty.csv
sed '5s/,[01]$/,maybe/' few.csv >unknown.csv
try unknown.csv
try --label-field nothing few.csv
try missing.csv
try --seen missing.csv few.csv
try --seen - - </dev/null
try few.csv -o few.csv
try few.csv -o no/such/place.json
try few.csv -o m
try --folds 1 few.csv
try --method sigmoid few.csv
cmp few.csv <(head -40 "$DATA/test.csv")
test ! -e m/calibration.json
sed '/"architectures"/s/^/  "problem_type": "multi_label_classification",\n/' m/config.json >c && mv c m/config.json
try few.csv
test ! -e m/calibration.json
