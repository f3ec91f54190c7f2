# SPDX-License-Identifier: Apache-2.0
"""What the contenders of the benchmarks on processors and on a GPU share: adesieve by its Python binding, and what
every peer needs beside its encoder."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np


class Adesieve:
    """By its Python binding, with its defaults."""

    precisions: tuple[str, ...] = ("f32", "bf16", "int8")
    name = "adesieve"

    def __init__(self, folder: Path, work: Path, precision: str, threads: int) -> None:
        import adesieve

        self.classifier = adesieve.Classifier(folder, "cpu", precision, threads)
        self.version = adesieve.library_version()

    def setups(self) -> list[dict]:
        return [{}]

    def use(self, setup: dict) -> None:
        pass

    def logits(self, texts: list[str]) -> np.ndarray:
        return self.classifier.logits(texts)

    def probabilities(self, texts: list[str]) -> np.ndarray:
        return self.classifier.predict_proba(texts)


class Peer:
    """What the peers share: the reference tokenizer, set-ups to choose from, softmax."""

    version = ""
    choices: dict[str, tuple] = {}

    def __init__(self, folder: Path, threads: int) -> None:
        from tokenizers import Tokenizer

        self.threads = threads
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(512)

    def setups(self) -> list[dict]:
        return [dict(zip(self.choices, values)) for values in itertools.product(*self.choices.values())]

    def logits(self, texts: list[str]) -> np.ndarray:
        raise NotImplementedError

    def probabilities(self, texts: list[str]) -> np.ndarray:
        logits = self.logits(texts)
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
