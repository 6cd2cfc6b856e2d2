"""What people hand to a metric, read into plain arrays: lists, generators, numpy, pandas, missing values of any kind.

Missing is None, NaN, pandas' NA or a masked entry; an infinite number counts as missing too. Bad input is a DataError
that names the column and the place. Which values belong together:

- Two pandas objects (Series, data frames) are matched by their index: the same labels, in any order. Other labels on
  one side, or repeated ones, are refused; only columns of one and the same frame may repeat labels.
- Everything else goes by position. A list or an array beside pandas objects stands in their order, so they must all
  have the same one.
- What a metric returns per item is a Series with the first pandas object's labels, else an array.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable, KeysView, Mapping, Set
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..records import DataError, few

Floats = NDArray[np.float64]
Objects = NDArray[np.object_]
Pandas = pd.Series | pd.DataFrame

_DECISION_CODES = {"A": 1.0, "B": -1.0, "tie": 0.0}
_BY_POSITION = "to match them by position, hand over their values (.to_numpy())"


# --- what belongs together -------------------------------------------------------------------------------------------


def aligned(**named: Any) -> tuple[list[Any], pd.Index | None]:
    """Return the columns in one order, and their labels where one of them is a pandas object; None stays None.

    See the module's rule. DataError for unequal lengths, unequal or repeated labels, and for an array beside pandas
    objects of different orders.
    """
    columns = {name: listed(values, name) for name, values in named.items()}
    same_length(
        **{name: values for name, values in columns.items() if values is not None and hasattr(values, "__len__")}
    )
    indexed = {name: values for name, values in columns.items() if isinstance(values, Pandas)}
    if not indexed:
        return list(columns.values()), None
    first = next(iter(indexed))
    moved = {name: _in_order_of(indexed[first], first, values, name) for name, values in indexed.items()}
    others = [name for name, values in columns.items() if values is not None and name not in indexed]
    shuffled = [name for name, values in moved.items() if values is not indexed[name]]
    if others and shuffled:
        raise DataError(
            f"{first} and {shuffled[0]} hold the same labels in another order, and {others[0]} has no labels that say "
            f"which order it stands in: give it an index, or {_BY_POSITION}"
        )
    return [moved.get(name, values) for name, values in columns.items()], indexed[first].index


def _in_order_of(first: Pandas, first_name: str, other: Pandas, name: str) -> Pandas:
    """The other object in the first one's order; itself where it has that order already."""
    if other is first or other.index.is_(first.index):
        return other
    for each, its_name in ((first, first_name), (other, name)):
        if not each.index.is_unique:
            again = each.index[each.index.duplicated()][0]
            raise DataError(
                f"{its_name} repeats the label {_plain(again)!r}, so {first_name} and {name} cannot be matched by "
                f"label: give every item a label of its own, or {_BY_POSITION}"
            )
    if other.index.equals(first.index):
        return other
    places = other.index.get_indexer(first.index)
    if (places < 0).any():
        missing = first.index[int(np.flatnonzero(places < 0)[0])]
        raise DataError(
            f"{name} has no label {_plain(missing)!r}, which {first_name} has ({name} starts with "
            f"{_plain(other.index[0])!r}): bring both to the same labels, or {_BY_POSITION}"
        )
    return other.iloc[places]


def _plain(label: Any) -> Any:
    """A label as Python writes it: 2, not np.int64(2)."""
    return label.item() if isinstance(label, np.generic) else label


def labelled(values: NDArray, labels: pd.Index | None) -> Any:
    """Return values per item as a Series where their columns came with labels."""
    return values if labels is None else pd.Series(values, index=labels)


def listed(values: Any, name: str) -> Any:
    """Generators and views as lists; sets and mappings have no order that could match another column."""
    if isinstance(values, (Set, Mapping)) and not isinstance(values, KeysView):
        raise DataError(f"{name} is a {type(values).__name__}; give a list, one value per item in the items' order")
    return list(values) if isinstance(values, Iterable) and not hasattr(values, "__getitem__") else values


def same_length(**arrays: Any) -> None:
    if len({len(array) for array in arrays.values()}) > 1:
        sizes = ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
        raise DataError(f"one value per item is needed on every side; lengths differ: {sizes}")


# --- numbers ---------------------------------------------------------------------------------------------------------


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
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        found = values.astype(float)
    else:
        found = _floats(cells(values, name), name)
    return np.where(np.isfinite(found), found, np.nan)


def cells(values: Any, name: str) -> Objects:
    """A column or table as an array of Python objects; rows that are Series are matched by their labels."""
    values = listed(values, name)
    if isinstance(values, (list, tuple)) and any(isinstance(row, pd.Series) for row in values):
        values = aligned(**{f"{name}[{place}]": row for place, row in enumerate(values)})[0]
    if isinstance(values, Pandas):
        return values.to_numpy(dtype=object)
    if isinstance(values, np.ma.MaskedArray):
        return values.astype(object).filled(None)
    return _read_nan(values) if isinstance(values, np.ndarray) else np.asarray(values, dtype=object)


