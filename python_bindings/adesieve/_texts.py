# SPDX-License-Identifier: Apache-2.0
"""What a caller gives as texts, as the addresses and sizes that the library reads.

Strings become UTF-8 once, a block at a time, straight into the buffer that the library reads. Arrow's strings are UTF-8
already and stay where they are: only their addresses are computed, by numpy, without a Python step a text. That holds
for what is Arrow inside, too: pandas' columns with Arrow storage and those of polars.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Union

import numpy as np
import numpy.typing as npt

#: What the public methods take. Arrow arrays and data frames' columns are iterables of things of their own.
Texts = Union[str, Iterable[Any]]
Views = npt.NDArray[np.uintp]

BLOCK_TEXTS = 1 << 18  # handed to the library at a time; enough that what it waits for at a block's end does not count
BLOCK_BYTES = 64 << 20  # of UTF-8 made at a time
PIECE_TEXTS = 8192  # taken from an iterator at a time
PIECE_CHARACTERS = 8 << 20
GROUP = 64  # texts encoded between two looks at the size

_WANTED = "a str, or a list, array or column of str, is needed"


@dataclass(frozen=True)
class Block:
    """Some of the texts, next to each other.

    Attributes
    ----------
    first : int
        The number of its first text among all.
    views : numpy.ndarray, uintp, (texts, 2)
        An ``ade_text`` each: address and bytes.
    keep : object
        What holds the memory.
    """

    first: int
    views: Views
    keep: Any

    def __len__(self) -> int:
        return len(self.views)

    def data(self, i: int) -> bytes:
        """A copy of text ``first + i``, in UTF-8."""
        address, size = self.views[i].tolist()
        return ctypes.string_at(address, size) if size else b""


@dataclass(frozen=True)
class Source:
    """Texts to come.

    Attributes
    ----------
    count : int or None
        How many; None for an iterator, which does not say.
    alone : {"", "str", "dict"}
        What the caller gave, where it was one text and no container.
    """

    count: int | None
    alone: str
    _cut: Callable[[int], Iterator[Block]]

    @property
    def streamed(self) -> bool:
        return self.count is None

    def blocks(self, texts: int | None = None) -> Iterator[Block]:
        """The blocks in order, of at most ``texts``. Each lives until the next one is asked for."""
        return self._cut(texts or (PIECE_TEXTS if self.streamed else BLOCK_TEXTS))


def read(texts: object) -> Source:
    """Looks at what the caller gave. The types of all texts are checked here, but for an iterator's.

    Raises
    ------
    TypeError
        Where it holds no texts, or not only texts; the first that is none is named.
    """
    if isinstance(texts, str):
        return _listed([texts], "str")
    if isinstance(texts, Mapping):
        return _listed([_from_mapping(texts, "texts")], "dict")
    if isinstance(texts, np.ndarray):
        return _from_numpy(texts)
    _refuse(texts)
    for package, known in (("pyarrow", _from_pyarrow), ("pandas", _from_pandas), ("polars", _from_polars)):
        module = sys.modules.get(package)  # what is not loaded made no such object
        found = known(module, texts) if module is not None else None
        if found is not None:
            return found
    if hasattr(texts, "__arrow_c_stream__") or hasattr(texts, "__arrow_c_array__"):
        found = _from_capsule(texts)
        if found is not None:
            return found
    return _from_iterable(texts)


# ---- One text ---------------------------------------------------------------------------------------------------


def _from_mapping(text: Mapping[Any, Any], name: str) -> str:
    """``{"text": "..."}``, as a transformers pipeline takes it."""
    if "text_pair" in text:
        raise TypeError(
            f"{name} has a text_pair; a sentence classifier takes single texts: join the two, or leave one out"
        )
    if set(text) != {"text"}:
        raise TypeError(f"{name} is {_kind(text)}; {_WANTED}, such as the values of one of its keys")
    return _plain(text["text"], name)


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _is_missing(value: object) -> bool:
    if isinstance(value, float):
        return value != value
    return value is None or type(value).__name__ in ("NAType", "NaTType", "MaskedConstant")


def _plain(text: object, name: str) -> str:
    """The text as a str, or a TypeError that says what it is instead."""
    if isinstance(text, str):
        return text
    if isinstance(text, Mapping):
        return _from_mapping(text, name)
    cure = ""
    if isinstance(text, (bytes, bytearray, memoryview)):
        cure = "; decode it first"
    elif _is_missing(text):
        cure = "; drop what is missing, or put '' in its place"
    elif isinstance(text, (list, tuple, np.ndarray)):
        cure = "; give one flat list (pairs of texts are not supported)"
    raise TypeError(f"{name} is {_kind(text)}, not str{cure}")


def _check(items: Iterable[object], first: int) -> None:
    """Looks for what is no text. A set of types is made at the speed of C."""
    if not all(issubclass(kind, str) for kind in set(map(type, items))):
        for i, item in enumerate(items):
            _plain(item, f"text {first + i}")


# ---- Python's strings -------------------------------------------------------------------------------------------


def _address(data: Any) -> int:
    return int(np.frombuffer(data, dtype=np.uint8).ctypes.data) if len(data) else 0


def _views(sizes: Any, address: int) -> Views:
    """Of texts that lie one behind the other from ``address`` on."""
    views = np.empty((len(sizes), 2), dtype=np.uintp)
    views[:, 1] = sizes
    np.cumsum(views[:, 1], out=views[:, 0])
    views[:, 0] -= views[:, 1]
    views[:, 0] += np.uintp(address)
    return views


def _encode(items: Any, start: int, stop: int, limit: int | None, first: int) -> tuple[Block, int]:
    """Encodes ``items[start:stop]``, or as many as make ``limit`` bytes; also says where it stopped.

    A loop in Python, not one call for all: Ctrl-C is noticed between two texts. A lone surrogate becomes invalid UTF-8,
    which the library reports, or replaces if it was asked to.
    """
    buffer = io.BytesIO()
    encode, write = str.encode, buffer.write
    sizes: list[int] = []
    at = start
    while at < stop and (limit is None or at == start or buffer.tell() < limit):
        group = _group(items, at, min(at + GROUP, stop), first + at - start)
        if not group:
            raise ValueError(f"texts had {stop} items or more, and was shortened to {at} while it was being read")
        mark = buffer.tell()
        try:
            sizes += [write(encode(text)) for text in group]
        except (TypeError, UnicodeEncodeError):
            buffer.seek(mark)
            buffer.truncate()
            texts = (_plain(text, f"text {first + at - start + i}") for i, text in enumerate(group))
            sizes += [write(encode(text, "utf-8", "surrogatepass")) for text in texts]
        at += len(group)
    data = buffer.getbuffer()
    return Block(first, _views(sizes, _address(data)), data), at


def _group(items: Any, start: int, stop: int, first: int) -> Any:
    """``items[start:stop]``; an array's as Python's objects, which it makes faster all at once than one by one."""
    group = items[start:stop]
    if not isinstance(group, np.ndarray):
        return group
    try:
        return group.tolist()
    except (SystemError, ValueError):  # which of the two depends on numpy's version
        for i in range(len(group)):
            try:
                group[i : i + 1].tolist()
            except (SystemError, ValueError):
                raise ValueError(f"text {first + i} is no str: it holds a number that is no character's") from None
        raise


def _listed(items: Any, alone: str = "") -> Source:
    """Of a list, a tuple or a one-dimensional array."""
    count = len(items)

    def cut(texts: int) -> Iterator[Block]:
        at = 0
        while at < count:
            block, at = _encode(items, at, min(at + texts, count), BLOCK_BYTES, at)
            yield block
            del block  # its memory, before the next one is made

    return Source(count, alone, cut)


def _from_iterable(texts: object) -> Source:
    try:
        iterator = iter(texts)  # type: ignore[call-overload]  # its TypeError is the check
    except TypeError:
        raise TypeError(f"texts is {_kind(texts)}; {_WANTED}") from None
    if iterator is texts or not hasattr(texts, "__len__"):
        return Source(None, "", lambda count: _streamed(iterator, count))
    # A subclass of list can have slices of its own. And a list() could not be interrupted.
    items: Any = texts if type(texts) in (list, tuple) else [item for item in iterator]
    for start in range(0, len(items), BLOCK_TEXTS):
        _check(items[start : start + BLOCK_TEXTS], start)
    return _listed(items)


def _streamed(iterator: Iterator[object], texts: int) -> Iterator[Block]:
    """Pieces of an iterator. What it gave before it failed is not lost: its error comes after that."""
    first = 0
    error: Exception | None = None
    ended = False
    while not ended:
        piece: list[str] = []
        characters = 0
        try:
            while len(piece) < texts and characters < PIECE_CHARACTERS:
                piece.append(_plain(next(iterator), f"text {first + len(piece)}"))
                characters += str.__len__(piece[-1])
        except StopIteration:
            ended = True
        except Exception as raised:
            error, ended = raised, True
        if piece:
            yield _encode(piece, 0, len(piece), None, first)[0]
            first += len(piece)
    if error is not None:
        raise error


# ---- numpy ------------------------------------------------------------------------------------------------------


def _from_numpy(texts: npt.NDArray[Any]) -> Source:
    if texts.ndim == 0:
        item = texts.item()
        if not isinstance(item, str):
            raise TypeError(f"texts is a 0-d array of {texts.dtype}; {_WANTED}")
        return _listed([item], "str")
    if texts.ndim != 1:
        raise TypeError(f"texts is an array of {texts.ndim} dimensions; give one column of it, such as texts[:, 0]")
    if texts.dtype.kind != "U" or type(texts) is not np.ndarray:
        for start in range(0, len(texts), BLOCK_TEXTS):
            _check(texts[start : start + BLOCK_TEXTS], start)
    return _listed(texts)


# ---- Data frames ------------------------------------------------------------------------------------------------


def index_of(texts: object) -> Any:
    """A pandas Series' index."""
    pandas = sys.modules.get("pandas")
    return texts.index if pandas is not None and isinstance(texts, pandas.Series) else None


