"""Exercises of consistency: nominal agreement by hand, cycles among three, Krippendorff's alpha in whole."""

from __future__ import annotations

import math

import numpy as np

from .. import metrics
from .checking import Case, Function, Value

WARM_UP = Value(
    metrics.krippendorff_alpha([[1, 5, 3, 3], [1, 5, 3, 4]], "nominal"),
    "observed 2 of 8; expected 1 minus the chance that two of the eight scores (1 1 5 5 3 3 3 4) are equal",
    {
        0.75: "That is the share of equal draws; some of them are equal by chance.",
        metrics.krippendorff_alpha(
            [[1, 5, 3, 3], [1, 5, 3, 4]]
        ): "That is the ordinal one: here 3 and 4 differ as much as 1 and 5 do.",
        0.652: "Two *different* scores are drawn: divide by n (n - 1), not by n squared.",
    },
)

_RING = [("a", "b", "a"), ("b", "c", "b"), ("c", "a", "c")]

BUILD = Function(
    [
        Case((_RING,), 1, "a beats b, b beats c, c beats a: one circle."),
        Case(([("a", "b", "a"), ("b", "c", "b"), ("a", "c", "a")],), 0, "An order is no circle."),
        Case(([("a", "b", "b"), ("b", "c", "c"), ("c", "a", "a")],), 1, "The circle the other way round is one, too."),
        Case(([*_RING[:2], ("a", "c", "tie")],), 0, "With a tie nobody goes in a circle."),
        Case(([*_RING[:2], ("a", "c", None)],), 0, "An unreadable decision decides nothing."),
        Case((_RING[:2],), 0, "A pair that was not judged closes no circle."),
        Case(
            ([*_RING, ("a", "d", "a"), ("b", "d", "d"), ("c", "d", "c")],),
            2,
            "Look at each set of three once: here a, b, c and one with d go round.",
        ),
        Case(([],), 0, "Nothing judged: no circle."),
    ]
)

_TABLE = [[4, 4, 5], [2, 2, 2], [5, 5, 5], [1, 2, 1], [3, 3, None], [4, 5, 4]]
_LONELY = [*_TABLE, [1, None, None], [None, None, None]]


def _alpha(draws: list[list[int | None]]) -> float:
    return metrics.krippendorff_alpha(np.array(draws, dtype=float).T)


PROJECT = Function(
    [
        Case(
            ([[1, 1], [5, 5], [3, 3], [3, 4]],),
            _alpha([[1, 1], [5, 5], [3, 3], [3, 4]]),
            "Four responses, two draws: the "
            "weight of two scores is the square of what lies between their middles in the order of all scores.",
        ),
        Case(
            (_TABLE,),
            _alpha(_TABLE),
            "A response with a missing draw counts with the others: each score of it once, so its "
            "pairs are divided by (number of its draws - 1).",
        ),
        Case((_LONELY,), _alpha(_LONELY), "Responses with fewer than two scores count for nothing, in the totals too."),
        Case(([[2, 2], [4, 4]],), 1.0, "No disagreement: 1."),
        Case(([[1, 5], [5, 1], [1, 5]],), _alpha([[1, 5], [5, 1], [1, 5]]), "Worse than chance is less than 0."),
        Case(([[3, 3, 3], [3, 3, 3]],), math.nan, "Nothing varies, so nothing is expected: NaN, neither 0 nor 1."),
        Case(([],), math.nan, "No response: NaN."),
    ]
)
