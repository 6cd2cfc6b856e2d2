"""What differs between two runs beyond noise, cell by cell: your run and the committed one, if nothing else is said.

`python -m prometheus_lib compare --scale mini` needs no model. Two runs of the same notebooks on different processors
differ in the last digits of trained weights, so in some sampled answers, so in nearly every number a little. Both runs
state each number's 95 % interval: a difference counts when it is larger than both intervals allow together, corrected
(Holm) for all cells of its table. Numbers without an interval are computed from the data alone and must be the same.
So must the items behind a number; how many answers could not be read may differ by chance, as far as Fisher's exact
test allows. A table that only one of the runs has is a difference. Changed verdicts are listed, but do not count by
themselves: near the margin a little noise changes one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import fisher_exact, norm

from .. import metrics, tables
from ..records import DataError, MissingFile
from ..scale import add_scale_options, committed_outputs, load_scale
from ..tables import KEY
from ..tables.cells import NO_INTERVAL
from .verify import same_number

LEVEL = 0.05
WIDTH = 2 * norm.ppf(0.975)  # standard errors from end to end of a 95 % interval
NOT_COMPARED = ("published",)  # kinds of rows that no run makes
RESAMPLED = ("share",)  # units of counts over resamples: noise without an interval of their own
OF_ALL_ITEMS = ("exact", "error", "right", "accuracy", "pearson", "spearman", "kendall")  # n is what could be read


@dataclass
class Differences:
    """What a table's cells say: how many were compared, how many differ within noise, and what differs beyond it."""

    compared: int = 0
    within_noise: int = 0
    beyond: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    skipped: int = 0


def compare_tables(reference: pd.DataFrame, own: pd.DataFrame) -> Differences:
    """Compare the cells of one table in two runs. Rows of real data that your run does not have are skipped, counted.

    >>> from prometheus_lib.tables import Cell, cells_table
    >>> def run(value, low, high):
    ...     return cells_table("3", [Cell("linear", "FLASK", value, low, high, n=64, unit="pearson")])
    >>> compare_tables(run(0.80, 0.70, 0.90), run(0.82, 0.72, 0.92)).within_noise
    1
    >>> compare_tables(run(0.80, 0.70, 0.90), run(0.40, 0.20, 0.60)).beyond
    ["row 'linear' (judge), column 'FLASK': 0.8 [0.7, 0.9] (n 64) there, 0.4 [0.2, 0.6] (n 64) here"]
    """
    theirs, ours = _by_key(reference), _by_key(own)
    found = Differences()
    real = {key for key in theirs.keys() - ours.keys() if key[0].startswith("real")}
    found.skipped = len(real)
    found.beyond += [f"{_name(key)}: there only" for key in theirs if key not in ours and key not in real]
    found.beyond += [f"{_name(key)}: here only" for key in ours if key not in theirs]
    shared = [key for key in theirs if key in ours]
    found.compared = len(shared)
    p_values = {key: _p_value(theirs[key], ours[key]) for key in shared}
    p_values |= {(*key, "unparsed"): _p_unparsed(theirs[key], ours[key]) for key in shared}
    corrected = metrics.holm(p_values) if p_values else {}
    for key in shared:
        p = min(corrected[key], corrected[*key, "unparsed"])
        if p < LEVEL or _other_items(theirs[key], ours[key]):
            found.beyond.append(f"{_name(key)}: {_text(theirs[key])} there, {_text(ours[key])} here")
        else:
            found.within_noise += _changed(theirs[key], ours[key])
        if theirs[key]["verdict"] != ours[key]["verdict"]:
            verdicts = [repr(cells[key]["verdict"]) for cells in (theirs, ours)]
            found.verdicts.append(f"{_name(key)}: {verdicts[0]} there, {verdicts[1]} here")
    return found


def _by_key(cells: pd.DataFrame) -> dict[tuple[str, ...], dict[str, Any]]:
    rows = cells[~cells["kind"].isin(NOT_COMPARED) & ~cells["unit"].isin(RESAMPLED)].to_dict("records")
    return {tuple(row[name] for name in KEY): row for row in rows}


