# SPDX-License-Identifier: Apache-2.0
"""Updates, day after day, end in exactly the expected store.

    updates.py --command PATH [days|histories|resume]

days       a sequence of new, revised, unchanged, retracted, deleted and repeated records, with a file that could be
           read only after later ones
histories  sequences made at random, by the same rules; ADE_TEST_SEED=N chooses others, ADE_TEST_ALL=1 takes more
resume     a row of files that are done does not hold up those that are not

What is expected comes from an independent reading of the XML (tests/golden/compare_medline.py) and the rules of
src/screen/known.h, written down again here. Only the scores are the command's own: those of a run without any history
over the records that should be left."""
import itertools
import json
import os
import random
import re
import sys

import common
from common import check

sys.path.insert(0, os.path.join(common.HERE, "..", "golden"))
import compare_medline  # noqa: E402

LIST_COLUMNS = ("languages", "publication_types", "mesh", "chemicals")
FLAGS = ("book", "retracted", "mesh_adverse_effects", "mesh_chemically_induced")
TEXTS = ("journal", "date", "date_revised", "doi")


# ---- The rules, once more -------------------------------------------------------------------------------------------

def place_of(name):
    """(year, number) of NLM's names, None of others."""
    found = re.match(r"[a-zA-Z]+(\d\d)n(\d+)(\.|$)", name)
    return (int(found[1]), int(found[2])) if found else None


def order_of(name):
    stem = name.split(".")[0]
    digits = re.findall(r"\d+", stem)
    place = place_of(name)
    return (bool(digits), place[0] if place else 0, int(digits[-1]) if digits else 0, name)


def text_of(fields):
    return (fields["title"], tuple((s[0], s[2]) for s in fields["sections"] if not s[5]))


