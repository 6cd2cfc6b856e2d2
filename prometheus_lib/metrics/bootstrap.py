"""Percentile bootstrap intervals: whole clusters (instructions) are resampled.

Answers to one instruction are not independent, so whole instructions are drawn. How often each is drawn depends on
(number of clusters, seed) alone, so two judges on the same items always meet the same resamples, and an `Interval`
keeps its statistic's value in each of them (`draws`): averages and differences of several get intervals too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypedDict, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..records import DataError
from .agreement import (
    CORRELATIONS,
    Kind,
    correlation,
    partial_correlation,
    resampled_correlation,
    resampled_partial,
)
from .alpha import Level, alpha_of_counts, krippendorff_alpha, rating_table
from .columns import Floats, aligned, complete_rows, objects, one_kind, ratio, same_length, vector
from .counting import Codes, Resampled, ratios_of_sums

_BLOCK_ROWS, _BLOCK_SIZE = 1_000, 1_000_000  # resamples drawn at a time: keeps memory flat at any size


class Options(TypedDict, total=False):
    """What every bootstrap function takes, as `bootstrap_interval` explains it."""

    n_resamples: int
    level: float
    seed: int
    paired: bool


@dataclass(frozen=True)
class Interval:
    """A statistic with its bootstrap percentile interval.

    `draws` (resamples,) are its values in all resamples; `undefined` of them had none (constant scores) and are left
    out. `unparsed` is for tables, which show how many answers could not be read.

    >>> share = Interval(0.75, 0.5, 1.0, n=4, n_clusters=4, draws=np.array([0.5, 0.75, 1.0]))
    >>> share.times(100).estimate, share.with_unparsed(2).unparsed
    (75.0, 2)
    """

    estimate: float
    low: float
    high: float
    n: int
    n_clusters: int
    level: float = 0.95
    undefined: int = 0
    unparsed: int = 0
    draws: Floats = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    def of_first(self, n_resamples: int) -> Interval:
        """The interval that the first resamples alone give."""
        draws = self.draws[:n_resamples]
        return interval_of_draws(self.estimate, draws, self.n, self.n_clusters, self.level, self.unparsed)

    def times(self, factor: float) -> Interval:
        """The interval of `factor` times the statistic: 100 brings fractions to percent."""
        draws = factor * self.draws
        return interval_of_draws(factor * self.estimate, draws, self.n, self.n_clusters, self.level, self.unparsed)

    def with_unparsed(self, unparsed: int) -> Interval:
        """The same interval with its count of answers that could not be read."""
        return replace(self, unparsed=unparsed)


def interval_of_draws(
    estimate: float, draws: Floats, n: int, n_clusters: int, level: float = 0.95, unparsed: int = 0
) -> Interval:
    """Return a statistic and its values in all resamples (resamples,) as an interval; NaN ends without an estimate.

    >>> round(interval_of_draws(0.5, np.linspace(0, 1, 101), n=40, n_clusters=10).low, 3)
    0.025
    """
    low, high = _quantiles(draws, level) if math.isfinite(estimate) else (math.nan, math.nan)
    return Interval(float(estimate), low, high, n, n_clusters, level, int(np.isnan(draws).sum()), unparsed, draws)


# --- one function per statistic --------------------------------------------------------------------------------------


def bootstrap_interval(
    statistic: str | Callable[..., float],
    *data: ArrayLike,
    clusters: ArrayLike | None = None,
    n_resamples: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
    paired: bool = False,
) -> Interval:
    """Percentile bootstrap interval of a named statistic or of any function.

    statistic: "mean" (values), "ratio" (numerators, denominators), "pearson" / "spearman" / "kendall" (x, y), "partial"
    (x, y, held constant), "krippendorff_alpha" (ratings, shaped raters x items; level ordinal, for others see
    `bootstrap_alpha`) - all vectorised - or a function that is called with the resampled arrays (first axis = items),
    one call per resample. `clusters` names each item's instruction by any hashable value of one type; whole
    instructions are resampled, because answers to one instruction are not independent. Without it every item is its own
    cluster. The same `seed` gives the same resamples whatever the statistic. Rows with a missing value are left out
    (functions get them as they are); with `paired` their instructions are drawn all the same, so that judges who missed
    different items still meet the same resamples. With fewer than two clusters nothing can be resampled: low and high
    are NaN. Percentile intervals are somewhat too narrow, at 60 clusters they cover about 93 times in 100, and with a
    handful of clusters, or a statistic with no spread (all right: width zero), far too narrow: read n_clusters beside
    them.

    >>> found = bootstrap_interval("mean", [1, 0, 1, 1, 0, 1], clusters=["q1", "q1", "q2", "q2", "q3", "q3"])
    >>> round(found.estimate, 3), found.low, found.high, found.n, found.n_clusters
    (0.667, 0.5, 1.0, 6, 3)
    >>> medians = bootstrap_interval(np.median, [1, 2, 3, 4, 5], n_resamples=100)
    >>> medians.estimate, medians.low <= 3 <= medians.high
    (3.0, True)
    """
    options: Options = {"n_resamples": n_resamples, "level": level, "seed": seed, "paired": paired}
    named: dict[str, Callable[..., Interval]] = {
        "mean": bootstrap_mean,
        "ratio": bootstrap_ratio,
        "partial": bootstrap_partial,
        "krippendorff_alpha": bootstrap_alpha,
    }
    if callable(statistic):
        return _bootstrap_function(statistic, data, clusters, **options)
    if statistic in named:
        return named[statistic](*data, clusters=clusters, **options)
    if statistic not in CORRELATIONS:
        known = ", ".join([*named, *CORRELATIONS])
        raise DataError(f"unknown statistic {statistic!r}; use one of {known} or a function")
    return bootstrap_correlation(*data, clusters=clusters, kind=statistic, **options)


def bootstrap_mean(values: ArrayLike, clusters: ArrayLike | None = None, **options: Unpack[Options]) -> Interval:
    """Interval of a mean or accuracy (values (items,), NaN left out). Options as in `bootstrap_interval`.

    >>> right = [1, 1, 0, 1]
    >>> bootstrap_mean(right, n_resamples=500).estimate
    0.75
    """
    (values, clusters), _ = aligned(values=values, clusters=clusters)
    return bootstrap_means([vector(values, "values")], clusters, **options)[0]


def bootstrap_means(
    columns: Sequence[ArrayLike], clusters: ArrayLike | None = None, **options: Unpack[Options]
) -> list[Interval]:
    """`bootstrap_mean` of many columns of the same items; one pass serves all columns with the same items missing.

    >>> [found.estimate for found in bootstrap_means([[1, 0, 1, 1], [0, 0, None, 1]], n_resamples=100)]
    [0.75, 0.3333333333333333]
    """
    named = {f"column {place}": column for place, column in enumerate(columns)}
    (*given, clusters), _ = aligned(**named, clusters=clusters)
    table = [vector(column, name) for name, column in zip(named, given)]
    together: dict[bytes, list[int]] = {}
    for place, column in enumerate(table):
        together.setdefault(np.isfinite(column).tobytes(), []).append(place)
    found: dict[int, Interval] = {}
    for places in together.values():
        keep = np.isfinite(table[places[0]])
        tops = np.column_stack([table[place][keep] for place in places])
        found |= zip(places, _bootstrap_ratios(tops, np.ones(len(tops)), keep, clusters, **options))
    return [found[place] for place in range(len(table))]


def bootstrap_ratio(
    numerators: ArrayLike, denominators: ArrayLike, clusters: ArrayLike | None = None, **options: Unpack[Options]
) -> Interval:
    """Interval of sum(numerators) / sum(denominators), e.g. chains kept per chain over groups (Table 15).

    >>> bootstrap_ratio([3, 2, 4], [4, 4, 4], n_resamples=100).estimate
    0.75
    """
    (top, bottom, clusters), _ = aligned(numerators=numerators, denominators=denominators, clusters=clusters)
    (top, bottom), keep = complete_rows(numerators=top, denominators=bottom)
    return _bootstrap_ratios(top[:, None], bottom, keep, clusters, **options)[0]


def bootstrap_correlation(
    x: ArrayLike,
    y: ArrayLike,
    clusters: ArrayLike | None = None,
    kind: Kind = "pearson",
    **options: Unpack[Options],
) -> Interval:
    """Interval of a Pearson, Spearman or Kendall tau-b correlation of scores (items,); exact per resample.

    >>> found = bootstrap_correlation([1, 2, 3, 4, 5, 5], [1, 3, 2, 4, 4, 5], kind="spearman", n_resamples=500)
    >>> round(found.estimate, 3), found.low < 0.89 < found.high
    (0.897, True)
    """
    (x, y, clusters), _ = aligned(x=x, y=y, clusters=clusters)
    (first, second), keep = complete_rows(x=x, y=y)
    return _bootstrap(
        [correlation(kind, first, second)],
        lambda codes, k: resampled_correlation(kind, first, second, codes, k),
        keep, clusters, **options,
    )[0]  # fmt: skip


def bootstrap_partial(
    x: ArrayLike, y: ArrayLike, held: ArrayLike, clusters: ArrayLike | None = None, **options: Unpack[Options]
) -> Interval:
    """Interval of the Pearson correlation of x and y with `held` held constant; all (items,), NaN left out.

    >>> length, quality = [1, 2, 3, 4, 5, 6], [1, 1, 2, 2, 3, 3]
    >>> score = [1, 2, 2, 3, 3, 4]
    >>> round(bootstrap_partial(score, length, quality, n_resamples=100).estimate, 3)
    1.0
    """
    (x, y, held, clusters), _ = aligned(x=x, y=y, held=held, clusters=clusters)
    columns, keep = complete_rows(x=x, y=y, held=held)
    estimate = partial_correlation(*columns)
    return _bootstrap([estimate], lambda codes, k: resampled_partial(*columns, codes, k), keep, clusters, **options)[0]


def bootstrap_alpha(
    ratings: ArrayLike,
    clusters: ArrayLike | None = None,
    measurement: Level = "ordinal",
    labels: Sequence[Any] | None = None,
    **options: Unpack[Options],
) -> Interval:
    """Interval of Krippendorff's alpha of `ratings` (raters, items), resampling items by cluster (Table 14).

    `measurement` and `labels` as `level` and `labels` in `krippendorff_alpha`; `n` counts the items rated at least
    twice. A data frame's columns are the items, matched with the index of `clusters` where that is a Series.

    >>> draws = [[4, 2, 5, 1, 3], [4, 3, 5, 1, 3], [4, 2, 4, None, 2]]
    >>> found = bootstrap_alpha(draws, n_resamples=200)
    >>> round(found.estimate, 3), found.n
    (0.885, 5)
    """
    if isinstance(ratings, pd.DataFrame):
        (by_item, clusters), _ = aligned(ratings=ratings.T, clusters=clusters)
        ratings = by_item.T
    table = rating_table(ratings, measurement, labels)
    keep = np.isfinite(table).sum(axis=0) >= 2
    kept = table[:, keep]
    return _bootstrap(
        [krippendorff_alpha(table, measurement)],
        lambda codes, k: alpha_of_counts(kept, measurement, codes, k),
        keep, clusters, **options,
    )[0]  # fmt: skip


# --- how it is done --------------------------------------------------------------------------------------------------


def _bootstrap_function(
    function: Callable[..., float],
    arrays: Sequence[ArrayLike],
    clusters: ArrayLike | None = None,
    **options: Unpack[Options],
) -> Interval:
    """Any `function(*arrays)`, one call per resample: the loop, for want of a fast path. It may return NaN.

    All arrays share their first axis (items) and reach the function as numpy arrays.
    """
    named = {f"array {place}": array for place, array in enumerate(arrays)}
    (*given, clusters), _ = aligned(**named, clusters=clusters)
    columns = [np.asarray(each) for each in given]
    same_length(**dict(zip(named, columns)))

    def looped(codes: Codes, k: int) -> Resampled:
        order = np.argsort(codes, kind="stable")

        def resampled(counts: Floats) -> Floats:
            picks = (np.repeat(order, row[codes[order]].astype(int)) for row in counts)
            return np.array([function(*(c[pick] for c in columns)) for pick in picks], dtype=float)

        return resampled

    keep = np.ones(len(columns[0]), dtype=bool)
    return _bootstrap([float(function(*columns))], looped, keep, clusters, **options)[0]


def _bootstrap_ratios(
    tops: Floats, bottom: Floats, keep: NDArray[np.bool_], clusters: ArrayLike | None, **options: Unpack[Options]
) -> list[Interval]:
    """One interval for each column of `tops` (kept items, statistics) over `bottom` (kept items,)."""
    estimates = [ratio(total, bottom.sum()) for total in tops.sum(axis=0)]
    return _bootstrap(estimates, lambda codes, k: ratios_of_sums(tops, bottom, codes, k), keep, clusters, **options)


def _bootstrap(
    estimates: Sequence[float],
    statistic: Callable[[Codes, int], Resampled],
    keep: NDArray[np.bool_],
    clusters: ArrayLike | None,
    n_resamples: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
    paired: bool = False,
) -> list[Interval]:
    """Intervals of statistics of the kept items; `statistic` takes their clusters' numbers and how many there are."""
    if not 0 < level < 1:
        raise DataError(f"level must lie between 0 and 1, for example 0.95, not {level}")
    codes, k = cluster_codes(clusters, keep, paired)
    n, used = int(keep.sum()), len(np.unique(codes)) if paired else k
    draws = _distribution(statistic(codes, k), k, n_resamples, seed, len(estimates))
    return [interval_of_draws(*each, n, used, level) for each in zip(estimates, draws.T)]


