"""Intervals and tests: percentile bootstrap by cluster, differences between judges on the same items, Holm.

Whole clusters (instructions) are resampled, because answers to one instruction are not independent. How often each
cluster is drawn depends on (number of clusters, seed) alone, so two judges on the same items always meet the same
resamples. Statistics are worked out for all resamples at once from sums per cluster. The public face is `metrics`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import scipy.special
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from ..records import DataError
from .agreement import (
    CORRELATIONS,
    Codes,
    Kind,
    Resampled,
    alpha_of_counts,
    centred_midranks,
    correlation,
    incidence,
    is_constant,
    krippendorff_alpha,
    rating_table,
    sliced,
)
from .columns import Floats, complete, complete_rows, divide, listed, objects, ratio, same_length, vector

_BLOCK_ROWS, _BLOCK_SIZE = 1_000, 1_000_000  # resamples drawn at a time: keeps memory flat at any size
_MOST_KENDALL_CELLS = 4_000  # distinct (x, y) pairs; scores from 1 to 5 in thirds have at most 169
_WHOLE_IN_32_BITS = 4_096  # counts of so many items, squared, are whole numbers that 32-bit floats hold exactly
_POWER_QUANTILE = 0.8416  # 80 % power: the usual planning value behind "N more judgments would tell"


@dataclass(frozen=True)
class Interval:
    """A bootstrap percentile interval. `undefined` resamples had no value (constant scores): left out."""

    estimate: float
    low: float
    high: float
    n: int
    n_clusters: int
    level: float = 0.95
    undefined: int = 0


@dataclass(frozen=True)
class Comparison:
    """Two judges on the same items: difference first - second, its interval, and what a test says about it.

    `verdict` is "first", "second" or "undecided" and follows `p_value` (named by `test`), never the interval
    by eye. `more_needed` estimates how many further judgments per judge would decide a difference of this
    size (80 % power); None when decided or when there is no difference to scale from.
    """

    difference: float
    low: float
    high: float
    p_value: float
    n: int
    verdict: str
    more_needed: int | None
    n_clusters: int
    test: str
    level: float = 0.95

    def adjusted(self, p_value: float) -> Comparison:
        """The same comparison under a p-value corrected for the whole table (see `holm`), verdict redone."""
        verdict, more = _verdict(self.difference, self.low, self.high, p_value, self.n, self.level)
        return replace(self, p_value=p_value, verdict=verdict, more_needed=more)


# -------------------------------------------------------------------------------------------------- intervals


def bootstrap_interval(
    statistic: str | Callable[..., float],
    *data: ArrayLike,
    clusters: ArrayLike | None = None,
    n_resamples: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a named statistic or of any function.

    statistic: "mean" (values), "ratio" (numerators, denominators), "pearson" / "spearman" / "kendall" (x, y),
    "krippendorff_alpha" (ratings, shaped raters x items; level ordinal, for others see `bootstrap_alpha`) - all
    vectorised - or a function that is called with the resampled arrays (first axis = items), one call per
    resample. `clusters` names each item's instruction by any hashable value; whole instructions are resampled,
    because answers to one instruction are not independent. Without it every item is its own cluster. The same
    `seed` gives the same resamples whatever the statistic. Rows with a missing value are left out (functions get
    them as they are). With fewer than two clusters nothing can be resampled: low and high are NaN. Percentile
    intervals are somewhat too narrow, at 60 clusters they cover about 93 times in 100, and with a handful of
    clusters, or a statistic with no spread (all right: width zero), far too narrow: read n_clusters beside them.
    """
    options: dict[str, Any] = {"clusters": clusters, "n_resamples": n_resamples, "level": level, "seed": seed}
    if callable(statistic):
        return bootstrap_statistic(statistic, data, **options)
    named = {"mean": bootstrap_mean, "ratio": bootstrap_ratio, "krippendorff_alpha": bootstrap_alpha}
    if statistic in named:
        return named[statistic](*data, **options)
    if statistic not in CORRELATIONS:
        raise DataError(
            f"unknown statistic {statistic!r}; use one of {', '.join([*named, *CORRELATIONS])} or a function"
        )
    return bootstrap_correlation(*data, kind=statistic, **options)  # type: ignore[arg-type]


