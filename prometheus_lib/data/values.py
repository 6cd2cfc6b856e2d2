"""What one cell holds: nothing, or a text."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pandas as pd

from ..records import DataError

EXACT = 10**15  # from here on a float that is whole has digits that nobody wrote
_HALF = re.compile("[\ud800-\udfff]")


def is_blank(value: Any) -> bool:
    """Return whether a cell holds nothing: None, NaN, or white space only.

    >>> [is_blank(value) for value in (None, float("nan"), " ", "x", 0, [])]
    [True, True, True, False, False, False]
    """
    if isinstance(value, str):
        return not value.strip()
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def text_of(value: Any, where: str, name: str) -> str:
    """Return a cell as text: a text as it is, nothing as "", a number by its shortest digits.

    A whole number has no decimals, because pandas turns 7 into 7.0 where another row of the column is blank. DataError
    for anything else (a list, a dictionary, true, a date), which would be judged as Python writes it.

    >>> [text_of(value, "row 1", "response") for value in ("7.0", 7, 7.0, 7.5, None)]
    ['7.0', '7', '7', '7.5', '']
    """
    if isinstance(value, str):
        return value
    if is_blank(value):
        return ""
    if isinstance(value, (numbers.Real, Decimal)) and not _is_bool(value) and math.isfinite(value):
        return str(int(value)) if value == int(value) and (abs(value) < EXACT or isinstance(value, int)) else str(value)
    raise DataError(
        f"{where}: {name} is {str(value)[:80]!r} ({type(value).__name__}), which is no text; write it as one."
    )


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")  # numpy's is none of Python's


def has_halves(value: Any) -> bool:
    """Return whether a text, or one inside a list or dictionary, holds a lone surrogate (half of a character)."""
    if isinstance(value, str):
        return not value.isascii() and _HALF.search(value) is not None
    if isinstance(value, Mapping):
        return has_halves([*value, *value.values()])
    return isinstance(value, (list, tuple)) and any(map(has_halves, value))


def mended(value: Any) -> Any:
    """Return a value with lone surrogates in its texts replaced by U+FFFD; two halves that belong together are joined.

    >>> mended("half: \\ud83d").encode("ascii", "backslashreplace"), mended("\\ud83d\\ude00") == "\\U0001f600"
    (b'half: \\\\ufffd', True)
    """
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {mended(key): mended(each) for key, each in value.items()}
    return [mended(each) for each in value] if isinstance(value, list) else value
