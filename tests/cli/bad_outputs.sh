# SPDX-License-Identifier: Apache-2.0
# Outputs are made before the work: a bad name fails at once, and nothing is left behind.
echo a >a.txt
cp a.txt before
ln a.txt same.txt
mkdir folder
try() { adesieve classify "$@" || echo "exit $?"; }
try -o nowhere/out a.txt
try -o folder a.txt
try -o a.txt a.txt
try -o same.txt a.txt
try --stats a.txt a.txt
try -o out --stats ./out a.txt
try --stats - a.txt
adesieve classify a.txt >>a.txt || echo "exit $?"
cmp a.txt before || echo changed
ls -A
