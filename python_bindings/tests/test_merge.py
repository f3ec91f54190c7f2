# SPDX-License-Identifier: Apache-2.0
"""Rows of files screened apart, merged, are the rows of one run: the same values in the same bits."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import numpy as np
import pytest

import adesieve
from adesieve.merge import decide, merge
from conftest import LABELS, TINY

pa = pytest.importorskip("pyarrow")

# What a record can say: title, and its abstract's sections by label. The last two give no sentence to screen.
TEXTS = [
    ("Rash after amoxicillin.", ()),
    ("Rash after amoxicillin.", (("", "Fever was seen. No cause was found."),)),
    ("Rash after amoxicillin.", (("RESULTS", "Fever was seen. No cause was found."),)),
    ("A title.", (("", "Methods are described."),)),
    ("--", ()),
    ("", ()),
]
MODES = [{"all": True}, {}, {"documents": True}, {"all": True, "documents": True}]


@pytest.fixture(scope="module")
def screener():
    with adesieve.Classifier(TINY, "cpu", "f32", threads=1, labels=LABELS) as classifier:
        yield classifier


@pytest.fixture(scope="module")
def threshold(screener):
    """About half of the sentences are hits."""
    texts = [title for title, _ in TEXTS[:4]] + [text for _, sections in TEXTS for _, text in sections]
    return float(np.median(screener.predict_proba(texts)[:, 1]))


def xml(event) -> str:
    """A record, (PMID, version, text), or a deletion, (PMID,)."""
    if len(event) == 1:
        return f"<DeleteCitation><PMID>{event[0]}</PMID></DeleteCitation>"
    pmid, version, (title, sections) = event[0], event[1], TEXTS[event[2]]
    body = "".join(f'<AbstractText Label="{label}">{text}</AbstractText>' for label, text in sections)
    return (
        f'<PubmedArticle><MedlineCitation><PMID Version="{version}">{pmid}</PMID><Article><ArticleTitle>{title}'
        f"</ArticleTitle><Abstract>{body}</Abstract></Article></MedlineCitation></PubmedArticle>"
    )


def write(folder, *files, ends=None):
    """Files of these events; their paths, in order."""
    paths = []
    for i, events in enumerate(files):
        path = folder / f"pubmed26n{i + 1:04}.xml"
        end = (ends or {}).get(i, "</PubmedArticleSet>")
        path.write_text("<PubmedArticleSet>" + "".join(map(xml, events)) + end, encoding="utf-8")
        paths.append(str(path))
    return paths


def rows_of(classifier, paths, **how):
    with classifier.screen(paths, **how) as run:
        return run.to_arrow()


def apart(classifier, paths, **how):
    return [rows_of(classifier, path, record_rows=True, **how) for path in paths]


def numbered(tables):
    """As the engines' workers give them: with the file's and the row's number."""
    return [
        table.append_column("file", pa.array(np.full(table.num_rows, i, np.int32))).append_column(
            "row", pa.array(np.arange(table.num_rows))
        )
        for i, table in enumerate(tables)
    ]


def bits(table):
    """A table's columns, with whole numbers for floats, so that equal is equal in every bit."""
    columns = {}
    for name, column in zip(table.column_names, table.columns):
        values = column.to_pylist()
        if pa.types.is_floating(column.type):
            width = pa.array([], column.type).to_numpy(zero_copy_only=False).dtype
            values = [None if v is None else np.array(v, width).tobytes() for v in values]
        columns[name] = (str(column.type), values)
    return columns


def check_same(merged, single):
    assert merged.column_names == single.column_names
    assert bits(merged) == bits(single)


def shown(table):
    return list(zip(*(table.column(name).to_pylist() for name in ("pmid", "version", "part", "source"))))


# ---- Histories by hand -----------------------------------------------------------------------------------------------


