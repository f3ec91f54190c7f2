# SPDX-License-Identifier: Apache-2.0
"""What the workers of Ray and Spark do, without either: tests/engines runs the clusters."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")

import adesieve  # noqa: E402
from adesieve import _workers  # noqa: E402
from adesieve.merge import merge  # noqa: E402

HOW = {"metadata": False, "keep_going": False, "batch_rows": 7}


def rows_of(clf, path, file=0, options=(), **how):
    how = {**HOW, "record_rows": True, **how}
    return pa.Table.from_batches(list(_workers.rows_of(clf, str(path), file, dict(options), **how)))


@pytest.fixture
def two(data, tmp_path):
    """Two files; the second has the first's record again, and one of its own."""
    both = (data / "medline" / "pubmed1.xml").read_text("utf-8")
    other = (data / "medline" / "pubmed2.xml").read_text("utf-8")
    article = both[both.index("<PubmedArticle>") : both.index("</PubmedArticle>") + len("</PubmedArticle>")]
    paths = [tmp_path / "pubmed26n0001.xml", tmp_path / "pubmed26n0002.xml"]
    paths[0].write_text(both, "utf-8")
    paths[1].write_text(other.replace("<PubmedArticle>", article + "<PubmedArticle>", 1), "utf-8")
    return paths


def _pieces(table):
    return _workers.occurrences(table[:9]), _workers.occurrences(table[9:])


@pytest.mark.parametrize("options", [{"all": True}, {}, {"documents": True}])
def test_apart_and_merged(clf, two, options):
    tables = [rows_of(clf, path, i, options) for i, path in enumerate(two)]
    with clf.screen(two, **options) as run:
        expected = run.to_arrow()
    pmids = _workers.repeated(part for table in tables for part in _pieces(table))
    assert len(pmids) == 1
    single = [_workers.single(table, pmids, True) for table in tables]
    several = pa.concat_tables([_workers.several(table, pmids, 5) for table in tables]).drop_columns(["bucket"])
    found = pa.concat_tables([*single, merge(several, keep_order=True)])
    found = found.sort_by([("file", "ascending"), ("row", "ascending")])
    assert found.drop_columns(["file", "row"]).equals(expected) and expected.num_rows > 0
    assert merge(tables).equals(expected)


def test_a_wrong_setting_is_no_fault_of_the_file(clf, data, tmp_path):
    """Else a job that keeps going would end well, without a row."""
    options = {"prefilter": tmp_path / "nothing"}
    with pytest.raises(adesieve.errors.InputOutput, match="model folder"):
        rows_of(clf, data / "medline" / "pubmed1.xml", options=options, keep_going=True)


def test_paths_are_absolute():
    given = {"model": "a", "prefilter": "b", "calibration": "", "threshold": "recall=0.9", "labels": ["a"]}
    found = _workers.absolute({**given, "model": None})
    assert found == {**given, "model": None, "prefilter": os.path.abspath("b")}
    assert _workers.absolute(given)["model"] == os.path.abspath("a")


def test_a_fault_in_the_middle(clf, data, tmp_path):
    path = tmp_path / "pubmed26n0001.xml.gz"
    whole = (data / "medline" / "pubmed26n1334.xml.gz").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(adesieve.errors.BadInput, match="pubmed26n0001"):
        rows_of(clf, path, options={"all": True})
    rows = rows_of(clf, path, 3, {"all": True}, keep_going=True)
    with clf.screen(path, all=True, keep_going=True, record_rows=True) as run:
        assert rows[:-1].drop_columns(["file", "row"]).equals(run.to_arrow())
    last = rows[-1:].to_pylist()[0]
    assert last["part"] == "file" and last["source"] == path.name and str(path) in last["text"] and not last["hit"]
    assert rows.column("row").to_pylist() == list(range(rows.num_rows)) and set(rows.column("file").to_pylist()) == {3}
    assert not len(_workers.occurrences(rows[-1:]))
    missing = rows_of(clf, tmp_path / "none.xml", keep_going=True)
    assert missing.num_rows == 1 and "none.xml" in missing.column("text")[0].as_py()


def test_no_rows(clf, tmp_path):
    path = tmp_path / "pubmed26n0001.xml.gz"
    path.write_bytes(gzip.compress(b"<PubmedArticleSet></PubmedArticleSet>"))
    rows = rows_of(clf, path, record_rows=False, metadata=True)
    assert rows.num_rows == 0 and rows.schema.equals(adesieve.screening.schema(metadata=True))


def test_which_pmids_are_repeated():
    def table(*rows):
        pmids, parts = zip(*rows)
        return pa.table({"pmid": pa.array(pmids, pa.int64()), "part": pa.array(parts, pa.string())})

    parts = [
        table((7, "record"), (7, "title"), (7, "title"), (9, "record"), (2**40, "record"), (0, "file")),
        table((7, "abstract"), (9, "deleted"), (8, "record"), (8, None), (0, "file")),
        table((2**40, "record"), (6, "deleted"), (6, "deleted")),
    ]
    assert _workers.repeated(map(_workers.occurrences, parts)).tolist() == [6, 9, 2**40]
    assert _workers.repeated([]).tolist() == []
    assert not _workers._is_in(parts[0], np.empty(0, np.int64)).any()


def test_versions_in_one_file(clf, data, tmp_path):
    """Screened apart, a higher version with the same text gives its rows again: the merge must see both."""
    text = (data / "medline" / "pubmed1.xml").read_text("utf-8")
    article = text[text.index("<PubmedArticle>") : text.index("</PubmedArticle>") + len("</PubmedArticle>")]
    assert article.count('<PMID Version="1">') >= 1
    path = tmp_path / "pubmed26n0001.xml"
    higher = article.replace('<PMID Version="1">', '<PMID Version="3">', 1)
    path.write_text(f"<PubmedArticleSet>{article}{higher}</PubmedArticleSet>", "utf-8")
    rows = rows_of(clf, path, options={"all": True})
    with clf.screen(path, all=True) as run:
        expected = run.to_arrow()
    pmids = _workers.repeated([_workers.occurrences(rows)])
    assert len(pmids) == 1 and not _workers.single(rows, pmids, False).num_rows
    assert merge(_workers.several(rows, pmids, 5).drop_columns(["bucket"])).equals(expected)
    assert 0 < expected.num_rows < rows.num_rows - 2


def test_options():
    settings, screening = _workers.split({"model": "m", "threads": 2, "threshold": 0.5, "documents": True})
    assert settings == {"model": "m", "threads": 2} and screening == {"threshold": 0.5, "documents": True}
    for name in ("store", "limit", "treshold"):
        with pytest.raises(TypeError, match=f"'{name}' is not an option"):
            _workers.split({name: 1})


@pytest.mark.parametrize("prefix", ["", "ade_"])
def test_classified(clf, prefix):
    texts = ["Rash after amoxicillin.", "", "No rash."]
    expected = clf.classify(texts)
    for batch in (pa.table({"text": texts}), pa.RecordBatch.from_pydict({"text": texts})):
        found = _workers.classified(clf, batch, "text", prefix)
        assert type(found) is type(batch)
        assert found.column(prefix + "score").to_pylist() == expected.score.tolist()
        assert found.column(prefix + "label").to_pylist() == list(expected.label)
        assert found.column(prefix + "calibrated").to_pylist() == [None] * 3
    with pytest.raises(ValueError, match="a column 'label' already"):
        _workers.classified(clf, pa.table({"text": texts, "label": texts}), "text", "")
    with pytest.raises(KeyError, match="no column 'words'"):
        _workers.classified(clf, pa.table({"text": texts}), "words", "")
