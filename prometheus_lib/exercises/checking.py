"""How the exercises of the notebooks are checked: what was expected, what was likely meant instead, and what to try."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Value:
    """An exercise whose answer is one value; `mistakes` tells what a likely wrong value stands for.

    >>> Value(0.5, "half of one", {2: "That is twice one."}).fault(2)
    'That is twice one.'
    """

    expected: Any
    hint: str
    mistakes: Mapping[Any, str] = field(default_factory=dict)
    tolerance: float = 1e-6  # more where a number is read off a table

    def fault(self, answer: Any) -> str | None:
        """Return what is wrong with an answer, None when it is right."""
        if same(answer, self.expected, self.tolerance):
            return None
        likely = (why for wrong, why in self.mistakes.items() if same(answer, wrong, self.tolerance))
        return next(likely, f"Hint: {self.hint}")


@dataclass(frozen=True)
class Case:
    """One call of the reader's function.

    `expected` is the value it must return, an exception that it must raise, or a function that tells whether the value
    is right; `why` says what a wrong value most likely comes from.

    >>> Case(([],), 0, "An empty list has no length.").expected
    0
    """

    arguments: tuple
    expected: Any
    why: str


@dataclass(frozen=True)
class Function:
    """An exercise whose answer is a function, tried on cases; the first that fails says what is wrong.

    >>> Function([Case(([],), 0, "An empty list has no length.")]).fault(lambda values: 1)
    'Called with []: It returns 1. An empty list has no length.'
    """

    cases: Sequence[Case]

    def fault(self, answer: Callable) -> str | None:
        """Return what is wrong with a function, None when it is right in all cases."""
        if not callable(answer):
            return "Give the function itself, without calling it."
        return next(filter(None, (_fault(answer, case) for case in self.cases)), None)


def _fault(function: Callable, case: Case) -> str | None:
    given = copy.deepcopy(case.arguments)
    refused = isinstance(case.expected, type) and issubclass(case.expected, Exception)
    try:
        found = function(*given)
    except Exception as error:
        raised = f"It raises {type(error).__name__} ({error})"
        return None if refused and isinstance(error, case.expected) else f"{_call(case)} {raised}. {case.why}"
    if refused:
        return f"{_call(case)} It should raise {case.expected.__name__}. {case.why}"
    if not _holds(case.expected, found):
        return f"{_call(case)} It returns {_short(found)}. {case.why}"
    return None if same(given, case.arguments) else f"{_call(case)} It changes what it was given: work on a copy."


def _holds(expected: Any, found: Any) -> bool:
    """Tell whether a value is the one expected or passes the test; what a test cannot even read does not pass."""
    if not callable(expected):
        return same(found, expected)
    try:
        return bool(expected(found))
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        return False


def _call(case: Case) -> str:
    return f"Called with {', '.join(map(_short, case.arguments))}:"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and "\n" in value else repr(value)
    return text if len(text) <= 120 else f"{text[:110]} ..."


def attempt(name: str, answer: Any) -> bool | None:
    """Check a reader's answer to an exercise, such as "merge_experts.build", and say what to do next.

    Returns None while the answer is None (not tried yet), else whether it is right. Raises ValueError for a name that
    no exercise has.

    >>> attempt("start_here.warm_up", 0.512)
    Not yet. That is the share in which all three parse.
    False
    >>> attempt("start_here.warm_up", None)
    Not answered yet: replace None and run the cell again.
    """
    exercise = named(name)
    if answer is None:
        print("Not answered yet: replace None and run the cell again.")
        return None
    fault = exercise.fault(answer)
    print("Right." if fault is None else f"Not yet. {fault}")
    return fault is None


def named(name: str) -> Value | Function:
    """Return an exercise by its notebook's topic and its kind (`warm_up`, `build`, `project`).

    >>> named("start_here.warm_up").hint
    'all three draws have to fail'
    """
    topic, _, kind = name.partition(".")
    try:
        return getattr(importlib.import_module(f"{__package__}.{topic}"), kind.upper())
    except (ImportError, AttributeError) as error:
        raise ValueError(f"no exercise {name!r}; a name is a notebook's topic, a point, and its kind") from error


def check(answer: Any, expected: Any, hint: str, tolerance: float = 1e-6) -> bool | None:
    """Compare a reader's answer with the expected value and say what to do next.

    Returns None while the answer is None (not tried yet), else whether it is right. Numbers may differ by `tolerance`;
    everything else must be equal.

    >>> check(0.5, 0.25, "half of a half")
    Not yet. Hint: half of a half
    False
    """
    if answer is None:
        print("Not answered yet: replace None and run the cell again.")
        return None
    right = same(answer, expected, tolerance)
    print("Right." if right else f"Not yet. Hint: {hint}")
    return right


def same(found: Any, expected: Any, tolerance: float = 1e-6) -> bool:
    """Compare numbers within a tolerance (NaN equals NaN), arrays and containers part by part, all else exactly.

    >>> same([0.1 + 0.2, float("nan")], (0.3, float("nan"))), same("A", "B"), same(1, True)
    (True, False, False)
    """
    if hasattr(expected, "equals"):  # pandas
        return bool(expected.equals(found))
    if isinstance(expected, Mapping):
        alike = isinstance(found, Mapping) and found.keys() == expected.keys()
        return alike and all(same(found[key], expected[key], tolerance) for key in expected)
    if isinstance(expected, (list, tuple)) and not isinstance(found, (str, Mapping)):
        parts = list(found) if hasattr(found, "__iter__") else None
        return parts is not None and len(parts) == len(expected) and all(
            same(a, b, tolerance) for a, b in zip(parts, expected, strict=True)
        )  # fmt: skip
    if isinstance(expected, (bool, str, set, type(None))) or isinstance(found, (bool, str, type(None))):
        return type(found) is type(expected) and found == expected
    return _near(found, expected, tolerance)


def _near(found: Any, expected: Any, tolerance: float) -> bool:
    try:
        a, b = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    except (TypeError, ValueError):
        return bool(found == expected)
    if a.shape != b.shape:
        return False
    return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True))
