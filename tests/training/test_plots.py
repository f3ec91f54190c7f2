"""plots.py: what is drawn, and that it is the same bytes every time."""

import json

import numpy as np
import pytest

import plots


def test_bins_are_those_of_the_calibration_error():
    scores = np.array([0.0, 0.01, 1 / 15, 0.5, 0.99, 1.0])
    labels = np.array([0, 1, 0, 1, 1, 1])
    bins = plots.bins_of(scores, labels)
    assert [b.count for b in bins] == [2, 1, 1, 2]
    assert bins[0].share == 0.5 and bins[0].low < 0.5 < bins[0].high
    assert plots.expected_calibration_error(bins) == pytest.approx((2 * 0.495 + 1 / 15 + 0.5 + 2 * 0.005) / 6)


def test_wilson():
    assert plots.wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert plots.wilson(0, 5)[0] == 0.0 and plots.wilson(5, 5)[1] == 1.0


def test_average_precision_is_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    labels = (rng.random(300) < 0.3).astype(int)
    scores = np.round(np.clip(rng.normal(0.3 + 0.3 * labels, 0.2), 0, 1), 2)
    assert plots.precision_recall(scores, labels)[2] == pytest.approx(metrics.average_precision_score(labels, scores))


def labelled(tmp_path):
    rng = np.random.default_rng(0)
    labels = (rng.random(200) < 0.3).astype(int)
    (tmp_path / "test.csv").write_text("text,label\n" + "".join(f"s{i},{y}\n" for i, y in enumerate(labels)))
    (tmp_path / "train.csv").write_text("text,label\ns0,0\n")
    rows = [{"label": "ADE", "score": float(p), "calibrated": float(p) ** 2}
            for p in np.clip(rng.normal(0.3 + 0.4 * labels, 0.2), 0, 1)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [str(tmp_path / "rows.jsonl"), str(tmp_path / "test.csv"), "--seen", str(tmp_path / "train.csv"), "--out"]


def test_the_drawings_are_the_same_every_time(tmp_path):
    pytest.importorskip("matplotlib")
    arguments = labelled(tmp_path)
    for out in "ab":
        assert plots.main([*arguments, str(tmp_path / out)]) == 0
    for name in ("reliability.svg", "precision-recall.svg"):
        first = (tmp_path / "a" / name).read_bytes()
        assert first == (tmp_path / "b" / name).read_bytes() and b"<svg" in first and b"dc:date" not in first
    assert b"calibrated (ECE" in (tmp_path / "a" / "reliability.svg").read_bytes()


@pytest.mark.parametrize("rows, says", [
    ('{"score": 0.5}\n', "1 rows, but"), ("nonsense\n", "line 1 is not a row"),
    ('{"score": 1.5}\n' * 200, "not between 0 and 1"), ('{"score": NaN}\n' * 200, "not between 0 and 1")])
def test_bad_rows(tmp_path, rows, says):
    arguments = labelled(tmp_path)
    (tmp_path / "rows.jsonl").write_text(rows)
    with pytest.raises(SystemExit, match=says):
        plots.main([*arguments, str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
