# SPDX-License-Identifier: Apache-2.0
"""The models and the texts of the benchmark on a processor."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benchmarks" / "gpu"))

from make_bert import make  # the path has to be set first
from mixes import Mixes

DATA = ROOT / "tests" / "data"
TEXTS = {"test": "test rows", "medline": "MEDLINE sentences", "512": "texts of 512 tokens"}
BUDGETS = {"default": 8_192, "bert-base": 2_048}
"""Tokens that a round takes of each kind of text, unless all are wanted: a second or two for most contenders."""
ALL_LONG = 50  # texts of 512 tokens, where all texts are wanted
MEDLINE_SENTENCES, CALIBRATION, LATENCY = 4_000, 300, 500


def model_folder(name: str, work: Path) -> Path:
    return ROOT / "models" / "adesieve-minilm" if name == "default" else make(work / "models" / name)


def rows() -> tuple[list[str], list[int]]:
    with open(DATA / "test.csv", newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    return [row["text"] for row in found], [int(row["label"]) for row in found]


def spread(items: list, count: int) -> list:
    """`count` of them from the first to the last, evenly."""
    return [items[i * len(items) // count] for i in range(count)] if count < len(items) else list(items)


def medline() -> tuple[list[str], list[str]]:
    """Sentences of tests/data/medline to measure, and others to calibrate by. Neither has one of the test rows."""
    import adesieve

    with adesieve.Classifier(DATA / "tiny_bert_cls", max_length=3) as classifier:
        with classifier.screen(DATA / "medline", all=True, keep_going=True) as run:
            tested = set(rows()[0])
            found = [text for text in dict.fromkeys(hit.text for hit in run if hit.text) if text not in tested]
    measured = spread(found, MEDLINE_SENTENCES)
    kept = set(measured)
    return measured, spread([text for text in found if text not in kept], CALIBRATION)


class ModelTexts:
    """What is measured with one model. `kinds` has texts by kind, "rows" all test rows, "latency" those one by one."""

    def __init__(self, name: str, folder: Path, full: bool, work: Path) -> None:
        self.work = work / name
        self.work.mkdir(parents=True, exist_ok=True)
        mixes = Mixes(folder)
        all_rows, self.labels = rows()
        sentences, calibration = medline()
        budget = BUDGETS[name]
        kinds = {"test": all_rows, "medline": sentences, "512": mixes.of_length(512, 512 * ALL_LONG)}
        if not full:
            lengths = {"test": sum(mixes.lengths), "medline": self._tokens(folder, sentences), "512": 512 * ALL_LONG}
            kinds = {k: spread(texts, round(len(texts) * budget / lengths[k])) for k, texts in kinds.items()}
        self.kinds: dict[str, list[str]] = kinds
        self.tokens = {kind: self._tokens(folder, texts) for kind, texts in kinds.items()}
        self.tokens["rows"] = sum(mixes.lengths)
        self.path = self.work / "texts.json"
        asked = {**kinds, "rows": all_rows, "latency": spread(all_rows, LATENCY)}
        self.path.write_text(json.dumps(asked), encoding="utf-8")
        self.calibration = self.work / "calibration.json"
        if not self.calibration.exists() or json.loads(self.calibration.read_text(encoding="utf-8")) != calibration:
            self.calibration.write_text(json.dumps(calibration), encoding="utf-8")

    @staticmethod
    def _tokens(folder: Path, texts: list[str]) -> int:
        """Real tokens with the special ones; adesieve's and the peers' tokenizers must agree."""
        import adesieve
        from tokenizers import Tokenizer

        reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
        reference.no_padding()
        reference.enable_truncation(512)
        theirs = [encoding.ids for encoding in reference.encode_batch(texts)]
        with adesieve.Classifier(folder, "none") as classifier:
            ours = [list(tokens.ids) for tokens in classifier.tokenize(texts)]
        for i, (a, b) in enumerate(zip(ours, theirs)):
            if a != b:
                sys.exit(f"text {i} has other ids in adesieve than in the reference tokenizer: {texts[i]!r}")
        return sum(map(len, ours))
