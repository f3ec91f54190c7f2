# SPDX-License-Identifier: Apache-2.0
"""Inputs for clusters: MEDLINE files with records that other files repeat, revise and delete, and what one run
gives."""

from __future__ import annotations

import gzip
import os
import re
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
# The workers import adesieve by PYTHONPATH, too.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(os.path.isabs, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
for name in ("ADESIEVE_LIBRARY", "ADESIEVE_MODEL"):
    if os.environ.get(name):
        os.environ[name] = os.path.abspath(os.environ[name])

import adesieve  # noqa: E402

DATA = ROOT / "tests" / "data"
DEFAULT = ROOT / "models" / "adesieve-minilm"
TINY = {"model": str(DATA / "tiny_bert_cls"), "labels": ["not ADE", "ADE"], "precision": "f32", "device": "cpu"}
N_FILES = 12


def _records() -> list[str]:
    """The real records of the test data, as elements of today's form."""
    found = []
    for path in sorted((DATA / "medline").glob("*.xml*")):
        if not re.match(r"(pubmed|medline)(\d|-)", path.name):
            continue
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8") as file:
            text = file.read()
        articles = re.findall(r"<PubmedArticle>.*?</PubmedArticle>", text, re.S)
        if not articles:  # the form until 2016
            citations = re.findall(r"<MedlineCitation .*?</MedlineCitation>", text, re.S)
            articles = [f"<PubmedArticle>{citation}</PubmedArticle>" for citation in citations]
        found += articles
    return found


def _pmid(record: str) -> str:
    return re.search(r"<PMID[^>]*>(\d+)</PMID>", record).group(1)


def _as_version(record: str, version: int) -> str:
    return re.sub(r'<PMID Version="\d+">', f'<PMID Version="{version}">', record, count=1)


def _revised(record: str, say: str) -> str:
    return record.replace("</ArticleTitle>", f" {say}.</ArticleTitle>", 1)


def make_files(folder: Path, records: list[str]) -> list[Path]:
    """Twelve files. What the later ones say again of earlier ones' records: the same, another text, a higher version, a
    lower one, that it was deleted, and that it is there again."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [records[i::N_FILES] for i in range(N_FILES)]
    first = files[0]
    files[2] = files[2] + [_as_version(record, 3) for record in files[2][6:9]]  # the same text, in the same file
    files[3] = files[3] + first[:8]  # unchanged
    files[5] = files[5] + [_revised(record, "Revised") for record in first[4:12]]
    files[6] = files[6] + [_as_version(record, 2) for record in first[10:16]]
    files[8] = files[8] + [_revised(record, "An older version") for record in first[10:16]]
    files[9] = files[9] + first[4:8]  # the first text again
    deleted = {4: first[16:20] + files[1][:2], 7: first[:2]}
    files[10] = files[10] + first[16:18]  # there again
    files[11] = files[11] + files[2][:5] + files[2][:5]
    paths = []
    for i, file in enumerate(files):
        path = folder / f"pubmed26n{i + 1:04}.xml.gz"
        text = "\n".join(file)
        gone = "".join(f'<PMID Version="1">{_pmid(record)}</PMID>' for record in deleted.get(i, []))
        if gone:
            text += f"<DeleteCitation>{gone}</DeleteCitation>"
        # A fixed time, so that the bytes are the same in every run.
        path.write_bytes(gzip.compress(f"<PubmedArticleSet>{text}</PubmedArticleSet>\n".encode(), mtime=0))
        paths.append(path)
    return paths


def one_run(paths, model, **options):
    """(rows of one run, in its order)."""
    with adesieve.Classifier(**model, threads=1) as classifier, classifier.screen(paths, **options) as run:
        return run.to_arrow()


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> list[Path]:
    return make_files(tmp_path_factory.mktemp("medline"), _records()[::2])


@pytest.fixture(scope="session")
def expected(files):
    rows = one_run(files, TINY, all=True)
    apart = sum(one_run([path], TINY, all=True).num_rows for path in files)
    assert rows.num_rows > 2000 and apart > rows.num_rows + 100  # the merge has something to do
    return rows


@pytest.fixture(scope="session")
def few_records() -> list[str]:
    """Few enough for the default model."""
    return [record for record in _records() if len(record) < 12_000][::9]


# ---- Comparing ----------------------------------------------------------------------------------------------------


def in_order(table):
    """In the order of a single run, without the columns that tell it."""
    return table.sort_by([("file", "ascending"), ("row", "ascending")]).drop_columns(["file", "row"])


def assert_same(table, expected) -> None:
    """Every row in its place, every number in the same bits."""
    import pyarrow as pa

    table = in_order(table)
    assert table.schema.names == expected.schema.names
    assert table.num_rows == expected.num_rows
    for name in expected.schema.names:
        got, wanted = (side.column(name).combine_chunks() for side in (table, expected))
        bits = {pa.float32(): pa.int32(), pa.float64(): pa.int64()}.get(wanted.type)
        if bits is not None:
            got, wanted = got.cast(wanted.type).view(bits), wanted.view(bits)
        assert got.cast(wanted.type).equals(wanted), name


# ---- A worker killed in the middle of a file ----------------------------------------------------------------------


class Interrupted:
    """A named pipe in the place of the last file. Who reads it gets half of the file, and is then killed; who reads it
    next gets all of it."""

    def __init__(self, paths: list[Path], folder: Path, kill) -> None:
        folder.mkdir()
        self.paths = list(paths[:-1]) + [folder / paths[-1].name]
        self._bytes = paths[-1].read_bytes()
        self._kill = kill
        self.killed: list[int] = []
        self.served = 0
        self.error: BaseException | None = None
        os.mkfifo(self.paths[-1])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Interrupted:
        self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._stop.set()
        self._thread.join(30)
        if self.error is not None:
            raise self.error

    def _open(self) -> int | None:
        while not self._stop.is_set():
            try:
                return os.open(self.paths[-1], os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads yet
                time.sleep(0.02)
        return None

    def _reader(self) -> int:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            for process in psutil.process_iter(["pid"]):
                try:
                    entries = os.scandir(f"/proc/{process.pid}/fd")
                    found = any(os.readlink(entry.path) == str(self.paths[-1]) for entry in entries)
                    if found and process.pid != os.getpid():
                        return process.pid
                except OSError:
                    continue
            time.sleep(0.05)
        raise AssertionError("nobody has the pipe open")

    def _serve(self) -> None:
        try:
            while (pipe := self._open()) is not None:
                os.set_blocking(pipe, True)
                try:
                    if not self.killed:
                        os.write(pipe, self._bytes[: len(self._bytes) // 2])
                        time.sleep(0.5)  # its first rows are on their way
                        victim = self._kill(self._reader())
                        os.kill(victim, signal.SIGKILL)
                        self.killed.append(victim)
                        while psutil.pid_exists(victim) and psutil.Process(victim).status() != psutil.STATUS_ZOMBIE:
                            time.sleep(0.02)
                        time.sleep(0.5)  # all its readers are gone before the pipe is opened again
                    else:
                        os.write(pipe, self._bytes)
                        self.served += 1
                except (BrokenPipeError, psutil.NoSuchProcess):
                    pass
                finally:
                    os.close(pipe)
                time.sleep(0.5)  # the reader is to see the end, not the next writer
        except BaseException as error:  # noqa: BLE001  # shown by __exit__
            self.error = error


def children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