def bootstrap_mean(values: ArrayLike, clusters: ArrayLike | None = None, **options: Any) -> Interval:
    """Interval of a mean or accuracy (values (items,), NaN left out). Options as in `bootstrap_interval`."""
    numbers = vector(values, "values")
    return bootstrap_ratio(numbers, np.ones(len(numbers)), clusters, **options)


def bootstrap_ratio(
    numerators: ArrayLike, denominators: ArrayLike, clusters: ArrayLike | None = None, **options: Any
) -> Interval:
    """Interval of sum(numerators) / sum(denominators), e.g. chains kept per chain over groups (Table 15)."""
    top, bottom, keep = complete(numerators, denominators)
    codes, k = cluster_codes(clusters, keep)
    sums = np.column_stack([np.bincount(codes, v, k) for v in (top, bottom)])

    def resampled(counts: Floats) -> Floats:
        totals = counts @ sums
        return divide(totals[:, 0], totals[:, 1])

    return _interval(ratio(top.sum(), bottom.sum()), resampled, len(top), k, **options)


def bootstrap_correlation(
    x: ArrayLike, y: ArrayLike, clusters: ArrayLike | None = None, kind: Kind = "pearson", **options: Any
) -> Interval:
    """Interval of a Pearson, Spearman or Kendall tau-b correlation of scores (items,); exact per resample."""
    first, second, keep = complete(x, y)
    codes, k = cluster_codes(clusters, keep)
    estimate = correlation(kind, first, second)
    return _interval(estimate, resampled_correlation(kind, first, second, codes, k), len(first), k, **options)


def bootstrap_pearson(x: ArrayLike, y: ArrayLike, clusters: ArrayLike | None = None, **options: Any) -> Interval:
    """`bootstrap_correlation` of kind "pearson": the column of Table 3."""
    return bootstrap_correlation(x, y, clusters, "pearson", **options)


def bootstrap_alpha(
    ratings: ArrayLike,
    clusters: ArrayLike | None = None,
    measurement: str = "ordinal",
    value_domain: Sequence[Any] | None = None,
    **options: Any,
) -> Interval:
    """Interval of Krippendorff's alpha of `ratings` (raters, items), resampling items by cluster (Table 14).

    `measurement` and `value_domain` as in `krippendorff_alpha`; `n` counts the items rated at least twice.
    """
    table = rating_table(ratings, measurement, value_domain)
    keep = np.isfinite(table).sum(axis=0) >= 2
    codes, k = cluster_codes(clusters, keep)
    resampled = alpha_of_counts(table[:, keep], measurement, codes, k)
    return _interval(krippendorff_alpha(table, measurement), resampled, int(keep.sum()), k, **options)


def bootstrap_statistic(
    function: Callable[..., float],
    arrays: Sequence[ArrayLike],
    clusters: ArrayLike | None = None,
    **options: Any,
) -> Interval:
    """Interval of any `function(*arrays)`, one call per resample: the loop, for want of a fast path.

    All arrays share their first axis (items) and reach the function as numpy arrays. It may return NaN for a
    resample it cannot use.
    """
    columns = [np.asarray(listed(array, f"array {i}")) for i, array in enumerate(arrays)]
    same_length(**{f"array {i}": c for i, c in enumerate(columns)})
    codes, k = cluster_codes(clusters, np.ones(len(columns[0]), dtype=bool))
    order = np.argsort(codes, kind="stable")

    def resampled(counts: Floats) -> Floats:
        picks = (np.repeat(order, row[codes[order]].astype(int)) for row in counts)
        return np.array([function(*(c[pick] for c in columns)) for pick in picks], dtype=float)

    return _interval(float(function(*columns)), resampled, len(columns[0]), k, **options)


