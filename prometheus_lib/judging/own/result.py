"""What comes out of judging your own: a table, a summary with intervals, a figure and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...data.rubrics.reading import Criterion
from ...metrics import Interval, Ranking
from ...records import DataError

SUMMARY = ("of", "measure", "value", "low", "high", "n", "unparsed")


@dataclass(frozen=True)
class Result:
    """The outcome of `score`, `compare` or `rank`.

    `table`: one row per response (of a ranking: per pair), with its own columns first. `summary`: one row per measure,
    with its 95 % interval, the number of items and of answers that could not be read. `labels`: what people said, by
    rater, (items,). `kind` is "score", "compare" or "rank"; `toy` says why a judge is no real one ("" for others);
    `ranking` holds the strengths of a ranking.

    >>> from prometheus_lib import judging
    >>> rows = [{"instruction": "Greet.", "response": "Hello!"}]
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = judging.score(rows, "Is it kind?", judge="constant", out=folder, say=lambda text: None)
    >>> result.kind, result.table["score"].tolist(), list(result.summary)[:4]
    ('score', [3.0], ['of', 'measure', 'value', 'low'])
    """

    kind: str
    judge: str
    table: pd.DataFrame
    summary: pd.DataFrame
    criteria: tuple[Criterion, ...]
    clusters: Sequence[str]
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    toy: str = ""
    ranking: Ranking | None = None

    def trust(self) -> pd.DataFrame:
        """Return how far to trust the judge here, from people's labels: see `trust.trust`."""
        from .trust import trust

        return trust(self)

    def sentence(self) -> str:
        """Return a sentence about judge, agreement and corrected result, to paste into a paper."""
        from .trust import sentence

        return sentence(self)

    def figure(self) -> Any:
        """Return a matplotlib figure of the summary."""
        from .figures import figure

        return figure(self)

    def to_html(self, path: str | Path) -> Path:
        """Write one page in which the feedback can be read, filtered and sorted; return its path."""
        from .page import write_page

        return write_page(self, path)


def summary_row(of: str, measure: str, found: Interval | float, n: int | None = None, unparsed: int = 0) -> dict:
    """Return one row of a summary."""
    if isinstance(found, Interval):
        values = (found.estimate, found.low, found.high, found.n)
    else:
        values = (found, np.nan, np.nan, n)
    return dict(zip(SUMMARY, (of, measure, *values, unparsed)))


def beside(own: pd.DataFrame, found: dict[str, Sequence[Any]]) -> pd.DataFrame:
    """Return a user's columns with those found after them; a column of the same name is renamed to `<name>_given`."""
    kept = own.rename(columns={name: f"{name}_given" for name in own.columns if name in found})
    if twice := [name for name in kept.columns if list(kept.columns).count(name) > 1]:
        raise DataError(f"the columns {twice[0].removesuffix('_given')!r} and {twice[0]!r} clash; rename one.")
    # Lists as cells: one object for each row.
    columns = {name: pd.Series(list(values), index=kept.index, dtype=_dtype(values)) for name, values in found.items()}
    return pd.concat([kept, pd.DataFrame(columns, index=kept.index)], axis=1)


def _dtype(values: Sequence[Any]) -> Any:
    return object if any(isinstance(value, (list, str)) or value is None for value in values) else None
