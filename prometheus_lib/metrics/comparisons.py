"""Differences between judges on the same items: paired tests, verdicts, and how many more judgments would tell.

A difference's interval is always a paired bootstrap by cluster. Its p-value comes from

- shares and accuracies: the permutation test that exchanges the two judges in whole clusters (by item: McNemar's);
- correlations and everything else: the paired bootstrap, or Williams' t-test for Pearson without clusters.

A table's p-values are corrected together (`decide`, Holm).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike
from scipy.special import ndtri

from ..records import DataError
from .agreement import Kind, correlation
from .bootstrap import Interval, bootstrap_correlation, bootstrap_means, cluster_sums, interval_of_draws
from .columns import Floats, aligned, complete_rows, labelled, vector

Key = TypeVar("Key", bound=Hashable)

FEWEST_CLUSTERS, TOO_FEW = 10, "too few instructions"  # with fewer, a bootstrap is too sure of itself
_MOST_TOTALS = 2_000_000  # different totals up to which a permutation test is exact
_BLOCK_SIZE = 1_000_000
_ROUNDING = 1e-9  # sums of thirds differ by less where nothing differs


@dataclass(frozen=True)
class Comparison:
    """Two judges on the same items: difference first - second, its interval, and what a test says about it.

    `verdict` is "first", "second", "undecided" or "too few instructions" and follows the p-value (named by `test`),
    never the interval by eye. `p_value` is that of the test alone, `p_holm` the one corrected for the whole table (NaN
    before `decide`); the verdict follows the corrected one where there is one. `more_needed` estimates how many further
    judgments per judge would decide a difference of this size (80 % power); None when decided or when there is no
    difference to scale from. `item_test` and `item_p` name a test that takes items for independent, for comparison
    only.

    >>> found = Comparison(4.0, 1.0, 7.0, 0.01, 100, verdict="first", more_needed=None, n_clusters=50, test="exact")
    >>> found.adjusted(p_holm=0.2, factor=20).verdict
    'undecided'
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
    p_holm: float = math.nan
    item_test: str = ""
    item_p: float = math.nan

    def adjusted(self, p_holm: float, factor: int = 1) -> Comparison:
        """The same comparison under a corrected p-value, verdict redone; `factor` is Holm's, for `more_needed`."""
        decided = p_holm < 1 - self.level and self.difference != 0
        verdict = ("first" if self.difference > 0 else "second") if decided else "undecided"
        more = None if decided else more_needed(self.difference, self.low, self.high, self.n, factor, self.level)
        return replace(self, p_holm=p_holm, verdict=verdict, more_needed=more)


# --- two judges ------------------------------------------------------------------------------------------------------


def compare_intervals(one: Interval, two: Interval, test: str = "paired bootstrap by cluster") -> Comparison:
    """Compare two statistics of the same items, from their resamples: equal seeds, clusters and number of resamples.

    The p-value is twice the smaller tail of the differences at zero; never below 2 ** (1 - clusters), the chance that
    so many coins fall alike, because few clusters resample themselves too faithfully.

    >>> from prometheus_lib.metrics import bootstrap_mean
    >>> good, poor = (bootstrap_mean(right) for right in ([1, 1, 0, 1] * 20, [0, 1, 0, 0] * 20))
    >>> compare_intervals(good, poor).verdict
    'first'
    """
    between = difference(one, two)
    p_value = max(_tail_p(between.draws), 2.0 ** (1 - between.n_clusters))
    return _comparison(between, p_value, test)


def compare_with(interval: Interval, value: float, test: str = "bootstrap by cluster") -> Comparison:
    """Compare a statistic with a fixed value, as `compare_intervals` compares two.

    >>> from prometheus_lib.metrics import bootstrap_mean
    >>> compare_with(bootstrap_mean([1, 1, 1, 0] * 20), 0.5).verdict
    'first'
    """
    fixed = replace(interval, estimate=value, draws=np.full(len(interval.draws), value))
    return compare_intervals(interval, fixed, test)


