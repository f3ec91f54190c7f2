# SPDX-License-Identifier: Apache-2.0
"""What the tests of whole screening runs share: the command, MEDLINE files made of the real ones, stores row by row.

Records are taken from tests/data/medline as they stand there, byte for byte, and get another PMID, another sentence or
another publication type where a test wants that. Nothing but Python's own library is needed."""
import gzip
import hashlib
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "data")
MODEL = os.path.join(DATA, "tiny_bert_cls")
ALL = bool(os.environ.get("ADE_TEST_ALL"))
WRONG = os.environ.get("ADE_TEST_WRONG", "")  # names a mistake that a test must find
# Scores of the tiny model lie close together: at this one about half of the sentences are hits. The precision is the
# one that every processor has.
HALF = ["--precision", "f32", "--threshold", "0.504728"]

HEADER = ('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, '
          '1st January 2019//EN" "http://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_190101.dtd">\n<PubmedArticleSet>\n')
FOOTER = "</PubmedArticleSet>\n"


class Failed(Exception):
    pass


def check(true, message):
    if not true:
        raise Failed(message)


# ---- The command ----------------------------------------------------------------------------------------------------

class Result:
    def __init__(self, status, out, err, seconds, peak):
        self.status, self.out, self.err, self.seconds, self.peak = status, out, err, seconds, peak

    def lines(self, word):
        return [line for line in self.err.splitlines() if word in line]


class Command:
    """adesieve, in a folder of its own that goes when the test ends."""

    def __init__(self, path, name):
        self.path = os.path.abspath(path)
        self.name = name
        self.folder = tempfile.mkdtemp(prefix="adesieve-" + name + "-")
        os.chmod(self.folder, 0o755)
        with open(self.path, "rb") as file:
            program = file.read()
        for part in ("libadesieve.so.0",):  # a sanitizer is linked into both
            beside = os.path.join(os.path.dirname(self.path), part)
            if os.path.exists(beside):
                with open(beside, "rb") as file:
                    program += file.read()
        self.sanitized = b"__asan_init" in program or b"__tsan_init" in program
        self.environment = {**os.environ, "LC_ALL": "C", "NO_COLOR": "1", "ADESIEVE_MODEL": MODEL}
        self.environment.setdefault("ASAN_OPTIONS", "exitcode=99")
        self.environment.setdefault("UBSAN_OPTIONS", "halt_on_error=1:exitcode=99")

    def at(self, *names):
        return os.path.join(self.folder, *names)

    def new(self, name):
        """An empty folder."""
        path = self.at(name)
        shutil.rmtree(path, ignore_errors=True)
        os.mkdir(path)
        return path

    def start(self, *arguments, **more):
        return subprocess.Popen([self.path, *arguments], env=self.environment, cwd=self.folder,
                                stdin=subprocess.DEVNULL, **more)

    def run(self, *arguments, limit=120, before=None, status=None, restore_signals=True):
        """Runs to the end; `limit` seconds. `before` is called in the child. With `status`, that must come of it."""
        out_path, err_path = self.at(".stdout"), self.at(".stderr")
        with open(out_path, "wb") as out, open(err_path, "wb") as err:
            began = time.monotonic()
            process = self.start(*arguments, stdout=out, stderr=err, preexec_fn=before, restore_signals=restore_signals)
            usage = None
            while usage is None:
                pid, code, used = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    usage, process.returncode = used, os.waitstatus_to_exitcode(code)
                elif time.monotonic() - began > limit:
                    process.kill()
                    os.wait4(process.pid, 0)
                    process.returncode = -signal.SIGKILL
                    raise Failed(f"after {limit} seconds no end of: adesieve {' '.join(arguments)}")
                else:
                    time.sleep(0.005)
            seconds = time.monotonic() - began
        with open(out_path, "rb") as out, open(err_path, encoding="utf-8", errors="replace") as err:
            result = Result(process.returncode, out.read(), err.read(), seconds, usage.ru_maxrss * 1024)
        if status is not None and result.status != status:
            raise Failed(f"exit status {result.status}, not {status}, of: adesieve {' '.join(arguments)}\n{result.err}")
        return result


def main(name, test):
    """Calls test(command, arguments) with what stands behind --command PATH."""
    if len(sys.argv) < 3 or sys.argv[1] != "--command":
        print(f"usage: {name}.py --command PATH [..]", file=sys.stderr)
        sys.exit(2)
    command = Command(sys.argv[2], name)
    status = 1
    try:
        status = test(command, sys.argv[3:]) or 0
    except Failed as failure:
        print(f"FAILED {name}: {failure}", file=sys.stderr)
    finally:
        if status == 1 and os.environ.get("ADE_TEST_KEEP"):
            print(f"kept: {command.folder}", file=sys.stderr)
        else:
            shutil.rmtree(command.folder, ignore_errors=True)
    sys.exit(status)


# ---- Records of the real files --------------------------------------------------------------------------------------

def real_text(name):
    path = os.path.join(DATA, "medline", name)
    with (gzip.open if name.endswith(".gz") else open)(path, "rb") as file:
        return file.read().decode()


