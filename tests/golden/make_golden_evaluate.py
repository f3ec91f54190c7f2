#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes ``golden/evaluate.json``: labels, predictions and scores of small cases, and what scikit-learn makes of them.

tests/unit/test_cli_measures.c gives the same to the measures of ``adesieve evaluate`` and compares. What scikit-learn
does not have is computed here with NumPy and SciPy, as plainly as possible: expected calibration error, DeLong's
interval, precision at a prevalence, McNemar's test, and the bootstrap by drawing from a multinomial distribution.

Usage: make_golden_evaluate.py
"""

from __future__ import annotations

import json
import math
import platform
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn
from scipy.stats import binomtest, norm
from sklearn import metrics

OUT = Path(__file__).resolve().parent / "evaluate.json"
PREVALENCES = (0.01, 0.02, 0.05, 0.10)
BINS = 15


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if value is None or math.isnan(value) else float(value)


def ece(truth: np.ndarray, p: np.ndarray) -> float:
    """Bins [k/15, (k+1)/15), the last one closed."""
    where = np.minimum(np.floor(p * BINS).astype(int), BINS - 1)
    return float(sum(
        np.mean(where == k) * abs(truth[where == k].mean() - p[where == k].mean())
        for k in range(BINS) if np.any(where == k)
    ))


def delong(truth: np.ndarray, p: np.ndarray) -> tuple[float, float]:
    """DeLong's variance from every pair, and the 95 % interval on the scale of log-odds."""
    positive, negative = p[truth == 1], p[truth == 0]
    if len(positive) < 2 or len(negative) < 2:
        return math.nan, math.nan
    wins = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    area = wins.mean()
    if area in (0.0, 1.0):
        return math.nan, math.nan
    variance = wins.mean(axis=1).var(ddof=1) / len(positive) + wins.mean(axis=0).var(ddof=1) / len(negative)
    if variance == 0:
        return math.nan, math.nan
    spread = norm.ppf(0.975) * math.sqrt(variance) / (area * (1 - area))
    middle = math.log(area / (1 - area))
    return 1 / (1 + math.exp(spread - middle)), 1 / (1 + math.exp(-spread - middle))


def expected(tpr: float, fpr: float, share: float) -> float:
    found = share * tpr
    everything = found + (1 - share) * fpr
    return found / everything if everything else 0.0


def case(
    name: str, labels: int, positive: int, y: np.ndarray, predicted: np.ndarray, scores: np.ndarray
) -> dict[str, Any]:
    """`scores` are those of the positive label; the engine has floats, so they are rounded to floats first."""
    p = scores.astype(np.float32).astype(np.float64)
    truth = (y == positive).astype(int)
    every = list(range(labels))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        y, predicted, labels=every, zero_division=0)
    both = 0 < truth.sum() < len(truth)
    found = predicted == positive
    fpr = float(found[truth == 0].mean()) if np.any(truth == 0) else math.nan
    tpr = float(found[truth == 1].mean()) if np.any(truth == 1) else math.nan
    low, high = delong(truth, p)
    values = {
        "accuracy": metrics.accuracy_score(y, predicted),
        "false_positive_rate": fpr,
        "auroc": metrics.roc_auc_score(truth, p) if both else math.nan,
        "auroc_low": low, "auroc_high": high,
        "average_precision": metrics.average_precision_score(truth, p) if both else math.nan,
        "brier": metrics.brier_score_loss(truth, p) if both else float(np.mean((p - truth) ** 2)),
        "log_loss": metrics.log_loss(truth, p, labels=[0, 1]),
        "ece": ece(truth, p),
    }
    for mean in ("weighted", "macro"):
        triple = metrics.precision_recall_fscore_support(y, predicted, average=mean, zero_division=0)[:3]
        values |= {f"{mean}_{what}": value for what, value in zip(("precision", "recall", "f1"), triple)}
    out = {
        "name": name, "n_labels": labels, "positive": positive,
        "labels": y.tolist(), "predicted": predicted.tolist(), "scores": p.tolist(),
        "values": {key: number(value) for key, value in values.items()},
        "expected_precision": [number(expected(tpr, fpr, share)) for share in PREVALENCES],
        "of_labels": [[float(precision[i]), float(recall[i]), float(f1[i])] for i in every],
        "support": [int(count) for count in support],
        "confusion": metrics.confusion_matrix(y, predicted, labels=every).tolist(),
    }
    if labels == 2:
        out["lines"] = lines(out, values)
    return out


def lines(out: dict[str, Any], values: dict[str, float]) -> list[str]:
    """Lines of the text, without intervals of the bootstrap."""
    names = ["not ADE", "ADE"]
    rows = [f"{names[i]:<14}" + "".join(f"{value:>11.3f}" for value in out["of_labels"][i]) + f"{out['support'][i]:>9}"
            for i in range(2)]
    for mean in ("weighted", "macro"):
        rows.append(f"{mean + ' mean':<14}" + "".join(
            f"{values[f'{mean}_{what}']:>11.3f}" for what in ("precision", "recall", "f1")))
    rows.append(f"{'accuracy':<20}{values['accuracy']:.3f}")
    wrong = out["confusion"]
    falses = wrong[1 - out["positive"]][out["positive"]], wrong[out["positive"]][1 - out["positive"]]
    rows.append(f"{'errors':<20}{sum(falses)} ({names[out['positive']]}: "
                f"{falses[0]} false positive{'s' * (falses[0] != 1)}, "
                f"{falses[1]} false negative{'s' * (falses[1] != 1)})")
    if not math.isnan(values["auroc_low"]):
        rows.append(f"{'AUROC':<20}{values['auroc']:.3f} {values['auroc_low']:.3f}-{values['auroc_high']:.3f}")
    if not math.isnan(values["auroc"]):
        rows.append(f"{'average precision':<20}{values['average_precision']:.3f}")
    rows += [f"{'Brier score':<20}{values['brier']:.4f}", f"{'log loss':<20}{values['log_loss']:.4f}",
             f"{'calibration error':<20}{values['ece']:.4f}"]
    return rows