HISTORIES = {
    "the same again": [[(1, 1, 1)], [(1, 1, 1)], [(1, 1, 1), (1, 1, 1)]],
    "another text, and back": [[(1, 1, 0)], [(1, 1, 1)], [(1, 1, 0)]],
    "hits vanish": [[(1, 1, 1)], [(1, 1, 5)], [(1, 1, 1)]],
    "versions up": [[(1, 1, 0)], [(1, 2, 0)], [(1, 3, 1)]],
    "versions down": [[(1, 3, 0)], [(1, 2, 1)], [(1, 1, 3)]],
    "an older version is not remembered": [[(1, 2, 0)], [(1, 1, 1)], [(1, 2, 1)], [(1, 2, 0)]],
    # Alone, the second file's version 3 says nothing new; after the first file its version 1 does not count.
    "a version between two of another file": [[(1, 2, 0)], [(1, 1, 1), (1, 3, 1)], [(1, 3, 1)]],
    "the same version between": [[(1, 2, 0)], [(1, 1, 1), (1, 2, 1), (1, 2, 1)]],
    "deleted": [[(1, 1, 0), (2, 1, 0)], [(1,), (3,), (3,)], [(2, 1, 0)]],
    "deleted and back, as an older version": [[(1, 3, 0)], [(1,)], [(1, 1, 0)], [(1, 1, 0)]],
    "back within the file": [[(1, 1, 0)], [(1, 1, 0), (1,), (1, 1, 0)], [(1, 1, 0)]],
    "deleted before it comes": [[(1,)], [(1, 1, 0)], [(1,), (1, 1, 0)]],
    "sections move": [[(1, 1, 1)], [(1, 1, 2)], [(1, 1, 2)]],
    "nothing to screen": [[(1, 1, 4), (2, 1, 5)], [(1, 1, 5)], [(2, 1, 5)], [(1, 1, 4)]],
    "empty files": [[], [(1, 1, 0)], []],
    "no rows at all": [[], []],
}


@pytest.mark.parametrize("name", HISTORIES)
def test_history(screener, threshold, tmp_path, name):
    paths = write(tmp_path, *HISTORIES[name])
    for mode in MODES:
        single = rows_of(screener, paths, threshold=threshold, **mode)
        check_same(merge(apart(screener, paths, threshold=threshold, **mode)), single)


def test_what_a_history_gives(screener, tmp_path):
    """Spelled out once, so that nothing hides behind the comparison of two runs."""
    paths = write(tmp_path, [(1, 2, 0), (2, 1, 0)], [(1, 1, 3), (1, 3, 3), (2, 1, 0)], [(2,), (1, 3, 3)], [(2, 1, 0)])
    assert shown(merge(apart(screener, paths, all=True))) == [
        (1, 2, "title", "pubmed26n0001.xml"),
        (2, 1, "title", "pubmed26n0001.xml"),
        (1, 3, "title", "pubmed26n0002.xml"),
        (1, 3, "abstract", "pubmed26n0002.xml"),
        (2, 1, "deleted", "pubmed26n0003.xml"),
        (2, 1, "title", "pubmed26n0004.xml"),
    ]


def test_metadata(screener, tmp_path):
    """Columns of the record, too, are those of the record that counts."""
    paths = write(tmp_path, *HISTORIES["a version between two of another file"])

    def table(path, **how):
        with screener.screen(path, all=True, **how) as run:
            return run.to_arrow(metadata=True)

    check_same(merge([table(path, record_rows=True) for path in paths]), table(paths))


def test_a_file_that_fails(screener, tmp_path):
    """With keep_going, what it gave before it failed stands, here and there."""
    paths = write(tmp_path, [(1, 1, 0)], [(1, 1, 1), (2, 1, 0)], [(1, 1, 1), (2, 1, 0)], ends={1: "<oops"})
    how = {"all": True, "keep_going": True}
    single = rows_of(screener, paths, **how)
    assert {pmid for pmid, _, _, source in shown(single) if source == "pubmed26n0002.xml"}
    check_same(merge(apart(screener, paths, **how)), single)


# ---- Histories at random ---------------------------------------------------------------------------------------------


def random_history(chance):
    """3 to 6 files about few PMIDs with few texts, so that most records meet another."""
    pmids, versions, texts = chance.choice([1, 2, 3]), chance.choice([1, 2, 3]), chance.choice([2, 3, len(TEXTS)])

    def event():
        pmid = chance.randint(1, pmids)
        if chance.random() < 0.15:
            return (pmid,)
        return (pmid, chance.randint(1, versions), chance.randrange(texts))

    return [[event() for _ in range(chance.randint(0, 5))] for _ in range(chance.randint(3, 6))]