def _p_value(reference: dict[str, Any], own: dict[str, Any]) -> float:
    """Return how probable so large a difference is by the two intervals' noise: 1 for none, 0 where nothing varies."""
    if not _changed(reference, own):
        return 1.0
    if any(NO_INTERVAL in str(cell["note"]) for cell in (reference, own)):
        return 1.0  # nothing says how large the noise is
    error = sum(((cell["high"] - cell["low"]) / WIDTH) ** 2 for cell in (reference, own)) ** 0.5
    if reference["text"] != own["text"] or not error > 0:  # no interval, or no width
        return 0.0
    z = abs(reference["value"] - own["value"]) / error
    return float(2 * norm.sf(z)) if z == z else 0.0


def _p_unparsed(reference: dict[str, Any], own: dict[str, Any]) -> float:
    """Return how probable so large a difference in the share of answers that could not be read is (Fisher's test)."""
    counts = [[_count(cell, name) for name in ("unparsed", "n")] for cell in (reference, own)]
    return 1.0 if counts[0][0] == counts[1][0] else float(fisher_exact(counts).pvalue)


def _other_items(reference: dict[str, Any], own: dict[str, Any]) -> bool:
    """Tell whether more items came or went than answers that could not be read explain."""
    if reference["unit"] not in OF_ALL_ITEMS or any(pd.isna(cell["n"]) for cell in (reference, own)):
        return False
    unread = max(_count(cell, "unparsed") for cell in (reference, own))
    return abs(int(reference["n"]) - int(own["n"])) > unread


def _count(cell: dict[str, Any], name: str) -> int:
    return 0 if pd.isna(cell[name]) else int(cell[name])


def _changed(reference: dict[str, Any], own: dict[str, Any]) -> bool:
    return reference["text"] != own["text"] or not same_number(reference["value"], own["value"])


def _name(key: tuple[str, ...]) -> str:
    kind, row, column, variant = key
    return f"row {row!r} ({kind}), column {column!r}" + (f", variant {variant!r}" if variant else "")


def _text(cell: dict[str, Any]) -> str:
    if cell["text"]:
        return repr(cell["text"])
    interval = "" if pd.isna(cell["low"]) else f" [{cell['low']:.4g}, {cell['high']:.4g}]"
    unread = f", {unparsed} unread" if (unparsed := _count(cell, "unparsed")) else ""
    return f"{cell['value']:.6g}{interval}" + ("" if pd.isna(cell["n"]) else f" (n {cell['n']}{unread})")


def compare_runs(reference: Path, own: Path) -> int:
    """Compare all tables of two runs' folders `tables`; print a line for each, return how many differ beyond noise.

    A table that one of the runs lacks differs. Raises DataError when your run has no table that the other one has.
    """
    names, more = (sorted(path.stem for path in folder.glob("*.csv")) for folder in (reference, own))
    if not names:
        raise MissingFile(f"{reference}: no tables here; there is nothing to compare with.")
    if not any((own / f"{name}.csv").is_file() for name in names):
        raise MissingFile(f"{own}: no tables here; run the notebooks first (`make reproduce`).")
    wrong = 0
    for name in names:
        if not (own / f"{name}.csv").is_file():
            print(f"{name}: not in your run")
            wrong += 1
            continue
        found = compare_tables(*(tables.load_table(name, folder) for folder in (reference, own)))
        wrong += bool(found.beyond)
        _print(name, found)
    for name in sorted(set(more) - set(names)):
        print(f"{name}: in your run only")
        wrong += 1
    return wrong


def _print(name: str, found: Differences) -> None:
    same = "same but noise" if found.within_noise else "same"
    state = f"DIFFERS in {len(found.beyond)}" if found.beyond else same
    noise = f", {found.within_noise} differ within noise" if found.within_noise else ""
    skipped = f", {found.skipped} of real data skipped" if found.skipped else ""
    print(f"{name}: {state} ({found.compared} cells{noise}{skipped})")
    for line in found.beyond:
        print(f"  {line}")
    for line in found.verdicts:
        print(f"  verdict, {line}")


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m prometheus_lib compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_scale_options(found, "where your run lies (default: my-outputs)")
    found.add_argument("--with", dest="other", default=None, metavar="DIR", help="the other run's (default: outputs)")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when nothing differs beyond noise, 1 when something does, 2 without a run to compare."""
    given = parser().parse_args(arguments)
    try:
        places = (given.other or committed_outputs(), given.outputs)
        runs = [load_scale(given.scale, place, given.base_model, given.rows) for place in places]
        wrong = compare_runs(*(run.paths.tables for run in runs))
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    print(
        "Nothing differs beyond noise." if not wrong else f"{wrong} tables differ beyond noise or are in one run only."
    )
    return 1 if wrong else 0
