# SPDX-License-Identifier: Apache-2.0
# --metrics-file: the text format of Prometheus, there from the start, rewritten during the run and at its end.
cp "$DATA/medline/pubmed1.xml" "$DATA/medline/pubmed2.xml" .
# shellcheck disable=SC1003
folder='a "model"\'
cp -r "$MODEL" "$folder"
adesieve screen -q -m "$folder" --precision f32 --device cpu --metrics-file m.prom pubmed1.xml pubmed2.xml >rows
sed 's/\(seconds[a-z_]*\)\({.*}\)\{0,1\} [0-9.e-]*$/\1\2 N/;s/version="[0-9.]*"/version="V"/' m.prom | grep -v '^#'
# Every metric has one HELP and one TYPE, before its samples; a counter's name ends in _total, a gauge's does not.
cat >check.awk <<'X'
/^# HELP [a-z_]+ [^ ].*$/ { if ($3 in help) print "HELP twice: " $3; help[$3]; next }
/^# TYPE [a-z_]+ (counter|gauge)$/ {
    if (!($3 in help) || $3 in type) print "TYPE out of place: " $3
    type[$3] = $4
    if (($4 == "counter") != ($3 ~ /_total$/)) print "name and type: " $0
    next
}
/^[a-z_]+({[a-z_]+="([^"\\]|\\\\|\\"|\\n)*"(,[a-z_]+="([^"\\]|\\\\|\\"|\\n)*")*})? -?[0-9][0-9.e+-]*$/ {
    name = $0
    sub(/[{ ].*/, "", name)
    if (!(name in type)) print "without TYPE: " $0
    if (name != last && name in seen) print "not in one block: " $0
    seen[name]
    last = name
    next
}
{ print "not of the format: " $0 }
X
awk -f check.awk m.prom
# A run that fails or is partial keeps the time of the last success.
sed -i 's/^\(adesieve_last_success_timestamp_seconds\) .*/\1 1500000000/' m.prom
head -c 3000 pubmed2.xml >cut.xml
adesieve screen -q --metrics-file m.prom pubmed1.xml cut.xml >rows || echo "exit $?"
grep -e '^adesieve_last_success' -e '^adesieve_exit_status' -e '^adesieve_files_total' m.prom
# While the run waits for its input, the file tells that it runs, and what is done.
rm m.prom
mkfifo pubmed3.xml
exec 3<>pubmed3.xml
adesieve screen -q --metrics-file m.prom pubmed1.xml pubmed3.xml >rows &
for _ in $(seq 150); do grep -qs 'status="done"} 1' m.prom && grep '^adesieve_running' m.prom && break; sleep 0.1; done
find . -name '*prom*'
kill -TERM $!
wait $! || echo "exit $?"
grep -e '^adesieve_exit_status' -e '^adesieve_running' -e '^adesieve_citations_total{kind="new"}' m.prom
awk -f check.awk m.prom
adesieve screen -q --metrics-file no/such.prom pubmed1.xml || echo "exit $?"
adesieve screen -q --metrics-file /dev/null pubmed1.xml || echo "exit $?"
# A run that fails early says so, too: a list that is not there, no model, an output that cannot be written.
for options in '--files-from nolist' '-m nomodel pubmed1.xml' '-o no/such pubmed1.xml'; do
    rm -f m.prom
    # shellcheck disable=SC2086
    adesieve screen -q --metrics-file m.prom $options 2>/dev/null || echo "exit $?"
    grep -e '^adesieve_exit_status' -e '^adesieve_running' m.prom
done
# A link stays a link.
mkdir elsewhere
ln -s elsewhere/real.prom link.prom
adesieve screen -q --metrics-file link.prom pubmed1.xml >rows
test -L link.prom
grep '^adesieve_exit_status' elsewhere/real.prom
