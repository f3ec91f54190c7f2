# SPDX-License-Identifier: Apache-2.0
"""`Results`: what `Classifier.classify` says of each text, in columns."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from . import _html
from ._optional import need

HEAD = _html.SHOWN  # texts kept for `_repr_html_`


@dataclass(frozen=True)
class Result:
    """One text's row of `Results`."""

    label: str | None  #: the best label's name; None for a regression model
    score: float  #: the positive label's probability, as the model has it; a regression model's value
    scores: tuple[float, ...]  #: every label's probability
    logits: tuple[float, ...]  #: the model's own outputs
    calibrated: float | None  #: the calibrated probability; None where the model has no calibration
    tokens: int  #: that the model was given, special ones included
    unknown: int  #: of these, ``[UNK]``
    truncated: bool  #: whether the text was longer than ``max_length`` and its end was left out


@dataclass(frozen=True, eq=False, repr=False)
class Results(Sequence[Result]):
    """What the model says of each text; a sequence of `Result`, kept as columns.

    Attributes
    ----------
    label : numpy.ndarray of str, (texts), or None
        The best label's name, whatever the threshold; None for a regression model.
    score : numpy.ndarray, float32, (texts)
        The positive label's probability, by which `screen` decides; a regression model's value.
    scores, logits : numpy.ndarray, float32, (texts, classes)
        Every label's probability, and the model's own outputs.
    calibrated : numpy.ndarray, float64, (texts), or None
        The positive label's calibrated probability; None where the model has no calibration.
    tokens, unknown : numpy.ndarray, int32, (texts)
        Tokens that the model was given, special ones included, and how many of them were ``[UNK]``.
    truncated : numpy.ndarray, bool, (texts)
        Whether the text was longer than ``max_length`` and its end was left out.
    labels : tuple of str
        The names of the classes, in the order of the columns of ``scores``.
    positive_label : str
        The label that ``score`` is the probability of.

    Examples
    --------
    >>> results = clf.classify(["Rash after amoxicillin.", "No rash."])
    >>> len(results), results.scores.shape, results[0].label == results.label[0]
    (2, (2, 2), True)
    """

    label: npt.NDArray[Any] | None
    score: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    logits: npt.NDArray[np.float32]
    calibrated: npt.NDArray[np.float64] | None
    tokens: npt.NDArray[np.int32]
    unknown: npt.NDArray[np.int32]
    truncated: npt.NDArray[np.bool_]
    labels: tuple[str, ...]
    positive_label: str
    _head: tuple[str, ...] = field(default=())  # the first texts
    _index: Any = field(default=None)  # the pandas column's that the texts came in

    def __len__(self) -> int:
        return len(self.score)

    @overload
    def __getitem__(self, i: int) -> Result: ...

    @overload
    def __getitem__(self, i: slice) -> Results: ...

    def __getitem__(self, i: int | slice) -> Result | Results:
        """A text's row, or with a slice some texts' columns, which share these ones' memory."""
        if isinstance(i, slice):
            return self._slice(i)
        try:
            i = operator.index(i)
        except TypeError:
            column = f"; a column is an attribute, such as results.{i}" if isinstance(i, str) else ""
            raise TypeError(f"a result is chosen by an int or a slice, not {type(i).__name__}{column}") from None
        if not -len(self) <= i < len(self):
            raise IndexError(f"there is no result {i}: there are {len(self)}")
        return Result(
            label=None if self.label is None else str(self.label[i]),
            score=float(self.score[i]),
            scores=tuple(self.scores[i].tolist()),
            logits=tuple(self.logits[i].tolist()),
            calibrated=None if self.calibrated is None else float(self.calibrated[i]),
            tokens=int(self.tokens[i]),
            unknown=int(self.unknown[i]),
            truncated=bool(self.truncated[i]),
        )

    def _slice(self, some: slice) -> Results:
        kept = [i for i in range(*some.indices(len(self)))[:HEAD] if i < len(self._head)]
        known = kept == list(range(*some.indices(len(self)))[: len(kept)])
        return Results(
            label=None if self.label is None else self.label[some],
            score=self.score[some],
            scores=self.scores[some],
            logits=self.logits[some],
            calibrated=None if self.calibrated is None else self.calibrated[some],
            tokens=self.tokens[some],
            unknown=self.unknown[some],
            truncated=self.truncated[some],
            labels=self.labels,
            positive_label=self.positive_label,
            _head=tuple(self._head[i] for i in kept) if known else (),
            _index=None if self._index is None else self._index[some],
        )

    def __iter__(self) -> Iterator[Result]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        texts = f"{len(self)} text{'s' if len(self) != 1 else ''}"
        if self.label is None:
            return f"<Results of {texts}>"
        counts = [f"{int((self.label == label).sum())} {label}" for label in self.labels]
        return f"<Results of {texts}: {', '.join(counts)}>"

    def _columns(self) -> dict[str, Any]:
        """Those that are a value a text; label and calibrated may be None."""
        names = ("label", "score", "calibrated", "tokens", "unknown", "truncated")
        return {name: getattr(self, name) for name in names}

    def to_pandas(self) -> Any:
        """A pandas.DataFrame, a row a text.

        Its columns are ``label``, ``score``, ``calibrated`` (where the model has a calibration), ``tokens``,
        ``unknown``, ``truncated``, and ``score_X`` and ``logit_X`` for each label X. Its index is that of the texts
        where they were a pandas Series, so that it can be joined to their frame.

        Raises
        ------
        ImportError
            pandas is not installed.

        Examples
        --------
        >>> list(clf.classify(["Rash after amoxicillin."]).to_pandas())[:4]
        ['label', 'score', 'tokens', 'unknown']
        """
        pandas = need("pandas", "pandas")
        columns = {name: column for name, column in self._columns().items() if column is not None}
        for i, label in enumerate(self.labels):
            columns[f"score_{label}"] = self.scores[:, i]
        for i, label in enumerate(self.labels):
            columns[f"logit_{label}"] = self.logits[:, i]
        return pandas.DataFrame(columns, index=self._index)

    def to_arrow(self) -> Any:
        """A pyarrow.Table, a row a text.

        Its columns are ``label`` (string; null for a regression model), ``score`` (float), ``calibrated`` (double; only
        where the model has a calibration), ``tokens`` and ``unknown`` (int32), ``truncated`` (bool), ``scores`` and
        ``logits`` (lists of as many floats as there are labels, whose names are in the schema's metadata, ``labels``).

        Raises
        ------
        ImportError
            pyarrow is not installed.

        Examples
        --------
        >>> clf.classify(["Rash after amoxicillin."]).to_arrow().schema.field("score").type
        DataType(float)
        """
        pa = need("pyarrow", "arrow")
        n, classes = len(self), len(self.labels)
        kinds = {
            "label": pa.string(),
            "score": pa.float32(),
            "calibrated": pa.float64(),
            "tokens": pa.int32(),
            "unknown": pa.int32(),
            "truncated": pa.bool_(),
        }
        columns: dict[str, Any] = {}
        for name, column in self._columns().items():
            if name == "label" and column is None:
                columns[name] = pa.nulls(n, pa.string())
            elif column is not None:
                columns[name] = pa.array(column, kinds[name])
        for name in ("scores", "logits"):
            flat = pa.array(np.ascontiguousarray(getattr(self, name)).reshape(-1), pa.float32())
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, classes)
        schema = pa.schema(
            [(name, column.type) for name, column in columns.items()],
            metadata={"labels": json.dumps(self.labels), "positive_label": self.positive_label},
        )
        return pa.Table.from_arrays(list(columns.values()), schema=schema)

    def _repr_html_(self) -> str:
        rows = []
        for text, result in zip(self._head, self):
            notes = ["truncated"] if result.truncated else []
            if result.unknown:
                notes.append(f"{result.unknown} of {result.tokens} tokens unknown")
            rows.append((text, result.score, result.label, ", ".join(notes) or None))
        return _html.sentence_rows(rows, len(self))
