"""Tables shown, written to files and read back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..metrics import TOO_FEW
from ..records import DataError, MissingFile, write_text_atomic
from .cells import COLUMNS, KINDS, NUMBERS, show_p

CAPTIONS = {
    "1": "Statistics of the training collections",
    "2": "Statistics of the benchmarks, and what a judge that always finds the true score would reach",
    "3": "Direct assessment: Pearson correlation with each rater",
    "4": "Pairwise ranking: accuracy in percent",
    "5": "Single-format training, joint training and weight merging",
    "6": "Merging formats against merging two experts of one format",
    "11": "Direct assessment: Kendall's tau-b with each rater",
    "12": "Direct assessment: Spearman correlation with each rater",
    "13": "Consistency across formats: accuracy in percent",
    "14": "Consistency of three draws: Krippendorff's alpha, ordinal",
    "15": "Consistency of pairwise decisions: transitivity in percent",
    "16": "Judging with and without the reference answer: Pearson correlation",
    "17": "Merging methods",
    "figure_1": "Pearson correlation between raters and judges",
    "figure_3": "Linear merging: averages for each alpha (share of the direct expert)",
    "table_17_runs": "Merging methods, for two pairs of experts",
    "attacks": "Attack success in percent, with texts as they are and neutralised",
    "biases": "Biases of judges: position, length, rubric",
    "figure_3_runs": "Linear merging: averages for each alpha, for two pairs of experts",
}
MAIN_VARIANT = "corrected"
_LEGEND = (
    "Brackets hold 95 % bootstrap intervals, resampled by instruction. A name in round brackets behind a column is "
    "the rule (variant) by which ours are counted; the CSV file holds all of them, with n. *higher* and *lower* come "
    "from a test whose p-values are corrected together (Holm); where nothing is shown, the note in the CSV file says "
    "about how many more judgments would tell. Rows of kind *published* are the paper's numbers, measured on its own "
    "benchmarks and raters: they stand in the column that takes their place, for direction and order, not for size. "
    "Raters called sim-... are simulated."
)
_P_VALUES = ("p", "exact p", "p (Holm)")


# --- showing ---------------------------------------------------------------------------------------------------------


def display_table(cells: pd.DataFrame, variants: Sequence[str] | None = None) -> pd.DataFrame:
    """Return a wide table of texts such as "0.812 [0.77, 0.85]", index (kind, row), in order of appearance.

    A column that has several variants shows one, for all its rows, and names it behind its title: "corrected" where
    there is one, else the first; `variants` chooses others, for example ("paper-code",). A value that does not exist
    shows "-"; unparsed judgments stay visible in brackets; a tested difference says what the test shows.
    """
    chosen = {column: shown_variant(part, variants) for column, part in cells.groupby("column", sort=False)}
    keep = cells["variant"].isin(["", "text"]) | (cells["variant"] == cells["column"].map(chosen))
    shown = cells[keep].drop_duplicates(["kind", "row", "column"])
    styles = {column: _style(part) for column, part in shown.groupby("column", sort=False)}
    shown = shown.assign(text=[_text(each, styles[each.column]) for each in shown.itertuples()])
    wide = shown.pivot(index=["kind", "row"], columns="column", values="text")
    order = shown.assign(rank=shown["kind"].map(KINDS.index)).sort_values("rank", kind="stable")
    rows = pd.MultiIndex.from_frame(order[["kind", "row"]].drop_duplicates())
    wide = wide.reindex(index=rows, columns=list(dict.fromkeys(shown["column"]))).fillna("")
    titles = {column: f"{column} ({variant})" for column, variant in chosen.items() if variant}
    return wide.rename(columns=titles).rename_axis(columns=None)


def shown_variant(column: pd.DataFrame, wanted: Sequence[str] | None = None) -> str:
    """Return the variant that a column's cells are shown in; "" where it has none, or none of those wanted."""
    ours = column[column["kind"] != "published"]
    known = list(dict.fromkeys((ours if len(ours) else column)["variant"]))
    if "" in known or "text" in known:
        return ""
    if wanted is not None:
        return next((variant for variant in wanted if variant in known), "")
    return MAIN_VARIANT if MAIN_VARIANT in known else next(iter(known), "")


