"""decisions.py and compare.py: decisions from a list of errors, and the tables."""

import csv
import json
import math
import sys

import numpy as np
import pytest

import compare
from corpus import Split, distinct_unseen, read_split, score
from decisions import mcnemar, rebuild


def test_biobert_is_rebuilt(data):
    test = read_split(data, "test")
    decisions = rebuild(test, data / "biobert_errors.csv")
    s = score(test.labels, decisions)
    assert (s.errors, s.fp, s.fn, s.tp, s.tn) == (145, 96, 49, 974, 2409)
    assert (round(s.f1, 3), round(s.weighted_f1, 3)) == (0.931, 0.959)
    # The same text always got the same decision, so the join did not mix up repeated sentences.
    by_text = {}
    for text, decision in zip(test.texts, decisions):
        assert by_text.setdefault(text, decision) == decision


def errors_file(tmp_path, rows):
    path = tmp_path / "errors.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["text", "true", "predicted"], *rows])
    return path


def test_rebuild_joins_by_order_and_names_what_does_not_fit(tmp_path):
    test = Split("test", ["a", "b", "a", "c"], [0, 1, 0, 0], "")
    path = errors_file(tmp_path, [("b", "ADE", "not ADE"), ("a", "not ADE", "ADE")])
    assert rebuild(test, path).tolist() == [0, 0, 1, 0]
    for rows, says in (([("a", "0", "1"), ("x", "0", "1")], "row 2 is not found"),
                       ([("b", "0", "1")], "row 1 is not found"),
                       ([("c", "0", "1"), ("a", "0", "1")], "not in its order"),
                       ([("a", "0", "0")], "two different labels"), ([("a", "no", "1")], "are known")):
        with pytest.raises(ValueError, match=says):
            rebuild(test, errors_file(tmp_path, rows))
    path.write_text("sentence\nx\n")
    with pytest.raises(ValueError, match="columns"):
        rebuild(test, path)


def test_mcnemar_is_the_binomial_test():
    y = [1] * 12
    first, second = np.array([1] * 8 + [0] * 4), np.array([0] * 7 + [1] * 5)
    # 7 and 4: two-sided binomial with 11 throws.
    p = 2 * sum(math.comb(11, k) for k in range(5)) / 2 ** 11
    assert mcnemar(y, first, second) == (7, 4, pytest.approx(p))
    assert mcnemar(y, first, first) == (0, 0, 1.0)


FAKE = """#!{python}
import csv, json, sys
sys.path.insert(0, {training!r})
from pathlib import Path
from corpus import bootstrap_intervals, distinct_unseen, read_split, score
a = sys.argv
if "{broken}" == "fails":
    sys.exit("adesieve: there is no such model")
test, train = Path(a[-1]), Path(a[a.index("--seen") + 1])
test, train = read_split(test.parent, test.stem), read_split(train.parent, train.stem)
wrong = {{1, 3}}
predicted = [1 - y if i in wrong else y for i, y in enumerate(test.labels)]
def report(rows):
    y, p = [test.labels[i] for i in rows], [predicted[i] for i in rows]
    s, b = score(y, p), bootstrap_intervals(y, p)
    return {{"accuracy": s.accuracy, "accuracy_interval": b["accuracy"], "weighted_f1": s.weighted_f1,
            "weighted_f1_interval": b["weighted_f1"], "confusion": [[s.tn, s.fp], [s.fn, s.tp]],
            "labels": {{"ADE": {{k: v for n in ("precision", "recall", "f1")
                               for k, v in ((n, getattr(s, n)), (n + "_interval", b[n]))}}}}}}
with open(a[a.index("--errors") + 1], "w", newline="") as f:
    csv.writer(f).writerows([("text", "true", "predicted")] + [
        (test.texts[i], ("not ADE", "ADE")[test.labels[i]], ("not ADE", "ADE")[predicted[i]])
        for i in sorted(wrong)[:1 if "{broken}" == "short" else 2]])
print(json.dumps({{**report(range(len(test))), "unseen": report(distinct_unseen(test, train)), "version": "0",
                  "model": {{"name": "m", "sha256": "0", "device": "cpu", "precision": "f32"}}}}))
"""