def cluster_codes(clusters: ArrayLike | None, keep: NDArray[np.bool_], paired: bool = False) -> tuple[Codes, int]:
    """Return the cluster's number of every kept row, among those of all rows (`paired`) or of the kept ones; how many.

    DataError for a missing name, names of several types, and another number of names than of rows.

    >>> codes, count = cluster_codes(["q", "r", "q"], np.ones(3, dtype=bool))
    >>> codes.tolist(), count
    ([0, 1, 0], 2)
    """
    clusters = clusters.to_numpy() if isinstance(clusters, pd.Series) else clusters
    if clusters is None:
        codes = np.arange(len(keep))
    elif isinstance(clusters, np.ndarray) and clusters.dtype.kind in "iu" and clusters.ndim == 1:
        codes = clusters
    else:
        codes = objects(clusters, "clusters")
        one_kind(clusters=codes)
    if len(codes) != len(keep):
        raise DataError(f"{len(codes)} cluster names for {len(keep)} items: give one per item")
    try:
        numbers, found = pd.factorize(codes if paired else codes[keep])
    except TypeError as error:
        raise DataError(f"a cluster name cannot be compared ({error}): give text, numbers or tuples") from error
    if (numbers < 0).any():
        raise DataError("a cluster name is missing: give every item the id of its instruction")
    return numbers[keep] if paired else numbers, len(found)


