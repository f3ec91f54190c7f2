# SPDX-License-Identifier: Apache-2.0
"""`SentenceClassifier`: a model as a scikit-learn classifier, for pipelines, cross-validation and threshold tuning.

The weights are frozen: ``fit`` learns nothing. It looks at ``y`` to see what the classes are called there, and refuses
numbers that seem to mean something else than the caller thinks.
"""

from __future__ import annotations

import numbers
import os
import warnings
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import numpy.typing as npt

from ._optional import need
from .calibration import parse_target
from .classifier import Classifier, Floats
from .settings import PathLike

need("sklearn", "sklearn")

from sklearn.base import (  # type: ignore[import-untyped, import-not-found, unused-ignore]  # noqa: E402
    BaseEstimator,
    ClassifierMixin,
)
from sklearn.utils.validation import (  # type: ignore[import-untyped, import-not-found, unused-ignore]  # noqa: E402
    column_or_1d,
)

__all__ = ["SentenceClassifier"]

Array = npt.NDArray[Any]
Threshold = Union[float, str, None]

# What is handed to Classifier as it is; the other parameters are the estimator's own.
_SETTINGS = (
    "model device precision threads max_length labels positive_label token_budget invalid_utf8 calibration"
).split()

# fit compares numbers in y with the model's answers for some of the texts: so many at a time, so many at most. It
# stops when one reading is ahead by SURE standard deviations of a coin, and accepts nothing below ENOUGH.
_STEP, _MOST = 64, 256
_SURE, _ENOUGH = 4.0, 2.0


@dataclass(frozen=True)
class _Model:
    """An open Classifier and what is needed of it all the time."""

    classifier: Classifier
    labels: tuple[str, ...]
    positive: int  #: the positive label's number


# Clones with the same settings share one open model: cross-validation would open it once a fold. It closes when the
# last of them goes. What an estimator has open is kept beside it, not in it, and so is neither cloned, hashed nor
# pickled.
_shared: weakref.WeakValueDictionary[str, _Model] = weakref.WeakValueDictionary()
_held: weakref.WeakKeyDictionary[SentenceClassifier, tuple[str, _Model]] = weakref.WeakKeyDictionary()


def _open(settings: dict[str, Any]) -> _Model:
    classifier = Classifier(**settings)
    info = classifier.info
    labels = tuple(info["labels"])
    if info["problem"] != "single_label":
        raise ValueError(
            f"the model's problem is {info['problem']}, and a scikit-learn classifier gives every text exactly one of "
            f"several classes; use adesieve.Classifier for this model"
        )
    if len(set(labels)) != len(labels):
        raise ValueError(f"the model's labels are not distinct: {list(labels)}; name them by labels=")
    return _Model(classifier, labels, labels.index(info["positive_label"]))


def _number_of_texts(X: Any) -> int:
    """Checks that X is a column of texts, not a table or one text; the texts themselves are looked at when used."""
    if isinstance(X, (str, bytes, bytearray)):
        raise ValueError("X is one text; a list of texts is needed, [text]")
    shape = getattr(X, "shape", None)
    if isinstance(shape, tuple) and len(shape) != 1:
        raise ValueError(f"X has the shape {shape}; a column of texts is needed, such as X['text'] or X[:, 0]")
    try:
        return len(X)
    except TypeError:
        raise TypeError(f"X is a {type(X).__name__}, which has no length; list(X) has one") from None


def _column(X: Any) -> Any:
    if hasattr(X, "__len__"):  # a generator is fine where the number of texts need not be known beforehand
        _number_of_texts(X)
    return X


def _some(X: Any, rows: npt.NDArray[np.intp]) -> Any:
    return X.take(rows) if hasattr(X, "take") else [X[int(i)] for i in rows]


