# SPDX-License-Identifier: Apache-2.0
"""The run that kill_resume.py and die_anywhere.py disturb: its inputs, its outputs, and what it must leave."""
import os
import re

import common
from common import check

OUTPUTS = {
    "jsonl": ["-o", "{}/out.jsonl", "--parts", "{}/parts.jsonl"],
    "csv": ["-o", "{}/out.csv", "--all", "--metadata"],
    "folder": ["--output-dir", "{}/out", "-f", "tsv"],
    "document": ["-o", "{}/out.jsonl", "--document", "--metadata"],
}


LOOK = r"\.adesieve-\d+-\d+\.part"


def outputs(mode, work):
    return [word.format(work) for word in OUTPUTS[mode]]


def make_files(folder, size):
    """Eight files with new, unchanged, revised, retracted and deleted records; most come more than once. `size`: new
    records of a file, about."""
    records = [record.numbered(1000 + i) for i, record in enumerate(common.real_records()[:10 * size])]
    new = [records[i * size:(i + 1) * size] for i in range(10)]
    some = (size + 1) // 2

    def write(name, contents, deleted=()):
        common.write_file(os.path.join(folder, name), contents, [getattr(d, "pmid", d) for d in deleted])

    write("before.xml", new[0])
    write("pubmed26n0001.xml.gz", new[1] + new[2])
    write("pubmed26n0002.xml", new[3] + [r.touched(2027) for r in new[1][:some]] + new[0][:2],
          [new[1][-1], new[2][-1], 77])
    write("pubmed26n0003.xml.gz", [r.with_sentence("Rash was seen in one of them.") for r in new[2][:some]] + new[4])
    write("pubmed26n0004.xml", new[5] + [new[1][0], new[1][1].numbered(new[1][1].pmid, 2)], [new[2][0], new[5][0]])
    write("pubmed26n0005.xml.gz", [r.retracted() for r in new[3][:some] if "</PublicationTypeList>" in r.xml] + new[6])
    write("pubmed26n0006.xml", [], new[4][:some])
    write("pubmed26n0007.xml.gz", new[7] + [new[7][2].with_sentence("Twice in a file.")] + new[4][:2])


def results(work):
    """All that the run has left but the store, {path: content}, and the store's rows."""
    left = common.tree(work)
    # Whether a file can be made at all is found out by making one: killed in that instant, a run leaves it empty.
    left = {name: content for name, content in left.items() if content or not re.fullmatch(LOOK, name)}
    for name, content in left.items():
        check(not name.endswith(".part") and "adesieve" not in name, f"{name} ({len(content)} bytes) was left behind")
    store = left.pop("store.sqlite", None)
    check(store is not None, "there is no store")
    left.pop("out/manifest.json", None)  # tells of the last start, with its times
    return left, common.store_rows(os.path.join(work, "store.sqlite"))


def compare(work, expected, rows, what):
    """What is there now with what an undisturbed run has left."""
    try:
        left, found = results(work)
    except common.Failed as failure:
        raise common.Failed(f"{what}: {failure}") from failure
    check(left.keys() == expected.keys(), f"{what}: {sorted(left)}, not {sorted(expected)}")
    for name, content in expected.items():
        check(left[name] == content, f"{what}: {name} has {len(left[name])} bytes, not the same {len(content)}")
    common.same_rows(found, rows, what)
    ended, summary, _ = common.last_run(os.path.join(work, "store.sqlite"))
    check(ended and summary, f"{what}: the store does not know that the run is complete")