def _refuse(texts: object) -> None:
    """Iterables that are no texts, but whose items would pass for some: names of columns, numbers of bytes."""
    if isinstance(texts, (bytes, bytearray, memoryview)):
        raise TypeError(f"texts is {_kind(texts)}, not str; decode it first")
    if type(texts).__name__ in ("DataFrame", "LazyFrame", "Table", "RecordBatch", "DataFrameGroupBy"):
        raise TypeError(f'texts is a {_kind(texts)}; give one of its columns, such as texts["text"]')
    if isinstance(texts, (set, frozenset)):
        raise TypeError(f"texts is a {_kind(texts)}, whose order is arbitrary; sorted(texts) has one")


def _from_pandas(pandas: Any, texts: Any) -> Source | None:
    if not isinstance(texts, (pandas.Series, pandas.Index, pandas.api.extensions.ExtensionArray)):
        return None
    if isinstance(texts, pandas.MultiIndex):
        return _from_numpy(texts.to_numpy())
    dtype, array = texts.dtype, getattr(texts, "array", texts)
    if isinstance(dtype, pandas.CategoricalDtype):
        with contextlib.suppress(TypeError):  # not all categories are texts; perhaps those that are used
            return _looked_up([(array.codes, read(dtype.categories))])
    # Columns with Arrow storage give what they hold; the others would make it.
    if getattr(dtype, "storage", "") == "pyarrow" or hasattr(dtype, "pyarrow_dtype"):
        return _from_pyarrow(importlib.import_module("pyarrow"), array.__arrow_array__())
    return _from_numpy(texts.to_numpy())


