# SPDX-License-Identifier: Apache-2.0
# --dry-run: reads and counts, without a model and without rows.
xml=$DATA/medline
cp "$xml/pubmed20n1016.xml.gz" "$xml/pubmed2.xml" .
ADESIEVE_MODEL=/nowhere adesieve screen --dry-run --stats stats --manifest manifest pubmed20n1016.xml.gz pubmed2.xml
adesieve screen -q --stats real pubmed20n1016.xml.gz pubmed2.xml >/dev/null
for name in files files_done bytes_xml citations new deleted without_abstract sentences; do
    diff <(grep "\"$name\":" stats) <(grep "\"$name\":" real)
done
grep -e '"model": null' -e '"run": null' -e '"tokens": 0' -e '"hits": 0' stats
grep -c -e '"model": null' -e '"device": null' -e '"md5": "[0-9a-f]\{32\}"' manifest
# Files that fail are found.
head -c 3000 pubmed2.xml >cut.xml
adesieve screen -q --dry-run cut.xml pubmed2.xml || echo "exit $?"
# A store stays as it is; one that is not there is not made.
adesieve screen -q --state db pubmed2.xml >/dev/null
md5sum <db >before
adesieve screen --dry-run --state db pubmed20n1016.xml.gz pubmed2.xml 2>&1 | grep skipped
md5sum <db | cmp - before
adesieve screen -q --dry-run --state none.db pubmed2.xml
ls -A
for option in '-o x' '--output-dir x' '--parts x' '--metrics-file x' '--state x --abandon-output'; do
    # shellcheck disable=SC2086
    adesieve screen --dry-run $option pubmed2.xml || echo "exit $?"
done
