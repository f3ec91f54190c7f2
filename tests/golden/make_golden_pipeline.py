#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes pipeline.npy and pipeline.json: what transformers.pipeline says of every sentence of tests/data/test.csv by
models/adesieve-minilm, in F32 on the CPU, one text at a time and without padding.

    HF_HUB_OFFLINE=1 python3 -B tests/golden/make_golden_pipeline.py [--threads N]

pipeline.npy has the scores of "not ADE" and "ADE", float32, (3528, 2), rows as in test.csv; pipeline.json what made it,
and the digests of the model and of the texts. python_bindings/tests/test_drop_in.py compares adesieve with it. Needs
transformers and torch.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import platform
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import pipeline

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS.parent / "training"))

from corpus import ID2LABEL, read_split  # noqa: E402

GOLDEN = TESTS / "golden"
MODEL = TESTS.parent / "models" / "adesieve-minilm"
CALL = {"top_k": None, "truncation": True}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    test = read_split(TESTS / "data", "test")
    classify = pipeline("text-classification", model=str(MODEL), device="cpu", dtype=torch.float32)
    answers = classify(test.texts, **CALL)
    scores = np.zeros((len(test), len(ID2LABEL)), dtype=np.float32)
    columns = {name: column for column, name in ID2LABEL.items()}
    for row, answer in zip(scores, answers):
        for item in answer:
            row[columns[item["label"]]] = item["score"]
    if not np.allclose(scores.sum(axis=1), 1.0, atol=1e-6):
        raise ValueError("a text's scores do not add up to 1; does every answer hold every label once?")
    np.save(GOLDEN / "pipeline.npy", scores, allow_pickle=False)
    (GOLDEN / "pipeline.json").write_text(json.dumps({
        "call": CALL, "device": "cpu", "dtype": "float32", "labels": list(columns), "rows": len(test),
        "model_sha256": hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest(),
        "test_csv_sha256": test.sha256,
        "versions": {"python": platform.python_version(), **{
            name: importlib.metadata.version(name)
            for name in ("torch", "transformers", "tokenizers", "safetensors", "numpy")}},
    }, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{len(test)} rows, {(scores[:, 1] > 0.5).sum()} ADE, nearest to 0.5: {np.abs(scores - 0.5).min():.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
