# SPDX-License-Identifier: Apache-2.0
"""What is wrong is named and counted, and the rest is done.

    faults.py --command PATH [inputs|disk|read_only|permissions]

inputs       thirty kinds of bad files, each between two good ones; memory and time are bounded
disk         a disk that is full at many moments: once there is room, the run goes on, and nothing is lost
read_only    outputs and stores on a file system that cannot be written
permissions  the same, and inputs that may not be read, for a user who is not root

Parts that need root or a mount are skipped elsewhere; with nothing left to do the exit status is 77."""
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile

import common
from common import check

MEGABYTE = 1 << 20
BIG = 200              # megabytes of one record
PEAK = 150 * MEGABYTE  # of the whole process, with the tiny model and two threads


# ---- Bad files ------------------------------------------------------------------------------------------------------

def records(first, n):
    real = common.real_records()
    return [real[(first + i) % len(real)].numbered(first + i) for i in range(n)]


def article(abstract, pmid=99):
    return (f'<PubmedArticle><MedlineCitation><PMID Version="1">{pmid}</PMID><Article><ArticleTitle>A title.'
            f'</ArticleTitle><Abstract>{abstract}</Abstract></Article></MedlineCitation></PubmedArticle>')


def around(before, after, piece=None, times=0):
    """A gzip file of `before`, `piece` so many times, and `after`; the pieces are members of their own."""
    assert piece is None or len(piece) == MEGABYTE
    return (gzip.compress(before.encode()) + (gzip.compress(piece.encode()) * times if piece else b"") +
            gzip.compress(after.encode()))


