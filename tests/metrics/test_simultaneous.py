"""Differences that hold together: the correction, the test for none, and how often intervals cover."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from prometheus_lib import metrics


def of_clusters(values, seed=0, n_resamples=2_000):
    return metrics.bootstrap_mean(values, np.arange(len(values)), n_resamples=n_resamples, seed=seed)


def test_one_difference_is_students_t():
    """By itself and with normal values, p-value and interval are about those of the paired t-test."""
    from scipy import stats

    values = np.random.default_rng(1).normal(0.5, 1, 40)
    found = metrics.simultaneous({"d": of_clusters(values, n_resamples=20_000)}, {"d": 0.1})["d"]
    expected = stats.ttest_1samp(values, 0)
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.01)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(0.95), abs=0.05)


def test_intervals_and_p_values_say_the_same():
    rng = np.random.default_rng(2)
    intervals = {n: of_clusters(rng.normal(n / 8, 1, 30)) for n in range(8)}
    for margin in (0.3, 0.6):
        for found in metrics.simultaneous(intervals, dict.fromkeys(intervals, margin)).values():
            assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)
            if found.low > -margin and found.high < margin:  # the 90 % interval lies inside the 95 % one
                assert found.p_none < 0.05


def test_more_differences_make_each_interval_wider_and_equal_ones_do_not():
    rng = np.random.default_rng(3)
    first = of_clusters(rng.normal(0, 1, 30))
    others = {n: of_clusters(rng.normal(0, 1, 30)) for n in range(20)}
    copies = dict.fromkeys(range(20), first)
    alone, among, same = (
        metrics.simultaneous({"it": first, **more}, dict.fromkeys(["it", *more], 1.0))["it"]
        for more in ({}, others, copies)
    )
    assert among.high - among.low > 1.2 * (alone.high - alone.low)
    assert same == alone


def test_no_effect_is_shown_only_inside_the_margin():
    rng = np.random.default_rng(4)
    small = of_clusters(rng.normal(0.02, 0.2, 60))
    assert [metrics.simultaneous({"d": small}, {"d": m})["d"].sign for m in (1.0, 0.2, 0.03)] == ["0", "0", "?"]


def test_undecided_says_how_many_more_would_tell():
    rng = np.random.default_rng(5)
    values = rng.normal(0.15, 1, 40)
    found = metrics.simultaneous({"d": of_clusters(values)}, {"d": 0.1})["d"]
    assert found.sign == "?" and found.more_needed > 40
    more = np.tile(values, math.ceil((found.more_needed + found.n) / found.n))
    assert metrics.simultaneous({"d": of_clusters(more)}, {"d": 0.1})["d"].sign != "?"


def test_too_few_clusters_and_undefined_differences_take_no_part():
    clear = of_clusters(np.random.default_rng(6).normal(1, 1, 40))
    few, nothing = of_clusters(np.ones(9)), dataclasses.replace(clear, estimate=math.nan)
    found = metrics.simultaneous(
        {"clear": clear, "few": few, "nothing": nothing}, dict.fromkeys(("clear", "few", "nothing"), 1)
    )
    assert found["clear"] == metrics.simultaneous({"clear": clear}, {"clear": 1})["clear"]
    assert [found[name].sign for name in ("few", "nothing")] == ["?", "?"]
    assert math.isnan(found["few"].p_value) and math.isnan(found["few"].low) and found["few"].difference == 1


def test_equal_judges_show_no_effect_and_no_difference():
    found = metrics.simultaneous({"d": of_clusters(np.zeros(20))}, {"d": 2.0})["d"]
    assert (found.sign, found.p_value, found.low, found.high) == ("0", 1.0, 0.0, 0.0) and found.p_none > 0


@pytest.mark.parametrize("clusters", [12, 20])
def test_all_intervals_cover_together_about_95_times_in_100(clusters):
    """Six correlated differences of few clusters; percentile intervals of one alone cover 90 to 92 times there."""
    rng, covered, alone, repeats = np.random.default_rng(0), 0, 0, 150
    for _ in range(repeats):
        shared = rng.normal(size=clusters)
        intervals = {n: of_clusters(shared + rng.normal(size=clusters), n_resamples=800) for n in range(6)}
        found = metrics.simultaneous(intervals, dict.fromkeys(intervals, 1.0))
        covered += all(each.low <= 0 <= each.high for each in found.values())
        alone += intervals[0].low <= 0 <= intervals[0].high
    assert covered / repeats > 0.9 and alone / repeats < 0.97
