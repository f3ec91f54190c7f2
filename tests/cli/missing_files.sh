# SPDX-License-Identifier: Apache-2.0
# Each input that fails is named. All failed: 1. Some failed: 3, and the others are done. --fail-fast stops at the first.
echo a >a.txt
adesieve classify nowhere.txt || echo "exit $?"
adesieve classify -o out nowhere.txt a.txt . || echo "exit $?"
wc -l <out
adesieve classify --fail-fast -o never a.txt nowhere.txt a.txt || echo "exit $?"
test ! -e never
mkdir empty
adesieve screen nowhere.xml || echo "exit $?"
adesieve screen -q -o rows nowhere.xml empty "$DATA/medline/pubmed2.xml" || echo "exit $?"
test -s rows
adesieve screen -o never --fail-fast nowhere.xml "$DATA/medline/pubmed2.xml" || echo "exit $?"
test ! -e never
