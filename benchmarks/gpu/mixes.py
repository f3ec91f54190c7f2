# SPDX-License-Identifier: Apache-2.0
"""Texts by length: of exactly so many tokens, made of the words of tests/data/test.csv in their order, and the
sentences of test.csv themselves, whose lengths are those of MEDLINE's sentences (32 tokens on average, 78 at the
99th percentile)."""

from __future__ import annotations

import csv
import random
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DISTINCT_TOKENS = 300_000  # of a mix; then its texts are repeated


def sentences() -> list[str]:
    with open(ROOT / "tests" / "data" / "test.csv", newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


class Mixes:
    def __init__(self, model: Path) -> None:
        import adesieve

        self.sentences = sentences()
        with adesieve.Classifier(model, "none") as classifier:
            # BERT's tokenizer splits at white space first, so a text has as many tokens as its words together.
            self.lengths = [len(tokens.ids) for tokens in classifier.tokenize(self.sentences)]
            words = sorted({word for sentence in self.sentences for word in sentence.split()})
            self.tokens = {w: len(t.ids) - 2 for w, t in zip(words, classifier.tokenize(words))}

    def shorten(self, count: int) -> None:
        """Leaves the shortest sentences only, for the emulator."""
        order = sorted(range(len(self.lengths)), key=lambda i: self.lengths[i])[:count]
        self.sentences, self.lengths = [self.sentences[i] for i in order], [self.lengths[i] for i in order]

    def of_length(self, length: int, tokens: int) -> list[str]:
        """Texts of `length` tokens with [CLS] and [SEP], about `tokens` tokens together."""
        wanted = max(tokens // length, 1)
        distinct = min(wanted, max(DISTINCT_TOKENS // length, 1))
        texts: list[str] = []
        order, generator = list(self.sentences), random.Random(length)
        text: list[str] = []
        room = length - 2
        while len(texts) < distinct:
            for sentence in order:
                for word in sentence.split():
                    if 0 < self.tokens[word] <= room:
                        text.append(word)
                        room -= self.tokens[word]
                        if room == 0:
                            texts.append(" ".join(text))
                            text, room = [], length - 2
            generator.shuffle(order)
        return (texts[:distinct] * (wanted // distinct + 1))[:wanted]

    def medline(self, tokens: int) -> tuple[list[str], int]:
        """The sentences again and again, and how many tokens that is."""
        times = max(round(tokens / sum(self.lengths)), 1)
        return self.sentences * times, sum(self.lengths) * times
