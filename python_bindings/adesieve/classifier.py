# SPDX-License-Identifier: Apache-2.0
"""`Classifier`: a model and a session behind one object."""

from __future__ import annotations

import contextlib
import ctypes
import operator
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union, overload

import numpy as np
import numpy.typing as npt

from . import _ffi
from .calibration import METHODS, Calibration, OperatingPoint, calibration_of, find_point, parse_target, prevalence_of
from .screening import Screening

Texts = Union[str, Iterable[str]]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
PathLike = Union[str, "os.PathLike[str]"]

_DEVICES = {"auto": _ffi.Device.AUTO, "cpu": _ffi.Device.CPU, "cuda": _ffi.Device.CUDA, "none": _ffi.Device.NONE}
_OTHER_ABSTRACTS = {value.name.lower(): value for value in _ffi.OtherAbstracts}
_INVALID_UTF8 = {"error": _ffi.InvalidUtf8.ERROR, "replace": _ffi.InvalidUtf8.REPLACE}


@dataclass(frozen=True)
class Tokens:
    """One text's tokens, just as the model gets them.

    Attributes
    ----------
    ids : list of int
    tokens : list of str
        Their texts, such as ``##ing``.
    offsets : list of (int, int)
        Each token's slice of the text, in code points; ``(0, 0)`` for the special tokens that frame it.
    unknown : int
        How many are ``[UNK]``.
    truncated : bool
        Whether the text was longer than ``max_length`` and its end was left out.
    """

    ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]
    unknown: int
    truncated: bool


def _one_of(name: str, value: object, known: Iterable[str]) -> str:
    known = list(known)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} is {value!r}; it can be {', '.join(map(repr, known))}")
    return value


def _device(value: object) -> tuple[int, int]:
    """The device and its number; ``"cuda:1"`` is (CUDA, 1)."""
    kind, colon, number = value.partition(":") if isinstance(value, str) else ("", "", "")
    if kind not in _DEVICES or (colon and (kind != "cuda" or not number.isdecimal())):
        raise ValueError(f"device is {value!r}; it can be 'auto', 'cpu', 'cuda', 'cuda:N' or 'none'")
    return _DEVICES[kind], int(number or 0)


def _count(name: str, value: object) -> int:
    number = operator.index(value)  # type: ignore[arg-type]  # its TypeError is the check
    if not 0 <= number <= 0x7FFFFFFF:
        raise ValueError(f"{name} is {number}; it cannot be negative or that large")
    return number


def _encode(texts: Sequence[object]) -> list[bytes]:
    encoded = []
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text {i} is {type(text).__name__}, not str")
        # A lone surrogate becomes invalid UTF-8, which the library reports, or replaces if it was asked to.
        encoded.append(text.encode("utf-8", "surrogatepass"))
    return encoded


def _list(texts: Texts) -> list[Any]:
    if isinstance(texts, str):
        return [texts]
    if isinstance(texts, (bytes, bytearray)):
        raise TypeError("texts is bytes; decode it first")
    return list(texts)


