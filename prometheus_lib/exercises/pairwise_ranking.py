"""Exercises of pairwise ranking: what a tie is worth under each rule, and how far a judge leans to one position."""

from __future__ import annotations

import math

from .checking import Case, Function, Value

WARM_UP = Value(
    25,
    "how many of the 160 labels are ties?",
    {
        0: "Where the label is a tie, saying tie is right.",
        0.25: "In percent.",
        62.5: "That is with half a point where one side alone says tie.",
        100: "Saying tie is right for the 40 ties only.",
    },
)

_SAID = ["A", "B", "tie", "A", "tie", None]
_LABELS = ["A", "A", "tie", "tie", "B", "B"]

BUILD = Function(
    [
        Case((["A", "B"], ["A", "A"], "wrong"), 0.5, "One of two is right."),
        Case((_SAID, _LABELS, "wrong"), 2 / 6, "A tie must be called a tie, and an unreadable answer counts as wrong."),
        Case(
            (_SAID, _LABELS, "half"),
            3 / 6,
            "Where one side alone says tie there is half a point; both saying it is a "
            "whole one, and None is worth nothing.",
        ),
        Case(
            (_SAID, _LABELS, "dropped"),
            1 / 3,
            "Pairs go where the label or the decision is a tie; the unreadable answer stays, and is wrong.",
        ),
        Case((_SAID, _LABELS, "gold dropped"), 1 / 4, "Only pairs labelled tie go; a decided tie is wrong."),
        Case(([None], ["tie"], "half"), 0.0, "An unreadable answer is no tie: no half point."),
        Case((["A"], ["tie"], "gold dropped"), math.nan, "No pair is left: NaN."),
        Case(([], [], "wrong"), math.nan, "No pair is left: NaN."),
        Case((["A"], ["A"], "ignored"), ValueError, "An unknown rule is refused, not taken for another."),
    ]
)

PROJECT = Function(
    [
        Case(
            (["A", "B"], ["B", "A"]),
            (1.0, 0.5),
            "A judge without a lean: what it calls A at first it calls B when the responses are exchanged.",
        ),
        Case(
            (["A", "A"], ["A", "A"]),
            (0.0, 1.0),
            "It always takes the one shown first; map the second decisions back before you compare.",
        ),
        Case((["B", "B"], ["B", "B"]), (0.0, 0.0), "It always takes the one shown last."),
        Case(
            (["tie", "A"], ["tie", "A"]), (0.5, 0.75), "A tie is the same in both orders, and half in the second share."
        ),
        Case(
            (["A", None, "B"], ["B", "A", None]),
            (1.0, 0.5),
            "Only the first pair has two answers; in the second share "
            "every readable answer counts: two of four are for the one shown first.",
        ),
        Case(([None], [None]), (math.nan, math.nan), "Nothing could be read: NaN, twice."),
        Case((["A"], ["B", "A"]), ValueError, "Two lists of different lengths are not the same items."),
    ]
)