def difference(one: Interval, two: Interval) -> Interval:
    """Return first minus second, resample by resample: paired where both come from equal seeds and clusters.

    `n` is that of the first, `n_clusters` the smaller one. Raises DataError for different numbers of resamples.

    >>> from prometheus_lib.metrics import bootstrap_mean
    >>> difference(bootstrap_mean([1, 1, 0, 1]), bootstrap_mean([0, 1, 0, 0])).estimate
    0.5
    """
    if len(one.draws) != len(two.draws):
        raise DataError(
            f"intervals of {len(one.draws)} and {len(two.draws)} resamples are not paired: use equal options"
        )
    clusters = min(one.n_clusters, two.n_clusters)
    return interval_of_draws(one.estimate - two.estimate, one.draws - two.draws, one.n, clusters, one.level)


def _comparison(between: Interval, p_value: float, test: str) -> Comparison:
    limits = (between.estimate, between.low, between.high)
    found = Comparison(*limits, p_value, between.n, "undecided", None, between.n_clusters, test, between.level)
    return replace(found.adjusted(p_value), p_holm=math.nan)


def _tail_p(differences: Floats) -> float:
    """Twice the smaller tail at zero; one is added to each count so that no finite run claims p = 0."""
    finite = differences[np.isfinite(differences)]
    if len(finite) == 0:
        return math.nan
    tail = min((finite <= 1e-12).sum(), (finite >= -1e-12).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(finite) + 1)))


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
    with clusters, or for rank correlations, it is read off the bootstrap differences (`compare_intervals`), as
    Williams' test would take answers to one instruction for independent: it is `item_test` then.

    >>> human, good, poor = [1, 2, 3, 4, 5] * 8, [1, 2, 3, 5, 5] * 8, [3, 1, 4, 2, 5] * 8
    >>> found = compare_correlations(good, poor, human, n_resamples=500)
    >>> found.verdict, found.test
    ('first', 'Williams')
    """
    (x1, x2, y, clusters), _ = aligned(x1=x1, x2=x2, y=y, clusters=clusters)
    first, second, rater = vector(x1, "x1"), vector(x2, "x2"), vector(y, "y")
    rater = np.where(np.isfinite(first) & np.isfinite(second), rater, np.nan)  # the same items for both judges
    options: dict[str, Any] = {"n_resamples": n_resamples, "level": level, "seed": seed}
    one, two = (bootstrap_correlation(x, rater, clusters, kind, **options) for x in (first, second))
    if kind != "pearson":
        return compare_intervals(one, two)
    if clusters is None:
        return _comparison(difference(one, two), williams_p(first, second, rater), "Williams")
    return with_item_test(compare_intervals(one, two), first, second, rater)


def with_item_test(found: Comparison, x1: ArrayLike, x2: ArrayLike, y: ArrayLike) -> Comparison:
    """Return a comparison of two Pearson correlations with Williams' test by item beside its own.

    >>> found = compare_intervals(*(interval_of_draws(v, np.full(9, v), 4, 4) for v in (0.5, 0.25)))
    >>> round(with_item_test(found, [1, 2, 3, 4], [2, 1, 4, 4], [1, 2, 4, 3]).item_p, 2)
    0.96
    """
    return replace(found, item_test="Williams", item_p=williams_p(x1, x2, y))


def williams_p(x1: ArrayLike, x2: ArrayLike, y: ArrayLike) -> float:
    """Two-sided p-value of Williams' t-test that `x1` and `x2` correlate equally with `y`; items independent.

    >>> williams_p([1, 2, 3, 4], [1, 2, 3, 4], [1, 3, 2, 4])
    1.0
    """
    (x1, x2, y), _ = aligned(x1=x1, x2=x2, y=y)
    (first, second, rater), _ = complete_rows(x1=x1, x2=x2, y=y)
    pairs = ((first, rater), (second, rater), (first, second))
    return _williams(*(correlation("pearson", *pair) for pair in pairs), len(rater))


def _williams(r1: float, r2: float, r12: float, n: int) -> float:
    """Williams' t with n - 3 degrees of freedom; r12 correlates the two judges."""
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


