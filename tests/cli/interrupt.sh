# SPDX-License-Identifier: Apache-2.0
# Ctrl-C and SIGTERM end with status 130; no file is left under the output's name, nor under a temporary one.
command -v timeout >/dev/null || { echo "no timeout" >&2; exit 77; }
mkfifo pipe
mkdir work
sleep 10 >pipe & # holds the pipe open and writes nothing
holder=$!
try() { timeout --preserve-status -k 20 "$@" || echo "exit $?"; }
try -s INT 1 adesieve classify -o work/out pipe
try -s TERM 1 adesieve tokenize --output work/out --stats work/stats - <pipe
try -s INT 1 adesieve tokenize pipe
kill $holder
# In the middle of the work, not of a wait:
for i in 1 2 3 4; do cat "$DATA/test.csv"; done | grep -v '^text,' | cut -c1-400 >many.txt
try -s INT 1 adesieve classify -o work/out many.txt
try -s INT 1 adesieve screen -q -o work/out --parts work/parts --stats work/stats "$DATA/medline"
# evaluate draws a million samples.
head -20 "$DATA/test.csv" >few.csv
try -s INT 0.5 adesieve evaluate --bootstrap 1000000 --output work/out few.csv
ls -A work
# A signal that comes twice at once is one wish, and the run still cleans up; so does one sent to the whole group.
adesieve tokenize -q -o work/out many.txt many.txt many.txt many.txt many.txt many.txt many.txt many.txt &
until ls -A work | grep -q part; do sleep 0.05; done # it has begun
kill -TERM $!
kill -TERM $! 2>/dev/null || true
wait $! || echo "exit $?"
ls -A work
