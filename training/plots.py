#!/usr/bin/env python3
"""Draws how far a model's probabilities can be trusted, and which precision goes with which recall, as two SVG files.

    adesieve classify --calibrated -o rows.jsonl test.csv
    plots.py rows.jsonl test.csv --seen train.csv --out models/adesieve-minilm

``rows.jsonl`` are the rows that adesieve classify writes for the labelled file, in its order. ``--out`` gets

* ``reliability.svg``       in 15 bins of the score: the share of sentences that are ADE sentences (95 % intervals), and
                            the same for the calibrated probabilities where the rows have them; with ``--seen``, of
                            the distinct sentences that are not there;
* ``precision-recall.svg``  all thresholds at once, on all rows and on the distinct ones that are not in ``--seen``.

The same rows give the same bytes with the same matplotlib.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from corpus import Split, distinct_unseen, read_split

BINS = 15
"""Of equal width, as in adesieve's expected calibration error."""
INK, GRID = "#1f2328", "#d1d9e0"
FIRST, SECOND = "#0969da", "#bc4c00"
"""Blue and orange: apart for colour-blind eyes. The background is white and opaque, so that dark pages do no harm."""


@dataclass(frozen=True)
class Bin:
    mean: float
    """Of the scores in the bin."""
    share: float
    """Of its sentences that are positive."""
    low: float
    high: float
    count: int


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share."""
    middle, share = (hits + z * z / 2) / (n + z * z), hits / n
    half = z * math.sqrt(n * share * (1 - share) + z * z / 4) / (n + z * z)
    # Rounding must not put the share outside of its interval.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def bins_of(scores: np.ndarray, labels: np.ndarray) -> list[Bin]:
    """The bins that hold anything; a bin is closed below and open above, the last one closed."""
    index = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    found = []
    for i in range(BINS):
        inside = index == i
        if inside.any():
            n, hits = int(inside.sum()), int(labels[inside].sum())
            found.append(Bin(float(scores[inside].mean()), hits / n, *wilson(hits, n), n))
    return found


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    return sum(b.count * abs(b.share - b.mean) for b in bins) / sum(b.count for b in bins)


def precision_recall(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Recall and precision at every distinct score, highest first, and the average precision."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    hits = np.cumsum(labels[order])[ends]
    recall, precision = hits / hits[-1], hits / (ends + 1)
    return recall, precision, float(np.sum(np.diff(recall, prepend=0.0) * precision))


def thinned(x: np.ndarray, y: np.ndarray, step: float = 0.002) -> tuple[list[float], list[float]]:
    """A curve without the points that nobody could see."""
    kept = [0]
    for i in range(1, len(x)):
        if abs(x[i] - x[kept[-1]]) >= step or abs(y[i] - y[kept[-1]]) >= step or i == len(x) - 1:
            kept.append(i)
    return [float(x[i]) for i in kept], [float(y[i]) for i in kept]


def read_rows(path: Path, expected: int) -> dict[str, np.ndarray]:
    """The columns score and, where all rows have it, calibrated."""
    columns: dict[str, list[float]] = {"score": [], "calibrated": []}
    count = 0
    with path.open(encoding="utf-8") as stream:
        for count, line in enumerate(stream, start=1):
            try:
                row = json.loads(line)
                columns["score"].append(float(row["score"]))
                if "calibrated" in row:
                    columns["calibrated"].append(float(row["calibrated"]))
            except (ValueError, KeyError, TypeError):
                raise ValueError(f"{path}: line {count} is not a row of adesieve classify") from None
    if count != expected:
        raise ValueError(f"{path}: {count} rows, but the labelled file has {expected}; classify that very file")
    found = {name: np.array(values) for name, values in columns.items() if len(values) == count}
    for name, values in found.items():
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"{path}: a {name} is not between 0 and 1")
    return found


def style() -> Any:
    """matplotlib, set up so that its output does not depend on the day, on chance or on the fonts at hand."""
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    plt.rcdefaults()
    plt.rcParams.update({
        "svg.hashsalt": "adesieve", "svg.fonttype": "none", "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "sans-serif"], "font.size": 10, "text.color": INK, "axes.labelcolor": INK,
        "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.grid": True, "grid.color": GRID,
        "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
        "figure.facecolor": "white", "savefig.facecolor": "white", "path.simplify": False})
    return plt


def save(figure: Any, path: Path) -> None:
    temporary = path.with_name(path.name + ".part")
    figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
    os.replace(temporary, path)


def draw_reliability(columns: dict[str, np.ndarray], labels: np.ndarray, path: Path) -> None:
    plt = style()
    figure, (axes, below) = plt.subplots(2, 1, figsize=(5, 5.6), height_ratios=(4, 1), sharex=True,
                                         layout="constrained")
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    names = {"score": ("score", FIRST, "o"), "calibrated": ("calibrated", SECOND, "s")}
    for name, values in columns.items():
        label, colour, marker = names[name]
        bins = bins_of(values, labels)
        bounds = [[b.share - b.low for b in bins], [b.high - b.share for b in bins]]
        axes.errorbar([b.mean for b in bins], [b.share for b in bins], yerr=bounds, color=colour, marker=marker,
                      markersize=4, linewidth=1.2, elinewidth=0.8,
                      label=f"{label} (ECE {expected_calibration_error(bins):.3f})")
        below.stairs(np.histogram(values, bins=BINS, range=(0, 1))[0], np.linspace(0, 1, BINS + 1), color=colour,
                     linewidth=1.2)
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of ADE sentences")
    axes.legend(loc="upper left")
    below.set(yscale="log", ylabel="sentences", xlabel="what the model says")
    save(figure, path)
    plt.close(figure)


def draw_precision_recall(curves: Sequence[tuple[str, np.ndarray, np.ndarray]], path: Path) -> None:
    """``curves``: name, scores, labels."""
    plt = style()
    figure, axes = plt.subplots(figsize=(5, 4.4), layout="constrained")
    for (name, scores, labels), colour, marker in zip(curves, (FIRST, SECOND), ("o", "s")):
        recall, precision, average = precision_recall(scores, labels)
        axes.plot(*thinned(recall, precision), color=colour, linewidth=1.4,
                  label=f"{name} (average precision {average:.3f})")
        called = scores > 0.5
        if called.any():
            axes.plot([labels[called].sum() / labels.sum()], [labels[called].mean()], color=colour, marker=marker,
                      markersize=6, linestyle="none")
    axes.plot([], [], color=INK, marker="o", markersize=6, linestyle="none", label="threshold 0.5")
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="recall (share of ADE sentences that are found)",
             ylabel="precision (share of what is found)")
    axes.legend(loc="lower left")
    save(figure, path)
    plt.close(figure)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, help="rows of adesieve classify, JSONL")
    parser.add_argument("labelled", type=Path, help="the CSV file that was classified, columns text and label")
    parser.add_argument("--seen", type=Path, help="the CSV file that the model was trained on")
    parser.add_argument("--out", type=Path, required=True, help="folder for the two files")
    args = parser.parse_args(argv)
    try:
        split: Split = read_split(args.labelled.parent, args.labelled.stem)
        labels = np.array(split.labels, dtype=np.int64)
        if not 0 < labels.sum() < len(labels):
            raise ValueError(f"{args.labelled}: sentences of one label only; there is nothing to draw")
        columns = read_rows(args.rows, len(split))
        curves = [("all rows", columns["score"], labels)]
        if args.seen:
            rows = distinct_unseen(split, read_split(args.seen.parent, args.seen.stem))
            if not labels[rows].any():
                raise ValueError(f"{args.labelled}: every ADE sentence is in {args.seen}")
            columns = {name: values[rows] for name, values in columns.items()}
            labels = labels[rows]
            curves.append(("distinct, not in training", columns["score"], labels))
        args.out.mkdir(parents=True, exist_ok=True)
        draw_reliability(columns, labels, args.out / "reliability.svg")
        draw_precision_recall(curves, args.out / "precision-recall.svg")
    except (OSError, ValueError) as problem:
        raise SystemExit(f"plots.py: {problem}") from None
    return 0


if __name__ == "__main__":
    sys.exit(main())
