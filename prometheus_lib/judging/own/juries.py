"""Several judges of the same items: how far they agree, and a jury of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd

from ...metrics import bootstrap_alpha, bootstrap_correlation, bootstrap_mean
from ...records import DataError
from .comparing import sides
from .outcome import SUMMARY, summary_row
from .result import Result


def judge_agreement(results: Sequence[Result]) -> pd.DataFrame:
    """Return Krippendorff's alpha of several judges of the same items, and the agreement of each two.

    For scores each two judges' Pearson correlation, for pairs their share of equal decisions; with 95 % intervals.
    DataError where the results are not about the same items.

    >>> from prometheus_lib import judging
    >>> rows = [{"instruction": f"Say {n}.", "response_a": "x" * n, "response_b": "x" * (9 - n)} for n in range(1, 9)]
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     both = [
    ...         judging.compare(rows, "Is it right?", judge=name, out=folder, say=lambda text: None)
    ...         for name in ("longer", "random")
    ...     ]
    >>> judge_agreement(both)["measure"].tolist()
    ["Krippendorff's alpha", 'equal decisions']
    """
    values, clusters = _values(results), list(results[0].clusters)
    measurement = "interval" if results[0].kind == "score" else "nominal"
    names = " and ".join(result.judge for result in results)
    rows = [
        summary_row(names, "Krippendorff's alpha", bootstrap_alpha(values, clusters=clusters, measurement=measurement))
    ]
    for one, two in combinations(range(len(results)), 2):
        pair = f"{results[one].judge} and {results[two].judge}"
        if results[0].kind == "score":
            found = bootstrap_correlation(values[one], values[two], clusters=clusters)
            rows.append(summary_row(pair, "Pearson's r", found))
        else:
            both = np.isfinite(values[one]) & np.isfinite(values[two])
            equal = np.where(both, values[one] == values[two], np.nan)
            rows.append(summary_row(pair, "equal decisions", bootstrap_mean(equal, clusters=clusters)))
    return pd.DataFrame(rows, columns=list(SUMMARY))


def jury(results: Sequence[Result], rule: Literal["mean", "vote"] | None = None) -> Result:
    """Return several judges' result as one: the mean of their scores ("mean"), or the median or majority ("vote").

    By default the mean of scores, and the vote on pairs (a tie without a majority). An item that one of them could not
    be read on is decided by the others. The table keeps each judge's column beside the jury's.

    >>> from prometheus_lib import judging
    >>> rows = [{"instruction": "Greet.", "response": "Hi."}]
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     both = [
    ...         judging.score(rows, "Is it kind?", judge=name, out=folder, say=lambda text: None)
    ...         for name in ("constant", "random")
    ...     ]
    >>> jury(both).judge
    'jury of constant, random'
    """
    values, first = _values(results), results[0]
    rule = rule or ("mean" if first.kind == "score" else "vote")
    if rule not in ("mean", "vote"):
        raise DataError(f"unknown rule {rule!r}; choose mean or vote.")
    decide = np.nanmean if rule == "mean" else np.nanmedian if first.kind == "score" else _majority
    told = np.isfinite(values).any(axis=0)
    joint = np.full(values.shape[1], np.nan)
    joint[told] = decide(values[:, told], axis=0)
    name = f"jury of {', '.join(result.judge for result in results)}"
    column = "score" if first.kind == "score" else "decision"
    found = joint if first.kind == "score" else [_named(value) for value in joint]
    parts = {f"{column} by {result.judge}": result.table[column].to_numpy() for result in results}
    own = first.table.loc[:, :"item_id"]
    table = own.assign(**{column: found}, **parts)
    measure = "mean score" if first.kind == "score" else "share of B (ties half)"
    summary = summary_row("all items", measure, bootstrap_mean(joint, clusters=list(first.clusters)))
    rows = pd.DataFrame([summary | {"unparsed": int((~told).sum())}])
    toy = "; ".join(dict.fromkeys(result.toy for result in results if result.toy))
    return Result(first.kind, name, table, rows, first.criteria, first.clusters, first.labels, toy)


def _majority(values: np.ndarray, axis: int) -> np.ndarray:
    """B where more votes are for B than for A, a tie where as many are."""
    return 0.5 + np.sign(np.nansum(values - 0.5, axis=axis)) / 2


def _named(value: float) -> str | None:
    return None if np.isnan(value) else {0.0: "A", 1.0: "B"}.get(value, "tie")


def _values(results: Sequence[Result]) -> np.ndarray:
    """Scores, or shares of B, shaped (judges, items)."""
    if len(results) < 2 or len({result.judge for result in results}) < len(results):
        raise DataError("give the results of at least two judges, each with a name of its own.")
    first = results[0]
    for result in results:
        if result.kind != first.kind or result.kind == "rank":
            raise DataError("a jury takes results of `score`, or results of `compare`, not both and no rankings.")
        if list(result.table["item_id"]) != list(first.table["item_id"]) or result.criteria != first.criteria:
            raise DataError(f"{first.judge} and {result.judge} judged other items or by other rubrics.")
    if first.kind == "score":
        return np.array([result.table["score"].to_numpy(dtype=float) for result in results])
    return np.array([sides([None if pd.isna(d) else d for d in result.table["decision"]]) for result in results])
