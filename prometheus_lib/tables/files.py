"""Tables shown, written to files and read back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..records import DataError, MissingFile, write_text_atomic
from .cells import COLUMNS, KINDS, TEXTS, UNITS, show_p, typed
from .registry import caption, file_name

MAIN_VARIANT = "corrected"
_LEGEND = (
    "Brackets hold 95 % bootstrap intervals, resampled by instruction. A name in round brackets behind a column is "
    "the rule (variant) by which ours are counted; the CSV file holds all of them, with n. *higher* and *lower* come "
    "from a test whose p-values are corrected together (Holm); where a test is *undecided*, the CSV file says about "
    "how many more judgments would tell. Rows of kind *published* are the paper's numbers, measured on its own "
    "benchmarks and raters: they stand in the column that takes their place, for direction and order, not for size. "
    "Raters called sim-... are simulated."
)
_P_VALUES = ("p", "exact p", "p (Holm)", "p_holm")


# --- showing ---------------------------------------------------------------------------------------------------------


def display_table(
    cells: pd.DataFrame, variants: Sequence[str] | None = None, write: Callable[[Any], Any] | None = None
) -> pd.DataFrame:
    """Return a wide table of texts such as "0.812 [0.77, 0.85]", index (kind, row), in order of appearance.

    A column that has several variants shows one, for all its rows, and names it behind its title: "corrected" where
    there is one, else the first; `variants` chooses others, for example ("paper-code",). A value that does not exist
    shows "-"; unparsed judgments stay visible in brackets; a tested difference says what the test shows. `write` makes
    something else than this text of a cell (a named tuple of its fields).

    >>> from prometheus_lib.tables import Cell, cells_table
    >>> cell = Cell("linear", "FLASK", 0.8125, unit="pearson", low=0.77, high=0.85, n=80, unparsed=2)
    >>> display_table(cells_table("3", [cell])).iloc[0, 0]
    '0.812 [0.77, 0.85] (2 unparsed)'
    """
    chosen = {column: shown_variant(part, variants) for column, part in cells.groupby("column", sort=False)}
    keep = (cells["variant"] == "") | (cells["variant"] == cells["column"].map(chosen))
    shown = cells[keep].drop_duplicates(["kind", "row", "column"])
    shown = shown.assign(written=[(write or _text)(each) for each in shown.itertuples()])
    wide = shown.pivot(index=["kind", "row"], columns="column", values="written")
    order = shown.assign(rank=shown["kind"].map(KINDS.index)).sort_values("rank", kind="stable")
    rows = pd.MultiIndex.from_frame(order[["kind", "row"]].drop_duplicates())
    wide = wide.reindex(index=rows, columns=list(dict.fromkeys(shown["column"]))).fillna("")
    titles = {column: f"{column} ({variant})" for column, variant in chosen.items() if variant}
    return wide.rename(columns=titles).rename_axis(columns=None)


def shown_variant(column: pd.DataFrame, wanted: Sequence[str] | None = None) -> str:
    """Return the variant that a column's cells are shown in; "" where it has none, or none of those wanted."""
    ours = column[column["kind"] != "published"]
    known = list(dict.fromkeys((ours if len(ours) else column)["variant"]))
    if "" in known:
        return ""
    if wanted is not None:
        return next((variant for variant in wanted if variant in known), "")
    return MAIN_VARIANT if MAIN_VARIANT in known else next(iter(known), "")


def measure(column: pd.DataFrame) -> str:
    """Return what one column's cells measure, for the label of an axis."""
    return UNITS[column["unit"].iloc[0]].label


def value_text(each: Any) -> str:
    """Return what a cell holds: its number with the digits of its unit, "-" where there is none, or its words."""
    if each.unit == "text":
        return each.text
    return "-" if math.isnan(each.value) else f"{each.value:z{UNITS[each.unit].value}}"


def interval_text(each: Any) -> str:
    """Return a cell's 95 % interval, "[0.77, 0.85]"; "" where it has none."""
    bound = UNITS[each.unit].bound
    return "" if math.isnan(each.low) else f"[{each.low:z{bound}}, {each.high:z{bound}}]"


