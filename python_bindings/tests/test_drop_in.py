# SPDX-License-Identifier: Apache-2.0
"""adesieve in the place of transformers.pipeline("text-classification"): the same scores, in the same shapes.

tests/golden/make_golden_pipeline.py and tests/golden/drop_in.py recorded what transformers says; the latter also
compares with transformers itself where it is installed (tests/golden/run_reference.sh).
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os

import numpy as np
import pytest

import adesieve


@pytest.fixture(scope="module")
def golden(root):
    return root / "tests" / "golden"


@pytest.fixture(scope="module")
def default_model(root):
    return root / "models" / "adesieve-minilm"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_scores_of_the_test_rows(data, golden, default_model, record_property):
    """Every eighth of the 3,528 sentences; all of them with ADE_TEST_ALL=1."""
    made = json.loads((golden / "pipeline.json").read_text(encoding="utf-8"))
    assert made["model_sha256"] == digest(default_model / "model.safetensors"), "run make_golden_pipeline.py anew"
    assert made["test_csv_sha256"] == digest(data / "test.csv")
    expected = np.load(golden / "pipeline.npy", allow_pickle=False)
    with open(data / "test.csv", newline="", encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    assert expected.shape == (3528, 2) and len(texts) == 3528
    rows = slice(None, None, 1 if os.environ.get("ADE_TEST_ALL") else 8)
    texts, expected = texts[rows], expected[rows]
    with adesieve.Classifier(default_model, device="cpu", precision="f32") as clf:
        assert list(clf.labels) == made["labels"]
        answers = clf(texts, top_k=None, truncation=True)
    assert [len(answer) for answer in answers] == [2] * len(texts)
    found = [{item["label"]: item["score"] for item in answer} for answer in answers]
    scores = np.array([[scores[name] for name in made["labels"]] for scores in found])
    assert [answer[0]["label"] for answer in answers] == [made["labels"][i] for i in expected.argmax(axis=1)]
    largest = float(np.abs(scores - expected).max())
    record_property("largest difference", largest)
    print(f"{len(texts)} rows, largest difference {largest:.1e}")
    assert largest <= 1e-4


def test_one_script_for_both(golden):
    """The script's output for five models, with every argument that both know, is transformers' recorded one."""
    spec = importlib.util.spec_from_file_location("drop_in", golden / "drop_in.py")
    drop_in = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drop_in)
    expected = (golden / "drop_in.txt").read_text(encoding="utf-8").splitlines()[1:]  # after the versions
    assert drop_in.differences(expected, drop_in.lines_of("adesieve", drop_in.FOLDERS)) == []
