"""The paper's figures, drawn from the cells of `tables`, and two plots that the notebooks share.

Each function returns a matplotlib Figure; `save_figure` writes it as PNG and SVG, byte for byte the same for the same
data. Colours are Okabe and Ito's, which stay apart for colour-blind readers; no meaning hangs on colour alone.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ..records import write_bytes_atomic
from .files import measure, shown_variant
from .images import with_palette
from .palette import BLACK, BLUE, CYCLE, GREEN, GREY, LINES, MARKERS, ORANGE, PURPLE, RED, SKY
from .published import DIRECT_AVERAGE, OVERALL, PAIR_AVERAGE

_SERIES = {DIRECT_AVERAGE: (GREEN, "o", "-"), PAIR_AVERAGE: (BLUE, "s", "--"), OVERALL: (BLACK, "^", ":")}
_SETTINGS = {"svg.hashsalt": "prometheus", "svg.fonttype": "path", "savefig.dpi": 150, "savefig.bbox": "tight"}


def save_figure(figure: Figure, folder: str | Path, name: str) -> list[Path]:
    """Write `<name>.png` (150 dpi) and `<name>.svg` into a folder and return both paths; equal data, equal bytes."""
    written = []
    with rc_context(_SETTINGS):
        for ending, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=ending, metadata=metadata)
            data = with_palette(buffer.getvalue()) if ending == "png" else buffer.getvalue()
            written.append(write_bytes_atomic(Path(folder) / f"{name}.{ending}", data))
    return written


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure that pyplot made, so that notebooks can show it, and has closed, so that they show it only once."""
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    plt.close(figure)
    return figure, axes


# --- Figure 1 --------------------------------------------------------------------------------------------------------


def figure_1(cells: pd.DataFrame) -> Figure:
    """Heat map of the correlations of `tables.figure_1`; a cell without a value stays grey and says "-".

    Columns: raters and judges. Rows: the same, and below them the trivial judges.
    """
    ours = cells[~cells["kind"].isin(["published", "difference"])]
    names = list(dict.fromkeys(ours["column"]))
    rows = [row for row, part in ours.groupby("row", sort=False) if len(part) == len(names)]
    matrix = ours.pivot(index="row", columns="column", values="value").reindex(index=rows, columns=names)
    size = 2.2 + 0.62 * max(len(names), 3)
    figure, axes = _axes(size + 1.2, size + 0.62 * (len(rows) - len(names)))
    values = np.ma.masked_invalid(matrix.to_numpy(float))
    axes.set_facecolor("#dddddd")
    image = axes.imshow(values, cmap="cividis", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(matrix.to_numpy(float)):
        text = "-" if np.isnan(value) else f"{value:z.2f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=9, color=_ink(value))
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    _separate(axes, ours, names, rows)
    figure.colorbar(image, ax=axes, shrink=0.8, label="Pearson correlation")
    axes.set_title("Lines part raters, judges and trivial judges")
    return figure


def _ink(value: float) -> str:
    return "black" if np.isnan(value) or value > 0.55 else "white"


def _separate(axes: Axes, cells: pd.DataFrame, names: Sequence[str], rows: Sequence[str]) -> None:
    """Draw lines between the raters, who come first, the judges, and the trivial judges, who are rows only."""
    raters = len(set(cells.loc[cells["kind"] == "rater", "row"]) & set(names))
    if 0 < raters < len(names):
        axes.axvline(raters - 0.5, color="white", linewidth=3)
    for edge in {raters, len(names)} - {0, len(rows)}:
        axes.axhline(edge - 0.5, color="white", linewidth=3)


# --- Figure 2 --------------------------------------------------------------------------------------------------------

_DIRECT_FLOW = (
    (
        "Reads",
        (
            "instruction",
            "one response",
            "score rubric: criteria,\nwhat scores 1 to 5 mean",
            "reference answer (if any)",
        ),
    ),
    ("Writes", ("feedback on the response",)),
    ("Decides", ("score 4 of 5",)),
)
_PAIR_FLOW = (
    ("Reads", ("instruction", "response A", "response B", "criteria of the rubric")),
    ("Writes", ("feedback on what A and B\nshare and where they differ",)),
    ("Decides", ("B is better",)),
)


def figure_2() -> Figure:
    """Direct assessment and pairwise ranking side by side: what each format reads, writes and decides."""
    figure, axes = _axes(9, 5.7)
    axes.set(xlim=(0, 10), ylim=(0.6, 7.1))
    axes.axis("off")
    _flow(axes, 0.2, "Direct assessment", _DIRECT_FLOW, GREEN)
    _flow(axes, 5.3, "Pairwise ranking", _PAIR_FLOW, BLUE)
    return figure


def _flow(axes: Axes, left: float, title: str, steps: Sequence[tuple[str, Sequence[str]]], colour: str) -> None:
    """One column of boxes joined by arrows, from what the judge reads down to its decision."""
    axes.text(left + 2.25, 6.95, title, ha="center", va="top", fontsize=14, fontweight="bold", color=colour)
    top = 6.35
    for number, (step, parts) in enumerate(steps):
        height = 0.45 + sum(0.38 + 0.32 * part.count("\n") for part in parts) + 0.12 * len(parts)
        _box(axes, left, top - height, 4.5, height, colour)
        axes.text(left + 0.15, top - 0.1, step, ha="left", va="top", fontsize=10, fontweight="bold", color=colour)
        _parts(axes, left, top - 0.45, parts)
        if number < len(steps) - 1:
            tip = (left + 2.25, top - height - 0.5)
            arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 2}
            axes.annotate("", tip, (left + 2.25, top - height), arrowprops=arrow)
        top -= height + 0.5


