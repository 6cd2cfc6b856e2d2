"""Rows under field names, each with its place: what every file, data frame or list becomes before it is read.

Names are matched without regard to case, spaces and hyphens ("Response A" is `response_a`). A column whose name is
there twice or is nearly a known one is an error, because it would be ignored; all other columns that are not read are
named in one note.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..records import DataError, few
from .values import has_halves, is_blank, mended

Rows = list[dict[str, Any]]
Cells = Iterable[tuple[str, Sequence[Any]]]
NEAR = 0.8  # difflib's ratio from which a name counts as a misspelt one
SHORTEST = 4  # letters of a name that may be a misspelt one: "uid" is not meant to be "id"


@dataclass(frozen=True)
class Table:
    """Rows of one source; `places` say where each stands ("mine.csv, line 3"), `notes` what a user should know."""

    name: str
    columns: tuple[str, ...]
    rows: Rows
    places: list[str]
    notes: tuple[str, ...] = ()


def from_rows(name: str, rows: Rows, places: list[str] | None = None) -> Table:
    """Return the table of dictionaries; its columns are all their names, `places` count from row 1 if not given.

    >>> from_rows("a list", [{"id": 1}, {"id": 2, "judge": "owl"}]).columns
    ('id', 'judge')
    """
    places = places or [f"{name}, row {number}" for number in range(1, len(rows) + 1)]
    return Table(name, tuple(dict.fromkeys(column for row in rows for column in row)), rows, places)


def clean(table: Table) -> Table:
    """Return the table without rows that are blank as a whole, and with lone surrogates replaced; both are noted.

    DataError when no row is left.

    >>> clean(from_rows("a list", [{"id": 1}, {"id": None}])).notes
    ('a list: 1 row without any value is left out (row 2).',)
    """
    found = list(zip(table.places, table.rows, strict=True))
    kept = [(place, row) for place, row in found if not all(map(is_blank, row.values()))]
    if not kept:
        raise DataError(f"{table.name}: holds no rows.")
    gone = [place for place, row in found if all(map(is_blank, row.values()))]
    broken = [
        f"{place}, {mended(name)}" for place, row in kept for name, value in row.items() if has_halves([name, value])
    ]
    rows = [mended(row) if has_halves([*row.items()]) else row for _, row in kept]
    notes = [
        *sentence(table, gone, "row without any value", "left out"),
        *sentence(table, broken, "value with a lone surrogate (half of a character)", "mended by U+FFFD"),
    ]
    columns = tuple(map(mended, table.columns))
    return replace(table, columns=columns, rows=rows, places=[place for place, _ in kept], notes=(*table.notes, *notes))


def sentence(table: Table, places: Sequence[str], what: str, done: str) -> list[str]:
    """Return one sentence about rows of a table, with their number and the first of them; none if there are none.

    >>> sentence(from_rows("a list", []), ["a list, row 2", "a list, row 3"], "row without an id", "left out")
    ['a list: 2 rows without an id are left out (row 2, row 3).']
    """
    noun = f"1 {what} is" if len(places) == 1 else f"{len(places)} {what.replace(' ', 's ', 1)} are"
    shown = few([place.removeprefix(f"{table.name}, ") for place in places])
    return [f"{table.name}: {noun} {done} ({shown})."] if places else []


# --- from cells ------------------------------------------------------------------------------------------------------


def from_cells(name: str, lines: Cells) -> Table:
    """Return the table of a sheet: the first line that is not blank holds the names, each other line is a row.

    Blank cells beyond the names are nothing; DataError for a row with more or fewer cells, and for a name twice.
    """
    filled = iter([(place, cells) for place, cells in lines if len(cells)])
    header = next((cells for _, cells in filled if not all(map(is_blank, cells))), None)
    if header is None:
        raise DataError(f"{name}: holds no rows.")
    body = [(place, _fitted(name, place, cells, len(header))) for place, cells in filled]
    used = [any(not is_blank(cells[number]) for _, cells in body) for number in range(len(header))]
    named = [_header(number, cell) for number, cell in enumerate(header, start=1)]
    kept = [n for n, cell in enumerate(header) if used[n] or not is_blank(cell)]
    check_twice(name, [named[number] for number in kept])
    rows = [{named[number]: cells[number] for number in kept} for _, cells in body]
    return Table(name, tuple(named[number] for number in kept), rows, [place for place, _ in body])


def _header(number: int, cell: Any) -> str:
    return f"(column {number}, without a name)" if is_blank(cell) else str(cell).strip()


def _fitted(name: str, place: str, cells: Sequence[Any], width: int) -> Sequence[Any]:
    if all(map(is_blank, cells)):
        return [None] * width
    if len(cells) < width or not all(map(is_blank, cells[width:])):
        raise DataError(
            f"{place}: {len(cells)} fields, and the header has {width}; put texts with commas, quotation marks or "
            "line breaks into quotation marks, and write a mark inside them twice."
        )
    return cells[:width]


def check_twice(name: str, columns: Sequence[str]) -> None:
    """Raise DataError when a column's name is there more than once."""
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise DataError(
            f"{name}: the column {twice[0]!r} is there {columns.count(twice[0])} times; rename or drop one."
        )