class Expected:
    """What is known of each PMID, file after file."""

    def __init__(self):
        self.known = {}
        self.files = []  # (name, counts)

    def later(self, known, place):
        return bool(known and known["place"] and place and known["place"] > place)

    def take(self, path):
        """Takes a whole file. The rows that it should give: (pmid, version, deleted)."""
        name = os.path.basename(path)
        place = place_of(name)
        counts = dict(citations=0, new_citations=0, revised=0, unchanged=0, superseded=0, deleted=0)
        rows = []
        for fields, _, _ in compare_medline.records(compare_medline.parse(path)):
            pmid, version = fields["pmid"], fields["version"]
            known = self.known.get(pmid)
            later = self.later(known, place)
            entry = dict(version=version, place=place, file=name, deleted=fields["deleted"])
            if fields["deleted"]:
                if not later:
                    counts["deleted"] += 1
                    self.known[pmid] = entry
                    rows.append((pmid, None, True))
                continue
            counts["citations"] += 1
            entry.update(text=text_of(fields), fields=fields)
            if not known:
                kind = "new_citations"
            elif known["deleted"]:
                kind = "superseded" if later else "new_citations"
            elif version < known["version"] or (version == known["version"] and later):
                kind = "superseded"
            else:
                kind = "unchanged" if known["text"] == entry["text"] else "revised"
            if common.WRONG == "rule" and kind == "superseded":
                kind = "revised"
            counts[kind] += 1
            if kind != "superseded":
                self.known[pmid] = entry
            if kind in ("new_citations", "revised"):
                rows.append((pmid, version, False))
        self.files.append((name, counts))
        return rows

    def check_store(self, command, path, what):
        tables = common.store_rows(path)

        def rows(table, *names):
            columns = tables[table][0]
            return [dict(zip(columns, row)) if not names else tuple(row[columns.index(n)] for n in names)
                    for row in tables[table][1:]]

        files = {row["id"]: row for row in rows("files")}
        found = sorted(((row["name"], {n: row[n] for n in self.files[0][1]}) for row in files.values()), key=repr)
        expected = sorted(self.files, key=repr)
        check(found == expected, f"{what}: files are\n{found}\nnot\n{expected}")

        found = {row["pmid"]: (row["version"], bool(row["deleted"]), files[row["file"]]["name"])
                 for row in rows("records")}
        expected = {pmid: (k["version"], k["deleted"], k["file"]) for pmid, k in self.known.items()}
        check(found.keys() == expected.keys(), f"{what}: PMIDs {sorted(found.keys() ^ expected.keys())} are amiss")
        for pmid, value in expected.items():
            check(found[pmid] == value, f"{what}: PMID {pmid} is (version, deleted, file) {found[pmid]}, not {value}")
        self.check_documents(rows, what)
        self.check_scores(command, tables, what)

    def check_documents(self, rows, what):
        hits, texts = {}, {}
        for pmid, sentence in rows("hits", "pmid", "sentence"):
            hits.setdefault(pmid, []).append(sentence)
        for row in sorted(rows("parts"), key=lambda row: (row["pmid"], row["position"])):
            texts.setdefault(row["pmid"], []).append((row["part"], row["section"], row["text"]))
        documents = {row["pmid"]: row for row in rows("documents")}
        check(documents.keys() == hits.keys() == texts.keys(), f"{what}: documents, hits and parts differ")
        for pmid, row in documents.items():
            fields = self.known[pmid]["fields"]
            expected = {"pmid": pmid, "title": fields["title"]}
            expected.update({name: fields[name] or None for name in TEXTS})
            expected.update({name: "\n".join(fields[name]) or None for name in LIST_COLUMNS})
            expected.update({name: int(fields[name]) for name in FLAGS})
            for name, value in expected.items():
                check(row[name] == value, f"{what}: PMID {pmid}: {name} is {row[name]!r}, not {value!r}")
            parts = [("title", None, fields["title"])] if fields["title"] else []
            parts += [("abstract", s[0], s[2]) for s in fields["sections"] if s[2] and not s[5]]
            check(texts[pmid] == parts, f"{what}: PMID {pmid}: texts {texts[pmid]}, not {parts}")

    def check_scores(self, command, tables, what):
        """Against a run over just the records that should be left, whose store has no history."""
        alive = {pmid: known for pmid, known in self.known.items() if not known["deleted"]}
        if not alive:
            return
        path = os.path.join(command.new("final"), "pubmed26n0001.xml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(common.HEADER)
            for pmid in sorted(alive):
                file.write(self.source[(pmid, alive[pmid]["version"], alive[pmid]["file"])] + "\n")
            file.write(common.FOOTER)
        command.run("screen", "-q", "--state", "final/store", "-o", "final/rows", path, *common.HALF, status=0)
        fresh = common.store_rows(command.at("final", "store"), {"records": ("file",)})
        columns = tables["records"][0]
        leave, dead = columns.index("file"), columns.index("deleted")
        mine = [row[:leave] + row[leave + 1:] for row in tables["records"] if row[dead] in (0, "deleted")]
        common.same_rows({"records": mine, **{t: tables[t] for t in ("documents", "hits", "parts")}},
                         {t: fresh[t] for t in ("records", "documents", "hits", "parts")},
                         f"{what}, beside a run without history")

    source = {}  # (pmid, version, file): the XML of the last such record


class Days:
    """A folder that grows, its store, and what both should be."""

    def __init__(self, command, name):
        self.command, self.name = command, name
        self.folder = command.new(name)
        os.mkdir(os.path.join(self.folder, "in"))
        self.expected = Expected()
        self.expected.source = {}
        self.done = {}  # name: content that was taken
        self.day = 0

    def put(self, name, records=(), deleted=(), cut=None):
        """A file of these; `cut`: only so many of its bytes arrive."""
        path = os.path.join(self.folder, "in", name)
        common.write_file(path, records, deleted)
        if cut:
            os.truncate(path, cut)
        for record in records:
            self.expected.source[(record.pmid, record.version, name)] = str(record)

    def run(self, broken=()):
        """One day: a run over the whole folder, and a look at the store. `broken` files fail."""
        self.day += 1
        what = f"{self.name}, day {self.day}"
        names = sorted(os.listdir(os.path.join(self.folder, "in")), key=order_of)
        rows, skipped = [], 0
        for name in names:
            path = os.path.join(self.folder, "in", name)
            content = common.read(path)
            if name in broken:
                continue
            if self.done.get(name) == content:
                skipped += 1
                continue
            self.done[name] = content
            rows += self.expected.take(path)
        out, stats = f"{self.name}/rows{self.day}", f"{self.name}/stats{self.day}"
        result = self.command.run("screen", "--state", f"{self.name}/store", "-o", out, "--stats", stats, "--all",
                                  "--no-text", *common.HALF, f"{self.name}/in", limit=60)
        check(result.status == (3 if broken else 0), f"{what}: exit status {result.status}\n{result.err}")
        with open(self.command.at(stats), encoding="utf-8") as file:
            counts = json.load(file)
        check((counts["files_skipped"], counts["files_failed"], counts["files_done"]) ==
              (skipped, len(broken), len(names) - skipped - len(broken)),
              f"{what}: files are counted wrongly: {counts}")
        check(counts["citations"] == counts["new"] + counts["revised"] + counts["unchanged"] + counts["superseded"],
              f"{what}: citations do not add up: {counts}")
        found = []
        for line in common.read(self.command.at(out)).decode().splitlines():
            row = json.loads(line)
            row = (row["pmid"], row.get("version"), bool(row.get("deleted")))
            if row[2] or not found or found[-1] != row:
                found.append(row)
        rows = [row for row, after in zip(rows, rows[1:] + [None]) if row[2] or row != after]
        for i, (mine, row) in enumerate(itertools.zip_longest(found, rows)):
            check(mine == row, f"{what}: row {i + 1} is of (PMID, version, deleted) {mine}, not {row}")
        self.expected.check_store(self.command, self.command.at(self.name, "store"), what)


# ---- The tests ------------------------------------------------------------------------------------------------------

def days(command):
    real = [r for r in common.real_records() if "</PublicationTypeList>" in r.xml and "<AbstractText" in r.xml and
            "<DateRevised>" in r.xml]
    a = [r.numbered(100 + i) for i, r in enumerate(real[:30])]
    b = [r.numbered(200 + i) for i, r in enumerate(real[30:50])]
    c = [r.numbered(300 + i) for i, r in enumerate(real[50:65])]
    d = [r.numbered(400 + i) for i, r in enumerate(real[65:75])]
    new = "Hepatic failure was seen after amiodarone."

    t = Days(command, "days")
    t.put("pubmed26n0001.xml.gz", a)
    t.put("pubmed26n0002.xml", b + [a[3].numbered(103, 2), a[4].with_sentence(new).numbered(104, 2), a[25]])
    late = ([a[5].with_sentence("Older news."), a[10], a[15].with_sentence(new),
             a[6].with_sentence(new).numbered(106, 2)] + c + [a[20].touched(2027), d[9]])
    late_deleted = [100, 116, 9999, 201]
    t.put("pubmed26n0003.xml.gz", late, late_deleted, cut=20000)
    t.put("pubmed26n0004.xml", [r.touched(2027) for r in a[:5]] + [r.with_sentence(new) for r in a[5:10]] +
          [a[20].retracted()] + b[:2] + d[:5], [a[i].pmid for i in range(10, 15)] + [409, 8888])
    t.run(broken=["pubmed26n0003.xml.gz"])

    # The file of before arrives as a whole, after a later one; and further updates.
    t.put("pubmed26n0003.xml.gz", late, late_deleted)
    t.put("pubmed26n0005.xml.gz",
          [b[3].touched(2028), b[3].with_sentence(new),              # the same PMID twice in a file
           b[4].with_sentence(new), b[4],                            # and back again
           b[5].with_sentence(new), b[5].with_sentence(new).touched(2029), b[6].numbered(206, 3), b[6].numbered(206, 2),
           a[11],                                                    # after its deletion
           a[17].retracted(),                                        # metadata only
           c[3].with_sentence(new), d[6]], [c[3].pmid, 208])         # a record and its deletion in one file
    t.put("pubmed26n0006.xml", [d[6].touched(2029), c[3], a[17].retracted().touched(2030)], [d[0].pmid])
    t.put("extra.xml", [a[18].with_sentence(new), b[9].touched(2031), d[7]], [a[19].pmid])  # it has no place
    t.run()
    check(t.expected.known[117]["fields"]["retracted"], "the test has lost its retraction")

    # A file has come back with another content, and the next year's first file.
    t.put("pubmed26n0002.xml", b[:10] + [b[11].with_sentence(new), a[25].with_sentence(new)], [b[12].pmid, 117])
    t.put("pubmed27n0001.xml.gz", [a[12], b[13].touched(2032), c[5].retracted(), d[8].numbered(408, 2)], [c[6].pmid])
    t.run()
    before = common.store_rows(command.at("days", "store"))
    t.run()  # nothing is new
    common.same_rows(common.store_rows(command.at("days", "store")), before, "a day without news")
    kinds = {name: sum(counts[name] for _, counts in t.expected.files) for name in t.expected.files[0][1]}
    check(all(kinds.values()), f"the days lack something: {kinds}")
    print("days:", ", ".join(f"{n} {name}" for name, n in kinds.items()))


def histories(command):
    seed = os.environ.get("ADE_TEST_SEED", "1")
    base = [r for r in common.real_records() if "</PublicationTypeList>" in r.xml and
            "</ArticleTitle>" in r.xml and len(r.xml) < 6000][:12]
    n = 40 if common.ALL else 4
    for history in range(n):
        chance = random.Random(f"{seed} {history}")
        t = Days(command, f"history{history}")
        names = [f"pubmed{year}n{number:04}.xml" + chance.choice(("", ".gz"))
                 for year in (26, 27) for number in range(1, 4)] + ["extra.xml", "more7.xml"]
        waiting, late = list(names), {}
        while waiting or late:
            broken = []
            for name, contents in late.items():
                t.put(name, *contents)
            late = {}
            for name in [waiting.pop(chance.randrange(min(3, len(waiting)))) for _ in range(min(3, len(waiting)))]:
                records = []
                for record in chance.choices(base, k=chance.randrange(1, 9)):
                    if chance.random() < 0.4:
                        record = record.with_sentence(f"Form {chance.randrange(2)}.")
                    if chance.random() < 0.2 and "<DateRevised>" in record.xml:
                        record = record.touched(2020 + chance.randrange(9))
                    if chance.random() < 0.15:
                        record = record.retracted()
                    record = record.numbered(record.pmid, chance.choice((1, 1, 1, 1, 2)))
                    records.append(record)
                deleted = [record.pmid for record in chance.sample(base, chance.choice((0, 0, 1, 2, 4)))]
                if waiting and chance.random() < 0.25:
                    late[name] = (records, deleted)
                    broken.append(name)
                    t.put(name, records, deleted, cut=700)
                else:
                    t.put(name, records, deleted)
            if len(broken) < len(os.listdir(os.path.join(t.folder, "in"))) - len(t.done):
                t.run(broken)
            else:  # every file would fail
                for name in broken:
                    os.remove(os.path.join(t.folder, "in", name))
    print(f"histories: {n}")


def resume(command):
    """Reading threads are a few files ahead of those that are handed out; files that are done do not count."""
    records = [record.numbered(5000 + i) for i, record in enumerate(common.real_records()[:24])]
    folder = command.new("resume")
    os.mkdir(os.path.join(folder, "in"))
    arguments = ["screen", "-q", "--state", "resume/store", "-o", "resume/rows", "resume/in", "--threads", "2"]
    for i in range(1, 21):
        common.write_file(os.path.join(folder, "in", f"pubmed26n{i:04}.xml"), records[:1])
    command.run(*arguments, status=0)
    for i in range(8):
        # Done, new, done, new: before, between and behind each other.
        common.write_file(os.path.join(folder, "in", f"pubmed26n{21 + 2 * i:04}.xml"), [records[2 * i]])
        common.write_file(os.path.join(folder, "in", f"pubmed25n{1 + 2 * i:04}.xml"), [records[2 * i + 1]])
        command.run(*arguments, limit=30, status=0)
    check(len(common.store_rows(command.at("resume", "store"))["files"]) == 37, "a file was not done")
    print("resume: 9 runs")


def test(command, arguments):
    for name in arguments or ("days", "histories", "resume"):
        {"days": days, "histories": histories, "resume": resume}[name](command)


common.main("updates", test)
