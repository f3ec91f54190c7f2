# SPDX-License-Identifier: Apache-2.0
"""What texts can be: each container gives the same bytes, Arrow's without a copy, and what is no text is named."""

from __future__ import annotations

import collections
import importlib
import re
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import adesieve
from adesieve import _texts

TEXTS = ["Rash after amoxicillin, which lasted.", "", "α😀 5±2 mg", "short", "a\x00b", "short"] * 3
MISSING = "drop what is missing"


def given(texts: object, piece: int | None = None) -> list[str]:
    """As the library would read them."""
    source = _texts.read(texts)
    found = []
    for block in source.blocks(piece):
        assert block.first == len(found) and (piece is None or len(block) <= piece)
        found += [block.data(i).decode("utf-8", "surrogatepass") for i in range(len(block))]
    assert source.count in (None, len(found))
    return found


def numpy_containers():
    yield np.array(TEXTS, dtype=object)
    yield np.array([text.replace("\0", "0") for text in TEXTS])  # numpy drops NULs at the end of its own strings
    yield np.array(["x", *TEXTS], dtype=object)[1:]
    yield np.array([*TEXTS, *TEXTS], dtype=object).reshape(2, -1)[0]
    yield np.array(TEXTS[::-1], dtype=object)[::-1]
    if hasattr(np.dtypes, "StringDType"):
        yield np.array(TEXTS, dtype=np.dtypes.StringDType())


def test_python_and_numpy():
    class Sequence(collections.UserList):
        pass

    class Strange(list):
        def __getitem__(self, i):
            raise RuntimeError("never called")

    class Old:  # iterable as torch's data sets are
        def __len__(self):
            return len(TEXTS)

        def __getitem__(self, i):
            return TEXTS[i]

    containers = [TEXTS, tuple(TEXTS), collections.deque(TEXTS), dict(enumerate(TEXTS)).values(), Sequence(TEXTS)]
    containers += [Strange(TEXTS), Old(), [{"text": text} for text in TEXTS], [np.str_(text) for text in TEXTS]]
    for texts in containers:
        for piece in (None, 1, 4):
            assert given(texts, piece) == TEXTS
    for texts in numpy_containers():
        assert given(texts, 4) == list(texts)
    for piece in (None, 1, 4):
        assert given(iter(TEXTS), piece) == given((text for text in TEXTS), piece) == TEXTS
    assert given(dict.fromkeys(TEXTS).keys()) == list(dict.fromkeys(TEXTS))
    for unordered in (set(TEXTS), frozenset()):
        with pytest.raises(TypeError, match="whose order is arbitrary"):
            given(unordered)
    for alone in ("one", np.str_("one"), np.array("one"), np.array("one", dtype=object)):
        assert given(alone) == ["one"] and _texts.read(alone).alone == "str"
    assert given({"text": "one"}) == ["one"] and _texts.read({"text": "one"}).alone == "dict"


@pytest.mark.parametrize("empty", [[], (), {}.keys(), iter(()), np.array([]), np.array([], dtype=object)], ids=repr)
def test_nothing(clf, empty):
    assert clf.logits(empty).shape == (0, 2)


def test_pandas():
    pd = pytest.importorskip("pandas")
    dtypes = [object, "string[python]", "category", *(["str"] if pd.__version__ >= "3" else [])]
    if importlib.util.find_spec("pyarrow"):
        import pyarrow as pa

        dtypes += ["string[pyarrow]", pd.ArrowDtype(pa.string()), pd.ArrowDtype(pa.large_string())]
    for dtype in dtypes:
        column = pd.Series(TEXTS, dtype=dtype, index=range(100, 100 + len(TEXTS)))
        for texts in (column, pd.Index(column), column.array):
            assert given(texts) == given(texts, 4) == TEXTS
        assert given(column[column != ""]) == [text for text in TEXTS if text]
        with_none = pd.Series(["a", None, "b"], dtype=dtype)
        with pytest.raises(TypeError, match=f"text 1 is .*, not str; {MISSING}"):
            _texts.read(with_none)
        assert given(with_none.dropna()) == ["a", "b"]
        assert given(pd.Series([], dtype=dtype)) == []
    unused = pd.Series(pd.Categorical(["a", "b", "a"], categories=["b", 5, "a"]))
    assert given(unused) == ["a", "b", "a"]
    with pytest.raises(TypeError, match="text 1 is int, not str"):
        _texts.read(pd.Series(pd.Categorical(["a", 5])))
    for items, named in (([1], "text 0 is int64"), ([pd.NaT], "text 0 is"), ([1.5], "text 0 is float64")):
        with pytest.raises(TypeError, match=named):
            _texts.read(pd.Series(items))
    frame = pd.DataFrame({"text": TEXTS})
    for texts in (frame, frame.to_numpy()):
        with pytest.raises(TypeError, match="give one .*column"):
            _texts.read(texts)
    with pytest.raises(TypeError, match="text 0 is tuple"):
        _texts.read(pd.MultiIndex.from_tuples([("a", "b")]))


