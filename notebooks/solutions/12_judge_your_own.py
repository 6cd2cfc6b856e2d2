"""Solutions of the exercises of notebook 12; look after you have tried."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

warm_up = 7.5  # 4 is three quarters of the way from 1 to 5, so three quarters of the way from 0 to 10


def build(decisions: Sequence[str | None]) -> float:
    """Return the share of B in the decisions that were read, a tie counting half; NaN without any."""
    read = [{"A": 0.0, "tie": 0.5, "B": 1.0}[decision] for decision in decisions if decision is not None]
    return sum(read) / len(read) if read else float("nan")


def project(ids: Sequence[str], k: int, seed: int) -> list[str]:
    """Draw k different items to label; the same seed draws the same ones."""
    if k > len(ids):
        raise ValueError(f"{k} of {len(ids)} items cannot be drawn")
    return [ids[place] for place in np.random.default_rng(seed).permutation(len(ids))[:k]]
