"""Figures of several panels: what judges reach, with intervals, and differences beside the zone that counts as none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .palette import BLACK, BLUE, GREY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLAIN = {"": ("o", BLUE)}


def judge_panels(
    cells: pd.DataFrame,
    columns: Sequence[str],
    label: str,
    looks: Mapping[str, tuple[str, str]] = PLAIN,
    lines: Mapping[str, float] | None = None,
) -> Figure:
    """Draw one panel for each column of a table: judges as rows, values as dots with 95 % intervals.

    looks: variant -> marker and colour, where a table counts by several rules. lines: column -> value of a dotted line.

    >>> from prometheus_lib.tables import example_run, table_14
    >>> figure = judge_panels(table_14(example_run()), ["FLASK"], "Krippendorff's alpha")
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['linear', 'base']
    """
    judged = cells[cells["kind"] == "judge"]
    judges = list(dict.fromkeys(judged["row"]))[::-1]
    figure, axes = _panels(len(columns), len(judges), sharex=True, sharey=True)
    for ax, column in zip(axes, columns, strict=True):
        for number, (variant, look) in enumerate(looks.items()):
            part = judged[(judged["column"] == column) & (judged["variant"] == variant)]
            places = np.arange(len(judges)) + 0.22 * ((len(looks) - 1) / 2 - number)
            _dots(ax, part.set_index("row").reindex(judges), places, look, variant)
        if lines and column in lines:
            ax.axvline(lines[column], color=BLACK, linestyle=":")
        ax.set(title=column.split(" | ")[0], xlabel=label, yticks=range(len(judges)), yticklabels=judges)
    return figure


def _dots(ax: Any, part: pd.DataFrame, places: Sequence[float], look: tuple[str, str], label: str) -> None:
    marker, colour = look
    ax.hlines(places, part["low"], part["high"], color=colour, linewidth=2.5, alpha=0.5)
    ax.plot(part["value"], places, marker, color=colour, markersize=6, label=label)


def difference_panels(panels: Mapping[str, pd.DataFrame], xlabel: str, margin: float | None = None) -> Figure:
    """Draw differences with their intervals, one panel for each frame; `margin` shades the zone that counts as none.

    A frame has one row per difference, its index the label, with columns difference, low, high and, where they were
    tested, shown: "+" and "-" are filled dots, "0" (none larger than the margin) a grey square, else a hollow dot.

    >>> rows = pd.DataFrame({"difference": [1.0], "low": [0.2], "high": [1.8], "shown": ["+"]}, index=["ties - linear"])
    >>> figure = difference_panels({"scoring": rows}, "points", margin=2)
    >>> figure.axes[0].get_title(), [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ('scoring', ['ties - linear'])
    """
    figure, axes = _panels(len(panels), max(map(len, panels.values()), default=1))
    for ax, (title, rows) in zip(axes, panels.items(), strict=True):
        if margin:
            ax.axvspan(-margin, margin, color="0.92", zorder=0)
        ax.axvline(0, color=BLACK, linewidth=1)
        shown = rows["shown"] if "shown" in rows else [""] * len(rows)
        for place, (row, sign) in enumerate(zip(rows.itertuples(), shown, strict=True)):
            ax.hlines(place, row.low, row.high, color=BLUE, linewidth=2.5, alpha=0.6)
            ax.plot(row.difference, place, **_SIGNS.get(sign, _OPEN))
        ax.set(title=title, xlabel=xlabel, yticks=range(len(rows)), yticklabels=rows.index)
        ax.set_ylim(len(rows) - 0.4, -0.6)
    return figure


_OPEN = {"marker": "o", "color": BLUE, "markerfacecolor": "white"}
_SIGNS = {"+": {"marker": "o", "color": BLUE}, "-": {"marker": "o", "color": BLUE}, "0": {"marker": "s", "color": GREY}}


def _panels(columns: int, rows: int, **shared: bool) -> tuple[Figure, Sequence[Any]]:
    import matplotlib.pyplot as plt

    size = (9.5, 1.6 + 0.36 * rows)
    figure, axes = plt.subplots(1, max(columns, 1), figsize=size, squeeze=False, layout="constrained", **shared)
    plt.close(figure)  # so that a notebook shows it once
    for ax in axes[0]:
        ax.grid(alpha=0.25)
    return figure, axes[0]
