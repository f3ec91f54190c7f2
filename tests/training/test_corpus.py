"""corpus.py: reading, counting, intervals."""

import math

import numpy as np
import pytest

from corpus import Split, bootstrap_intervals, count_intervals, distinct_unseen, precision_at, read_split, score


def test_scores_by_hand():
    s = score([1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0, 0])
    assert (s.tp, s.fp, s.fn, s.tn, s.errors) == (2, 1, 1, 4, 2)
    assert (s.precision, s.recall, s.f1) == (pytest.approx(2 / 3), pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert s.weighted_f1 == pytest.approx((3 * 2 / 3 + 5 * 0.8) / 8) and s.fpr == pytest.approx(0.2)
    with pytest.raises(ValueError, match="2 labels but 1"):
        score([0, 1], [0])


def test_scores_are_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    for share in (0.0, 0.2, 1.0):
        y, p = (rng.random(200) < 0.3).astype(int), (rng.random(200) < share).astype(int)
        s = score(y, p)
        assert s.weighted_f1 == pytest.approx(metrics.f1_score(y, p, average="weighted", zero_division=0))
        assert s.f1 == pytest.approx(metrics.f1_score(y, p, zero_division=0))
        assert s.accuracy == pytest.approx(metrics.accuracy_score(y, p))


def test_intervals_are_those_of_resampled_rows():
    rng = np.random.default_rng(3)
    y = (rng.random(400) < 0.3).astype(int)
    p = np.where(rng.random(400) < 0.1, 1 - y, y)
    fast = bootstrap_intervals(y, p, replicates=4000)
    values = []
    for _ in range(1500):
        rows = rng.integers(0, 400, 400)
        values.append(score(y[rows], p[rows]).f1)
    assert fast["f1"] == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=0.01)
    assert bootstrap_intervals(y, p) == count_intervals(score(y, p)) == bootstrap_intervals(list(y), list(p))


def test_an_undefined_measure_has_no_interval():
    bounds = bootstrap_intervals([0, 0, 1], [0, 0, 0])
    assert all(map(math.isnan, bounds["precision"])) and bounds["f1"][0] == 0


def test_distinct_unseen_takes_first_occurrences():
    test = Split("test", ["a", "b", "a", "c", "c"], [1, 0, 1, 0, 0], "")
    assert distinct_unseen(test, Split("train", ["b"], [0], "")) == [0, 3]


@pytest.mark.parametrize("content, says", [("text,label\nx,2\n", "row 1: label '2'"), ("text,label\n", "no rows")])
def test_bad_files(tmp_path, content, says):
    (tmp_path / "train.csv").write_text(content)
    with pytest.raises(ValueError, match=says):
        read_split(tmp_path, "train")


def test_precision_at_is_bayes_rule():
    assert precision_at(0.1, 0.9, 0.05) == pytest.approx(0.09 / (0.09 + 0.045))
    with pytest.raises(ValueError):
        precision_at(1.5, 0.9, 0.1)
