"""Exercises of training: steps of an epoch, which tokens carry loss, the learning rate over time."""

from __future__ import annotations

import math

from .checking import Case, Function, Value

WARM_UP = Value(
    6250,
    "rows divided by the rows of one step on all devices",
    {
        50_000: "That would be one device; all eight work on a step.",
        25_000: "Each device takes 4 rows, so divide by 4 as well.",
        3_125: "That is the direct expert with its 100,000 rows.",
    },
)

BUILD = Function(
    [
        Case(([1, 5, 6], [7, 8], 2, 9), ([1, 5, 6, 7, 8, 2], [-100, -100, -100, 7, 8, 2]),
             "Prompt, answer, end token; the prompt carries -100, the answer and the end carry themselves."),
        Case(([1], [7], 2, 3), ([1, 7, 2], [-100, 7, 2]), "Three tokens fit into a limit of three."),
        Case(([1, 5], [7, 8], 2, 4), None, "Five tokens and a limit of four: cut, the row would lose its decision."),
        Case(([], [7], 2, 9), ([7, 2], [7, 2]), "Without a prompt everything carries loss."),
        Case(([1, 5], [], 2, 9), ([1, 5, 2], [-100, -100, 2]), "An empty answer still has to end."),
    ]
)  # fmt: skip


def _cosine(step: int, steps: int, warm: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


PROJECT = Function(
    [
        Case((20, 1.0), lambda rates: len(rates) == 20, "One rate for each step."),
        Case((20, 1.0), lambda rates: rates[0] == 0 and rates[1] == 0.5 and rates[2] == 1,
             "Of 20 steps the first two warm up: 0, half, then the peak."),
        Case((20, 1.0), lambda rates: abs(rates[11] - _cosine(11, 20, 2)) < 1e-9,
             "Half way through the descent the rate is half the peak; a straight line is no cosine."),
        Case((100, 1e-5), lambda rates: abs(rates[99] / 1e-5 - _cosine(99, 100, 10)) < 1e-9,
             "The rate scales with the peak, and warming up takes 10 % of the steps: the descent has only the rest."),
        Case((1, 1.0), [1.0], "One step has no time to warm up: 10 % of it, in whole steps, is none."),
    ]
)  # fmt: skip
