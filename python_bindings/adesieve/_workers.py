# SPDX-License-Identifier: Apache-2.0
"""What the workers of Ray and of Spark have in common: rows of one file, and telling which PMIDs need merging."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import screening
from ._inputs import inputs
from ._optional import need
from .classifier import Classifier
from .errors import Error

if TYPE_CHECKING:
    import pyarrow as pa

Integers = npt.NDArray[np.int64]

#: A row of this part says, in ``text``, why the file ``source`` could not be read to its end.
FAILED = "file"
#: A row of this part says that a record was read; `adesieve.merge.merge` needs and removes it.
RECORD = "record"

_SETTINGS = frozenset(inspect.signature(Classifier).parameters)
# What makes no sense for one file of many: a store and the bars belong to one process, the rest is the engine's own.
_SCREEN = frozenset(inspect.signature(Classifier.screen).parameters) - {
    "self",
    "paths",
    "store",
    "limit",
    "progress",
    "keep_going",
    "record_rows",
}


def split(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those of `Classifier` and those of `Classifier.screen`; ``TypeError`` names what is neither."""
    for name in options:
        if name not in _SETTINGS and name not in _SCREEN:
            raise TypeError(
                f"{name!r} is not an option here; there are those of Classifier ({', '.join(sorted(_SETTINGS))}) "
                f"and of screening ({', '.join(sorted(_SCREEN))})"
            )
    return (
        {name: value for name, value in options.items() if name in _SETTINGS},
        {name: value for name, value in options.items() if name in _SCREEN},
    )


