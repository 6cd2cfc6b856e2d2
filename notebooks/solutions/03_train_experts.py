"""Solutions of the exercises of notebook 03; look after you have tried."""

from __future__ import annotations

import math

warm_up = 200_000 / (8 * 4)


def build(prompt: list[int], answer: list[int], end: int, limit: int) -> tuple[list[int], list[int]] | None:
    """Return a row's tokens and its labels, None where it does not fit."""
    ids = [*prompt, *answer, end]
    return (ids, [-100] * len(prompt) + ids[len(prompt) :]) if len(ids) <= limit else None


def project(steps: int, peak: float) -> list[float]:
    """Return the learning rate of each step: 10 % of the steps rise to the peak, then half a cosine falls to zero."""
    warm = int(0.1 * steps)
    rising = [peak * step / warm for step in range(warm)]
    falling = [0.5 * peak * (1 + math.cos(math.pi * step / (steps - warm))) for step in range(steps - warm)]
    return rising + falling
