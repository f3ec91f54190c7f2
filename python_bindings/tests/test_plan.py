# SPDX-License-Identifier: Apache-2.0
"""python -m adesieve.plan: what it measures, and what it reckons from that."""

from __future__ import annotations

import json
import math

import pytest

from adesieve import plan
from adesieve.plan import MEDLINE, Measured


def test_the_arithmetic():
    rate = Measured("", 13.4e9 / 3600 / 100, read_mb_per_second=100.0, hit_share=0.01, bytes_per_row=100.0)
    one = plan.plan(MEDLINE, rate, 1, None)
    assert one["hours"] == pytest.approx(100) and one["bound_by"] == "classifying" and one["cost"] is None
    assert one["gb_rows_all"] == pytest.approx(33.0) and one["gb_rows_hits"] == pytest.approx(0.33)
    # 1,334 files on 1,000 workers are two rounds, the second of which keeps 666 of them waiting.
    many = plan.plan(MEDLINE, rate, 1000, 2.0)
    assert many["hours"] == pytest.approx(2 * 100 / 1334) and many["cost"] == pytest.approx(many["worker_hours"] * 2)
    assert many["cost_per_million_abstracts"] == pytest.approx(many["cost"] / 29.3)
    fast = Measured("", 1e12, read_mb_per_second=100.0)
    assert plan.plan(MEDLINE, fast, 1, None)["bound_by"] == "reading"
    half = plan.plan(MEDLINE.scaled(667, "half"), rate, 1, None)
    assert half["hours"] == pytest.approx(50) and half["seconds_per_file"] == pytest.approx(one["seconds_per_file"])


def test_no_workers():
    for workers, rate in ((0, 1e6), (-1, 1e6), (1, 0.0), (1, math.nan)):
        with pytest.raises(ValueError, match="one worker or more, and a rate above 0"):
            plan.plan(MEDLINE, Measured("", rate), workers, None)


def test_it_measures(data, tiny, capsys):
    sample = str(data / "medline" / "pubmed26n1334.xml.gz")
    settings = ["--model", str(tiny), "--threads", "1", "--seconds", "0.3", "--workers", "2", "--format", "json"]
    assert plan.main([sample, *settings]) == 0
    said = json.loads(capsys.readouterr().out)
    rate, made = said["measured"], said["plan"]
    assert rate["source"] == "measured on pubmed26n1334.xml.gz" and rate["device"] == "cpu" and rate["threads"] == 1
    assert rate["sentences_per_second"] > 10 and rate["read_mb_per_second"] > 1 and rate["memory_mb"] > 10
    assert rate["tokens_per_second"] == pytest.approx(rate["sentences_per_second"] * rate["tokens_per_sentence"])
    assert made["hours"] == pytest.approx(667 * said["assumed"]["tokens"] / rate["tokens_per_second"] / 1334 / 3600)


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_what_was_measured_is_marked(form, capsys):
    assert plan.main(["--rate", "20000", "--workers", "10", "--price-per-hour", "0.5", "--format", form]) == 0
    said = capsys.readouterr().out
    hours = math.ceil(1334 / 10) * 13.4e9 / 20000 / 1334 / 3600
    assert f"{hours:,.1f}, bound by classifying" in said and "estimates" in said
    for how in ("assumed", "given", "reckoned"):
        assert how in said
    assert "measured" not in said


def test_the_files_that_there_are(data, capsys):
    folder = data / "medline"
    assert plan.main(["--rate", "600", "--inputs", str(folder), "--format", "json"]) == 0
    assumed = json.loads(capsys.readouterr().out)["assumed"]
    files = [path for path in folder.iterdir() if ".xml" in path.name]
    assert assumed["files"] == len(files)
    assert assumed["bytes_stored"] == sum(path.stat().st_size for path in files)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "give a sample to measure"),
        (["--rate", "0"], "above 0"),
        (["--rate", "5", "--workers", "0"], "above 0"),
        (["--rate", "nan"], "above 0"),
        (["sample.xml", "--seconds", "0"], "above 0"),
        (["sample.xml", "--seconds", "inf"], "above 0"),
        (["--rate", "5", "--price-per-hour", "-1"], "cannot be negative"),
        (["--rate", "5", "--price-per-hour", "nan"], "cannot be negative"),
        (["--rate", "5", "--files", "3", "--inputs", "x"], "give one"),
    ],
)
def test_wrong_usage(arguments, why, capsys):
    with pytest.raises(SystemExit) as left:
        plan.main(arguments)
    assert left.value.code == 2 and why in capsys.readouterr().err


def test_what_cannot_be_read(data, tiny, tmp_path, capsys):
    assert plan.main([str(tmp_path / "none.xml"), "--model", str(tiny)]) == 1
    assert "none.xml" in capsys.readouterr().err
    (tmp_path / "empty.xml").write_bytes(b"")
    assert plan.main(["--rate", "5", "--inputs", str(tmp_path / "empty.xml")]) == 1
    assert "nothing to read" in capsys.readouterr().err
    assert plan.main([str(data / "medline" / "pubmed_no_rows.xml"), "--model", str(tiny)]) == 1
    assert "a sample with abstracts is needed" in capsys.readouterr().err
