# SPDX-License-Identifier: Apache-2.0
# --parts has the texts that start and end count in, and each row's text is there where it says.
adesieve screen -q --parts parts.jsonl "$DATA/medline/handmade.xml" >rows.jsonl
head -3 parts.jsonl
sed -n 's/.*"section":\(null\|"[^"]*"\).*"start":\([0-9]*\),"end":\([0-9]*\),"text":"\([^"\\]*\)",.*/\2 \3 \4/p' rows.jsonl >ranges
test -s ranges
LC_ALL=C.UTF-8
while read -r start end text; do
    ((end - start == ${#text})) || echo "$start to $end is not the length of: $text"
    cut -d'"' -f 2- parts.jsonl | grep -qF -- "$text" || echo "in no part: $text"
done <ranges
