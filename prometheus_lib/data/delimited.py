"""CSV and its relatives: commas, semicolons, tabs or bars, with the marks that spreadsheets leave.

Reading is strict: an unclosed quotation mark, or text after a closing one, is an error with its line, because the
usual lenient reading swallows rows or changes texts. What strict reading cannot see, a mark that happens to be closed
further down, is noted when the lines inside it look like rows.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..records import DataError
from .table import Table, from_cells

DELIMITERS = (",", ";", "\t", "|")
LONGEST = 2**31 - 1  # characters of a field; Python's own limit is 131,072, less than a long response
_DECLARED = re.compile(r'"?sep=(.)"?(?:\1|[ \t])*(\r\n|\r|\n)', re.IGNORECASE)  # it tells Excel the delimiter
_FIRST = re.compile(r"[^\r\n]*\S[^\r\n]*")  # the first line that is not blank
_Line = tuple[int, list[str]]


def parse_delimited(name: str, text: str) -> Table:
    r"""Return the rows of a text with a header line; `name` stands in messages.

    The delimiter is the one that a first line `sep=;` declares, else the one that gives the header the most names.
    Spaces after every delimiter of the header belong to the form of the file; texts are else kept as they are.
    Raises DataError, with the line, for a fault of quotation marks and for a row of another length than the header.

    >>> parse_delimited("mine.csv", 'sep=;\nid;response\n1;"two\nlines"\n').rows
    [{'id': '1', 'response': 'two\nlines'}]
    """
    declared = _DECLARED.match(text)
    body = text[declared.end() :] if declared else text
    with _long_fields():
        header = _FIRST.search(body)[0] if body.strip() else ""
        delimiter = declared[1] if declared else max(DELIMITERS, key=lambda mark: len(_split(header, mark)))
        others = _split(header, delimiter)[1:]
        spaced = bool(others) and all(field.startswith(" ") for field in others)
        lines = list(_lines(name, body, 2 if declared else 1, delimiter, spaced))
        table = from_cells(name, ((f"{name}, line {number}", cells) for number, cells in lines))
        return replace(table, notes=tuple(_swallowed(name, lines, delimiter)))


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _lines(name: str, text: str, first: int, delimiter: str, spaced: bool) -> Iterator[_Line]:
    """Yield each record with the line on which it starts."""
    taken: list[str] = []
    ends: set[bool] = set()
    reader = csv.reader(_kept(text, taken), delimiter=delimiter, strict=True, skipinitialspace=spaced)
    while True:
        start, taken[:] = first + reader.line_num, []
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(_fault(name, start, first + reader.line_num - 1, str(error))) from error
        if cells is None:
            return
        _check_marks(name, start, cells, "".join(taken), delimiter)
        _check_ends(name, start, ends, taken[-1])
        yield start, cells


def _check_ends(name: str, start: int, ends: set[bool], last: str) -> None:
    """Raise DataError where one row ends in a carriage return and another in a line feed: one of them is text."""
    if last.endswith(("\r", "\n")):
        ends.add(last.endswith("\r"))
    if len(ends) > 1:
        raise DataError(
            f"{name}, line {start}: some rows end in a carriage return and others in a line feed; put texts that hold "
            "carriage returns into quotation marks (pandas: quoting=csv.QUOTE_ALL)."
        )


def _kept(text: str, taken: list[str]) -> Iterator[str]:
    """The physical lines; those of the current record are kept in `taken`."""
    for line in io.StringIO(text, newline=""):
        taken.append(line)
        yield line


@contextmanager
def _long_fields() -> Iterator[None]:
    before = csv.field_size_limit(LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _fault(name: str, start: int, line: int, error: str) -> str:
    if error == "unexpected end of data":
        what = "a quotation mark is opened here and never closed"
        return f"{name}, line {start}: {what}; close it, or write a mark that belongs to the text twice."
    where = f"{name}, line {line}" + (f" (of the row that starts on line {start})" if line > start else "")
    return f"{where}: not CSV ({error}); write a quotation mark that belongs to a quoted text twice."


def _check_marks(name: str, start: int, cells: list[str], raw: str, delimiter: str) -> None:
    """Raise DataError for a space before an opening mark, which makes the mark a part of the text."""
    for cell in cells:
        if cell[:1].isspace() and cell.lstrip()[:1] == '"' and f"{delimiter}{cell}" in raw:
            raise DataError(f"{name}, line {start}: a space stands before a quotation mark; remove it.")


def _swallowed(name: str, lines: list[_Line], delimiter: str) -> list[str]:
    """Note quoted fields whose further lines look like rows of this file."""
    filled = [line for line in lines if any(line[1])]
    width = len(filled[0][1]) if filled else 0
    firsts = [cells[0] for _, cells in filled[1:] if cells]
    longest = 0 if any(" " in first.strip() for first in firsts) else max(map(len, firsts), default=0)
    found = []
    for number, cells in filled[1:]:
        for cell in cells:
            parts = [_split(line, delimiter) for line in re.split(r"\r\n|\r|\n", cell)[1:] if line]
            found += [number] * _like_rows(parts, width, longest)
    if not found:
        return []
    noun = (
        "line inside a quoted field looks like a row"
        if len(found) == 1
        else "lines inside quoted fields look like rows"
    )
    return [
        f"{name}: {len(found)} {noun} (in the row that starts on line {found[0]}); {len(filled) - 1} rows were read. "
        "If rows are missing, a quotation mark is not closed there."
    ]


def _like_rows(parts: list[list[str]], width: int, longest: int) -> int:
    """Count lines of one field, split, that look like rows: they begin as others do, or have no space behind commas."""
    fitting = [part for part in parts if len(part) == width > 1 and part[0].strip()]
    short = [part for part in fitting if len(part[0]) <= longest and " " not in part[0]]  # where rows begin with ids
    tight = [part for part in fitting if not any(field[:1].isspace() for field in part)]
    whole = len(tight) >= max(1, len(parts) - 1)  # the mark may be closed inside the last row
    return len(tight) if whole else len(short)
