"""Exercises of merging: the scaling of a sum, an average of several models, a soup that is stirred one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .checking import Case, Function, Value

WARM_UP = Value(
    0.5,
    "lambda scales the summed change",
    {
        1: "With 1 both changes arrive in full: twice the average.",
        2: "The other way round: the sum is twice the average, so it is halved.",
        0.25: "The weights are 1 and 1, not one half each.",
    },
)

_ONE, _TWO, _LAST = {"w": np.array([2.0, 4.0])}, {"w": np.array([4.0, 8.0])}, {"w": np.array([6.0, 0.0])}

BUILD = Function(
    [
        Case(([_ONE, _TWO], [0.5, 0.5]), {"w": [3.0, 6.0]}, "Half of each."),
        Case(([_ONE, _TWO, _LAST], [1, 1, 2]), {"w": [4.5, 3.0]}, "Weights are shares: divide by their sum."),
        Case(([_ONE], [3.0]), {"w": [2.0, 4.0]}, "One model, whatever its weight, comes out as it is."),
        Case(([_ONE, {"v": np.zeros(2)}], [1, 1]), ValueError, "Models with other tensors cannot be averaged."),
        Case(([_ONE, {"w": np.zeros(3)}], [1, 1]), ValueError, "Nor can tensors of another shape."),
        Case(([_ONE, _TWO], [1, -1]), ValueError, "Weights that sum to 0 are no shares."),
        Case(([_ONE, _TWO], [1]), ValueError, "Each model needs a weight."),
    ]
)


def _distance(target: float) -> Callable:
    """A loss that is the distance of a model's only weight from a target."""
    return lambda weight: abs(weight - target)


PROJECT = Function(
    [
        Case(([1.0, 3.0], _distance(2.0)), 2.0, "The mean of both is better than either: take both."),
        Case(([9.0, 2.0], _distance(2.0)), 2.0, "Begin with the best, not with the first, and leave out what harms."),
        Case(([0.0, 3.0, 1.5], _distance(2.0)), 2.25, "After 1.5 comes 3 (next best): their mean is better than 1.5; "
             "0 then makes it worse."),
        Case(([3.0, 1.5, 2.6], _distance(2.0)), 2.05, "Compare with the loss of the mean so far, not with that of the "
             "best single model: 3 joins no more."),
        Case(([4.0], _distance(0.0)), 4.0, "A soup of one is that one."),
        Case(([], _distance(0.0)), ValueError, "Nothing to mix."),
    ]
)  # fmt: skip
