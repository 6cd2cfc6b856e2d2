"""The checker behind the exercises at the end of each notebook."""

from __future__ import annotations

import math
from typing import Any


def check(answer: Any, expected: Any, hint: str, tolerance: float = 1e-6) -> bool | None:
    """Compare a reader's answer with the expected value and say what to do next.

    Returns None while the answer is None (not tried yet), else whether it is right. Numbers may differ by `tolerance`;
    everything else must be equal.
    """
    if answer is None:
        print("Not answered yet: replace None and run the cell again.")
        return None
    right = _equal(answer, expected, tolerance)
    print("Right." if right else f"Not yet. Hint: {hint}")
    return right


def _equal(answer: Any, expected: Any, tolerance: float) -> bool:
    try:
        return math.isclose(float(answer), float(expected), abs_tol=tolerance, rel_tol=tolerance)
    except (TypeError, ValueError):
        return answer == expected
