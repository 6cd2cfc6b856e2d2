"""Exercises of direct assessment: what a reversed scale does, tau-b with its limits, an interval over prompts."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import metrics
from .checking import Case, Function, Value

WARM_UP = Value(
    -0.4,
    "the distances from the mean change their sign and keep their size",
    {
        0.4: "The scale is turned round: high scores are low ones now.",
        0.6: "1 - 0.4 would be a distance; Pearson only changes its sign.",
        5.6: "No correlation leaves the range from -1 to 1.",
    },
)

BUILD = Function(
    [
        Case(([1, 2, 3], [1, 2, 3]), 1.0, "The same order is 1."),
        Case(([1, 2, 3], [3, 2, 1]), -1.0, "The reverse order is -1."),
        Case(([1, 2, 3], [1, 3, 2]), 1 / 3, "Two pairs are concordant, one is discordant."),
        Case(
            ([1, 2, 3, 4, 5], [2, 1, 3, 3, 5]),
            7 / math.sqrt(90),
            "One pair is tied on one side: divide by the "
            "geometric mean of the pairs that each side orders, not by all pairs.",
        ),
        Case(([1, None, 2, 3], [1, 5, 2, 3]), 1.0, "A response without a score is left out, on both sides."),
        Case(([3, 3, 3], [1, 2, 3]), math.nan, "A constant judge orders nothing: NaN, neither 0 nor an error."),
        Case(([4], [2]), math.nan, "One response makes no pair."),
        Case(([], []), math.nan, "No response makes no pair."),
    ]
)


def _alike(copies: int) -> tuple[list[float], list[float], list[str]]:
    """Scores of 30 prompts, each response of a prompt like the others: they say no more than one response does."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=30)
    y = x + rng.normal(size=30)
    prompts = [f"prompt {number}" for number in range(30)]
    return *(np.repeat(each, copies).tolist() for each in (x, y)), np.repeat(prompts, copies).tolist()


def _near(x: list[float], y: list[float], prompts: list[str]) -> Callable:
    """Return a test of an interval: both ends lie as near the library's as two draws of resamples lie to each other."""
    expected = metrics.bootstrap_correlation(x, y, prompts, n_resamples=4000)

    def passes(found: object) -> bool:
        ends = np.asarray(found, dtype=float)
        return ends.shape == (2,) and bool(np.allclose(ends, (expected.low, expected.high), atol=0.04))

    return passes


_ORDER = [[*each[::2], *each[1::2]] for each in _alike(4)]  # responses of a prompt need not stand together

PROJECT = Function(
    [
        Case(
            _alike(1),
            _near(*_alike(1)),
            "One response per prompt: draw 30 of the 30 with replacement, 2,000 times, and "
            "take the quantiles 0.025 and 0.975.",
        ),
        Case(
            _alike(4),
            _near(*_alike(4)),
            "Four equal responses per prompt know no more than one: the interval must not "
            "get narrower. Draw prompts, and with each all of its responses.",
        ),
        Case(tuple(_ORDER), _near(*_ORDER), "The responses of a prompt need not stand beside each other."),
        Case(
            ([1.0, 2.0, 3.0], [1.0, 3.0, 2.0], ["p", "p", "p"]),
            (math.nan, math.nan),
            "With one prompt nothing can be resampled.",
        ),
    ]
)
