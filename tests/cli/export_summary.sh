# SPDX-License-Identifier: Apache-2.0
# What a store holds, and how it was made.
adesieve screen -q --precision f32 -t 0.25 --state store "$DATA/medline/pubmed2.xml" \
    "$DATA/medline/handmade.xml" >/dev/null
adesieve export --summary store
adesieve export --summary --output summary.txt store
adesieve export --summary store | cmp - summary.txt
# What is said at the end, and with -q is not.
adesieve export store | wc -l
adesieve export -f csv --deleted --progress=never store | wc -l
adesieve export --quiet --limit 1 store | cut -c 1-16 | uniq
adesieve export --log-json --limit 1 -f ris --progress always store | grep -c '^TY'
