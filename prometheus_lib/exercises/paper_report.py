"""Exercises of the report: a percentage from a count, a benchmark's size from percentages, averages that are none."""

from __future__ import annotations

import math

import pandas as pd

from .checking import Case, Function, Value

WARM_UP = Value(
    74.66,
    "100 times the right answers, divided by all pairs",
    {
        0.7466: "In percent.",
        74.7: "To two decimals, as the paper prints it.",
        74.67: "74.6606 is rounded down.",
        76.47: "That is what the groups add up to: 169 of 221.",
    },
)

BUILD = Function(
    [
        Case(([50.0], 1, 10), [2, 4, 6, 8, 10], "Half of the pairs is a count for every even number."),
        Case(([66.67], 1, 9), [3, 6, 9], "66.67 is what two thirds round to: allow half of the last printed digit."),
        Case(([66.67, 50.0], 1, 12), [6, 12], "Every printed percentage has to fit."),
        Case(([79.64, 74.66], 215, 225), [221], "176 and 165 of 221."),
        Case(([0.0, 100.0], 3, 5), [3, 4, 5], "None and all are counts of any size."),
        Case(([33.4], 1, 4), [], "A third is 33.33: 33.4 fits no size up to 4."),
        Case(([], 2, 3), [2, 3], "Nothing printed: nothing is excluded."),
    ]
)


def _table(*rows: tuple[str, float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["row", "Vicuna", "FLASK", "Average"]).set_index("row")


PROJECT = Function(
    [
        Case(
            (_table(("a", 0.5, 0.6, 0.55), ("b", 0.5, 0.6, 0.57)), 2),
            ["b"],
            "0.55 is the mean of 0.5 and 0.6; 0.57 is not.",
        ),
        Case(
            (_table(("a", 0.333, 0.334, 0.334)), 3),
            [],
            "0.3335 may be printed as 0.333 or as 0.334: allow half of the last "
            "digit, and the rounding of the numbers beside it.",
        ),
        Case((_table(("a", 0.333, 0.334, 0.335)), 3), ["a"], "0.335 is more than rounding explains."),
        Case(
            (_table(("a", 73.3, math.nan, 64.13)), 2), [], "A row with a cell that was not printed cannot be checked."
        ),
        Case((_table(("a", 73.3, 55.0, math.nan)), 2), [], "No average is printed: nothing to check."),
        Case((_table(), 2), [], "An empty table has no odd row."),
    ]
)
