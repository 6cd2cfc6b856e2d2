"""Recompute every table from the committed judgments and compare it with the committed one, cell by cell.

`python -m prometheus_lib verify --scale mini` needs no model and no real data. It prints one line per table and ends
with 1 when anything differs, naming table, row, column, committed and recomputed value. Rows from real data are
compared where PROMETHEUS_DATA_DIR is set; else they are skipped, and the number skipped is printed. Table 1 counts the
training collections: those of the run, or, where a miniature run's are not kept, the same ones written again.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .. import data, tables
from ..data import DATA_VARIABLE
from ..records import DataError, MissingFile, read_jsonl
from ..report import NAME, STALE, report_state
from ..scale import READ, Scale, add_scale_options, stored_scale
from ..tables import KEY, TABLES, Run

TOLERANCE = 1e-6  # relative, on top of the six digits that are written
_NUMBERS = ("value", "low", "high", "p", "p_holm")
_EXACT = ("n", "unparsed", "unit", "verdict", "test", "more_needed", "text", "note")


def differences(committed: pd.DataFrame, recomputed: pd.DataFrame) -> list[str]:
    """Return one line per difference between two tables of cells: missing rows, extra rows, changed cells."""
    ours, theirs = (_by_key(cells) for cells in (recomputed, committed))
    found = [f"{_name(key)}: committed, but not recomputed" for key in theirs.keys() - ours.keys()]
    found += [f"{_name(key)}: recomputed, but not in the committed table" for key in ours.keys() - theirs.keys()]
    found.sort()
    for key in (key for key in theirs if key in ours):
        found += [f"{_name(key)}: {text}" for text in _changes(theirs[key], ours[key])]
    return found


def _by_key(cells: pd.DataFrame) -> dict[tuple[str, ...], dict[str, Any]]:
    return {tuple(row[name] for name in KEY): row for row in cells.to_dict("records")}


def _name(key: tuple[str, ...]) -> str:
    kind, row, column, variant = key
    return f"row {row!r} ({kind}), column {column!r}" + (f", variant {variant!r}" if variant else "")


def _changes(committed: dict[str, Any], recomputed: dict[str, Any]) -> Iterator[str]:
    for name in _NUMBERS:
        if not same_number(committed[name], recomputed[name]):
            yield f"{name} is {committed[name]:.6g} in the committed table, {recomputed[name]:.6g} recomputed"
    for name in _EXACT:
        old, new = (None if pd.isna(row[name]) else row[name] for row in (committed, recomputed))
        if old != new:
            yield f"{name} is {old!r} in the committed table, {new!r} recomputed"


def same_number(committed: float, recomputed: float) -> bool:
    """Tell whether a number written with six significant digits is the recomputed one (both may be NaN)."""
    if math.isnan(committed) or math.isnan(recomputed):
        return math.isnan(committed) and math.isnan(recomputed)
    if committed == recomputed:
        return True
    largest = max(abs(committed), abs(recomputed))
    rounding = 0.5 * 10.0 ** (math.floor(math.log10(largest)) - 5)
    return abs(committed - recomputed) <= rounding + max(TOLERANCE * largest, 1e-12)


def check_table(run: Run, number: str, folder: Path, with_real: bool) -> tuple[list[str], str]:
    """Recompute one table and return its differences and a line that says what was compared."""
    try:
        committed = tables.load_table(number, folder)
    except DataError as error:
        return [str(error)], "not compared"
    if number not in ("1", *TABLES):
        return ["this table is not one that is recomputed; delete it, or enter it in the tables' registry"], "unknown"
    try:
        recomputed = collections_table(run.scale) if number == "1" else TABLES[number](run)
    except MissingFile as error:
        return [], f"not compared: {error}"
    skipped = 0
    if not with_real:
        real = committed["kind"].str.startswith("real")
        skipped, committed = int(real.sum()), committed[~real]
        recomputed = recomputed[~recomputed["kind"].str.startswith("real")]
    text = f"{len(committed)} cells compared"
    return differences(committed, recomputed), text + (f", {skipped} of real data skipped" if skipped else "")


def collections_table(scale: Scale) -> pd.DataFrame:
    """Return Table 1 of a run's training collections; MissingFile at a paper scale that does not keep them."""
    files = [scale.paths.rows(name) for name in ("feedback", "preference")]
    if scale.miniature and not all(file.is_file() for file in files):
        return tables.table_1(data.load_feedback_rows(scale), data.load_preference_rows(scale))
    return tables.table_1(*map(read_jsonl, files))


def unknown_tables(folder: Path, known: Sequence[str]) -> list[str]:
    """Return the names of committed tables that nothing recomputes."""
    names = {tables.file_name(number) for number in known}
    return sorted(path.stem for path in folder.glob("*.csv") if path.stem not in names)


def verify(scale: Scale) -> int:
    """Compare all tables of a scale, and see that its page was made from them; print a line for each.

    Return how many differ; a page that is not there is none of them.
    """
    with_real = bool(os.environ.get(DATA_VARIABLE))
    if not with_real:
        print(f"{DATA_VARIABLE} is not set: rows from real data are skipped.")
    run = tables.load_run(scale, real=with_real)
    wrong = 0
    checked = ("1", *TABLES)
    for number in (*checked, *unknown_tables(scale.paths.tables, checked)):
        found, text = check_table(run, number, scale.paths.tables, with_real)
        wrong += bool(found)
        print(f"{tables.file_name(number)}: {'DIFFERS' if found else 'ok'} ({text})")
        for line in found:
            print(f"  {tables.file_name(number)}, {line}")
    state = report_state(scale.paths.root)
    print(f"{NAME}: {state or 'ok (made from these files)'}")
    return wrong + (state == STALE)


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    found = argparse.ArgumentParser(prog="python -m prometheus_lib verify", description=__doc__)
    add_scale_options(found, READ)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when all tables agree, 1 when one differs, 2 when there is nothing to compare."""
    given = parser().parse_args(arguments)
    try:
        wrong = verify(stored_scale(given.scale, given.outputs, given.base_model, given.rows))
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    print("All tables agree with the judgments." if not wrong else f"{wrong} tables differ from the judgments.")
    return 1 if wrong else 0
