"""The corpus files and the measures that every script of this folder shares.

A split is a CSV file with the columns ``text`` and ``label`` (1 = the sentence reports an adverse drug effect).
"""

from __future__ import annotations

import csv
import hashlib
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Iterable, Sequence

import numpy as np

ID2LABEL: dict[int, str] = {0: "not ADE", 1: "ADE"}
"""Class index to name; index 1 is the class whose precision, recall and F1 are reported."""


@dataclass(frozen=True)
class Split:
    """The rows of one CSV file, in file order."""

    name: str
    texts: list[str]
    labels: list[int]
    sha256: str

    def __len__(self) -> int:
        return len(self.texts)

    def select(self, rows: Iterable[int], name: str) -> Split:
        """A sub-split holding the given rows in the given order."""
        chosen = list(rows)
        return Split(name, [self.texts[i] for i in chosen], [self.labels[i] for i in chosen], self.sha256)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def read_split(folder: Path, name: str) -> Split:
    """Reads ``folder/name.csv``; refuses anything but labels 0 and 1."""
    path = folder / f"{name}.csv"
    texts: list[str] = []
    labels: list[int] = []
    with path.open(encoding="utf-8", newline="") as stream:
        for number, row in enumerate(csv.DictReader(stream), start=1):
            if row["label"] not in ("0", "1"):
                raise ValueError(f"{path}: row {number}: label {row['label']!r} is neither 0 nor 1")
            texts.append(row["text"])
            labels.append(int(row["label"]))
    if not texts:
        raise ValueError(f"{path}: no rows")
    return Split(name, texts, labels, sha256_of(path))


def distinct_unseen(test: Split, train: Split) -> list[int]:
    """Row indices of the distinct test sentences (first occurrence) whose text is not verbatim in train."""
    seen = set(train.texts)
    rows: list[int] = []
    for index, text in enumerate(test.texts):
        if text not in seen:
            seen.add(text)
            rows.append(index)
    return rows


@dataclass(frozen=True)
class Scores:
    """What a set of predictions is worth. Precision, recall and F1 are those of the ADE class."""

    n: int
    positives: int
    tp: int
    fp: int
    fn: int
    tn: int
    errors: int
    accuracy: float
    weighted_f1: float
    precision: float
    recall: float
    f1: float
    fpr: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0


def score(labels: Sequence[int] | np.ndarray, predicted: Sequence[int] | np.ndarray) -> Scores:
    """Confusion counts and what follows from them; F1 of an empty class is 0, as in scikit-learn."""
    y = np.asarray(labels, dtype=np.int64)
    p = np.asarray(predicted, dtype=np.int64)
    if y.shape != p.shape:
        raise ValueError(f"{y.size} labels but {p.size} predictions")
    tp = int(np.sum((y == 1) & (p == 1)))
    fp = int(np.sum((y == 0) & (p == 1)))
    fn = int(np.sum((y == 1) & (p == 0)))
    tn = int(np.sum((y == 0) & (p == 0)))
    f1_ade = _ratio(2 * tp, 2 * tp + fp + fn)
    f1_not = _ratio(2 * tn, 2 * tn + fp + fn)
    n = int(y.size)
    return Scores(
        n=n, positives=tp + fn, tp=tp, fp=fp, fn=fn, tn=tn, errors=fp + fn,
        accuracy=_ratio(tp + tn, n),
        weighted_f1=_ratio((tp + fn) * f1_ade + (fp + tn) * f1_not, n),
        precision=_ratio(tp, tp + fp), recall=_ratio(tp, tp + fn), f1=f1_ade, fpr=_ratio(fp, fp + tn),
    )


def bootstrap_intervals(
    labels: Sequence[int], predicted: Sequence[int], *, replicates: int = 2000, seed: int = 42, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap over rows for precision, recall, F1, FPR, accuracy and weighted F1."""
    return count_intervals(score(labels, predicted), replicates=replicates, seed=seed, level=level)


def count_intervals(
    point: Scores, *, replicates: int = 2000, seed: int = 42, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """The same from what was counted; (nan, nan) for a measure that no sample defines.

    Every measure depends on the rows through the four confusion counts alone, so resampling rows with replacement
    equals drawing the counts from one multinomial distribution.
    """
    counts = np.array([point.tp, point.fp, point.fn, point.tn])
    draws = np.random.default_rng(seed).multinomial(point.n, counts / point.n, size=replicates)
    tp, fp, fn, tn = (draws[:, i].astype(np.float64) for i in range(4))
    with np.errstate(invalid="ignore", divide="ignore"):
        f1_ade = 2 * tp / (2 * tp + fp + fn)
        f1_not = 2 * tn / (2 * tn + fp + fn)
        samples = {
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "f1": f1_ade,
            "fpr": fp / (fp + tn),
            "accuracy": (tp + tn) / point.n,
            "weighted_f1": ((tp + fn) * f1_ade + (fp + tn) * f1_not) / point.n,
        }
    tail = 100 * (1 - level) / 2
    bounds: dict[str, tuple[float, float]] = {}
    for name, values in samples.items():
        defined = values[~np.isnan(values)]
        low, high = np.percentile(defined, [tail, 100 - tail]) if defined.size else (math.nan, math.nan)
        bounds[name] = (float(low), float(high))
    return bounds


def precision_at(prevalence: float, recall: float, fpr: float) -> float:
    """Precision to expect where a share ``prevalence`` of the sentences is positive (Bayes' rule)."""
    if not 0.0 <= prevalence <= 1.0 or math.isnan(recall) or math.isnan(fpr):
        raise ValueError("prevalence must lie in [0, 1] and the rates must be numbers")
    return _ratio(prevalence * recall, prevalence * recall + (1 - prevalence) * fpr)
