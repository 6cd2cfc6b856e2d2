"""Exercises of the Preference Collection: pairs of graded responses, and which of the two stands first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from .checking import Case, Function, Value

WARM_UP = Value(
    0.6,
    "four of the ten pairs are neighbours",
    {
        0.4: "That is the share of neighbours, with a gap of 1.",
        6: "That is the count; the share is asked.",
        0.3: "Those have a gap of exactly 2.",
    },
)

BUILD = Function(
    [
        Case(([1, 2, 3],), [(0, 1), (0, 2), (1, 2)], "Each pair once, as (position of the worse, of the better)."),
        Case(([5, 1],), [(1, 0)], "The worse comes first: positions, not in the order of the list."),
        Case(([3, 3],), [], "Equal scores are no pair."),
        Case(([2, 4, 2],), [(0, 1), (2, 1)], "Positions tell two responses of one score apart; sort by position."),
        Case(([4],), [], "One response has nothing to be compared with."),
        Case(([],), [], "No responses, no pairs."),
        Case(([1.5, 1.25],), [(1, 0)], "Scores may be means of several draws, so they need not be whole."),
    ]
)


def _balanced(pairs: list[tuple[int, int]]) -> Callable:
    def right(labels: list) -> bool:
        if len(labels) != len(pairs) or set(labels) - {"A", "B"}:
            return False
        counts = Counter((abs(a - b), label) for (a, b), label in zip(pairs, labels, strict=True))
        gaps = {gap for gap, _ in counts}
        even = all(abs(counts[gap, "A"] - counts[gap, "B"]) <= 1 for gap in gaps)
        return even and abs(labels.count("A") - labels.count("B")) <= 1

    return right


def _unlike_a_rule(labels: list) -> bool:
    """Tell whether labels follow each other freely: a rule such as A, B, A, B would be learned."""
    turns = sum(a != b for a, b in zip(labels, labels[1:], strict=False))
    return 0.3 < turns / (len(labels) - 1) < 0.7


_TEN = [(worse, better) for better in range(1, 6) for worse in range(1, better)]
_ODD = [(1, 2)] * 3 + [(1, 3)] * 3 + [(2, 5)]

PROJECT = Function(
    [
        Case((_TEN, 0), lambda labels: len(labels) == 10, "One label for each pair."),
        Case((_TEN * 8, 0), _balanced(_TEN * 8), "A and B are equally frequent, in all pairs and in each gap."),
        Case((_ODD, 1), _balanced(_ODD), "With odd numbers each gap may be one off, and the whole too: not more."),
        Case(
            ([(1, 2)] * 200, 2), _unlike_a_rule, "A fixed rule (A, B, A, B, or all A first) would be learned: shuffle."
        ),
        Case(([], 0), [], "No pairs, no labels."),
    ]
)