def _parts(axes: Axes, left: float, top: float, parts: Sequence[str]) -> None:
    for part in parts:
        height = 0.38 + 0.32 * part.count("\n")
        _box(axes, left + 0.4, top - height, 3.7, height, GREY, face="white", width_of_line=0.8)
        axes.text(left + 2.25, top - height / 2, part, ha="center", va="center", fontsize=10.5)
        top -= height + 0.12


def _box(
    axes: Axes, x: float, y: float, width: float, height: float, colour: str, face: str = "", width_of_line: float = 1.8
) -> None:
    style = "round,pad=0,rounding_size=0.1"
    filling = {"facecolor": face} if face else {"facecolor": (*_rgb(colour), 0.08)}
    axes.add_patch(FancyBboxPatch((x, y), width, height, style, edgecolor=colour, linewidth=width_of_line, **filling))


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))


# --- Figure 3 --------------------------------------------------------------------------------------------------------


def figure_3(cells: pd.DataFrame) -> Figure:
    """Averages against alpha with 95 % bands (`tables.figure_3`); vertical lines mark the paper's published optima.

    Direct averages are multiplied by 100, as in the paper, so that both formats share one axis.
    """
    figure, axes = _axes(8, 5)
    for column, (colour, marker, line) in _SERIES.items():
        part = cells[(cells["column"] == column) & (cells["kind"] == "judge") & (cells["row"] != "best alpha")]
        alphas, scale = part["row"].astype(float), 100 if column == DIRECT_AVERAGE else 1
        label = f"{column} (Pearson x 100)" if column == DIRECT_AVERAGE else column
        axes.plot(alphas, scale * part["value"], line, color=colour, marker=marker, label=label)
        axes.fill_between(alphas, scale * part["low"], scale * part["high"], color=colour, alpha=0.15, linewidth=0)
    for number, each in enumerate(cells[cells["kind"] == "published"].itertuples()):
        colour, _, line = _SERIES[each.column]
        axes.axvline(each.value, color=colour, linestyle=line, linewidth=1, alpha=0.8)
        place = {"xy": (each.value, 0.02 + 0.05 * number), "xycoords": ("data", "axes fraction")}
        text = f" paper's best, {each.column.split()[0].lower()}: {each.value:g} "
        side = "right" if each.value < 0.5 else "left"
        axes.annotate(text, **place, color=colour, fontsize=9, horizontalalignment=side)
    axes.set(xlabel="alpha (share of the direct expert)", ylabel="average, x 100", xlim=(-0.03, 1.03))
    axes.set_xticks(np.arange(11) / 10)
    axes.set_title("Linear merging: bands are 95 % intervals")
    _clean(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, frameon=False)
    return figure


# --- plots for the notebooks -----------------------------------------------------------------------------------------


