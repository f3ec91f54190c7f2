# SPDX-License-Identifier: Apache-2.0
"""A screening's rows as Arrow columns, without an object for each row.

The library writes its rows into an array of its own structs, of which numpy sees the numbers as columns. Only what
they point to is copied one by one, because the next row may take its place: texts as bytes, undecoded, which Arrow
checks and joins when a batch is made.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from ctypes import byref, string_at
from typing import Any

import numpy as np

from . import _ffi
from ._optional import need

PARTS = [part.name.lower() for part in sorted(_ffi.Part)]
MOST_BYTES = 256 << 20  #: of texts in a batch; Arrow's offsets could hold eight times as much

# ---- The structs, as numpy and struct see them ------------------------------------------------------------------

_ROW_SIZE = ctypes.sizeof(_ffi.ScreenRow)
_RECORD_SIZE = ctypes.sizeof(_ffi.ScreenRecord)
_WORD = "Q" if ctypes.sizeof(ctypes.c_void_p) == 8 else "I"


def _offset(kind: type[ctypes.Structure], path: str) -> int:
    """Of a member, or of a member's member: "result.score"."""
    first, _, rest = path.partition(".")
    at = int(getattr(kind, first).offset)
    members: dict[str, Any] = {field[0]: field[1] for field in kind._fields_}
    return at + _offset(members[first], rest) if rest else at


def _numbers(kind: type[ctypes.Structure], members: dict[str, str]) -> np.dtype[Any]:
    """A view of the members that are numbers: path -> numpy's type."""
    return np.dtype(
        {
            "names": [path.rpartition(".")[2] for path in members],
            "formats": list(members.values()),
            "offsets": [_offset(kind, path) for path in members],
            "itemsize": ctypes.sizeof(kind),
        }
    )


def _words(kind: type[ctypes.Structure], members: dict[str, str]) -> struct.Struct:
    """Takes these members out of a struct's bytes, in the order of its own: name -> struct's letters."""
    form, at = "=", 0
    for name, letters in members.items():
        form += f"{_offset(kind, name) - at}x{letters}"
        at = _offset(kind, name) + struct.calcsize("=" + letters)
    return struct.Struct(form)


_ROW = _numbers(
    _ffi.ScreenRow,
    {
        "struct_size": "u4",
        "part": "i4",
        "pmid": "i8",
        "version": "i4",
        "sentence": "i4",
        "start_char": "u8",
        "end_char": "u8",
        "result.label": "i4",
        "result.score": "f4",
        "result.tokens": "i4",
        "result.unknown": "i4",
        "result.truncated": "i4",
        "hit": "i4",
        "calibrated": "f8",
        "text_hash": "u8",
    },
)
_ROW_WORDS = _words(
    _ffi.ScreenRow,
    {"part": "i", "sentence": "i", "section": _WORD * 2, "text": _WORD * 2, "source": _WORD, "record": _WORD},
)

_RECORD_FLAGS = ["book", "retracted", "mesh_adverse_effects", "mesh_chemically_induced"]
_RECORD_COUNTS = ["n_sentences", "n_screened", "n_hits"]
_RECORD_SHARES = ["score", "noisy_or"]
_RECORD_TEXTS = ["title", "date", "date_revised", "journal", "doi"]
_RECORD_LISTS = ["languages", "publication_types", "mesh", "chemicals"]
_RECORD = _numbers(
    _ffi.ScreenRecord,
    {
        **dict.fromkeys(_RECORD_FLAGS, "i4"),
        **dict.fromkeys(_RECORD_COUNTS, "u4"),
        **dict.fromkeys(_RECORD_SHARES, "f8"),
    },
)
_RECORD_WORDS = _words(_ffi.ScreenRecord, dict.fromkeys(_RECORD_TEXTS + _RECORD_LISTS, _WORD * 2))


def _copy_list(address: int, n: int) -> list[bytes]:
    words = struct.unpack(f"={2 * n}{_WORD}", string_at(address, n * ctypes.sizeof(_ffi.Text)))
    return [string_at(at, size) for at, size in zip(words[::2], words[1::2])]


class _Record:
    """A citation, copied out of the library's memory."""

    __slots__ = ("numbers", "texts", "lists", "size")

    def __init__(self, numbers: bytes) -> None:
        self.numbers = numbers
        words = _RECORD_WORDS.unpack_from(self.numbers)
        n = 2 * len(_RECORD_TEXTS)
        self.texts = [string_at(at, size) if size else None for at, size in zip(words[0:n:2], words[1:n:2])]
        self.lists = [_copy_list(at, size) for at, size in zip(words[n::2], words[n + 1 :: 2])]
        self.size = sum(words[1:n:2]) + sum(len(text) for texts in self.lists for text in texts)


_NO_RECORD = bytes(_RECORD_SIZE)