def _read_nan(values: NDArray) -> Objects:
    """An array of text cannot hold NaN: numpy writes "nan"."""
    found = values.astype(object)
    return np.where(found == "nan", None, found) if values.dtype.kind == "U" else found


def _floats(given: Objects, name: str) -> Floats:
    if not any(issubclass(kind, (str, bytes)) for kind in set(map(type, given.ravel()))):
        try:
            return given.astype(float)
        except (TypeError, ValueError):  # pandas' NA, rows of unequal length
            pass
    found = np.full(given.shape, np.nan)
    for place in zip(*np.nonzero(~pd.isna(given)), strict=True):
        found[place] = _number(given[place], f"{name}[{', '.join(str(int(index)) for index in place)}]")
    return found


def _number(value: Any, where: str) -> float:
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError("text")
        return float(value)
    except (TypeError, ValueError) as error:
        hint = ". Text that holds numbers is turned into numbers by pandas.to_numeric" if isinstance(value, str) else ""
        message = f"{where} is {value!r}; a number or a missing value is needed, in rows of equal length{hint}"
        raise DataError(message) from error


def complete_rows(**named: ArrayLike) -> tuple[list[Floats], NDArray[np.bool_]]:
    """The columns without rows that miss a value, and which rows were kept; they must be in one order already."""
    arrays = {name: vector(values, name) for name, values in named.items()}
    same_length(**arrays)
    keep = np.isfinite(np.column_stack(list(arrays.values()))).all(axis=1)
    return [array[keep] for array in arrays.values()], keep


def ratio(part: float, whole: float) -> float:
    """part / whole; NaN for a whole of 0."""
    return float(part / whole) if whole else float("nan")


def divide(top: Floats, bottom: Floats, otherwise: float = float("nan")) -> Floats:
    """top / bottom, with `otherwise` where bottom is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(top, dtype=float), np.asarray(bottom, dtype=float))
    return np.divide(top, bottom, out=np.full(top.shape, otherwise), where=bottom != 0)


# --- labels and decisions --------------------------------------------------------------------------------------------


def objects(values: ArrayLike, name: str) -> Objects:
    """Any hashable values, (items,), as they are."""
    values = listed(values, name)
    if isinstance(values, np.ndarray) and values.ndim == 1 and not isinstance(values, np.ma.MaskedArray):
        return _read_nan(values)
    try:
        return pd.Series(values, dtype=object).to_numpy()
    except ValueError as error:
        raise DataError(f"{name} must be one-dimensional, one value per item ({error})") from error


def one_kind(**columns: Objects) -> None:
    """Refuse labels that cannot be equal whatever they mean: 1 beside "1", True beside 1 or "True".

    All columns together must hold text, or numbers (whole or not, Python's or numpy's), or truth values, or one other
    type. Missing values are passed over.
    """
    found: dict[str, tuple[str, Any]] = {}
    for name, column in columns.items():
        flat = column.ravel()
        places = np.flatnonzero(~pd.isna(flat))
        types = list(map(type, flat[places]))
        for each in dict.fromkeys(types):
            place = places[types.index(each)]
            found.setdefault(_kind(each), (f"{name}[{place}]", flat[place]))
    if len(found) > 1:
        (kind, (where, value)), (other_kind, (other_where, other)) = list(found.items())[:2]
        raise DataError(
            f"{where} is {value!r} ({kind}) and {other_where} is {other!r} ({other_kind}): labels of different types "
            "are never equal, whatever they mean; bring all to one type first, for example with .astype(str)"
        )


def _kind(of: type) -> str:
    if issubclass(of, (bool, np.bool_)):
        return "a truth value"
    if issubclass(of, numbers.Number):
        return "a number"
    return "text" if issubclass(of, str) else of.__name__


def none_alike(labels: Iterable[Any]) -> None:
    """Refuse texts that differ in case, blanks or the form of a number only ("Yes" and "yes ", "1" and "1.0")."""
    seen: dict[str, str] = {}
    for label in labels:
        if isinstance(label, str) and seen.setdefault(_plain_form(label), label) != label:
            raise DataError(
                f"labels {seen[_plain_form(label)]!r} and {label!r} are written differently; write them alike"
            )


def _plain_form(label: str) -> str:
    try:
        return str(float(label))
    except ValueError:
        return label.strip().casefold()


def some_shared(**columns: Objects) -> None:
    """Refuse texts of which one column's are all unknown to the others: they are other names, or other things.

    Columns with one label only are passed over: two raters who never agree can look like that.
    """
    used = {name: set(column[~pd.isna(column)]) for name, column in columns.items()}
    for name, ours in used.items():
        others = set().union(*(labels for other, labels in used.items() if other != name))
        if min(len(ours), len(others)) > 1 and ours.isdisjoint(others) and all(isinstance(x, str) for x in ours):
            raise DataError(
                f"{name} holds {few(sorted(map(repr, ours)))}, and no other column does (they hold "
                f"{few(sorted(map(repr, others)))}): bring them to one set of labels, or name all of them with labels="
            )


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