def _from_polars(polars: Any, texts: Any) -> Source | None:
    if not isinstance(texts, polars.Series):
        return None
    if texts.dtype not in (polars.String, polars.Categorical, polars.Enum):
        return _from_iterable(texts.to_list())
    try:
        pyarrow = importlib.import_module("pyarrow")
        newest = {"compat_level": polars.CompatLevel.newest()}  # polars' own layout; another one would be a copy
    except (ImportError, AttributeError):
        return _from_iterable(texts.to_list())  # text after text, then
    return _from_pyarrow(pyarrow, [chunk.to_arrow(**newest) for chunk in texts.get_chunks()])


def _looked_up(parts: Sequence[tuple[npt.NDArray[Any], Source]]) -> Source:
    """Of texts that are numbers into a list of different texts; a negative one is a missing text."""
    first = 0
    for codes, _ in parts:
        if len(codes) and codes.min() < 0:
            raise TypeError(_missing(first + int((codes < 0).argmax())))
        first += len(codes)

    def pieces(texts: int) -> Iterator[tuple[Views, Any]]:
        last: Source | None = None
        blocks: list[Block] = []
        known = np.empty((0, 2), dtype=np.uintp)
        for codes, values in parts:
            if values is not last:
                last, blocks = values, list(values.blocks())  # all of them: any can be asked for
                known = np.concatenate([known[:0], *(block.views for block in blocks)])
            for start in range(0, len(codes), texts):
                yield known[codes[start : start + texts]], blocks

    return Source(first, "", lambda texts: _gathered(pieces(texts), texts))


