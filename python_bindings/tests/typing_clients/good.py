# SPDX-License-Identifier: Apache-2.0
"""What users write; `mypy --strict` has nothing to say. Not run: tests/test_typing.py checks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

import adesieve
from adesieve.convert import Conversion, convert


def classify(texts: list[str]) -> dict[str, float]:
    with adesieve.Classifier("folder", device="cuda:1", precision="f16", labels=("no", "yes")) as clf:
        best: list[str] = [answer["label"] for answer in clf(texts)]
        every: list[float] = [pair["score"] for answer in clf(texts, top_k=None) for pair in answer]
        one: str = clf("Rash after amoxicillin.")[0]["label"]
        probabilities: npt.NDArray[np.float32] = clf.predict_proba(texts)
        mean: float = float(probabilities[:, 1].mean())
        names: tuple[str, ...] = clf.labels
        return dict(zip([*best, one, *names], [*every, mean]))


def columns(clf: adesieve.Classifier, texts: Iterator[str]) -> list[int]:
    results = clf.classify(texts, progress=True)
    tokens: npt.NDArray[np.int32] = results.tokens
    first: adesieve.Result = results[0]
    label: str | None = first.label
    return [int(tokens.sum()), len(results), len(label or "")]


def token_ids(clf: adesieve.Classifier) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], float]:
    profile: adesieve.Profile = clf.profile()
    return (*clf.token_ids(["Rash.", "No rash."]), profile.encoding + profile.other)


def tokenize(clf: adesieve.Classifier) -> tuple[list[int], int]:
    return clf.tokenize("Rash.").ids, sum(len(tokens.offsets) for tokens in clf.tokenize(["Rash.", "No rash."]))


def screen(clf: adesieve.Classifier, folder: Path) -> Iterator[tuple[int, float]]:
    with clf.screen([folder / "a.xml", "b.xml.gz"], threshold="recall=0.95", prevalence=0.02) as run:
        for hit in run:
            if hit.score is not None and hit.record is not None and hit.record.chemicals:
                yield hit.pmid, hit.score
    point: adesieve.OperatingPoint | None = run.operating_point
    assert point is None or point.recall_interval[0] <= point.recall
    hits: int = run.stats.hits
    assert hits >= 0


def failures(folder: Path) -> adesieve.Status:
    try:
        done: Conversion = convert(folder, dtype="f16")
        return adesieve.Status.OK if done.tensors else adesieve.Status.BAD_MODEL
    except adesieve.InputOutput as error:
        reason: OSError = error
        return adesieve.Status.IO if reason else error.status
    except adesieve.Error as error:
        return error.status