class Last:
    """What was made of the record of the row before: a record's rows come one after another, and mostly it is the same.

    It is if the struct has not changed, addresses and scores and all, and the sentence is a later one.
    """

    def __init__(self) -> None:
        self._numbers = b""
        self._sentence = 0
        self._made: Any = None

    def made(self, address: int, sentence: int, make: Callable[[bytes], Any]) -> Any:
        """What ``make`` makes of the struct's bytes, or has made of them for the row before."""
        numbers = string_at(address, _RECORD_SIZE)
        if self._made is None or sentence <= self._sentence or numbers != self._numbers:
            self._made, self._numbers = make(numbers), numbers
        self._sentence = sentence
        return self._made


# ---- Rows -------------------------------------------------------------------------------------------------------


class Rows:
    """Rows that have been fetched and wait to become a batch."""

    def __init__(self, records: bool) -> None:
        self._with_records = records
        self._numbers: list[np.ndarray[Any, Any]] = []
        self._sections: list[bytes | None] = []
        self._texts: list[bytes] = []
        self._sources: list[bytes] = []
        self._records: list[_Record | None] = []
        self._last = Last()
        self.size = 0  #: bytes that the columns' texts will have

    def __len__(self) -> int:
        return len(self._texts)

    def fetch(self, call: Callable[..., int], handle: Any, most: int) -> tuple[int, bool]:
        """Fetches up to ``most`` rows by ``call``, ade_screen_next, and none behind `MOST_BYTES` of texts.

        Returns
        -------
        status : int
            0, or what the call that ended it came to.
        file_ends : bool
            Whether a row of part FILE ended it, which is not kept.
        """
        block = (_ffi.ScreenRow * most)()
        numbers = np.frombuffer(memoryview(block).cast("B"), dtype=_ROW)
        numbers["struct_size"] = _ROW_SIZE
        first, unpack = block[0], _ROW_WORDS.unpack_from
        sections, texts, sources, records = self._sections, self._texts, self._sources, self._records
        with_records, file_part = self._with_records, int(_ffi.Part.FILE)
        last = self._last.made
        status, file_ends, n, size = 0, False, 0, 0
        while n < most and size < MOST_BYTES:
            status = call(handle, byref(first, n * _ROW_SIZE))
            if status:
                break
            part, sentence, section, section_size, text, text_size, source, record = unpack(block, n * _ROW_SIZE)
            if part == file_part:
                file_ends = True
                break
            sections.append(string_at(section, section_size) if section else None)
            texts.append(string_at(text, text_size))
            sources.append(string_at(source) if source else b"")
            size += text_size
            if with_records:
                made = last(record, sentence, _Record) if record else None
                records.append(made)
                size += made.size if made is not None else 0
            n += 1
        if n:
            self._numbers.append(numbers if n == most else numbers[:n].copy())  # few rows do not keep the whole block
            self.size += size
        return status, file_ends

    def cut(self, length: int) -> None:
        """Forgets the rows behind the first ``length``."""
        left = len(self) - length
        for column in (self._sections, self._texts, self._sources, self._records):
            del column[length:]
        while left > 0:
            last = self._numbers.pop()
            if len(last) > left:
                self._numbers.append(last[: len(last) - left])
            left -= len(last)

    # ---- Columns ----

    def batch(self, schema: Any, labels: Sequence[str]) -> Any:
        """The rows as a record batch with the columns of ``schema``, whose names say what they hold."""
        pa = need("pyarrow", "arrow")
        row = np.concatenate(self._numbers) if self._numbers else np.empty(0, dtype=_ROW)
        # A deleted record, a mark, and a document of which no sentence was screened: nothing has been scored.
        unscored = row["sentence"] < 0
        for part in (_ffi.Part.DELETED, _ffi.Part.RECORD):
            unscored |= row["part"] == part
        made: dict[str, Any] = {}

        def numbers(name: str, values: Any, null: Any = None) -> None:
            if name in wanted:
                made[name] = pa.array(values, type=schema.field(name).type, mask=null)

        def words(name: str, indices: Any, known: Sequence[str], null: Any = None) -> None:
            if name in wanted:
                made[name] = pa.array(known, pa.string()).take(pa.array(indices, pa.int32(), mask=null))

        wanted = set(schema.names)
        no_part = unscored & (row["part"] <= _ffi.Part.ABSTRACT)
        numbers("pmid", row["pmid"])
        numbers("version", row["version"])
        words("part", row["part"], PARTS, no_part)
        made["section"] = _strings(pa, self._sections)
        for name, values in (("sentence", row["sentence"]), ("start", row["start_char"]), ("end", row["end_char"])):
            numbers(name, values, unscored)
        if "text" in wanted:
            made["text"] = _strings(pa, [None if no else text for no, text in zip(unscored.tolist(), self._texts)])
        words("label", row["label"], labels or [""], unscored if labels else np.ones(len(row), dtype=bool))
        numbers("score", row["score"], unscored)
        numbers("calibrated", row["calibrated"], unscored | (row["calibrated"] < 0))
        numbers("hit", row["hit"] != 0)
        numbers("tokens", row["tokens"], unscored)
        numbers("unknown", row["unknown"], unscored)
        numbers("truncated", row["truncated"] != 0, unscored)
        made["source"] = _strings(pa, self._sources)
        numbers("text_hash", row["text_hash"], row["part"] != _ffi.Part.RECORD)
        if self._with_records:
            self._add_records(pa, made, numbers, unscored)
        return pa.RecordBatch.from_arrays([made[name] for name in schema.names], schema=schema)

    def _add_records(self, pa: Any, made: dict[str, Any], numbers: Callable[..., None], unscored: Any) -> None:
        raw = b"".join(_NO_RECORD if record is None else record.numbers for record in self._records)
        row = np.frombuffer(raw, dtype=_RECORD)
        none = np.fromiter((record is None for record in self._records), dtype=bool, count=len(self._records))
        for name in _RECORD_FLAGS:
            numbers(name, row[name] != 0, none)
        for name in _RECORD_COUNTS:
            numbers(name, row[name], none)
        numbers("document_score", row["score"], none | (row["n_screened"] == 0))
        numbers("noisy_or", row["noisy_or"], none | (row["n_screened"] == 0))
        for i, name in enumerate(_RECORD_TEXTS):
            made[name] = _strings(pa, [None if record is None else record.texts[i] for record in self._records])
        for i, name in enumerate(_RECORD_LISTS):
            made[name] = _lists(pa, [None if record is None else record.lists[i] for record in self._records])


