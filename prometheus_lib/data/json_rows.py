"""Rows of JSON in the forms that tools write: one object a line, an array, objects by name, columns.

- One object after the other, each on its line or indented over several: one row each.
- An array of objects: one row each; also under "data" beside "schema" (pandas, orient="table").
- Objects by name, `{"q1": {"instruction": ...}, ...}`: one row each, and the name is its `id` where it has none and the
  names are no mere numbering.
- Columns, `{"instruction": {"0": ..., "1": ...}, ...}` or `{"instruction": [...], ...}`, and columns, index and data
  (pandas, orient="split"): turned into rows. Known by a column's name, or by inner names that are numbers.
- A single object of anything else is one row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..records import DataError
from .table import Rows, Table, canonical, check_twice, from_rows

_SPACE = re.compile(r"[\s\ufeff]*")
ID_NAMES = {"id", "item_id"}


def parse_json(name: str, text: str, known: Collection[str] = ()) -> Table:
    r"""Return the rows of a JSON text; `known` are names of columns, by which columns are told from rows.

    DataError names the line of what is not JSON, of a field that is twice in one object, and of what is no object.

    >>> parse_json("mine.jsonl", '{"id": 1}\n{"id": 2}\n').places
    ['mine.jsonl, line 1', 'mine.jsonl, line 2']
    """
    values = json_values(name, text)
    if len(values) == 1:
        return of_value(name, values[0][1], known, values[0][0])
    for line, value in values:
        if not isinstance(value, dict):
            raise DataError(f"{name}, line {line}: expected one JSON object, found {type(value).__name__}; repair it.")
    return from_rows(name, [value for _, value in values], [f"{name}, line {line}" for line, _ in values])


def json_values(name: str, text: str) -> list[tuple[int, Any]]:
    """Return all values of a text, each with the line on which it starts.

    >>> json_values("x", '[1]\\n  {"a": 2}')
    [(1, [1]), (2, {'a': 2})]
    """
    decode, found = json.JSONDecoder(object_pairs_hook=_object).raw_decode, []
    place, line, counted = _SPACE.match(text).end(), 1, 0
    while place < len(text):
        line, counted = line + text.count("\n", counted, place), place
        try:
            value, end = decode(text, place)
        except json.JSONDecodeError as error:
            raise DataError(f"{name}, {_fault(line, error, text[place])}; mend it, or get it again.") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{name}, line {line}: not readable JSON ({error}).") from error
        found.append((line, value))
        place = _SPACE.match(text, end).end()
    return found


def _fault(line: int, error: json.JSONDecodeError, first: str) -> str:
    """An object that ends too early is seen on the line after it only, so the line on which it starts is named."""
    if error.lineno == line or first != "{":
        return f"line {error.lineno}: not valid JSON ({error.msg})"
    return f"line {line}: not valid JSON ({error.msg} on line {error.lineno})"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice!r} is there twice in one object; drop one")
    return made


def of_value(name: str, value: Any, known: Collection[str] = (), line: int = 1) -> Table:
    """Return the table of one value: an array of objects, or an object in one of the forms above.

    >>> of_value("x", {"id": {"0": "a", "1": "b"}}).rows
    [{'id': 'a'}, {'id': 'b'}]
    """
    if isinstance(value, Mapping):
        rows = _of_object(name, value, {canonical(each) for each in known})
        return from_rows(name, rows) if len(rows) != 1 else from_rows(name, rows, [f"{name}, line {line}"])
    if not isinstance(value, list):
        raise DataError(f"{name}, line {line}: expected rows, found {type(value).__name__}; repair it.")
    for number, row in enumerate(value, start=1):
        if not isinstance(row, Mapping):
            raise DataError(f"{name}, row {number}: expected an object, found {type(row).__name__}; repair it.")
    return from_rows(name, [dict(row) for row in value])


def _of_object(name: str, value: Mapping[str, Any], known: set[str]) -> Rows:
    inner = list(value.values())
    if not inner:
        return []
    if {"columns", "data"} <= set(value) <= {"columns", "data", "index"}:
        check_twice(name, value["columns"])
        return [dict(zip(value["columns"], cells, strict=True)) for cells in value["data"]]
    if {"data"} <= set(value) <= {"data", "schema"} and _all(value["data"], Mapping):
        return [dict(row) for row in value["data"]]
    if _all(inner, Mapping):
        is_columns = known & {canonical(each) for each in value} or _numbered(inner[0]) and not _numbered(value)
        return _by_name(_turned(value) if is_columns else value)
    if _all(inner, list):
        if len(set(map(len, inner))) > 1:
            lengths = {column: len(cells) for column, cells in value.items()}
            raise DataError(f"{name}: columns of different lengths {lengths}; a column needs a value for every row.")
        return [dict(zip(value, cells, strict=True)) for cells in zip(*inner, strict=True)]
    return [dict(value)]


def _all(values: Any, kind: type) -> bool:
    return isinstance(values, Sequence) and all(isinstance(each, kind) for each in values)


def _numbered(names: Mapping[str, Any]) -> bool:
    return all(str(each).isdigit() for each in names)


def _turned(columns: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for column, cells in columns.items():
        for label, value in cells.items():
            rows.setdefault(label, {})[column] = value
    return rows


def _by_name(rows: Mapping[str, Mapping[str, Any]]) -> Rows:
    """Rows in order; a name that is no mere number becomes the id of a row without one."""
    if _numbered(rows):
        return [dict(row) for row in rows.values()]
    return [dict(row) if ID_NAMES & set(map(canonical, row)) else {"id": label, **row} for label, row in rows.items()]