def filled(text):
    return text * (MEGABYTE // len(text)) + " " * (MEGABYTE % len(text))


def doctype(subset, body):
    return ('<?xml version="1.0"?>\n<!DOCTYPE PubmedArticleSet [' + subset + ']>\n<PubmedArticleSet>' + body +
            '</PubmedArticleSet>').encode()


def with_article(abstract):
    return (common.HEADER + article(abstract) + common.FOOTER).encode()


def a_zip(text):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("pubmed.xml", text)
    return out.getvalue()


def bad_files():
    """(name, content, a word of the message). Content None: see `lay_out`."""
    good = common.file_text(records(90000, 12)).encode()
    packed = gzip.compress(good, mtime=0)
    middle = len(good) // 2
    laughs = '<!ENTITY l0 "lol">' + "".join(
        f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 11))
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0x55
    sum_wrong = bytearray(packed)
    sum_wrong[-8] ^= 1
    opening, closing = "<Abstract><AbstractText>", "</AbstractText></Abstract>"
    whole = common.HEADER + article(f"<AbstractText>{'@'}</AbstractText>")
    head, tail = whole.split("@")
    tail += common.FOOTER
    return [
        ("truncated.xml.gz", packed[:len(packed) // 2], "end"),
        ("flipped.xml.gz", bytes(damaged), "not well-formed"),
        ("crc.xml.gz", bytes(sum_wrong), "data check"),
        ("behind.xml.gz", packed + b"and more", "not gzip behind"),
        ("sum.xml.gz", packed, "MD5"),
        ("nosum.xml", good, "MD5"),
        ("malformed.xml", good[:middle] + b"</Nonsense>" + good[middle:], "</Nonsense> where"),
        ("cut.xml", good[:middle], "end"),
        ("record.xml.gz", around(head, tail, filled("Rash was seen in one of two. "), BIG), "99"),
        ("word.xml.gz", around(head, tail, filled("x"), BIG), "99"),
        ("attribute.xml.gz", around(head.replace("<AbstractText>", '<AbstractText Label="'), '">' + tail, filled("x"),
                                    BIG), "MiB"),
        ("comment.xml.gz", around(head + "<!--", "-->" + tail, filled("x"), BIG), "MiB"),
        ("name.xml.gz", around(head + "<", "/>" + tail, filled("x"), BIG), "MiB"),
        ("sections.xml.gz", around(head, tail, filled("</AbstractText><AbstractText>a"), BIG), "99"),
        ("deep.xml", with_article("<b>" * 5000 + "</b>" * 5000), "nested"),
        ("laughs.xml", doctype(laughs, article("<AbstractText>&l10;</AbstractText>")), "entit"),
        ("quadratic.xml", doctype('<!ENTITY a "' + "a" * 50000 + '">', article(
            "<AbstractText>" + "&a;" * 50000 + "</AbstractText>")), "entit"),
        ("external.xml", doctype('<!ENTITY e SYSTEM "file:///etc/passwd">', article(
            "<AbstractText>&e;</AbstractText>")), "entit"),
        ("parameter.xml", doctype('<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;', article("")), "entit"),
        ("undeclared.xml", with_article("<AbstractText>&eacute;</AbstractText>"), "entit"),
        ("empty.xml", b"", "empty"),
        ("empty.xml.gz", gzip.compress(b""), "empty"),
        ("zip.xml.gz", a_zip(good.decode()), "zip archive"),
        ("text.xml", b"PMID- 1\nTI  - A title.\n", "before the root"),
        ("root.xml", b"<html><body>503 Service Unavailable</body></html>", "html"),
        ("bytes.xml", good[:middle] + b" \xff\xfe " + good[middle:], "UTF-8"),
        ("nul.xml", good[:middle] + b"\0" + good[middle:], "U+0000"),
        ("zeros.xml", bytes(100000), "U+0000"),
        ("utf16.xml", good.decode().replace("UTF-8", "UTF-16").encode("utf-16"), "UTF-8"),
        ("latin.xml", good.replace(b"UTF-8", b"ISO-8859-1"), "ISO-8859-1"),
        ("pmid.xml", with_article("").replace(b">99<", b">none<"), "PMID"),
        ("large.xml", with_article("").replace(b">99<", b">99999999999999999999<"), "PMID"),
        ("nopmid.xml", with_article("").replace(b'<PMID Version="1">99</PMID>', b""), "PMID"),
        ("version.xml", with_article("").replace(b'"1">99', b'"9999999999">99'), "ersion"),
        ("link.xml", None, "No such file"),
    ]


def lay_out(folder, bad):
    """The bad files between good ones, numbered in turn. {source name: word} of the bad, names of the good."""
    names, good = {}, []
    for i, (name, content, word) in enumerate(bad):
        where = f"pubmed26n{2 * i + 1:04}.xml"
        good.append(where)
        common.write_file(os.path.join(folder, where), records(10 * i + 1, 2))
        stem, _, suffix = name.partition(".")
        name = f"pubmed26n{2 * i + 2:04}.{stem}.{suffix}"
        names[name] = word
        path = os.path.join(folder, name)
        if content is None:
            os.symlink("nowhere.xml", path)
            continue
        with open(path, "wb") as file:
            file.write(content)
        if stem == "sum":
            common.write_sum(path, "0" * 32)
        if stem == "nosum":
            common.write_bytes(path + ".md5", b"<html>404</html>")
    # These are no files, and nobody asked for them by name.
    os.mkdir(os.path.join(folder, "folder.xml"))
    os.mkfifo(os.path.join(folder, "pipe.xml"))
    common.write_bytes(os.path.join(folder, ".hidden.xml"), b"nonsense")
    # All of this is right, though large: 200 MB of a record that nobody reads, and a table that is no entity.
    common.write_bytes(os.path.join(folder, "authors.xml"), doctype("<!ELEMENT a ANY>", article(
        "<AbstractText>Rash.</AbstractText>", 7)))
    good.append("authors.xml")
    common.write_bytes(os.path.join(folder, "skipped.xml"), around(
        common.HEADER + article("", 8).split("</Article>")[0] + "<AuthorList>",
        "</AuthorList></Article></MedlineCitation></PubmedArticle>" + common.FOOTER,
        filled("<Author><LastName>Smith</LastName></Author>"), BIG))
    good.append("skipped.xml")
    return names, good


def rows_of(path):
    """{source: lines} of a JSONL output."""
    found = {}
    for line in common.read(path).decode().splitlines():
        found.setdefault(json.loads(line)["source"], []).append(line)
    return found


def inputs(command):
    folder = command.new("in")
    bad, good = lay_out(folder, bad_files())
    command.new("good")
    for name in good:
        os.link(os.path.join(folder, name), command.at("good", name))
    command.run("screen", "-q", "--all", "-o", "good.jsonl", "--state", "good.db", "good", status=0, limit=100)
    expected = rows_of(command.at("good.jsonl"))
    check(expected.keys() == set(good), f"of the good files, {sorted(set(good) - expected.keys())} give no rows")

    for mode in ([], ["--state", "db"], ["--output-dir", "out"], ["--state", "db2", "--output-dir", "out2"]):
        what = " ".join(mode) or "plain"
        own = "--output-dir" in mode
        output = ["-f", "jsonl"] if own else ["-o", "rows.jsonl"]
        result = command.run("screen", "--all", *mode, *output, "--stats", "stats", "--manifest", "manifest",
                             "--threads", "2", "in", limit=100, status=3)
        check_messages(result, bad, what)
        with open(command.at("stats"), encoding="utf-8") as file:
            stats = json.load(file)
        check(stats["files"] == len(bad) + len(good) and (stats["files_failed"], stats["files_done"]) ==
              (len(bad), len(good)),
              f"{what}: the statistics count {stats['files_failed']} failed and {stats['files_done']} done files, "
              f"not {len(bad)} and {len(good)}")
        with open(command.at("manifest"), encoding="utf-8") as file:
            manifest = {entry["name"]: entry for entry in json.load(file)["inputs"]}
        for name in list(bad) + good:
            status = "failed" if name in bad else "done"
            check(manifest[name]["status"] == status, f"{what}: the manifest says that {name} is "
                  f"{manifest[name]['status']}")
        if own:
            rows = {}
            for name in os.listdir(command.at(mode[-1])):
                if name.endswith(".jsonl"):
                    rows.update(rows_of(command.at(mode[-1], name)))
                check(not name.endswith(".part"), f"{what}: {name} was left behind")
        else:
            rows = rows_of(command.at("rows.jsonl"))
        for name in bad:
            if mode:
                check(name not in rows, f"{what}: {name} failed, and {len(rows.get(name, ()))} of its rows are there")
            rows.pop(name, None)
        check(rows == expected, f"{what}: the rows of the good files are not those that they give alone")
        if "--state" in mode:
            ids = {"files": ("id", "path", *common.TIMES["files"]), "records": ("file",)}
            common.same_rows(common.store_rows(command.at(mode[1]), ids),
                             common.store_rows(command.at("good.db"), ids), what)
        if not command.sanitized:
            check(result.peak < PEAK, f"{what}: {result.peak / MEGABYTE:.0f} MB of memory at the peak")
        print(f"{what}: {len(bad)} bad files, {len(good)} good ones, {result.peak / MEGABYTE:.0f} MB, "
              f"{result.seconds:.1f} s")
    # The next run takes just those that failed, and --fail-fast ends with the first.
    result = command.run("screen", "--all", "--state", "db", "-o", "again.jsonl", "in", limit=100, status=3)
    check(len(result.lines("skipped, done before")) == len(good), "files that were done are read again")
    check_messages(result, bad, "again")
    command.run("screen", "-q", "--fail-fast", "-o", "never.jsonl", "in", status=1)
    check(not os.path.exists(command.at("never.jsonl")), "--fail-fast leaves an output")
    check(not [name for name in os.listdir(command.folder) if name.endswith(".part")], "a temporary file is left")


def check_messages(result, bad, what):
    errors = [line for line in result.err.splitlines() if "error: " in line]
    for name, word in bad.items():
        own = [line for line in errors if f"in/{name}" in line]
        check(len(own) == 1, f"{what}: {name} is named in {len(own)} errors: {own}")
        check(word in own[0], f"{what}: nothing of '{word}' is said: {own[0]}")
        check(own[0].endswith(".") and len(own[0]) < 600, f"{what}: no sentence: {own[0]}")
        check("root:" not in result.err, f"{what}: /etc/passwd was read")
    check(len(errors) == len(bad), f"{what}: {len(errors)} errors for {len(bad)} bad files:\n" + "\n".join(errors))
    check(f"failed     {len(bad)} inputs, named above" in result.err, f"{what}: the failed files are not summed up")


# ---- Full disks and such --------------------------------------------------------------------------------------------

class Mount:
    """A small file system of its own, or None where there can be none."""

    def __init__(self, command, name):
        self.path = command.new(name)
        self.there = False

    def __enter__(self):
        self.there = os.geteuid() == 0 and self.mount("-t", "tmpfs", "none", self.path)
        return self if self.there else None

    def mount(self, *arguments):
        return subprocess.run(["mount", *arguments], stderr=subprocess.DEVNULL, check=False).returncode == 0

    def resize(self, size):
        check(self.mount("-o", f"remount,rw,size={size}", self.path), "the file system cannot be resized")

    def read_only(self):
        check(self.mount("-o", "remount,ro", self.path), "the file system cannot be made read-only")

    def __exit__(self, *_):
        if self.there:
            subprocess.run(["umount", "-l", self.path], check=False)


def some_files(command):
    folder = command.new("in")
    for i in range(6):
        common.write_file(os.path.join(folder, f"pubmed26n{i + 1:04}.xml"), records(1000 + 5 * i, 7), [500 + i])
    return folder


OUTPUTS = {
    "both": (["--state", "small/db", "-o", "small/out.jsonl"], ["small/db"], ["small/out.jsonl"]),
    "store": (["--state", "small/db", "-o", "large/out.jsonl"], ["small/db"], ["large/out.jsonl"]),
    "output": (["--state", "large/db", "-o", "small/out.jsonl", "--parts", "small/parts"], ["large/db"],
               ["small/out.jsonl", "small/parts"]),
    "folder": (["--state", "large/db", "--output-dir", "small/out", "-f", "jsonl"], ["large/db"],
               [f"small/out/pubmed26n{i + 1:04}.jsonl" for i in range(6)]),
    "no store": (["-o", "small/out.jsonl", "--parts", "small/parts"], [], ["small/out.jsonl", "small/parts"]),
}


def disk(command):
    some_files(command)
    os.mkdir(command.at("large"))
    with Mount(command, "small") as mount:
        ways = [("file size limit", None)] + ([("full disk", mount)] if mount else [])
        for name, (arguments, store, outputs) in OUTPUTS.items():
            wanted = None
            for way, where in ways:
                failures = 0
                # The first is room for all.
                sizes = [1 << 26] + [4096 * round(1.9 ** k) for k in range(1 if where else 0, 10)]
                for size in sizes if common.ALL else sizes[:1] + sizes[1::2 if where else 3]:
                    for folder in ("small", "large"):
                        for entry in os.listdir(command.at(folder)):
                            path = command.at(folder, entry)
                            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
                    if where:
                        where.resize(size)
                    what = f"{way}, {size} bytes for {name}"
                    failed = one_disk(command, what, arguments, store, outputs, size, where, wanted)
                    wanted = wanted or found_of(command, store, outputs)
                    failures += failed
                check(failures >= 2, f"{way} for {name}: only {failures} runs failed")
                print(f"{way} for {name}: {failures} failures")
    if len(ways) == 1:
        print("no file system can be mounted here: only the limit of a file's size was tried")


def found_of(command, store, outputs):
    return [common.read(command.at(path)) for path in outputs], [common.store_rows(command.at(path)) for path in store]


def one_disk(command, what, arguments, store, outputs, size, mount, wanted):
    """1 when the run failed, as it should, and went on once there was room."""
    run = ["screen", "-q", *arguments, *common.HALF, "in"]
    result = command.run(*run, before=None if mount else common.file_limit(size), restore_signals=bool(mount))
    check(result.status in (0, 1), f"{what}: exit status {result.status}\n{result.err}")
    if result.status == 1:
        words = ("No space left", "disk is full", "File too large", "disk I/O error", "database or disk is full")
        check(any(word in result.err for word in words), f"{what}: the message is\n{result.err}")
        check("small/" in result.err or not mount, f"{what}: what is full is not named:\n{result.err}")
        if "--output-dir" not in arguments:
            check(not os.path.exists(command.at(outputs[0])), f"{what}: half of {outputs[0]} has its name")
        if not store:  # the parts come first, and may be complete
            left = [name for name in os.listdir(command.at("small")) if name != "parts"]
            check(not left, f"{what}: {left} was left behind")
        if mount:
            mount.resize(1 << 26)
        again = command.run(*run)
        check(again.status == 0, f"{what}: with room again, exit status {again.status}\n{again.err}")
    elif wanted is None:
        return 0
    elif mount:
        mount.resize(1 << 26)  # even to look at a store needs a file beside it
    found = found_of(command, store, outputs)
    check(found[0] == wanted[0], f"{what}: the outputs are not those of an undisturbed run")
    for mine, expected in zip(found[1], wanted[1]):
        common.same_rows(mine, expected, what)
    left = [name for folder in ("small", "large") for name in common.tree(command.at(folder)) if name.endswith(".part")]
    check(not left, f"{what}: {left} was left behind")
    return int(result.status == 1)


def refused(command, what, words, *arguments, before=None):
    """Ends at once with status 1 and a sentence that has all words."""
    result = command.run(*arguments, before=before, limit=30)
    check(result.status == 1, f"{what}: exit status {result.status}\n{result.err}")
    for word in words:
        check(word in result.err, f"{what}: nothing of '{word}' is said:\n{result.err}")
    return result


def read_only(command):
    folder = some_files(command)
    with Mount(command, "closed") as mount:
        if not mount:
            print("a file system can be mounted only by root", file=sys.stderr)
            return common.SKIPPED
        command.run("screen", "-q", "--state", "closed/db", "-o", "closed/old.jsonl", "in", status=0)
        os.mkdir(command.at("closed", "out"))
        shutil.copytree(folder, command.at("closed", "in"))
        mount.read_only()
        for what, arguments, word in (
                ("a new output", ["-o", "closed/new.jsonl"], "closed/new.jsonl"),
                ("an old output", ["-o", "closed/old.jsonl"], "closed/old.jsonl"),
                ("an output with a store", ["--state", "db", "-o", "closed/new.jsonl"], "closed/new.jsonl"),
                ("an old folder", ["--output-dir", "closed/out"], "closed/out"),
                ("a new folder", ["--output-dir", "closed/none"], "closed/none"),
                ("parts", ["-o", "rows", "--parts", "closed/parts"], "closed/parts"),
                ("a manifest", ["-o", "rows", "--manifest", "closed/manifest"], "closed/manifest"),
                ("metrics", ["-o", "rows", "--metrics-file", "closed/metrics"], "closed/metrics"),
                ("an old store", ["--state", "closed/db", "-o", "rows"], "closed/db"),
                ("a new store", ["--state", "closed/new.db", "-o", "rows"], "closed/new.db")):
            result = refused(command, what, [word, "ead-only"] if word != "closed/new.db" else [word], "screen",
                             *arguments, "in")
            check("citations" not in result.err, f"{what}: is noticed only after work was done\n{result.err}")
        check(sorted(os.listdir(command.folder))[:1] and not os.path.exists(command.at("rows")), "rows were written")
        # Inputs are only read.
        command.run("screen", "-q", "-o", "from_closed.jsonl", "closed/in", status=0)
        check(common.read(command.at("from_closed.jsonl")) == common.read(command.at("closed/old.jsonl")),
              "inputs on a read-only file system give other rows")
    print("read_only: 10 refusals")
    return 0


NOBODY = 65534


def permissions(command):
    some_files(command)

    def drop():
        if os.geteuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)

    for path in (command.path, common.MODEL, common.DATA):
        if os.geteuid() == 0 and not reachable(path):
            print(f"{path} cannot be reached by another user", file=sys.stderr)
            return common.SKIPPED
    command.new("theirs")
    for name, mode in (("closed", 0o555), ("secret", 0o000), ("open", 0o777)):
        command.new(name)
        os.chmod(command.at(name), mode)
    # One file that may not be read, among the others.
    secret = command.at("in", "pubmed26n0003.xml")
    os.rename(secret, command.at("elsewhere.xml"))
    command.run("screen", "-q", "-o", "open/others.jsonl", "in", status=0, before=drop)
    os.rename(command.at("elsewhere.xml"), secret)
    os.chmod(secret, 0)
    result = command.run("screen", "-o", "open/rows.jsonl", "in", before=drop, status=3)
    check(len(result.lines("Permission denied")) == 1 and "in/pubmed26n0003.xml" in result.err, result.err)
    check(common.read(command.at("open/rows.jsonl")) == common.read(command.at("open/others.jsonl")),
          "a file that may not be read changes those beside it")
    refused(command, "all inputs closed", ["in/pubmed26n0003.xml", "Permission denied"], "screen", "-o",
            "open/never.jsonl", secret.replace(command.folder + "/", ""), before=drop)
    refused(command, "a closed folder of inputs", ["secret", "Permission denied"], "screen", "-o", "open/never.jsonl",
            "secret", before=drop)
    for what, arguments, word in (("an output", ["-o", "closed/out.jsonl"], "closed/out.jsonl"),
                                  ("a folder", ["--output-dir", "closed"], "closed"),
                                  ("a store", ["--state", "closed/db", "-o", "open/never.jsonl"], "closed/db"),
                                  ("a store in a secret place", ["--state", "secret/db", "-o", "open/never.jsonl"],
                                   "secret/db")):
        refused(command, what, [word, "ermission"] if "db" not in word else [word], "screen", *arguments, "in",
                before=drop)
    check(sorted(os.listdir(command.at("open"))) == ["others.jsonl", "rows.jsonl"], os.listdir(command.at("open")))
    print("permissions: 7 refusals")
    return 0


def reachable(path):
    path = os.path.realpath(path)
    while path != "/":
        if not os.stat(path).st_mode & (0o001 if os.path.isdir(path) else 0o004):
            return False
        path = os.path.dirname(path)
    return True


def test(command, arguments):
    tests = {"inputs": inputs, "disk": disk, "read_only": read_only, "permissions": permissions}
    statuses = [tests[name](command) or 0 for name in arguments or tests]
    return common.SKIPPED if set(statuses) == {common.SKIPPED} else 0


common.main("faults", test)
