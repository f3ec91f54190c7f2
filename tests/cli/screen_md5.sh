# SPDX-License-Identifier: Apache-2.0
# A file FILE.md5 beside an input is compared with it, in the forms that NLM and md5sum write; --no-md5 does not look.
cp "$DATA/medline/pubmed1.xml" "$DATA/medline/pubmed2.xml" .
printf 'MD5(pubmed1.xml)= %s\n' "$(md5sum <pubmed1.xml | cut -d' ' -f 1)" >pubmed1.xml.md5
md5sum pubmed2.xml >pubmed2.xml.md5
adesieve screen -q --manifest good pubmed1.xml pubmed2.xml >rows
sed -n 's/^ *\("md5_checked": .*\),/\1/p' good
grep '"md5": "' good | cut -d'"' -f 4 | cmp - <(md5sum pubmed1.xml pubmed2.xml | cut -d' ' -f 1)
sed -i 's/[0-9a-f]\{32\}/00000000000000000000000000000000/' pubmed2.xml.md5
adesieve screen -q --manifest bad -o out pubmed1.xml pubmed2.xml || echo "exit $?"
sed -n 's/^ *\("md5_checked": .*\),/\1/p;s/^ *\("status": .*\),/\1/p' bad
adesieve screen -q --no-md5 --manifest unchecked -o out pubmed1.xml pubmed2.xml
cmp out rows
grep -c '"md5_checked": false' unchecked
# With a store or a folder nothing is left of it.
adesieve screen -q --state db --output-dir folder pubmed1.xml pubmed2.xml || echo "exit $?"
ls -A folder