# ---- Arrow ------------------------------------------------------------------------------------------------------


def arrow_containers(pa):
    kinds = [pa.string(), pa.large_string()] + ([pa.string_view()] if hasattr(pa, "string_view") else [])
    for kind in kinds:
        array = pa.array(TEXTS, kind)
        yield array
        yield pa.array(["x", *TEXTS, "y"], kind).slice(1, len(TEXTS))
        yield pa.chunked_array([array[:4], array[4:4], array[4:]])
        yield array.dictionary_encode() if "view" not in str(kind) else array
    parts = [pa.array(part).dictionary_encode() for part in (TEXTS[:4], TEXTS[4:])]
    yield pa.chunked_array(parts)
    indices = pa.array([TEXTS.index(text) for text in TEXTS], pa.uint8())
    yield pa.DictionaryArray.from_arrays(indices, pa.array([*TEXTS, None]))  # a null that nothing refers to


def test_arrow():
    pa = pytest.importorskip("pyarrow")
    for texts in arrow_containers(pa):
        for piece in (None, 1, 4):
            assert given(texts, piece) == TEXTS
    for kind in (pa.string(), pa.large_string(), pa.null()):
        assert given(pa.array([], kind)) == given(pa.chunked_array([], kind)) == []
    assert given(pa.array([], pa.string()).dictionary_encode()) == []
    assert given(pa.array(["", ""])) == ["", ""]


def test_arrow_refused():
    pa = pytest.importorskip("pyarrow")
    with_null = pa.chunked_array([["a"], ["b", None]])
    for texts in (with_null, with_null.combine_chunks(), with_null.dictionary_encode(), with_null.cast("large_string")):
        with pytest.raises(TypeError, match=f"text 2 is null, not str; {MISSING}"):
            _texts.read(texts)
    null_value = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None]))
    with pytest.raises(TypeError, match="text 1 is null"):
        _texts.read(null_value)
    with pytest.raises(TypeError, match="beyond the end of their Arrow dictionary"):
        _texts.read(pa.DictionaryArray.from_arrays(pa.array([0, 7]), pa.array(["a"]), safe=False))
    for texts, named in (
        (pa.array([1]), "text 0 is an Arrow int64"),
        (pa.array([b"x"]), "text 0 is an Arrow binary, not a string; cast it"),
        (pa.nulls(2), "text 0 is null"),
        (pa.table({"text": ["a"]}), r'give one of its columns, such as texts\["text"\]'),
        (pa.record_batch({"text": ["a"]}), "give one of its columns"),
        (pa.scalar("a"), "texts is StringScalar"),
        ([pa.scalar("a")], "text 0 is StringScalar"),
    ):
        with pytest.raises(TypeError, match=named):
            _texts.read(texts)


def test_a_dictionary_is_read_once(monkeypatch):
    """However many chunks share it; and small chunks go to the library together."""
    pa = pytest.importorskip("pyarrow")
    seen = []
    views = _texts._arrow_views
    monkeypatch.setattr(_texts, "_arrow_views", lambda array, first: seen.append(len(array)) or views(array, first))
    texts = [f"text {i % 700}" for i in range(3000)]
    column = pa.chunked_array([texts[i : i + 10] for i in range(0, 3000, 10)]).dictionary_encode()
    assert column.num_chunks == 300 and given(column) == given(column, 7) == texts
    assert seen[0] == 700 and len(list(_texts.read(column).blocks())) == 1 and len(seen) == 3
    apart = pa.chunked_array([pa.array(part).dictionary_encode() for part in (TEXTS, TEXTS[::-1], TEXTS)])
    assert given(apart) == given(apart, 4) == [*TEXTS, *TEXTS[::-1], *TEXTS]