def _interval(
    estimate: float,
    resampled: Resampled,
    n: int,
    n_clusters: int,
    n_resamples: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    draws = distribution(resampled, n_clusters, n_resamples, seed)
    low, high = quantiles(draws, level)
    return Interval(float(estimate), low, high, n, n_clusters, level, int(np.isnan(draws).sum()))


def distribution(resampled: Resampled, n_clusters: int, n_resamples: int, seed: int) -> Floats:
    """The statistic of every resample; all NaN with fewer than two clusters."""
    if n_resamples < 1:
        raise DataError(f"n_resamples must be at least 1, not {n_resamples}")
    if n_clusters < 2:
        return np.full(n_resamples, np.nan)
    return np.concatenate([resampled(counts) for counts in _resamples(n_clusters, n_resamples, seed)])


def quantiles(draws: Floats, level: float) -> tuple[float, float]:
    """The ends of the middle `level` of the draws that have a value; NaN without any."""
    if not 0 < level < 1:
        raise DataError(f"level must lie between 0 and 1, for example 0.95, not {level}")
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


def cluster_codes(clusters: ArrayLike | None, keep: NDArray[np.bool_]) -> tuple[Codes, int]:
    """Cluster number of every kept row, and how many clusters there are."""
    if clusters is None:
        return np.arange(int(keep.sum())), int(keep.sum())
    names = objects(clusters, "clusters")
    if len(names) != len(keep):
        raise DataError(f"{len(names)} cluster names for {len(keep)} items: give one per item")
    try:
        codes, found = pd.factorize(names[keep])
    except TypeError as error:
        raise DataError(f"a cluster name cannot be compared ({error}): give text, numbers or tuples") from error
    if (codes < 0).any():
        raise DataError("a cluster name is missing: give every item the id of its instruction")
    return codes, len(found)


# ------------------------------------------------------------------------------------- resampled correlations


def resampled_correlation(kind: str, x: Floats, y: Floats, codes: Codes, k: int) -> Resampled:
    """The function (resamples, clusters) -> (resamples,) that gives one correlation per resample."""
    if kind == "pearson":
        return _resampled_pearson(x, y, codes, k)
    x_codes, y_codes = (np.unique(v, return_inverse=True)[1] for v in (x, y))
    cells, cell_codes = np.unique(np.column_stack([x_codes, y_codes]), axis=0, return_inverse=True)
    if kind == "kendall" and len(cells) > _MOST_KENDALL_CELLS:
        return _looped_kendall(x, y, codes)
    most = k * int(np.bincount(codes).max(initial=0))  # items in the largest resample there can be
    whole = np.float32 if most <= _WHOLE_IN_32_BITS else np.float64
    per_cell = incidence(codes, k, cell_codes.ravel(), len(cells)).astype(whole)
    places = (incidence(np.arange(len(cells)), len(cells), c, int(c.max(initial=-1)) + 1) for c in cells.T)
    to_x, to_y = (table.astype(whole) for table in places)
    from_counts = _spearman_from_counts(cells) if kind == "spearman" else _kendall_from_counts(cells, whole)

    def resampled(counts: Floats) -> Floats:
        cell = counts.astype(whole) @ per_cell
        return from_counts(cell, (cell @ to_x).astype(float), (cell @ to_y).astype(float))

    return sliced(resampled, 4 * len(cells))


def _looped_kendall(x: Floats, y: Floats, codes: Codes) -> Resampled:
    """One sort per resample: for thousands of distinct scores the matrix of all pairs would not fit."""

    def resampled(counts: Floats) -> Floats:
        times = counts[:, codes].astype(int)
        return np.array([correlation("kendall", np.repeat(x, t), np.repeat(y, t)) for t in times])

    return resampled


def _resampled_pearson(x: Floats, y: Floats, codes: Codes, k: int) -> Resampled:
    """Pearson needs six sums per cluster; x and y are standardised first so that the sums do not cancel."""
    x, y = _standardise(x), _standardise(y)
    moments = np.column_stack([np.bincount(codes, v, k) for v in (np.ones(len(x)), x, y, x * x, y * y, x * y)])

    def resampled(counts: Floats) -> Floats:
        n, sx, sy, sxx, syy, sxy = (counts @ moments).T
        return _moment_ratio(sxy - sx * sy / n, sxx - sx * sx / n, syy - sy * sy / n, 1e-9 * n)

    return resampled


def _standardise(values: Floats) -> Floats:
    return np.zeros(len(values)) if is_constant(values) else (values - values.mean()) / values.std()


def _spearman_from_counts(cells: Codes) -> Callable[[Floats, Floats, Floats], Floats]:
    """Pearson of mid-ranks, with the ranks worked out anew in every resample."""

    def from_counts(cell: Floats, by_x: Floats, by_y: Floats) -> Floats:
        rank_x, rank_y = centred_midranks(by_x), centred_midranks(by_y)
        covariance = np.einsum("rc,rc,rc->r", cell, rank_x[:, cells[:, 0]], rank_y[:, cells[:, 1]])
        spread_x, spread_y = (np.einsum("rv,rv,rv->r", c, r, r) for c, r in ((by_x, rank_x), (by_y, rank_y)))
        return _moment_ratio(covariance, spread_x, spread_y, 1e-9 * by_x.sum(axis=1))

    return from_counts


def _kendall_from_counts(cells: Codes, whole: type) -> Callable[[Floats, Floats, Floats], Floats]:
    """tau-b: (concordant - discordant) / sqrt(pairs untied in x * pairs untied in y)."""
    order_x, order_y = (np.sign(column[:, None] - column).astype(whole) for column in cells.T)
    signs = order_x * order_y

    def from_counts(cell: Floats, by_x: Floats, by_y: Floats) -> Floats:
        score = np.einsum("rc,rc->r", cell @ signs, cell).astype(float)
        n = by_x.sum(axis=1)
        untied_x, untied_y = (n * n - np.einsum("rv,rv->r", c, c) for c in (by_x, by_y))
        return _moment_ratio(score, untied_x, untied_y, 0.5)

    return from_counts


def _moment_ratio(covariance: Floats, spread_x: Floats, spread_y: Floats, floor: Floats | float) -> Floats:
    """covariance / sqrt(spread_x * spread_y), NaN where a side is constant (its spread not above `floor`)."""
    varies = (spread_x > floor) & (spread_y > floor)
    scale = np.sqrt(np.where(varies, spread_x * spread_y, 1.0))
    return np.where(varies, np.clip(covariance / scale, -1, 1), np.nan)


# --------------------------------------------------------------------------------- differences between judges


def compare_correlations(
    x1: ArrayLike,
    x2: ArrayLike,
    y: ArrayLike,
    kind: Kind = "pearson",
    clusters: ArrayLike | None = None,
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Do judges `x1` and `x2` agree equally well with one rater `y`? Scores (items,); NaN items left out.

    The interval is a paired bootstrap by cluster of corr(x1, y) - corr(x2, y). The p-value is Williams'
    t-test for two dependent correlations that share a variable (Steiger 1980) for Pearson without clusters;
    with clusters, or for rank correlations, it is read off the bootstrap differences (two-sided), as
    Williams' test would take answers to one instruction for independent; never below 2 ** (1 - clusters), the
    chance that so many coins fall alike, because few clusters resample themselves too faithfully.
    """
    columns, keep = complete_rows(x1=x1, x2=x2, y=y)
    first, second, rater = columns
    codes, k = cluster_codes(clusters, keep)
    r1, r2 = (correlation(kind, x, rater) for x in (first, second))
    one, two = (
        distribution(resampled_correlation(kind, x, rater, codes, k), k, n_resamples, seed) for x in (first, second)
    )
    if kind == "pearson" and clusters is None:
        p, test = _williams(r1, r2, correlation(kind, first, second), len(rater)), "Williams"
    else:
        p, test = max(bootstrap_p(one - two), 2.0 ** (1 - k)), "paired bootstrap by cluster"
    return _comparison(r1 - r2, quantiles(one - two, level), p, len(rater), k, test, level)


def _williams(r1: float, r2: float, r12: float, n: int) -> float:
    """Two-sided p-value of Williams' t with n - 3 degrees of freedom; r12 correlates the two judges."""
    if r1 == r2:
        return 1.0
    if n < 4 or math.isnan(r1 + r2 + r12):
        return math.nan
    determinant = max(1 - r1**2 - r2**2 - r12**2 + 2 * r1 * r2 * r12, 0.0)
    spread = 2 * determinant * (n - 1) / (n - 3) + ((r1 + r2) / 2) ** 2 * (1 - r12) ** 3
    if spread <= 0:
        return 0.0
    t = (r1 - r2) * math.sqrt((n - 1) * (1 + r12) / spread)
    return float(2 * scipy.stats.t.sf(abs(t), n - 3))


def bootstrap_p(differences: Floats) -> float:
    """Twice the smaller tail at zero; one is added to each count so that no finite run claims p = 0."""
    finite = differences[np.isfinite(differences)]
    if len(finite) == 0:
        return math.nan
    tail = min((finite <= 1e-12).sum(), (finite >= -1e-12).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(finite) + 1)))


