"""bias.py: the shift is the best one, as trying every one shows."""

import numpy as np
import pytest

from bias import best_shift
from corpus import score


def mean_f1(margins, labels, unseen, shift):
    p = (margins + shift > 0).astype(int)
    return (score(labels, p).f1 + score(labels[unseen], p[unseen]).f1) / 2


@pytest.mark.parametrize("seed", range(30))
def test_no_shift_is_better(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    labels = (rng.random(n) < 0.4).astype(int)
    labels[0] = 1
    margins = np.round(rng.normal(labels * 2.0 - 1.5, 1.0), 1)  # rounded: equal margins occur
    unseen = np.unique(np.append(rng.integers(0, n, n // 2), 0))
    found = best_shift(margins, labels, unseen)
    tried = [mean_f1(margins, labels, unseen, shift) for shift in np.arange(-6, 6, 0.05) + 0.003]
    assert found.after == pytest.approx(max(tried)) == pytest.approx(mean_f1(margins, labels, unseen, found.shift))
    assert found.before == pytest.approx(mean_f1(margins, labels, unseen, 0.0)) and found.before <= found.after
    if found.before == found.after:
        assert found.shift == 0.0


def test_of_equally_good_ones_the_nearest():
    # Nothing changes between -1 and 3: the decision is right already.
    assert best_shift(np.array([-3.0, 1.0, 2.0]), [0, 1, 1], [0, 1, 2]).shift == 0.0
    # The nearest place that is right lies between the rows at -1 and -2.
    found = best_shift(np.array([-4.0, -2.0, -1.0]), [0, 0, 1], [0, 1, 2])
    assert found.shift == 1.5 and found.after == 1.0


@pytest.mark.parametrize("margins, labels, unseen, says", [
    ([1.0], [1, 0], [0], "1 margins but 2 labels"), ([float("nan")], [1], [0], "not a number"),
    ([1.0, 2.0], [0, 0], [0], "no row"), ([1.0, 2.0], [0, 1], [0], "no row")])
def test_bad_input(margins, labels, unseen, says):
    with pytest.raises(ValueError, match=says):
        best_shift(np.array(margins), labels, unseen)
