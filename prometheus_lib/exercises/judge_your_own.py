"""Exercises of judging one's own: a score on another scale, a win rate with ties, which items to label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import nan

from .checking import Case, Function, Value

WARM_UP = Value(
    7.5,
    "1 is the worst level and 5 the best: how far along is 4?",
    {
        8: "4 of 5 would be 8 of 10 if the scale began at 0; it begins at 1.",
        4: "The judge says 4 of 1 to 5, not of 0 to 10.",
        0.75: "That is how far along it is; the scale reaches to 10.",
    },
)

BUILD = Function(
    [
        Case((["A", "B", "tie", None],), 0.5, "None is neither a win nor a game: divide by what was read."),
        Case((["tie"],), 0.5, "A tie counts half."),
        Case((["B", "B", "A", "B"],), 0.75, "Three of four."),
        Case(([None],), nan, "Without a game there is no share: return float('nan')."),
        Case(([],), nan, "An empty list has no share: return float('nan')."),
    ]
)

_IDS = [f"reply-{number}" for number in range(20)]


def _drawn(k: int) -> Callable:
    """Return a test of a draw: k different items, not the first ones."""

    def passes(chosen: list) -> bool:
        known = list(chosen)
        return len(known) == k == len(set(known)) and set(known) <= set(_IDS) and sorted(known) != sorted(_IDS[:k])

    return passes


def _evenly(draw: Callable) -> bool:
    """Whether 400 seeds choose each of the items about equally often."""
    counts = Counter(item for seed in range(400) for item in draw(_IDS, 5, seed))
    return all(60 <= counts[item] <= 140 for item in _IDS)


class Draw(Function):
    """A function on cases, and after them tried with many seeds: a draw has to be fair, and to repeat itself."""

    def fault(self, answer: Callable) -> str | None:
        """Return what is wrong with a draw, None when it is right."""
        if found := super().fault(answer):
            return found
        if list(answer(_IDS, 5, 1)) != list(answer(_IDS, 5, 1)):
            return "The same seed has to draw the same items: make a generator of your own from it."
        return None if _evenly(answer) else "Over many seeds each item should be drawn about equally often."


PROJECT = Draw(
    [
        Case((_IDS, 5, 0), _drawn(5), "Five different items, drawn at random and not the first five."),
        Case((_IDS, 20, 3), lambda chosen: sorted(chosen) == sorted(_IDS), "All of them, when all are wanted."),
        Case((_IDS, 0, 3), [], "None, when none are wanted."),
        Case((_IDS, 21, 3), ValueError, "More than there are cannot be labelled."),
    ]
)
