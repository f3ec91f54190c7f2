# SPDX-License-Identifier: Apache-2.0
"""Classifier.calibrate, .calibration, .calibrated, .operating_point, and thresholds by target in .screen."""

from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest

import adesieve
from adesieve import Calibration, OperatingPoint, Status

LABELS = ["not ADE", "ADE"]


@pytest.fixture
def folder(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "model")


@pytest.fixture
def labelled(clf, sentences):
    """Texts, and labels that the random model has a notion of."""
    texts = sentences[:200]
    odds = np.diff(clf.logits(texts), axis=1)[:, 0]
    noise = np.random.default_rng(1).normal(size=len(texts)) * odds.std()
    return texts, [LABELS[int(value)] for value in odds + noise > np.quantile(odds, 0.7)]


@pytest.fixture
def calibrated(folder, labelled):
    with adesieve.Classifier(folder, "cpu", "f32", threads=2, labels=LABELS) as classifier:
        classifier.calibrate(*labelled, method="platt", data="some texts")
        yield classifier


def test_fit(folder, labelled):
    texts, labels = labelled
    with adesieve.Classifier(folder, "cpu", "f32", labels=LABELS) as clf:
        assert clf.calibration is None and not clf.info["calibrated"] and clf.info["kind"] == "encoder"
        made = clf.calibrate(texts, labels, method="platt", folds=5, seed=3, data="some texts")
        assert isinstance(made, Calibration) and made == clf.calibration and clf.info["calibrated"]
        assert (made.method, made.n, made.n_positive) == ("platt", 200, labels.count("ADE"))
        assert len(made.model) == 64 and set(made.model) <= set("0123456789abcdef")
        assert made.data == "some texts" and made.prevalence == made.n_positive / made.n
        assert made.slope > 0 and made.offset is not None and made.temperature is None
        assert made.log_loss_after < made.log_loss_before
        assert (folder / "calibration.json").exists()
        numbers = [LABELS.index(label) for label in labels]
        assert clf.calibrate(texts, numbers, method="platt", folds=5, seed=3).slope == made.slope
        assert clf.calibrate(texts, labels, method="temperature").temperature > 0


def test_values(calibrated, labelled):
    texts = labelled[0][:50]
    logits, made = calibrated.logits(texts).astype(float), calibrated.calibration
    odds = made.slope * (logits[:, 1] - logits[:, 0]) + made.offset
    values = calibrated.calibrated(texts)
    assert values.dtype == np.float64 and np.allclose(values, 1 / (1 + np.exp(-odds)), atol=1e-12, rtol=0)
    shift = np.log(0.02 / 0.98) - np.log(made.prevalence / (1 - made.prevalence))
    rare = calibrated.calibrated(texts, prevalence=0.02)
    assert np.allclose(rare, 1 / (1 + np.exp(-odds - shift)), atol=1e-12, rtol=0)
    assert calibrated.calibrated([]).shape == (0,)
    assert calibrated.calibrated(texts[0]).shape == (1,)
    for wrong in (0, 1, -0.5, float("nan")):
        with pytest.raises(ValueError, match="prevalence"):
            calibrated.calibrated(texts, prevalence=wrong)


def test_operating_points(calibrated, labelled):
    scores = calibrated.predict_proba(labelled[0])[:, 1]
    positive = np.array(labelled[1]) == "ADE"
    for wanted in (0.5, 0.8, 0.95, 1.0):
        point = calibrated.operating_point(recall=wanted)
        assert isinstance(point, OperatingPoint)
        # the scores that the model gives, compared as floats: none is missed by a rounding
        found = scores >= np.float32(point.threshold)
        assert point.recall == found[positive].mean() >= wanted and point.review == found.mean()
        assert point.precision == positive[found].mean()
        assert point.recall_interval[0] <= point.recall <= point.recall_interval[1]
        assert calibrated.operating_point(threshold=point.threshold) == point
        rare = calibrated.operating_point(threshold=point.threshold, prevalence=0.01)
        assert rare.recall == point.recall and rare.precision < point.precision and rare.prevalence == 0.01
    assert calibrated.operating_point(review=0.1).review <= 0.1
    assert calibrated.operating_point(precision=0.5).precision >= 0.5
    with pytest.raises(adesieve.Error, match="the least is") as error:
        calibrated.operating_point(review=0.001)
    assert error.value.status is Status.UNSUPPORTED
    with pytest.raises(adesieve.Error, match="a recall of 2"):
        calibrated.operating_point(recall=2)
    for wrong in ({}, {"recall": 0.5, "review": 0.1}):
        with pytest.raises(TypeError, match="one of"):
            calibrated.operating_point(**wrong)


def test_no_calibration(clf, data):
    for use in (
        lambda: clf.calibrated(["x"]),
        lambda: clf.operating_point(recall=0.5),
        lambda: clf.screen(data / "medline" / "pubmed1.xml", threshold="recall=0.9"),
        lambda: clf.screen(data / "medline" / "pubmed1.xml", prevalence=0.1),
    ):
        with pytest.raises(adesieve.Error, match="calibrat") as error:
            use()
        assert error.value.status is Status.UNSUPPORTED


