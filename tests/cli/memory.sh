# SPDX-License-Identifier: Apache-2.0
# Memory does not grow with the number of texts: ten times the texts, the same peak (within 10 %).
grep -q __asan_init "$(command -v adesieve)" && { echo "AddressSanitizer keeps freed memory" >&2; exit 77; }
peak() { sed -n 's/.*"peak_memory_bytes": \([0-9]*\),/\1/p' "$1"; }
yes 'Rash after amoxicillin.' | head -100000 | adesieve tokenize --stats small.json >/dev/null
yes 'Rash after amoxicillin.' | head -1000000 | adesieve tokenize --stats large.json >/dev/null
echo "$(peak small.json) $(peak large.json)" >&2
test $(($(peak large.json) * 10)) -le $(($(peak small.json) * 11))
yes 'a' | head -10000 >a.txt
adesieve classify --stats small.json a.txt >/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do cat a.txt; done >b.txt
adesieve classify --stats large.json b.txt >/dev/null
echo "$(peak small.json) $(peak large.json)" >&2
test $(($(peak large.json) * 10)) -le $(($(peak small.json) * 11 + 10485760))
