"""Several intervals in one: averages over benchmarks or training runs, and which candidate is best how often.

All take intervals with as many `draws` each, and combine them resample by resample.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from .bootstrap import Interval, interval_of_draws
from .columns import Floats


def average(intervals: Sequence[Interval | None]) -> Interval | None:
    """Return the mean of several statistics, resample by resample; None when one is missing or there are none.

    `n` and `unparsed` are sums, `n_clusters` is the smallest. Where the statistics were measured on different items,
    give each bootstrap a seed of its own, so that they are resampled independently.

    >>> one, two = (interval_of_draws(v, np.array([v - 1, v, v + 1]), 10, 5) for v in (2.0, 4.0))
    >>> average([one, two]).estimate, average([one, None])
    (3.0, None)
    """
    known = [each for each in intervals if each is not None]
    if len(known) < len(intervals) or not known:
        return None
    return _combined(known, np.mean([each.draws for each in known], axis=0), sum(each.n for each in known))


def average_over_runs(intervals: Sequence[Interval], seed: int) -> Interval:
    """Return the mean over training runs, whose resamples are of instructions and, beside that, of the runs themselves.

    Which runs a resample draws depends on the seed alone, so two merges that are compared meet the same ones. All runs
    were measured on the same `n` items.

    >>> runs = [interval_of_draws(v, np.full(1000, v), 10, 5) for v in (0.0, 1.0)]
    >>> both = average_over_runs(runs, seed=0)
    >>> both.estimate, sorted(set(both.draws.tolist()))
    (0.5, [0.0, 0.5, 1.0])
    """
    draws = np.stack([each.draws for each in intervals])
    chosen = np.random.default_rng(seed).integers(len(intervals), size=draws.shape)
    return _combined(intervals, np.take_along_axis(draws, chosen, 0).mean(0), intervals[0].n)


def _combined(parts: Sequence[Interval], draws: Floats, n: int) -> Interval:
    estimate, clusters = float(np.mean([each.estimate for each in parts])), min(each.n_clusters for each in parts)
    unparsed = sum(each.unparsed for each in parts)
    return interval_of_draws(estimate, draws, n, clusters, parts[0].level, unparsed)


def best_shares(draws: Sequence[Floats]) -> Floats:
    """Return for each candidate the share of resamples in which it is best; equal values share a resample.

    `draws` are (candidates, resamples). Values are rounded first, so that equal averages count as equal everywhere.

    >>> best_shares([[1.0, 0.5, 0.2], [0.0, 0.5, 0.3]])
    array([0.5, 0.5])
    """
    table = np.round(np.where(np.isnan(draws), -np.inf, draws), 9)
    winners = (table == table.max(axis=0)) & np.isfinite(table)
    counts = winners.sum(axis=0)
    if not counts.any():
        return np.full(len(table), math.nan)
    return (winners[:, counts > 0] / counts[counts > 0]).mean(axis=1)


def best_candidate(intervals: Mapping[float, Interval]) -> tuple[float, float, float, Floats]:
    """Return which candidate is best, the 95 % interval of that, and how often each is best (`best_shares`).

    The candidates are numbers in ascending order, such as merge weights; each of the interval's ends is the smallest
    candidate up to which the shares reach 2.5 or 97.5 %. A candidate whose statistic is NaN, as a correlation of equal
    scores is, is never best; where all are, so is what is returned.

    >>> sweep = {0.2: interval_of_draws(1.0, np.ones(4), 9, 9), 0.5: interval_of_draws(2.0, np.full(4, 2.0), 9, 9)}
    >>> best_candidate(sweep)[:3]
    (0.5, 0.5, 0.5)
    """
    known = {candidate: each.estimate for candidate, each in intervals.items() if not math.isnan(each.estimate)}
    best = max(known, key=known.__getitem__) if known else math.nan
    shares = best_shares([each.draws if name in known else each.draws * math.nan for name, each in intervals.items()])
    low, high = (_weighted_quantile(np.array(list(intervals)), shares, level) for level in (0.025, 0.975))
    return best, low, high, shares


def _weighted_quantile(values: Floats, weights: Floats, level: float) -> float:
    """The smallest value at which the cumulated weight reaches the level; NaN when there are no weights."""
    if np.isnan(weights).any():
        return math.nan
    return float(values[min(int(np.searchsorted(np.cumsum(weights), level - 1e-12)), len(values) - 1)])
