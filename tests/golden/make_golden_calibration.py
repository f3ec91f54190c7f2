#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes ``golden/calibration.json``: labelled logits of small cases, and what scikit-learn and SciPy make of them.

tests/unit/test_calibrate.c gives the same to the library and compares. Platt's line is LogisticRegression without a
penalty, the isotonic curve IsotonicRegression, the temperature SciPy's minimum, intervals are SciPy's Wilson. The folds
are dealt as src/calibration_fit.c deals them (SplitMix64), so that the cross-validated measures can be compared, too.

Usage: make_golden_calibration.py
"""

from __future__ import annotations

import json
import platform
import warnings
from pathlib import Path
from typing import Any, Callable

import numpy as np
import scipy
import sklearn
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit, logsumexp
from scipy.stats import binomtest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss

OUT = Path(__file__).resolve().parent / "calibration.json"
BINS, FOLDS, SEED = 15, 10, 42
METHODS = ("temperature", "platt", "isotonic")
MASK = (1 << 64) - 1


def log_odds(logits: np.ndarray, positive: int, temperature: float = 1.0) -> np.ndarray:
    scaled = logits / temperature
    return scaled[:, positive] - logsumexp(np.delete(scaled, positive, axis=1), axis=1)


def losses(odds: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, np.where(y, -odds, odds))


def fit_temperature(logits: np.ndarray, y: np.ndarray, positive: int) -> float:
    def loss(log_temperature: float) -> float:
        return losses(log_odds(logits, positive, np.exp(log_temperature)), y).sum()

    grid = np.linspace(-6, 6, 241)
    best = grid[np.argmin([loss(at) for at in grid])]
    found = minimize_scalar(loss, bounds=(best - 0.05, best + 0.05), method="bounded", options={"xatol": 1e-13})
    return float(np.exp(found.x))


def fit_line(m: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(penalty=None, solver="newton-cholesky", tol=1e-14, max_iter=1000)
        model.fit(m[:, None], y)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def fit_isotonic(m: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    model = IsotonicRegression(out_of_bounds="clip").fit(m, y)
    least = 1 / (len(y) + 2)
    return model.X_thresholds_, np.clip(model.y_thresholds_, least, 1 - least)


def fit(method: str, logits: np.ndarray, y: np.ndarray, positive: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function from logits to calibrated log-odds; `.what` says what was fitted."""
    if method == "temperature":
        temperature = fit_temperature(logits, y, positive)

        def apply(given: np.ndarray) -> np.ndarray:
            return log_odds(given, positive, temperature)

        apply.what = {"temperature": temperature}
    elif method == "platt":
        slope, offset = fit_line(log_odds(logits, positive), y)

        def apply(given: np.ndarray) -> np.ndarray:
            return slope * log_odds(given, positive) + offset

        apply.what = {"slope": slope, "offset": offset}
    else:
        points = fit_isotonic(log_odds(logits, positive), y)

        def apply(given: np.ndarray) -> np.ndarray:
            return logit(np.interp(log_odds(given, positive), *points))

        apply.what = {}
    return apply


def deal(y: np.ndarray, seed: int) -> np.ndarray:
    state = seed

    def random() -> int:
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
        return z ^ z >> 31

    folds, dealt = np.empty(len(y), dtype=int), 0
    for kind in (True, False):
        order = list(np.flatnonzero(y == kind))
        for i in range(len(order), 1, -1):
            other = random() % i
            order[i - 1], order[other] = order[other], order[i - 1]
        for index in order:
            folds[index] = dealt % FOLDS
            dealt += 1
    return folds


def measures(odds: np.ndarray, y: np.ndarray) -> dict[str, float]:
    p = expit(odds)
    where = np.minimum(np.floor(p * BINS).astype(int), BINS - 1)
    ece = sum(np.mean(where == k) * abs(p[where == k].mean() - y[where == k].mean()) for k in set(where))
    loss = losses(odds, y).mean()
    assert abs(loss - log_loss(y, p)) < 1e-9
    return {"log_loss": float(loss), "brier": float(brier_score_loss(y, p)), "ece": float(ece)}


