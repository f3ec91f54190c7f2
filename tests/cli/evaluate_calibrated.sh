# SPDX-License-Identifier: Apache-2.0
# A model's calibration: its measures have names of their own beside the raw ones, which stay; thresholds by target.
cp -r "$DATA/models/head_dim_32" model
chmod -R u+w model
head -801 "$DATA/test.csv" >val.csv
run() { adesieve evaluate -qm model --precision f32 --bootstrap 0 "$@"; }
members() { sed -n 's/^  "\(n\|accuracy\|auroc\|brier\|log_loss\|ece\)": /\1 /p' "$1"; }
value() { sed -n "s/^  \"$1\": \([0-9.e-]*\),*$/\1/p" "$2"; }
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a + 0 < b + 0) }' || echo "not $1 < $2"; }
run -f json val.csv >before
grep -c '"calibrated_[a-z_]*": null' before
adesieve calibrate -qm model --precision f32 --method platt val.csv >/dev/null
run -f json val.csv >after
members before >a
members after | cmp - a
for name in brier log_loss ece; do less "$(value calibrated_$name after)" "$(value $name after)"; done
run val.csv | grep -E '^(Brier|log loss|calibration error)' | sed 's/[0-9]\.[0-9]*/#/g'
run -f markdown val.csv | grep -E 'alibrated' | sed 's/[0-9]\.[0-9]*/#/g'
# recall=R gives at least that recall on the texts of the calibration; the threshold is what is said.
run --threshold recall=0.9 -f json val.csv >chosen
less 0.8999 "$(sed -n '/"ADE"/,/}/s/.*"recall": \([0-9.]*\),/\1/p' chosen)"
threshold=$(value threshold chosen)
less 0 "$threshold"
run --threshold "$threshold" -f json val.csv | cmp - chosen
run --threshold recall=0.9 val.csv | grep '^A text counts' | sed 's/[0-9]\.[0-9]*/#/'
# For another prevalence another threshold gives a review of at most this share.
adesieve evaluate -qm model --precision f32 --threshold review=0.2 -f json val.csv >a
adesieve evaluate -qm model --precision f32 --threshold review=0.2 --prevalence 0.01 -f json val.csv >b
test "$(value threshold a)" != "$(value threshold b)"
adesieve evaluate -qm model --precision f32 --threshold review=0.2 --prevalence 0.01 val.csv | grep '^A text counts' | sed 's/[0-9]\.[0-9]* *\(,\)/#\1/'
# Of several models each has its own threshold; one without a calibration cannot have any.
cp -r model other
adesieve evaluate -qm model -m other --threshold recall=0.9 val.csv | grep '^A text counts' | sed 's/[0-9]\.[0-9]* (/# (/g'
rm other/calibration.json
adesieve evaluate -qm model -m other --threshold recall=0.9 val.csv || echo "exit $?"
