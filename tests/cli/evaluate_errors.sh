# SPDX-License-Identifier: Apache-2.0
# --errors: each wrongly labelled text, in input order, as CSV; with several models a column for each.
model=$DATA/models/head_dim_32
cat >a.csv <<'END'
id,label,text
1,0,"Plain, with a comma."
2,1,"Two
lines"
3,1,fine
4,0,"A ""quote"""
END
adesieve evaluate -q --threshold 0 --labels 'not ADE,ADE' --errors errors.csv -o report a.csv
cat errors.csv
adesieve evaluate -q --threshold 1 --labels 'not ADE,ADE' --errors - -o report a.csv
# What it lists is what is counted, and in the order of the input.
head -101 "$DATA/test.csv" >b.csv
adesieve evaluate -q -m "$model" --precision f32 -f json --errors errors.csv b.csv >report
test "$(($(wc -l <errors.csv) - 1))" = "$(sed -n 's/^  "errors": \([0-9]*\),/\1/p' report)"
tail -n +2 errors.csv | sed 's/,\(not \)\{0,1\}ADE,\(not \)\{0,1\}ADE$//' >texts
while read -r text; do grep -nFm1 -- "$text" b.csv; done <texts | cut -d: -f1 | sort -nc
# Neither output may be the other one, or an input.
adesieve evaluate -q --errors b.csv b.csv >report || echo "exit $?"
adesieve evaluate --seen b.csv -o b.csv a.csv || echo "exit $?"
adesieve evaluate --errors same -o same a.csv || echo "exit $?"
test ! -e same
# A run that fails leaves what was there.
echo before >errors.csv
printf 'text,label\na,1\nb,x\n' >bad.csv
adesieve evaluate -q --errors errors.csv -o report bad.csv 2>/dev/null || echo "exit $?"
cat errors.csv