def test_bad_arguments(calibrated, labelled):
    texts, labels = labelled
    with pytest.raises(ValueError, match="label 1 is 'maybe'"):
        calibrated.calibrate(texts[:2], ["ADE", "maybe"])
    with pytest.raises(ValueError, match="there are 3 texts and 2 labels"):
        calibrated.calibrate(texts[:3], ["ADE", "ADE"])
    with pytest.raises(ValueError, match="method"):
        calibrated.calibrate(texts, labels, method="sigmoid")
    with pytest.raises(adesieve.Error, match="at least 10 of both kinds"):
        calibrated.calibrate(texts[:10], [1] * 10)
    with pytest.raises(adesieve.Error, match="out of range"):
        calibrated.calibrate(texts[:10], [7] * 10)
    assert calibrated.calibration.data == "some texts"  # it has what it had


def test_another_file(folder, labelled, tmp_path):
    path = tmp_path / "elsewhere.json"
    with adesieve.Classifier(folder, "cpu", "f32", labels=LABELS) as clf:
        made = clf.calibrate(*labelled, method="temperature", path=path)
        assert clf.calibration == made and not (folder / "calibration.json").exists()
        with pickle.loads(pickle.dumps(clf)) as other:
            assert other.calibration == made
    (folder / "calibration.json").write_text("{")
    with adesieve.Classifier(folder, "cpu", "f32", calibration=path) as clf:
        assert clf.calibration == made
    with adesieve.Classifier(folder, "none", calibration="") as clf:
        assert clf.calibration is None
    for wrong, status in ((None, Status.BAD_MODEL), (tmp_path / "nowhere.json", Status.IO)):
        with pytest.raises(adesieve.Error) as error:
            adesieve.Classifier(folder, "cpu", calibration=wrong)
        assert error.value.status is status


def test_screen(calibrated, data):
    file = data / "medline" / "pubmed1.xml"
    point = calibrated.operating_point(recall=0.8, prevalence=0.02)
    with calibrated.screen(file, threshold="recall=0.8", prevalence=0.02, all=True) as run:
        assert run.operating_point == point and run.threshold == point.threshold and run.prefilter_point is None
        rows = list(run)
    assert rows and all(row.hit == (row.score >= point.threshold) for row in rows)
    assert [row.calibrated for row in rows] == [
        pytest.approx(value, abs=1e-12) for value in calibrated.calibrated([row.text for row in rows], prevalence=0.02)
    ]
    with calibrated.screen(file, threshold=0.0) as run:
        assert run.operating_point is None and all(0 < row.calibrated < 1 for row in run)
    for wrong in ("recall", "recall=x", "f1=0.5", "=0.5", ""):
        with pytest.raises(ValueError, match="threshold"):
            calibrated.screen(file, threshold=wrong)
    with pytest.raises(ValueError, match="prevalence"):
        calibrated.screen(file, prevalence=2)


def test_rows_without_calibration(clf, data):
    assert {row.calibrated for row in clf.screen(data / "medline" / "pubmed1.xml", all=True)} == {None}


def test_prefilter(calibrated, data, root):
    baseline = root / "models" / "tfidf-logreg"
    if not (baseline / "calibration.json").exists():
        pytest.skip("no calibrated baseline")
    file = data / "medline" / "pubmed2.xml"
    with calibrated.screen(file, threshold=0.0) as run:
        whole = list(run)
    with calibrated.screen(file, threshold=0.0, prefilter=baseline, prefilter_recall=0.9) as run:
        point = run.prefilter_point
        some = list(run)
        stats = run.stats
    assert 0.9 <= point.recall < 0.92
    assert 0 < stats.prefiltered == len(whole) - len(some) <= stats.skipped
    with adesieve.Classifier(baseline, "cpu") as first:
        assert first.info["kind"] == "baseline" and first.info["precision"] == "f64"
        passed = first.predict_proba([row.text for row in whole])[:, 1] >= np.float32(point.threshold)
    kept = {(row.pmid, row.sentence) for row in some}
    assert {(row.pmid, row.sentence) for row, keep in zip(whole, passed) if keep} == kept
    with pytest.raises(adesieve.Error):
        calibrated.screen(file, prefilter=data / "tiny_bert_cls")  # no baseline, and not calibrated
    with adesieve.Classifier(data / "tiny_bert_cls", "cpu", "f32") as unnamed:
        with pytest.raises(adesieve.Error, match='looks for "ADE" and the model .* for "LABEL_1"'):
            unnamed.screen(file, prefilter=baseline)


def test_a_prefilter_that_was_changed_is_refused(clf, root, data, tmp_path):
    """Its calibration says for which weights it was made."""
    folder = shutil.copytree(root / "models" / "tfidf-logreg", tmp_path / "prefilter")
    file = data / "medline" / "pubmed1.xml"
    clf.screen(file, prefilter=folder).close()
    said = json.loads((folder / "calibration.json").read_text("utf-8"))
    said["model"] = "0" * 64
    (folder / "calibration.json").write_text(json.dumps(said), "utf-8")
    with pytest.raises(adesieve.InvalidArgument, match="was changed since its calibration was made"):
        clf.screen(file, prefilter=folder)