def _gathered(pieces: Iterator[tuple[Views, Any]], texts: int) -> Iterator[Block]:
    """Blocks of pieces. Small ones go together: a call of the library each would cost more than their texts."""
    first, count = 0, 0
    views: list[Views] = []
    keep: list[Any] = []
    for piece, kept in pieces:
        if views and count + len(piece) > texts:
            yield Block(first, np.concatenate(views), keep)
            first, count, views, keep = first + count, 0, [], []
        views.append(piece)
        keep.append(kept)
        count += len(piece)
    if views:
        yield Block(first, np.concatenate(views) if len(views) > 1 else views[0], keep)


# ---- Arrow ------------------------------------------------------------------------------------------------------

# A string view: up to 12 bytes lie in the view itself, more in a buffer.
_VIEW = np.dtype([("size", "<i4"), ("prefix", "<i4"), ("buffer", "<i4"), ("offset", "<i4")])
_INLINE = 12


def _missing(i: int) -> str:
    return f"text {i} is null, not str; drop what is missing, or put '' in its place"


def _from_capsule(texts: object) -> Source | None:
    """Of anything that speaks Arrow's C data interface."""
    try:
        pyarrow = importlib.import_module("pyarrow")
        column = pyarrow.chunked_array(texts)
    except (ImportError, TypeError):  # none here, or one that is too old
        return None
    if pyarrow.types.is_struct(column.type):
        raise TypeError(f"texts is {_kind(texts)}, a table; give one of its columns")
    return _from_pyarrow(pyarrow, column)


def _from_pyarrow(pyarrow: Any, texts: Any) -> Source | None:
    if isinstance(texts, pyarrow.ChunkedArray):
        chunks = texts.chunks
    elif isinstance(texts, pyarrow.Array):
        chunks = [texts]
    elif isinstance(texts, list) and texts and all(isinstance(chunk, pyarrow.Array) for chunk in texts):
        chunks = texts
    else:
        return None
    chunks = [chunk.storage if isinstance(chunk, pyarrow.ExtensionArray) else chunk for chunk in chunks]
    types = pyarrow.types
    is_view = getattr(types, "is_string_view", lambda kind: False)
    first = 0
    parts: list[tuple[Any, Source | None]] = []
    shared: Any = None
    words: Source | None = None
    for chunk in chunks:
        if chunk.null_count:
            null = chunk.is_null().to_numpy(zero_copy_only=False)
            raise TypeError(_missing(first + int(null.argmax())))
        kind = chunk.type
        if types.is_dictionary(kind):
            if shared is None or not _same_memory(chunk.dictionary, shared):  # most often all chunks have one
                shared, words = chunk.dictionary, _from_pyarrow(pyarrow, _without_nulls(chunk.dictionary))
            parts.append((_codes(chunk, first), words))
        elif types.is_string(kind) or types.is_large_string(kind) or is_view(kind):
            parts.append((chunk, None))
        elif len(chunk):
            cure = "; cast it to string" if types.is_binary(kind) or types.is_large_binary(kind) else ""
            raise TypeError(f"text {first} is an Arrow {kind}, not a string{cure}")
        first += len(chunk)
    if parts and all(values is not None for _, values in parts):
        return _looked_up([(codes, values) for codes, values in parts if values is not None])
    plain = [chunk for chunk, _ in parts]
    return Source(first, "", lambda count: _gathered(_arrow_pieces(plain, count), count))


