#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One store belongs to one run at a time, and to one model with its settings.
#
#   concurrent.sh --command PATH
#
# Whoever comes second is refused at once, with exit status 1 and a sentence that names the store; ADE_TEST_ALL=1 lets
# three start at the same moment more often.
set -eu
[[ ${1:-} == --command && -x ${2:-} ]] || { echo "usage: concurrent.sh --command PATH" >&2; exit 2; }
adesieve=$(realpath "$2")
data=$(cd "$(dirname "$0")/../data" && pwd)
export ADESIEVE_MODEL=$data/tiny_bert_cls LC_ALL=C NO_COLOR=1
work=$(mktemp -d)
run=
cleanup() {
    [[ ! $run ]] || kill -KILL "$run" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
cd "$work"

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# refused WHAT WORDS COMMAND...: status 1 within five seconds, and WORDS (a pattern) are said.
refused() {
    local what=$1 words=$2 status=0
    shift 2
    timeout -k 1 5 "$@" >out 2>said || status=$?
    [[ $status == 1 ]] || fail "$what: exit status $status: $(cat said)"
    grep -q "$words" said || fail "$what: nothing of '$words' is said: $(cat said)"
    [[ ! -s out ]] || fail "$what: something was written: $(head -c 200 out)"
}

# A run in the middle of its work: its last input is a pipe that nobody fills.
cp "$data/medline/pubmed1.xml" "$data/medline/pubmed2.xml" .
mkfifo pubmed26n1334.xml
exec 3<>pubmed26n1334.xml
"$adesieve" screen --state db -o first.jsonl pubmed1.xml pubmed26n1334.xml 2>log &
run=$!
for _ in $(seq 200); do
    grep -q '^pubmed1.xml: ' log && break
    sleep 0.05
done
grep -q '^pubmed1.xml: ' log || fail "the first run does not begin: $(cat log)"

for _ in 1 2 3; do
    refused "a second run" 'error: .*store db .*in use' "$adesieve" screen --state db -o second.jsonl pubmed2.xml
done
refused "another name of the store" 'error: .*store ./db .*in use' \
    "$adesieve" screen --state ./db -o second.jsonl pubmed2.xml
ln -s db link
refused "a link to the store" 'error: .*store link .*in use' "$adesieve" screen --state link -o second.jsonl pubmed2.xml
refused "a second run into a folder" 'error: .*store db .*in use' \
    "$adesieve" screen --state db --output-dir folder pubmed2.xml
refused "a dry run" 'error: .*store db .*in use' "$adesieve" screen --dry-run --state db pubmed2.xml
refused "an export" 'error: .*db .*in use' "$adesieve" export db
[[ ! -e second.jsonl ]] || fail "a run that was refused has written"
[[ -z $(find . -name '*second*') ]] || fail "a run that was refused has left a file"
kill -0 "$run" || fail "the first run has ended: $(cat log)"

# Killed, it has no lock any more; and what it had done is done.
disown "$run"
kill -KILL "$run"
while kill -0 "$run" 2>/dev/null; do sleep 0.05; done
run=
exec 3>&-
rm pubmed26n1334.xml
"$adesieve" export db >exported 2>said || fail "an export after a kill: $(cat said)"
hits=$(grep -c . exported)
[[ $hits == 7 ]] || fail "an export after a kill has $hits hits, not the 7 of pubmed1.xml"
"$adesieve" screen --state db -o first.jsonl pubmed1.xml pubmed2.xml 2>said || fail "going on: $(cat said)"
[[ $(grep -c . first.jsonl) == 26 ]] || fail "going on gives $(grep -c . first.jsonl) rows, not 26"

# Another model, or another setting on which scores or hits depend, is said with both values; the store stays as it is.
cp -r "$ADESIEVE_MODEL" other
printf '\1' | dd of=other/model.safetensors bs=1 seek=200000 conv=notrunc status=none
md5sum <db >before
refused "another model" 'db was made with other settings: model is "[0-9a-f]*" (tiny_bert_cls) there and "[0-9a-f]*" (other) in this run' \
    "$adesieve" screen -m other --state db pubmed1.xml
differs() { # NAME OPTION...
    refused "another $1" "db was made with other settings: $1 is .* there and .* in this run; run with" \
        "$adesieve" screen --state db "${@:2}" pubmed1.xml
}
differs threshold --threshold 0.7
differs 'section labels' --no-section-label
differs 'other abstracts' --other-abstracts all
differs 'max length' --max-length 100
differs 'special tokens' --split-special-tokens
differs texts --no-store-text
differs 'positive label' --positive-label LABEL_0
refused "two differences" 'max length is "512" there and "100" .*; threshold is "0.5" there and ' \
    "$adesieve" screen --state db --threshold 0.7 --max-length 100 pubmed1.xml
md5sum <db | cmp - before || fail "a run that was refused has changed the store"

# What the scores do not depend on may differ.
"$adesieve" screen -q --state db --threads 1 --token-budget 4096 -f csv --document -o table.csv pubmed1.xml ||
    fail "other threads are refused"

# Three at the same moment, on a store that is not there yet: one has it, the others are refused or come later.
rounds=5
[[ ! ${ADE_TEST_ALL:-} ]] || rounds=30
for round in $(seq $rounds); do
    rm -rf race race-wal
    runs=()
    for i in 1 2 3; do
        "$adesieve" screen --state race -o "race$i" pubmed1.xml pubmed2.xml 2>"said$i" &
        runs+=($!)
    done
    done=0
    for i in 1 2 3; do
        status=0
        wait "${runs[i - 1]}" || status=$?
        case $status in
        0) done=$((done + 1)) ;;
        1) grep -q 'race .*in use' "said$i" || fail "round $round: $(cat "said$i")" ;;
        *) fail "round $round: exit status $status: $(cat "said$i")" ;;
        esac
    done
    ((done > 0)) || fail "round $round: nobody had the store: $(cat said1 said2 said3)"
    hits=$("$adesieve" export race 2>said | grep -c .)
    [[ $hits == 26 ]] || fail "round $round: the store has $hits hits, not 26: $(cat said)"
    [[ $(cat race1 race2 race3 2>/dev/null | grep -c .) == 26 ]] || fail "round $round: rows came twice or never"
    rm -f race1 race2 race3
done
[[ -z $(find . -name '*.part') ]] || fail "left behind: $(find . -name '*.part')"
