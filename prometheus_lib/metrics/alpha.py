"""Krippendorff's alpha (Table 14): agreement of any number of raters, with ratings missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..records import DataError
from .columns import Floats, Objects, cells, divide, matrix, none_alike, objects, one_kind, some_shared
from .counting import Codes, Resampled, centred_midranks, incidence, sliced

Level = Literal["nominal", "ordinal", "interval", "ratio"]
Outside = Literal["error", "clip", "missing"]

LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval", "ratio")

_RATERS_BY_ITEMS = "one row per rater and one column per item"
_LIBRARY_CELLS = 1_000_000  # items x values x values up to which the krippendorff package is quick
_RATIO_VALUES = 5_000  # level "ratio" needs every pair of values


def krippendorff_alpha(
    ratings: ArrayLike,
    level: Level = "ordinal",
    labels: Sequence[Any] | None = None,
    outside: Outside = "error",
) -> float:
    """Krippendorff's alpha, 1 - observed / expected disagreement, of `ratings` (raters, items), NaN missing.

    Table 14 uses level "ordinal" with a judge's three draws in the place of raters. A table of items x raters
    gives a number too, but another one: transpose it first. Levels are "nominal", "ordinal", "interval" and
    "ratio". Ratings may be text at level "nominal", and at level "ordinal" when `labels` lists them in order.

    `labels` are all the ratings that the scale allows (the value domain); their order is the one of level "ordinal".
    For a rating beyond them, `outside` says what to do: "error" (DataError that names it), "clip" to the lowest or
    highest allowed number (TREC's rule), or "missing". Ratings of different types (1 and "1") are a DataError.
    NaN when alpha is undefined: one rater, no item rated twice, or a single value throughout (no disagreement is
    expected, so its absence shows nothing).

    >>> three_draws = [[4, 2, 5, 1], [4, 3, 5, 1], [4, 2, 4, None]]
    >>> round(krippendorff_alpha(three_draws), 3)
    0.901
    >>> round(krippendorff_alpha([["good", "bad", "good"], ["good", "bad", "bad"]], "nominal"), 3)
    0.444
    """
    table = rating_table(ratings, level, labels, outside)
    pairable = table[:, np.isfinite(table).sum(axis=0) >= 2]
    values = np.unique(pairable[np.isfinite(pairable)])
    if len(values) < 2:
        return math.nan
    if pairable.shape[1] * len(values) ** 2 > _LIBRARY_CELLS:  # its tables would be slow to fill, or not fit
        one_cluster = np.zeros(pairable.shape[1], dtype=np.intp)
        return float(alpha_of_counts(pairable, level, one_cluster, 1)(np.ones((1, 1)))[0])
    import krippendorff

    return float(krippendorff.alpha(pairable, level_of_measurement=level))


# --- what ratings may be ---------------------------------------------------------------------------------------------


def rating_table(ratings: ArrayLike, level: str, labels: Sequence[Any] | None = None, outside: str = "error") -> Floats:
    """Ratings as numbers (raters, items), checked against level and labels; see `krippendorff_alpha`."""
    if level not in LEVELS:
        raise DataError(f"unknown level of measurement {level!r}; use one of {', '.join(LEVELS)}")
    if outside not in ("error", "clip", "missing"):
        raise DataError(f"outside must be 'error', 'clip' or 'missing', not {outside!r}")
    allowed = None if labels is None else list(labels)
    if _is_plain(ratings) and not any(isinstance(each, str) for each in allowed or ()):
        table = matrix(ratings, "ratings", _RATERS_BY_ITEMS)
    else:
        given = cells(ratings, "ratings")
        one_kind(ratings=given, labels=objects(allowed or [], "labels"))
        if any(isinstance(each, str) for each in given.ravel()):
            return _coded_text(given, level, allowed, outside)
        table = matrix(given, "ratings", _RATERS_BY_ITEMS)
    return table if allowed is None else _within(table, np.array(allowed, dtype=float), level, outside)


def _is_plain(ratings: Any) -> bool:
    """An array of numbers of one type needs no look at each of them."""
    return isinstance(ratings, np.ndarray) and ratings.dtype.kind in "biuf"


def _coded_text(given: Objects, level: str, labels: list[Any] | None, outside: str) -> Floats:
    """Text ratings as their places among the labels; without them any numbering will do, but only for "nominal"."""
    if level not in ("nominal", "ordinal") or (level == "ordinal" and labels is None):
        raise DataError(
            f"ratings are text, which level {level!r} cannot use: give labels in order and level 'ordinal', or use "
            "level 'nominal'"
        )
    if given.ndim != 2:
        raise DataError(f"ratings must be two-dimensional, {_RATERS_BY_ITEMS}; got shape {given.shape}")
    missing = pd.isna(given)
    none_alike([*(labels or []), *pd.unique(given[~missing])])
    if labels is None:
        some_shared(**{f"ratings[{rater}]": row for rater, row in enumerate(given)})
    places = {value: place for place, value in enumerate(labels or pd.unique(given[~missing]))}
    coded = np.array([places.get(value, np.nan) for value in given.ravel()], dtype=float).reshape(given.shape)
    unknown = np.isnan(coded) & ~missing
    if outside != "missing":
        _refuse(set(given[unknown]), labels or [])
    return coded


def _within(table: Floats, allowed: Floats, level: str, outside: str) -> Floats:
    """Treat numbers beyond the allowed ones; at level "ordinal" the order of the labels is the order that counts."""
    if outside == "clip":
        table = np.clip(table, allowed.min(), allowed.max())
    known = np.isin(table, allowed)
    wrong = np.isfinite(table) & ~known
    if outside != "missing":
        _refuse(set(table[wrong].tolist()), allowed.tolist())
    ascending = np.argsort(allowed)
    places = ascending[np.searchsorted(allowed[ascending], np.where(known, table, allowed[0]))]
    return np.where(known, places if level == "ordinal" else table, np.nan)


def _refuse(unknown: set[Any], labels: list[Any]) -> None:
    if unknown:
        shown = ", ".join(sorted(map(repr, unknown))[:5])
        raise DataError(
            f"ratings {shown} are not among the labels {labels}: correct them, or say outside='clip' (to the lowest or "
            "highest number) or outside='missing'"
        )


# --- alpha of many resamples -----------------------------------------------------------------------------------------


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
