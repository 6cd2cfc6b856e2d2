"""How far two columns agree: correlations of scores, Cohen's kappa of labels (Tables 3, 11, 12).

A statistic that is undefined (constant scores, one item) is NaN, without warning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import ArrayLike

from ..records import DataError
from .columns import (
    Floats,
    Objects,
    aligned,
    complete_rows,
    divide,
    labelled,
    matrix,
    none_alike,
    objects,
    one_kind,
    some_shared,
)  # fmt: skip
from .counting import Codes, Resampled, centred_midranks, incidence, sliced

Kind = Literal["pearson", "spearman", "kendall"]

CORRELATIONS: tuple[Kind, ...] = ("pearson", "spearman", "kendall")

_MOST_KENDALL_CELLS = 4_000  # distinct (x, y) pairs; scores from 1 to 5 in thirds have at most 169
_WHOLE_IN_32_BITS = 4_096  # counts of so many items, squared, are whole numbers that 32-bit floats hold exactly


@dataclass(frozen=True)
class Correlations:
    """Agreement of two score columns (Tables 3, 11, 12). `n` pairs were used, `dropped` lacked a score.

    >>> from prometheus_lib.metrics import correlations
    >>> found = correlations([1, 2, 3, None], [2, 4, 6, 5])
    >>> round(found.pearson, 6), found.n, found.dropped
    (1.0, 3, 1)
    """

    pearson: float
    spearman: float
    kendall: float
    n: int
    dropped: int


# --- correlations ----------------------------------------------------------------------------------------------------


def mean_scores(draws: ArrayLike) -> Floats | pd.Series:
    """Mean over an item's parsed draws: (items, draws), NaN for unparsed -> (items,); NaN where none parsed.

    The paper scores an item by the mean of three draws before correlating (appendix B, Table 8). A data frame (one row
    per item) gives a Series with its index.

    >>> mean_scores([[5, 4, 3], [2, None, 3], [None, None, None]])
    array([4. , 2.5, nan])
    """
    table = matrix(draws, "draws", "one row per item and one column per draw")
    readable = np.isfinite(table)
    means = divide(np.where(readable, table, 0.0).sum(axis=1), readable.sum(axis=1))
    return labelled(means, draws.index if isinstance(draws, pd.DataFrame) else None)


def correlations(x: ArrayLike, y: ArrayLike) -> Correlations:
    """Pearson, Spearman and Kendall's tau-b of scores `x` and `y`, both (items,): Tables 3, 11 and 12.

    Two Series are matched by their index, anything else by position (see `columns`). Pairs with a missing score on
    either side are dropped and counted. With fewer than two pairs, or when one side is constant (every judge that
    always says 3), all three are NaN: there is no order to agree on, which is not agreement zero.

    >>> found = correlations([1, 2, 3, 4, None], [1, 3, 2, 4, 5])
    >>> round(found.pearson, 3), round(found.kendall, 3), found.n, found.dropped
    (0.8, 0.667, 4, 1)
    """
    (x, y), _ = aligned(x=x, y=y)
    (first, second), keep = complete_rows(x=x, y=y)
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


# --- Cohen's kappa ---------------------------------------------------------------------------------------------------


def cohen_kappa(
    a: ArrayLike,
    b: ArrayLike,
    weights: Literal["linear", "quadratic"] | None = None,
    labels: Sequence[Any] | None = None,
) -> float:
    """Cohen's kappa of two raters' labels (items,); rows with a label missing are left out.

    Labels may be of any kind, but all of one type: 1 and "1" are never equal, so a mixture is a DataError; so are texts
    that differ in case or blanks only, and texts that one rater alone uses while the other has texts of its own. Two
    Series are matched by their index.

    With `weights`, distances count steps along `labels`, all the labels that the scale allows, in order: say
    `labels=[1, 2, 3, 4, 5]`, because the scale defines the distances, not what happens to occur. Without `labels` they
    count the steps between the labels that occur, as in scikit-learn, and these must be numbers. A label that is not in
    `labels` is a DataError. NaN when nothing is left or both raters use one and the same label.

    >>> cohen_kappa(["yes", "no", "no", "yes"], ["yes", "no", "yes", "yes"])
    0.5
    >>> round(cohen_kappa([1, 5, 2, 5, 1], [2, 5, 1, 1, 1], "linear", labels=[1, 2, 3, 4, 5]), 3)
    0.348
    """
    (a, b), _ = aligned(a=a, b=b)
    first, second = objects(a, "a"), objects(b, "b")
    keep = ~(pd.isna(first) | pd.isna(second))
    first, second = first[keep], second[keep]
    scale = objects(list(labels) if labels is not None else [], "labels")
    one_kind(a=first, b=second, labels=scale)
    numbers, found = pd.factorize(np.concatenate([scale, first, second]))
    _check_labels(found, weights, scale if labels is not None else None)
    if labels is None:
        some_shared(a=first, b=second)
    rated = numbers[len(scale) :]
    if len(np.unique(rated)) < 2:
        return math.nan
    if weights is not None and labels is None:
        rated = np.argsort(np.argsort(found.astype(float)))[rated]
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score(*np.split(rated, 2), weights=weights, labels=np.arange(len(found))))


def _check_labels(found: Objects, weights: str | None, scale: Objects | None) -> None:
    """Refuse labels that look alike, labels beyond the scale, and distances between labels without an order."""
    none_alike(found)
    if scale is not None and len(set(scale)) < len(scale):
        raise DataError(f"labels {list(scale)} name one label twice")
    if scale is not None and len(found) > len(scale):
        raise DataError(f"label {found[len(scale)]!r} is not among labels {list(scale)}: correct it, or add it")
    if scale is None and weights is not None and not all(isinstance(label, (int, float, np.number)) for label in found):
        raise DataError("weighted kappa needs an order: use numbers as labels, or give all labels in order (labels=)")


# --- correlations of many resamples ----------------------------------------------------------------------------------


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


def resampled_partial(x: Floats, y: Floats, held: Floats, codes: Codes, k: int) -> Resampled:
    """The function (resamples, clusters) -> (resamples,) of Pearson's correlation of x and y with `held` constant."""
    each = [resampled_correlation("pearson", *pair, codes, k) for pair in ((x, y), (x, held), (y, held))]
    return lambda counts: _partial(*(correlation(counts) for correlation in each))


def partial_correlation(x: Floats, y: Floats, held: Floats) -> float:
    """Pearson's correlation of x and y with `held` constant, of complete columns (items,); NaN where undefined."""
    return float(_partial(*(np.float64(correlation("pearson", *pair)) for pair in ((x, y), (x, held), (y, held)))))


def _partial(xy: Floats, x_held: Floats, y_held: Floats) -> Floats:
    return divide(xy - x_held * y_held, np.sqrt(np.clip((1 - x_held**2) * (1 - y_held**2), 0, None)))


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
        products = (sxy - divide(sx * sy, n), sxx - divide(sx * sx, n), syy - divide(sy * sy, n))
        return _moment_ratio(*products, 1e-9 * n)  # NaN where a resample holds no complete pair

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