def _text(each: Any) -> str:
    text = value_text(each)
    if each.unit == "text":
        return text
    if interval := interval_text(each):
        text += f" {interval}"
    if each.verdict:
        text += f" {each.verdict}"
    unparsed = 0 if pd.isna(each.unparsed) else int(each.unparsed)
    return f"{text} ({unparsed} unparsed)" if unparsed else text


def plain(frame: pd.DataFrame, digits: int | Mapping[str, int] = 3) -> pd.DataFrame:
    """Return a frame of texts for display: numbers with `digits` decimals, "-" where there is none, no "-0.0".

    Whole-number columns and p-values (columns "p", "p (Holm)", "p_holm", "exact p") have forms of their own; `digits`
    may differ by column (a mapping; 3 where it has none).

    >>> plain(pd.DataFrame({"value": [0.12345, -0.00001], "p": [0.04996, 1e-9]})).values.tolist()
    [['0.123', '0.04996'], ['0.000', '<0.0001']]
    """
    places = digits if isinstance(digits, Mapping) else dict.fromkeys(frame.columns, digits)
    written = {column: [_plain(v, column, places.get(column, 3)) for v in frame[column]] for column in frame.columns}
    return pd.DataFrame(written, index=frame.index, columns=frame.columns, dtype=object)


def _plain(value: Any, column: Any, digits: int) -> str:
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return "-"
    if column in _P_VALUES and isinstance(value, float | int):
        return show_p(value)
    if isinstance(value, int | np.integer) or not isinstance(value, float | np.floating):
        return str(value)
    return f"{value:z.{digits}f}"


# --- files -----------------------------------------------------------------------------------------------------------


def save_table(cells: pd.DataFrame, number: str | int, folder: str | Path) -> Path:
    """Write a table as CSV (long, 6 significant digits), Markdown and LaTeX (wide); return the CSV's path.

    >>> import tempfile
    >>> from prometheus_lib.tables import example_run, table_5
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_table(table_5(example_run()), 5, folder)
    ...     path.name, load_table(5, folder)["row"].iloc[0]
    ('table_05.csv', 'base')
    """
    base, wide = Path(folder) / file_name(number), display_table(cells)
    title = caption(number)
    flat = wide.reset_index()
    write_text_atomic(base.with_suffix(".md"), f"# {title}\n\n{_markdown(flat)}\n\n{_LEGEND}\n")
    latex = flat.to_latex(index=False, escape=True, caption=title, label=f"tab:{file_name(number)}")
    write_text_atomic(base.with_suffix(".tex"), latex)
    return write_text_atomic(base.with_suffix(".csv"), to_csv(cells))


def _markdown(flat: pd.DataFrame) -> str:
    """A pipe table; names hold pipes themselves, which Markdown wants escaped."""
    escaped = flat.map(lambda text: text.replace("|", r"\|")).rename(columns=lambda text: text.replace("|", r"\|"))
    return escaped.to_markdown(index=False, disable_numparse=True)


def to_csv(cells: pd.DataFrame) -> str:
    """Return the cells as CSV text with 6 significant digits.

    >>> from prometheus_lib.tables import Cell, cells_table
    >>> to_csv(cells_table("3", [Cell("linear", "FLASK", 1 / 3, unit="pearson")])).splitlines()[1][:28]
    '3,linear,FLASK,0.333333,,,,,'
    """
    return cells.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def load_table(number: str | int, folder: str | Path) -> pd.DataFrame:
    """Read a table that `save_table` wrote; DataError names a missing or damaged file.

    >>> load_table(3, "no such folder")
    Traceback (most recent call last):
        ...
    prometheus_lib.records.MissingFile: no such folder/table_03.csv: file not found; run the notebook that writes it.
    """
    path = Path(folder) / f"{file_name(number)}.csv"
    if not path.is_file():
        raise MissingFile(f"{path}: file not found; run the notebook that writes it.")
    missing = {name: [""] for name in COLUMNS if name not in TEXTS}
    try:
        cells = pd.read_csv(path, dtype=TEXTS, keep_default_na=False, na_values=missing)
        return typed(cells[list(COLUMNS)])
    except (ValueError, KeyError) as error:
        raise DataError(
            f"{path}: not a table of this project, or of an earlier one ({error}); build it again."
        ) from error
