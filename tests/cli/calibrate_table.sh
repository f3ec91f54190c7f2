# SPDX-License-Identifier: Apache-2.0
# A calibration beside the model, and what it says: as text, as JSON, by info. The weights are not touched.
cp -r "$MODEL" m
chmod -R u+w m
cat m/* | cksum >before
head -400 "$DATA/test.csv" | sed 's/,0$/,x/;s/,1$/,0/;s/,x$/,1/' >val.csv # what the random model is better at
adesieve calibrate -m m --device cpu --precision f32 --threads 2 --method platt val.csv
grep -v '"scores"' m/calibration.json | head -9 | sed 's/: [-0-9.e]*,$/: N,/'
mv m/calibration.json saved.json
cat m/* | cksum | cmp - before
# The same again gives the same file; -o writes elsewhere, and --calibration reads it there.
adesieve calibrate -q -m m --device cpu --precision f32 --method platt -o again.json val.csv >table
cmp again.json saved.json
test ! -e m/calibration.json
adesieve info -m m --calibration again.json | sed -n '/calibration/,/log-loss/p' | sed 's/0\.[0-9]*/N/g;s/slope [0-9.e+-]*, offset [0-9.e+-]*/slope N, offset N/'
adesieve info -m m | grep calibration
adesieve info -m m -f json | grep calibra
mv again.json m/calibration.json
adesieve info -m m -f json | sed -n '/"calibrat/,/"data"/p' | sed 's/: [-0-9.e]*\(,\{0,1\}\)$/: N\1/'
# JSON: every target with its threshold and intervals, or why there is none.
adesieve calibrate -q -m m -f json --method temperature --data 'a note' --prevalence 0.02 val.csv >table.json
grep -c '"target"' table.json
grep -e '"prevalence": 0.02' table.json | sort -u
grep -e '"data"' -e '"method"' table.json
test "$(grep -c '"threshold": 0.50' table.json)" -eq 10
sed -n '/"recall": {/,/}/p' table.json | head -5 | sed 's/: [0-9.]*/: N/'