def check_history(screener, threshold, folder, history, mode):
    """The number of rows that were left out."""
    paths = write(folder, *history)
    single = rows_of(screener, paths, threshold=threshold, **mode)
    tables = apart(screener, paths, threshold=threshold, **mode)
    check_same(merge(tables), single)
    return sum(table.num_rows for table in tables) - single.num_rows


def test_histories_of_hypothesis(screener, threshold, tmp_path):
    """What fails is shown as the shortest history that fails."""
    hypothesis = pytest.importorskip("hypothesis")
    strategy = hypothesis.strategies
    pmids = strategy.integers(1, 2)
    record = strategy.tuples(pmids, strategy.integers(1, 3), strategy.integers(0, len(TEXTS) - 1))
    event = strategy.one_of(record, record, record, strategy.tuples(pmids))
    histories = strategy.lists(strategy.lists(event, max_size=5), min_size=3, max_size=6)

    @hypothesis.settings(
        max_examples=1000 if os.environ.get("ADE_TEST_ALL") else 30, deadline=None, database=None, derandomize=True
    )
    @hypothesis.given(histories, strategy.sampled_from(MODES))
    def check(history, mode):
        check_history(screener, threshold, Path(tempfile.mkdtemp(dir=tmp_path)), history, mode)

    check()


def test_random_histories(screener, threshold, tmp_path):
    left_out = []
    for seed in range(500 if os.environ.get("ADE_TEST_ALL") else 20):
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        history = random_history(chance)
        left_out.append(check_history(screener, threshold, folder, history, MODES[seed % len(MODES)]))
    assert sum(n > 0 for n in left_out) > len(left_out) // 2  # they are histories in which it matters


def test_any_partition_in_any_order(screener, threshold, tmp_path):
    """A group-by of PMIDs, whose groups are in any order, and so are the rows within them."""
    chance = random.Random(3)
    for round_ in range(3):
        folder = tmp_path / str(round_)
        folder.mkdir()
        history = [
            [(chance.randint(1, 9), chance.randint(1, 3), chance.randrange(3)) for _ in range(6)]
            + [(chance.randint(1, 9),)]
            for _ in range(4)
        ]
        paths = write(folder, *history)
        rows = pa.concat_tables(numbered(apart(screener, paths, threshold=threshold, all=True)))
        parts = []
        for group in range(4):
            places = [i for i, pmid in enumerate(rows.column("pmid").to_pylist()) if pmid % 4 == group]
            chance.shuffle(places)
            parts.append(merge(rows.take(places), keep_order=True))
        merged = pa.concat_tables(parts).sort_by([("file", "ascending"), ("row", "ascending")])
        single = rows_of(screener, paths, threshold=threshold, all=True)
        check_same(merged.drop_columns(["file", "row"]), single)
        tables = numbered(apart(screener, paths, threshold=threshold, all=True))
        check_same(merge(tables[::-1]), single)


def test_runs_over_neighbours(screener, threshold, tmp_path):
    """Not only single files: runs over files that lie next to each other."""
    chance = random.Random(5)
    for round_ in range(10):
        folder = tmp_path / str(round_)
        folder.mkdir()
        paths = write(folder, *random_history(chance))
        at = chance.randint(1, len(paths) - 1)
        tables = [rows_of(screener, some, all=True, record_rows=True) for some in (paths[:at], paths[at:])]
        check_same(merge(tables), rows_of(screener, paths, all=True))


# ---- The rule alone --------------------------------------------------------------------------------------------------


def test_decide():
    assert decide([]) == []
    assert decide([(1, 0)]) == [True]  # 0 is a hash like any other
    assert decide([(1, 0), (1, 0), (1, 5), (1, 0)]) == [True, False, True, True]
    assert decide([(2, 5), (1, 6), (2, 6), (2, 6)]) == [True, False, True, False]
    assert decide([(1, None), (1, None), (1, 5), (9, None), (1, 5)]) == [True] * 5


# ---- What merge takes ------------------------------------------------------------------------------------------------


