"""Solutions of the exercises of notebook 09; look after you have tried."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

warm_up = 0.7  # alpha is the share of the direct expert


def build(p_values: Sequence[float]) -> list[float]:
    """Return Holm's corrected p-values in the order given; NaN is no test."""
    tests = [place for place, p in enumerate(p_values) if not math.isnan(p)]
    corrected, before = list(p_values), 0.0
    for rank, place in enumerate(sorted(tests, key=lambda place: p_values[place])):
        before = max(before, min(1.0, p_values[place] * (len(tests) - rank)))
        corrected[place] = before
    return corrected


def project(runs: Mapping[str, Sequence[float]]) -> float:
    """Return how far two runs of one recipe lie apart at most in 95 of 100 cases."""
    freedom = sum(len(each) - 1 for each in runs.values() if each)
    if freedom < 1:
        return math.nan
    squares = sum(float(((np.array(each) - np.mean(each)) ** 2).sum()) for each in runs.values() if each)
    return float(stats.t.ppf(0.975, freedom) * math.sqrt(2) * math.sqrt(squares / freedom))