def damaged(pa, kind):
    """Arrays that a damaged file could give: their offsets point outside their buffer."""
    sizes = np.int64 if kind == pa.large_string() else np.int32
    for offsets, named in (([0, 99, 3], 0), ([0, -1, 2], 0), ([1, 3, 2], 1)):  # pyarrow looks at the first and last
        buffers = [None, pa.py_buffer(np.array(offsets, dtype=sizes)), pa.py_buffer(b"abc")]
        yield named, pa.Array.from_buffers(kind, 2, buffers)
    offsets = np.array([0, 1, np.iinfo(sizes).min, 3], dtype=sizes)  # whose difference overflows to a large number
    array = pa.Array.from_buffers(kind, 3, [None, pa.py_buffer(offsets), pa.py_buffer(b"abc")])
    yield 0, array.slice(1, 1)


def test_damaged_arrow():
    """Named, not read: nothing behind the buffer is anybody's text."""
    pa = pytest.importorskip("pyarrow")
    for kind in (pa.string(), pa.large_string()):
        for named, texts in damaged(pa, kind):
            with pytest.raises(ValueError, match=f"text {named} lies outside its Arrow buffer"):
                given(texts)
    if not hasattr(pa, "string_view"):
        pytest.skip("this pyarrow has no string_view")
    for view in ([-1, 0, 0, 0], [20, 0, 0, 90], [20, 0, 7, 0], [20, 0, -1, 0], [20, 0, 0, -4], [101, 0, 0, 0]):
        views = pa.py_buffer(np.array([view], dtype=np.int32))
        with pytest.raises(ValueError, match="text 0 lies outside"):
            given(pa.Array.from_buffers(pa.string_view(), 1, [None, views, pa.py_buffer(b"x" * 100)]))


def test_arrow_is_not_copied(clf):
    """50 MB of it: the addresses lie in its own buffers, and neither Python nor Arrow takes memory for the text."""
    pa = pytest.importorskip("pyarrow")
    texts = ["Rash after amoxicillin. " * 40_000] * 50 + ["Fever."] * 1000
    for kind in [pa.string(), pa.large_string()] + ([pa.string_view()] if hasattr(pa, "string_view") else []):
        array = pa.array(texts[:60] if kind != pa.string() else texts, kind)
        spans = [(buffer.address, buffer.address + buffer.size) for buffer in array.buffers() if buffer is not None]
        for block in _texts.read(array).blocks():
            for address, size in block.views.tolist():
                assert any(start <= address and address + size <= end for start, end in spans)
    array = pa.array(texts)
    bytes_of_text = array.buffers()[2].size
    assert bytes_of_text > 45e6
    clf.logits(array[-3:])
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        values = clf.logits(array)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert pa.total_allocated_bytes() == before and values.shape == (1050, 2)
    assert peak < 0.01 * bytes_of_text


def test_python_is_encoded_once():
    """Memory for one UTF-8 form, and for a long list of a part of it only."""
    texts = ["Rash after amoxicillin, α " + str(i) * 50 for i in range(20_000)]
    size = sum(len(text.encode()) for text in texts)

    def peak(texts: object, piece: int | None = None) -> int:
        tracemalloc.start()
        try:
            for block in _texts.read(texts).blocks(piece):
                del block
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert size < peak(texts) < 1.6 * size  # with 40 bytes of addresses a text
    assert peak(texts, 1000) < 0.12 * size
    assert peak((text for text in texts), 1000) < 0.12 * size


def test_long_texts_are_not_all_encoded_at_once(tiny, monkeypatch):
    """Blocks of half a megabyte, of which one is in memory at a time."""
    monkeypatch.setattr(_texts, "BLOCK_BYTES", 1 << 19)
    texts = ["Rash " * 1000] * 1000
    with adesieve.Classifier(tiny, "cpu", "f32", max_length=8) as clf:
        for use in (clf.logits, clf.classify, clf):
            tracemalloc.start()
            try:
                use(texts)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert 5e5 < peak < 1.5e6


# ---- polars -----------------------------------------------------------------------------------------------------


def test_polars(monkeypatch):
    pl = pytest.importorskip("polars")
    column = pl.Series("text", TEXTS)
    parts = pl.concat([column[:5], column[5:]], rechunk=False)
    assert parts.n_chunks() == 2
    everything = [column, pl.Series(["x", *TEXTS])[1:], parts]
    everything += [column.cast(pl.Categorical), pl.Series(TEXTS, dtype=pl.Object)]
    for _ in range(2):
        for texts in everything:
            assert given(texts) == given(texts, 4) == TEXTS
        assert given(pl.Series([], dtype=pl.String)) == given(pl.Series([])) == []
        for texts, named in ((["a", None], "text 1 is"), ([None, None], "text 0 is"), ([1], "text 0 is")):
            with pytest.raises(TypeError, match=named):
                given(pl.Series(texts))
        monkeypatch.setitem(sys.modules, "pyarrow", None)  # and once more without it
    for texts in (pl.DataFrame({"text": TEXTS}), pl.LazyFrame({"text": TEXTS})):
        with pytest.raises(TypeError, match="give one of its columns"):
            _texts.read(texts)


