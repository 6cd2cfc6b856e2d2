"""How far raters agree: correlations of scores, Krippendorff's alpha, Cohen's kappa (Tables 3, 11, 12, 14).

The public face is `metrics`, which states the conventions; here is the arithmetic. A statistic that is undefined
(constant scores, one item) is NaN, without warning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ..records import DataError
from .columns import Floats, complete, divide, matrix, objects, same_length

Kind = Literal["pearson", "spearman", "kendall"]
Codes = NDArray[np.intp]
Resampled = Callable[[Floats], Floats]

CORRELATIONS: tuple[Kind, ...] = ("pearson", "spearman", "kendall")
LEVELS = ("nominal", "ordinal", "interval", "ratio")

_RATERS_BY_ITEMS = "one row per rater and one column per item"
_LIBRARY_CELLS = 10_000_000  # items x values x values that the krippendorff package may hold in memory
_RATIO_VALUES = 5_000  # level "ratio" needs every pair of values
_SLICE_CELLS = 20_000_000  # numbers held at a time while resamples are worked out
_DENSE_CELLS = 200_000


@dataclass(frozen=True)
class Correlations:
    """Agreement of two score columns (Tables 3, 11, 12). `n` pairs were used, `dropped` lacked a score."""

    pearson: float
    spearman: float
    kendall: float
    n: int
    dropped: int


# ----------------------------------------------------------------------------------------------- correlations


def mean_scores(draws: ArrayLike) -> Floats:
    """Mean over an item's parsed draws: (items, draws), NaN for unparsed -> (items,); NaN where none parsed.

    The paper scores an item by the mean of three draws before correlating (appendix B, Table 8).
    """
    table = matrix(draws, "draws", "one row per item and one column per draw")
    readable = np.isfinite(table)
    return divide(np.where(readable, table, 0.0).sum(axis=1), readable.sum(axis=1))


def correlations(x: ArrayLike, y: ArrayLike) -> Correlations:
    """Pearson, Spearman and Kendall's tau-b of scores `x` and `y`, both (items,): Tables 3, 11 and 12.

    Pairs with a missing score on either side are dropped and counted. With fewer than two pairs, or when one
    side is constant (every judge that always says 3), all three are NaN: there is no order to agree on, which
    is not agreement zero.
    """
    first, second, keep = complete(x, y)
    values = [correlation(kind, first, second) for kind in CORRELATIONS]
    return Correlations(*values, n=len(first), dropped=int((~keep).sum()))


def correlation(kind: str, x: Floats, y: Floats) -> float:
    """One correlation of complete scores (items,), by scipy; NaN where undefined."""
    functions = {"pearson": "pearsonr", "spearman": "spearmanr", "kendall": "kendalltau"}
    if kind not in functions:
        raise DataError(f"unknown correlation {kind!r}; use one of {', '.join(CORRELATIONS)}")
    if len(x) < 2 or is_constant(x) or is_constant(y):
        return math.nan
    with np.errstate(all="ignore"):
        return float(getattr(scipy.stats, functions[kind])(x, y).statistic)


def is_constant(values: Floats) -> bool:
    """Do the values differ by no more than rounding? Means of equal scores may differ in the last digit."""
    return len(values) == 0 or bool(np.ptp(values) <= 1e-12 * np.abs(values).max())


# ----------------------------------------------------------------------------------------------- Cohen's kappa


def cohen_kappa(a: ArrayLike, b: ArrayLike, weights: Literal["linear", "quadratic"] | None = None) -> float:
    """Cohen's kappa of two raters' labels (items,); rows with a label missing are left out.

    Labels may be of any kind; with `weights` they must be numbers, and distances count the steps between the
    labels that occur, as in scikit-learn. NaN when nothing is left or both raters use one and the same label.
    """
    first, second = objects(a, "a"), objects(b, "b")
    same_length(a=first, b=second)
    keep = ~(pd.isna(first) | pd.isna(second))
    numbers, labels = pd.factorize(np.concatenate([first[keep], second[keep]]))
    if len(labels) < 2:
        return math.nan
    if weights is not None:
        numbers = _places(labels)[numbers]
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score(*np.split(numbers, 2), weights=weights))


def _places(labels: NDArray[np.object_]) -> Codes:
    """Each label's place in ascending order."""
    if not all(isinstance(label, (int, float, np.number)) for label in labels):
        raise DataError("weighted kappa needs numbers as labels, because it needs their order; translate them first")
    return np.argsort(np.argsort(labels.astype(float)))


# ----------------------------------------------------------------------------------------- Krippendorff's alpha


