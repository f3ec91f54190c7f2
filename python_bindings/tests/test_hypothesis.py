# SPDX-License-Identifier: Apache-2.0
"""Whatever is put in: an answer, TypeError, ValueError or adesieve.Error; and the same texts in any container give the
same bits. ADE_TEST_ALL=1 tries far more."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import os
import pathlib
import tempfile
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("hypothesis")
import hypothesis.configuration  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import adesieve  # noqa: E402

hypothesis.configuration.set_hypothesis_home_dir(os.path.join(tempfile.gettempdir(), "adesieve-hypothesis"))
settings.register_profile(
    "adesieve",
    max_examples=1000 if os.environ.get("ADE_TEST_ALL") else 40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
settings.load_profile("adesieve")

ALLOWED = (TypeError, ValueError, adesieve.Error)


class Hostile:
    """An object that answers wrongly, or not at all, to whatever it is asked."""

    def __init__(self, how: int) -> None:
        self.how = how

    def __len__(self):
        return [3, 0, 1 << 40][self.how % 3]

    def __getitem__(self, i):
        if self.how > 3:
            raise ValueError("no")
        return ["x", None, self][self.how % 3] if i < 3 else [][0]

    def __index__(self):
        return [-1, 1 << 100, 3][self.how % 3]

    def __eq__(self, other):
        raise TypeError("not comparable")

    def __hash__(self):
        raise TypeError("not hashable")

    def __str__(self):
        return "\ud800"

    __repr__ = __str__


class Loud(str):
    """A str whose methods fail or lie; its text is what counts."""

    def encode(self, *how):
        raise RuntimeError("never called")

    __iter__ = __getitem__ = encode  # type: ignore[assignment]

    def __len__(self):
        return 3


odd_texts = ["", "\x00", "a\x00b", "Rash. " * 300, "[SEP]", "\ufffd", "é" * 99, "-"]
texts = st.text(max_size=40) | st.sampled_from(odd_texts)
any_text = texts | st.text(st.characters(categories=["Cs", "Lu", "Zs", "Cc"]), max_size=8) | st.builds(Loud, texts)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | any_text
    | st.binary(max_size=8)
    | st.sampled_from(
        [
            object(), len, str, Ellipsis, NotImplemented, 1j, range(3), datetime.date(2020, 1, 1),
            decimal.Decimal("NaN"),
            Fraction(1, 3), 1 << 80, -(1 << 80), np.nan, np.float32(0.5), np.int8(-3), np.str_("x"), np.bytes_(b"x"),
            np.datetime64("NaT"), np.array("x"), np.array(None), memoryview(b"x"), pathlib.Path("no\x00name"), b"",
            bytearray(3),
        ]
    )
    | st.builds(Hostile, st.integers(0, 5))
)  # fmt: skip
dtypes = st.sampled_from(["U3", "S3", "O", "f4", "i8", "M8[s]", "V4", "?", "c8", "T"])


@st.composite
def arrays(draw):
    items = draw(st.lists(texts, max_size=4))
    with contextlib.suppress(Exception):
        array = np.array(items, dtype=draw(dtypes))
        return array.reshape(draw(st.sampled_from([(-1,), (1, -1), (-1, 1)])))
    return np.array(items)


anything = st.recursive(
    scalars | arrays(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.lists(any_text, max_size=5).map(iter)
        | st.dictionaries(st.sampled_from(["text", "text_pair", "a", 5]), inner, max_size=2)
        | st.lists(inner, max_size=3).map(lambda items: (item for item in items))
        | st.lists(any_text, max_size=3).map(set)
    ),
    max_leaves=8,
)
lists = st.lists(any_text, max_size=6)
tried = lists | anything
options = st.fixed_dictionaries(
    {},
    optional={
        "top_k": anything | st.integers(-1, 3),
        "function_to_apply": anything | st.sampled_from(["softmax", "sigmoid", "none"]),
        "truncation": anything | st.booleans(),
        "max_length": anything | st.integers(2, 9),
        "batch_size": anything | st.integers(0, 3),
        "padding": anything,
        "num_workers": anything,
        "progress": st.just(False),
        "frobnicate": anything,
    },
)


def attempt(use) -> None:
    with contextlib.suppress(*ALLOWED):
        found = use()
        if hasattr(found, "__next__"):
            list(found)


@pytest.fixture(scope="module")
def shared(tiny):
    with adesieve.Classifier(tiny, "cpu", "f32", threads=1) as classifier:
        yield classifier
        assert classifier.logits("still works").shape == (1, 2)


@given(given_texts=tried, how=options)
def test_the_pipeline(shared, given_texts, how):
    attempt(lambda: shared(given_texts, **how))


@given(given_texts=tried, other=anything)
def test_every_other_method(shared, tmp_path, given_texts, other):
    for use in (shared.predict_proba, shared.logits, shared.predict, shared.tokenize, shared.classify):
        attempt(lambda use=use: use(given_texts))
    attempt(lambda: shared.classify(given_texts, prevalence=other)._repr_html_())
    attempt(lambda: shared.calibrated(given_texts, prevalence=other))
    attempt(lambda: shared.calibrate(given_texts, other, path=tmp_path / "c.json", method="temperature"))
    attempt(lambda: shared.calibrate(["a"], [1], seed=other, path=tmp_path / "c.json"))
    attempt(lambda: shared.calibrate(["a"], [1], folds=other, data=other, path=tmp_path / "c.json"))
    for name in ("recall", "precision", "review", "threshold", "prevalence"):
        attempt(lambda name=name: shared.operating_point(**{"recall": 0.9, name: other}))


screened = ["threshold", "limit", "other_abstracts", "prevalence", "paths", "prefilter"]


@given(other=anything, name=st.sampled_from(screened))
def test_screening(shared, data, other, name):
    if isinstance(other, str) and name == "paths":
        other = "nowhere/" + str.__str__(other)  # neither standard input nor a folder of this machine
    how = {"paths": data / "medline" / "handmade.xml", "limit": 1, name: other}
    if name == "paths" and hasattr(other, "__iter__"):
        return
    attempt(lambda: [hit._repr_html_() for hit in shared.screen(how.pop("paths"), **how)])


@given(
    how=st.fixed_dictionaries(
        {},
        optional={
            "device": anything,
            "precision": anything | st.sampled_from(["f32", "bf16"]),
            "threads": anything | st.integers(0, 3),
            "max_length": anything | st.integers(0, 600),
            "labels": anything | st.lists(texts, min_size=2, max_size=2),
            "positive_label": anything,
            "token_budget": anything | st.integers(0, 3),
            "invalid_utf8": anything,
            "calibration": st.none() | st.integers() | st.just("no/such/file"),
        },
    )
)
def test_opening(tiny, how):
    attempt(lambda: adesieve.Classifier(tiny, **{"device": "none", **how}).close())
    attempt(lambda: adesieve.Classifier(how.get("device")).close())


def containers(items: list[str]):
    """The same texts in all that can hold them."""
    yield tuple(items)
    yield iter(items)
    yield (item for item in items)
    yield [np.str_(item) for item in items]
    yield [{"text": item} for item in items]
    yield np.array(items, dtype=object)
    if not any(item.endswith("\0") for item in items):  # numpy's own strings end there
        yield np.array(items, dtype="U" if items else "U1")
    with contextlib.suppress(ImportError):
        import pandas as pd

        yield from (pd.Series(items, dtype=dtype) for dtype in (object, "string[python]", "category"))
    with contextlib.suppress(ImportError):
        import pyarrow as pa

        yield from (pa.array(items, kind) for kind in (pa.string(), pa.large_string()))
        yield pa.chunked_array([items[:2], items[2:]], pa.string())
        yield pa.array(items, pa.string()).dictionary_encode()
        if hasattr(pa, "string_view"):
            yield pa.array(["x", *items], pa.string_view()).slice(1)
    with contextlib.suppress(ImportError):
        import polars as pl

        yield from (pl.Series(items, dtype=dtype) for dtype in (pl.String, pl.Categorical))


@given(items=st.lists(texts, max_size=6))
def test_the_same_bits_whatever_holds_them(shared, items):
    expected = shared.logits(items)
    for i, text in enumerate(items):
        assert np.array_equal(shared.logits(text)[0], expected[i])
    for held in containers(items):
        assert np.array_equal(shared.logits(held), expected), type(held)
    assert np.array_equal(shared.classify(items).logits, expected)
    assert shared(items) == list(shared(iter(items), batch_size=2))
