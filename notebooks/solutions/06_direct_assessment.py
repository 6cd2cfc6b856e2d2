"""Solutions of the exercises of notebook 06; look after you have tried."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

warm_up = -0.4  # the distances from the mean change their sign and keep their size


def build(x: Sequence[float | None], y: Sequence[float | None]) -> float:
    """Return Kendall's tau-b of two lists of scores; NaN where one of them orders nothing."""
    known = [(a, b) for a, b in zip(x, y, strict=True) if a is not None and b is not None]
    signs = [(np.sign(p[0] - q[0]), np.sign(p[1] - q[1])) for p, q in itertools.combinations(known, 2)]
    ordered = math.sqrt(sum(a != 0 for a, _ in signs) * sum(b != 0 for _, b in signs))
    return float(sum(a * b for a, b in signs) / ordered) if ordered else math.nan


def project(x: Sequence[float], y: Sequence[float], prompts: Sequence[str]) -> tuple[float, float]:
    """Return the 95 % percentile interval of Pearson when whole prompts are drawn."""
    table = pd.DataFrame({"x": x, "y": y, "prompt": prompts})
    parts = [part[["x", "y"]].to_numpy() for _, part in table.groupby("prompt")]
    if len(parts) < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(0)
    drawn = [np.concatenate([parts[n] for n in rng.integers(len(parts), size=len(parts))]) for _ in range(2000)]
    low, high = np.quantile([np.corrcoef(each.T)[0, 1] for each in drawn], [0.025, 0.975])
    return float(low), float(high)
