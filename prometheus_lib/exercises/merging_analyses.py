"""Exercises of the analyses of merging: alpha, Holm's correction, and how far two runs of one recipe lie apart."""

from __future__ import annotations

import math

from .. import metrics
from .checking import Case, Function, Value

WARM_UP = Value(
    0.7,
    "alpha is the share of the direct expert",
    {0.3: "That is the direct expert's share.", 0.5: "Half of each is alpha 0.5.", 70: "As a share, not in percent."},
)

_MANY = [0.0004, 0.03, *[0.2] * 78]

BUILD = Function(
    [
        Case(([0.03],), [0.03], "One test needs no correction."),
        Case(([0.01, 0.04],), [0.02, 0.04], "The smallest counts twice, the other once."),
        Case(([0.04, 0.01],), [0.04, 0.02], "The answers stand in the order given, not in that of their size."),
        Case(
            ([0.01, 0.04, 0.03],),
            [0.03, 0.06, 0.06],
            "0.04 x 1 would be smaller than 0.03 x 2 before it: none gets smaller than one before it.",
        ),
        Case(([0.6, 0.9],), [1.0, 1.0], "No p-value is larger than 1."),
        Case(([0.01, math.nan, 0.04],), [0.02, math.nan, 0.04], "NaN is no test: two tests count, and NaN stays."),
        Case((_MANY,), metrics.holm(_MANY), "With 80 tests the smallest counts 80 times."),
        Case(([],), [], "No test: an empty list."),
    ]
)

PROJECT = Function(
    [
        Case(
            ({"x": [70.0, 72.0]},),
            12.7062047 * math.sqrt(2) * math.sqrt(2),
            "One recipe, two runs: a spread of sqrt(2) and one degree of freedom, so t is 12.7.",
        ),
        Case(
            ({"x": [70.0, 72.0], "y": [50.0, 52.0]},),
            4.3026527 * math.sqrt(2) * math.sqrt(2),
            "Two recipes, two runs each: two degrees of freedom. How far x lies from y is no luck of seeds.",
        ),
        Case(
            ({"x": [1.0, 2.0, 3.0], "y": [5.0, 5.0]},),
            3.1824463 * math.sqrt(2) * math.sqrt(2 / 3),
            "Sum the squared distances from each recipe's own mean, and divide by all degrees of freedom, here 3.",
        ),
        Case(
            ({"x": [70.0, 72.0], "y": [50.0]},),
            12.7062047 * math.sqrt(2) * math.sqrt(2),
            "A recipe with one run says nothing of luck.",
        ),
        Case(({"x": [70.0]},), math.nan, "No recipe was run twice: NaN."),
        Case(({},), math.nan, "No runs: NaN."),
    ]
)