def absolute(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with paths that are right in a worker, too, whose working folder is another."""
    return {
        name: os.path.abspath(value) if name in ("model", "calibration", "prefilter") and value else value
        for name, value in options.items()
    }


def schema(options: Mapping[str, Any], record_rows: bool, metadata: bool = False) -> pa.Schema:
    """Of a worker's rows: `screening.schema`, and with ``record_rows`` what the merge needs beside it."""
    pa = need("pyarrow", "arrow")
    rows: Any = screening.schema(metadata, bool(options.get("documents", False)), record_rows)
    if record_rows:
        rows = rows.append(pa.field("file", pa.int32())).append(pa.field("row", pa.int64()))
    return rows


def rows_of(
    classifier: Classifier,
    path: str,
    file: int,
    options: Mapping[str, Any],
    *,
    record_rows: bool,
    metadata: bool,
    keep_going: bool,
    batch_rows: int,
) -> Iterator[pa.RecordBatch]:
    """One file's rows, a batch at a time; at least one batch, which may be empty, so that the columns are known.

    An error of the file is raised, or, with ``keep_going``, becomes the last row. One of a setting is always raised.
    """
    pa = need("pyarrow", "arrow")
    wanted, row, failed = schema(options, record_rows, metadata), 0, None
    if keep_going:
        try:
            inputs(path)
        except Error as error:  # it could not even be begun
            failed = str(error)
    if failed is None:
        with classifier.screen(path, record_rows=record_rows, keep_going=keep_going, **options) as run:
            for batch in run.batches(batch_rows, metadata=metadata):
                columns = {name: batch.column(name) for name in batch.schema.names}
                columns["file"] = pa.repeat(pa.scalar(file, pa.int32()), batch.num_rows)
                columns["row"] = pa.array(np.arange(row, row + batch.num_rows, dtype=np.int64))
                row += batch.num_rows
                yield pa.RecordBatch.from_arrays([columns[field.name] for field in wanted], schema=wanted)
            failed = next((found.error for found in run.files if found.status == "failed"), None)
    if failed is not None:
        said = {"pmid": 0, "version": 0, "part": FAILED, "text": failed, "hit": False, "source": os.path.basename(path)}
        said.update(file=file, row=row)
        yield pa.RecordBatch.from_pylist([said], schema=wanted)
    elif row == 0:
        yield pa.RecordBatch.from_pylist([], schema=wanted)


def classified(classifier: Classifier, batch: Any, column: str, prefix: str) -> Any:
    """``batch``, a table or record batch, with the columns label, score and, if calibrated, calibrated."""
    pa = need("pyarrow", "arrow")
    names = [prefix + "label", prefix + "score", prefix + "calibrated"]
    if column not in batch.schema.names:
        raise KeyError(f"there is no column {column!r}; there are {', '.join(batch.schema.names)}")
    taken = [name for name in names if name in batch.schema.names]
    if taken:
        raise ValueError(f"there is a column {taken[0]!r} already; give a prefix, such as prefix=\"ade_\"")
    texts = batch.column(column)
    results = classifier.classify(texts)
    calibrated = pa.nulls(len(results), pa.float64()) if results.calibrated is None else results.calibrated
    label = pa.nulls(len(results), pa.string()) if results.label is None else results.label
    columns = (pa.array(label, pa.string()), pa.array(results.score), pa.array(calibrated, pa.float64()))
    for name, found in zip(names, columns):
        batch = batch.append_column(name, found)
    return batch


# ---- Which PMIDs occur more than once -----------------------------------------------------------------------------

#: Rows of these parts say, one each, that a PMID occurred: `adesieve.merge.merge` decides by them.
OCCURRENCES = (RECORD, "deleted")


def occurrences(rows: Any) -> Integers:
    """(n,): the PMID of each record and deletion among the rows, as often as it occurs."""
    pa, pc = need("pyarrow", "arrow"), need("pyarrow.compute", "arrow")
    rows = rows.filter(pc.is_in(rows.column("part"), pa.array(OCCURRENCES)))
    pmids: Integers = rows.column("pmid").to_numpy()
    return pmids


def repeated(parts: Iterable[Integers]) -> Integers:
    """(n,): the PMIDs that occur more than once, in one file or several, ascending, from all rows' `occurrences`."""
    found = np.concatenate([np.empty(0, np.int64), *parts])
    found.sort()
    more: Integers = np.unique(found[1:][found[1:] == found[:-1]])
    return more


def check_columns(names: Iterable[str]) -> None:
    """``ValueError`` for rows that cannot be merged."""
    missing = {"pmid", "version", "part", "text_hash", "file", "row"}.difference(names)
    if missing:
        raise ValueError(f"the rows have no column {min(missing)!r}; screen the files with record_rows=True")


def left_out(keep_order: bool) -> list[str]:
    """The columns that a merge removes."""
    return ["text_hash"] if keep_order else ["text_hash", "file", "row"]


def _is_in(rows: Any, pmids: Integers) -> npt.NDArray[np.bool_]:
    wanted = rows.column("pmid").to_numpy()
    if not len(pmids):
        return np.zeros(len(wanted), bool)
    at = np.searchsorted(pmids, wanted)
    at[at == len(pmids)] = 0
    return np.asarray(pmids[at] == wanted)


def single(rows: Any, pmids: Integers, keep_order: bool) -> Any:
    """The rows of a run for the PMIDs that occur once: all that are not in ``pmids``."""
    pa, pc = need("pyarrow", "arrow"), need("pyarrow.compute", "arrow")
    sentence = pc.fill_null(pc.not_equal(rows.column("part"), RECORD), True)  # a document's part may be null
    return rows.filter(pc.and_(pa.array(~_is_in(rows, pmids)), sentence)).drop_columns(left_out(keep_order))


def several(rows: Any, pmids: Integers, buckets: int) -> Any:
    """The rows of ``pmids`` with a column ``bucket``, the same for all rows of a PMID."""
    pa = need("pyarrow", "arrow")
    rows = rows.filter(pa.array(_is_in(rows, pmids)))
    return rows.append_column("bucket", pa.array(np.asarray(rows.column("pmid").to_numpy() % buckets, np.int32)))
