# SPDX-License-Identifier: Apache-2.0
"""Results: the same values as every other method gives, in columns, rows, pandas, Arrow and HTML."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

import adesieve
from adesieve.results import Result, Results

TEXTS = ["Rash after amoxicillin.", "", "No adverse effects were seen. " * 200, "TNF-α 5±2 mg <b>"]


@pytest.fixture
def calibrated(clf, tmp_path, sentences):
    texts = sentences[:60]
    order = clf.logits(texts)[:, 1].argsort().argsort()
    clf.calibrate(texts, (order >= 30).astype(int), path=tmp_path / "c.json", method="temperature", folds=2)
    return clf


def test_columns(clf):
    results = clf.classify(TEXTS)
    assert isinstance(results, Results) and len(results) == 4
    assert np.array_equal(results.logits, clf.logits(TEXTS)) and results.logits.dtype == np.float32
    assert np.array_equal(results.scores, clf.predict_proba(TEXTS))
    assert np.array_equal(results.score, results.scores[:, 1]) and results.score.flags.c_contiguous
    assert list(results.label) == list(clf.predict(TEXTS))
    assert results.labels == clf.labels and results.positive_label == clf.positive_label == "ADE"
    tokens = clf.tokenize(TEXTS)
    assert results.tokens.tolist() == [len(t.ids) for t in tokens] and results.tokens.dtype == np.int32
    assert results.unknown.tolist() == [t.unknown for t in tokens]
    assert results.truncated.tolist() == [False, False, True, False] and results.truncated.dtype == np.bool_
    assert results.calibrated is None
    assert len(clf.classify([])) == 0 and clf.classify([]).scores.shape == (0, 2)


def test_calibrated(calibrated):
    results = calibrated.classify(TEXTS)
    assert np.array_equal(results.calibrated, calibrated.calibrated(TEXTS)) and results.calibrated.dtype == np.float64
    rare = calibrated.classify(TEXTS, prevalence=0.01)
    assert np.array_equal(rare.calibrated, calibrated.calibrated(TEXTS, prevalence=0.01))
    assert (rare.calibrated < results.calibrated).all() and np.array_equal(rare.score, results.score)
    assert results[0].calibrated == results.calibrated[0]


def test_rows(clf):
    results = clf.classify(iter(TEXTS))
    rows = list(results)
    assert rows == [results[i] for i in range(4)] == [results[i - 4] for i in range(4)] and len(rows) == 4
    assert rows[2] == Result(
        label=str(results.label[2]),
        score=float(results.score[2]),
        scores=tuple(map(float, results.scores[2])),
        logits=tuple(map(float, results.logits[2])),
        calibrated=None,
        tokens=512,
        unknown=int(results.unknown[2]),
        truncated=True,
    )
    assert {type(value) for value in rows[0].scores} == {float} and type(rows[0].label) is str
    for wrong in (4, -5):
        with pytest.raises(IndexError, match="there are 4"):
            results[wrong]
    with pytest.raises(TypeError):
        results["label"]
    with pytest.raises(AttributeError):
        rows[0].score = 1.0
    for made in (pickle.loads(pickle.dumps(results)), copy.deepcopy(results)):
        assert list(made) == rows and made._repr_html_() == results._repr_html_()
    assert "4 texts" in repr(results)


def test_repr_and_wrong_keys(clf):
    results = clf.classify(["Rash.", "No rash.", "Rash."])
    counts = [int((results.label == label).sum()) for label in clf.labels]
    assert repr(results) == f"<Results of 3 texts: {counts[0]} not ADE, {counts[1]} ADE>"
    with pytest.raises(TypeError, match="not str; a column is an attribute, such as results.label"):
        results["label"]
    with pytest.raises(TypeError, match="by an int or a slice, not float"):
        results[0.5]


@pytest.mark.parametrize("some", [slice(1, 3), slice(None, None, -1), slice(0, 0), slice(-1, 9), slice(None, None, 2)])
def test_slices(clf, some):
    part = clf.classify(TEXTS)[some]
    assert list(part) == list(clf.classify(TEXTS))[some] and len(part) == len(TEXTS[some])
    shown = part._repr_html_()
    for text, label in zip(TEXTS[some], part.label):
        assert label in shown and (text[:20].replace("<b>", "&lt;b&gt;") in shown)


def test_pandas(calibrated):
    pd = pytest.importorskip("pandas")
    column = pd.Series(TEXTS, index=[7, 5, 3, 1])
    results = calibrated.classify(column)
    frame = results.to_pandas()
    assert list(frame.index) == [7, 5, 3, 1]
    assert list(frame) == (
        ["label", "score", "calibrated", "tokens", "unknown", "truncated"]
        + ["score_not ADE", "score_ADE", "logit_not ADE", "logit_ADE"]
    )
    for name in ("score", "calibrated", "tokens", "unknown", "truncated"):
        assert np.array_equal(frame[name], getattr(results, name)) and frame[name].dtype == getattr(results, name).dtype
    assert list(frame.label) == list(results.label) and np.array_equal(frame["score_ADE"], results.scores[:, 1])
    joined = column.to_frame("text").join(frame)
    assert list(joined.text) == TEXTS and list(joined.score) == list(results.score)
    assert list(results[1:3].to_pandas().index) == [5, 3]
    assert list(calibrated.classify(TEXTS).to_pandas().index) == [0, 1, 2, 3]
    assert len(calibrated.classify([]).to_pandas()) == 0


def test_arrow(clf, calibrated, data):
    pa = pytest.importorskip("pyarrow")
    results = calibrated.classify(pa.array(TEXTS))
    table = results.to_arrow()
    vector = pa.list_(pa.float32(), 2)
    assert table.schema.equals(
        pa.schema(
            [
                ("label", pa.string()),
                ("score", pa.float32()),
                ("calibrated", pa.float64()),
                ("tokens", pa.int32()),
                ("unknown", pa.int32()),
                ("truncated", pa.bool_()),
                ("scores", vector),
                ("logits", vector),
            ]
        )
    )
    table.validate(full=True)
    assert json.loads(table.schema.metadata[b"labels"]) == list(clf.labels)
    assert table.schema.metadata[b"positive_label"] == b"ADE"
    for name in ("label", "truncated", "tokens"):
        assert table[name].to_pylist() == list(getattr(results, name))
    assert np.array_equal(np.array(table["logits"].to_pylist(), dtype=np.float32), results.logits)
    assert results[::2].to_arrow()["scores"].to_pylist() == table["scores"].to_pylist()[::2]
    empty = calibrated.classify([]).to_arrow()
    assert empty.schema.equals(table.schema) and len(empty) == 0
    with adesieve.Classifier(data / "models" / "regression", "cpu", "f32") as regression:
        results = regression.classify(TEXTS)
        table = results.to_arrow()
        assert results.label is None and results[0].label is None
        assert table["label"].null_count == 4 and "calibrated" not in table.schema.names
        assert table["score"].to_pylist() == regression.predict(TEXTS).tolist()
        assert np.array_equal(results.to_pandas()["score_severity"], results.score)


def test_html(clf):
    shown = clf.classify(TEXTS)._repr_html_()
    assert shown.count("<tr>") == 5 and "TNF-α 5±2 mg &lt;b&gt;" in shown and "<b>" not in shown
    assert "truncated" in shown and f"{clf.classify(TEXTS).score[0]:.4f}" in shown
    many = clf.classify([f"Rash {i}." for i in range(50)])._repr_html_()
    assert "Rash 19." in many and "Rash 20." not in many and "30 more" in many
    assert clf.classify("one \x00 & two")._repr_html_().count("&amp;") == 1
    assert "<table" in clf.classify([])._repr_html_()


def test_the_texts_are_not_kept(clf):
    """But for the first few, which the notebook shows."""
    texts = ["".join(["Rash ", str(i), "x" * 1000]) for i in range(200)]
    assert len(pickle.dumps(clf.classify(texts))) < 50_000