def test_polars_is_not_copied():
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    column = pl.Series(["Rash after amoxicillin. " * 1000] * 100)
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        blocks = list(_texts.read(column).blocks())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(int(block.views[:, 1].sum()) for block in blocks) == 2_400_000
    assert pa.total_allocated_bytes() == before and peak < 240_000


def test_capsules():
    """Whatever speaks Arrow's C data interface, under whatever name."""
    pa = pytest.importorskip("pyarrow")

    class Column:
        def __init__(self, data):
            self.data = data

        def __arrow_c_stream__(self, requested_schema=None):
            return self.data.__arrow_c_stream__(requested_schema)

    if not hasattr(pa.ChunkedArray, "__arrow_c_stream__"):
        pytest.skip("this pyarrow has no capsules for columns")
    assert given(Column(pa.chunked_array([TEXTS[:3], TEXTS[3:]]))) == TEXTS
    with pytest.raises(TypeError, match="a table; give one of its columns"):
        _texts.read(Column(pa.table({"text": TEXTS})))


# ---- What is no text --------------------------------------------------------------------------------------------

BAD = [
    (None, "texts is None"),
    (5, "texts is int"),
    (float("nan"), "texts is float"),
    (b"x", "texts is bytes, not str; decode it first"),
    (bytearray(b"x"), "texts is bytearray"),
    (memoryview(b"x"), "texts is memoryview"),
    (object(), "texts is object"),
    (str, "texts is type"),
    (len, "texts is builtin_function_or_method"),
    ([None], f"text 0 is None, not str; {MISSING}"),
    (["a", None], "text 1 is None"),
    (["a", float("nan")], f"text 1 is float, not str; {MISSING}"),
    (["a", 3], "text 1 is int, not str$"),
    (["a", b"x"], "text 1 is bytes, not str; decode it first"),
    (["a"] * 600 + [3], "text 600 is int"),
    ((text for text in ["a", None]), "text 1 is None"),
    (iter(["a"] * 9000 + [3]), "text 9000 is int"),
    ([["a", "b"]], r"text 0 is list, not str; give one flat list \(pairs of texts are not supported\)"),
    ([("a", "b")], "text 0 is tuple"),
    ({"text": "a", "text_pair": "b"}, "texts has a text_pair"),
    ([{"text": "a", "text_pair": "b"}], "text 0 has a text_pair"),
    ({"text": None}, "texts is None"),
    ([{"text": 5}], "text 0 is int"),
    ({}, "texts is dict"),
    ({"a": {"b": "c"}}, "texts is dict; a str, or a list, array or column of str, is needed, such as the values"),
    ([{"a": "b"}], "text 0 is dict"),
    (range(3), "text 0 is int"),
    (np.array(5), "texts is a 0-d array of int64"),
    (np.array(b"x"), "texts is a 0-d array"),
    (np.array(None), "texts is a 0-d array of object"),
    (np.array([1.5]), "text 0 is float64"),
    (np.array([b"x"]), "text 0 is bytes_, not str; decode it first"),
    (np.array(["a", None, 5], dtype=object), "text 1 is None"),
    (np.array([["a"]]), r"an array of 2 dimensions; give one column of it, such as texts\[:, 0\]"),
    (np.ma.array(["a", "b"], mask=[False, True]), f"text 1 is MaskedConstant, not str; {MISSING}"),
    (np.array(["2020-01-01"], dtype="datetime64[D]"), "text 0 is datetime64"),
]


@pytest.mark.parametrize("texts, named", BAD, ids=[re.sub(r"\W+", " ", named) for _, named in BAD])
def test_no_text(clf, texts, named):
    if not hasattr(texts, "__next__"):
        with pytest.raises(TypeError, match=named):
            _texts.read(texts)  # before the first text is classified
    with pytest.raises(TypeError, match=named):
        clf.logits(texts)


def test_every_method_says_the_same(clf, tmp_path):
    bad = ["fine", None]
    uses = [clf, clf.predict_proba, clf.predict, clf.logits, clf.classify, clf.tokenize, clf.token_ids]
    uses += [lambda texts: clf.calibrate(texts, [0, 1], path=tmp_path / "calibration.json")]
    for use in uses:
        with pytest.raises(TypeError, match="text 1 is None"):
            use(bad)
    with pytest.raises(TypeError, match="texts is int"):
        clf(5)
    assert not list(tmp_path.iterdir())


