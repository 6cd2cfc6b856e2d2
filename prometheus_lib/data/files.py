"""Reading the rows of JSON files, whatever their form."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from ..records import DataError, MissingFile

Row = dict[str, Any]


def read_json(path: Path) -> Any:
    """Read a file that holds one JSON value; DataError names the file and the line."""
    return _json(path, _read_text(path))


def read_rows(path: str | Path) -> list[Row]:
    """Read a JSON array of objects, an object of objects or JSON Lines, whatever the file's name says.

    The file may be compressed by gzip and may start with a byte order mark. Lines end at newlines only: the texts
    hold characters at which str.splitlines would also cut. DataError names the file and the line or row.
    """
    path = Path(path)
    text = _read_text(path)
    data = _json_lines(path, text) if _is_json_lines(text) else _json(path, text)
    rows = list(data.values()) if isinstance(data, dict) else data
    for number, row in enumerate(rows if isinstance(rows, list) else [rows]):
        if not isinstance(row, dict):
            raise DataError(
                f"{path}, row {number}: expected an object, found {type(row).__name__}; get the file again."
            )
    return rows


def _read_text(path: Path) -> str:
    if path.is_dir():
        raise DataError(f"{path}: a folder, where a file is needed; put the file there.")
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise MissingFile(f"{path}: file not found; check the folder's name or fetch the file.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start}); the file is damaged, get it again.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: could not be read ({error}); the file is damaged, get it again.") from error
    if not text.strip():
        raise DataError(f"{path}: the file is empty; get it again.")
    if text.startswith("version https://git-lfs"):
        raise DataError(f"{path}: a Git LFS pointer, not the data; run `git lfs pull` in the clone it came from.")
    return text


def _is_json_lines(text: str) -> bool:
    """Is the first line an object of its own? A single line of objects by name is one JSON object of rows."""
    line, _, rest = text.strip().partition("\n")
    try:
        first = json.loads(line)
    except json.JSONDecodeError:
        return False
    return isinstance(first, dict) and (bool(rest) or not all(isinstance(value, dict) for value in first.values()))


def _json_lines(path: Path, text: str) -> list[Any]:
    lines = enumerate(text.split("\n"), start=1)
    return [_json(path, line, number) for number, line in lines if line.strip()]


def _json(path: Path, text: str, line: int = 1) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {line + error.lineno - 1}: not valid JSON ({error.msg}); the file is damaged, get it again."
        ) from error