def krippendorff_alpha(
    ratings: ArrayLike,
    level: str = "ordinal",
    value_domain: Sequence[Any] | None = None,
    outside: Literal["error", "clip", "missing"] = "error",
) -> float:
    """Krippendorff's alpha, 1 - observed / expected disagreement, of `ratings` (raters, items), NaN missing.

    Table 14 uses level "ordinal" with a judge's three draws in the place of raters. A table of items x raters
    gives a number too, but another one: transpose it first. Levels are "nominal", "ordinal", "interval" and
    "ratio". Ratings may be text at level "nominal", and at level "ordinal" when `value_domain` lists them in order.

    `value_domain` lists the allowed values; their order is the one of level "ordinal". For a rating beyond it,
    `outside` says what to do: "error" (DataError that names it), "clip" to the lowest or highest allowed number
    (TREC's rule), or "missing".
    NaN when alpha is undefined: one rater, no item rated twice, or a single value throughout (no disagreement is
    expected, so its absence shows nothing).
    """
    table = rating_table(ratings, level, value_domain, outside)
    pairable = table[:, np.isfinite(table).sum(axis=0) >= 2]
    values = np.unique(pairable[np.isfinite(pairable)])
    if len(values) < 2:
        return math.nan
    if pairable.shape[1] * len(values) ** 2 > _LIBRARY_CELLS:  # many distinct values: its tables would not fit
        items = np.arange(pairable.shape[1])
        return float(alpha_of_counts(pairable, level, np.zeros_like(items), 1)(np.ones((1, 1)))[0])
    import krippendorff

    return float(krippendorff.alpha(pairable, level_of_measurement=level))


def rating_table(
    ratings: ArrayLike, level: str, value_domain: Sequence[Any] | None = None, outside: str = "error"
) -> Floats:
    """Ratings as numbers (raters, items), checked against level and domain; see `krippendorff_alpha`."""
    if level not in LEVELS:
        raise DataError(f"unknown level of measurement {level!r}; use one of {', '.join(LEVELS)}")
    if outside not in ("error", "clip", "missing"):
        raise DataError(f"outside must be 'error', 'clip' or 'missing', not {outside!r}")
    domain = None if value_domain is None else list(value_domain)
    if any(isinstance(value, str) for value in domain or ()):
        return _coded_text(ratings, level, domain, outside)
    try:
        table = matrix(ratings, "ratings", _RATERS_BY_ITEMS)
    except DataError:
        if any(isinstance(value, str) for value in np.asarray(ratings, dtype=object).ravel()):
            return _coded_text(ratings, level, domain, outside)
        raise
    return table if domain is None else _within(table, np.array(domain, dtype=float), level, outside)


def _coded_text(ratings: ArrayLike, level: str, domain: list[Any] | None, outside: str) -> Floats:
    """Text ratings as their places in the domain; without one any numbering will do, but only for "nominal"."""
    if level not in ("nominal", "ordinal") or (level == "ordinal" and domain is None):
        raise DataError(
            f"ratings are text, which level {level!r} cannot use: give value_domain in order and level 'ordinal', "
            "or use level 'nominal'"
        )
    cells = np.asarray(ratings, dtype=object)
    if cells.ndim != 2:
        raise DataError(f"ratings must be two-dimensional, {_RATERS_BY_ITEMS}; got shape {cells.shape}")
    missing = pd.isna(cells) | (cells == "nan")  # an array of text cannot hold NaN: numpy writes "nan"
    places = {value: place for place, value in enumerate(domain or pd.unique(cells[~missing]))}
    coded = np.array([places.get(value, np.nan) for value in cells.ravel()], dtype=float).reshape(cells.shape)
    unknown = np.isnan(coded) & ~missing
    if outside != "missing":
        _refuse(set(cells[unknown]), domain or [])
    return coded


def _within(table: Floats, domain: Floats, level: str, outside: str) -> Floats:
    """Treat numbers that the domain does not have; at level "ordinal" the domain's order is the order that counts."""
    if outside == "clip":
        table = np.clip(table, domain.min(), domain.max())
    allowed = np.isin(table, domain)
    wrong = np.isfinite(table) & ~allowed
    if outside != "missing":
        _refuse(set(table[wrong].tolist()), domain.tolist())
    ascending = np.argsort(domain)
    places = ascending[np.searchsorted(domain[ascending], np.where(allowed, table, domain[0]))]
    return np.where(allowed, places if level == "ordinal" else table, np.nan)


def _refuse(unknown: set[Any], domain: list[Any]) -> None:
    if unknown:
        shown = ", ".join(sorted(map(repr, unknown))[:5])
        raise DataError(
            f"ratings {shown} lie outside the value domain {domain}: correct them, or say outside='clip' (to its "
            "lowest or highest number) or outside='missing'"
        )


