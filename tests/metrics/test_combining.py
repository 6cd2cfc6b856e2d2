"""Averages of intervals, over benchmarks and over training runs, and which candidate is best."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prometheus_lib import metrics


def test_average_narrows_when_benchmarks_are_independent():
    rng = np.random.default_rng(0)
    samples = [metrics.interval_of_draws(0.5, rng.normal(0.5, 0.1, 4000), 10, 5, unparsed=1) for _ in range(4)]
    mean = metrics.average(samples)
    assert mean.draws.std() == pytest.approx(0.05, rel=0.05) and (mean.n, mean.unparsed) == (40, 4)
    assert metrics.average([*samples, None]) is None and metrics.average([]) is None


def test_runs_are_resampled_beside_the_instructions():
    samples = [metrics.interval_of_draws(value, np.full(4_000, float(value)), 10, 5, unparsed=1) for value in (0, 10)]
    both = metrics.average_over_runs(samples, 1)
    assert both.estimate == 5 and (both.n, both.unparsed, both.n_clusters) == (10, 2, 5)
    shares = {value: (both.draws == value).mean() for value in (0.0, 5.0, 10.0)}
    assert shares == pytest.approx({0.0: 0.25, 5.0: 0.5, 10.0: 0.25}, abs=0.03)
    assert np.array_equal(both.draws, metrics.average_over_runs(samples, 1).draws)


def test_best_shares_split_equal_values():
    draws = [np.array([1.0, 0.5, 0.2, np.nan]), np.array([0.0, 0.5, 0.3, np.nan])]
    assert metrics.best_shares(draws).tolist() == [0.5, 0.5]
    assert metrics.best_shares([np.array([np.nan, 2.0]), np.array([1.0, 1.0])]).tolist() == [0.5, 0.5]


def test_the_best_candidate_has_an_interval_of_its_shares():
    rng = np.random.default_rng(1)
    heights = {0.0: 1.0, 0.5: 3.0, 1.0: 2.9}
    sweep = {a: metrics.interval_of_draws(h, h + 0.1 * rng.normal(size=2_000), 9, 9) for a, h in heights.items()}
    best, low, high, shares = metrics.best_candidate(sweep)
    assert (best, low, high) == (0.5, 0.5, 1.0) and shares.sum() == pytest.approx(1) and shares[0] == 0
    unknown = metrics.interval_of_draws(math.nan, np.full(2_000, 9.0), 9, 9)
    best, low, high, shares = metrics.best_candidate({-1.0: unknown, **sweep})
    assert (best, low, high) == (0.5, 0.5, 1.0) and shares[0] == 0, "NaN is no best alpha, wherever it stands"
    empty = {a: metrics.interval_of_draws(h, np.full(5, math.nan), 9, 9) for a, h in heights.items()}
    assert math.isnan(metrics.best_candidate(empty)[1])
    assert math.isnan(metrics.best_candidate(dict.fromkeys(heights, unknown))[0])