def _same_memory(one: Any, other: Any) -> bool:
    def place(array: Any) -> list[Any]:
        buffers = [None if buffer is None else (buffer.address, buffer.size) for buffer in array.buffers()]
        return [array.type, array.offset, len(array), *buffers]

    return place(one) == place(other)


def _without_nulls(dictionary: Any) -> Any:
    """None of its nulls is used: `_codes` looks."""
    return dictionary.fill_null("") if dictionary.null_count else dictionary


def _codes(chunk: Any, first: int) -> npt.NDArray[Any]:
    codes: npt.NDArray[Any] = chunk.indices.to_numpy(zero_copy_only=False)
    if len(codes) and not 0 <= codes.min() <= codes.max() < len(chunk.dictionary):
        raise TypeError(f"text {first} and those after it are numbers beyond the end of their Arrow dictionary")
    if chunk.dictionary.null_count:
        null = chunk.dictionary.is_null().to_numpy(zero_copy_only=False)[codes]
        if null.any():
            raise TypeError(_missing(first + int(null.argmax())))
    return codes


def _arrow_pieces(chunks: Sequence[Any], texts: int) -> Iterator[tuple[Views, Any]]:
    first = 0
    for chunk in chunks:
        for start in range(0, len(chunk), texts):
            part = chunk.slice(start, min(texts, len(chunk) - start))
            yield _arrow_views(part, first), part
            first += len(part)


def _arrow_views(array: Any, first: int) -> Views:
    """Where an array's texts lie. Its offsets are checked: nobody else did, if it came from a file."""
    buffers, n, start = array.buffers(), len(array), array.offset
    if not all(buffer is None or buffer.is_cpu for buffer in buffers):
        raise TypeError("texts lies in a GPU's memory; copy it to the CPU's")
    kind = str(array.type)
    views = np.empty((n, 2), dtype=np.uintp)
    if kind == "string_view":
        table = np.frombuffer(buffers[1], dtype=_VIEW, count=start + n)[start:]
        inside = np.arange(start, start + n, dtype=np.uintp) * np.uintp(_VIEW.itemsize)
        inside += np.uintp(buffers[1].address + _VIEW.fields["prefix"][1])  # type: ignore[index]  # it has fields
        short = table["size"] <= _INLINE
        data = [buffer for buffer in buffers[2:]]
        addresses = np.array([0] + [buffer.address if buffer is not None else 0 for buffer in data], dtype=np.uintp)
        ends = np.array([0] + [buffer.size if buffer is not None else 0 for buffer in data], dtype=np.int64)
        which = np.where(short, -1, table["buffer"]).astype(np.int64) + 1
        offsets: npt.NDArray[Any] = np.where(short, 0, table["offset"]).astype(np.int64)
        sound = (which >= 0) & (which < len(ends)) & (table["size"] >= 0) & (offsets >= 0)
        which[~sound] = 0
        sound &= short | (offsets + table["size"] <= ends[which])
        views[:, 0] = np.where(short, inside, addresses[which] + offsets.astype(np.uintp))
        views[:, 1] = table["size"]
    else:
        width: Any = np.int64 if kind == "large_string" else np.int32
        offsets = np.frombuffer(buffers[1], dtype=width, count=start + n + 1)[start:]
        end = buffers[2].size if buffers[2] is not None else 0
        # Compared, not subtracted: a difference of damaged ones can overflow and look sound.
        sound = (offsets[:-1] >= 0) & (offsets[:-1] <= offsets[1:]) & (offsets[1:] <= end)
        views[:, 0] = offsets[:-1]
        views[:, 0] += np.uintp(buffers[2].address if buffers[2] is not None else 0)
        views[:, 1] = np.diff(offsets)
    if not sound.all():
        raise ValueError(
            f"text {first + int(sound.argmin())} lies outside its Arrow buffer: the array is damaged (see its validate)"
        )
    return views
