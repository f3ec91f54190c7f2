# SPDX-License-Identifier: Apache-2.0
# RIS: every reference by the rules of the format, with what the record and its hits say, the highest score first.
command -v python3 >/dev/null || { echo "no python3" >&2; exit 77; }
xml=("$DATA/medline/handmade.xml" "$DATA/medline/handmade_fields.xml" "$DATA/medline/pubmed-29768149.xml"
    "$DATA/medline/pubmed20n1016.xml.gz" "$DATA/export_odd.xml")
# Every sentence is a hit of this model.
adesieve screen -q --precision f32 -t 0.5 --state store "${xml[@]}" >/dev/null
adesieve export -q --document --metadata store >documents.jsonl
adesieve export -q -f pubannotation store >texts.jsonl
adesieve export -q -o review.ris store
cat >check.py <<'END'
import json, re

raw = open("review.ris", "rb").read().decode("utf-8")
assert raw.endswith("ER  - \r\n") and raw.count("\n") == raw.count("\r\n") == raw.count("\r")
references = []
for line in raw.split("\r\n")[:-1]:
    tag, value = re.fullmatch(r"([A-Z][A-Z0-9])  - (.*)", line).groups()
    assert len(line.splitlines()) == 1
    if tag == "TY":
        references.append({})
    references[-1].setdefault(tag, []).append(value)
documents = {}
for line in open("documents.jsonl", encoding="utf-8"):
    row = json.loads(line)
    documents[row["pmid"]] = row
texts = {}
for line in open("texts.jsonl", encoding="utf-8"):
    document = json.loads(line)
    texts[int(document["sourceid"])] = document["text"].split("\n")
order = sorted(documents.values(), key=lambda d: (-d["score"], d["pmid"]))
assert [int(r["AN"][0]) for r in references] == [d["pmid"] for d in order] and len(order) > 20


def plain(text):  # what some program takes for the end of a line is a space
    return re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text)


types = {}
for r, d in zip(references, order):
    lines = [plain(line) for line in texts[d["pmid"]]]
    types.setdefault(r["TY"][0], []).append(d["pmid"])
    assert list(r)[0] == "TY" and list(r)[-1] == "ER" and r["ER"] == [""]
    titles = 0 if d["pmid"] == 90000202 else 1  # this one has none
    assert r.get("TI", []) == lines[:titles]
    assert r.get("AB", []) == ([" ".join(lines[titles:])] if lines[titles:] else [])
    journal = [plain(d["journal"])] if d["journal"] else None
    assert r.get("T2") == (None if r["TY"] == ["BOOK"] else journal)
    assert r.get("JO") == (journal if r["TY"] == ["JOUR"] else None)
    assert r.get("DO") == ([d["doi"]] if d["doi"] else None)
    assert r.get("PY") == ([d["date"][:4]] if d["date"] else None)
    if d["date"] and len(d["date"]) > 4:
        assert r["DA"][0].rstrip("/") == d["date"].replace("-", "/")
    assert r.get("LA") == (["; ".join(d["languages"])] if d["languages"] else None)
    keywords = d["publication_types"] + [re.sub(r"(^|/)\*", r"\1", m) for m in d["mesh"]]
    assert r.get("KW", []) == keywords and not any(k[:1] == "*" or "/*" in k for k in keywords)
    assert r["DB"] == ["PubMed"] and r["UR"] == [f"https://pubmed.ncbi.nlm.nih.gov/{d['pmid']}/"]
    plural = "sentence" if d["hits"] == 1 else "sentences"
    assert r["N1"][0] == f"adesieve: score {d['score']}; {d['hits']} {plural} at or above 0.5", r["N1"]
    assert r["N1"][1] == "adesieve, best sentence: " + plain(d["text"])
    assert ("adesieve: this publication was retracted" in r["N1"]) == d["retracted"]
assert len(types.pop("JOUR")) > 20
print({t: sorted(pmids) for t, pmids in sorted(types.items())}, sorted(d["pmid"] for d in order if d["retracted"]))
assert any("/*" in m for d in order for m in d["mesh"])
END
python3 check.py
# By PMID; only some; the temporary file is in TMPDIR where there is no output file.
adesieve export -q -f ris --sort pmid store | tr -d '\r' | sed -n 's/^AN  - //p' | sort -c -n
adesieve export -q -f ris --limit 3 store | grep -c '^TY  - '
adesieve export -q -f ris --limit 3 store | tail -c 8 | od -c | head -1
TMPDIR=$PWD/nowhere adesieve export -q -f ris store || echo "exit $?"
TMPDIR=$PWD/nowhere adesieve export -q -f ris -o - --sort pmid store | grep -c '^TY  - ' >/dev/null
mkdir folder
TMPDIR=$PWD/nowhere adesieve export -q -o folder/out.ris store
cmp folder/out.ris review.ris
ls -A folder
