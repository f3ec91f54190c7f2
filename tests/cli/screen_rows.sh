# SPDX-License-Identifier: Apache-2.0
# Rows in the order of the record, title first; start and end are code points in the text of the part or section.
adesieve screen --quiet --precision f32 --device cpu "$DATA/medline/handmade.xml" | sed 's/"score":0.504[0-9]*/"score":S/' | head -5
adesieve screen -q --format tsv --limit 1 "$DATA/medline/handmade.xml" | cut -f 1-8,10- | head -3
adesieve screen -q --format csv --no-text --limit=1 --output rows.csv "$DATA/medline/handmade.xml"
sed -n '1p;3s/0\.504[0-9]*/S/p' rows.csv
