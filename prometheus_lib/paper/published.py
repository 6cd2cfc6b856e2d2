"""The numbers printed in the paper's tables 1 to 17, as they stand there.

`published.csv` holds one line per printed cell: table, row, column, metric, value, text. Rows and columns are
named as the paper prints them; a column under a spanning heading is "heading | column", for example
"VICUNA BENCH | GPT-4-1106", and a row of Table 5 is "base model | method". `value` is empty where the paper
prints "-" or "/" (kept in `text`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pandas as pd

PUBLISHED_CSV = Path(__file__).with_name("published.csv")
AVERAGES = {  # the columns of averages in Tables 5, 6 and 17
    "direct": "DIRECT ASSESSMENT BENCHMARKS | Average",
    "pairwise": "PAIRWISE RANKING BENCHMARKS | Average",
}


@cache
def _read_csv() -> pd.DataFrame:
    kinds = {"table": int, "row": str, "column": str, "metric": str, "value": float, "text": str}
    return pd.read_csv(PUBLISHED_CSV, dtype=kinds, keep_default_na=False, na_values={"value": [""]})


def load_published() -> pd.DataFrame:
    """Return every printed cell in order: table (int), row, column, metric, value (float or NaN), text.

    Correlations and Krippendorff's alpha are printed as fractions, accuracies and transitivity in percent.
    The text of a plain number is "", except in tables 7 to 10, which keep every cell as printed.

    >>> load_published().query("table == 15")["row"].iloc[0]
    'MISTRAL-INSTRUCT-7B'
    """
    return _read_csv().copy()


def published_table(number: int, cells: str = "value", published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return one table of the paper, rows and columns in the paper's order.

    `cells` is "value" for the numbers (NaN where none) or "text" for the words (tables 1, 2, 7-10).
    Raises KeyError for a table the paper does not have.

    >>> published_table(17)["PAIRWISE RANKING BENCHMARKS | Average"].idxmax()
    'TASK ARITHMETIC'
    """
    part = _table_rows(number, published)
    wide = part.pivot(index="row", columns="column", values=cells)
    wide = wide.loc[part["row"].drop_duplicates(), part["column"].drop_duplicates()]
    return wide.rename_axis(index=None, columns=None)


def published_value(table: int, row: str, column: str, published: pd.DataFrame | None = None) -> float:
    """Return one printed number, NaN where the paper prints "-", "/" or words.

    The letter case of names does not matter. Raises KeyError, with near names, for an unknown row or column.

    >>> published_value(3, "prometheus-2-7b", "flask | humans")
    0.545
    """
    values = _printed_values(table) if published is None else _by_name(_table_rows(table, published))
    found = values.get((row.casefold(), column.casefold()))
    if found is None:
        part = _table_rows(table, published)
        known = _known_name(part["row"], row, f"Table {table} has no row")
        _known_name(part.loc[part["row"] == known, "column"], column, f"Table {table} has no column")
    return float(found)


@cache
def _printed_values(table: int) -> dict[tuple[str, str], float]:
    """The numbers of one table as transcribed, for the many lookups of the finders below."""
    return _by_name(_table_rows(table, None))


def _by_name(part: pd.DataFrame) -> dict[tuple[str, str], float]:
    names = zip(part["row"].str.casefold(), part["column"].str.casefold())
    return dict(zip(names, part["value"].tolist()))


def _all_rows(published: pd.DataFrame | None) -> pd.DataFrame:
    return _read_csv() if published is None else published


def _table_rows(number: int, published: pd.DataFrame | None) -> pd.DataFrame:
    rows = _all_rows(published)
    part = rows[rows["table"] == number]
    if part.empty:
        raise KeyError(f"no Table {number!r} among the published tables {sorted(set(rows['table']))}")
    return part


def _known_name(names: Iterable[str], wanted: str, complaint: str) -> str:
    by_folded = {name.casefold(): name for name in names}
    if wanted.casefold() in by_folded:
        return by_folded[wanted.casefold()]
    near = difflib.get_close_matches(wanted.casefold(), by_folded, n=4, cutoff=0.3) or list(by_folded)
    raise KeyError(f"{complaint} {wanted!r}; near names: {', '.join(repr(by_folded[name]) for name in near)}")
