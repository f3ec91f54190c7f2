# SPDX-License-Identifier: Apache-2.0
# What cannot be exported: wrong usage, files that are no store, a store that is in use or keeps no texts, outputs that
# cannot be made. Nothing is left of an output that failed.
xml=$DATA/medline/pubmed2.xml
try() { adesieve export "$@" && echo "exit 0: $*" || echo "exit $?"; }
adesieve screen -q --precision f32 -t 0.5 --state store "$xml" >/dev/null
echo '-- wrong usage'
try
try -
try store other
try -f xml store
try -f ris --no-text store
try -f pubannotation --document store
try -f brat --metadata --output-dir x store
try -f ris --deleted store
try -f brat store
try -f brat -o x store
try -f brat --output-dir x --sort score store
try --output-dir x store
try --summary -f csv store
try --summary --limit 1 store
try --threshold 0.25 store
try --sort pmids store
echo '-- no store'
try nowhere
try "$xml"
printf 'SQLite format 3\0' >broken
try broken
mkdir folder
try folder
ls -A # no store was made where there was none
echo '-- in use'
mkfifo pipe
sleep 60 >pipe & # holds the pipe open and writes nothing
holder=$!
adesieve screen -q --precision f32 --state busy pipe >/dev/null 2>&1 &
screen=$!
for _ in $(seq 100); do
    adesieve export busy >/dev/null 2>said && status=0 || status=$?
    grep -q 'busy.*in use' said && break
    sleep 0.1
done
cat said >&2
echo "exit $status"
kill $holder $screen
wait $holder $screen || true
echo '-- no texts'
adesieve screen -q --precision f32 -t 0.5 --state textless --no-store-text "$xml" >/dev/null
try textless
try -f ris textless
try -f pubannotation -o annotations.jsonl textless
try -f brat --output-dir brat textless
adesieve export -q --no-text textless >rows
adesieve export -q --no-text store | cmp - rows
echo '-- outputs'
try -f brat --output-dir nowhere/brat store
try -f brat --output-dir store store
try -o store store
try -o folder store
try -o nowhere/rows store
[[ -c /dev/full ]] && try -q -o /dev/full store
ls -A
