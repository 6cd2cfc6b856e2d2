"""Figures of several panels: what judges reach, with intervals, and differences beside the zone that counts as none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..paper import MEASURES, claim_named
from .palette import BLACK, BLUE, FORMAT_COLOURS, GREY, judge_look

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = {"direct": "scoring", "pairwise": "ranking"}


def judge_panels(
    cells: pd.DataFrame,
    columns: Sequence[str],
    label: str,
    looks: Mapping[str, tuple[str, str]] | None = None,
    lines: Mapping[str, float] | None = None,
) -> Figure:
    """Draw one panel for each column of a table: judges as rows, values as dots with 95 % intervals.

    looks: variant -> marker and colour, where a table counts by several rules; without, each judge has its own.
    lines: column -> value of a dotted line.

    >>> from prometheus_lib.tables import example_run, table_14
    >>> figure = judge_panels(table_14(example_run()), ["FLASK"], "Krippendorff's alpha")
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['linear', 'base']
    """
    judged = cells[cells["kind"] == "judge"]
    judges = list(dict.fromkeys(judged["row"]))[::-1]
    figure, axes = _panels(len(columns), len(judges), sharex=True, sharey=True)
    for ax, column in zip(axes, columns):
        part = judged[judged["column"] == column]
        if looks is None:
            _dots_by_judge(ax, part.set_index("row").reindex(judges))
        else:
            _dots_by_rule(ax, part, judges, looks)
        if lines and column in lines:
            ax.axvline(lines[column], color=BLACK, linestyle=":")
        ax.set(title=column.split(" | ")[0], xlabel=label, yticks=range(len(judges)), yticklabels=judges)
    return figure


def _dots_by_rule(ax: Any, part: pd.DataFrame, judges: Sequence[str], looks: Mapping[str, tuple[str, str]]) -> None:
    for number, (variant, (marker, colour)) in enumerate(looks.items()):
        rows = part[part["variant"] == variant].set_index("row").reindex(judges)
        places = np.arange(len(judges)) + 0.22 * ((len(looks) - 1) / 2 - number)
        ax.hlines(places, rows["low"], rows["high"], color=colour, linewidth=2.5, alpha=0.5)
        ax.plot(rows["value"], places, marker, color=colour, markersize=6, label=variant)


def _dots_by_judge(ax: Any, rows: pd.DataFrame) -> None:
    for place, row in enumerate(rows.itertuples()):
        look = judge_look(row.Index)
        ax.hlines(place, row.low, row.high, color=look["color"], linewidth=2.5, alpha=0.5)
        ax.plot(row.value, place, linestyle="", markersize=6, **look)


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
    for ax, (title, rows) in zip(axes, panels.items()):  # one empty panel where there are none
        if margin:
            ax.axvspan(-margin, margin, color="0.92", zorder=0)
        ax.axvline(0, color=BLACK, linewidth=1)
        shown = rows["shown"] if "shown" in rows else [""] * len(rows)
        for place, (row, sign) in enumerate(zip(rows.itertuples(), shown, strict=True)):
            ax.hlines(place, row.low, row.high, color=BLUE, linewidth=2.5, alpha=0.6)
            ax.plot(row.difference, place, **_SIGNS.get(sign, _OPEN))
        ax.set(title=title, xlabel=xlabel, yticks=range(len(rows)), yticklabels=rows.index)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        if rows["difference"].isna().all():
            say_in(ax)
    return figure


def evidence_panels(evidence: pd.DataFrame, ids: Sequence[str], xlabel: str = "difference, in points") -> Figure:
    """Draw the evidence for some claims (`claims.evidence_table`, index claim): scoring left, ranking right.

    >>> from prometheus_lib.tables import claims, example_run
    >>> evidence = claims.evidence_table(example_run()).set_index("claim")
    >>> [axes.get_title() for axes in evidence_panels(evidence, ["C03", "C04"]).axes]
    ['scoring', 'ranking']
    """
    measures = {id: MEASURES[claim_named(id).measure] for id in ids}
    panels = {}
    for format, title in FORMATS.items():
        rows = evidence.loc[[id for id in ids if measures[id].format == format]]
        panels[title] = rows.set_axis([f"{id}: {part}" for id, part in rows["part"].items()])
    return difference_panels(panels, xlabel, max(measure.margin for measure in measures.values()))


def alpha_panels(cells: pd.DataFrame, columns: Mapping[str, str], ylabel: str) -> Figure:
    """Draw columns of `tables.figure_3` against alpha in one panel with 95 % bands; columns: name -> "direct", ...

    >>> from prometheus_lib.tables import example_run, figure_3
    >>> alpha_panels(figure_3(example_run()), {}, "percent").axes[0].get_xlabel()
    'alpha (share of the direct expert)'
    """
    figure, (ax,) = _panels(1, 7)
    for column, format in columns.items():
        part = cells[(cells["column"] == column) & (cells["kind"] == "judge") & (cells["row"] != "best alpha")]
        alphas, colour = part["row"].astype(float), FORMAT_COLOURS[format]
        ax.plot(alphas, part["value"], marker="os"[format == "pairwise"], color=colour, label=column)
        ax.fill_between(alphas, part["low"], part["high"], color=colour, alpha=0.15, linewidth=0)
    ax.set(xlabel="alpha (share of the direct expert)", ylabel=ylabel)
    if columns:
        ax.legend(frameon=False)
    return figure


def rows_panels(curve: pd.DataFrame, format: str, measure: str) -> Figure:
    """Draw `tables.over_rows` of a format: what can be read (left) and `measure` with 95 % intervals, against rows.

    >>> from prometheus_lib.tables import example_run, over_rows
    >>> [ax.get_ylabel() for ax in rows_panels(over_rows(example_run(), "direct"), "direct", "exact scores, %").axes]
    ['readable answers, %', 'exact scores, %']
    """
    figure, (left, right) = _panels(2, 5, sharex=True)
    look = {"color": FORMAT_COLOURS[format], "marker": "os"[format == "pairwise"]}
    left.plot(curve["rows"], curve["readable"], **look)
    around = np.abs(curve[["low", "high"]].sub(curve["value"], axis=0)).T
    right.errorbar(curve["rows"], curve["value"], yerr=around, capsize=3, **look)
    left.set_ylim(-4, 104)
    for ax, label in ((left, "readable answers, %"), (right, measure)):
        ax.set(xlabel=f"rows learned (base, {', '.join(curve.index[1:])})", ylabel=label, xticks=curve["rows"])
    if curve["value"].isna().all():
        say_in(right)
    return figure


def say_in(ax: Any, text: str = "not measured in this run") -> None:
    """Write a text in the middle of axes that have nothing else to show.

    >>> figure, (ax,) = _panels(1, 1)
    >>> say_in(ax, "nothing")
    >>> ax.texts[0].get_text()
    'nothing'
    """
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes)


_OPEN = {"marker": "o", "color": BLUE, "markerfacecolor": "white"}
_SIGNS = {"+": {"marker": "o", "color": BLUE}, "-": {"marker": "o", "color": BLUE}, "0": {"marker": "s", "color": GREY}}


def _panels(columns: int, rows: int, **shared: bool) -> tuple[Figure, Sequence[Any]]:
    import matplotlib.pyplot as plt

    size = (9.5, 1.6 + 0.36 * rows)
    figure, axes = plt.subplots(1, max(columns, 1), figsize=size, squeeze=False, layout="constrained", **shared)
    plt.close(figure)  # so that a notebook shows it once
    for ax in axes[0]:
        ax.grid(alpha=0.25)
    if not columns:
        say_in(axes[0][0])
    return figure, axes[0]
