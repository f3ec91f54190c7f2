# SPDX-License-Identifier: Apache-2.0
"""The scikit-learn estimator: classes, numbers that could be turned round, thresholds, and scikit-learn's own helpers.

Mostly with the baseline, which takes microseconds a text and finds 89 of 100 labels of tests/data/test.csv: enough to
see an answer that was turned round.
"""

from __future__ import annotations

import copy
import csv
import gc
import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.base import clone, is_classifier  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.ensemble import StackingClassifier, VotingClassifier  # noqa: E402
from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: E402
from sklearn.frozen import FrozenEstimator  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.metrics import accuracy_score, f1_score, make_scorer, roc_auc_score  # noqa: E402
from sklearn.model_selection import (  # noqa: E402
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer  # noqa: E402
from sklearn.utils import estimator_checks, get_tags  # noqa: E402

import adesieve  # noqa: E402
from adesieve import sklearn as face  # noqa: E402
from adesieve.sklearn import SentenceClassifier  # noqa: E402

NAMES = ["not ADE", "ADE"]
SORTED = ["ADE", "not ADE"]


@pytest.fixture(scope="module")
def baseline(root):
    return str(root / "models" / "tfidf-logreg")


@pytest.fixture(scope="module")
def corpus(data):
    """600 texts with the corpus' own numbers (1 = ADE) and with names."""
    with open(data / "test.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:600]
    y = np.array([int(row["label"]) for row in rows])
    return [row["text"] for row in rows], y, np.array(NAMES)[y]


@pytest.fixture(scope="module")
def truth(baseline, corpus):
    """P(ADE) by adesieve.Classifier."""
    with adesieve.Classifier(baseline) as clf:
        return clf.predict_proba(corpus[0])[:, 1]


# ---- Classes ----------------------------------------------------------------------------------------------------


def test_without_fit_the_classes_are_the_names(baseline, corpus, truth):
    est = SentenceClassifier(baseline)
    assert est.classes_.tolist() == SORTED
    assert np.array_equal(est.predict_proba(corpus[0])[:, 0], truth)
    assert est.predict(corpus[0]).tolist() == [NAMES[int(p > 0.5)] for p in truth]
    assert est.fit(corpus[0]).classes_.tolist() == SORTED  # y is not needed
    assert est.classifier_.calibration is not None


@pytest.mark.parametrize(
    "make, classes, column",
    [
        (lambda y: [NAMES[i] for i in y], SORTED, 0),
        (lambda y: np.array(NAMES)[y], SORTED, 0),
        (lambda y: np.array(NAMES, dtype=object)[y], SORTED, 0),
        (lambda y: y, [0, 1], 1),
        (lambda y: y.tolist(), [0, 1], 1),
        (lambda y: y.astype(np.float64), [0.0, 1.0], 1),
        (lambda y: y == 1, [False, True], 1),
        (lambda y: [bool(i) for i in y], [False, True], 1),
    ],
)
def test_classes_and_columns(baseline, corpus, truth, make, classes, column):
    texts, numbers, _ = corpus
    y = make(numbers)
    est = SentenceClassifier(baseline).fit(texts, y)
    assert est.classes_.tolist() == classes
    proba = est.predict_proba(texts)
    assert proba.dtype == np.float32 and np.array_equal(proba[:, column], truth)
    predicted = est.predict(texts)
    assert np.array_equal(predicted, est.classes_[proba.argmax(axis=1)])
    assert np.array_equal(predicted == classes[column], truth > 0.5)
    assert accuracy_score(y, predicted) == est.score(texts, y) > 0.85
    odds = est.decision_function(texts)
    assert np.array_equal(odds > 0, predicted == classes[1])
    logs = est.predict_log_proba(texts)
    assert np.abs(np.exp(logs) - proba).max() < 1e-6
    assert np.abs(logs[:, 1] - logs[:, 0] - odds).max() < 1e-5


def test_data_frames(baseline, corpus, truth):
    pd = pytest.importorskip("pandas")
    texts, numbers, names = corpus
    frame = pd.DataFrame({"text": texts, "y": numbers, "name": names}, index=range(1000, 1600))
    est = SentenceClassifier(baseline)
    for y in (frame["name"], frame["name"].astype("category"), frame["name"].astype("string")):
        assert np.array_equal(est.fit(frame["text"], y).predict_proba(frame["text"])[:, 0], truth)
    for y in (frame["y"], frame["y"].astype("Int64"), frame["y"] == 1, (frame["y"] == 1).astype("boolean")):
        assert np.array_equal(est.fit(frame["text"], y).predict_proba(frame["text"])[:, 1], truth)
    with pytest.raises(ValueError, match=r"shape \(600, 3\)"):
        est.predict(frame)
    with pytest.raises(ValueError, match=r"y\[0\] is <NA>"):
        est.fit(texts, pd.array([pd.NA] * 600, dtype="string"))


def test_three_classes(root, sentences):
    est = SentenceClassifier(root / "tests" / "golden" / "baseline" / "three_classes")
    texts = sentences[:200]
    assert est.classes_.tolist() == ["ADE", "none", "some"]
    plain = est.classifier_.predict_proba(texts)
    answers = est.classifier_.predict(texts)
    assert est.predict(texts).tolist() == answers.tolist()
    assert est.score(texts, answers) == 1.0
    assert np.array_equal(est.predict_proba(texts), plain[:, [2, 0, 1]])
    assert est.decision_function(texts).shape == (200, 3)
    est.set_params(threshold=0.2)
    found = est.predict(texts)
    assert (found[plain[:, 2] >= np.float64(0.2)] == "ADE").all()
    below = plain[:, 2] < np.float64(0.2)
    assert (found[below] == np.array(["none", "some"])[plain[below, :2].argmax(axis=1)]).all() and 0 < below.sum() < 200
    numbers = np.array([["none", "some", "ADE"].index(label) for label in answers])
    est.set_params(threshold=None).fit(texts, numbers)
    assert np.array_equal(est.predict(texts), numbers) and np.array_equal(est.predict_proba(texts), plain)
    with pytest.raises(ValueError, match="not clear what the numbers"):
        est.fit(texts, (numbers + 1) % 3)  # 0 = ADE, 1 = none, 2 = some
    with pytest.raises(ValueError, match="bools are for two labels"):
        est.fit(texts, numbers > 1)


# ---- Numbers that could be turned round -------------------------------------------------------------------------


def test_numbers_of_names_are_refused(baseline, corpus):
    """scikit-learn numbers names in alphabetical order before it calls fit: 0 = ADE, where the model's 0 is not ADE."""
    texts, _, names = corpus
    with pytest.raises(ValueError, match=r"not clear what .*classes=\['ADE', 'not ADE'\]"):
        cross_val_predict(SentenceClassifier(baseline), texts, names, cv=3, method="predict_proba")


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba", "decision_function"])
def test_the_cure(baseline, corpus, truth, method):
    texts, numbers, names = corpus
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cured = cross_val_predict(SentenceClassifier(baseline, classes=SORTED), texts, names, cv=3, method=method)
        frozen = cross_val_predict(FrozenEstimator(SentenceClassifier(baseline)), texts, names, cv=3, method=method)
        own = cross_val_predict(SentenceClassifier(baseline), texts, numbers, cv=3, method=method)
    assert np.array_equal(cured, frozen)
    if method == "decision_function":
        assert np.array_equal(cured, -own) and roc_auc_score(numbers, own) > 0.9
    else:
        assert np.array_equal(cured[:, 0], own[:, 1])
    if method == "predict_proba":
        assert np.array_equal(own[:, 1], truth)


def test_what_the_check_accepts(baseline, corpus):
    texts, numbers, names = corpus
    est = SentenceClassifier(baseline)
    est.fit(texts[:24], numbers[:24])
    with pytest.raises(ValueError, match="of 3 texts"):  # all agree, and it could be chance
        est.fit(texts[:3], est.fit(texts, numbers).predict(texts[:3]))
    with pytest.raises(ValueError, match="not clear"):
        est.fit(texts, 1 - numbers)
    with pytest.raises(ValueError, match="not clear"):  # only one class, which a fold of sorted data can have
        est.fit([text for text, y in zip(texts, numbers) if y], np.zeros(numbers.sum(), dtype=int))
    noise = np.random.default_rng(1).integers(0, 2, 600)
    with pytest.raises(ValueError, match="of 256 texts"):
        est.fit(texts, noise)
    est.fit(texts, 1 - numbers == 0)  # bools say what they mean
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stated = SentenceClassifier(baseline, classes=NAMES)
        stated.fit(texts[:3], numbers[:3])
        stated.fit(texts, noise)
        assert stated.fit(texts, names).classes_.tolist() == SORTED  # names need no numbers
    with pytest.warns(UserWarning, match="does not look as if"):
        stated.fit(texts, 1 - numbers)
    assert stated.classes_.tolist() == [0, 1]


def test_bools_mean_the_positive_label(baseline, corpus, truth):
    texts, numbers, _ = corpus
    est = SentenceClassifier(baseline, positive_label="not ADE").fit(texts, numbers == 0)
    assert np.array_equal(est.predict_proba(texts)[:, 0], truth)
    # cross_val_predict makes 0 and 1 of them: 1 is then "not ADE", and the model's number 0.
    with pytest.raises(ValueError, match="not clear"):
        cross_val_predict(est, texts, numbers == 0, cv=2, method="predict_proba")
    own = SentenceClassifier(baseline)
    assert np.array_equal(cross_val_predict(own, texts, numbers == 1, cv=2, method="predict_proba")[:, 1], truth)


def test_no_check_where_nothing_can_be_turned_round(tiny):
    """Labels in alphabetical order, the positive one last: every reading of numbers is the same."""
    est = SentenceClassifier(tiny, labels=["a", "b"], threads=1)
    est.fit(["x", "y"], [1, 1])
    assert est.classes_.tolist() == [0, 1]


# ---- Thresholds -------------------------------------------------------------------------------------------------


def test_threshold(baseline, corpus, truth):
    texts, numbers, names = corpus
    for threshold in (0.0, 0.3, 0.9, 1.0):
        est = SentenceClassifier(baseline, threshold=threshold).fit(texts, names)
        assert np.array_equal(est.predict(texts) == "ADE", truth >= threshold), threshold
        assert np.array_equal(est.fit(texts, numbers).predict(texts) == 1, truth >= threshold), threshold
        assert est.threshold_ == threshold
    exact = float(truth[5])  # is found; just below the threshold, by less than float32 sees, it is not
    est = SentenceClassifier(baseline, threshold=exact)
    assert est.predict(texts)[5] == "ADE"
    assert est.set_params(threshold=np.nextafter(exact, 2.0)).predict(texts)[5] == "not ADE"


def test_threshold_by_target(baseline, corpus, truth):
    est = SentenceClassifier(baseline, threshold="recall=0.95").fit(*corpus[::2])
    with adesieve.Classifier(baseline) as clf:
        threshold = clf.operating_point(recall=0.95).threshold
    assert est.threshold_ == threshold and 0 < threshold < 0.5
    assert np.array_equal(est.predict(corpus[0]) == "ADE", truth.astype(np.float64) >= threshold)


@pytest.mark.parametrize("threshold", [1.5, -0.1, float("nan"), "recall", "recall=x", "high"])
def test_bad_threshold(baseline, threshold):
    est = SentenceClassifier(baseline, threshold=threshold)
    with pytest.raises(ValueError, match="threshold"):
        est.fit(["a", "b"], NAMES)
    with pytest.raises(ValueError, match="threshold"):
        est.predict(["a"])


def test_target_without_calibration(tiny):
    with pytest.raises(adesieve.Error, match="calibration"):
        SentenceClassifier(tiny, labels=NAMES, threshold="recall=0.95").fit(["a"])


def test_tuning(baseline, corpus, truth):
    texts, numbers, names = corpus
    f1 = make_scorer(f1_score, pos_label="ADE")
    grid = GridSearchCV(SentenceClassifier(baseline), {"threshold": [0.01, 0.4, 0.99]}, scoring=f1, cv=3)
    assert grid.fit(texts, names).best_params_ == {"threshold": 0.4}
    tuned = TunedThresholdClassifierCV(SentenceClassifier(baseline), scoring=f1, cv=3).fit(texts, names)
    assert np.array_equal(tuned.predict(texts) == "ADE", truth >= tuned.best_threshold_)
    assert f1(tuned, texts, names) > 0.7
    frozen = FrozenEstimator(SentenceClassifier(baseline))
    prefit = TunedThresholdClassifierCV(frozen, cv="prefit", refit=False, scoring=f1)
    assert f1(prefit.fit(texts, names), texts, names) >= f1(SentenceClassifier(baseline), texts, names)
    fixed = FixedThresholdClassifier(
        SentenceClassifier(baseline), threshold=0.9, pos_label="ADE", response_method="predict_proba"
    )
    assert np.array_equal(fixed.fit(texts, names).predict(texts) == "ADE", truth >= 0.9)
    assert np.array_equal(fixed.set_params(pos_label=1).fit(texts, numbers).predict(texts) == 1, truth >= 0.9)


# ---- scikit-learn's helpers -------------------------------------------------------------------------------------


def test_cross_validation(baseline, corpus):
    texts, numbers, names = corpus
    est = SentenceClassifier(baseline, threads=1)
    assert np.array_equal(cross_val_predict(est, texts, names, cv=3), est.predict(texts))
    assert (cross_val_score(est, texts, numbers, cv=3) > 0.8).all()
    auc = cross_val_score(est, texts, numbers, cv=3, scoring="roc_auc")
    assert (auc > 0.9).all()
    parallel = cross_val_predict(est, texts, numbers, cv=2, method="predict_proba", n_jobs=2)
    assert np.array_equal(parallel, est.fit(texts, numbers).predict_proba(texts))


def test_calibrated(baseline, corpus):
    texts, numbers, names = corpus
    for method in ("sigmoid", "isotonic"):
        for ensemble in (True, False):
            est = SentenceClassifier(baseline, classes=None if ensemble else SORTED)
            calibrated = CalibratedClassifierCV(est, method=method, cv=3, ensemble=ensemble).fit(texts, names)
            assert calibrated.classes_.tolist() == SORTED
            proba = calibrated.predict_proba(texts)[:, 0]
            assert roc_auc_score(numbers, proba) > 0.9 and abs(proba.mean() - numbers.mean()) < 0.05, (method, ensemble)
    frozen = CalibratedClassifierCV(FrozenEstimator(SentenceClassifier(baseline))).fit(texts, names)
    assert roc_auc_score(numbers, frozen.predict_proba(texts)[:, 0]) > 0.9
    with pytest.raises(ValueError, match="not clear"):
        CalibratedClassifierCV(SentenceClassifier(baseline), cv=3, ensemble=False).fit(texts, names)


def test_stacking_and_voting(baseline, root, corpus):
    texts, numbers, names = corpus
    words = make_pipeline(TfidfVectorizer(), LogisticRegression())
    parts = [("frozen", SentenceClassifier(baseline, classes=SORTED)), ("words", words)]
    stack = StackingClassifier(parts, cv=3).fit(texts[:400], names[:400])
    assert stack.score(texts[400:], names[400:]) > 0.8
    assert stack.final_estimator_.coef_[0, 0] > 0  # P(not ADE) speaks for "not ADE"
    vote = VotingClassifier(parts, voting="soft").fit(texts[:400], names[:400])
    assert vote.score(texts[400:], names[400:]) > 0.8
    with pytest.raises(ValueError, match="not clear"):
        VotingClassifier([("frozen", SentenceClassifier(baseline)), ("words", words)]).fit(texts, names)


def test_pipeline(baseline, corpus):
    texts, numbers, names = corpus
    strip = FunctionTransformer(lambda column: [text.strip() for text in column])
    pipe = Pipeline([("strip", strip), ("clf", SentenceClassifier(baseline))])
    padded = [f"  {text} " for text in texts]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(pipe.fit(padded, names).predict(padded), pipe.named_steps["clf"].predict(texts))
        assert pipe.classes_.tolist() == SORTED and pipe.score(padded, names) > 0.85
        assert pipe.set_params(clf__threshold=0.0).predict(padded).tolist() == ["ADE"] * 600
        unfitted = Pipeline([("clf", SentenceClassifier(baseline))]).set_output(transform="pandas")
        assert isinstance(unfitted.predict_proba(texts), np.ndarray)  # no transformer: set_output changes nothing


# ---- The estimator as an object ---------------------------------------------------------------------------------


def test_parameters(tiny):
    odd = object()
    assert SentenceClassifier(odd, threshold=odd).get_params()["model"] is odd  # looked at when used, not before
    labels = ["a", "b"]
    est = SentenceClassifier(tiny, labels=labels, threads=1)
    assert est.labels is labels and est.model is tiny
    assert clone(est).get_params() == est.get_params()
    assert est.classes_.tolist() == labels
    est.set_params(labels=["c", "d"])  # opens the model anew
    assert est.classes_.tolist() == ["c", "d"]
    settings = set(SentenceClassifier().get_params()) - {"threshold", "classes"}
    with adesieve.Classifier(tiny) as clf:
        assert settings == set(clf._settings)


def test_clones_share_the_open_model(baseline, corpus, monkeypatch):
    opened = []
    really = face._open
    monkeypatch.setattr(face, "_open", lambda settings: opened.append(settings) or really(settings))
    est = SentenceClassifier(baseline)
    first = est.classifier_
    assert clone(est).classifier_ is first and copy.deepcopy(est).classifier_ is first
    cross_val_predict(est, corpus[0], corpus[2], cv=3)
    assert len(opened) == 1
    assert clone(est).set_params(max_length=9).classifier_ is not first
    assert len(opened) == 2
    del est, first
    gc.collect()
    assert not [key for key in face._shared if baseline in key]


def test_pickle(baseline, corpus):
    texts, numbers, _ = corpus
    est = SentenceClassifier(baseline, threshold=0.3).fit(texts, numbers)
    stored = pickle.dumps(est)
    assert len(stored) < 1000
    again = pickle.loads(stored)
    assert again.classes_.tolist() == [0, 1] and np.array_equal(again.predict(texts), est.predict(texts))


def test_display():
    est = SentenceClassifier("somewhere", threshold=0.2)
    assert repr(est) == "SentenceClassifier(model='somewhere', threshold=0.2)"
    assert "SentenceClassifier" in est._repr_html_()  # neither opens the model


def test_tags(tiny):
    est = SentenceClassifier(tiny, labels=NAMES)
    tags = get_tags(est)
    assert is_classifier(est) and tags.input_tags.string and tags.input_tags.one_d_array
    assert not tags.input_tags.two_d_array and not tags.requires_fit and not tags.target_tags.required
    assert not hasattr(est, "n_features_in_")


# Of scikit-learn's checks those that do not feed tables of numbers; check_estimator skips a class that takes text.
CHECKS = [
    "check_do_not_raise_errors_in_init_or_set_param",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
]


@pytest.mark.parametrize("check", [name for name in CHECKS if hasattr(estimator_checks, name)])
def test_estimator_checks(check, tiny):
    getattr(estimator_checks, check)("SentenceClassifier", SentenceClassifier(tiny, labels=NAMES, threads=1))


# ---- Wrong input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "y, message",
    [
        (["ADE", None], r"y\[1\] is None"),
        (["ADE", float("nan")], r"y\[1\] is nan"),
        (["ADE", 1], r"y\[1\] is 1, among names"),
        (["ADE", "ade"], r"y\[1\] is 'ade'; the model's labels are \['not ADE', 'ADE'\]"),
        ([0, 2], r"y\[1\] is 2; numbers stand for labels, 0 = 'not ADE', 1 = 'ADE'"),
        ([-1, 1], r"y\[0\] is -1"),
        ([0.5, 1.0], r"y\[0\] is 0.5"),
        ([b"ADE", b"ADE"], r"y\[0\] is b'ADE'"),
        (["ADE"], "X holds 2 texts, and y 1 class"),
        ([["ADE", "ADE"], ["ADE", "ADE"]], "1d array"),
        ("ADE", "y is a str"),
        (7, "y is a int"),
    ],
)
def test_bad_y(baseline, y, message):
    with pytest.raises((ValueError, TypeError), match=message):
        SentenceClassifier(baseline).fit(["a", "b"], y)


def test_bad_x(baseline):
    est = SentenceClassifier(baseline)
    with pytest.raises(ValueError, match=r"X is one text"):
        est.predict("Rash.")
    with pytest.raises(ValueError, match=r"shape \(1, 1\)"):
        est.predict(np.array([["Rash."]]))
    with pytest.raises(ValueError, match=r"shape \(\)"):
        est.predict(np.array("Rash."))
    with pytest.raises(ValueError, match="no text"):
        est.fit([], [])
    with pytest.raises(TypeError, match="no length"):
        est.fit((text for text in ["a"]), ["ADE"])
    with pytest.raises(TypeError, match="text 1 "):
        est.predict(["a", None])
    assert est.predict([]).shape == (0,) and est.predict_proba([]).shape == (0, 2)
    assert est.decision_function([]).shape == (0,) and est.predict_log_proba([]).shape == (0, 2)
    assert est.predict(text for text in ["Rash."]).shape == (1,)


@pytest.mark.parametrize("classes", [["ADE"], ["ADE", "x"], ["ADE", "ADE"], "ADE", [0, 1]])
def test_bad_classes(baseline, classes):
    with pytest.raises(ValueError, match="classes is"):
        SentenceClassifier(baseline, classes=classes).fit(["a", "b"], [0, 1])


@pytest.mark.parametrize("name", ["multi_label", "regression"])
def test_other_problems_are_refused(data, name):
    with pytest.raises(ValueError, match=f"problem is {name}"):
        SentenceClassifier(data / "models" / name).predict(["a"])