def points(logits: np.ndarray, y: np.ndarray, positive: int) -> list[dict[str, Any]]:
    """Operating points by looking at every score."""
    score = expit(log_odds(logits, positive))
    levels = np.unique(score)  # rising
    found = []
    for target, value in (("recall", 0.99), ("recall", 0.95), ("recall", 0.8), ("precision", 0.6), ("precision", 0.9),
                          ("review", 0.3), ("review", 0.05)):
        for prevalence in (0.0, 0.02, 0.5):
            share = prevalence or y.mean()

            def at(level: float) -> dict[str, float]:
                tp, fp = int((score[y] >= level).sum()), int((score[~y] >= level).sum())
                recall, alarms = tp / y.sum(), fp / (~y).sum()
                review = share * recall + (1 - share) * alarms
                return {"tp": tp, "fp": fp, "recall": recall, "review": review, "precision": share * recall / review}

            rows = [at(level) for level in levels]
            # a hair's breadth for what rounding does to shares that are equal
            good = [i for i, row in enumerate(rows)
                    if (row[target] <= value + 1e-12 if target == "review" else row[target] >= value - 1e-12)]
            entry: dict[str, Any] = {"target": target, "value": value, "prevalence": prevalence}
            if good:
                i = max(good) if target == "recall" else min(good)
                row = rows[i]
                recall = binomtest(row["tp"], int(y.sum())).proportion_ci(method="wilson")
                alarms = binomtest(row["fp"], int((~y).sum())).proportion_ci(method="wilson")

                def precision(r: float, a: float) -> float:
                    return share * r / (share * r + (1 - share) * a)

                entry |= {
                    "threshold": levels[i], "recall": [row["recall"], recall.low, recall.high],
                    "precision": [row["precision"], precision(recall.low, alarms.high),
                                  precision(recall.high, alarms.low)],
                    "review": [row["review"], share * recall.low + (1 - share) * alarms.low,
                               share * recall.high + (1 - share) * alarms.high],
                }
            found.append(entry)
    return found


def case(name: str, logits: np.ndarray, labels: np.ndarray, positive: int) -> dict[str, Any]:
    logits = np.round(logits * 1024) / 1024  # floats and doubles hold these: scores that tie here tie in the library
    y = labels == positive
    folds, methods, held_out = deal(y, SEED), {}, {}
    for method in METHODS:
        whole, odds = fit(method, logits, y, positive), np.empty(len(y))
        for fold in range(FOLDS):
            rest = folds != fold
            odds[~rest] = fit(method, logits[rest], y[rest], positive)(logits[~rest])
        held_out[method] = odds
        methods[method] = whole.what | {"after": measures(odds, y), "calibrated": expit(whole(logits[:40])).tolist()}
    chosen = METHODS[0]
    for method in METHODS[1:]:
        gain = losses(held_out[chosen], y) - losses(held_out[method], y)
        if gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)):
            chosen = method
    return {
        "name": name, "positive": positive, "n_labels": logits.shape[1],
        "logits": [float(value) for value in logits.ravel()], "labels": labels.tolist(),
        "before": measures(log_odds(logits, positive), y), "methods": methods, "auto": chosen,
        "points": points(logits, y, positive),
    }


def cases() -> list[dict[str, Any]]:
    random = np.random.default_rng(7)

    def two(m: np.ndarray) -> np.ndarray:
        m = np.clip(m, -7.5, 7.5)
        return np.stack([np.full(len(m), 0.5), m + 0.5], axis=1)

    made = []
    true = random.normal(-0.8, 1.2, 400)
    made.append(case("too sure", two(true * 2.5), (random.random(400) < expit(true)).astype(int), 1))
    true = random.normal(-1.5, 1.5, 500)
    labels = (random.random(500) > expit(true)).astype(int)
    made.append(case("shifted, positive label first", two(-true * 1.2 - 2), labels, 0))
    m = random.normal(-1, 2, 1200)
    share = np.where(m < -1, 0.03, np.where(m < 1, 0.4, np.where(m < 1.5, 0.45, 0.97)))
    made.append(case("steps", two(np.round(m * 8) / 8), (random.random(1200) < share).astype(int), 1))
    true3 = random.normal(0, 1, (300, 3)) + [0.3, -0.4, 0.2]
    weights = np.exp(true3) / np.exp(true3).sum(axis=1, keepdims=True)
    labels = np.array([random.choice(3, p=w) for w in weights])
    made.append(case("three labels", true3 * 1.8, labels, 1))
    for _ in range(200):  # a line that is better than the temperature, but by less than a standard error
        true = random.normal(-0.8, 1.2, 150)
        near = case("hardly better", two(true * 1.8 - 0.15), (random.random(150) < expit(true)).astype(int), 1)
        after = {name: method["after"]["log_loss"] for name, method in near["methods"].items()}
        if near["auto"] == "temperature" and after["platt"] < after["temperature"] - 1e-4:
            return [*made, near]
    raise SystemExit("make_golden_calibration.py: no such case was found")


def main() -> None:
    made = cases()
    for one in made:
        print(one["name"], one["auto"], {k: round(v["after"]["log_loss"], 4) for k, v in one["methods"].items()})
    assert {one["auto"] for one in made} == set(METHODS), "each method should be the best one once"
    golden = {
        "made_by": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__,
                    "scikit-learn": sklearn.__version__},
        "folds": FOLDS, "seed": SEED, "cases": made,
    }
    OUT.write_text(json.dumps(golden, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
