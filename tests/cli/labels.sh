# SPDX-License-Identifier: Apache-2.0
# Labels renamed; the positive one is ADE, or the one that is named, else the last.
cut_row() { sed 's/"score":\(0\..\)[0-9]*,"scores":\({"[^"]*"\):\(0\..\)[0-9]*,\("[^"]*"\).*/\1 \2 \3 \4/'; }
echo a | adesieve classify | cut_row
echo a | adesieve classify --labels 'ADE,not ADE' | cut_row
echo a | adesieve classify --labels 'no,yes' --positive-label no | cut_row
adesieve info --labels no,yes --positive-label yes | grep -A1 labels
adesieve screen --labels ADE,other --positive-label other --threshold 0.5 --limit 1 -q "$DATA/medline/pubmed2.xml" | head -1 | grep -o '"label":"[^"]*","score":0.5'
adesieve classify --labels one /dev/null || echo "exit $?"
adesieve classify --labels same,same /dev/null || echo "exit $?"
adesieve classify --max-length 5000 /dev/null || echo "exit $?"