class Classifier:
    """Scores texts by a sentence classifier.

    Parameters
    ----------
    model : path, optional
        A Hugging Face checkpoint folder. By default ``$ADESIEVE_MODEL``, else the model that comes with adesieve.
    device : {"auto", "cpu", "cuda", "cuda:N", "none"}
        ``"none"`` opens at once and can only `tokenize`.
    precision : {"auto", "f32", "bf16", "f16"}
        ``"auto"`` is bf16 where the processor computes in it natively, else f32.
    threads : int
        CPU threads; 0 = as many as this process may run on.
    max_length : int
        Tokens per text, special ones included; what is longer is cut. 0 = the model's maximum.
    labels : sequence of str, optional
        Names in the order of the classes, in place of the folder's.
    positive_label : str, optional
        The label whose probability decides what is a hit in `screen`. By default the one named ``ADE``, else the last.
    token_budget : int
        Tokens per batch; 0 = what suits the device.
    invalid_utf8 : {"error", "replace"}
        What to do with a text that has no UTF-8 form, such as one with a lone surrogate.
    calibration : path, optional
        A calibration file. By default ``calibration.json`` in the model's folder, if there is one; ``""`` = none.

    Any number of threads may use one Classifier: calls take turns, and Python's lock is released while the library
    works. It pickles to its settings. After a fork the child opens a session of its own.

    Examples
    --------
    >>> import adesieve
    >>> with adesieve.Classifier("tests/data/tiny_bert_cls", labels=["not ADE", "ADE"]) as clf:
    ...     clf.predict_proba(["Rash after amoxicillin.", "No rash."]).shape
    (2, 2)
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
    ) -> None:
        self._model: Any = None
        self._session: Any = None
        self._closed = False
        self._lock = threading.RLock()
        self._pid = os.getpid()
        if labels is not None:
            labels = [labels] if isinstance(labels, str) else list(labels)
            for label in labels:
                if not isinstance(label, str) or not label or "," in label:
                    raise ValueError(f"{label!r} cannot be a label: a name without commas is needed")
        self._settings: dict[str, Any] = {
            "model": None if model is None else os.fspath(model),
            "device": device,
            "precision": _one_of("precision", precision, ["auto", "f32", "bf16", "f16"]),
            "threads": _count("threads", threads),
            "max_length": _count("max_length", max_length),
            "labels": labels,
            "positive_label": positive_label,
            "token_budget": _count("token_budget", token_budget),
            "invalid_utf8": _one_of("invalid_utf8", invalid_utf8, _INVALID_UTF8),
            "calibration": None if calibration is None else os.fspath(calibration),
        }
        self._device = _device(device)
        with self._lock:
            self._open()

    # ---- Opening and closing ------------------------------------------------------------------------------------

    def _open(self) -> None:
        library = _ffi.load()
        folder = self._settings["model"]
        if folder is None:
            folder = library.ade_default_model()
            if folder is None:
                raise _ffi.Error(
                    "there is no default model beside the library; name a model folder, or set ADESIEVE_MODEL",
                    _ffi.Status.IO,
                )
        labels, positive = self._settings["labels"], self._settings["positive_label"]
        calibration = self._settings["calibration"]
        options = _ffi.ModelOptions(
            labels=None if labels is None else ",".join(labels).encode(),
            positive_label=None if positive is None else positive.encode(),
            calibration=None if calibration is None else os.fsencode(calibration),
            log=_ffi.log,
        )
        model, session = _ffi.Model(), _ffi.Session()
        _ffi.check(library.ade_model_open(os.fsencode(folder), options, model))
        try:
            interrupt = _ffi.Interrupt()
            _ffi.check(library.ade_session_open(model, self._session_options(interrupt), session))
        except BaseException:
            library.ade_model_close(model)
            raise
        self._model, self._session, self._interrupt = model, session, interrupt
        info = _ffi.ModelInfo()
        _ffi.check(library.ade_model_get_info(model, info))
        self._problem = _ffi.Problem(info.problem)
        self._labels = tuple(library.ade_model_label(model, i).decode() for i in range(info.n_labels))

    def _session_options(self, interrupt: _ffi.Interrupt) -> _ffi.SessionOptions:
        kind, index = self._device
        return _ffi.SessionOptions(
            device=kind,
            device_index=index,
            precision=_ffi.Precision[self._settings["precision"].upper()],
            threads=self._settings["threads"],
            max_length=self._settings["max_length"],
            token_budget=self._settings["token_budget"],
            invalid_utf8=_INVALID_UTF8[self._settings["invalid_utf8"]],
            progress=interrupt.callback,
            log=_ffi.log,
        )

    @contextlib.contextmanager
    def _using(self) -> Iterator[Any]:
        """The library, with this object's session open and in the hands of this thread."""
        if self._pid != os.getpid():
            # A forked child: the session's threads did not come along, and the lock may be held by one that did not.
            self._lock, self._pid = threading.RLock(), os.getpid()
            self._model = self._session = None
        with self._lock:
            if self._closed:
                raise ValueError("this Classifier is closed")
            if self._session is None:
                self._open()
            yield _ffi.load()

    def close(self) -> None:
        """Releases the session and the model. Closing twice is fine; a closed Classifier cannot be used."""
        if self._pid != os.getpid():  # they are the parent's
            self._model = self._session = None
            self._closed = True
            return
        with self._lock:
            self._closed = True
            session, self._session = self._session, None
            model, self._model = self._model, None
            if session is not None:
                _ffi.load().ade_session_close(session)
            if model is not None:
                _ffi.load().ade_model_close(model)

    def __enter__(self) -> Classifier:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # also half made, or while the interpreter goes down
            self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self._settings, "closed": self._closed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        settings = dict(state["settings"])
        if not state["closed"]:
            self.__init__(**settings)  # type: ignore[misc]
            return
        self._settings, self._closed = settings, True
        self._model = self._session = None
        self._lock, self._pid = threading.RLock(), os.getpid()

    def __repr__(self) -> str:
        defaults = {"device": "auto", "precision": "auto", "invalid_utf8": "error"}
        shown = [f"{k}={v!r}" for k, v in self._settings.items() if v and v != defaults.get(k)]
        return f"Classifier({', '.join(shown)})"

    # ---- What it is ---------------------------------------------------------------------------------------------

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes' names, in the order of `predict_proba`'s columns."""
        return self._labels

    @property
    def info(self) -> dict[str, Any]:
        """What the model is and how it runs: the members of ``ade_model_info`` and ``ade_session_info``."""
        with self._using() as library:
            model, session = _ffi.ModelInfo(), _ffi.SessionInfo()
            _ffi.check(library.ade_model_get_info(self._model, model))
            _ffi.check(library.ade_session_get_info(self._session, session))
            values: dict[str, Any] = {}
            for structure in (model, session):
                for name, *_ in structure._fields_:
                    value = getattr(structure, name)
                    values[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        for name in ("struct_size", "reserved"):
            del values[name]
        values["problem"] = _ffi.Problem(values["problem"]).name.lower()
        values["kind"] = _ffi.ModelKind(values["kind"]).name.lower()
        values["device"] = _ffi.Device(values["device"]).name.lower()
        values["precision"] = _ffi.Precision(values["precision"]).name.lower()
        values["positive_label"] = self._labels[values["positive_label"]]
        values["labels"] = list(self._labels)
        return values

    # ---- Classifying --------------------------------------------------------------------------------------------

    def _classify(self, texts: Texts, *, logits: bool = False, probabilities: bool = False) -> Floats:
        encoded = _encode(_list(texts))
        # One block of bytes and the addresses in it: ade_text's two members, for all texts at once.
        block = b"".join(encoded)
        views = np.empty((len(encoded), 2), dtype=np.uintp)
        views[:, 1] = np.fromiter(map(len, encoded), dtype=np.uintp, count=len(encoded))
        np.cumsum(views[:, 1], out=views[:, 0])
        views[:, 0] -= views[:, 1]
        start = ctypes.cast(ctypes.c_char_p(block), ctypes.c_void_p).value or 0
        views[:, 0] += np.uintp(start)
        with self._using() as library:
            values = np.empty((len(encoded), len(self._labels)), dtype=np.float32)
            address = values.ctypes.data
            self._interrupt.check(
                library.ade_classify(
                    self._session,
                    views.ctypes.data,
                    len(encoded),
                    None,
                    address if logits else None,
                    address if probabilities else None,
                )
            )
        return values

    def predict_proba(self, texts: Texts) -> Floats:
        """Every class's probability.

        Parameters
        ----------
        texts : str or iterable of str
            A list, a numpy array, a pandas column; a str counts as one text.

        Returns
        -------
        numpy.ndarray, float32, (texts, classes)
            Softmax; for a multi-label model a sigmoid each, for regression the value.

        Examples
        --------
        >>> clf.predict_proba(["Rash after amoxicillin."]).sum(axis=1)
        array([1.], dtype=float32)
        """
        return self._classify(texts, probabilities=True)

    def logits(self, texts: Texts) -> Floats:
        """The model's own outputs, (texts, classes), before softmax.

        Examples
        --------
        >>> clf.logits([]).shape
        (0, 2)
        """
        return self._classify(texts, logits=True)

    def predict(self, texts: Texts) -> npt.NDArray[Any]:
        """Each text's best label, (texts); for regression its value, as float32.

        Examples
        --------
        >>> clf.predict(["Rash after amoxicillin."])[0] in clf.labels
        True
        """
        values = self._classify(texts, logits=True)
        if self._problem is _ffi.Problem.REGRESSION:
            return values[:, 0]
        names: npt.NDArray[Any] = np.array(self._labels)
        best: npt.NDArray[Any] = names[values.argmax(axis=1)]
        return best

    @overload  # a str is an iterable of str, too: the order of these decides
    def __call__(self, texts: str, top_k: int | None | Literal[""] = "") -> list[dict[str, Any]]: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, texts: Iterable[str], top_k: Literal[""] = "") -> list[dict[str, Any]]: ...

    @overload
    def __call__(self, texts: Iterable[str], top_k: int | None) -> list[list[dict[str, Any]]]: ...

    def __call__(self, texts: Texts, top_k: int | None | Literal[""] = "") -> Any:
        """Labels and scores in the shape of a transformers text-classification pipeline.

        Parameters
        ----------
        texts : str or iterable of str
        top_k : int or None, optional
            How many labels to give, best first; None = all. If it is left out, the best one alone.

        Returns
        -------
        list of dict
            ``{"label": ..., "score": ...}`` for each text. With ``top_k``, each text has a list of these.
            For a single str, always one flat list.

        Examples
        --------
        >>> answer = clf("Rash after amoxicillin.")
        >>> len(answer), sorted(answer[0])
        (1, ['label', 'score'])
        >>> [len(labels) for labels in clf(["Rash.", "No rash."], top_k=None)]
        [2, 2]
        """
        one = top_k == ""
        count = 1 if one else len(self._labels) if top_k is None else _count("top_k", top_k)
        values = self.predict_proba(texts)
        best = np.argsort(-values, axis=1, kind="stable")[:, : max(count, 1)]
        rows = [
            [{"label": self._labels[i], "score": float(row[i])} for i in order] for row, order in zip(values, best)
        ]
        if isinstance(texts, str):
            return rows[0]
        return [row[0] for row in rows] if one else rows

    # ---- Calibration --------------------------------------------------------------------------------------------

    @property
    def calibration(self) -> Calibration | None:
        """How scores are turned into probabilities, or None where the model has no calibration.

        Examples
        --------
        >>> clf.calibration is None
        True
        """
        with self._using() as library:
            info = _ffi.CalibrationInfo()
            status = library.ade_model_get_calibration(self._model, info)
            if status == _ffi.Status.UNSUPPORTED:
                return None
            _ffi.check(status)
            return calibration_of(info)

    def calibrated(self, texts: Texts, prevalence: float | None = None) -> Doubles:
        """The calibrated probability of the positive label, (texts).

        Parameters
        ----------
        texts : str or iterable of str
        prevalence : float, optional
            The share of positive texts to expect. By default that of the calibration's texts.

        Raises
        ------
        Error
            With ``Status.UNSUPPORTED`` where the model has no calibration.
        """
        logits = self.logits(texts)
        values = np.empty(len(logits), dtype=np.float64)
        with self._using() as library:
            _ffi.check(
                library.ade_calibrate(
                    self._model, logits.ctypes.data, len(logits), prevalence_of(prevalence), values.ctypes.data
                )
            )
        return values

    def operating_point(
        self,
        *,
        recall: float | None = None,
        precision: float | None = None,
        review: float | None = None,
        threshold: float | None = None,
        prevalence: float | None = None,
    ) -> OperatingPoint:
        """The threshold for a target, and what it gave on the calibration's texts.

        Parameters
        ----------
        recall : float
            The highest threshold that finds at least this share of the positive texts; or
        precision : float
            the lowest of whose findings at least this share is positive; or
        review : float
            the lowest that finds at most this share of all texts; or
        threshold : float
            this one.
        prevalence : float, optional
            The share of positive texts to expect. By default that of the calibration's texts.
        """
        targets = {"RECALL": recall, "PRECISION": precision, "REVIEW": review, "SCORE": threshold}
        given = [(_ffi.Target[name], float(value)) for name, value in targets.items() if value is not None]
        if len(given) != 1:
            raise TypeError("operating_point takes one of recall, precision, review and threshold")
        with self._using():
            return find_point(self._model, *given[0], prevalence)

    def calibrate(
        self,
        texts: Texts,
        labels: Iterable[str | int],
        *,
        method: str = "auto",
        folds: int = 10,
        seed: int = 42,
        data: str = "",
        path: PathLike | None = None,
    ) -> Calibration:
        """Fits a calibration to labelled texts that the model was not trained on, writes it, and uses it from now on.

        Parameters
        ----------
        texts : iterable of str
        labels : iterable of str or int
            Each text's label, by name or number.
        method : {"auto", "temperature", "platt", "isotonic"}
            ``"auto"`` keeps the one with the lowest cross-validated log-loss.
        folds, seed : int
            Of the cross-validation.
        data : str
            One line that says what the texts are.
        path : path, optional
            Where to write. By default ``calibration.json`` in the model's folder.
        """
        numbers = {name: i for i, name in reversed(list(enumerate(self._labels)))}
        wanted = []
        for i, label in enumerate(labels):
            if isinstance(label, str) and label not in numbers:
                raise ValueError(f"label {i} is {label!r}, none of {', '.join(map(repr, self._labels))}")
            wanted.append(numbers[label] if isinstance(label, str) else operator.index(label))
        array = np.array(wanted, dtype=np.int32)
        logits = self.logits(texts)
        if len(logits) != len(array):
            raise ValueError(f"there are {len(logits)} texts and {len(array)} labels")
        options = _ffi.CalibrationOptions(
            method=METHODS[_one_of("method", method, METHODS)],
            folds=_count("folds", folds),
            seed=_count("seed", seed),
            data=data.encode(),
        )
        with self._using() as library:
            _ffi.check(
                library.ade_calibration_fit(
                    self._model,
                    logits.ctypes.data,
                    array.ctypes.data,
                    len(array),
                    options,
                    None if path is None else os.fsencode(path),
                )
            )
            self._settings["calibration"] = None if path is None else os.fspath(path)
            model, session = self._model, self._session
            self._open()
            library.ade_session_close(session)
            library.ade_model_close(model)
            found = self.calibration
        assert found is not None
        return found

    # ---- Tokenizing ---------------------------------------------------------------------------------------------

    @overload
    def tokenize(self, texts: str) -> Tokens: ...  # type: ignore[overload-overlap]

    @overload
    def tokenize(self, texts: Iterable[str]) -> list[Tokens]: ...

    def tokenize(self, texts: Texts) -> Tokens | list[Tokens]:
        """The ids that the model gets, with their texts and offsets.

        Examples
        --------
        >>> tokens = clf.tokenize("Rash.")
        >>> tokens.tokens[0], ["Rash."[a:b] for a, b in tokens.offsets][-2]
        ('[CLS]', '.')
        """
        with self._using() as library:
            found = [self._tokenize(library, data) for data in _encode(_list(texts))]
        return found[0] if isinstance(texts, str) else found

    def _tokenize(self, library: Any, data: bytes) -> Tokens:
        text = _ffi.Text(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data))
        info = _ffi.TokensInfo()
        _ffi.check(library.ade_tokenize(self._session, text, None, 0, info))
        tokens = (_ffi.Token * info.n_tokens)()
        _ffi.check(library.ade_tokenize(self._session, text, tokens, info.n_tokens, info))
        # points[b]: code points that begin before byte b.
        begins = (np.frombuffer(data, dtype=np.uint8) & 0xC0) != 0x80
        points = np.concatenate(([0], np.cumsum(begins)))
        return Tokens(
            ids=[token.id for token in tokens],
            tokens=[library.ade_model_token(self._model, token.id).decode() for token in tokens],
            offsets=[(int(points[token.start]), int(points[token.end])) for token in tokens],
            unknown=info.unknown,
            truncated=bool(info.truncated),
        )

    # ---- Screening ----------------------------------------------------------------------------------------------

    def screen(
        self,
        paths: PathLike | Iterable[PathLike],
        threshold: float | str = 0.5,
        all: bool = False,
        *,
        section_labels: bool = True,
        keep_going: bool = False,
        limit: int = 0,
        documents: bool = False,
        other_abstracts: str = "none",
        store: PathLike | None = None,
        prevalence: float | None = None,
        prefilter: PathLike | None = None,
        prefilter_recall: float = 0.995,
    ) -> Screening:
        """Reads MEDLINE/PubMed XML and gives its hits one after another, in memory that does not grow with the input.

        Parameters
        ----------
        paths : path or iterable of paths
            Files (XML, plain or gzip, told by content) or folders; ``"-"`` is standard input. Files are read in the
            order of the year and number in their names.
        threshold : float or str
            A sentence is a hit when the positive label's probability is at least this. ``"recall=0.95"``,
            ``"precision=0.9"`` and ``"review=0.01"`` are looked up in the model's calibration, as by
            `operating_point`; what to expect is in the run's ``operating_point``.
        all : bool
            A row for every sentence, not only for hits.
        section_labels : bool
            Whether the model sees ``"RESULTS: "`` before the first sentence of a section labelled so.
        keep_going : bool
            A file that fails is logged and counted, and the run goes on with the next.
        limit : int
            Records to read at most; 0 = all.
        documents : bool
            One row a record: its best sentence, with the counts in ``record``.
        other_abstracts : {"none", "english", "all"}
            Whether to read the abstracts beside the publisher's own, such as plain-language summaries.
        store : path
            A store (SQLite) that remembers what is done, made if missing: files done before are not read again, and
            records whose text did not change are not classified again. Call ``confirm`` when the rows are safe.
        prevalence : float, optional
            The share of positive sentences to expect, for ``Hit.calibrated`` and the threshold's target. By default
            that of the calibration's texts.
        prefilter : path, optional
            A calibrated baseline's folder. It looks at each sentence first; what it finds unlikely is not classified,
            gives no row, and is counted in ``stats.prefiltered``.
        prefilter_recall : float
            The share of positive sentences that the prefilter shall let pass, by its calibration.

        Returns
        -------
        Screening
            An iterator of `Hit`; its ``stats`` are the counts so far. It works on a session of its own.

        Examples
        --------
        >>> with clf.screen("tests/data/medline/pubmed1.xml", all=True) as run:
        ...     best = max(run, key=lambda row: row.score)
        >>> best.hit == (best.score >= 0.5), run.stats.files_done
        (True, 1)
        """
        if isinstance(paths, (str, os.PathLike)):
            paths = [paths]
        point = None
        if isinstance(threshold, str):
            with self._using():
                point = find_point(self._model, *parse_target(threshold), prevalence)
            threshold = point.threshold
        threshold = float(threshold)
        if not 0.0 <= threshold <= 1.0 and self._problem is not _ffi.Problem.REGRESSION:
            raise ValueError(f"threshold is {threshold}; a probability, 0 to 1, is needed")
        if threshold < 0:
            raise ValueError(f"threshold is {threshold}; it cannot be negative")
        interrupt = _ffi.Interrupt()
        options = _ffi.ScreenOptions(
            all=int(bool(all)),
            threshold=threshold,
            no_section_label=int(not section_labels),
            keep_going=int(bool(keep_going)),
            limit=_count("limit", limit),
            documents=int(bool(documents)),
            other_abstracts=_OTHER_ABSTRACTS[_one_of("other_abstracts", other_abstracts, _OTHER_ABSTRACTS)],
            store=None if store is None else os.fsencode(store),
            session=ctypes.pointer(self._session_options(interrupt)),
            prevalence=prevalence_of(prevalence),
        )
        filtered = None
        with self._using() as library, contextlib.ExitStack() as opened:
            if prefilter is not None:
                options.prefilter, filtered = self._open_prefilter(opened, prefilter, prefilter_recall)
                options.prefilter_threshold = filtered.threshold
            handle = _ffi.Screen()
            _ffi.check(library.ade_screen_open(self._model, options, handle))
            labels = () if self._problem is _ffi.Problem.REGRESSION else self._labels
            run = Screening(handle, interrupt, labels, len(self._labels), store is not None)
        run.threshold, run.operating_point, run.prefilter_point = threshold, point, filtered
        try:
            for path in paths:
                run._add(path)
        except BaseException:
            run.close()
            raise
        return run

    @staticmethod
    def _open_prefilter(
        opened: contextlib.ExitStack, folder: PathLike, recall: float
    ) -> tuple[Any, OperatingPoint]:
        """The baseline, closed with ``opened`` (the run holds it by then), and its threshold."""
        library, model = _ffi.load(), _ffi.Model()
        _ffi.check(library.ade_model_open(os.fsencode(folder), _ffi.ModelOptions(log=_ffi.log), model))
        opened.callback(library.ade_model_close, model)
        point = find_point(model, _ffi.Target.RECALL, float(recall), None)
        _ffi.logger.info(
            "the prefilter %s lets %.4f of the positive sentences pass (95 %% interval %.4f to %.4f)",
            os.fspath(folder),
            point.recall,
            *point.recall_interval,
        )
        return model, point
