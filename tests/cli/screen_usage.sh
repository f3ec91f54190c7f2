# SPDX-License-Identifier: Apache-2.0
# Options of screen that contradict each other, or need one another, end with status 2 before any work.
try() { adesieve screen "$@" && echo "exit 0: $*" || echo "exit $?"; }
cp "$DATA/medline/pubmed1.xml" .
try --output-dir d -o f pubmed1.xml
try --no-store-text pubmed1.xml
try --abandon-output pubmed1.xml
try --state s -o s pubmed1.xml
try --state s --manifest s pubmed1.xml
try --state s --metrics-file s pubmed1.xml
try --metrics-file m --stats m pubmed1.xml
try --output-dir d --manifest m --parts m pubmed1.xml
try --files-from
try --other-abstracts german pubmed1.xml
try --metadata
# A store or a list is no output's name, whatever it is called.
echo pubmed1.xml >list
adesieve screen -q --state s --no-store-text pubmed1.xml >rows
try -q --state s -o ./s pubmed1.xml
try -q --files-from list --stats ./list
rm -rf d
ls -A
