"""Solutions of the exercises of notebook 08; look after you have tried."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

observed = 2 / 8
expected = 1 - (2 * 1 + 2 * 1 + 3 * 2 + 1 * 0) / (8 * 7)  # two 1s, two 5s, three 3s, one 4
warm_up = 1 - observed / expected


def build(decisions: Sequence[tuple[str, str, str | None]]) -> int:
    """Count the sets of three items in which each wins once."""
    won = {frozenset((x, y)): winner for x, y, winner in decisions if winner in (x, y)}
    names = sorted({name for pair in won for name in pair})
    rounds = [
        [won.get(frozenset(pair)) for pair in itertools.combinations(three, 2)]
        for three in itertools.combinations(names, 3)
    ]
    return sum(None not in winners and len(set(winners)) == 3 for winners in rounds)


def project(draws: Sequence[Sequence[int | None]]) -> float:
    """Return the ordinal Krippendorff's alpha of scores from 1 to 5, (responses, draws)."""
    counts = np.array([[list(row).count(score) for score in range(1, 6)] for row in draws], dtype=float).reshape(-1, 5)
    counts = counts[counts.sum(axis=1) >= 2]
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(5)
    table = (pairs / np.maximum(counts.sum(axis=1) - 1, 1)[:, None, None]).sum(axis=0)
    totals = table.sum(axis=1)
    n, middle = totals.sum(), totals.cumsum() - totals / 2
    weights = (middle[:, None] - middle[None, :]) ** 2
    expected = (np.outer(totals, totals) * weights).sum() / (n * (n - 1)) if n else 0.0
    return float(1 - (table * weights).sum() / n / expected) if expected else math.nan
