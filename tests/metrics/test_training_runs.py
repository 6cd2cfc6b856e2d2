"""Intervals over instructions and training runs: against analysis of variance, and how often they cover."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus_lib import metrics
from prometheus_lib.records import DataError


def runs_of(differences, n_resamples=800):
    """(seeds, instructions) as one interval per seed, on the same resamples."""
    names = np.arange(differences.shape[1])
    return [metrics.bootstrap_mean(row, names, n_resamples=n_resamples) for row in differences]


def simulated(rng, seeds, instructions, of_seeds, of_rest=1.0):
    """Differences around zero with one part of each seed, one of each instruction and a rest."""
    parts = rng.normal(0, of_seeds, (seeds, 1)), rng.normal(0, 1, (1, instructions))
    return parts[0] + parts[1] + rng.normal(0, of_rest, (seeds, instructions))


def test_the_variance_is_that_of_two_random_factors():
    """Against the mean squares of a two-way layout, computed by hand."""
    table = simulated(np.random.default_rng(1), 3, 60, of_seeds=1.0)
    found = metrics.over_training_runs(runs_of(table, 20_000))
    by_instruction, by_seed = table.mean(axis=0), table.mean(axis=1)
    rest = table - by_seed[:, None] - by_instruction + table.mean()
    variance = by_instruction.var(ddof=1) / 60 + by_seed.var(ddof=1) / 3 - (rest**2).sum() / (2 * 59) / (3 * 60)
    assert found.interval.estimate == pytest.approx(table.mean()) and found.values == pytest.approx(by_seed)
    assert found.spread == pytest.approx(by_seed.std(ddof=1))
    narrow, wide = found.high_90 - found.low_90, found.high - found.low
    assert narrow < wide and wide / 2 / np.sqrt(variance) > 1.96
    doubt = (by_instruction.var(ddof=1) / 60) ** 2 / 59 + (by_seed.var(ddof=1) / 3) ** 2 / 2
    from scipy.stats import t

    assert wide / 2 == pytest.approx(t.ppf(0.975, max(variance**2 / doubt, 1)) * np.sqrt(variance), rel=0.02)


def test_seeds_that_agree_leave_the_interval_over_instructions():
    row = np.random.default_rng(2).normal(0.5, 1, 80)
    found = metrics.over_training_runs(runs_of(np.stack([row] * 3)))
    alone = metrics.simultaneous({"it": found.interval}, {"it": 1})["it"]
    assert found.spread == 0 and (found.low, found.high) == pytest.approx((alone.low, alone.high), abs=0.02)


def test_a_difference_that_hangs_on_the_seed_is_not_shown():
    """Each seed's difference is clear over instructions; over seeds it has both signs."""
    rng = np.random.default_rng(3)
    table = rng.normal(0, 0.5, (3, 100)) + np.array([[3.0], [2.5], [-0.5]])
    found = metrics.over_training_runs(runs_of(table))
    assert found.interval.low > 0 and found.sign(margin=2) == "?"
    near = metrics.over_training_runs(runs_of(rng.normal(0, 0.5, (3, 100))))
    assert near.sign(margin=2) == "0" and near.sign(margin=0.01) == "?"
    assert metrics.over_training_runs(runs_of(table - 10)).sign(margin=2) == "-"


def test_two_runs_are_refused():
    with pytest.raises(DataError, match="2 training runs"):
        metrics.over_training_runs(runs_of(np.zeros((2, 20))))


@pytest.mark.parametrize("of_seeds", [0.0, 0.3, 1.0])
def test_how_often_the_intervals_cover(of_seeds):
    """Three seeds, 80 instructions: over both factors 92 to 97 times in 100; over instructions alone far less often."""
    rng, repeats, both, alone = np.random.default_rng(4), 250, 0, 0
    for _ in range(repeats):
        found = metrics.over_training_runs(runs_of(simulated(rng, 3, 80, of_seeds), 300))
        both += found.low <= 0 <= found.high
        alone += found.interval.low <= 0 <= found.interval.high
    assert 0.89 < both / repeats < 0.99
    assert alone / repeats < {0.0: 0.99, 0.3: 0.88, 1.0: 0.5}[of_seeds]
