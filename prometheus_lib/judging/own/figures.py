"""The figure of a result: means with their intervals, shares of pairs, or a ranking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .outcome import Outcome

INK, SOFT = "#1f4e79", "#9db8d2"
TITLES = {
    "score": ("mean score", "mean of"), "compare": ("share of B",), "rank": ("wins against the average",),
}  # fmt: skip


def figure(result: Outcome) -> Any:
    """Return a figure with one line per row of the summary that the result is about, and its 95 % interval."""
    import matplotlib.pyplot as plt

    rows = result.summary[result.summary["measure"].str.startswith(TITLES[result.kind])]
    drawn, axes = plt.subplots(figsize=(7, 1.2 + 0.4 * len(rows)), layout="constrained")
    plt.close(drawn)  # a notebook shows it where it is the value of a cell, and only there
    places = np.arange(len(rows))[::-1]
    reach = np.abs(np.nan_to_num([rows["value"] - rows["low"], rows["high"] - rows["value"]]))
    axes.errorbar(rows["value"], places, xerr=reach, fmt="o", color=INK, ecolor=SOFT, elinewidth=3, capsize=0)
    axes.set_yticks(places, [_label(result, row) for row in rows.itertuples()])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    if result.kind == "score":
        values = [value for criterion in result.criteria for value in criterion.scale.values]
        axes.set_xlim(min(values), max(values))
    else:
        axes.set_xlim(0, 1)
        axes.axvline(0.5, color="grey", linewidth=1, linestyle=":")
    axes.set_xlabel(f"{TITLES[result.kind][0]} by {result.judge}{' (toy)' if result.toy else ''}; bars: 95 % interval")
    return drawn


def _label(result: Outcome, row: Any) -> str:
    name = str(row.of) if result.kind != "score" else f"{row.of}, {str(row.measure).removeprefix('mean of ')}"
    return name if pd.isna(row.n) else f"{name} (n={int(row.n)})"
