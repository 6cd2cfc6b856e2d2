"""Tables for pages: what each cell shows, the number by which it is sorted, and what is told when it is pointed at."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup


@dataclass(frozen=True)
class Shown:
    """One cell: its text, a number to sort by (None: by the text), an interval that is printed behind it, and more.

    >>> Shown("0.81", 0.8125, "[0.77, 0.85]", "n 80; 2 unparsed").text
    '0.81'
    """

    text: str
    number: float | None = None
    interval: str = ""
    more: str = ""


@dataclass(frozen=True)
class View:
    """A table to show: `id` (of the page's element), caption, names of columns, rows; `csv` is what is downloaded.

    The first `heads` columns say what a row is about.

    >>> View("t", "Counts", ("what", "n"), ((Shown("apples"), Shown("3", 3)),)).heads
    1
    """

    id: str
    caption: str
    names: tuple[str, ...]
    rows: tuple[tuple[Shown, ...], ...]
    csv: str = ""
    file: str = ""
    heads: int = 1

    @property
    def csv_data(self) -> Markup:
        """Return the CSV as JSON that may stand in a script element."""
        return markup(json.dumps(self.csv, ensure_ascii=False).replace("<", "\\u003c"))


def markup(text: str) -> Markup:
    """Return our own text as markup that is not escaped again.

    >>> markup("<b>") == "<b>"
    True
    """
    return Markup(text)


def frame_view(frame: pd.DataFrame, id: str, caption: str, csv: bool = False) -> View:
    """Return a frame's columns as a table to show; with `csv`, the frame can be downloaded.

    >>> view = frame_view(pd.DataFrame({"who": ["a"], "n": [3], "share": [0.123456]}), "t", "Counts")
    >>> [cell.text for cell in view.rows[0]]
    ['a', '3', '0.1235']
    """
    rows = tuple(tuple(shown(value) for value in row) for row in frame.astype(object).values.tolist())
    text = frame.to_csv(index=False, lineterminator="\n") if csv else ""
    return View(id, caption, tuple(map(str, frame)), rows, text, f"{id}.csv" if csv else "")


def shown(value: Any) -> Shown:
    """Return what is shown of a value: numbers with four digits, nothing for NaN, lists with commas.

    >>> shown([1, None]).text, shown(True).text, shown(float("nan")).text, shown(2.0).number
    ('1, –', 'yes', '', 2.0)
    """
    if isinstance(value, Mapping):
        return Shown(", ".join(f"{key}: {shown(each).text}" for key, each in value.items()))
    if isinstance(value, (list, tuple)):
        return Shown(", ".join("–" if each is None else str(each) for each in value))
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return Shown({True: "yes", False: "no", None: ""}.get(value, value))
    if isinstance(value, (int, float)):
        nothing = isinstance(value, float) and math.isnan(value)
        return Shown("" if nothing else f"{value:.4g}" if isinstance(value, float) else str(value), _finite(value))
    return Shown("" if pd.isna(value) else str(value))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
