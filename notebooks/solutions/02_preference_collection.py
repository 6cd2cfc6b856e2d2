"""Solutions of the exercises of notebook 02; look after you have tried."""

from __future__ import annotations

import random
from itertools import permutations

warm_up = 6 / 10  # ten pairs, of which four are neighbours


def build(scores: list[float]) -> list[tuple[int, int]]:
    """Return all pairs of positions (worse, better), sorted; equal scores are no pair."""
    return sorted((w, b) for w, b in permutations(range(len(scores)), 2) if scores[w] < scores[b])


def project(pairs: list[tuple[int, int]], seed: int) -> list[str]:
    """Return which label each pair of scores gets, so that A and B are balanced in each gap and in all."""
    order = list(range(len(pairs)))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda n: abs(pairs[n][0] - pairs[n][1]))  # gap after gap, in chance order within
    labels = {n: "AB"[place % 2] for place, n in enumerate(order)}
    return [labels[n] for n in range(len(pairs))]
