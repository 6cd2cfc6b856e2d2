"""Power known beforehand is the power that simulated judges have."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from prometheus_lib.metrics import detectable, paired_spread, power


@pytest.mark.parametrize(("difference", "instructions"), [(0.0, 100), (0.05, 150), (0.05, 600)])
def test_power_is_the_share_of_simulated_tests_that_find_the_difference(difference, instructions):
    rng = np.random.default_rng(1)
    gaps = rng.normal(difference, 0.3, (4000, instructions))
    found = (scipy.stats.ttest_1samp(gaps, 0, axis=1).pvalue < 0.05).mean()
    assert power(difference, 0.3, instructions) == pytest.approx(found, abs=0.03)


def test_what_is_detectable_has_the_power_asked_for():
    for chance in (0.5, 0.8, 0.9):
        assert power(detectable(0.3, 200, chance), 0.3, 200) == pytest.approx(chance, abs=0.01)
    assert detectable(0.3, 800) == pytest.approx(detectable(0.3, 200) / 2)


def test_the_spread_is_that_of_two_judges_who_find_the_same_items_hard():
    rng = np.random.default_rng(2)
    shared, own = rng.random((2, 60_000, 1)), rng.random((2, 60_000, 2))
    hard = rng.random((60_000, 2)) < 0.4  # with chance 0.4 a judge takes over the common answer
    right = np.where(hard, shared[0] < 0.8, own[0] < 0.8)
    agreement = np.corrcoef(right[:, 0], right[:, 1])[0, 1]
    measured = (right[:, 0].astype(float) - right[:, 1]).std()
    assert paired_spread(0.8, agreement) == pytest.approx(measured, abs=0.01)
    assert paired_spread(0.8, agreement, 2, 2) == pytest.approx(paired_spread(0.8, agreement) / 2)
    assert math.isclose(paired_spread(0.5, 1.0), 0.0)