class Record:
    """A citation as XML. Each method gives a new one."""

    def __init__(self, xml, pmid, version=1):
        self.xml, self.pmid, self.version = xml, pmid, version

    def __str__(self):
        own = f'<PMID Version="{self.version}">{self.pmid}</PMID>'
        return re.sub(r"<PMID[^>]*>\d+</PMID>", own, self.xml, count=1)

    def numbered(self, pmid, version=1):
        return Record(self.xml, pmid, version)

    def changed(self, pattern, by):
        xml, n = re.subn(pattern, lambda match: match.expand(by), self.xml, count=1, flags=re.S)
        check(n == 1, f"PMID {self.pmid}: there is no {pattern} to change")
        return Record(xml, self.pmid, self.version)

    def with_sentence(self, text):
        """Another text: one more sentence at the end of the title."""
        return self.changed(r"</ArticleTitle>", f" {text}</ArticleTitle>")

    def touched(self, year):
        """The same text, revised in another year."""
        return self.changed(r"(<DateRevised>\s*<Year>)\d+", rf"\g<1>{year}")

    def retracted(self):
        """The same text, marked as a retracted publication."""
        return self.changed(r"</PublicationTypeList>",
                            '<PublicationType UI="D016441">Retracted Publication</PublicationType>'
                            "</PublicationTypeList>")


def real_records():
    """All records of the three real bulk files, in their order, each as a PubmedArticle."""
    records = []
    for name in ("pubmed26n1334.xml.gz", "pubmed20n1016.xml.gz", "medline16n0902.xml.gz"):
        text = real_text(name)
        whole = re.findall(r"<PubmedArticle>.*?</PubmedArticle>", text, re.S)
        if not whole:  # the old form, without the outer element
            whole = [f"<PubmedArticle>{citation}</PubmedArticle>"
                     for citation in re.findall(r"<MedlineCitation .*?</MedlineCitation>", text, re.S)]
        for xml in whole:
            records.append(Record(xml, int(re.search(r"<PMID[^>]*>(\d+)</PMID>", xml)[1])))
    check(len(records) == 660, f"{len(records)} records in the real files, not 660")
    return records


def file_text(records, deleted=()):
    text = HEADER + "\n".join(map(str, records)) + "\n"
    if deleted:
        text += "<DeleteCitation>\n"
        text += "".join(f'<PMID Version="1">{pmid}</PMID>\n' for pmid in deleted) + "</DeleteCitation>\n"
    return text + FOOTER


def write_file(path, records, deleted=()):
    write_bytes(path, file_text(records, deleted).encode())


def write_bytes(path, data):
    """Packed where the name says so; always the same bytes for the same text."""
    with open(path, "wb") as file:
        file.write(gzip.compress(data, 6, mtime=0) if path.endswith(".gz") else data)


def write_sum(path, digest=None):
    with open(path, "rb") as file:
        digest = digest or hashlib.md5(file.read()).hexdigest()
    with open(path + ".md5", "w", encoding="ascii") as file:
        file.write(f"MD5({os.path.basename(path)})= {digest}\n")


# ---- Stores ---------------------------------------------------------------------------------------------------------

def open_store(path):
    check(os.path.exists(path), f"{path} is not there")
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


TIMES = {"files": ("run", "done_at")}  # what differs between two runs that did the same


def store_rows(path, leave_out=None):
    """Every row of every table but `runs`: {table: sorted rows}, with the names of the columns."""
    leave_out = TIMES if leave_out is None else leave_out
    tables = {}
    store = open_store(path)
    try:
        check(store.execute("PRAGMA integrity_check").fetchall() == [("ok",)], f"{path}: SQLite finds it damaged")
        check(not store.execute("PRAGMA foreign_key_check").fetchall(), f"{path}: a row names one that is not there")
        for (table,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
            if table == "runs":
                continue
            columns = [row[1] for row in store.execute(f"PRAGMA table_info({table})")
                       if row[1] not in leave_out.get(table, ())]
            found = store.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
            tables[table] = [tuple(columns)] + sorted(found, key=repr)
    finally:
        store.close()
    counts = {"records": sum(row[tables["records"][0].index("deleted")] == 0 for row in tables["records"][1:]),
              "documents": len(tables["documents"]) - 1, "hits": len(tables["hits"]) - 1}
    counts["deleted"] = len(tables["records"]) - 1 - counts["records"]
    check(dict(tables["totals"][1:]) == counts, f"{path}: its totals are {tables['totals'][1:]}, its rows {counts}")
    return tables


def same_rows(actual, expected, what):
    check(actual.keys() == expected.keys(), f"{what}: tables {sorted(actual)}, not {sorted(expected)}")
    for table, rows in expected.items():
        if actual[table] == rows:
            continue
        extra = [row for row in actual[table] if row not in rows]
        missing = [row for row in rows if row not in actual[table]]
        raise Failed(f"{what}: table {table} {rows[0]}:\n  not expected: {extra[:3]}\n  missing: {missing[:3]}")


def last_run(path):
    store = open_store(path)
    try:
        return store.execute("SELECT ended, summary, note FROM runs ORDER BY id DESC LIMIT 1").fetchone()
    finally:
        store.close()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def tree(folder):
    """{path in it: content} of all that lies in a folder, hidden files, too."""
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            found[os.path.relpath(path, folder)] = read(path)
    return found


def file_limit(size):
    """For `before`: no file may grow beyond `size`. SIGXFSZ stays ignored only without restore_signals."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit
