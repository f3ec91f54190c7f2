# SPDX-License-Identifier: Apache-2.0
"""`Classifier`: a model and a session behind one object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from . import _ffi, _html, _pipeline, _progress, _texts, settings
from ._engine import Engine, Outputs
from ._lifetime import Lifetime
from ._progress import Progress
from ._texts import Texts
from .calibration import METHODS, Calibration, OperatingPoint, calibration_of, find_point, prevalence_of
from .errors import BadInput, Error
from .profile import Profile, profile_of
from .results import HEAD, Results
from .screening import Screening, start
from .settings import PathLike
from .tokens import Tokens, tokens_of

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


class Classifier(Lifetime):
    """Scores texts by a sentence classifier.

    Parameters
    ----------
    model : path, optional
        A Hugging Face checkpoint folder. By default ``$ADESIEVE_MODEL``, else the model that comes with adesieve.
    device : {"auto", "cpu", "cuda", "cuda:N", "none"}
        ``"none"`` opens at once and can only `tokenize`.
    precision : {"auto", "f32", "bf16", "f16", "int8"}
        ``"auto"`` is bf16 where the processor computes in it natively, else f32; f16 on a GPU. ``"int8"`` is the
        fastest on a CPU that has AVX-512 VNNI or AMX, and never chosen by itself: it decides a few texts otherwise than
        f32.
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

    Raises
    ------
    Error
        Where the folder or the device cannot be used, as the subclass that the status stands for: `InputOutput`,
        `BadModel`, `Unsupported`, ...
    TypeError, ValueError
        For an argument that cannot be meant.

    Notes
    -----
    **Texts.** Every method takes a str, or a list, tuple or other iterable of str, a numpy array, a pandas Series or
    Index, a pyarrow Array or ChunkedArray, a polars Series. Strings are encoded once, some at a time; Arrow's are read
    where they are. An iterator, such as a generator, is read in pieces, so its texts are never all in memory. What is
    not text (None, NaN, numbers, bytes) is a TypeError that names the first one; a text that has no UTF-8 form is a
    `BadInput` that does.

    **Threads.** Any number of threads may use one Classifier. Calls take turns: a thread that calls while another one
    is inside waits until it is out, or, where there are very many texts, until its present block of them is done.
    Python's lock is released while the library works. Within a call, from a progress bar or a handler of its messages
    or of a signal, the same Classifier can be neither asked anything (`Busy`) nor closed (ValueError).

    **Processes.** It pickles to its settings, and copies are opened anew; a closed one stays closed. After a fork the
    child opens a session of its own at its first call. CUDA does not survive a fork: with a GPU, spawn processes.

    **Ctrl-C** stops a call within 0.2 seconds; so does any signal handler that raises. Only the opening of a model and
    the fit of `calibrate`, about a second for 50,000 texts, run to their end first. The Classifier can be used
    afterwards.

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
        self._begin(closed=False)
        self._settings = settings.checked(
            model=model,
            device=device,
            precision=precision,
            threads=threads,
            max_length=max_length,
            labels=labels,
            positive_label=positive_label,
            token_budget=token_budget,
            invalid_utf8=invalid_utf8,
            calibration=calibration,
        )
        with self._turn():
            self._ready()

    # ---- Opening and closing ------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self._settings, "closed": self._closed, "labels": self._labels}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._begin(closed=True)
        self._settings, self._labels = dict(state["settings"]), tuple(state["labels"])
        if not state["closed"]:
            self._closed = False
            with self._turn():
                self._ready()

    def __repr__(self) -> str:
        return f"Classifier({settings.shown(self._settings)})"

    def _repr_html_(self) -> str:
        if self._closed:
            return _html.facts("Classifier, closed", [(n, v) for n, v in self._settings.items() if v])
        return _html.classifier(self.info, self.calibration)

    # ---- What it is ---------------------------------------------------------------------------------------------

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes' names, in the order of `predict_proba`'s columns; they stay known when it is closed.

        Examples
        --------
        >>> clf.labels
        ('not ADE', 'ADE')
        """
        return self._labels

    @property
    def positive_label(self) -> str:
        """The label whose probability is the score by which `screen` decides.

        Raises
        ------
        ValueError
            The Classifier is closed.

        Examples
        --------
        >>> clf.positive_label
        'ADE'
        """
        with self._turn():
            engine = self._ready()
            return engine.labels[engine.positive]

    @property
    def info(self) -> dict[str, Any]:
        """What the model is and how it runs: the members of ``ade_model_info`` and ``ade_session_info``, by name.

        Raises
        ------
        ValueError
            The Classifier is closed.

        Examples
        --------
        >>> info = clf.info
        >>> info["architecture"], info["n_layers"], info["max_length"], info["device"]
        ('BertForSequenceClassification', 5, 512, 'cpu')
        """
        with self._turn():
            return self._ready().info()

    def profile(self) -> Profile:
        """What has been done since it was opened, and what the time went to. Calls with a ``max_length`` of their own,
        `screen` and `tokenize` are not counted.

        Raises
        ------
        ValueError
            The Classifier is closed.

        Examples
        --------
        >>> before = clf.profile()
        >>> clf.predict_proba(["Rash after amoxicillin."] * 3).shape
        (3, 2)
        >>> after = clf.profile()
        >>> after.texts - before.texts, after.encoding > before.encoding
        (3, True)
        """
        with self._turn():
            return profile_of(self._ready())

    # ---- Classifying --------------------------------------------------------------------------------------------

    def _blocks(
        self,
        source: _texts.Source,
        wanted: str,
        progress: Progress = False,
        *,
        into: Outputs | None = None,
        texts: int | None = None,
        max_length: int = 0,
    ) -> Iterator[tuple[_texts.Block, Outputs]]:
        """Classifies block after block, ``into`` the rows of all or each on its own. Between two blocks other threads
        can have their turn. Who asks for the next lets go of the last: two would take twice the memory."""
        bar = _progress.bar(progress, source.count, "text", "classifying")
        shown = progress is not None and progress is not False
        try:
            for block in source.blocks(texts):
                first, end = block.first, block.first + len(block)

                def move(done: int, first: int = first) -> None:
                    bar.move(first + done)

                with self._turn():
                    engine = self._ready()
                    if into is not None:
                        outputs = into.part(first, end)
                    else:
                        outputs = Outputs.empty(len(block), len(engine.labels), wanted)
                    engine.classify(block, outputs, max_length, move if shown else None)
                bar.move(end)
                yield block, outputs
                del block, outputs
        finally:
            bar.close()

    def _outputs(self, source: _texts.Source, wanted: str, progress: Progress = False, **how: Any) -> Outputs:
        """All texts' rows."""
        with self._turn():
            engine = self._ready()
            whole = Outputs.empty(source.count or 0, len(engine.labels), wanted)
        if not source.streamed:
            for pair in self._blocks(source, wanted, progress, into=whole, **how):
                del pair
            return whole
        return Outputs.joined([whole, *(outputs for _, outputs in self._blocks(source, wanted, progress, **how))])

    def predict_proba(self, texts: Texts, *, progress: Progress = False) -> Floats:
        """Every class's probability.

        Parameters
        ----------
        texts : str or iterable of str
            A list, a numpy array, a column of a data frame, ... (see `Classifier`); a str counts as one text.
        progress : bool or class
            Whether to show a bar, by tqdm.auto; or a class that is called as tqdm's is.

        Returns
        -------
        numpy.ndarray, float32, (texts, classes)
            Softmax; for a multi-label model a sigmoid each, for regression the value.

        Raises
        ------
        TypeError
            Something is not text; it is named by its number, from 0.
        BadInput
            A text has no UTF-8 form; it is named, too.
        ValueError
            The Classifier is closed.
        OutOfMemory, DeviceFailed, Busy
            Memory does not suffice; the GPU fails; this thread is inside a call of the same Classifier already.

        Examples
        --------
        >>> clf.predict_proba(["Rash after amoxicillin."]).sum(axis=1)
        array([1.], dtype=float32)
        """
        found = self._outputs(_texts.read(texts), "p", progress).probabilities
        assert found is not None
        return found

    def logits(self, texts: Texts, *, progress: Progress = False) -> Floats:
        """The model's own outputs, float32, (texts, classes), before softmax. Arguments and errors as `predict_proba`.

        Examples
        --------
        >>> clf.logits([]).shape
        (0, 2)
        """
        found = self._outputs(_texts.read(texts), "l", progress).logits
        assert found is not None
        return found

    def predict(self, texts: Texts, *, progress: Progress = False) -> npt.NDArray[Any]:
        """Each text's best label, str, (texts); for regression its value, as float32. Arguments and errors as
        `predict_proba`.

        Examples
        --------
        >>> clf.predict(["Rash after amoxicillin."])[0] in clf.labels
        True
        """
        values = self.logits(texts, progress=progress)
        if self._problem is _ffi.Problem.REGRESSION:
            return values[:, 0]
        best: npt.NDArray[Any] = np.array(self._labels)[values.argmax(axis=1)]
        return best

    def classify(self, texts: Texts, *, prevalence: float | None = None, progress: Progress = False) -> Results:
        """All that the model says of each text.

        Parameters
        ----------
        texts, progress
            As for `predict_proba`.
        prevalence : float, optional
            The share of positive texts to expect, for the calibrated values. By default that of the calibration's
            texts.

        Returns
        -------
        Results
            Columns: label, score, scores, logits, calibrated, tokens, unknown, truncated; also a sequence of `Result`.

        Raises
        ------
        TypeError, BadInput, ValueError
            As `predict_proba`.

        Examples
        --------
        >>> results = clf.classify(["Rash after amoxicillin.", ""])
        >>> results[1].tokens, results[1].truncated
        (2, False)
        """
        share = _prevalence(prevalence)
        source = _texts.read(texts)
        with self._turn():
            engine = self._ready()
            labels, positive, regression = engine.labels, engine.positive, engine.problem is _ffi.Problem.REGRESSION
            parts = [Outputs.empty(0, len(labels), "rlp")]
        first_texts: list[str] = []
        whole = None if source.count is None else Outputs.empty(source.count, len(labels), "rlp")
        for block, outputs in self._blocks(source, "rlp", progress, into=whole):
            parts.append(outputs)
            more = range(min(HEAD - len(first_texts), len(block)))
            first_texts += [block.data(i).decode("utf-8", "replace") for i in more]
            del block
        found = Outputs.joined(parts) if whole is None else whole
        results, logits, scores = found.results, found.logits, found.probabilities
        assert results is not None and logits is not None and scores is not None
        return Results(
            label=None if regression else np.array(labels)[results["label"]],
            score=np.ascontiguousarray(results["score"]),
            scores=scores,
            logits=logits,
            calibrated=self._calibrated(logits, share) if self.calibration is not None else None,
            tokens=np.ascontiguousarray(results["tokens"]),
            unknown=np.ascontiguousarray(results["unknown"]),
            truncated=results["truncated"].astype(np.bool_),
            labels=labels,
            positive_label=labels[positive],
            _head=tuple(first_texts),
            _index=_texts.index_of(texts),
        )

    # ---- As a transformers pipeline -----------------------------------------------------------------------------

    @overload  # a str is an iterable of str, too: the order of these decides
    def __call__(
        self,
        texts: str,
        top_k: int | None | Literal[""] = ...,
        *,
        function_to_apply: str | None = ...,
        truncation: bool | str | None = ...,
        max_length: int | None = ...,
        batch_size: int | None = ...,
        padding: bool | str | None = ...,
        num_workers: int | None = ...,
        progress: Progress = ...,
    ) -> list[dict[str, Any]]: ...

    @overload
    def __call__(
        self,
        texts: Iterator[str],
        top_k: Literal[""] = ...,
        *,
        function_to_apply: str | None = ...,
        truncation: bool | str | None = ...,
        max_length: int | None = ...,
        batch_size: int | None = ...,
        padding: bool | str | None = ...,
        num_workers: int | None = ...,
        progress: Progress = ...,
    ) -> Iterator[dict[str, Any]]: ...

    @overload
    def __call__(
        self,
        texts: Iterator[str],
        top_k: int | None,
        *,
        function_to_apply: str | None = ...,
        truncation: bool | str | None = ...,
        max_length: int | None = ...,
        batch_size: int | None = ...,
        padding: bool | str | None = ...,
        num_workers: int | None = ...,
        progress: Progress = ...,
    ) -> Iterator[list[dict[str, Any]]]: ...

    @overload
    def __call__(
        self,
        texts: Iterable[Any],
        top_k: Literal[""] = ...,
        *,
        function_to_apply: str | None = ...,
        truncation: bool | str | None = ...,
        max_length: int | None = ...,
        batch_size: int | None = ...,
        padding: bool | str | None = ...,
        num_workers: int | None = ...,
        progress: Progress = ...,
    ) -> list[dict[str, Any]]: ...

    @overload
    def __call__(
        self,
        texts: Iterable[Any],
        top_k: int | None,
        *,
        function_to_apply: str | None = ...,
        truncation: bool | str | None = ...,
        max_length: int | None = ...,
        batch_size: int | None = ...,
        padding: bool | str | None = ...,
        num_workers: int | None = ...,
        progress: Progress = ...,
    ) -> list[list[dict[str, Any]]]: ...

    def __call__(
        self,
        texts: Texts,
        top_k: int | None | Literal[""] = "",
        *,
        function_to_apply: str | None = None,
        truncation: bool | str | None = True,
        max_length: int | None = None,
        batch_size: int | None = None,
        padding: bool | str | None = None,
        num_workers: int | None = None,
        progress: Progress = False,
    ) -> Any:
        """Labels and scores, called as a transformers text-classification pipeline and nested as its answers are.

        Parameters
        ----------
        texts : str or iterable of str
            As for `predict_proba`. ``{"text": "..."}`` counts as a text, too; pairs of texts are refused.
        top_k : int or None, optional
            How many labels to give, best first; None = all. If it is left out, the best one alone.
        function_to_apply : {"default", "softmax", "sigmoid", "none"}, optional
            What makes scores of logits; ``"default"`` and None: what the model's problem type says.
        truncation : bool, "longest_first", "only_first" or "do_not_truncate"
            Whether texts that are too long are cut. Without it they are refused (transformers' default, under which
            such a text ends a run in the middle of the model, is not this one's).
        max_length : int, optional
            Tokens per text in this call, special ones included, where texts are cut. The first call of a length opens a
            session; the last two lengths are kept.
        batch_size : int, optional
            Texts taken from an iterator before their answers are given, 1,024 if it is left out. It changes no answer,
            nor does it change how texts are packed.
        padding, num_workers
            Accepted for the sake of scripts; nothing is padded, and ``threads`` says how many threads there are.
        progress : bool or class
            As for `predict_proba`.

        Returns
        -------
        list of dict
            ``{"label": str, "score": float}`` for each text. With ``top_k``, each text has a list of these.
            For a single str, always one flat list. For an iterator, such as a generator, an iterator, which takes texts
            as it gives answers, in memory that does not grow.

        Raises
        ------
        TypeError, ValueError
            As `predict_proba`, and for an argument that is not known or cannot be meant.
        BadInput
            As `predict_proba`; with ``truncation=False`` also where a text is too long, which is named with its length.

        Examples
        --------
        >>> answer = clf("Rash after amoxicillin.")
        >>> len(answer), sorted(answer[0])
        (1, ['label', 'score'])
        >>> [len(labels) for labels in clf(["Rash.", "No rash."], top_k=None)]
        [2, 2]
        >>> next(clf(text for text in ["Rash."])) == clf("Rash.")[0]
        True
        """
        chosen = _pipeline.options(top_k, function_to_apply, truncation, max_length, batch_size, padding, num_workers)
        source = _texts.read(texts)
        wanted = _pipeline.wanted(chosen)
        with self._turn():  # whatever is wrong is said now, not at an iterator's first answer
            engine = self._ready()
            engine.of_length(chosen.max_length)
            problem, labels = engine.problem, engine.labels
        length = chosen.piece if source.streamed else None if chosen.cut else _pipeline.CHECKED
        blocks = self._blocks(source, wanted, progress, texts=length, max_length=chosen.max_length)

        def pieces() -> Iterator[Any]:
            for block, outputs in blocks:
                if not chosen.cut:
                    self._refuse_long(block, outputs)
                del block
                yield from _pipeline.answers(chosen, _pipeline.scores(chosen, outputs, problem), labels)

        return pieces() if source.streamed else _pipeline.shaped(chosen, list(pieces()), source.alone)

    def _refuse_long(self, block: _texts.Block, outputs: Outputs) -> None:
        assert outputs.results is not None
        long = outputs.results["truncated"] != 0
        if not long.any():
            return
        i = int(long.argmax())
        with self._turn():
            engine = self._ready()
            limit = int(outputs.results["tokens"][i])

            def encode(data: bytes) -> tuple[list[tuple[int, bool]], bool]:
                tokens, texts, info = engine.tokens(data, engine.of_length(0, only_tokens=True))
                words = [not text.startswith("##") for text in texts]
                return list(zip(tokens["start"].tolist(), words))[1:-1], not info.truncated

            count = _pipeline.count_tokens(block.data(i), encode)
        raise BadInput(
            f"text {block.first + i} has {count} tokens, and no more than {limit} fit: "
            f"shorten it, or have it cut by truncation=True"
        )

    # ---- Calibration --------------------------------------------------------------------------------------------

    @property
    def calibration(self) -> Calibration | None:
        """How scores are turned into probabilities, or None where the model has no calibration.

        Raises
        ------
        ValueError
            The Classifier is closed.

        Examples
        --------
        >>> clf.calibration is None
        True
        """
        with self._turn():
            return calibration_of(self._ready().model)

    def calibrated(self, texts: Texts, prevalence: float | None = None, *, progress: Progress = False) -> Doubles:
        """The calibrated probability of the positive label.

        Parameters
        ----------
        texts : str or iterable of str
            As for `predict_proba`.
        prevalence : float, optional
            The share of positive texts to expect, above 0 and below 1. By default that of the calibration's texts.

        Returns
        -------
        numpy.ndarray, float64, (texts)

        Raises
        ------
        Unsupported
            Where the model has no calibration.
        ValueError
            Where ``prevalence`` is no such share; and as `predict_proba`.
        TypeError, BadInput
            As `predict_proba`.

        Examples
        --------
        >>> with adesieve.Classifier("models/tfidf-logreg") as baseline:
        ...     usual = baseline.calibrated(["Rash after amoxicillin.", "No rash."])
        ...     rare = baseline.calibrated(["Rash after amoxicillin.", "No rash."], prevalence=0.02)
        >>> usual.shape, bool((rare < usual).all())
        ((2,), True)
        """
        share = _prevalence(prevalence)
        self._calibrated(np.empty((0, len(self._labels)), dtype=np.float32), share)  # before the work: can it be done?
        return self._calibrated(self.logits(texts, progress=progress), share)

    def _calibrated(self, logits: Floats, share: float) -> Doubles:
        values = np.empty(len(logits), dtype=np.float64)
        with self._turn():
            engine = self._ready()
            address = logits.ctypes.data
            _ffi.check(_ffi.load().ade_calibrate(engine.model, address, len(logits), share, values.ctypes.data))
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
            The share of positive texts to expect, above 0 and below 1. By default that of the calibration's texts.

        Returns
        -------
        OperatingPoint
            Shares are from 0 to 1, with their 95 % intervals.

        Raises
        ------
        Unsupported
            Where the model has no calibration, or no threshold reaches the target; the message says what the best is.
        InvalidArgument
            For a share that is not above 0 and at most 1.
        TypeError
            For no target or several, or one that is no number.
        ValueError
            For a prevalence that cannot be; where the Classifier is closed.

        Examples
        --------
        >>> with adesieve.Classifier("models/tfidf-logreg") as baseline:
        ...     point = baseline.operating_point(recall=0.95)
        >>> round(point.threshold, 3), round(point.recall, 3), round(point.precision, 3), round(point.review, 3)
        (0.112, 0.951, 0.344, 0.469)
        """
        targets = {"RECALL": recall, "PRECISION": precision, "REVIEW": review, "SCORE": threshold}
        wanted = {name: value for name, value in targets.items() if value is not None}
        given = [(_ffi.Target[name], settings.number(name.lower(), value)) for name, value in wanted.items()]
        if len(given) != 1:
            raise TypeError("operating_point takes one of recall, precision, review and threshold")
        if prevalence is not None:
            prevalence = settings.number("prevalence", prevalence)
        with self._turn():
            engine = self._ready()
            return find_point(engine.model, *given[0], prevalence)

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
        progress: Progress = False,
    ) -> Calibration:
        """Fits a calibration to labelled texts that the model was not trained on, writes it, and uses it from now on.

        Parameters
        ----------
        texts : iterable of str
            As for `predict_proba`; at least ten with the positive label and ten with another one. Some hundreds are
            good.
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
        progress : bool or class
            As for `predict_proba`.

        Returns
        -------
        Calibration
            What was written.

        Raises
        ------
        InvalidArgument
            For too few texts of either kind, a number that is no label's, or a number of folds that cannot be.
        InputOutput
            Where the file cannot be written.
        ValueError
            For a name that is no label's, naming its index; for as many labels as there are not texts; and as
            `predict_proba`.
        TypeError, BadInput
            As `predict_proba`; TypeError also for labels that are neither str nor int.

        Examples
        --------
        >>> import tempfile
        >>> texts, labels = ["Rash after amoxicillin.", "No rash."] * 10, ["ADE", "not ADE"] * 10
        >>> with tempfile.TemporaryDirectory() as folder, adesieve.Classifier("models/tfidf-logreg") as baseline:
        ...     made = baseline.calibrate(texts, labels, method="platt", path=folder + "/calibration.json")
        ...     made == baseline.calibration
        True
        >>> made.n, made.prevalence
        (20, 0.5)
        """
        if isinstance(labels, str):
            raise TypeError("labels is one str; a label for each text is needed")
        names = {name: i for i, name in reversed(list(enumerate(self._labels)))}
        options = _ffi.CalibrationOptions(
            method=METHODS[settings.one_of("method", method, METHODS)],
            folds=settings.count("folds", folds),
            seed=settings.count("seed", seed),
            data=settings.string("data", data),
        )
        target = None if path is None else settings.path("path", path)
        wanted = []
        for i, label in enumerate(labels):
            if isinstance(label, str) and label not in names:
                raise ValueError(f"label {i} is {label!r}, none of {', '.join(map(repr, self._labels))}")
            wanted.append(names[label] if isinstance(label, str) else settings.count(f"label {i}", label))
        array = np.array(wanted, dtype=np.int32)
        logits = self.logits(texts, progress=progress)
        if len(logits) != len(array):
            raise ValueError(f"there are {len(logits)} texts and {len(array)} labels")
        with self._turn():
            engine = self._ready()
            _ffi.check(
                _ffi.load().ade_calibration_fit(
                    engine.model, logits.ctypes.data, array.ctypes.data, len(array), options, target
                )
            )
            chosen = {**self._settings, "calibration": settings.absolute("path", path)}
            self._engine = Engine(chosen)
            self._settings = chosen
            engine.close()
            found = calibration_of(self._engine.model)
        assert found is not None
        return found

    # ---- Tokenizing ---------------------------------------------------------------------------------------------

    @overload
    def tokenize(self, texts: str) -> Tokens: ...

    @overload
    def tokenize(self, texts: Iterable[Any]) -> list[Tokens]: ...

    def tokenize(self, texts: Texts) -> Tokens | list[Tokens]:
        """The ids that the model gets, with their texts and offsets: `Tokens` for a str, else a list of them.
        ``texts`` are as for `predict_proba`.

        Raises
        ------
        TypeError, BadInput, ValueError
            As `predict_proba`.

        Examples
        --------
        >>> tokens = clf.tokenize("Rash.")
        >>> tokens.tokens[0], ["Rash."[a:b] for a, b in tokens.offsets][-2]
        ('[CLS]', '.')
        """
        source = _texts.read(texts)
        found = []
        with self._turn():
            self._ready()
        for block in source.blocks():
            for i in range(len(block)):
                with self._turn():
                    engine = self._ready()
                    try:
                        found.append(tokens_of(engine, block.data(i)))
                    except Error as error:
                        named = str(error) if source.alone else f"text {block.first + i}: {error}"
                        raise type(error)(named, error.status) from None
        return found[0] if source.alone else found

    def token_ids(self, texts: Texts) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """The ids that the model gets, and nothing else, at the library's speed: `tokenize` makes Python objects of each
        token. ``texts`` are as for `predict_proba`. It runs on the calling thread.

        Returns
        -------
        ids : numpy.ndarray, int32, (ids)
            Those of all texts, one behind the other, special tokens included, cut at ``max_length``.
        starts : numpy.ndarray, int64, (texts + 1)
            Text i has ``ids[starts[i]:starts[i + 1]]``.

        Raises
        ------
        TypeError, BadInput, ValueError
            As `predict_proba`.

        Examples
        --------
        >>> ids, starts = clf.token_ids(["Rash.", "No rash."])
        >>> ids[starts[1] : starts[2]].tolist() == clf.tokenize("No rash.").ids
        True
        """
        source = _texts.read(texts)
        with self._turn():
            self._ready()
        ids, starts, first = [np.empty(0, np.int32)], [np.zeros(1, np.int64)], 0
        for block in source.blocks(_texts.PIECE_TEXTS):  # short enough for Ctrl-C
            with self._turn():
                some, begins = self._ready().ids(block)
            ids.append(some.copy())  # without the room that was left
            starts.append(begins[1:] + first)
            first += len(some)
            del block
        return np.concatenate(ids), np.concatenate(starts)

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
        record_rows: bool = False,
        progress: Progress = False,
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
        record_rows : bool
            A row of part "record" for each citation, whether or not it has a hit, with the hash of its text: what
            `adesieve.merge` needs to make one run's rows of files that were screened apart.
        progress : bool or class
            Whether to show a bar over the bytes read, by tqdm.auto; or a class that is called as tqdm's is.

        Returns
        -------
        Screening
            An iterator of `Hit`, which also gives its rows in columns: ``to_pandas()``, ``to_arrow()``, ``batches()``,
            ``to_parquet(path)``. Its ``stats`` are the counts so far. It works on a session of its own, so the
            Classifier can be used meanwhile.

        Raises
        ------
        Error
            Where an input cannot be read, as `InputOutput` or `BadInput`, here or while iterating; `Unsupported` where
            the threshold needs a calibration that the model does not have.
        ValueError, TypeError
            For an argument that cannot be meant.

        Examples
        --------
        >>> with clf.screen("tests/data/medline/pubmed1.xml", all=True) as run:
        ...     best = max(run, key=lambda row: row.score)
        >>> best.hit == (best.score >= 0.5), run.stats.files_done
        (True, 1)
        """
        with self._turn():
            engine = self._ready()
            watch = _ffi.Watch()
            return start(
                engine.model,
                settings.session_options(self._settings, watch),
                watch,
                paths,
                threshold=threshold,
                all=all,
                section_labels=section_labels,
                keep_going=keep_going,
                limit=limit,
                documents=documents,
                other_abstracts=other_abstracts,
                store=store,
                prevalence=prevalence,
                prefilter=prefilter,
                prefilter_recall=prefilter_recall,
                record_rows=record_rows,
                progress=progress,
            )


def _prevalence(prevalence: float | None) -> float:
    """As the library takes it."""
    return prevalence_of(None if prevalence is None else settings.number("prevalence", prevalence))
