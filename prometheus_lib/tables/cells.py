"""Cells: one number of a table with everything that belongs to it, and tables as frames of cells.

A table is a long DataFrame, one line per cell, with the columns of `COLUMNS`. Whatever reads a table reads these
columns: nothing is written into a note that a program needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .. import metrics
from ..metrics import FEWEST_CLUSTERS, TOO_FEW, Comparison, Interval
from ..records import DataError

NAN = math.nan
COMPARISON_RESAMPLES = 10_000
KINDS = (
    "judge", "difference", "benchmark", "ceiling", "rater", "floor",
    "real benchmark", "real judge", "real ceiling", "real rater", "real floor", "published",
)  # fmt: skip
HIGHER, LOWER, UNDECIDED = "higher", "lower", "undecided"
NO_INTERVAL = "too few for an interval"
VERDICTS = ("", HIGHER, LOWER, UNDECIDED, TOO_FEW)
KEY = ("kind", "row", "column", "variant")


class Unit(NamedTuple):
    """How the numbers of a unit are written: what they measure, and the format of values and of interval ends."""

    label: str
    value: str
    bound: str


UNITS = {
    "exact": Unit("exact scores in percent", ".1f", ".1f"),
    "error": Unit("mean absolute error in score points", ".2f", ".2f"),
    "right": Unit("truly better response picked, in percent", ".1f", ".1f"),
    "pearson": Unit("Pearson correlation", ".3f", ".2f"),
    "spearman": Unit("Spearman correlation", ".3f", ".2f"),
    "kendall": Unit("Kendall's tau-b", ".3f", ".2f"),
    "partial": Unit("partial correlation", ".3f", ".2f"),
    "krippendorff_alpha": Unit("Krippendorff's alpha", ".3f", ".2f"),
    "accuracy": Unit("accuracy in percent", ".1f", ".1f"),
    "percent": Unit("percent", ".1f", ".1f"),
    "points": Unit("percentage points", ".1f", ".1f"),
    "score points": Unit("score points per true point", ".3f", ".2f"),
    "share": Unit("share of resamples", ".3f", ".2f"),
    "alpha": Unit("alpha (share of the direct expert)", ".1f", ".1f"),
    "count": Unit("count", ",.0f", ",.0f"),
    "text": Unit("", "", ""),
}


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    `row` and `column` place it; `variant` is the rule it is counted by, where rules differ. `value` has a `unit` of
    `UNITS`, and `low` to `high` is its 95 % interval; a cell of unit "text" holds its words in `text`. `n` items are
    behind it, of which `unparsed` judgments could not be read. Where something was tested, `verdict` says what the test
    showed ("higher", "lower", "undecided", "too few instructions"), `p` its p-value and `p_holm` the one corrected for
    the whole table, `test` its name, and `more_needed` about how many more judgments would tell. `note` is for people
    only.

    Raises DataError for a unit, kind or verdict that tables do not know; any other field's name is a TypeError.

    >>> Cell("linear", "MT Bench | sim-strong", 0.81, unit="pearson", low=0.7, high=0.9, n=64).kind
    'judge'
    """

    row: str
    column: str
    value: float = NAN
    low: float = NAN
    high: float = NAN
    n: int | None = None
    unparsed: int | None = None
    unit: str = ""
    kind: str = "judge"
    variant: str = ""
    verdict: str = ""
    p: float = NAN
    p_holm: float = NAN
    test: str = ""
    more_needed: int | None = None
    text: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for name, known in (("unit", UNITS), ("kind", KINDS), ("verdict", VERDICTS)):
            if getattr(self, name) not in known:
                place = f"the cell in row {self.row!r}, column {self.column!r}"
                raise DataError(f"{place} has {name} {getattr(self, name)!r}; known are {', '.join(map(repr, known))}")


COLUMNS = ("table", *(field.name for field in fields(Cell)))
NUMBERS = dict.fromkeys(("value", "low", "high", "p", "p_holm"), "float64")
COUNTS = dict.fromkeys(("n", "unparsed", "more_needed"), "Int64")
TEXTS = dict.fromkeys((name for name in COLUMNS if name not in NUMBERS | COUNTS), "str")


