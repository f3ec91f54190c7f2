"""baseline.py: what it refuses, in a sentence and before anything is written."""

import hashlib

import numpy as np
import pytest

sklearn_text = pytest.importorskip("sklearn.feature_extraction.text")
sklearn_linear = pytest.importorskip("sklearn.linear_model")
pytest.importorskip("safetensors")

import baseline  # noqa: E402

LABELS = {0: "not ADE", 1: "ADE"}
TEXTS = ["rash after the drug", "no rash was seen", "severe rash after therapy", "the drug was given", "a case", "a drug"]
ADE = [1, 0, 1, 0, 0, 1]


def fitted(classes=ADE, **settings):
    vectorizer = sklearn_text.TfidfVectorizer()
    return vectorizer, sklearn_linear.LogisticRegression(**settings).fit(vectorizer.fit_transform(TEXTS), classes)


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def refuse(tmp_path, words, vectorizer, classifier, labels=LABELS):
    """A folder that was there stays as it was."""
    folder = tmp_path / "model"
    baseline.export(*fitted(), folder, LABELS)
    before = digests(folder)
    assert set(before) == {"config.json", "vocab.txt", "model.safetensors"}
    with pytest.raises(baseline.BaselineError, match=words):
        baseline.export(vectorizer, classifier, folder, labels)
    assert digests(folder) == before
    with pytest.raises(baseline.BaselineError, match=words):
        baseline.export(vectorizer, classifier, tmp_path / "new", labels)
    assert not (tmp_path / "new").exists()


def test_classes(tmp_path):
    names = ["ADE" if label else "not ADE" for label in ADE]  # "ADE" sorts first
    refuse(tmp_path, "classes are \\['ADE', 'not ADE'\\]", *fitted(names))
    refuse(tmp_path, "classes are \\[-1, 1\\]", *fitted([2 * label - 1 for label in ADE]))
    refuse(tmp_path, "classes are \\[1, 2\\]", *fitted([label + 1 for label in ADE]))
    refuse(tmp_path, "2 classes, and 3 labels", *fitted(), {**LABELS, 2: "perhaps"})
    baseline.export(*fitted(names), tmp_path / "named", {0: "ADE", 1: "not ADE"})
    baseline.export(*fitted([bool(label) for label in ADE]), tmp_path / "truth", LABELS)


def test_weights(tmp_path):
    for name, value in (("coef_", np.nan), ("intercept_", np.inf)):
        vectorizer, classifier = fitted()
        getattr(classifier, name)[...] = value
        refuse(tmp_path, f"weight of {name[:-1]} is not a finite number", vectorizer, classifier)
    vectorizer, classifier = fitted()
    classifier.coef_ = classifier.coef_[:, :-1]
    refuse(tmp_path, "do not fit", vectorizer, classifier)


def test_interrupted(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    baseline.export(*fitted(), folder, LABELS)
    before = digests(folder)

    def fail(*_args, **_settings):
        raise OSError("no space left on the device")

    monkeypatch.setattr(baseline, "save_file", fail)
    with pytest.raises(OSError):
        baseline.export(*fitted(C=10), folder, {0: "no", 1: "yes"})
    assert digests(folder) == before


def test_types(tmp_path):
    vectorizer, classifier = fitted()
    refuse(tmp_path, "vectorizer is a CountVectorizer", sklearn_text.CountVectorizer().fit(TEXTS), classifier)
    refuse(tmp_path, "vectorizer is a str", "vectorizer", classifier)
    refuse(tmp_path, "classifier is a SGDClassifier", vectorizer, sklearn_linear.SGDClassifier())
    refuse(tmp_path, "has not been fitted", vectorizer, sklearn_linear.LogisticRegression())
    refuse(tmp_path, "has not been fitted", sklearn_text.TfidfVectorizer(), classifier)


def test_multi_class(tmp_path):
    for value in ("ovr", "multinomial"):
        vectorizer, classifier = fitted()
        classifier.multi_class = value
        refuse(tmp_path, f"multi_class='{value}'", vectorizer, classifier)