# --- names -----------------------------------------------------------------------------------------------------------


def canonical(name: str) -> str:
    """Return a column's name in lower case, with one underscore for spaces and hyphens.

    >>> canonical(" Response A")
    'response_a'
    """
    return re.sub(r"[\s_\-]+", "_", str(name).strip().lower())


def pick(table: Table, known: Sequence[str], columns: Mapping[str, str] | None = None, more: str = r"(?!)") -> Table:
    """Return the table with the known columns only, under their known names; the others are noted.

    `columns` renames first ({"output": "response"}); `more` is a pattern of further names to keep. DataError for two
    columns of one name, a misspelt one, and a name in `columns` that the table does not have.

    >>> table = from_rows("a list", [{"Response A": "x", "model": "m"}])
    >>> pick(table, ["response_a"]).rows, pick(table, ["response_a"]).notes
    ([{'response_a': 'x'}], ('a list: columns that are not read: model.',))
    """
    named = _renamed(table, known, columns or {})
    kept = {raw: name for raw, name in named.items() if name in known or re.fullmatch(more, name)}
    _check_same(table, kept)
    others = [raw for raw in table.columns if raw not in kept]
    for raw in others:
        _check_near(table, raw, known, set(kept.values()))
    notes = [f"{table.name}: columns that are not read: {', '.join(others)}."] if others else []
    rows = [{kept[raw]: value for raw, value in row.items() if raw in kept} for row in table.rows]
    return replace(table, rows=rows, columns=tuple(kept.values()), notes=(*table.notes, *notes))


def _renamed(table: Table, known: Sequence[str], columns: Mapping[str, str]) -> dict[str, str]:
    for theirs, ours in columns.items():
        if theirs not in table.columns:
            raise DataError(f"{table.name}: no column {theirs!r} to rename; found {', '.join(table.columns)}.")
        if ours not in known:
            raise DataError(f"columns={{{theirs!r}: {ours!r}}}: {ours!r} is none of {', '.join(known)}.")
    return {raw: columns.get(raw) or canonical(raw) for raw in table.columns}


def _check_same(table: Table, kept: Mapping[str, str]) -> None:
    first: dict[str, str] = {}
    for raw, name in kept.items():
        if name in first:
            raise DataError(f"{table.name}: the columns {first[name]!r} and {raw!r} are both {name!r}; drop one.")
        first[name] = raw


def _check_near(table: Table, raw: str, known: Sequence[str], present: set[str]) -> None:
    name = canonical(raw)
    if family := _family(name, known):
        raise DataError(f"{table.name}: column {raw!r} is not read, only {', '.join(family)}; rename or drop it.")
    absent = [each for each in known if each not in present]
    short = [each for each in absent if _is_short(name, each)]
    if len(name) >= SHORTEST and (meant := short or difflib.get_close_matches(name, absent, 1, NEAR)):
        raise DataError(
            f"{table.name}: column {raw!r} looks like {meant[0]!r}, which is missing; rename it, "
            f"say columns={{{raw!r}: {meant[0]!r}}}, or drop it if it is something else."
        )


def _is_short(name: str, known: str) -> bool:
    """Tell whether a name is a known one of several words cut short: reference or ref_answer for reference_answer."""
    words, whole = name.split("_"), known.split("_")
    if len(words) == 1 < len(whole):
        return name == whole[0]
    return len(words) == len(whole) > 1 and all(len(a) >= 3 and b.startswith(a) for a, b in zip(words, whole))


def _family(name: str, known: Sequence[str]) -> list[str]:
    """The known names that differ from a name in what counts them only, as response_a from response_c."""
    stem, mark, last = name.rpartition("_")
    counts = mark and (len(last) == 1 or last.isdigit())
    return [each for each in known if counts and re.fullmatch(rf"{re.escape(stem)}_\w", each)]
