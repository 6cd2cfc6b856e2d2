"""Several differences at once: intervals that hold together, and tests that can say "no difference to speak of".

One correction for a whole list of hypotheses: the largest of all studentised differences (maxT, single step; Westfall
and Young 1993) gives one critical value, and with it intervals that all hold at once with 95 % probability. Because
the resamples are shared, differences that move together cost little. A difference is shown where its interval excludes
zero. That there is none larger than a margin is shown where the 90 % interval of the same kind lies within the margin
on both sides (two one-sided tests, Schuirmann 1987).

With k clusters a bootstrap knows the spread of a difference no better than k - 1 degrees of freedom allow, so the
critical value goes through Student's t, and the spread is widened by the factor k / (k - 1) that resampling loses.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.special import ndtri
from scipy.stats import norm, t

from .bootstrap import Interval
from .columns import Floats
from .comparisons import FEWEST_CLUSTERS

Key = TypeVar("Key", bound=Hashable)

LEVEL = 0.95
_POWER = 0.8


@dataclass(frozen=True)
class Joint:
    """One of several differences: its interval and p-values, corrected for all of them.

    `p_value` tests that there is no difference, `p_none` that it is at least as large as the margin, one way or the
    other: small values of the latter say that it is smaller. `more_needed` estimates how many further judgments of each
    judge would decide it either way, were it as large as it looks (power 80 %); None where it is decided. All are NaN
    or None, the ends of the interval too, where it rests on too few clusters.

    >>> Joint(0.4, -3.0, 3.8, p_value=0.8, p_none=0.3, n=80, n_clusters=20, more_needed=900).sign
    '?'
    """

    difference: float
    low: float
    high: float
    p_value: float
    p_none: float
    n: int
    n_clusters: int
    more_needed: int | None = None

    @property
    def sign(self) -> str:
        """Return what is shown: "+" or "-" for a difference, "0" for none larger than the margin, "?" for nothing.

        >>> Joint(1.0, 0.2, 1.8, 0.01, 0.9, 80, 20).sign, Joint(0.1, -1.0, 1.2, 0.8, 0.02, 80, 20).sign
        ('+', '0')
        """
        if self.p_value < 1 - LEVEL:
            return "+" if self.difference > 0 else "-"
        return "0" if self.p_none < 1 - LEVEL else "?"


def simultaneous(differences: Mapping[Key, Interval], margins: Mapping[Key, float]) -> dict[Key, Joint]:
    """Return intervals and p-values of several differences that hold together.

    differences: each with as many resamples, those of one benchmark from one seed, so that they move together. margins:
    how large a difference counts as none, in the same unit. A difference on fewer than `FEWEST_CLUSTERS` clusters, or
    undefined, takes no part.

    >>> rng = np.random.default_rng(0)
    >>> from prometheus_lib.metrics.bootstrap import bootstrap_mean
    >>> clear, none = (bootstrap_mean(rng.normal(mean, 1, 100), n_resamples=2000) for mean in (1.0, 0.0))
    >>> found = simultaneous({"clear": clear, "none": none}, {"clear": 0.5, "none": 0.5})
    >>> found["clear"].sign, found["none"].sign
    ('+', '0')
    """
    tested = {key: each for key, each in differences.items() if _is_testable(each)}
    largest = _largest([_studentised(each) for each in tested.values()])
    return {
        key: _joint(each, margins[key], largest) if key in tested else _untested(each)
        for key, each in differences.items()
    }


def _is_testable(each: Interval) -> bool:
    return each.n_clusters >= FEWEST_CLUSTERS and math.isfinite(each.estimate) and bool(np.isfinite(each.draws).any())


def _untested(each: Interval) -> Joint:
    return Joint(each.estimate, math.nan, math.nan, math.nan, math.nan, each.n, each.n_clusters)


def _spread(each: Interval) -> float:
    """Standard error of a difference; resampling k clusters gives (k - 1) / k of its variance."""
    return float(np.nanstd(each.draws)) * math.sqrt(each.n_clusters / (each.n_clusters - 1))


def _studentised(each: Interval) -> Floats:
    """How far each resample (resamples,) lies from the estimate, in standard errors; 0 where it is undefined."""
    spread = float(np.nanstd(each.draws))
    if spread == 0:
        return np.zeros(len(each.draws))
    return np.nan_to_num(np.abs(each.draws - each.estimate) / spread)


def _largest(columns: Sequence[Floats]) -> Floats:
    """The largest of all studentised differences in each resample (resamples,), in ascending order."""
    return np.sort(np.max(columns, axis=0)) if columns else np.zeros(0)


def _joint(each: Interval, margin: float, largest: Floats) -> Joint:
    spread, freedom = _spread(each), each.n_clusters - 1
    both, one_sided = (_as_t(float(np.quantile(largest, level)), freedom) for level in (LEVEL, 2 * LEVEL - 1))
    least = max(1 / (len(largest) + 1), 2.0**-freedom)  # so many coins fall alike as often

    def beyond(distance: float) -> float:
        return max(_share_beyond(distance, spread, freedom, largest), least)

    p_value = 1.0 if each.estimate == 0 else beyond(abs(each.estimate))
    left = margin - abs(each.estimate)
    p_none = max(beyond(left) / 2, least) if left > 0 else 1.0
    half = both * spread
    limits = (each.estimate, each.estimate - half, each.estimate + half)
    decided = min(p_value, p_none) < 1 - LEVEL
    more = None if decided else _more_needed(each.estimate, spread, each.n, margin, both, one_sided)
    return Joint(*limits, p_value, p_none, each.n, each.n_clusters, more)


def _as_t(critical: float, freedom: int) -> float:
    """The value that Student's t exceeds as often as a normal one exceeds `critical`."""
    return float(t.isf(norm.sf(critical), freedom))


def _share_beyond(distance: float, spread: float, freedom: int, largest: Floats) -> float:
    """How often the largest of all studentised differences is as large as this distance."""
    if spread == 0:
        return 0.0
    normal = float(norm.isf(t.sf(distance / spread, freedom)))
    return float((len(largest) - np.searchsorted(largest, normal - 1e-9) + 1) / (len(largest) + 1))


def _more_needed(difference: float, spread: float, n: int, margin: float, both: float, one_sided: float) -> int | None:
    """How many more judgments would show the difference, or, if that takes fewer, that it is within the margin."""
    factors = []
    if difference:
        factors.append((both + ndtri(_POWER)) * spread / abs(difference))
    if abs(difference) < margin:
        factors.append((one_sided + ndtri((1 + _POWER) / 2)) * spread / (margin - abs(difference)))
    if not factors or not spread:
        return None
    return max(1, math.ceil(n * min(factors) ** 2 - n))
