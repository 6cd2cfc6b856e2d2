"""Exercises of the Feedback Collection: a score by counting, a split without leaks, an audit of a collection."""

from __future__ import annotations

from collections.abc import Callable

from ..data import miniworld
from ..data.collections import feedback_rows
from .checking import Case, Function, Value

WARM_UP = Value(
    4,
    "three of the four details that count are right",
    {
        3: "Three details are right, and a score begins at 1.",
        5: "All four details that count would have to be right.",
        6: "The facts outside the rubric do not count, and there is no score above 5.",
    },
)

_ROWS = feedback_rows(seed=5, instructions=10)


def _splits(rows: list[dict], held: range) -> Callable:
    def right(parts: tuple) -> bool:
        train, kept = parts
        sides = [{row["orig_instruction"] for row in part} for part in parts]
        whole = sorted(map(str, [*train, *kept])) == sorted(map(str, rows))
        return whole and not sides[0] & sides[1] and len(sides[1]) in held

    return right


BUILD = Function(
    [
        Case((_ROWS, 0.25), _splits(_ROWS, range(2, 4)), "Of 10 instructions 2 or 3 are held out with all their rows: "
             "rows of one instruction never stand on both sides, and none gets lost."),
        Case((_ROWS[::-1], 0.5), _splits(_ROWS, range(5, 6)), "Half of the instructions, whatever the order of rows."),
        Case((_ROWS, 0.01), _splits(_ROWS, range(1, 2)), "However small the share, hold out one instruction."),
        Case((_ROWS[::5] + _ROWS[1::5], 0.3), _splits(_ROWS[::5] + _ROWS[1::5], range(3, 4)),
             "Rows of an instruction need not stand together."),
        Case(([], 0.1), ([], []), "No rows: both parts are empty."),
    ]
)  # fmt: skip


def _padded(row: dict) -> dict:
    return row | {"orig_response": row["orig_response"] + " Really." * int(row["orig_score"])}


_MANY = feedback_rows(seed=6, instructions=60)
_UNBALANCED = [
    row for row in _MANY if row["orig_score"] != "5" or miniworld.rng_for(row["orig_response"]).random() < 0.3
]

PROJECT = Function(
    [
        Case((_MANY,), set(), "Nothing is wrong with these rows. Is a limit too strict?"),
        Case((_UNBALANCED,), {"scores"}, "Most fives are gone: count the scores (and only that is wrong)."),
        Case((list(map(_padded, _MANY)),), {"length"}, "Better responses are longer: correlate length and score."),
        Case(([*_MANY, *_MANY[:5]],), {"twice"}, "Five rows stand there twice."),
        Case(([*map(_padded, _MANY), _padded(_MANY[7])],), {"length", "twice"}, "Two things are wrong at once."),
        Case(([],), set(), "An empty collection has no fault that could be seen."),
    ]
)
