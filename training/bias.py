"""Where to put the decision between the two labels: a shift of the ADE logit, chosen on the validation part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np


@dataclass(frozen=True)
class Shift:
    """A shift, and the mean of the ADE F1 on all rows and on the unseen ones without and with it."""

    shift: float
    before: float
    after: float


def best_shift(margins: np.ndarray, labels: Sequence[int], unseen: Sequence[int]) -> Shift:
    """The shift that gives the highest mean of two F1; of equally good ones the nearest to 0.

    ``margins`` are the ADE logit less the other one, ``unseen`` the rows whose F1 counts beside that of all rows. A row
    is labelled ADE when margin + shift > 0. Only what lies between two margins makes a difference, so every possible
    decision is tried: with the rows sorted by margin, the first k are positive, for each k.
    """
    margin = np.asarray(margins, dtype=np.float64)
    y = np.asarray(labels, dtype=np.int64)
    if margin.ndim != 1 or margin.shape != y.shape or not len(y):
        raise ValueError(f"{margin.size} margins but {y.size} labels")
    if not np.isfinite(margin).all():
        raise ValueError("a logit is not a number")
    weight = np.zeros((2, len(y)), dtype=np.int64)
    weight[0] = 1
    weight[1, np.asarray(unseen, dtype=np.int64)] = 1
    if not (weight * y).sum(axis=1).all():
        raise ValueError("no row is labelled ADE, among all rows or among the unseen ones")

    order = np.argsort(-margin, kind="stable")
    ordered = margin[order]
    weight, hits = weight[:, order], (weight * y)[:, order]
    zero = np.zeros((2, 1), dtype=np.int64)
    found = np.concatenate([zero, np.cumsum(hits, axis=1)], axis=1)
    called = np.concatenate([zero, np.cumsum(weight, axis=1)], axis=1)
    mean = (2 * found / (called + hits.sum(axis=1, keepdims=True))).mean(axis=0)
    # k rows are positive for thresholds between ordered[k] and ordered[k - 1]; equal margins cannot be parted.
    k = np.array([0, *(np.flatnonzero(ordered[:-1] != ordered[1:]) + 1), len(y)])
    low = np.where(k < len(y), ordered[np.minimum(k, len(y) - 1)], ordered[-1] - 1)
    high = np.where(k > 0, ordered[k - 1], ordered[0] + 1)
    shift = np.where((low <= 0) & (high > 0), 0.0, -(low + high) / 2)
    best = mean[k].max()
    chosen = min((abs(float(shift[i])), float(shift[i])) for i in np.flatnonzero(mean[k] == best))[1]
    return Shift(chosen, float(mean[int((margin > 0).sum())]), float(best))
