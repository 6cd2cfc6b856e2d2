"""What judging your own found: tables, criteria and people's labels, before anything is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ...data.rubrics.reading import Criterion
from ...metrics import FEWEST_CLUSTERS, Interval, Ranking
from ...records import DataError

SUMMARY = ("of", "measure", "value", "low", "high", "n", "unparsed")
SIDE = {"A": 0.0, "tie": 0.5, "B": 1.0}  # how much of a comparison goes to B


@dataclass(frozen=True)
class Outcome:
    """What `score`, `compare` or `rank` found; see `Result` for the fields."""

    kind: str
    judge: str
    table: pd.DataFrame
    summary: pd.DataFrame
    criteria: tuple[Criterion, ...]
    clusters: Sequence[str]
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    toy: str = ""
    ranking: Ranking | None = None


def summary_row(of: str, measure: str, found: Interval | float, n: int | None = None, unparsed: int = 0) -> dict:
    """Return one row of a summary; fewer than ten instructions have no interval, which would be too sure of itself."""
    if isinstance(found, Interval):
        ends = (found.low, found.high) if found.n_clusters >= FEWEST_CLUSTERS else (np.nan, np.nan)
        values = (found.estimate, *ends, found.n)
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


def sides(decisions: Sequence[str | None]) -> np.ndarray:
    """Return how much of each comparison goes to B, (pairs,); NaN where it could not be read."""
    return np.array([SIDE.get(decision, np.nan) if decision else np.nan for decision in decisions], dtype=float)
