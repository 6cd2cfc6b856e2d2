"""Any source of rows becomes a table: CSV, JSON, Excel and Parquet files, data frames, lists of dictionaries.

What a file holds is told by its first bytes (gzip, Excel, Parquet, byte order marks), then by the ending of its name,
then by its text. Text is UTF-8, or UTF-16 or UTF-32 with a byte order mark.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import re
import zipfile
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ..records import DataError, MissingFile
from .delimited import parse_delimited
from .json_rows import json_values, of_value, parse_json
from .table import Rows, Table, check_twice, clean, from_cells, from_rows

Source = str | os.PathLike[str] | pd.DataFrame | Table | Mapping[str, Any] | Iterable[Mapping[str, Any]]

DELIMITED = (".csv", ".tsv", ".tab", ".txt")
JSON = (".json", ".jsonl", ".ndjson")
_OBJECTS = re.compile(r'\s*(?:\[\s*)?\{\s*"')  # JSON, whatever the file is called
_MARKS = {  # the longer mark first: UTF-32's begins like UTF-16's
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
_FOREIGN = {
    b"\xd0\xcf\x11\xe0": "an old Excel file; save it as .xlsx or as CSV UTF-8",
    b"BZh": "compressed by bzip2; unpack it", b"\xfd7zXZ": "compressed by xz; unpack it",
    b"(\xb5/\xfd": "compressed by zstd; unpack it", b"%PDF": "a PDF file; save its table as CSV UTF-8",
}  # fmt: skip


def read_table(source: Source, known: Collection[str] = ()) -> Table:
    """Return the rows of a file (CSV, TSV, JSON, JSON Lines, .xlsx, Parquet; also .gz), data frame or list of mappings.

    `known` are names of columns, by which column-wise JSON is told from rows by name. Rows that are blank as a whole
    are left out and noted; a Table is taken as it is. DataError names the file, the line or row, and what to do.

    >>> read_table([{"instruction": "Say hello.", "response": "Hello!"}]).rows[0]["response"]
    'Hello!'
    """
    if isinstance(source, Table):
        return source
    if isinstance(source, (str, os.PathLike)):
        return clean(_of_file(Path(source).expanduser(), known))
    if isinstance(source, pd.DataFrame):
        return clean(_of_frame("the data frame", source))
    if isinstance(source, Mapping):
        return clean(of_value("the dictionary", source, known))
    if isinstance(source, Iterable):
        return clean(of_value("the list", list(source)))
    raise DataError(f"rows are read from a file's path, a data frame or a list of dictionaries, not from {source!r}.")


def read_rows(path: str | Path) -> Rows:
    """Return the rows of a released JSON file, whatever its name: all of them, as they are.

    The file may be an array, an object of objects or JSON Lines. DataError names the file and the line or row.
    """
    return parse_json(str(path), _text(Path(path), _content(Path(path)))).rows


def read_json(path: str | Path) -> Any:
    """Return the one value of a JSON file; DataError names the file and the line."""
    ((_, value), *_) = json_values(str(path), _text(Path(path), _content(Path(path))))
    return value


def _of_file(path: Path, known: Collection[str]) -> Table:
    content = _content(path)
    if content[:4] == b"PAR1":
        return _of_parquet(path, content)
    if content[:4] == b"PK\x03\x04":
        return _of_excel(path, content)
    name, text = str(path), _text(path, content)
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if ending in JSON or _OBJECTS.match(text) or (ending not in DELIMITED and text.lstrip()[:1] in ("{", "[")):
        return parse_json(name, text, known)
    return parse_delimited(name, text)


# --- bytes and texts -------------------------------------------------------------------------------------------------


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except IsADirectoryError as error:
        raise DataError(f"{path}: a folder, where a file is needed; put the file there.") from error
    except FileNotFoundError as error:
        raise MissingFile(f"{path}: file not found; check its name and folder.") from error
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(
            f"{str(path)[:200]}: could not be read ({error}); the file is damaged, get it again."
        ) from error
    for start, what in _FOREIGN.items():
        if content.startswith(start):
            raise DataError(f"{path}: {what}.")
    return content


def _text(path: Path, content: bytes) -> str:
    encoding = next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f'{path}, line {line}: not UTF-8 text (byte {error.start}); save it as UTF-8 (Excel: "CSV UTF-8"). Where '
            'you know its encoding, give pandas.read_csv(..., encoding="cp1252", dtype=str, keep_default_na=False).'
        ) from error
    text = text.lstrip("\ufeff")  # a second mark, of files that were put together
    if not text.strip():
        raise DataError(f"{path}: the file is empty; get it again.")
    if text.startswith("version https://git-lfs"):
        raise DataError(f"{path}: a Git LFS pointer, not the data; run `git lfs pull` in the clone it came from.")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path}, line {line}: a zero byte, so this is no UTF-8 text (UTF-16?); save it as UTF-8.")
    return text


# --- tables of other programs ----------------------------------------------------------------------------------------


def _of_frame(name: str, frame: pd.DataFrame) -> Table:
    """Rows of a data frame, with the levels of its index that have a name."""
    index = [(level, frame.index.get_level_values(number)) for number, level in enumerate(frame.index.names) if level]
    columns = [*(str(level) for level, _ in index), *map(str, frame.columns)]
    check_twice(name, columns)
    cells = [*(values for _, values in index), *(frame.iloc[:, number] for number in range(frame.shape[1]))]
    rows = [dict(zip(columns, map(_plain, row), strict=True)) for row in zip(*cells, strict=True)]
    return replace(from_rows(name, rows), columns=tuple(columns))


def _plain(value: Any) -> Any:
    """Arrays, as Parquet files hold lists, become lists."""
    return (
        [_plain(each) for each in value.tolist()] if hasattr(value, "tolist") and getattr(value, "ndim", 0) else value
    )


def _of_parquet(path: Path, content: bytes) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        found = pyarrow.parquet.read_table(io.BytesIO(content))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a whole Parquet file ({error}); get it again.") from error
    names = [name for name in found.column_names if not name.startswith("__index_level_")]
    check_twice(str(path), names)
    return replace(from_rows(str(path), found.select(names).to_pylist()), columns=tuple(names))


def _of_excel(path: Path, content: bytes) -> Table:
    """Rows of the first sheet, each named by its number in Excel; that further sheets hold something is noted."""
    try:
        sheets = pd.read_excel(
            io.BytesIO(content), sheet_name=None, header=None, dtype=object, keep_default_na=False, engine="openpyxl"
        )
    except ImportError as error:
        raise DataError(
            f"{path}: reading an Excel file needs the package openpyxl (pip install openpyxl); or save it as CSV UTF-8."
        ) from error
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a whole .xlsx file ({error}); save it again, or as CSV UTF-8.") from error
    (first, sheet), *others = sheets.items()
    lines = ((f"{path}, row {number}", list(row)) for number, row in enumerate(sheet.itertuples(index=False), start=1))
    more = [title for title, other in others if other.size]
    notes = (f"{path}: only the sheet {first!r} is read, not {', '.join(more)}.",) if more else ()
    return replace(from_cells(str(path), lines), notes=notes)


def named_columns(text: str | None) -> dict[str, str]:
    """Return what a command is told of a file's columns: your names, each with ours; DataError for anything else.

    >>> named_columns('{"output": "response"}'), named_columns(None)
    ({'output': 'response'}, {})
    """
    try:
        found = json.loads(text) if text else {}
        if isinstance(found, dict) and all(isinstance(each, str) for each in found.values()):
            return found
    except ValueError:
        pass
    raise DataError(f'--columns {text}: write your names of columns as JSON, such as \'{{"output": "response"}}\'.')
