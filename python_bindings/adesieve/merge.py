# SPDX-License-Identifier: Apache-2.0
"""Rows of files that were screened apart become the rows of one run over all of them.

A run over many files knows what it has met: a record that comes again with the same text gives no rows again, an older
version gives none, a changed one gives new ones. Workers that screen a file each know nothing of each other, so their
rows together are more than those of one run. With ``record_rows=True`` they also say which records they met, and
`merge` leaves out what a single run would not have given:

>>> import adesieve, pyarrow
>>> from adesieve.merge import merge
>>> files = adesieve.inputs(["tests/data/medline/pubmed1.xml", "tests/data/medline/handmade.xml"])
>>> def apart(file):  # in as many processes, on as many machines as there are
...     with clf.screen(file, record_rows=True) as run:
...         return run.to_arrow()
>>> rows = merge([apart(file) for file in files])
>>> rows.equals(clf.screen(files).to_arrow())
True
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._optional import need

if TYPE_CHECKING:
    import pyarrow as pa

_NEEDED = ("pmid", "version", "part", "text_hash")
_PLACE = ("file", "row")

# What a row is to its PMID's history; one of any other part is a sentence's or a document's. "file": it says why a file
# failed, and belongs to no PMID.
_PARTS = ("record", "deleted", "file")
_TEXT, _RECORD, _DELETED = 0, 1, 2

_Array = npt.NDArray[Any]


def decide(history: Iterable[tuple[int, int | None]]) -> list[bool]:
    """Which records of one PMID give rows in a run that reads all of them: the rule of a run without a store.

    Parameters
    ----------
    history : iterable of (version, text hash)
        The PMID's records in the run's order; a hash of None stands for a deletion.

    Returns
    -------
    list of bool
        One a record. A deletion always gives a row.

    Examples
    --------
    New; the same text; another one; an older version; deleted; new again:

    >>> decide([(1, 11), (2, 11), (2, 22), (1, 33), (1, None), (1, 11)])
    [True, False, True, False, True, True]
    """
    counts = []
    known_version = 0  # nothing is known, or it was deleted: any version is new
    known_text: int | None = None
    for version, text in history:
        if text is None:
            known_version, known_text = 0, None
            counts.append(True)
        elif version < known_version:  # superseded, and not remembered
            counts.append(False)
        else:
            counts.append(text != known_text)
            known_version, known_text = version, text
    return counts


def merge(tables: pa.Table | Iterable[pa.Table], *, keep_order: bool = False) -> pa.Table:
    """The rows of one run over all files, from rows of files screened apart with ``record_rows=True``.

    Parameters
    ----------
    tables : pyarrow.Table or iterable of pyarrow.Table
        The rows of all files, or of some PMIDs in all files: a PMID's rows must be together. Either all have the
        columns ``file`` (the file's place in `adesieve.inputs`) and ``row`` (the row's place among its file's rows),
        and their order is free; or none has, and each table holds, in order, the rows of one run over a file or over
        files that lie next to each other in `adesieve.inputs`, and so do the tables. Other columns are handed through.
    keep_order : bool
        Whether the result keeps the columns ``file`` and ``row``, for sorting the results of several calls together.

    Returns
    -------
    pyarrow.Table
        In the order of files and rows, without the rows of part "record" and without the column ``text_hash``.

    Raises
    ------
    ValueError
        A column is missing or of the wrong type, a row is there twice, or a record's row is missing; also where the
        tables' columns differ.
    TypeError
        Something is not a pyarrow.Table.
    ImportError
        pyarrow is not installed.

    Examples
    --------
    A record that comes again with the same text gives its rows once:

    >>> from adesieve.merge import merge
    >>> table = clf.screen("tests/data/medline/pubmed1.xml", all=True, record_rows=True).to_arrow()
    >>> merge([table, table]).equals(clf.screen("tests/data/medline/pubmed1.xml", all=True).to_arrow())
    True
    """
    pa = need("pyarrow", "arrow")
    table = _one_table(tables, pa)
    chosen = _Rows(table, pa).chosen()
    if (np.diff(chosen) > 0).all():  # in order already: no text need be moved
        mask = np.zeros(table.num_rows, bool)
        mask[chosen] = True
        table = table.filter(pa.array(mask))
    else:
        table = table.take(pa.array(chosen))
    return table.drop_columns(["text_hash", *(() if keep_order else _PLACE)])


# ---- Reading the tables ---------------------------------------------------------------------------------------------


def _one_table(tables: Any, pa: Any) -> Any:
    tables = [tables] if isinstance(tables, pa.Table) else list(tables)
    if not tables:
        raise ValueError("there is no table to merge; a file without rows has a table, too, which is empty")
    placed = []
    for i, table in enumerate(tables):
        if not isinstance(table, pa.Table):
            raise TypeError(f"table {i} is {type(table).__name__}, not pyarrow.Table")
        missing = [name for name in _NEEDED if name not in table.column_names]
        if missing:
            raise ValueError(f"table {i} has no column {missing[0]!r}; screen each file with record_rows=True")
        twice = [name for name in (*_NEEDED, *_PLACE) if table.column_names.count(name) > 1]
        if twice:
            raise ValueError(f"table {i} has more than one column {twice[0]!r}")
        places = [name for name in _PLACE if name in table.column_names]
        if len(places) == 1:
            raise ValueError(f"table {i} has a column {places[0]!r}, but not both of 'file' and 'row'")
        placed.append(len(places) == 2)
    if any(placed) and not all(placed):
        raise ValueError(
            f"table {placed.index(False)} has no columns 'file' and 'row', but table {placed.index(True)} has; "
            f"give all of them these columns, or none"
        )
    if not placed[0]:
        tables = [
            table.append_column("file", pa.repeat(pa.scalar(i, pa.int32()), table.num_rows)).append_column(
                "row", pa.array(np.arange(table.num_rows, dtype=np.int64))
            )
            for i, table in enumerate(tables)
        ]
    for i, table in enumerate(tables):
        if not table.schema.equals(tables[0].schema):
            raise ValueError(f"the columns of table {i} and of table 0 differ in name, order or type")
    return pa.concat_tables(tables)


def _integers(table: Any, name: str, pa: Any) -> _Array:
    """(n,): a column's values; 0 for a null where there may be one."""
    column = table.column(name)
    if not pa.types.is_integer(column.type):  # a float would have lost digits of the hash
        raise ValueError(f"the column {name!r} is of type {column.type}, not of integers")
    if column.null_count and name != "text_hash":
        i = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise ValueError(f"row {i} of all tables has no value in the column {name!r}")
    values: _Array = column.fill_null(0).to_numpy()
    return values


# ---- Deciding -------------------------------------------------------------------------------------------------------


class _Rows:
    """The columns that decide, sorted by PMID, file and row; each (n,)."""

    def __init__(self, table: Any, pa: Any) -> None:
        pc = need("pyarrow.compute", "arrow")
        try:
            part = table.column("part").cast(pa.string())
        except pa.ArrowNotImplementedError:
            raise ValueError(f"the column 'part' is of type {table.column('part').type}, not of strings") from None
        parts = pc.index_in(part, value_set=pa.array(_PARTS))
        pmid, version, text, file, row = (
            _integers(table, name, pa) for name in ("pmid", "version", "text_hash", *_PLACE)
        )
        self.order = np.lexsort((row, file, pmid))  # their places in the table
        self.kind: _Array = parts.fill_null(-1).to_numpy()[self.order] + 1
        self.pmid, self.version, self.text, self.file, self.row = (
            column[self.order] for column in (pmid, version, text, file, row)
        )
        without = table.column("text_hash").is_null().to_numpy()[self.order]
        self._refuse((self.kind == _RECORD) & without, "is of part 'record', but has no text_hash")

    def _refuse(self, wrong: _Array, why: str) -> None:
        """Names the first row that is wrong."""
        if wrong.any():
            i = int(np.flatnonzero(wrong)[0])
            raise ValueError(f"row {self.row[i]} of file {self.file[i]}, of PMID {self.pmid[i]}, {why}")

    def chosen(self) -> _Array:
        """(m,): the places in the table of the rows of one run over all files, in its order."""
        counts = self._counts()
        order = np.lexsort((self.row[counts], self.file[counts]))
        places: _Array = self.order[counts][order]
        return places

    def _counts(self) -> _Array:
        """(n,) bool: whether one run over all files gives the row."""
        n = len(self.pmid)
        again = np.zeros(n, bool)
        again[1:] = (np.diff(self.pmid) == 0) & (np.diff(self.file) == 0) & (np.diff(self.row) == 0)
        self._refuse(again, "is there twice")
        mark = np.isin(self.kind, (_RECORD, _DELETED))
        text = self.kind == _TEXT
        own = np.maximum.accumulate(np.where(mark, np.arange(n), -1))  # the mark that the row belongs to; -1 for none
        alien = own < 0
        for column in (self.pmid, self.file, self.version):
            alien |= column[own] != column
        self._refuse(
            text & (alien | (self.kind[own] != _RECORD)),
            "does not follow a row of its record; screen each file with record_rows=True, and keep the rows of a PMID "
            "together",
        )
        counts: _Array = self.kind != _RECORD
        decided = np.ones(n, bool)
        marks = np.flatnonzero(mark)
        for several in _groups(self.pmid[marks]):
            at = marks[several]
            version, text_hash, kind = (column[at].tolist() for column in (self.version, self.text, self.kind))
            decided[at] = decide((v, None if k == _DELETED else h) for v, h, k in zip(version, text_hash, kind))
        counts[text] = decided[own[text]]
        return counts


def _groups(values: _Array) -> list[slice]:
    """Where, in sorted values, one is there more than once."""
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])) if len(values) else np.empty(0, int)
    ends = np.append(starts[1:], len(values))
    many = ends - starts > 1
    return [slice(start, end) for start, end in zip(starts[many].tolist(), ends[many].tolist())]