def test_an_array_whose_numbers_are_no_characters(clf):
    numbers = np.full(200, ord("a"), dtype=np.uint32)
    numbers[150] = 0x110000
    with pytest.raises(ValueError, match="^text 150 is no str: it holds a number that is no character's"):
        clf.logits(numbers.view("U1"))


def test_surrogates(clf, tiny, monkeypatch):
    lone = "lone \ud800 surrogate"
    texts = ["fine"] * 5 + [lone] + ["fine"] * 5
    pieces = [texts, tuple(texts), np.array(texts, dtype=object), iter(texts), np.array(texts)]
    for k in range(2):
        for given_as in pieces:
            with pytest.raises(adesieve.BadInput, match="^text 5: .*UTF-8") as caught:
                clf.logits(given_as)
            assert caught.value.status is adesieve.Status.BAD_INPUT
        pieces[3] = iter(texts)
        monkeypatch.setattr(_texts, "PIECE_TEXTS", 2)  # and where it is not in the first block
        monkeypatch.setattr(_texts, "BLOCK_TEXTS", 2)
    for use in (clf.tokenize, clf.token_ids):
        with pytest.raises(adesieve.BadInput, match="^text 5: "):
            use(texts)
    with pytest.raises(adesieve.BadInput, match="^text 5: "):
        list(clf(iter(texts), batch_size=3))
    with adesieve.Classifier(tiny, "cpu", "f32", invalid_utf8="replace") as lenient:
        assert np.array_equal(lenient.logits(lone), lenient.logits("lone  surrogate"))
        assert np.array_equal(lenient.logits(texts)[5:7], lenient.logits([lone, "fine"]))


def test_a_list_that_shrinks_meanwhile():
    texts = ["a"] * 3000
    blocks = _texts.read(texts).blocks(1000)
    next(blocks)
    del texts[1500:]
    with pytest.raises(ValueError, match="shortened to 1500"):
        list(blocks)


def test_an_iterator_that_fails(clf):
    """What it gave before counts; then its own error comes."""

    class Broken(Exception):
        pass

    def texts():
        yield from ["one", "two", "three"]
        raise Broken("the network")

    answers = clf(texts(), batch_size=2)
    assert [next(answers)["label"] for _ in range(3)] == [row["label"] for row in clf(["one", "two", "three"])]
    with pytest.raises(Broken, match="the network"):
        next(answers)
    with pytest.raises(Broken):
        clf.logits(texts())


def test_an_iterator_is_not_read_ahead(clf):
    taken = []

    def texts():
        for i in range(1000):
            taken.append(i)
            yield f"text {i}"

    answers = clf(texts(), batch_size=10)
    assert taken == []
    next(answers)
    assert len(taken) == 10
    assert len(list(answers)) == 999 and len(taken) == 1000


def test_a_million_characters(clf):
    cases = (("rash " * 200_000, 512, None), ("a" * 1_000_000, 3, 1), ("ä\x00" * 500_000, None, None))
    for text, tokens, unknown in cases:
        result = clf.classify([text, "short"])
        assert result.truncated.tolist() == [tokens == 512, False] if tokens else True
        assert tokens is None or result.tokens[0] == tokens
        assert unknown is None or result.unknown[0] == unknown
        assert np.array_equal(result.logits[1], clf.logits("short")[0])
    assert clf.classify("").tokens.tolist() == [2]


def test_many_texts(clf):
    """A hundred thousand; more than one block of them."""
    texts = [f"Rash {i % 500}." for i in range(100_000)]
    source = _texts.read(texts)
    assert source.count == 100_000 and sum(len(block) for block in source.blocks(30_000)) == 100_000
    few = clf.logits(texts[:500])
    views = np.concatenate([block.views for block in source.blocks()])
    assert views[:, 1].sum() == sum(map(len, texts))
    assert np.array_equal(clf.logits(texts[:3000]), np.tile(few, (6, 1)))


def test_nothing_else_is_imported(root):
    """Only numpy, whatever else is installed."""
    code = (
        "import sys, adesieve; from adesieve import _texts; list(_texts.read(['a']).blocks()); "
        "print(sorted({'pandas', 'pyarrow', 'polars', 'sklearn', 'tqdm', 'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root / "python_bindings", capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n", done.stderr