def cluster_sums(values: ArrayLike, clusters: ArrayLike) -> Floats:
    """Sum of the values (items,) of each cluster, NaN left out; (clusters,) in order of appearance."""
    numbers = vector(values, "values")
    keep = np.isfinite(numbers)
    codes, k = cluster_codes(clusters, keep, paired=False)
    return np.bincount(codes, numbers[keep], k)


def _distribution(resampled: Resampled, n_clusters: int, n_resamples: int, seed: int, statistics: int) -> Floats:
    """The statistics of every resample, (resamples, statistics); all NaN with fewer than two clusters."""
    if n_resamples < 1:
        raise DataError(f"n_resamples must be at least 1, not {n_resamples}")
    if n_clusters < 2:
        return np.full((n_resamples, statistics), np.nan)
    blocks = [resampled(counts) for counts in _resamples(n_clusters, n_resamples, seed)]
    return np.concatenate(blocks).reshape(n_resamples, statistics)


def _quantiles(draws: Floats, level: float) -> tuple[float, float]:
    """The ends of the middle `level` of the draws that have a value; NaN without any."""
    finite = draws[np.isfinite(draws)]
    if len(finite) == 0:
        return math.nan, math.nan
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resamples(n_clusters: int, n_resamples: int, seed: int) -> Iterator[Floats]:
    """Blocks (resamples, clusters): how often each cluster was drawn, a multinomial with equal shares."""
    rows = int(np.clip(_BLOCK_SIZE // n_clusters, 1, _BLOCK_ROWS))
    for block, start in enumerate(range(0, n_resamples, rows)):
        yield _resample_block(n_clusters, min(rows, n_resamples - start), seed, block).astype(float)


@lru_cache(maxsize=128)
def _resample_block(n_clusters: int, rows: int, seed: int, block: int) -> NDArray[np.uint16]:
    """Cached, because twenty judges on one benchmark need the same counts; at most 256 MB in all."""
    rng = np.random.default_rng([seed, block])
    picks = rng.integers(0, n_clusters, size=(rows, n_clusters)) + np.arange(rows)[:, None] * n_clusters
    return np.bincount(picks.ravel(), minlength=rows * n_clusters).reshape(rows, n_clusters).astype(np.uint16)
