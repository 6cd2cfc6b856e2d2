"""A mean by people's labels where people labelled some items and a judge all of them (prediction-powered inference).

The judge's mean over all items is corrected by its error on those with labels, and the interval counts both sources of
doubt (Angelopoulos and others, 2023). How much the judge is trusted is estimated too (their PPI++), so that a useless
judge makes the interval no wider than the labels alone do.

A judge's errors are seldom symmetric: one that prefers a side errs in one direction only. With some 60 labels Student's
interval then holds the truth 93 times in 100. So skewness is taken out first (Hall, On the removal of skewness by
transformation, 1992), which makes it 95 (`perf/corrected.py`). Where fewer than about five labels contradict the judge,
nothing can know how often it errs, and it stays at 92.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ..records import DataError
from .bootstrap import cluster_codes
from .columns import Floats, aligned, vector

FEWEST_LABELS = 10  # clusters with labels, below which no interval is given


@dataclass(frozen=True)
class Corrected:
    """A corrected mean with its interval, beside the judge's own mean and that of the labels alone.

    `trust` is the weight of the judge, 0 to 1; `effective` how many labels alone would give as short an interval.

    >>> found = corrected_mean([1, 2, 3, 4] * 10, [1, 2, 3, 4] * 5 + [None] * 20)
    >>> found.estimate, found.labels_only, found.labelled
    (2.5, 2.5, 20)
    """

    estimate: float
    low: float
    high: float
    judge_only: float
    labels_only: float
    labels_low: float
    labels_high: float
    trust: float
    effective: int
    labelled: int
    n: int


def corrected_mean(
    judged: ArrayLike, labels: ArrayLike, clusters: ArrayLike | None = None, level: float = 0.95
) -> Corrected:
    """Return the mean that people would give to all items, from the judge's scores and the labels of some.

    judged, labels: (items,), a missing value where the judge was not read or nobody labelled; for a win rate 1, 0.5 and
    0. Items without a readable judgment are left out of both. `clusters` names each item's instruction, whose items
    vary together. The items with labels must be a random sample of all: labels for the interesting ones correct
    nothing. With fewer than 10 clusters labelled the interval is NaN.

    >>> rng = np.random.default_rng(1)
    >>> truth = rng.normal(3, 1, 400)
    >>> judged, labels = truth + 0.7 + rng.normal(0, 0.3, 400), np.where(np.arange(400) < 50, truth, np.nan)
    >>> found = corrected_mean(judged, labels)
    >>> [bool(each) for each in (found.low < truth.mean() < found.high, found.judge_only - truth.mean() > 0.6)]
    [True, True]
    """
    (judged, labels, clusters), _ = aligned(judged=judged, labels=labels, clusters=clusters)
    scores, said = vector(judged, "judged"), vector(labels, "labels")
    if len(scores) != len(said):
        raise DataError(f"{len(scores)} judged items and {len(said)} labels: give one label, or None, for each item.")
    groups, _ = cluster_codes(clusters, np.ones(len(scores), dtype=bool))
    kept = np.isfinite(scores)
    scores, said, groups = scores[kept], said[kept], groups[kept]
    has = np.isfinite(said)
    if not has.any():
        raise DataError("no item has both a label and a readable judgment: nothing tells how far the judge is off.")
    return _corrected(scores, said, has, groups, level)


def _corrected(scores: Floats, said: Floats, has: np.ndarray, groups: np.ndarray, level: float) -> Corrected:
    known, rest, y = scores[has], scores[~has], said[has]
    trust = _trust(known, y, len(rest))
    others = rest.mean() if len(rest) else known.mean()
    estimate = y.mean() + trust * (others - known.mean())
    influence = np.zeros(len(scores))
    errors = y - trust * known
    influence[has] = (errors - errors.mean()) / len(y)
    if len(rest):
        influence[~has] = trust * (rest - others) / len(rest)
    both, alone = _sums(influence, groups), _sums((y - y.mean()) / len(y), groups[has])
    labelled = len(alone)
    reach = stats.t.ppf((1 + level) / 2, labelled - 1) if labelled >= FEWEST_LABELS else math.nan
    spread, spread_alone = _spread(both), _spread(alone)
    effective = round(len(y) * (spread_alone / spread) ** 2) if spread > 0 else len(y)
    return Corrected(
        float(estimate), *_ends(estimate, both, reach), float(scores.mean()),
        float(y.mean()), *_ends(y.mean(), alone, reach), trust, effective, int(has.sum()), len(scores),
    )  # fmt: skip


def _trust(known: Floats, y: Floats, rest: int) -> float:
    """The weight of the judge that makes the variance least (PPI++, equation 6), kept from 0 to 1."""
    variance = known.var(ddof=1) if len(known) > 1 else 0.0
    if rest == 0 or variance <= 0:
        return 0.0
    covariance = float(np.cov(known, y)[0, 1])
    return float(np.clip(covariance / variance / (1 + len(known) / rest), 0.0, 1.0))


def _sums(influence: Floats, groups: np.ndarray) -> Floats:
    """The influence of each cluster; clusters are independent."""
    return np.bincount(np.unique(groups, return_inverse=True)[1], weights=influence)


def _spread(sums: Floats) -> float:
    """The standard error of the sum of independent influences."""
    return math.sqrt(len(sums) / (len(sums) - 1) * float((sums**2).sum())) if len(sums) > 1 else math.nan


def _ends(estimate: float, sums: Floats, reach: float) -> tuple[float, float]:
    """An interval's ends, `reach` standard errors away in the measure in which the estimate is not skewed."""
    spread = _spread(sums)
    skew = float((sums**3).sum()) / spread**3 if spread > 0 else 0.0

    def back(t: float) -> float:
        return t if abs(skew) < 1e-9 else 3 / skew * (float(np.cbrt(1 + skew * (t - skew / 6))) - 1)

    return float(estimate - spread * back(reach)), float(estimate - spread * back(-reach))