def alpha_of_counts(table: Floats, level: str, codes: Codes, k: int) -> Resampled:
    """The function (resamples, clusters) -> (resamples,) that gives alpha when cluster j counts counts[:, j] times.

    `table` (raters, items) holds at least two ratings of every item that has any, `codes` (items,) each item's
    cluster of `k`. Alpha needs two sums over items: how often each value occurs and how often each two different
    values meet, so memory and time grow with the ratings, not with the square of the distinct values (level
    "ratio" excepted).
    """
    items, value_codes, times, values = _occurrences(table)
    raters = np.bincount(items, times, len(codes))
    pair_items, low, high, weight = map(np.concatenate, zip(*_meetings(items, value_codes, times, raters)))
    pairs, pair_codes = np.unique(low * max(len(values), 1) + high, return_inverse=True)
    low, high = np.divmod(pairs, max(len(values), 1))
    per_value = incidence(codes[items], k, value_codes, len(values), times)
    per_pair = incidence(codes[pair_items], k, pair_codes, len(pairs), weight)
    expected = _expected(level, values)

    def resampled(counts: Floats) -> Floats:
        totals, met = counts @ per_value, counts @ per_pair
        place = _scale_places(level, totals, values)
        observed = (met * _distances(level, place, low, high)).sum(axis=1)
        varies = (totals > 0.5).sum(axis=1) > 1
        disagreement = divide(observed * (totals.sum(axis=1) - 1), expected(totals, place))
        return np.where(varies, 1 - disagreement, np.nan)

    return sliced(resampled, len(values) + len(pairs))


def _occurrences(table: Floats) -> tuple[Codes, Codes, Floats, Floats]:
    """Item, value number and times of each value that an item got, by items; and the distinct values."""
    raters, items = np.nonzero(np.isfinite(table))
    values, value_codes = np.unique(table[raters, items], return_inverse=True)
    keys, times = np.unique(items * max(len(values), 1) + value_codes, return_counts=True)
    return *np.divmod(keys, max(len(values), 1)), times.astype(float), values


def _meetings(
    items: Codes, values: Codes, times: Floats, raters: Floats
) -> Iterator[tuple[Codes, Codes, Codes, Floats]]:
    """(item, lower value, higher value, weight) of all values that meet in an item; nothing first, so never empty."""
    yield items[:0], values[:0], values[:0], times[:0]
    distinct = np.bincount(items, minlength=len(raters))
    starts = np.cumsum(distinct) - distinct
    for size in np.unique(distinct[distinct > 1]):
        chosen = np.flatnonzero(distinct == size)
        for one in range(size - 1):
            for other in range(one + 1, size):
                a, b = starts[chosen] + one, starts[chosen] + other
                yield chosen, values[a], values[b], 2 * times[a] * times[b] / (raters[chosen] - 1)


def _scale_places(level: str, totals: Floats, values: Floats) -> Floats:
    """Where each value stands on the scale whose squared differences count: (resamples or 1, values)."""
    if level == "ordinal":
        return centred_midranks(totals)
    return (values - values.mean() if level == "interval" and len(values) else values)[None]


def _distances(level: str, place: Floats, low: Codes, high: Codes) -> Floats:
    if level == "nominal":
        return np.ones((1, len(low)))
    difference = place[:, low] - place[:, high]
    return divide(difference, place[:, low] + place[:, high], 0.0) ** 2 if level == "ratio" else difference**2


def _expected(level: str, values: Floats) -> Callable[[Floats, Floats], Floats]:
    """Sum over all pairs of values of how often both occur times their distance."""
    if level == "nominal":
        return lambda totals, place: totals.sum(axis=1) ** 2 - (totals**2).sum(axis=1)
    if level != "ratio":
        return lambda totals, place: (
            2 * (totals.sum(axis=1) * (totals * place**2).sum(axis=1) - (totals * place).sum(axis=1) ** 2)
        )
    if len(values) > _RATIO_VALUES:
        raise DataError(f"{len(values)} distinct ratings are too many for level 'ratio'; round them, or use 'interval'")
    distance = divide(values[:, None] - values, values[:, None] + values, 0.0) ** 2
    return lambda totals, place: ((totals @ distance) * totals).sum(axis=1)


# ------------------------------------------------------------------------------- shared with the resampling


def centred_midranks(counts: Floats) -> Floats:
    """Mean rank of each value's copies, less the mean rank; counts (resamples, values in ascending order)."""
    return counts.cumsum(axis=1) - counts / 2 - counts.sum(axis=1, keepdims=True) / 2


def incidence(codes: Codes, k: int, columns: Codes, width: int, weights: Floats | None = None) -> Any:
    """(clusters, columns) sums of weights; dense while small, because dense products are faster there."""
    data = np.ones(len(codes)) if weights is None else weights
    table = sparse.coo_array((data, (codes, columns)), shape=(k, width)).tocsr()
    return table.toarray() if k * width <= _DENSE_CELLS else table


def sliced(function: Resampled, width: int) -> Resampled:
    """The same function, given few enough resamples at a time that `width` numbers for each fit in memory."""
    rows = max(1, _SLICE_CELLS // max(width, 1))

    def in_slices(counts: Floats) -> Floats:
        parts = [function(counts[start : start + rows]) for start in range(0, len(counts), rows)]
        return np.concatenate(parts) if parts else np.zeros(0)

    return in_slices
