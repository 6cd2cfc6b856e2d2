"""What people hand to a metric, read into plain arrays: lists, generators, numpy, pandas, missing values of any kind.

Missing is None, NaN, pandas' NA or a masked entry; an infinite number counts as missing too. Position decides what
belongs together: the index of a pandas object is ignored. Bad input is a DataError that names the column and the place.
"""

from __future__ import annotations

from collections.abc import Iterable, KeysView, Mapping, Set
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..records import DataError

Floats = NDArray[np.float64]
Objects = NDArray[np.object_]

_DECISION_CODES = {"A": 1.0, "B": -1.0, "tie": 0.0}


def vector(values: ArrayLike, name: str) -> Floats:
    """One number per item, (items,); missing becomes NaN."""
    array = _numbers(values, name)
    if array.ndim != 1:
        raise DataError(f"{name} must be one-dimensional, one value per item; got shape {array.shape}")
    return array


def matrix(values: ArrayLike, name: str, axes: str) -> Floats:
    """A table of numbers; `axes` says in an error what its rows and columns should be."""
    array = _numbers(values, name)
    if array.ndim != 2:
        raise DataError(f"{name} must be two-dimensional, {axes}; got shape {array.shape}")
    return array


def _numbers(values: ArrayLike, name: str) -> Floats:
    values = listed(values, name)
    if isinstance(values, np.ma.MaskedArray):
        values = values.astype(float).filled(np.nan)
    try:
        found = np.array(values, dtype=float)
    except (TypeError, ValueError):  # pandas' NA, text, rows of unequal length
        found = _one_by_one(np.asarray(values, dtype=object), name)
    return np.where(np.isfinite(found), found, np.nan)


def _one_by_one(cells: Objects, name: str) -> Floats:
    found = np.full(cells.shape, np.nan)
    for place in zip(*np.nonzero(~pd.isna(cells)), strict=True):
        try:
            found[place] = float(cells[place])
        except (TypeError, ValueError) as error:
            where = ", ".join(str(int(index)) for index in place)
            raise DataError(
                f"{name}[{where}] is {cells[place]!r}; a number or a missing value is needed, in rows of equal length"
            ) from error
    return found


def listed(values: Any, name: str) -> Any:
    """Generators and views as lists; sets and mappings have no order that could match another column."""
    if isinstance(values, (Set, Mapping)) and not isinstance(values, KeysView):
        raise DataError(f"{name} is a {type(values).__name__}; give a list, one value per item in the items' order")
    return list(values) if isinstance(values, Iterable) and not hasattr(values, "__getitem__") else values


def objects(values: ArrayLike, name: str) -> Objects:
    """Any hashable values, (items,), as they are."""
    try:
        return pd.Series(listed(values, name), dtype=object).to_numpy()
    except ValueError as error:
        raise DataError(f"{name} must be one-dimensional, one value per item ({error})") from error


def same_length(**arrays: Any) -> None:
    if len({len(array) for array in arrays.values()}) > 1:
        sizes = ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
        raise DataError(f"one value per item is needed on every side; lengths differ: {sizes}")


def complete_rows(**named: ArrayLike) -> tuple[list[Floats], NDArray[np.bool_]]:
    """The columns without rows that miss a value, and which rows were kept."""
    arrays = {name: vector(values, name) for name, values in named.items()}
    same_length(**arrays)
    keep = np.isfinite(np.column_stack(list(arrays.values()))).all(axis=1)
    return [array[keep] for array in arrays.values()], keep


def complete(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """`complete_rows` of two columns."""
    (first, second), keep = complete_rows(x=x, y=y)
    return first, second, keep


def codes(values: ArrayLike, name: str, allow_missing: bool = True) -> Floats:
    """A -> 1, B -> -1, tie -> 0, missing -> NaN; anything else is an error that names its position."""
    given = objects(values, name)
    found = np.array([_DECISION_CODES.get(v, np.nan) if isinstance(v, str) else np.nan for v in given], dtype=float)
    wrong = np.isnan(found) & ~(pd.isna(given) if allow_missing else np.zeros(len(given), dtype=bool))
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        missing = " or None (an answer that could not be read)" if allow_missing else ""
        raise DataError(
            f"{name}[{place}] is {given[place]!r}; allowed are 'A', 'B', 'tie'{missing}, written exactly so: "
            "translate other names or numbers first"
        )
    return found


def names(signs: Floats) -> Objects:
    """The way back from `codes`: the sign of each number as "A", "B" or "tie", None for NaN."""
    return np.select([signs > 0, signs < 0, signs == 0], ["A", "B", "tie"], None).astype(object)


def ratio(part: float, whole: float) -> float:
    """part / whole; NaN for a whole of 0."""
    return float(part / whole) if whole else float("nan")


def divide(top: Floats, bottom: Floats, otherwise: float = float("nan")) -> Floats:
    """top / bottom, with `otherwise` where bottom is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(top, dtype=float), np.asarray(bottom, dtype=float))
    return np.divide(top, bottom, out=np.full(top.shape, otherwise), where=bottom != 0)
