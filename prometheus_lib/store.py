"""The judgment store: one append-only JSON Lines file per judge, safe to kill at any moment.

A judgment's key identifies model, prompt, decoding settings and draw. What is in the file is never generated again,
and a last line that a kill cut short is taken off with a message.
"""

from __future__ import annotations

import gzip
import json
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from . import artifacts
from .records import DataError, Judgment, as_row, read_jsonl, write_bytes_atomic

COLUMNS = tuple(field.name for field in fields(Judgment))


def judgment_key(fingerprint: str, prompt: str, decoding: dict[str, Any], format: str, order: str, draw: int) -> str:
    """Return the key under which a judgment is stored."""
    return artifacts.text_hash(fingerprint, prompt, decoding, format, order, draw)


def repair_tail(path: Path) -> int:
    """Cut off a damaged last line (no newline at its end) and return the number of bytes removed."""
    with open(path, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        keep = _end_of_last_whole_line(file, size)
        if keep == size:
            return 0
        file.truncate(keep)
    warnings.warn(
        f"{path}: the last line was cut short and has been removed ({size - keep} bytes); "
        "its judgments will be collected again.",
        stacklevel=3,
    )
    return size - keep


def _end_of_last_whole_line(file: Any, size: int) -> int:
    """Search backwards for the last newline and return the position behind it."""
    position, block = size, 1 << 16
    while position > 0:
        start = max(0, position - block)
        file.seek(start)
        found = file.read(position - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0


class JudgmentStore:
    """The judgments of one judge in one file; `keys` tells what is there."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            repair_tail(self.path)
            self.keys = {_key(self.path, number, row) for number, row in enumerate(read_jsonl(self.path), start=1)}
        else:
            self.keys = set()

    def append(self, judgments: Iterable[Judgment]) -> int:
        """Append whole lines in one write and wait until they are on disk; known keys are left out."""
        new = [judgment for judgment in judgments if judgment.key not in self.keys]
        data = "".join(json.dumps(as_row(judgment), ensure_ascii=False) + "\n" for judgment in new).encode()
        if not data:
            return 0
        size = self.path.stat().st_size if self.path.exists() else 0
        try:
            _write_synced(self.path, data)
        except OSError as error:
            if self.path.exists():
                os.truncate(self.path, size)
            raise DataError(
                f"{self.path}: {len(new)} judgments could not be appended ({error.strerror}); "
                "free space and start again: everything collected before is kept."
            ) from error
        self.keys.update(judgment.key for judgment in new)
        return len(new)


def _key(path: Path, number: int, row: dict[str, Any]) -> str:
    if "key" not in row:
        raise DataError(f"{path}, line {number}: this judgment has no key; remove the line or the file.")
    return row["key"]


def _write_synced(path: Path, data: bytes) -> None:
    with open(path, "ab", buffering=0) as file:
        written = 0
        while written < len(data):
            written += file.write(data[written:])
        os.fsync(file.fileno())


def judgment_files(folder: str | Path) -> list[Path]:
    """Return one file per judge: `<judge>.jsonl`, or `<judge>.jsonl.gz` where only the recorded file is there."""
    folder = Path(folder)
    live = {path.name.removesuffix(".jsonl"): path for path in folder.glob("*.jsonl")}
    recorded = {path.name.removesuffix(".jsonl.gz"): path for path in folder.glob("*.jsonl.gz")}
    return [path for _, path in sorted((recorded | live).items())]


def load_judgments(folder: str | Path, judges: Sequence[str] | None = None) -> Any:
    """Return all judgments below a folder as a pandas DataFrame with one column per field of Judgment.

    Raises DataError when the folder has no judgment file, or when a row lacks a field.
    """
    import pandas as pd

    files = judgment_files(folder)
    if not files:
        raise DataError(f"{folder}: no judgment files (*.jsonl or *.jsonl.gz); run notebook 05 first.")
    rows = []
    for path in files:
        for number, row in enumerate(read_jsonl(path), start=1):
            row.setdefault("policy", "once")  # files written before there was a choice
            missing = [column for column in COLUMNS if column not in row]
            if missing:
                raise DataError(f"{path}, line {number}: fields {missing} are missing from this judgment.")
            rows.append(row)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table if judges is None else table[table["judge"].isin(list(judges))].reset_index(drop=True)


def compress(folder: str | Path) -> list[Path]:
    """Write each judge's file as `.jsonl.gz` beside it, sorted by benchmark, format, item and draw; return the paths.

    Equal judgments give equal bytes: sorted rows, no time in the gzip header.
    """
    packed = []
    for path in sorted(Path(folder).glob("*.jsonl")):
        rows = sorted(read_jsonl(path), key=_order)
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        packed.append(write_bytes_atomic(Path(f"{path}.gz"), gzip.compress(text.encode(), 9, mtime=0)))
    return packed


def _order(row: dict[str, Any]) -> tuple:
    return row["benchmark"], row["format"], row["with_reference"], row["order"], row["item_id"], row["draw"]
