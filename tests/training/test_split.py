"""split.py: the parts make up the corpus, and what must not be in two parts is not."""

import csv
import json
import os
from collections import Counter
from pathlib import Path

import pytest

import split
from conftest import write_corpus


def parts_in(folder):
    return {name: list(csv.DictReader((folder / f"{name}.csv").open(encoding="utf-8", newline="")))
            for name in split.PARTS}


@pytest.mark.parametrize("seed", range(5))
def test_grouped_keeps_abstracts_and_sentences_apart(tmp_path, seed):
    corpus = write_corpus(tmp_path / "corpus", seed)
    rows = split.merged(split.read_corpus(corpus))
    assert split.main(["grouped", str(corpus), str(tmp_path / "out"), "--seed", str(seed)]) == 0
    parts = parts_in(tmp_path / "out")
    written = [(row["text"], int(row["label"]), row["pmid"]) for part in parts.values() for row in part]
    assert sorted(written) == sorted((row.text, row.label, " ".join(row.pmids)) for row in rows)
    texts = [{row["text"] for row in part} for part in parts.values()]
    pmids = [{pmid for row in part for pmid in row["pmid"].split()} for part in parts.values()]
    for sets in (texts, pmids):
        assert sum(map(len, sets)) == len(set.union(*sets))
    assert any(len(row.pmids) > 1 for row in rows)  # else nothing of the above was hard
    for label in ("0", "1"):
        total = sum(row["label"] == label for part in parts.values() for row in part)
        for (name, part), share in zip(parts.items(), split.SHARES):
            assert sum(row["label"] == label for row in part) / total == pytest.approx(share, abs=0.03), (name, label)


def test_grouped_follows_its_seed(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", 1)
    for out, seed in (("a", 42), ("b", 42), ("c", 7)):
        split.main(["grouped", str(corpus), str(tmp_path / out), "--seed", str(seed)])
    a, b, c = ((tmp_path / out / "train.csv").read_bytes() for out in "abc")
    assert a == b and a != c
    report = json.loads((tmp_path / "a" / "split.json").read_text())
    assert report["parts"]["train"]["sha256"] == split.sha256_of(tmp_path / "a" / "train.csv")
    assert report["parts"]["test"]["abstracts_also_in_train"] == report["parts"]["val"]["rows_also_in_train"] == 0


def test_a_large_group_is_not_torn(tmp_path):
    rows = [split.Row(f"s{i}", i % 2, (str(i),)) for i in range(40)]
    rows.append(split.Row("shared", 0, tuple(str(i) for i in range(0, 40, 2))))
    parts = split.grouped(rows, 42)
    together = {row.text for part in parts for row in part if part and "shared" in {r.text for r in part}}
    assert {f"s{i}" for i in range(0, 40, 2)} | {"shared"} <= together


def test_merged_keeps_first_places_and_all_abstracts():
    rows = [split.Row("a", 1, ("1",)), split.Row("b", 0, ("2",)), split.Row("a", 1, ("3",)), split.Row("a", 1, ("1",))]
    assert split.merged(rows) == [split.Row("a", 1, ("1", "3")), split.Row("b", 0, ("2",))]


@pytest.mark.parametrize("relations, negatives, says", [
    ("1|only three|fields\n", "2 NEG b\n", "line 1: 3 fields"),
    ("1|a|e|1|2|d|3|4\n", "2 b\n", "not of the form"),
    ("1|a|e|1|2|d|3|4\n", "2 NEG a\n", "both labels"),
    ("1|a|e|1|2|d|3|4\n", None, "ADE-NEG.txt"),
])
def test_a_bad_corpus_is_named(tmp_path, relations, negatives, says):
    (tmp_path / "DRUG-AE.rel").write_text(relations)
    if negatives is not None:
        (tmp_path / "ADE-NEG.txt").write_text(negatives)
    with pytest.raises(SystemExit, match=says):
        split.main(["grouped", str(tmp_path), str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_distinct_is_drawn_by_label(tmp_path):
    pytest.importorskip("sklearn")
    corpus = write_corpus(tmp_path / "corpus", 3)
    rows = split.merged(split.read_corpus(corpus))
    split.main(["distinct", str(corpus), str(tmp_path / "out")])
    parts = parts_in(tmp_path / "out")
    assert Counter((row["text"], int(row["label"])) for part in parts.values() for row in part) == Counter(
        (row.text, row.label) for row in rows)
    shares = [sum(row["label"] == "1" for row in part) / len(part) for part in parts.values()]
    assert max(shares) - min(shares) < 0.01


def test_card_refuses_another_corpus_and_another_seed(tmp_path):
    pytest.importorskip("sklearn")
    corpus = write_corpus(tmp_path / "corpus", 3)
    with pytest.raises(SystemExit, match="not those of the published split"):
        split.main(["card", str(corpus), str(tmp_path / "out")])
    with pytest.raises(SystemExit):
        split.main(["card", str(corpus), str(tmp_path / "out"), "--seed", "1"])
    assert not (tmp_path / "out").exists()


def test_the_published_test_part_is_the_one_in_the_tests_data(data):
    assert split.sha256_of(data / "test.csv") == split.CARD_SHA256["test.csv"]


def test_card_on_the_corpus_itself(tmp_path):
    """Row for row: main() compares the digests."""
    pytest.importorskip("sklearn")
    if "ADE_CORPUS" not in os.environ:
        pytest.skip("ADE_CORPUS does not name the corpus")
    corpus = Path(os.environ["ADE_CORPUS"])
    assert split.main(["card", str(corpus), str(tmp_path / "card")]) == 0
    assert split.sha256_of(tmp_path / "card" / "train.csv") == split.CARD_SHA256["train.csv"]
    split.main(["grouped", str(corpus), str(tmp_path / "grouped")])
    report = json.loads((tmp_path / "grouped" / "split.json").read_text())
    assert report["parts"]["test"]["sha256"] == "8835263483d28ed4dce852c5f247e69c15340347fbed813aea6a5d1f50e396c9"
