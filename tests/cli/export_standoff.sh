# SPDX-License-Identifier: Apache-2.0
# PubAnnotation and brat: the hits of a store, each where its offsets say, in the text of its record.
command -v python3 >/dev/null || { echo "no python3" >&2; exit 77; }
xml=("$DATA/medline/handmade.xml" "$DATA/medline/handmade_fields.xml" "$DATA/medline/pubmed-29768149.xml"
    "$DATA/medline/pubmed20n1016.xml.gz" "$DATA/export_odd.xml")
# Every sentence is a hit of this model.
adesieve screen -q --precision f32 -t 0.5 --state store --other-abstracts all "${xml[@]}" >/dev/null
adesieve export -q store >hits.jsonl
adesieve export -q -f pubannotation -o annotations.jsonl store
adesieve export -q -f brat --output-dir brat store
cat >check.py <<'END'
import json, os, re

hits = {}
for line in open("hits.jsonl", encoding="utf-8"):
    row = json.loads(line)
    hits.setdefault(row["pmid"], []).append(row)
documents = [json.loads(line) for line in open("annotations.jsonl", encoding="utf-8")]
assert [int(d["sourceid"]) for d in documents] == list(hits) == sorted(hits)
assert len(hits) > 20 and sum(map(len, hits.values())) > 60
beyond_ascii = beyond_bmp = labelled = separators = 0
for document in documents:
    pmid, text = document["sourceid"], document["text"]
    assert document["sourcedb"] == "PubMed"
    rows = hits[int(pmid)]
    assert len(document["denotations"]) == len(document["attributes"]) == len(rows)
    ann = open(f"brat/{pmid}.ann", encoding="utf-8", newline="").read()
    txt = open(f"brat/{pmid}.txt", encoding="utf-8", newline="").read()
    assert len(txt) == len(text) + 1 and txt.count("\n") == text.count("\n") + 1
    assert txt.splitlines() == txt.split("\n")[:-1]  # nothing else ends a line
    for row, denotation, attribute, entity, note in zip(
        rows, document["denotations"], document["attributes"], ann.split("\n")[::2], ann.split("\n")[1::2]
    ):
        begin, end = denotation["span"]["begin"], denotation["span"]["end"]
        assert text[begin:end] == row["text"] and "\n" not in row["text"]
        beyond_ascii += not text[:begin].isascii()
        beyond_bmp += any(ord(c) > 0xFFFF for c in text[:begin])
        # The line of the text is the row's section, in which start and end count.
        line_begin = text.rfind("\n", 0, begin) + 1
        label = row["section"] + ": " if row["section"] else ""
        labelled += bool(label)
        assert text[line_begin:].startswith(label)
        separators += bool(re.search("[\x85\u2028\u2029]", row["text"]))
        assert (begin - line_begin - len(label), end - line_begin - len(label)) == (row["start"], row["end"])
        assert row["part"] != "title" or line_begin == 0
        assert denotation["obj"] == row["label"]
        assert attribute["subj"] == denotation["id"] and attribute["pred"] == "score"
        assert attribute["obj"] == row["score"]
        kind, start, stop, found = re.fullmatch(r"T\d+\t([\w-]+) (\d+) (\d+)\t(.*)", entity).groups()
        assert (int(start), int(stop)) == (begin, end) and found == txt[begin:end]
        assert kind == re.sub(r"[^\w-]", "_", row["label"])
        assert note == f"#{entity[1:].split(chr(9))[0]}\tAnnotatorNotes {entity.split(chr(9))[0]}\tscore {row['score']}"
assert beyond_ascii and beyond_bmp and labelled and separators, (beyond_ascii, beyond_bmp, labelled, separators)
conf = open("brat/annotation.conf").read()
assert re.search(r"^\[entities\]\n", conf) and set(conf.split("\n\n")[0].split("\n")[1:]) == {
    row["label"].replace(" ", "_") for rows in hits.values() for row in rows
}
assert len(os.listdir("brat")) == 2 * len(hits) + 1
print("checked")
END
python3 check.py
# An empty folder that is there is used; one with files is not touched.
mkdir empty
adesieve export -q -f brat --output-dir empty/ --limit 2 store
(cd empty && printf '%s\n' *) | sed 's/^[0-9][0-9]*/N/' | sort
echo mine >empty/notes
adesieve export -q -f brat --output-dir empty store || echo "exit $?"
cat empty/notes
# A store whose hits are not in its texts: nothing is made up, and nothing is left of the folder.
cp store damaged
python3 - <<'END'
import sqlite3
with sqlite3.connect("damaged") as store:
    store.execute("UPDATE hits SET start_byte = start_byte + 1, end_byte = end_byte + 1 WHERE pmid = 90000203")
store.close()
END
adesieve export -q -f brat --output-dir damaged.brat damaged || echo "exit $?"
adesieve export -q -f pubannotation -o damaged.jsonl damaged || echo "exit $?"
# The best first, for PubAnnotation too.
adesieve export -q -f pubannotation --sort score store | python3 -c '
import json, sys
best = [max(a["obj"] for a in json.loads(line)["attributes"]) for line in sys.stdin]
print(best == sorted(best, reverse=True), len(best) > 20)'
ls -A
