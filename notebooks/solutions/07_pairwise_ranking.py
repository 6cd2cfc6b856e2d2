"""Solutions of the exercises of notebook 07; look after you have tried."""

from __future__ import annotations

import math
from collections.abc import Sequence

warm_up = 25  # 40 of 160 labels are ties

Decision = str | None
BACK = {"A": "B", "B": "A", "tie": "tie", None: None}
POINTS = {"A": 1.0, "tie": 0.5, "B": 0.0}


def build(decisions: Sequence[Decision], labels: Sequence[str], ties: str) -> float:
    """Return the share of right decisions under one of four rules for ties; NaN where no pair is left."""
    if ties not in ("wrong", "half", "dropped", "gold dropped"):
        raise ValueError(f"unknown rule {ties!r}")
    pairs = list(zip(decisions, labels, strict=True))
    if ties in ("dropped", "gold dropped"):
        pairs = [(said, label) for said, label in pairs if label != "tie"]
    if ties == "dropped":
        pairs = [(said, label) for said, label in pairs if said != "tie"]
    one_tie = 0.5 if ties == "half" else 0.0
    points = [
        1.0 if said == label else one_tie if said is not None and "tie" in (said, label) else 0.0
        for said, label in pairs
    ]
    return sum(points) / len(points) if points else math.nan


def project(first: Sequence[Decision], second: Sequence[Decision]) -> tuple[float, float]:
    """Return how often both orders agree, and how often the response shown first is taken (a tie counts half)."""
    pairs = [(a, BACK[b]) for a, b in zip(first, second, strict=True)]
    alike = [a == b for a, b in pairs if a is not None and b is not None]
    taken = [POINTS[said] for said in (*first, *second) if said is not None]
    mean = [sum(each) / len(each) if each else math.nan for each in (alike, taken)]
    return mean[0], mean[1]