def _style(cells: pd.DataFrame) -> str:
    """How a column is written: whole counts, percent, or fractions."""
    values = cells["value"].dropna()
    if cells["low"].isna().all() and (values % 1 == 0).all():
        return "count"
    return "percent" if (values.abs() > 2).any() else "fraction"


def measure(column: pd.DataFrame) -> str:
    """Return what one column's cells measure, for the label of an axis."""
    table = column["table"].iloc[0]
    named = {"11": "Kendall's tau-b", "12": "Spearman correlation", "14": "Krippendorff's alpha"}
    if table in named:
        return named[table]
    if _style(column) == "percent":
        return "percent" if table == "15" else "accuracy in percent"
    return "Pearson correlation"


def _text(each: Any, style: str) -> str:
    if each.variant == "text":
        return each.note
    value, bound = {"count": (",.0f", ",.0f"), "percent": (".1f", ".1f"), "fraction": (".3f", ".2f")}[style]
    text = "-" if math.isnan(each.value) else f"{each.value:z{value}}"
    if not math.isnan(each.low):
        text += f" [{each.low:z{bound}}, {each.high:z{bound}}]"
    verdict = each.note.split(";")[0]
    if verdict in ("higher", "lower", "undecided", TOO_FEW):
        text += f" {verdict}"
    unparsed = 0 if pd.isna(each.unparsed) else int(each.unparsed)
    return f"{text} ({unparsed} unparsed)" if unparsed else text


def plain(frame: pd.DataFrame, digits: int | Mapping[str, int] = 3) -> pd.DataFrame:
    """Return a frame of texts for display: numbers with `digits` decimals, "-" where there is none, no "-0.0".

    Whole-number columns and p-values (columns "p", "p (Holm)", "exact p") have forms of their own; `digits` may differ
    by column (a mapping; 3 where it has none).
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


def file_name(number: str | int) -> str:
    """Return the name of a table's files without ending: "table_03", "figure_1"."""
    return f"table_{int(number):02d}" if str(number).isdigit() else str(number)


def save_table(cells: pd.DataFrame, number: str | int, folder: str | Path) -> Path:
    """Write a table as CSV (long, 6 significant digits), Markdown and LaTeX (wide); return the CSV's path."""
    base, wide = Path(folder) / file_name(number), display_table(cells)
    caption = _caption(str(number))
    flat = wide.reset_index()
    write_text_atomic(base.with_suffix(".md"), f"# {caption}\n\n{_markdown(flat)}\n\n{_LEGEND}\n")
    latex = flat.to_latex(index=False, escape=True, caption=caption, label=f"tab:{file_name(number)}")
    write_text_atomic(base.with_suffix(".tex"), latex)
    return write_text_atomic(base.with_suffix(".csv"), to_csv(cells))


def _markdown(flat: pd.DataFrame) -> str:
    """A pipe table; names hold pipes themselves, which Markdown wants escaped."""
    escaped = flat.map(lambda text: text.replace("|", r"\|")).rename(columns=lambda text: text.replace("|", r"\|"))
    return escaped.to_markdown(index=False, disable_numparse=True)


def _caption(number: str) -> str:
    title = f"Table {number}" if number.isdigit() else number.replace("_", " ").capitalize()
    return f"{title}. {CAPTIONS[number]}"


def to_csv(cells: pd.DataFrame) -> str:
    """Return the cells as CSV text with 6 significant digits."""
    return cells.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def load_table(number: str | int, folder: str | Path) -> pd.DataFrame:
    """Read a table that `save_table` wrote; DataError names a missing or damaged file."""
    path = Path(folder) / f"{file_name(number)}.csv"
    if not path.is_file():
        raise MissingFile(f"{path}: file not found; run the notebook that writes it.")
    texts = ["table", "row", "column", "kind", "variant", "note"]
    missing = {name: [""] for name in COLUMNS if name not in texts}
    try:
        cells = pd.read_csv(path, dtype=dict.fromkeys(texts, str), keep_default_na=False, na_values=missing)
        return cells[list(COLUMNS)].astype(NUMBERS)
    except (ValueError, KeyError) as error:
        raise DataError(f"{path}: not a table of this project ({error}); build it again.") from error
