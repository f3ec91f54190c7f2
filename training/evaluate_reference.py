#!/usr/bin/env python3
"""Measures a model folder with transformers and prints JSON: the numbers of the model card.

The weights are read as the folder holds them (F16) and widened to F32. Sentences are cut at 512 tokens, as adesieve
does, not at the 128 of training. The headline is the second measurement, on distinct test sentences that training
has not seen; the first, on all rows of the split, counts 505 rows that are verbatim in the training data.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch

from corpus import Split, bootstrap_intervals, distinct_unseen, precision_at, read_split, score, sha256_of
from reference import load_model, logits_by_length, token_ids

PREVALENCES = (0.01, 0.02, 0.05, 0.10, 0.172, 0.29)


def rounded(value: Any, digits: int = 6) -> Any:
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item, digits) for item in value]
    return value


def measure(split: Split, predicted: list[int], *, replicates: int, seed: int) -> dict[str, Any]:
    """Scores with 95 % bootstrap intervals."""
    intervals = bootstrap_intervals(split.labels, predicted, replicates=replicates, seed=seed)
    return {**score(split.labels, predicted).as_dict(), "interval_95": intervals}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="the model folder")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv, val.csv and test.csv")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--replicates", type=int, default=10_000, help="bootstrap samples")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)

    train, val, test = (read_split(args.data, name) for name in ("train", "val", "test"))
    model = load_model(args.model, torch.float32)

    def predict(split: Split) -> list[int]:
        return logits_by_length(model, token_ids(args.model, split.texts, args.max_length)).argmax(axis=1).tolist()

    predicted = predict(test)
    rows = distinct_unseen(test, train)
    unseen = measure(test.select(rows, "unseen"), [predicted[row] for row in rows],
                     replicates=args.replicates, seed=args.seed)
    report = {
        "model_sha256": sha256_of(args.model / "model.safetensors"),
        "data_sha256": {f"{split.name}.csv": split.sha256 for split in (train, val, test)},
        "versions": {"python": platform.python_version(),
                     **{name: importlib.metadata.version(name) for name in ("torch", "transformers", "tokenizers")}},
        "max_length": args.max_length,
        "bootstrap": {"replicates": args.replicates, "seed": args.seed},
        "test": measure(test, predicted, replicates=args.replicates, seed=args.seed),
        "test_distinct_not_in_train": unseen,
        "validation": score(val.labels, predict(val)).as_dict(),
        "precision_at_prevalence": {
            f"{share:g}": precision_at(share, unseen["recall"], unseen["fpr"]) for share in PREVALENCES},
    }
    json.dump(rounded(report), sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