@pytest.fixture
def card(tmp_path, data):
    """The published test part with a small training part."""
    folder = tmp_path / "card"
    folder.mkdir()
    lines = (data / "test.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "test.csv").write_text("".join(lines), encoding="utf-8")
    for name in ("train", "val"):
        (folder / f"{name}.csv").write_text("".join(lines[:200]), encoding="utf-8")
    return folder


def run(card, tmp_path, *more):
    out, results = tmp_path / "accuracy.md", tmp_path / "accuracy.json"
    assert compare.main(["--data", str(card), "--out", str(out), "--results", str(results), *map(str, more)]) == 0
    return out.read_text(), json.loads(results.read_text())


def test_without_the_command_only_lists_and_logs_count(card, tmp_path):
    text, results = run(card, tmp_path, "--runs")
    assert "| BioBERT (from its list of errors) | 0.959 | 0.959 | 0.910 | 0.952 | 0.931 | 145 = 96 + 49 |" in text
    assert "| always negative | 0.710 |" in text
    assert text.count("| not measured |") == 3 + 3 + 5
    rows = {system["name"]: system for system in results["systems"]["card"]}
    test, train = read_split(card, "test"), read_split(card, "train")
    assert rows["always negative"]["measured"]["card_unseen"]["n"] == len(distinct_unseen(test, train))
    assert rows["always negative"]["measured"]["card"]["interval_95"]["precision"] is None


def fake(tmp_path, broken=""):
    path = tmp_path / "adesieve"
    path.write_text(FAKE.format(python=sys.executable, training=str(compare.ROOT / "training"), broken=broken))
    path.chmod(0o755)
    model = tmp_path / "model"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text("{}")
    return ["--adesieve", path, "--model", model, "--baseline", tmp_path / "none", "--runs"]


def test_models_are_run_by_the_command(card, tmp_path, capsys):
    text, results = run(card, tmp_path, *fake(tmp_path))
    assert "| **model**, f32 | 0.999 |" in text and "| TF-IDF + logistic regression | not measured |" in text
    assert "is no model folder; not measured" in capsys.readouterr().err
    ours = [s for s in results["systems"]["card"] if s["name"] == "model, f32"][0]
    assert ours["measured"]["card"]["errors"] == 2 and ours["run"]["precision"] == "f32"
    assert "| BioBERT (from its list of errors) | **model**, f32 |" in text


@pytest.mark.parametrize("broken, says", [("fails", "there is no such model"), ("short", "does not give its figures")])
def test_a_command_that_fails_is_no_empty_row(card, tmp_path, broken, says):
    with pytest.raises(SystemExit, match=says):
        run(card, tmp_path, *fake(tmp_path, broken))


def log(seed, f1, digest, **recipe):
    scores = {**score([1, 0], [1, 0]).as_dict(), "f1": f1}
    return {"recipe": {"seed": seed, "epochs": 3, **recipe}, "data_sha256": {"test.csv": digest}, "base_sha256": {},
            "test_f32": scores, "test_unseen_f32": scores}


def test_seeds_are_averaged(card, tmp_path):
    digest = read_split(card, "test").sha256
    files = []
    for seed, f1 in ((42, 0.90), (43, 0.92), (44, 0.94)):
        files.append(tmp_path / f"ours-seed{seed}.json")
        files[-1].write_text(json.dumps(log(seed, f1, digest)))
    text, _ = run(card, tmp_path, "--runs", *files)
    assert text.count("| ours, mean of 3 runs (seeds 42, 43, 44) |") == 2 and "| 0.920 ± 0.020 |" in text
    files[0].write_text(json.dumps(log(42, 0.9, digest, epochs=4)))
    with pytest.raises(SystemExit, match="differ in more than the seed"):
        run(card, tmp_path, "--runs", *files)
    files[0].write_text(json.dumps(log(41, 0.9, digest)))
    with pytest.raises(SystemExit, match="seed is 41"):
        run(card, tmp_path, "--runs", *files)