def _kind(value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "bool"
    if isinstance(value, str):
        return "name"
    if isinstance(value, numbers.Real) and float(value).is_integer():
        return "number"
    return ""


def _target(y: Any) -> tuple[str, Array]:
    """What y holds, "name", "number" or "bool", and y as one flat array of just that."""
    if isinstance(y, (str, bytes)) or not hasattr(y, "__iter__"):
        raise TypeError(f"y is a {type(y).__name__}; a class for each text is needed")
    if not hasattr(y, "__array__"):
        y = np.array(list(y), dtype=object)  # without dtype, numbers among names would become names
    y = np.asarray(column_or_1d(np.asarray(y), warn=True))
    if y.dtype.kind in "biu":
        return "bool" if y.dtype.kind == "b" else "number", y
    first = ""
    for i, value in enumerate(y):
        kind = _kind(value)
        first = first or kind
        if not kind or kind != first:
            among = f", among {first}s" if kind else ""
            raise ValueError(f"y[{i}] is {value!r}{among}; a class is a label's name, its whole number, or a bool")
    if first == "name":
        return first, y.astype(str).astype(object)
    return first, y.astype(bool if first == "bool" else y.dtype if y.dtype.kind == "f" else np.int64)


class SentenceClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc, unused-ignore]  # it has no types
    """A sentence classifier with frozen weights, with the methods of a scikit-learn classifier.

    ``X`` is always one column of texts: a list, a numpy array, a pandas or polars Series, a pyarrow array. ``y``
    holds the labels' **names**, or **numbers**, which are the model's own (0 = "not ADE", 1 = "ADE" in the default
    model, as in the corpus), or, for two labels, **bools** (True = the positive label). ``fit`` need not be called:
    without it, the classes are the names.

    Parameters
    ----------
    model, device, precision, threads, max_length, labels, positive_label, token_budget, invalid_utf8, calibration
        As of `adesieve.Classifier`. The model is opened at the first use, and shared among clones. With ``n_jobs``,
        each process opens its own: choose ``threads`` so that they do not outnumber the processors.
    threshold : float or str, optional
        The positive label is predicted where its probability, `predict_proba`'s, is at least this, a number or a target
        for the model's calibration: ``"recall=0.95"``, ``"precision=0.9"``, ``"review=0.01"``. By default the most
        probable label is predicted.
    classes : sequence of str, optional
        The labels that the numbers 0, 1, .. in ``y`` stand for, each label once. By default the model's own order.

    Attributes
    ----------
    classes_ : numpy.ndarray, (classes,)
        In the order of `predict_proba`'s columns: the names in alphabetical order, as everywhere in scikit-learn (so
        "ADE" comes before "not ADE", and `Classifier.predict_proba` has the columns the other way round), or the
        numbers 0, 1, .., or False, True, whichever ``y`` held.
    classifier_ : adesieve.Classifier
        The open model, for what this class does not offer.
    threshold_ : float or None
        The threshold as a number.

    Notes
    -----
    **Numbers that scikit-learn made of names.** ``cross_val_predict(.., method="predict_proba")`` and its kin, and
    with it ``StackingClassifier`` and ``CalibratedClassifierCV(ensemble=False)``, replace the names in ``y`` by their
    numbers in alphabetical order before they call ``fit``: there, 0 is "ADE". Taken for the model's own numbers, they
    would turn every answer round. So where ``y`` holds numbers and this could be, ``fit`` classifies 64 texts, up to
    256 if these do not tell, and raises ValueError unless ``y`` clearly agrees with the model's own numbers. The cure
    is to say what the numbers stand for, ``classes=["ADE", "not ADE"]``; then ``fit`` only warns where the texts
    speak against it. A ``FrozenEstimator`` round this class avoids it, too, because its ``fit`` does nothing and the
    classes stay names.

    ``n_features_in_`` and ``feature_names_in_`` do not exist, as with scikit-learn's vectorizers of text: a text is
    no row of features. scikit-learn's ``check_estimator`` feeds tables of numbers and skips estimators whose tags say
    that they take text; of its checks those run in the tests that look at the class and its parameters alone.

    Examples
    --------
    >>> from adesieve.sklearn import SentenceClassifier
    >>> clf = SentenceClassifier("tests/data/tiny_bert_cls", labels=["not ADE", "ADE"])
    >>> clf.fit(["Rash after amoxicillin.", "No rash."], ["ADE", "not ADE"]).classes_.tolist()
    ['ADE', 'not ADE']
    >>> clf.predict_proba(["Rash after amoxicillin."]).shape
    (1, 2)
    >>> clf.set_params(threshold=0.0).predict(["Rash after amoxicillin."]).tolist()
    ['ADE']
    """

    def __init__(
        self,
        model: PathLike | None = None,
        device: str = "auto",
        precision: str = "auto",
        threads: int = 0,
        max_length: int = 0,
        labels: Sequence[str] | None = None,
        *,
        positive_label: str | None = None,
        token_budget: int = 0,
        invalid_utf8: str = "error",
        calibration: PathLike | None = None,
        threshold: Threshold = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.model = model
        self.device = device
        self.precision = precision
        self.threads = threads
        self.max_length = max_length
        self.labels = labels
        self.positive_label = positive_label
        self.token_budget = token_budget
        self.invalid_utf8 = invalid_utf8
        self.calibration = calibration
        self.threshold = threshold
        self.classes = classes

    # ---- The model and its classes ------------------------------------------------------------------------------

    def _model(self) -> _Model:
        settings = {name: getattr(self, name) for name in _SETTINGS}
        place = os.environ.get("ADESIEVE_MODEL") if self.model is None else os.path.abspath(os.fspath(self.model))
        calibration = os.path.abspath(os.fspath(self.calibration)) if self.calibration else self.calibration
        key = repr((place, calibration, settings))  # the working folder may change
        held = _held.get(self)
        if held is None or held[0] != key:  # set_params may have changed them
            model = _shared.get(key)
            if model is None:
                model = _shared.setdefault(key, _open(settings))
            held = _held[self] = (key, model)
        return held[1]

    def _order(self, model: _Model) -> list[int]:
        """The label that each class is, in the order of `classes_`."""
        kind = getattr(self, "_y_kind", "name")
        if kind == "name":
            return sorted(range(len(model.labels)), key=lambda i: model.labels[i])
        if kind == "bool":
            return [1 - model.positive, model.positive]
        return self._numbers(model)

    def _numbers(self, model: _Model) -> list[int]:
        """The labels that 0, 1, .. stand for."""
        if self.classes is None:
            return list(range(len(model.labels)))
        names = [self.classes] if isinstance(self.classes, str) else list(self.classes)
        if sorted(map(str, names)) != sorted(model.labels):
            raise ValueError(f"classes is {names}; it has to hold each of the labels {list(model.labels)} once")
        return [model.labels.index(name) for name in names]

    def _classes(self) -> Array:
        model = self._model()
        if getattr(self, "_y_kind", "name") == "name":
            return np.array([model.labels[i] for i in self._order(model)])
        return np.arange(len(model.labels)).astype(self._y_dtype)

    def _threshold(self) -> float | None:
        if self.threshold is None:
            return None
        if isinstance(self.threshold, str):
            target, value = parse_target(self.threshold)
            point = {target.name.lower(): value}
            return self._model().classifier.operating_point(**point).threshold
        number = float(self.threshold)
        if not 0.0 <= number <= 1.0:
            raise ValueError(f"threshold is {self.threshold!r}; a probability, 0 to 1, or 'recall=R' is needed")
        return number

    classes_: Array
    classifier_: Classifier
    threshold_: float | None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The attributes that need the model. Not properties: scikit-learn reads every property of an estimator
            that a notebook displays, and a display shall neither open a model nor fail for want of one."""
            if name == "classes_":
                return self._classes()
            if name == "classifier_":
                return self._model().classifier
            if name == "threshold_":
                return self._threshold()
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # ---- Fitting ------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> SentenceClassifier:
        """Learns nothing of the texts: takes from ``y`` what the classes are called, and checks it.

        Parameters
        ----------
        X : column of str, (texts)
        y : column of str, int or bool, (texts), optional
            Names, numbers or bools of classes; the class says what these mean.

        Returns
        -------
        SentenceClassifier
            Itself.

        Raises
        ------
        ValueError
            Where ``y`` holds something that is not a class of the model, naming its index; where its numbers seem to
            mean something else; where a parameter cannot be.
        TypeError
            Where ``X`` has no length, or ``y`` is no column.
        Error
            Where the model cannot be opened, as by `Classifier`.

        Examples
        --------
        >>> from adesieve.sklearn import SentenceClassifier
        >>> model = SentenceClassifier("models/tfidf-logreg")
        >>> model.fit(["Rash after amoxicillin.", "No rash."], [True, False]).classes_.tolist()
        [False, True]
        """
        count = _number_of_texts(X)
        if count == 0:
            raise ValueError("X holds no text; at least one is needed")
        model = self._model()
        self._numbers(model)
        self._threshold()  # a wrong one is told at once
        if y is None:
            self._y_kind, self._y_dtype = "name", np.dtype(object)
            return self
        kind, y = _target(y)
        if len(y) != count:
            raise ValueError(f"X holds {count} texts, and y {len(y)} classes")
        self._check_known(model, kind, y)
        if kind == "number":
            self._check_numbers(model, X, y.astype(np.intp))
        self._y_kind, self._y_dtype = kind, y.dtype
        return self

    def _check_known(self, model: _Model, kind: str, y: Array) -> None:
        labels = list(model.labels)
        if kind == "name":
            known, meaning = np.isin(y.astype(str), labels), f"the model's labels are {labels}"
        elif kind == "number":
            known = (y >= 0) & (y < len(labels))
            named = ", ".join(f"{i} = {labels[label]!r}" for i, label in enumerate(self._numbers(model)))
            meaning = f"numbers stand for labels, {named}"
        else:
            known = np.full(len(y), len(labels) == 2)
            meaning = f"bools are for two labels, and the model has {len(labels)}: {labels}"
        if not known.all():
            i = int(np.argmin(known))
            raise ValueError(f"y[{i}] is {y[i : i + 1].tolist()[0]!r}; {meaning}")

    def _check_numbers(self, model: _Model, X: Any, y: npt.NDArray[np.intp]) -> None:
        """Raises where the numbers may be those that scikit-learn's LabelEncoder makes of names or bools."""
        ours = self._numbers(model)
        rivals = [sorted(range(len(ours)), key=lambda i: model.labels[i]), list(range(len(ours)))]
        if len(ours) == 2:
            rivals.append([1 - model.positive, model.positive])
        rivals = [rival for rival in rivals if rival != ours]
        if not rivals:
            return
        rows = np.random.default_rng(0).permutation(len(y))[:_MOST]
        worst, agree, rival_agrees, seen = 0.0, 0, 0, 0
        predicted = np.empty(0, dtype=np.intp)
        for start in range(0, len(rows), _STEP):
            step = model.classifier.logits(_some(X, rows[start : start + _STEP])).argmax(axis=1)
            predicted = np.concatenate([predicted, step])
            given = y[rows[: len(predicted)]]
            right = np.asarray(ours)[given] == predicted
            leads = []
            for rival in rivals:
                other = np.asarray(rival)[given] == predicted
                apart = int((right != other).sum())
                leads.append(((int(right.sum()) - int(other.sum())) / max(apart, 1) ** 0.5, int(other.sum()), rival))
            worst, rival_agrees, rival = min(leads)
            agree, seen = int(right.sum()), len(predicted)
            if abs(worst) >= _SURE:
                break
        if worst >= _ENOUGH or (self.classes is not None and worst > -_SURE):
            return
        mine, theirs = ([model.labels[i] for i in order] for order in (ours, rival))
        found = f"of {seen} texts, the model's answers agree with {mine} for {agree}, with {theirs} for {rival_agrees}"
        if self.classes is not None:
            warnings.warn(f"y does not look as if its numbers stood for classes={mine}: {found}", stacklevel=3)
            return
        raise ValueError(
            f"it is not clear what the numbers in y stand for: {found}. scikit-learn replaces names by numbers in "
            f"alphabetical order, as in cross_val_predict(method='predict_proba'); say what 0, 1, .. are: "
            f"classes={[model.labels[i] for i in rivals[0]]} or classes={mine}"
        )

    # ---- Predicting ---------------------------------------------------------------------------------------------

    def predict_proba(self, X: Any) -> Floats:
        """Every class's probability, float32, (texts, classes), in the order of `classes_`; ``X`` is a column of str.

        Raises
        ------
        ValueError, TypeError, Error
            As `fit` and `Classifier.predict_proba`.

        Examples
        --------
        >>> from adesieve.sklearn import SentenceClassifier
        >>> model = SentenceClassifier("models/tfidf-logreg")
        >>> model.classes_.tolist(), model.predict_proba(["Rash after amoxicillin."]).round(3).tolist()[0]
        (['ADE', 'not ADE'], [0.30..., 0.69...])
        """
        model = self._model()
        return model.classifier.predict_proba(_column(X))[:, self._order(model)]

    def predict_log_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """The logarithms of `predict_proba`, float64, taken from the logits: finite also where a probability rounds to
        0. ``X`` is a column of str.

        Raises
        ------
        ValueError, TypeError, Error
            As `fit` and `Classifier.predict_proba`.

        Examples
        --------
        >>> import numpy as np
        >>> from adesieve.sklearn import SentenceClassifier
        >>> model = SentenceClassifier("models/tfidf-logreg")
        >>> texts = ["Rash after amoxicillin.", "No rash."]
        >>> np.allclose(model.predict_log_proba(texts), np.log(model.predict_proba(texts)))
        True
        """
        model = self._model()
        logits = model.classifier.logits(_column(X)).astype(np.float64)[:, self._order(model)]
        logits -= logits.max(axis=1, keepdims=True)
        values: npt.NDArray[np.float64] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return values

    def decision_function(self, X: Any) -> Floats:
        """The logits, float32, (texts, classes) in the order of `classes_`; of two classes, what the second one's is
        above the first one's, (texts): the log-odds of ``classes_[1]``. ``threshold`` does not move them. ``X`` is a
        column of str.

        Raises
        ------
        ValueError, TypeError, Error
            As `fit` and `Classifier.predict_proba`.

        Examples
        --------
        >>> from adesieve.sklearn import SentenceClassifier
        >>> model = SentenceClassifier("models/tfidf-logreg")
        >>> model.decision_function(["Rash after amoxicillin.", "No rash."]).shape
        (2,)
        """
        model = self._model()
        logits = model.classifier.logits(_column(X))[:, self._order(model)]
        return logits[:, 1] - logits[:, 0] if len(model.labels) == 2 else logits

    def predict(self, X: Any) -> Array:
        """Each text's class, (texts): by ``threshold`` where one is set, else the most probable one. ``X`` is a column
        of str.

        Raises
        ------
        ValueError, TypeError, Error
            As `fit` and `Classifier.predict_proba`.

        Examples
        --------
        >>> from adesieve.sklearn import SentenceClassifier
        >>> model = SentenceClassifier("models/tfidf-logreg")
        >>> model.predict(["Rash after amoxicillin."]).tolist()
        ['not ADE']
        >>> model.set_params(threshold="recall=0.95").predict(["Rash after amoxicillin."]).tolist()
        ['ADE']
        """
        model, threshold = self._model(), self._threshold()
        if threshold is None:
            best = model.classifier.logits(_column(X)).argmax(axis=1)
        else:
            scores = model.classifier.predict_proba(_column(X))
            # In float64: NumPy would round the threshold to the scores' float32.
            positive = scores[:, model.positive].astype(np.float64) >= threshold
            scores[:, model.positive] = -1.0
            best = np.where(positive, model.positive, scores.argmax(axis=1))
        place = np.argsort(self._order(model))  # the class that each label is
        found: Array = self._classes()[place[best]]
        return found

    # ---- What scikit-learn asks ---------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.target_tags.required = False
        tags.input_tags.one_d_array = tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags
