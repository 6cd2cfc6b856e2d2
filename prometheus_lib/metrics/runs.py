"""Several training runs measured on the same items: how much of a mean is the luck of the runs, how much the items'.

A table (runs, items) holds one value for each item in each run, for two judges their differences. The runs are the
unit: Student's t over the runs' means asks what other runs would give *on these items*. The two-way interval asks what
other runs and other items would give: the variances of a mean clustered by run and by item are added, less the one
that both contain (Cameron, Gelbach and Miller 2011).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

from ..records import DataError


@dataclass(frozen=True)
class RunsMean:
    """A mean over runs and items with its two standard errors: over runs alone, and over both.

    With one run there is no spread between runs: errors, intervals and p-values are NaN.

    >>> found = RunsMean(mean=4.0, runs=5, items=100, error=1.0, both=1.5, freedom=8.0)
    >>> [round(end, 1) for end in found.interval()], round(found.p_value, 3)
    ([1.2, 6.8], 0.016)
    """

    mean: float
    runs: int
    items: int
    error: float
    both: float
    freedom: float

    def interval(self, level: float = 0.95, two_way: bool = False) -> tuple[float, float]:
        """Return the ends of the interval over runs, or of the two-way one.

        >>> RunsMean(4.0, 5, 100, 1.0, 1.5, 8.0).interval(two_way=True)[0] < 1
        True
        """
        error, freedom = (self.both, self.freedom) if two_way else (self.error, self.runs - 1)
        half = float(t.ppf((1 + level) / 2, freedom)) * error if freedom > 0 else math.nan
        return self.mean - half, self.mean + half

    @property
    def p_value(self) -> float:
        """Return the p-value of no difference, two-sided, over runs; NaN where the runs do not vary."""
        return float(2 * t.sf(abs(self.mean) / self.error, self.runs - 1)) if self.error > 0 else math.nan

    def p_none(self, margin: float) -> float:
        """Return the p-value of a difference at least as large as the margin, one way or the other (two tests).

        >>> RunsMean(0.1, 5, 100, 0.2, 0.4, 8.0).p_none(margin=2.0) < 0.001
        True
        """
        left = margin - abs(self.mean)
        return float(t.sf(left / self.error, self.runs - 1)) if self.error > 0 else math.nan


def over_runs(table: ArrayLike) -> RunsMean:
    """Return the mean of a table shaped (runs, items), with its standard errors.

    DataError for a table of another shape or with missing values.

    >>> found = over_runs([[1, 0, 1, 1], [1, 1, 1, 1], [0, 0, 1, 1]])
    >>> found.mean, found.runs, found.items, round(found.error, 3)
    (0.75, 3, 4, 0.144)
    """
    values = np.asarray(table, dtype=float)
    if values.ndim != 2 or 0 in values.shape or np.isnan(values).any():
        raise DataError(f"a table of shape (runs, items) without missing values is needed, not {values.shape}.")
    runs, items = values.shape
    if min(runs, items) < 2:
        return RunsMean(float(values.mean()), runs, items, math.nan, math.nan, math.nan)
    by_run = float(values.mean(axis=1).var(ddof=1)) / runs
    by_item = float(values.mean(axis=0).var(ddof=1)) / items
    apart = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    shared = float((apart**2).sum()) / ((runs - 1) * (items - 1)) / (runs * items)
    both = max(by_run + by_item - shared, by_run, by_item)
    weights = by_run**2 / (runs - 1) + by_item**2 / (items - 1)
    freedom = both**2 / weights if weights else float(runs - 1)
    return RunsMean(float(values.mean()), runs, items, math.sqrt(by_run), math.sqrt(both), freedom)
