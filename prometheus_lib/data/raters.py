"""Simulated raters, who err as GPT-4 errs between its own draws: mostly by one point, and most often in the middle.

The released evaluation files hold three scores of GPT-4 for each of 640 responses (Vicuna Bench and MT Bench). How
often one draw gives a and another b is counted below. A rater's draw is taken for its opinion with an error of its own,
so two draws differ by two errors: one error is the square root of what lies between two draws.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..records import SCORES

# GPT-4's draws (paper, section 4.1; `gpt4_score` of vicuna_eval.json and mt_bench_eval.json in prometheus-eval): in row
# a and column b, how often one of a response's three draws is a and another one b. A test counts again.
GPT4_DRAWS = (
    (164, 63, 6, 3, 0),
    (63, 220, 77, 13, 3),
    (6, 77, 200, 111, 10),
    (3, 13, 111, 1204, 331),
    (0, 3, 10, 331, 818),
)


@cache
def error_chances(errors: float = 1.0) -> tuple[tuple[float, ...], ...]:
    """Return the chance of each score (column) for each true one (row), for so many errors of a draw of GPT-4's.

    Two errors lie between two draws of GPT-4: `error_chances(2)` are the shares of the counted table's rows.

    >>> [round(chance, 2) for chance in error_chances(2.0)[4]]
    [0.0, 0.0, 0.01, 0.28, 0.7]
    """
    counts = np.array(GPT4_DRAWS, dtype=float)
    weight = np.sqrt(counts.sum(axis=1))
    values, vectors = np.linalg.eigh(counts / np.outer(weight, weight))
    power = (vectors * np.clip(values, 0, None) ** (errors / 2)) @ vectors.T
    chances = np.clip(power * weight / weight[:, None], 0, None)  # a root may be a hair below zero
    return tuple(map(tuple, (chances / chances.sum(axis=1, keepdims=True)).tolist()))


@dataclass(frozen=True)
class Rater:
    """A simulated rater: `draws` scores, each with so many `errors` of a draw of GPT-4's.

    >>> Rater(errors=0, draws=3).rate(random.Random(1), true_score=4)
    [4, 4, 4]
    """

    errors: float
    draws: int = 1

    def rate(self, rng: random.Random, true_score: int) -> list[int]:
        """Return `draws` integer scores from 1 to 5."""
        return rng.choices(SCORES, error_chances(self.errors)[true_score - 1], k=self.draws)


RATERS = {
    "sim-strong": Rater(1.0, draws=3),  # GPT-4's place
    "sim-second": Rater(2.0),
    "sim-crowd": Rater(4.0, draws=3),  # three people
}
