# SPDX-License-Identifier: Apache-2.0
# A reader that goes away, Ctrl-C, a full disk: the run ends as it should, and nothing is left of what is incomplete.
command -v timeout >/dev/null || { echo "no timeout" >&2; exit 77; }
adesieve screen -q --precision f32 -t 0.5 --state store "$DATA/medline/pubmed26n1334.xml.gz" >/dev/null
set -o pipefail
for format in jsonl tsv pubannotation ris; do
    adesieve export -q -f $format store | head -c 5 | head -1
done
echo
mkfifo pipe
# shellcheck disable=SC2217
sleep 60 <pipe & # never reads
reader=$!
exec 3>pipe
for format in tsv jsonl; do # either is more than a pipe holds
    timeout --preserve-status -s INT 1 adesieve export -f $format store >&3 || echo "exit $?"
done
exec 3>&-
kill $reader
# A file system that is full: the file-size limit does the same. (SQLite needs 32 KiB beside a store to read it.)
mkdir work
limited() {
    (
        trap '' XFSZ
        ulimit -f 40
        adesieve export "$@" 2>&1 || echo "exit $?"
    ) | cat
}
limited -o work/hits.tsv store
limited -o work/review.ris store
(cd work && TMPDIR=. limited -f ris ../store | tr -d '\r' | sed '/^[A-Z][A-Z0-9]  - /d')
ls -A work
# What was there stays when it cannot be replaced.
echo mine >work/hits.tsv
limited -o work/hits.tsv store >/dev/null
cat work/hits.tsv
