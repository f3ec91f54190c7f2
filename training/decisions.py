"""Decisions rebuilt from a list of errors, and the comparison of two systems' decisions."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Sequence

import numpy as np

from corpus import Split

LABELS = {"negative": 0, "not ADE": 0, "0": 0, "positive": 1, "ADE": 1, "1": 1}
"""As the published lists, adesieve and the corpus files write them."""


def rebuild(test: Split, errors: Path) -> np.ndarray:
    """The decision on every row of ``test``, of which ``errors`` lists the wrong ones: text, true, predicted.

    The list is in the order of the rows, and texts repeat in both, so the two are joined from top to bottom: every row
    but those in the list was labelled rightly.
    """
    with errors.open(encoding="utf-8", newline="") as stream:
        listed = list(csv.DictReader(stream))
    if listed and not {"text", "true", "predicted"} <= listed[0].keys():
        raise ValueError(f"{errors}: the columns are {', '.join(map(str, listed[0]))}; text, true and predicted are "
                         "needed")
    for number, row in enumerate(listed, start=1):
        if row["true"] not in LABELS or row["predicted"] not in LABELS or (
                LABELS[row["true"]] == LABELS[row["predicted"]]):
            raise ValueError(f"{errors}: row {number}: true {row['true']!r} and predicted {row['predicted']!r} are not "
                             "two different labels; " + ", ".join(LABELS) + " are known")
    decisions = np.array(test.labels, dtype=np.int64)
    done = 0
    for index, (text, label) in enumerate(zip(test.texts, test.labels)):
        if done < len(listed) and listed[done]["text"] == text and LABELS[listed[done]["true"]] == label:
            decisions[index] = 1 - label
            done += 1
    if done < len(listed):
        raise ValueError(f"{errors}: row {done + 1} is not found in the test file, or not in its order: "
                         f"{listed[done]['text'][:60]!r}; the list belongs to another file")
    return decisions


def mcnemar(labels: Sequence[int], first: np.ndarray, second: np.ndarray) -> tuple[int, int, float]:
    """Rows that only the first labels rightly, that only the second does, and how likely so unequal numbers are when
    neither system is better (exact, two-sided)."""
    y = np.asarray(labels)
    only_first, only_second = int(np.sum((first == y) & (second != y))), int(np.sum((first != y) & (second == y)))
    n, k = only_first + only_second, min(only_first, only_second)
    term = tail = 1  # binomial coefficients, exactly
    for i in range(k):
        term = term * (n - i) // (i + 1)
        tail += term
    return only_first, only_second, min(1.0, 2 * tail / (1 << n))
