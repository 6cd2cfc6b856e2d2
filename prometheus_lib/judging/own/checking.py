"""A threshold that fails a test: `Result.check`."""

from __future__ import annotations

import math

import pandas as pd

from ...records import DataError
from .outcome import Outcome

MAIN = {  # what a result is about
    "score": ("mean of total", "mean score"), "compare": ("share of B (ties half)",),
    "rank": ("wins against the average",),
}  # fmt: skip


def check(
    result: Outcome, at_least: float | None, at_most: float | None, of: str | None, measure: str | None, surely: bool
) -> None:
    """Raise AssertionError, with value, interval and counts, where a number of the summary is beyond a threshold."""
    if at_least is None and at_most is None:
        raise DataError("check: give at_least=... or at_most=..., the number from which on it fails.")
    for name, bound in (("at_least", at_least), ("at_most", at_most)):
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, (int, float)) or math.isnan(bound)):
            raise DataError(f"check: {name}={bound!r} is not a number.")
    row = chosen_row(result, of, measure)
    low, high = (row["low"], row["high"]) if surely else (row["value"], row["value"])
    wrong = [f"at least {at_least:g}"] if at_least is not None and not low >= at_least else []
    wrong += [f"at most {at_most:g}"] if at_most is not None and not high <= at_most else []
    if wrong:
        whole = "with the whole interval " if surely else ""
        raise AssertionError(f"{told(result, row)}, not {whole}{' and '.join(wrong)}.")


def chosen_row(result: Outcome, of: str | None, measure: str | None) -> pd.Series:
    """Return the row of the summary that is meant; DataError says which there are where it is not one."""
    rows, known = result.summary, result.summary["measure"]
    alone = known.unique().tolist() if known.nunique() == 1 else ()  # one criterion, called by its name
    names = (measure, f"mean of {measure}") if measure is not None else (*MAIN[result.kind], *alone)
    found = next((rows[known == name] for name in names if (known == name).any()), rows.iloc[:0])
    players = found["of"].str.replace(r"^\d+\. ", "", regex=True)
    kept = found[(found["of"] == of) | (players == of)] if of is not None else found[:1] if _first(result) else found
    if len(kept) != 1:
        there = "; ".join(f"of={row.of!r}, measure={row.measure!r}" for row in rows.itertuples())
        raise DataError(f"check: of={of!r}, measure={measure!r} is no one row of the summary. There are: {there}.")
    return kept.iloc[0]


def _first(result: Outcome) -> bool:
    """Whether the first row is about everything: a ranking has a row for each player, and none for all."""
    return result.kind != "rank"


def told(result: Outcome, row: pd.Series) -> str:
    """Return a row of the summary in words."""
    interval = "no interval" if pd.isna(row["low"]) else f"95 % interval {row['low']:.3g} to {row['high']:.3g}"
    toy = " (a toy judge)" if result.toy else ""
    return (
        f"{row['of']}, {row['measure']} by {result.judge}{toy}: {row['value']:.3g} ({interval}; n {row['n']}, "
        f"{row['unparsed']} not readable)"
    )
