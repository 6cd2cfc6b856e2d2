"""Exercises of the designed experiment: its size, a difference over seeds with its limit, one knob at a time."""

from __future__ import annotations

import math

from .checking import Case, Function, Value

WARM_UP = Value(
    1.388,
    "Student's t with four degrees of freedom, times the standard error",
    {
        0.98: "1.96 is for many seeds; five give four degrees of freedom, and t is 2.78.",
        1.285: "Five seeds give four degrees of freedom, not five.",
        1.066: "That t is for 90 %; p below 0.05 on both sides takes the 97.5 % point.",
        0.5: "That is one standard error.",
    },
    tolerance=1e-3,
)

_HALF = 4.302652729911275 / math.sqrt(3)  # Student's t with two degrees of freedom, three seeds, a spread of 1
_PAIRED = {"merge": {1: 70.0, 2: 74.0, 3: 72.0}, "joint": {1: 69.0, 2: 72.0, 3: 69.0}}

BUILD = Function(
    [
        Case(
            (_PAIRED, "merge", "joint"),
            (2.0, 2 - _HALF, 2 + _HALF),
            "Seed by seed: 1, 2, 3; their mean is 2, and t with two degrees of freedom is 4.303.",
        ),
        Case((_PAIRED, "joint", "merge"), (-2.0, -2 - _HALF, -2 + _HALF), "The other way round, the sign turns."),
        Case(
            ({"a": {1: 5.0, 2: 7.0, 9: 1.0}, "b": {1: 4.0, 2: 6.0}}, "a", "b"),
            (1.0, 1.0, 1.0),
            "Only seeds that both have are compared; equal differences leave no width.",
        ),
        Case(
            ({"a": {1: 5.0}, "b": {1: 3.0}}, "a", "b"),
            (2.0, math.nan, math.nan),
            "One seed has a difference and no interval.",
        ),
        Case(({"a": {1: 5.0}, "b": {2: 3.0}}, "a", "b"), (math.nan, math.nan, math.nan), "No seed in common: nothing."),
    ]
)

_POINT = {"examples": 4000, "rate": 5e-4}

PROJECT = Function(
    [
        Case((_POINT, {}), [_POINT], "Without a knob there is the point alone."),
        Case(
            (_POINT, {"rate": [1e-4, 5e-4]}),
            [_POINT, {"examples": 4000, "rate": 1e-4}],
            "The point comes first and once, though one of a knob's values is its own.",
        ),
        Case(
            (_POINT, {"examples": [125, 500], "rate": [1e-4]}),
            [
                _POINT,
                {"examples": 125, "rate": 5e-4},
                {"examples": 500, "rate": 5e-4},
                {"examples": 4000, "rate": 1e-4},
            ],
            "One knob is turned, all others stay at the point: three cells, not every combination.",
        ),
        Case((_POINT, {"width": [32]}), ValueError, "A knob that the point does not have is a slip of the pen."),
    ]
)