def cells_table(number: str, cells: Iterable[Cell]) -> pd.DataFrame:
    """Return the cells of one table as a DataFrame with the columns of `COLUMNS`; DataError for two cells of one key.

    >>> table = cells_table("3", [Cell(row, "FLASK", 0.5, unit="pearson") for row in ("linear", "base")])
    >>> table["row"].tolist(), table["n"].isna().all().item()
    (['linear', 'base'], True)
    """
    table = pd.DataFrame([{"table": number, **asdict(each)} for each in cells], columns=list(COLUMNS))
    twice = table.duplicated(list(KEY))
    if twice.any():
        raise DataError(f"table {number} has two cells for {dict(table.loc[twice, list(KEY)].iloc[0])}")
    return typed(table)


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of cells with each column in its type."""
    return table.astype({**NUMBERS, **COUNTS, **TEXTS})


# --- from statistics to cells ----------------------------------------------------------------------------------------


def interval_cell(
    row: str, column: str, interval: Interval | None, unit: str, kind: str, resamples: int | None = None, **more: Any
) -> Cell:
    """Return a statistic as a cell, its interval from the first `resamples` draws; None is "not judged".

    On fewer than ten instructions a bootstrap is too sure of itself: there the cell has no interval, and says so.

    >>> found = metrics.bootstrap_mean([0, 100, 100, 0, 100], n_resamples=100).with_unparsed(1)
    >>> made = interval_cell("linear", "Auto-J Eval | w/o TIE", found, "accuracy", "judge")
    >>> made.value, made.n, made.unparsed, made.low, made.note
    (60.0, 5, 1, nan, '5 instructions: too few for an interval')
    >>> interval_cell("linear", "FLASK", None, "pearson", "judge").note
    'not judged'
    """
    if interval is None:
        return Cell(row, column, unit=unit, kind=kind, **{"note": "not judged", **more})
    shown = interval.of_first(resamples) if resamples else interval
    found = {"low": shown.low, "high": shown.high, "n": shown.n, "unparsed": shown.unparsed}
    if shown.n_clusters < FEWEST_CLUSTERS:
        notes = (more.get("note", ""), f"{shown.n_clusters} instructions: {NO_INTERVAL}")
        more = {**more, "low": NAN, "high": NAN, "note": "; ".join(filter(None, notes))}
    return Cell(row, column, shown.estimate, unit=unit, kind=kind, **{**found, **more})


def difference_cells(
    found: Mapping[tuple[str, ...], Comparison | None], units: Mapping[str, str] | str, kind: str = "difference"
) -> list[Cell]:
    """Return tested differences as cells; their p-values are corrected together.

    `found` is keyed by (row, column) or (row, column, variant); `units` is the unit of all, or that of each column.
    """
    return [
        difference_cell(row, column, each, units if isinstance(units, str) else units[column], kind, "".join(variant))
        for (row, column, *variant), each in metrics.decide(found).items()
    ]


def difference_cell(
    row: str, column: str, decided: Comparison, unit: str, kind: str = "difference", variant: str = ""
) -> Cell:
    """Return one decided comparison (see `metrics.decide`) as a cell."""
    spread = {"low": decided.low, "high": decided.high, "n": decided.n, "variant": variant}
    return with_test(Cell(row, column, decided.difference, unit=unit, kind=kind, **spread), decided)


def with_test(cell: Cell, decided: Comparison) -> Cell:
    """Return a cell with what a decided comparison shows; a test by item, for comparison only, goes into the note."""
    words = {"first": HIGHER, "second": LOWER}
    notes = [cell.note]
    if decided.verdict == TOO_FEW:
        notes.append(f"{decided.n_clusters} instructions where at least {FEWEST_CLUSTERS} are needed")
    elif decided.item_test:
        notes.append(f"by item, uncorrected, {decided.item_test}: {p_text(decided.item_p)}")
    return replace(
        cell,
        verdict=words.get(decided.verdict, decided.verdict),
        p=decided.p_value,
        p_holm=decided.p_holm,
        test=decided.test,
        more_needed=decided.more_needed and int(float(f"{decided.more_needed:.2g}")),
        note="; ".join(filter(None, notes)),
    )


def p_text(p_value: float) -> str:
    """Return a p-value with its name: "p = 0.012", "p < 0.0001".

    >>> p_text(0.0123), p_text(1e-9)
    ('p = 0.0123', 'p < 0.0001')
    """
    text = show_p(p_value)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def show_p(p: float) -> str:
    """Write a p-value: three digits, more where rounding would move it to or across 0.05; "-" where there is none.

    Below 1e-4 only that is written: bootstraps and normal tests of some twenty instructions know no more.

    >>> show_p(0.012345), show_p(0.0499999), show_p(3e-9), show_p(NAN)
    ('0.0123', '0.0499999', '<0.0001', '-')
    """
    if p is None or pd.isna(p):
        return "-"
    if p < 1e-4:
        return "<0.0001"
    texts = (f"{p:.{digits}g}" for digits in range(3, 18))
    return next(text for text in texts if np.sign(float(text) - 0.05) == np.sign(p - 0.05))
