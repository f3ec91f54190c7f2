# SPDX-License-Identifier: Apache-2.0
# With a store, a run that is killed and started again gives the bytes of a run that was not. The last input is a pipe
# that somebody holds open, so that the run waits in the middle of its work until it is killed.
xml=$DATA/medline
cp "$xml/pubmed20n1016.xml.gz" "$xml/pubmed1.xml" "$xml/pubmed2.xml" .
inputs=(pubmed1.xml pubmed2.xml pubmed20n1016.xml.gz pubmed26n1334.xml.gz)
until_line() { for _ in $(seq 200); do grep -q "$1" "$2" 2>/dev/null && return; sleep 0.05; done; echo "no '$1' in $2"; }

# end SIGNAL PROCESS: ends it, and waits for that; a shell says something of a child that was killed, unless disowned.
end() {
    if [[ $1 == KILL ]]; then
        disown "$2"
        kill -KILL "$2"
        while kill -0 "$2" 2>/dev/null; do sleep 0.05; done
    else
        kill "-$1" "$2"
        wait "$2" || echo "exit $?"
    fi
}

# killed SIGNAL OPTION...: a run that ends by SIGNAL within the last input, of which it has had the half.
killed() {
    rm -f pubmed26n1334.xml.gz said
    mkfifo pubmed26n1334.xml.gz
    exec 3<>pubmed26n1334.xml.gz
    head -c 36000 "$xml/pubmed26n1334.xml.gz" >&3
    adesieve screen "${@:2}" "${inputs[@]}" 2>said >>stdout &
    until_line 'pubmed20n1016\|goes on' said
    sleep 0.1
    end "$1" $!
    exec 3>&-
    rm pubmed26n1334.xml.gz
    cp "$xml/pubmed26n1334.xml.gz" .
}
cp "$xml/pubmed26n1334.xml.gz" .
adesieve screen -q --state whole.db -o whole.jsonl --parts whole.parts "${inputs[@]}"
adesieve screen -q -f tsv --all --metadata "${inputs[@]}" >whole.tsv
adesieve screen -q -f csv --document "${inputs[@]}" >whole.csv

for signal in KILL TERM; do
    rm -rf work
    mkdir work
    killed $signal --state work/db -o work/out.jsonl --parts work/parts
    test ! -e work/out.jsonl -a ! -e work/parts
    # What was written behind the last safe place is cut off.
    for file in work/.*.part; do yes '{"pmid":' | head -100000 >>"$file"; done
    adesieve screen -q --state work/db -o work/out.jsonl --parts work/parts "${inputs[@]}"
    cmp work/out.jsonl whole.jsonl
    cmp work/parts whole.parts
    ls -A work
done
grep interrupted said
# A table's header is not repeated; with --all and --metadata.
killed KILL --state all.db -o all.tsv --all --metadata
adesieve screen --state all.db -o all.tsv --all --metadata "${inputs[@]}" 2>&1 | sed -n '1,4p;/^skipped/p'
cmp all.tsv whole.tsv
# A name that is no UTF-8.
killed KILL --state all.db2 -o $'\xe9.tsv' --all --metadata
adesieve screen -q --state all.db2 -o $'\xe9.tsv' --all --metadata "${inputs[@]}"
cmp $'\xe9.tsv' whole.tsv
rm $'\xe9.tsv'
# Killed twice; and between the rename of the output and the last word to the store.
killed KILL --state doc.db -o doc.csv --document
killed KILL --state doc.db -o doc.csv --document
cp doc.db saved.db
partial=$(echo .doc.csv.*.part)
cp "$partial" saved.part
adesieve screen -q --state doc.db -o doc.csv --document "${inputs[@]}"
cmp doc.csv whole.csv
mv saved.db doc.db
mv saved.part doc.csv
adesieve screen -q --state doc.db -o doc.csv --document "${inputs[@]}"
cmp doc.csv whole.csv
# When no input is new, the output of before stays as it is; a new output is empty.
adesieve screen --state doc.db -o doc.csv --document "${inputs[@]}" 2>&1 | tail -1
cmp doc.csv whole.csv
adesieve screen -q --state doc.db -o new.csv --document "${inputs[@]}"
cat new.csv
# Standard output goes on where it was, but cannot be taken back: that is said.
rm stdout
killed TERM --state std.db
grep interrupted said
adesieve screen --state std.db "${inputs[@]}" 2>said >>stdout
grep '^standard output' said
cmp stdout whole.jsonl
# A run with new inputs replaces a file that holds others.
adesieve screen -q --state part.db -o part.jsonl pubmed1.xml pubmed2.xml
adesieve screen --state part.db -o part.jsonl "${inputs[@]}" 2>&1 >/dev/null | grep warning
grep -c '"source":"pubmed[12].xml"' part.jsonl || true
# --limit reads the file in which it is reached to its end.
adesieve screen -q --state limit.db -o limit.jsonl --limit 3 "${inputs[@]}"
cut -d'"' -f 4- limit.jsonl | grep -o '"source":.*' | sort | uniq -c
rm part.* limit.*
# A store of an interrupted run without any finished file begins anew.
mkfifo pubmed26n1335.xml
exec 3<>pubmed26n1335.xml
adesieve screen -q --state first.db -o first.jsonl pubmed26n1335.xml &
until [[ -e first.db ]]; do sleep 0.05; done
sleep 0.3
end KILL $!
exec 3>&-
rm pubmed26n1335.xml
adesieve screen -q --state first.db -o first.jsonl "${inputs[@]}"
cmp first.jsonl whole.jsonl
ls -A
