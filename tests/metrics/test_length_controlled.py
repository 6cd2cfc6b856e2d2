"""Win rates at equal length: a judge that likes length is seen through, and one that does not keeps its rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from prometheus_lib.metrics import length_controlled_win_rate
from prometheus_lib.records import DataError


def games(rng, rate, likes_length, mean_difference=40, n=400):
    """Pairs won at `rate` when equally long; this side is longer by some 40 letters on average."""
    by = rng.normal(mean_difference, 80, n)
    return (rng.random(n) < expit(logit(rate) + likes_length * np.tanh(by / by.std()))).astype(float), by


@pytest.mark.parametrize("rate", [0.5, 0.7])
def test_the_rate_at_equal_length_is_found(rate):
    rng, found, plain, inside = np.random.default_rng(0), [], [], 0
    for _ in range(30):
        wins, by = games(rng, rate, likes_length=1.5)
        each = length_controlled_win_rate(wins, by, n_resamples=100)
        found.append(each.estimate)
        plain.append(wins.mean())
        inside += each.low <= rate <= each.high
    assert abs(np.mean(found) - rate) < 0.015 and np.mean(plain) > rate + 0.04
    assert inside >= 24


def test_without_a_liking_for_length_it_is_the_plain_rate():
    wins, by = games(np.random.default_rng(1), 0.65, likes_length=0, mean_difference=0, n=4000)
    assert length_controlled_win_rate(wins, by, n_resamples=20).estimate == pytest.approx(wins.mean(), abs=0.01)


def test_the_other_side_has_the_rest():
    wins, by = games(np.random.default_rng(2), 0.6, 1.0)
    one, two = (length_controlled_win_rate(w, b, n_resamples=20) for w, b in ((wins, by), (1 - wins, -by)))
    assert one.estimate + two.estimate == pytest.approx(1)


def test_limits():
    assert 0.9 < length_controlled_win_rate([1] * 20, range(20), n_resamples=20).estimate < 1  # all won: finite
    assert length_controlled_win_rate([1, 0], [5, 5], n_resamples=20).estimate == pytest.approx(0.5)
    some = length_controlled_win_rate([1, None, 0.5], [1, 2, -1], n_resamples=20)
    assert (some.n, some.unparsed) == (2, 1)
    with pytest.raises(DataError):
        length_controlled_win_rate([1, 0], [1])
