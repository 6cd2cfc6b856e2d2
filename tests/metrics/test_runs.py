"""Means over training runs: against scipy, by hand, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from prometheus_lib.metrics import over_runs
from prometheus_lib.records import DataError


def test_over_runs_alone_it_is_students_t_of_the_runs_means():
    rng = np.random.default_rng(1)
    one, two = rng.random((2, 5, 40))
    found, expected = over_runs(one - two), stats.ttest_rel(one.mean(axis=1), two.mean(axis=1))
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval()))


def test_p_none_is_two_one_sided_tests():
    table = np.random.default_rng(2).normal(0.3, 1, (6, 30))
    means = table.mean(axis=1)
    sides = (stats.ttest_1samp(means, 1.0, alternative="less"), stats.ttest_1samp(means, -1.0, alternative="greater"))
    assert over_runs(table).p_none(1.0) == pytest.approx(max(each.pvalue for each in sides), rel=1e-6)


def test_a_difference_beyond_the_margin_is_never_none():
    assert over_runs(np.random.default_rng(3).normal(5, 0.1, (5, 20))).p_none(2.0) > 0.99


def test_the_two_way_error_by_hand():
    table = np.array([[1.0, 0, 2], [3, 1, 2]])
    runs = np.var(table.mean(axis=1), ddof=1) / 2
    items = np.var(table.mean(axis=0), ddof=1) / 3
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    both = runs + items - (rest**2).sum() / (1 * 2) / 6
    assert over_runs(table).both == pytest.approx(math.sqrt(max(both, runs, items)))


def test_one_run_has_a_mean_and_no_interval():
    found = over_runs([[1, 0, 1]])
    assert found.mean == pytest.approx(2 / 3) and all(math.isnan(each) for each in (*found.interval(), found.p_value))
    assert math.isnan(found.p_none(1.0))


def test_runs_that_are_all_alike_decide_nothing_by_themselves():
    found = over_runs([[1, 0, 0, 0]] * 4)
    assert math.isnan(found.p_value) and found.interval(two_way=True)[0] < 0.25 < found.interval(two_way=True)[1]


@pytest.mark.parametrize("table", ([1, 2, 3], [[]], [[1, math.nan]], 3))
def test_other_shapes_are_refused(table):
    with pytest.raises(DataError, match="shape"):
        over_runs(table)


@pytest.mark.parametrize("runs_vary, items_vary", ((1.0, 0.3), (0.3, 3.0), (0.0, 0.0)))
def test_two_way_intervals_cover_where_runs_and_items_are_drawn_anew(runs_vary, items_vary):
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(400):
        table = rng.normal(0, runs_vary, (5, 1)) + rng.normal(0, items_vary, (1, 50)) + rng.normal(0, 1, (5, 50))
        low, high = over_runs(table).interval(two_way=True)
        covered += low <= 0 <= high
    assert covered / 400 > 0.92