def rows(*of, **types):
    """A table with the columns that decide, from (pmid, version, part, text_hash, file, row)."""
    kinds = {
        **{"pmid": pa.int64(), "version": pa.int32(), "part": pa.string(), "text_hash": pa.uint64()},
        **{"file": pa.int32(), "row": pa.int64()},
        **types,
    }
    return pa.table({name: pa.array([row[i] for row in of], kind) for i, (name, kind) in enumerate(kinds.items())})


HIGH = 2**64 - 1  # of these two hashes, a float sees one
NEXT = 2**64 - 2


def test_hashes_keep_all_their_digits():
    for kind, high, near in ((pa.uint64(), HIGH, NEXT), (pa.int64(), -(2**63) + 1, -(2**63))):
        table = rows(
            *((1, 1, "record", high, 0, 0), (1, 1, "title", None, 0, 1)),
            *((1, 1, "record", near, 1, 0), (1, 1, "title", None, 1, 1)),
            *((1, 1, "record", near, 2, 0), (1, 1, "title", None, 2, 1)),
            text_hash=kind,
        )
        assert merge(table, keep_order=True).to_pydict() == {
            **{"pmid": [1, 1], "version": [1, 1], "part": ["title"] * 2, "file": [0, 1], "row": [1, 1]}
        }


def test_other_columns_and_types():
    table = rows((7, 1, "record", 1, 0, 0), (7, 1, "abstract", None, 0, 1), (7, 1, None, None, 0, 2))
    table = table.append_column("mine", pa.array([["a"], ["b"], None]))
    for part in (pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        changed = table.set_column(2, "part", table.column("part").cast(part))
        merged = merge(changed)
        assert merged.column_names == ["pmid", "version", "part", "mine"] and merged.schema.field("part").type == part
        assert merged.column("mine").to_pylist() == [["b"], None]
    # A row that says that a file failed belongs to no record, and stays.
    assert merge(rows((0, 0, "file", None, 0, 0), (0, 0, "file", None, 1, 0))).num_rows == 2
    assert merge(table.slice(0, 0)).num_rows == 0


def test_what_is_refused():
    record, title = (7, 1, "record", 1, 0, 0), (7, 1, "title", None, 0, 1)
    good = rows(record, title)
    assert merge([good]).num_rows == 1
    for tables, message in [
        ([], "no table"),
        (good.drop_columns(["text_hash"]), "'text_hash'; screen each file with record_rows=True"),
        ([good, good.drop_columns(["row"])], "table 1 has a column 'file', but not both"),
        ([good, good.drop_columns(["file", "row"])], "table 1 has no columns 'file' and 'row'"),
        ([good, rows(record, version=pa.int64())], "table 1 and of table 0 differ"),
        (rows(record, title, text_hash=pa.float64()), "'text_hash' is of type double"),
        (good.append_column("pmid", good.column("pmid")), "table 0 has more than one column 'pmid'"),
        (good.set_column(2, "part", pa.array([[1], [2]])), "'part' is of type list<.*>, not of strings"),
        (rows(record, (None, 1, "title", None, 0, 1)), "row 1 of all tables has no value in the column 'pmid'"),
        (rows((7, 1, "record", None, 0, 0), title), "row 0 of file 0, of PMID 7, .* has no text_hash"),
        ([good, good], "row 0 of file 0, of PMID 7, is there twice"),
        (rows(title), "row 1 of file 0, of PMID 7, does not follow"),
        (rows((8, 1, "record", 1, 0, 0), title), "PMID 7, does not follow"),
        (rows(record, (7, 1, "title", None, 1, 0)), "row 0 of file 1, of PMID 7, does not follow"),
        (rows(record, (7, 2, "title", None, 0, 1)), "does not follow"),
        (rows((7, 1, "deleted", None, 0, 0), title), "does not follow"),
    ]:
        with pytest.raises(ValueError, match=message):
            merge(tables)
    for wrong in ("rows.parquet", [good.to_batches()[0]], [None]):
        with pytest.raises(TypeError, match="table 0 is .*, not pyarrow.Table"):
            merge(wrong)


def test_record_rows_and_a_store(screener, tmp_path):
    (path,) = write(tmp_path, [(1, 1, 0)])
    with pytest.raises(ValueError, match="store"):
        screener.screen(path, record_rows=True, store=tmp_path / "store.sqlite")