def _strings(pa: Any, texts: Sequence[bytes | None]) -> Any:
    try:
        return pa.array(texts, type=pa.string())  # checks that they are UTF-8
    except pa.ArrowInvalid:
        return pa.array([None if text is None else text.decode("utf-8", "replace") for text in texts], pa.string())


def _lists(pa: Any, lists: Sequence[list[bytes] | None]) -> Any:
    form = pa.list_(pa.string())
    try:
        return pa.array(lists, type=form)
    except pa.ArrowInvalid:
        return pa.array(
            [None if texts is None else [text.decode("utf-8", "replace") for text in texts] for texts in lists], form
        )


# ---- Schema -----------------------------------------------------------------------------------------------------


def schema(metadata: bool = False, documents: bool = False, record_rows: bool = False) -> Any:
    """The columns of a screening's tables.

    Parameters
    ----------
    metadata : bool
        With the record's columns.
    documents : bool
        As for a run of ``documents=True``: also ``n_sentences``, ``n_hits`` and ``noisy_or`` of the record.
    record_rows : bool
        As for a run of ``record_rows=True``: also ``text_hash``.

    Returns
    -------
    pyarrow.Schema

    Raises
    ------
    ImportError
        pyarrow is not installed.

    Examples
    --------
    >>> import adesieve.screening
    >>> adesieve.screening.schema().names[:5]
    ['pmid', 'version', 'part', 'section', 'sentence']
    """
    pa = need("pyarrow", "arrow")
    fields = {
        "pmid": pa.int64(),
        "version": pa.int32(),
        "part": pa.string(),
        "section": pa.string(),
        "sentence": pa.int32(),
        "start": pa.int64(),
        "end": pa.int64(),
        "text": pa.string(),
        "label": pa.string(),
        "score": pa.float32(),
        "calibrated": pa.float64(),
        "hit": pa.bool_(),
        "tokens": pa.int32(),
        "unknown": pa.int32(),
        "truncated": pa.bool_(),
        "source": pa.string(),
    }
    if record_rows:
        fields["text_hash"] = pa.uint64()
    if documents or metadata:
        fields.update({"n_sentences": pa.int32(), "n_hits": pa.int32(), "noisy_or": pa.float64()})
    if metadata:
        fields.update({"n_screened": pa.int32(), "document_score": pa.float64()})
        fields.update(dict.fromkeys(_RECORD_TEXTS, pa.string()))
        fields.update(dict.fromkeys(_RECORD_LISTS, pa.list_(pa.string())))
        fields.update(dict.fromkeys(_RECORD_FLAGS, pa.bool_()))
    return pa.schema(list(fields.items()))


_NEVER_NULL = {"pmid": "int64", "version": "int32", "hit": "bool"}


def frame(table: Any) -> Any:
    """The table as a pandas DataFrame. Whole numbers and flags that can be missing get pandas' nullable types, so that
    the columns' types never depend on the rows."""
    pd = need("pandas", "pandas")
    pa = need("pyarrow", "arrow")
    nullable = {
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    found = table.to_pandas(types_mapper=nullable.get)
    return found.astype({name: kind for name, kind in _NEVER_NULL.items() if name in found})
