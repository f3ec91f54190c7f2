# SPDX-License-Identifier: Apache-2.0
"""Classifier.screen: rows, counts, errors, stopping."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import threading

import pytest

import adesieve
from adesieve import Hit, Status
from medline_files import record, write


@pytest.fixture(scope="module")
def medline(data):
    folder = data / "medline"
    if not folder.is_dir():
        pytest.skip("no MEDLINE test data")
    return folder


def test_rows(clf, tmp_path):
    abstract = "Fever in 5±2 days. Rash after α-interferon was seen."
    file = write(tmp_path / "one.xml", record(7, "A title about rash.", abstract), record(8, "Another."))
    with clf.screen(file, all=True) as run:
        rows = list(run)
    assert [(row.pmid, row.part, row.sentence) for row in rows] == [
        (7, "title", 0),
        (7, "abstract", 1),
        (7, "abstract", 2),
        (8, "title", 0),
    ]
    for row in rows:
        assert isinstance(row, Hit) and row.version == 1 and row.section is None and row.source == "one.xml"
        assert row.label in clf.labels and row.score == row.scores[1] and row.hit == (row.score >= 0.5)
        assert tuple(clf.logits(row.text)[0]) == row.logits
        if row.part == "abstract":
            assert abstract[row.start : row.end] == row.text
    stats = run.stats
    assert stats.citations == 2 and stats.sentences == stats.screened == stats.rows == 4
    assert stats.hits == sum(row.hit for row in rows) and stats.tokens == sum(row.tokens for row in rows)
    assert next(run, None) is None


def test_threshold(clf, tmp_path):
    file = write(tmp_path / "one.xml", *(record(i, f"Rash number {i} after aspirin.") for i in range(1, 20)))
    scores = sorted(row.score for row in clf.screen(file, all=True))
    middle = scores[len(scores) // 2]
    assert sorted(row.score for row in clf.screen(file, threshold=middle)) == [s for s in scores if s >= middle]
    assert [row.score for row in clf.screen(file, threshold=1.0)] == [s for s in scores if s >= 1.0]
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="threshold"):
            clf.screen(file, threshold=wrong)


def test_folders_gzip_and_order(clf, tmp_path):
    write(tmp_path / "pubmed20n0010.xml", record(10, "Ten."))
    (tmp_path / "pubmed20n0009.xml.gz").write_bytes(
        gzip.compress(write(tmp_path / "nine", record(9, "Nine.")).read_bytes())
    )
    assert [row.pmid for row in clf.screen(tmp_path, all=True)] == [9, 10]
    assert [row.pmid for row in clf.screen([tmp_path / "pubmed20n0010.xml", tmp_path / "nine"], all=True)] == [9, 10]
    assert [row.pmid for row in clf.screen(tmp_path, all=True, limit=1)] == [9]


def test_deleted(clf, tmp_path):
    gone = "<DeleteCitation><PMID Version=\"1\">3</PMID></DeleteCitation>"
    rows = list(clf.screen(write(tmp_path / "a.xml", record(3, "Three."), gone), all=True))
    assert rows[-1].part == "deleted" and rows[-1].pmid == 3
    assert rows[-1].text is rows[-1].score is rows[-1].label is None and rows[-1].scores == ()


def test_documents_and_records(clf, medline):
    with clf.screen(medline / "handmade_fields.xml", documents=True, all=True, other_abstracts="all") as run:
        rows = [row for row in run if row.part != "deleted"]
    assert len(rows) == run.stats.citations and run.stats.documents == sum(row.record.n_hits > 0 for row in rows)
    for row in rows:
        record = row.record
        assert record.n_hits <= record.n_screened <= record.n_sentences
        if record.n_screened:
            assert row.score == pytest.approx(record.score) and record.score <= record.noisy_or + 1e-12
    assert any(row.record.publication_types for row in rows) and any(row.record.mesh for row in rows)
    assert any(row.record.languages == ("eng",) for row in rows) and any(row.record.retracted for row in rows)
    with pytest.raises(ValueError, match="other_abstracts"):
        clf.screen(medline / "handmade_fields.xml", other_abstracts="polish")


def test_store(clf, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    write(folder / "pubmed26n0001.xml", record(1, "Rash after amoxicillin."), record(2, "Another title."))
    store = tmp_path / "store.sqlite"

    def titles(confirm=True):
        with clf.screen(folder, all=True, store=store) as run:
            found = [row.text for row in run]
            if confirm:
                run.confirm()
        return found, run.stats

    for confirm in (False, True):  # what is not confirmed is done again
        assert titles(confirm)[0] == ["Rash after amoxicillin.", "Another title."]
    write(folder / "pubmed26n0002.xml", record(2, "Another title."), record(3, "A third."))
    found, stats = titles()
    assert found == ["A third."] and stats.files_skipped == 1 and stats.unchanged == 1
    with clf.screen(folder, store=store):
        with pytest.raises(adesieve.Error, match="store.sqlite") as caught:
            clf.screen(folder, store=store)
        assert caught.value.status is Status.BUSY
    with pytest.raises(adesieve.Error, match="threshold") as caught:
        clf.screen(folder, threshold=0.25, store=store)
    assert caught.value.status is Status.UNSUPPORTED
    run = clf.screen(folder)
    run.close()
    with pytest.raises(ValueError, match="closed"):
        run.confirm()


def test_errors(clf, tmp_path):
    with pytest.raises(adesieve.Error) as caught:
        clf.screen(tmp_path / "missing.xml")
    assert caught.value.status is Status.IO
    with pytest.raises(TypeError):
        clf.screen([5])
    broken = write(tmp_path / "1.xml", record(1, "One."), end="<oops")
    write(tmp_path / "2.xml", record(2, "Two."))
    run = clf.screen(broken, all=True)
    with pytest.raises(adesieve.Error, match="1.xml") as caught:
        list(run)
    assert caught.value.status is Status.BAD_INPUT
    with pytest.raises(adesieve.Error):  # and it says so again
        next(run)
    with clf.screen(tmp_path, all=True, keep_going=True) as run:
        assert 2 in [row.pmid for row in run]
    assert run.stats.files_failed == 1 and run.stats.files_done == 1


def test_closing_early(clf, tmp_path):
    file = write(tmp_path / "many.xml", *(record(i, f"Title {i}.") for i in range(1, 3000)))
    run = clf.screen(file, all=True)
    first = next(run)
    assert first.pmid == 1
    run.close()
    run.close()
    assert run.stats.rows >= 1 and list(run) == []
    clf.screen(file)  # dropped before its first row
    run = clf.screen(file, all=True)
    clf.close()  # the run holds the model
    assert sum(1 for _ in run) == 2999


def test_ctrl_c(clf, tmp_path):
    records = [record(i, "Rash after amoxicillin. " * 60, "And so on. " * 90) for i in range(1, 4000)]
    file = write(tmp_path / "many.xml", *records)
    timer = threading.Timer(0.2, lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT))
    with clf.screen(file, threshold=1.0) as run:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            list(run)
    assert run.stats.citations < 3999
    timer.join()


def test_fork(clf, tmp_path):
    run = clf.screen(write(tmp_path / "a.xml", record(1, "One."), record(2, "Two.")), all=True)
    assert next(run).pmid == 1
    child = os.fork()
    if child == 0:
        try:
            next(run)
        except RuntimeError:
            run.close()
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert next(run).pmid == 2


def test_equals_the_command(clf, medline, tiny):
    command = os.path.join(os.path.dirname(os.path.realpath(adesieve.library_path())), "adesieve")
    if not os.access(command, os.X_OK):
        pytest.skip("no command beside the library")
    file = next(iter(sorted(medline.glob("pubmed2*.xml.gz"))))
    said = subprocess.run(
        [command, "screen", "--all", "--model", tiny, "--precision", "f32", "--format", "jsonl", "-q", file],
        check=True,
        capture_output=True,
    ).stdout
    rows = [json.loads(line) for line in said.splitlines()]
    mine = list(clf.screen(file, all=True))
    assert len(rows) == len(mine) > 0
    for row, hit in zip(rows, mine):
        if row.get("deleted"):
            assert hit.part == "deleted"
            continue
        for name in ("pmid", "version", "part", "section", "sentence", "start", "end", "text", "truncated", "source"):
            assert row[name] == getattr(hit, name)
        assert row["score"] == pytest.approx(hit.score, rel=1e-6)
