"""Scores of simulated judges, for the tests of metrics."""

from __future__ import annotations

import numpy as np


def scores(seed: int, n: int = 240, per_cluster: int = 3):
    """Two judges and a rater on a 1-5 scale, with the instruction of each item."""
    rng = np.random.default_rng(seed)
    rater = rng.integers(1, 6, n).astype(float)
    judges = [np.clip(rater + rng.integers(-2, 3, n), 1, 5) for _ in range(2)]
    return judges[0], judges[1], rater, np.repeat(np.arange(n // per_cluster), per_cluster)
