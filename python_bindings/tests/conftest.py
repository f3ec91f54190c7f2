# SPDX-License-Identifier: Apache-2.0
"""Shared fixtures. The library is named by ADESIEVE_LIBRARY; data by ADE_TEST_DATA, else tests/data of the tree."""

from __future__ import annotations

import csv
import os
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python_bindings"))
if os.environ.get("ADESIEVE_LIBRARY"):  # tests change the folder
    os.environ["ADESIEVE_LIBRARY"] = os.path.abspath(os.environ["ADESIEVE_LIBRARY"])

import adesieve  # noqa: E402

DATA = Path(os.environ.get("ADE_TEST_DATA", ROOT / "tests" / "data"))
TINY = DATA / "tiny_bert_cls"
LABELS = ["not ADE", "ADE"]


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_works() -> None:
    """A shell starts background jobs with SIGINT ignored, and Python keeps that: the tests of Ctrl-C would not end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    return DATA


@pytest.fixture(scope="session")
def tiny() -> Path:
    return TINY


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    with open(DATA / "test.csv", newline="", encoding="utf-8") as file:
        return [row["text"] for row in csv.DictReader(file)]


@pytest.fixture
def clf():
    with adesieve.Classifier(TINY, "cpu", "f32", threads=2, labels=LABELS) as classifier:
        yield classifier