def bootstrap(name: str, tp: int, fp: int, fn: int, tn: int) -> dict[str, Any]:
    """Percentile intervals over so many samples that chance is below the third decimal."""
    n = tp + fp + fn + tn
    draws = np.random.default_rng(1).multinomial(n, np.array([tp, fp, fn, tn]) / n, size=400_000).T.astype(np.float64)
    tp_, fp_, fn_, tn_ = draws
    f1, f1_not = 2 * tp_ / (2 * tp_ + fp_ + fn_), 2 * tn_ / (2 * tn_ + fp_ + fn_)
    tpr, fpr = tp_ / (tp_ + fn_), fp_ / (fp_ + tn_)
    samples = {
        "accuracy": (tp_ + tn_) / n, "precision": tp_ / (tp_ + fp_), "recall": tpr, "f1": f1,
        "false_positive_rate": fpr, "macro_f1": (f1 + f1_not) / 2,
        "weighted_f1": ((tp_ + fn_) * f1 + (fp_ + tn_) * f1_not) / n,
        **{f"expected_{k}": share * tpr / (share * tpr + (1 - share) * fpr) for k, share in enumerate(PREVALENCES)},
    }
    return {"name": name, "confusion": [[tn, fp], [fn, tp]],
            "intervals": {key: np.percentile(values, [2.5, 97.5]).tolist() for key, values in samples.items()}}


def main() -> None:
    rng = np.random.default_rng(20)

    def binary(size: int, share: float, spread: float) -> tuple[np.ndarray, np.ndarray]:
        y = (rng.random(size) < share).astype(int)
        return y, 1 / (1 + np.exp(-(rng.normal(0, spread, size) + 2.0 * y - 1.2)))

    cases = []
    y, p = binary(300, 0.3, 1.5)
    cases.append(case("scores that all differ", 2, 1, y, (p >= 0.5).astype(int), p))
    y, p = binary(200, 0.25, 1.2)
    p = np.round(p, 1)
    cases.append(case("many ties", 2, 1, y, (p >= 0.4).astype(int), p))
    y, p = binary(60, 0.5, 1.0)
    cases.append(case("one score", 2, 1, y, np.ones_like(y), np.full(60, 0.7)))
    cases.append(case("the first label is positive", 2, 0, y, 1 - (p >= 0.5).astype(int), p))
    y, p = binary(80, 0.1, 1.0)
    cases.append(case("nothing predicted", 2, 1, y, np.zeros_like(y), p * 0.3))
    y, _ = binary(50, 0.4, 1.0)
    cases.append(case("perfect", 2, 1, y, y, np.where(y == 1, 1.0, 0.0)))
    cases.append(case("sure and wrong", 2, 1, y, 1 - y, np.where(y == 1, 0.0, 1.0)))
    _, p = binary(40, 0.5, 1.0)
    cases.append(case("all positive", 2, 1, np.ones(40, int), (p >= 0.5).astype(int), p))
    cases.append(case("all negative", 2, 1, np.zeros(40, int), (p >= 0.5).astype(int), p))
    cases.append(case("one text", 2, 1, np.array([1]), np.array([1]), np.array([0.75])))
    cases.append(case("two texts", 2, 1, np.array([0, 1]), np.array([1, 1]), np.array([0.5, 0.5])))
    cases.append(case("edges of the bins", 2, 1, np.arange(32) % 2, np.arange(32) % 3 % 2, np.arange(32) % 16 / 15))
    y = rng.integers(0, 3, 180)
    many = softmax(rng.normal(0, 1, (180, 3)) + 1.5 * np.eye(3)[y])
    cases.append(case("three labels", 3, 1, y, many.argmax(axis=1), many[:, 1]))
    y = rng.integers(0, 2, 90) * 3
    many = softmax(rng.normal(0, 1, (90, 4)) + 2.0 * np.eye(4)[y])
    many[:, 1] = 0
    cases.append(case("a label that does not occur", 4, 3, y, many.argmax(axis=1), many[:, 3]))

    pairs = [(0, 0), (0, 1), (1, 0), (3, 3), (0, 12), (7, 19), (40, 71), (120, 180), (300, 310), (2, 998), (5000, 5300),
             (61, 265)]
    report = {
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__,
                     "scikit-learn": sklearn.__version__},
        "cases": cases,
        "mcnemar": [[b, c, binomtest(b, b + c).pvalue if b + c else 1.0] for b, c in pairs],
        "bootstrap": [bootstrap("the published baseline", 898, 224, 125, 2281),
                      bootstrap("the published classifier on unseen sentences", 470, 96, 46, 2388),
                      bootstrap("few positive texts", 30, 20, 10, 940)],
    }
    with OUT.open("w", encoding="utf-8") as stream:
        json.dump(report, stream, indent=None, separators=(",", ":"))
        stream.write("\n")
    print(f"{OUT}: {len(cases)} cases")


if __name__ == "__main__":
    main()