def interval_plot(cells: pd.DataFrame, column: str, variant: str | None = None) -> Figure:
    """Dots with 95 % intervals of one column's judges, best on top; floors dashed, ceilings and raters dotted.

    `variant` picks a rule where a table has several (default: the one that `tables.display_table` shows). The axis says
    what was measured. A judge without a value is named below it. Raises KeyError for a column that the table does not
    have.
    """
    part, rule = _column_cells(cells, column, variant)
    judges = part[part["kind"].isin(["judge", "real judge"])]
    known = judges.dropna(subset=["value"]).sort_values("value", kind="stable")
    lines = part[part["kind"].str.contains("floor|ceiling")].dropna(subset=["value"])
    figure, axes = _axes(8, 1.8 + 0.36 * max(len(known), 3))
    places = np.arange(len(known))
    axes.hlines(places, known["low"], known["high"], color=BLUE, linewidth=2.5, alpha=0.6)
    axes.plot(known["value"], places, "o", color=BLUE, markersize=7)
    axes.set_yticks(places, known["row"])
    axes.set_ylim(-0.7, max(len(known), 1) - 0.3)
    _limit_lines(axes, lines)
    missing = ", ".join(judges.loc[judges["value"].isna(), "row"])
    rule = f" ({rule})" if rule else ""
    label = f"{measure(part)}: {column}{rule}"
    axes.set_xlabel(label + (f"\nno value: {missing}" if missing else ""))
    _clean(axes)
    return figure


def _column_cells(cells: pd.DataFrame, column: str, variant: str | None) -> tuple[pd.DataFrame, str]:
    part = cells[cells["column"] == column]
    if part.empty:
        raise KeyError(f"no column {column!r}; the table has {list(dict.fromkeys(cells['column']))}")
    rule = shown_variant(part, None if variant is None else [variant])
    return part[part["variant"].isin(["", rule])].drop_duplicates(["kind", "row"]), rule


def _limit_lines(axes: Axes, lines: pd.DataFrame) -> None:
    """Floors dashed in orange shades, ceilings dotted in black, all named in a legend beside the plot.

    Lines that would lie on one another become one line with all their names.
    """
    low, high = axes.get_xlim()
    span = max([high, *lines["value"]]) - min([low, *lines["value"]])
    counts = {"floor": 0, "ceiling": 0}
    for value, part in _together(lines.sort_values("value", kind="stable"), 0.01 * span):
        kind = "ceiling" if part["kind"].str.contains("ceiling").all() else "floor"
        colour = (ORANGE, RED, PURPLE, GREY, SKY)[counts[kind] % 5] if kind == "floor" else BLACK
        style = "--" if kind == "floor" else (":", "-.", (0, (6, 1)), (0, (1, 4)))[counts[kind] % 4]
        counts[kind] += 1
        axes.axvline(value, color=colour, linestyle=style, linewidth=1.4, label=_limit_label(part))
    if len(lines):
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)


def _together(lines: pd.DataFrame, width: float) -> Iterator[tuple[float, pd.DataFrame]]:
    """Lines sorted by value, in groups that lie within `width`; each group's first value stands for it."""
    start, values = 0, lines["value"].to_numpy()
    for place in range(1, len(values) + 1):
        if place == len(values) or values[place] - values[start] > width:
            yield float(values[start]), lines.iloc[start:place]
            start = place


def _limit_label(lines: pd.DataFrame) -> str:
    """Every name behind its kind: "floor: always A, random"."""
    kinds = lines["kind"].str.removeprefix("real ")
    named = {kind: ", ".join(lines.loc[kinds == kind, "row"]) for kind in dict.fromkeys(kinds)}
    return "; ".join(f"{kind}: {names}" for kind, names in named.items())


def learning_curves(logs: Mapping[str, Any]) -> Figure:
    """Training loss by optimiser step. `logs`: expert -> what `training.read_log` returns, or its list of losses."""
    figure, axes = _axes(8, 4.5)
    for number, (name, log) in enumerate(logs.items()):
        entries = log["log"] if isinstance(log, Mapping) else log
        steps, losses = ([entry[key] for entry in entries] for key in ("step", "loss"))
        look = {"color": CYCLE[number % len(CYCLE)], "linestyle": LINES[number % len(LINES)]}
        marker = MARKERS[number % len(MARKERS)]
        axes.plot(steps, losses, marker=marker, markevery=max(1, len(steps) // 8), markersize=5, label=name, **look)
    axes.set(xlabel="optimiser step", ylabel="loss on the answer's tokens (log scale)", yscale="log")
    _clean(axes)
    if logs:
        axes.legend()
    return figure


def _clean(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
