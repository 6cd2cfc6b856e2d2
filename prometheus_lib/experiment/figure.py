"""The main figure: the merge minus joint training, and minus the expert, along every knob."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..tables.palette import FORMAT_COLOURS, GREY, judge_format
from .analysis import AGAINST, changes, differences, helps
from .design import MEASURES, Design, level_text
from .results import FEWEST_SEEDS, Results, arm_table

STYLES = {"exact": (FORMAT_COLOURS["direct"], "o", "-"), "pair": (FORMAT_COLOURS["pairwise"], "s", "--")}
NAMES = {
    "examples": "examples per expert",
    "own_criteria": "criteria of one format only",
    "conflict": "pair labels reversed",
    "width": "hidden size",
    "learning_rate": "learning rate",
    "schooling": "base model's schooling",
}


def map_figure(design: Design, results: Results, merge: str = "linear") -> Figure:
    """Draw a merge minus joint training and minus the expert against each knob: one row each, one column per knob.

    Bands are 95 % intervals over seeds (from three on), the grey zone is the margin within which a difference counts
    as none. Cells that have not been run are marked with a cross on the zero line. Points are 100 times a share.

    >>> from .design import read_design
    >>> len(map_figure(read_design("map"), {}).axes)
    12
    """
    table = differences(design, results, merge)
    rows, columns = len(AGAINST), len(design.knobs)
    figure, grid = plt.subplots(
        rows, columns, figsize=(2.3 * columns, 2.9 * rows), sharey="row", squeeze=False, layout="constrained"
    )
    plt.close(figure)
    for row, against in enumerate(AGAINST):
        for column, knob in enumerate(design.knobs):
            _panel(grid[row][column], design, knob, table, against)
        grid[row][0].set_ylabel(f"{merge} minus\n{against} (points)")
    handles = [plt.Line2D([], [], color=c, marker=m, linestyle=s) for c, m, s in STYLES.values()]
    figure.legend(
        handles, [MEASURES[measure].removesuffix(", %") for measure in STYLES], loc="outside lower center", ncols=2
    )
    figure.suptitle(headline(design, table, merge))
    return figure


def _panel(axes: Axes, design: Design, knob: str, table: pd.DataFrame, against: str) -> None:
    levels = design.levels(knob)
    places = {level: place for place, level in enumerate(levels)}
    axes.axhspan(-design.margin, design.margin, color=GREY, alpha=0.15, linewidth=0)
    axes.axhline(0, color=GREY, linewidth=0.8)
    there = table[(table["knob"] == knob) & (table["against"] == against)] if len(table) else table
    for measure, style in STYLES.items():
        if len(there):
            _line(axes, there[there["measure"] == measure], places, style)
    missing = [place for level, place in places.items() if not len(there) or level not in set(there["level"])]
    axes.plot(missing, [0] * len(missing), "x", color=GREY)
    axes.set_xticks(range(len(levels)), [level_text(level) for level in levels], rotation=30)
    axes.get_xticklabels()[places[getattr(design.point, knob)]].set_fontweight("bold")
    axes.set_xlabel(NAMES.get(knob, knob))


def _line(axes: Axes, rows: pd.DataFrame, places: dict[Any, int], style: tuple[str, str, str]) -> None:
    colour, marker, line = style
    at = [places[level] for level in rows["level"]]
    axes.plot(at, rows["difference"], color=colour, marker=marker, linestyle=line, markersize=4)
    below, above = _bars(rows, "difference")
    axes.fill_between(at, rows["difference"] - below, rows["difference"] + above, color=colour, alpha=0.2, linewidth=0)


def _bars(rows: pd.DataFrame, centre: str) -> np.ndarray:
    """Return how far intervals reach below and above their centre, two rows; NaN with fewer than three seeds.

    Two seeds that agree by accident have an interval of no width.
    """
    if not len(rows):
        return np.empty((2, 0))
    bars = np.array([rows[centre] - rows["low"], rows["high"] - rows[centre]], dtype=float)
    bars[:, rows["seeds"].to_numpy() < FEWEST_SEEDS] = np.nan
    return bars


def headline(design: Design, table: pd.DataFrame, merge: str = "linear") -> str:
    """Return what the figure shows in one sentence, counted from its cells.

    >>> from .design import read_design
    >>> headline(read_design("map"), pd.DataFrame())
    'No cell has been run yet.'
    """
    if not len(table):
        return "No cell has been run yet."
    rows = table[table["against"] == "joint training"].drop_duplicates(["cell", "measure"])
    counts = helps(rows, design.margin).value_counts()
    shown = (
        "Fewer than three seeds: where the lines lie may be luck"
        if rows["seeds"].max() < FEWEST_SEEDS
        else f"Against joint training the {merge} merge helps in {counts.get('helps', 0)} of {len(rows)} comparisons "
        f"and hurts in {counts.get('hurts', 0)}"
    )
    return (
        f"{shown}\n({rows['cell'].nunique()} of {len(design.cells)} cells, {_seeds(rows)}, "
        f"{design.instructions} unseen instructions; grey: within {design.margin:g} points)"
    )


def _seeds(rows: pd.DataFrame) -> str:
    """Say how many seeds stand behind rows: "1 seed", "2 to 5 seeds"."""
    fewest, most = int(rows["seeds"].min()), int(rows["seeds"].max())
    return f"{fewest} to {most} seeds" if fewest < most else f"{most} seed{'s' * (most > 1)}"


def formats_figure(design: Design, results: Results) -> Figure:
    """Draw what every arm reaches in each format of the paper's point: one panel per measure, one line per arm.

    Bars are 95 % intervals over seeds (from three on); what could not be read is written beside the points (%).

    >>> from .design import read_design
    >>> len(formats_figure(read_design("third_format"), {}).axes)
    3
    """
    table, arms = arm_table(design, results), list(design.arms)
    figure, grid = plt.subplots(1, len(design.measures), figsize=(9.6, 3.2), sharey=True, layout="constrained")
    plt.close(figure)
    for axes, measure in zip(grid, design.measures, strict=True):
        rows = table[table["measure"] == measure] if len(table) else table
        for row, bar in zip(rows.itertuples(), _bars(rows, "mean").T, strict=True):
            trained = "merged" if design.arms[row.arm].merges else judge_format(row.arm)
            place, colour = arms.index(row.arm), FORMAT_COLOURS[trained]
            axes.errorbar(row.mean, place, xerr=bar[:, None], color=colour, marker="o")
            if row.unreadable >= 1:
                axes.annotate(
                    f"{row.unreadable:.0f} % unreadable",
                    (row.mean, place),
                    (6, 4),
                    textcoords="offset points",
                    fontsize=7,
                )
        axes.set(xlabel=MEASURES[measure], xlim=(-3, 103))
    grid[0].set_yticks(range(len(arms)), arms)
    grid[0].set_ylim(len(arms) - 0.5, -0.8)
    figure.suptitle(
        f"{design.title} ({_seeds(table)}, {design.instructions} instructions)" if len(table) else "Not run yet"
    )
    return figure


def ablation_figure(design: Design, results: Results) -> Figure:
    """Draw what each cell changes against the paper's point: one panel per cell, one line per arm and measure.

    Bars are 95 % intervals over seeds (from three on); grey is the margin within which a change counts as none.

    >>> from .design import read_design
    >>> len(ablation_figure(read_design("ablations"), {}).axes)
    5
    """
    table, cells, arms = changes(design, results), list(design.turned()), list(design.arms)
    figure, grid = plt.subplots(1, len(cells), figsize=(3.2 * len(cells), 3.2), sharey=True, layout="constrained")
    plt.close(figure)
    for axes, cell in zip(grid, cells, strict=True):
        axes.axvspan(-design.margin, design.margin, color=GREY, alpha=0.15, linewidth=0)
        there = table[table["cell"] == cell] if len(table) else table
        for measure, (colour, marker, _) in STYLES.items():
            rows = there[there["measure"] == measure] if len(there) else there
            if len(rows):
                at = [arms.index(arm) + (0.12 if measure == "pair" else -0.12) for arm in rows["arm"]]
                bars = _bars(rows, "difference")
                axes.errorbar(rows["difference"], at, xerr=bars, color=colour, marker=marker, linestyle="")
        axes.set_title(f"{cell} ({_seeds(there)})" if len(there) else f"{cell}: not run", fontsize=10)
        axes.set_xlabel("minus the paper's point (points)")
    grid[0].set_yticks(range(len(arms)), arms)
    handles = [plt.Line2D([], [], color=c, marker=m, linestyle="") for c, m, _ in STYLES.values()]
    figure.legend(
        handles, [MEASURES[measure].removesuffix(", %") for measure in STYLES], loc="outside lower center", ncols=2
    )
    figure.suptitle(largest_changes(design, table), fontsize=11)
    return figure


def largest_changes(design: Design, table: pd.DataFrame) -> str:
    """Return the largest change of each cell in one sentence, from `changes`.

    >>> from .design import read_design
    >>> cell = {"cell": "feedback=False", "arm": "direct", "difference": -50.4}
    >>> largest_changes(read_design("ablations"), pd.DataFrame([cell, cell | {"arm": "joint", "difference": 3.0}]))
    'Largest change of each cell, in points (300 instructions):\\ndirect -50 by feedback=False'
    """
    if not len(table):
        return "No cell has been run yet."
    largest = table.loc[table.groupby("cell", sort=False)["difference"].apply(lambda each: each.abs().idxmax())]
    told = ", ".join(f"{row.arm} {row.difference:+.0f} by {row.cell}" for row in largest.itertuples())
    return f"Largest change of each cell, in points ({design.instructions} instructions):\n{told}"