def compare_accuracies(
    correct1: ArrayLike,
    correct2: ArrayLike,
    clusters: ArrayLike | None = None,
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Is judge 1 more accurate than judge 2 on the same items? Credits per item (items,), see `item_credits`.

    Items with NaN for either judge are left out. The interval is a paired bootstrap by cluster; the p-value is a
    permutation test that exchanges the two judges in whole clusters (see `sign_flip`). Without clusters, and where
    all items that differ do so by the same amount (as 0 and 1), that is McNemar's exact test.

    >>> found = compare_accuracies([1] * 12 + [0] * 8, [1] * 4 + [0] * 16)
    >>> found.verdict, found.test, round(found.p_value, 4)
    ('first', 'McNemar exact', 0.0078)
    """
    options: dict[str, Any] = {"n_resamples": n_resamples, "level": level, "seed": seed}
    return compare_many_accuracies({"": (correct1, correct2)}, clusters, **options)[""]


def compare_many_accuracies(
    pairs: Mapping[Key, tuple[ArrayLike, ArrayLike]],
    clusters: ArrayLike | None = None,
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[Key, Comparison]:
    """`compare_accuracies` of many pairs of judges on the same items, in one pass over the resamples.

    >>> right = {"a": [1, 1, 0, 1], "b": [0, 1, 0, 1], "c": [0, 0, 0, 1]}
    >>> found = compare_many_accuracies({("a", other): (right["a"], right[other]) for other in "bc"})
    >>> [round(each.difference, 2) for each in found.values()]
    [0.25, 0.5]
    """
    gaps = {}
    for key, (correct1, correct2) in pairs.items():
        (one, two), labels = aligned(correct1=correct1, correct2=correct2)
        gaps[key] = labelled(vector(one, "correct1") - vector(two, "correct2"), labels)
    options: dict[str, Any] = {"n_resamples": n_resamples, "seed": seed}
    intervals = bootstrap_means(list(gaps.values()), clusters, level=level, **options)
    return {key: _permuted(gap, each, clusters, **options) for (key, gap), each in zip(gaps.items(), intervals)}


def _permuted(gap: Any, interval: Interval, clusters: ArrayLike | None, n_resamples: int, seed: int) -> Comparison:
    (gap, clusters), _ = aligned(gap=gap, clusters=clusters)
    known = vector(gap, "gap")
    known = known[np.isfinite(known)]
    item_p, exact = sign_flip(known, n_resamples, seed)
    one_size = len(np.unique(np.abs(known[known != 0]).round(9))) <= 1
    item_test = "McNemar exact" if one_size else f"{exact} permutation"
    if clusters is None:
        return _comparison(interval, item_p, item_test)
    p_value, exact = sign_flip(cluster_sums(gap, clusters), n_resamples, seed)
    found = _comparison(interval, p_value, f"{exact} permutation by cluster")
    return replace(found, item_test=item_test, item_p=item_p)


def sign_flip(sums: Floats, n_resamples: int = 10_000, seed: int = 0) -> tuple[float, str]:
    """Return the two-sided p-value of summed differences (clusters,) when the two sides are exchanged, and how it came.

    "exact": over all ways to exchange them, as long as the sums have few different totals (few clusters, or differences
    on a grid, as credits of 0, 1/2 and 1 are); else "Monte Carlo", over `n_resamples` random ways. NaN without
    clusters.

    >>> p_value, how = sign_flip(np.array([1.0, 2.0, 3.0]))
    >>> round(p_value, 3), how
    (0.25, 'exact')
    """
    if len(sums) == 0:
        return math.nan, "exact"
    moving = sums[np.abs(sums) > 1e-12]
    rounding = 1e-9 * (1 + len(moving))  # of the sizes in `_all_totals`: thirds, as of three draws, are not exact
    threshold, known = abs(moving.sum()) - rounding, _all_totals(moving)
    if known is not None:
        totals, chances = known
        return float(min(1.0, chances[np.abs(totals) >= threshold].sum())), "exact"
    rng = np.random.default_rng(seed)
    rows = int(np.clip(_BLOCK_SIZE // len(moving), 1, n_resamples))
    sizes = [min(rows, n_resamples - start) for start in range(0, n_resamples, rows)]
    drawn = [(1 - 2 * rng.integers(0, 2, (size, len(moving)), dtype=np.int8)) @ moving for size in sizes]
    return float(((np.abs(np.concatenate(drawn)) >= threshold).sum() + 1) / (n_resamples + 1)), "Monte Carlo"


def _all_totals(sums: Floats) -> tuple[Floats, Floats] | None:
    """All totals that the sums reach with any signs, and their chances; None where there are too many.

    Equal sizes go together: how many of them are positive is binomial.
    """
    totals, chances = np.zeros(1), np.ones(1)
    for size, times in zip(*np.unique(np.abs(sums).round(9), return_counts=True)):
        if len(totals) * (times + 1) > _MOST_TOTALS:
            return None
        positive = np.arange(times + 1)
        reached = (totals[:, None] + size * (2 * positive - times)).round(9)
        weights = chances[:, None] * scipy.stats.binom.pmf(positive, times, 0.5)
        totals, place = np.unique(reached.ravel(), return_inverse=True)
        chances = np.bincount(place, weights.ravel())
    return totals, chances


# --- many comparisons ------------------------------------------------------------------------------------------------


def decide(found: Mapping[Key, Comparison | None]) -> dict[Key, Comparison]:
    """Return the comparisons of one table with p-values corrected together (Holm) and their verdicts; None left out.

    `more_needed` counts with the correction. With fewer than `FEWEST_CLUSTERS` instructions a bootstrap is too sure of
    itself: the verdict is then "too few instructions", without a p-value, and the comparison takes no part in the
    correction.

    >>> clear = compare_accuracies([1] * 30, [0] * 20 + [1] * 10)
    >>> few = compare_accuracies([1] * 9, [0] * 9)
    >>> [each.verdict for each in decide({"clear": clear, "few": few, "not judged": None}).values()]
    ['first', 'too few instructions']
    """
    known = {key: each for key, each in found.items() if each is not None}
    enough = {key: each.p_value for key, each in known.items() if each.n_clusters >= FEWEST_CLUSTERS}
    corrected, factors = holm(enough), holm_factors(enough)
    too_few = {"p_value": math.nan, "p_holm": math.nan, "verdict": TOO_FEW, "more_needed": None}
    return {
        key: each.adjusted(corrected[key], factors[key]) if key in corrected else replace(each, **too_few)
        for key, each in known.items()
    }


def holm(p_values: Sequence[float] | Mapping[Any, float]) -> list[float] | dict[Any, float]:
    """Holm-corrected p-values of one table, in the order given (a mapping gives a mapping); NaN stays NaN.

    Controls the chance of even one false claim in the table; `decide` does it for comparisons.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    if isinstance(p_values, Mapping):
        return dict(zip(p_values, holm(list(p_values.values())), strict=True))
    values = vector(p_values, "p_values")
    if np.isnan(values).all():
        return values.tolist()
    from pingouin import multicomp

    return multicomp(values, method="holm")[1].tolist()


def holm_factors(p_values: Mapping[Key, float]) -> dict[Key, int]:
    """Return by how much Holm's correction multiplies each p-value: the smallest by the number of tests, and so on.

    >>> holm_factors({"a": 0.04, "b": 0.01, "not tested": math.nan})
    {'b': 2, 'a': 1, 'not tested': 1}
    """
    order = sorted(p_values, key=lambda key: (math.isnan(p_values[key]), round(p_values[key], 12)))
    tests = sum(not math.isnan(p) for p in p_values.values())
    return {key: max(tests - place, 1) for place, key in enumerate(order)}


def more_needed(difference: float, low: float, high: float, n: int, factor: int = 1, level: float = 0.95) -> int | None:
    """Estimate how many more judgments (beside `n`) would decide a difference of this size, with a power of 80 %.

    low, high: its interval of that level; factor: Holm's. None when there is no difference or no width to scale from.

    >>> more_needed(2.0, -1.0, 5.0, n=100)
    360
    """
    tail = (1 - level) / 2
    error = (high - low) / (2 * ndtri(1 - tail))
    if not (abs(difference) > _ROUNDING and error > 0):
        return None
    needed = n * ((ndtri(1 - tail / factor) + ndtri(0.8)) * error / abs(difference)) ** 2
    return max(1, math.ceil(needed - n)) if math.isfinite(needed) else None
