# SPDX-License-Identifier: Apache-2.0
# A file has its name only when it is complete: a run that fails leaves what was there. A link stays a link, a mode stays.
echo a >a.txt
echo old >out
chmod 640 out
ln -s out link
printf 'good\nbad\xff\n' >bad.txt
adesieve classify -o out bad.txt || echo "exit $?"
cat out
adesieve classify -o link a.txt
grep -c LABEL_1 out
test -L link
stat -c %a out
adesieve classify --output=- a.txt | cmp - out
adesieve classify -o /dev/null a.txt
adesieve classify -o >(cat >piped) a.txt
for _ in 1 2 3 4 5 6 7 8 9 10; do cmp -s piped out && break; sleep 0.1; done
cmp piped out
ls -A