def compare_accuracies(
    correct1: ArrayLike,
    correct2: ArrayLike,
    clusters: ArrayLike | None = None,
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Is judge 1 more accurate than judge 2 on the same items? Credits per item (items,), see `item_credits`.

    Items with NaN for either judge are left out. The interval is a paired bootstrap by cluster; the p-value
    is McNemar's exact test when no clusters are given and all items that differ do so by the same amount (as 0
    and 1, or 0 and 100), else a permutation test that exchanges the two judges in whole clusters (all ways if
    few, else `n_resamples` random ones).
    """
    first, second, keep = complete(correct1, correct2)
    codes, k = cluster_codes(clusters, keep)
    difference = first - second
    interval = bootstrap_mean(difference, codes, n_resamples=n_resamples, level=level, seed=seed)
    if clusters is None and len(np.unique(np.abs(difference[difference != 0]).round(9))) <= 1:
        p, test = _mcnemar(difference), "McNemar exact"
    else:
        p, test = _sign_flip(np.bincount(codes, difference, k), n_resamples, seed), "permutation by cluster"
    return _comparison(interval.estimate, (interval.low, interval.high), p, len(first), k, test, level)


def _mcnemar(difference: Floats) -> float:
    """Exact: among the items only one judge got right, each judge is as likely to be the one."""
    wins, losses = int((difference > 0).sum()), int((difference < 0).sum())
    if len(difference) == 0:
        return math.nan
    return 1.0 if wins + losses == 0 else float(scipy.stats.binomtest(wins, wins + losses).pvalue)


def _sign_flip(sums: Floats, n_resamples: int, seed: int) -> float:
    """Share of sign patterns over the clusters' summed differences that reach the observed total."""
    if len(sums) == 0:
        return math.nan
    moving = sums[np.abs(sums) > 1e-12]
    threshold = abs(moving.sum()) - 1e-9
    if 2 ** len(moving) <= n_resamples:
        patterns = 1 - 2 * ((np.arange(2 ** len(moving))[:, None] >> np.arange(len(moving))) & 1)
        return float((np.abs(patterns @ moving) >= threshold).mean())
    rng = np.random.default_rng(seed)
    rows = int(np.clip(_BLOCK_SIZE // len(moving), 1, n_resamples))
    sizes = [min(rows, n_resamples - start) for start in range(0, n_resamples, rows)]
    totals = [(1 - 2 * rng.integers(0, 2, (size, len(moving)), dtype=np.int8)) @ moving for size in sizes]
    return float(((np.abs(np.concatenate(totals)) >= threshold).sum() + 1) / (n_resamples + 1))


def _comparison(
    difference: float, limits: tuple[float, float], p: float, n: int, k: int, test: str, level: float
) -> Comparison:
    verdict, more = _verdict(difference, *limits, p, n, level)
    return Comparison(float(difference), *limits, p, n, verdict, more, k, test, level)


def _verdict(difference: float, low: float, high: float, p: float, n: int, level: float) -> tuple[str, int | None]:
    if p < 1 - level and difference != 0:
        return ("first" if difference > 0 else "second"), None
    critical = float(scipy.special.ndtri((1 + level) / 2))
    error = (high - low) / (2 * critical)
    if not (difference and error > 0):
        return "undecided", None
    needed = n * ((critical + _POWER_QUANTILE) * error / abs(difference)) ** 2
    return "undecided", max(1, math.ceil(needed - n)) if math.isfinite(needed) else None


def holm(p_values: Sequence[float] | Mapping[Any, float]) -> list[float] | dict[Any, float]:
    """Holm-corrected p-values of one table, in the order given (a mapping gives a mapping); NaN stays NaN.

    Controls the chance of even one false claim in the table; `Comparison.adjusted` takes the result.
    """
    if isinstance(p_values, Mapping):
        return dict(zip(p_values, holm(list(p_values.values())), strict=True))
    values = vector(p_values, "p_values")
    if np.isnan(values).all():
        return values.tolist()
    from pingouin import multicomp

    return multicomp(values, method="holm")[1].tolist()
