"""The paper's figures, drawn from the cells of `tables`, and two plots that the notebooks share.

Each function returns a matplotlib Figure; `save_figure` writes it as PNG and SVG, byte for byte the same for the same
data. Titles say what a figure shows, worked out from its cells; axes carry unit and n. Colours and markers are those of
`palette`; no meaning hangs on colour alone.
"""

from __future__ import annotations

import io
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ..data.readings import Reading
from ..pages.svg import svg_text
from ..records import write_bytes_atomic, write_text_atomic
from .cells import UNITS
from .files import measure, shown_variant
from .images import with_palette
from .palette import (
    BLACK,
    BLUE,
    CYCLE,
    FORMAT_COLOURS,
    GREEN,
    GREY,
    LINES,
    MARKERS,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    judge_look,
)
from .panels import say_in
from .published import DIRECT_AVERAGE, OVERALL, PAIR_AVERAGE
from .truth import DIRECT_TRUTH, OVERALL_TRUTH, PAIR_TRUTH

__all__ = [
    "BLACK", "BLUE", "CYCLE", "FORMAT_COLOURS", "GREEN", "GREY", "LINES", "MARKERS", "ORANGE", "PURPLE", "RED", "SKY",
    "figure_1", "figure_2", "figure_3", "interval_plot", "judge_look", "learning_curves", "save_figure",
]  # fmt: skip

_SCORING, _RANKING = FORMAT_COLOURS["direct"], FORMAT_COLOURS["pairwise"]
_BY_RATERS = {DIRECT_AVERAGE: (_SCORING, "o", "-"), PAIR_AVERAGE: (_RANKING, "s", "-"), OVERALL: (BLACK, "^", ":")}
_BY_TRUTH = {DIRECT_TRUTH: (_SCORING, "o", "-"), PAIR_TRUTH: (_RANKING, "s", "-"), OVERALL_TRUTH: (BLACK, "^", ":")}
_SETTINGS = {"savefig.dpi": 150, "savefig.bbox": "tight"}


def save_figure(figure: Figure, folder: str | Path, name: str) -> list[Path]:
    """Write `<name>.png` (150 dpi) and `<name>.svg` into a folder and return both paths; equal data, equal bytes.

    The SVG says in words what it shows (`pages.svg_text`).
    """
    buffer, base = io.BytesIO(), Path(folder) / name
    with rc_context(_SETTINGS):
        figure.savefig(buffer, format="png", metadata={"Software": None})
        figure.set_layout_engine("none")  # its parts have their places now; finding them takes longest
    picture = write_bytes_atomic(base.with_name(f"{name}.png"), with_palette(buffer.getvalue()))
    return [picture, write_text_atomic(base.with_name(f"{name}.svg"), svg_text(figure))]


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
    if matrix.empty:
        say_in(axes)
        return figure
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
    axes.set_title(f"FLASK: {_agreement_message(ours, matrix)}", fontsize=11)
    return figure


def _agreement_message(cells: pd.DataFrame, matrix: pd.DataFrame) -> str:
    """Which judge agrees best with the first rater, and how alike the judges are."""
    judges = [name for name in matrix.columns if name in set(cells.loc[cells["kind"] == "judge", "row"])]
    raters = [name for name in matrix.columns if name in set(cells.loc[cells["kind"] == "rater", "row"])]
    with_rater = matrix.loc[judges, raters[0]].dropna() if judges and raters else pd.Series(dtype=float)
    if with_rater.empty:
        return "Correlations between raters, judges and trivial judges"
    best = with_rater.idxmax()
    among = matrix.loc[judges, judges].where(~np.eye(len(judges), dtype=bool)).stack()
    alike = f"; two judges agree with up to {among.max():.2f}" if len(among) else ""
    return f"{best} agrees best with {raters[0]} ({with_rater[best]:.2f}){alike}"


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

_LINE, _WRAP = 0.19, 84  # height of a line of text, and characters in half the figure's width


def figure_2(instruction: str, responses: tuple[str, str], readings: Sequence[Reading]) -> Figure:
    """Direct assessment and pairwise ranking of one pair under two rubrics: all texts, feedback and decisions.

    `readings` (see `data.readings`) are the same pair under the one rubric and the other; the title says whether the
    better response changes with it.
    """
    halves = [_half(reading) for reading in readings]
    titled = zip(("Instruction", "Response A", "Response B"), (instruction, *responses), strict=True)
    texts = [f"{title}: {text}" for title, text in titled]
    shown = [textwrap.fill(text, 2 * _WRAP, subsequent_indent="   ") for text in texts]
    top = max(sum(map(_height, half.values())) + 0.5 * len(half) for half in halves) + sum(map(_height, shown)) + 0.6
    figure, axes = _axes(11, 0.72 * top)
    axes.set(xlim=(0, 10), ylim=(0, top))
    axes.axis("off")
    for text in shown:
        top = _text_box(axes, 0.05, top, 9.9, text, GREY)
    for place, half in enumerate(halves):
        _reading(axes, 0.05 + 5 * place, top - 0.15, half)
    axes.set_title(_flip_message(readings), fontsize=12, fontweight="bold")
    return figure


def _half(reading: Reading) -> dict[str, str]:
    """The texts of one rubric: what it asks about, both scores with their feedback, the comparison with its choice."""
    scored = [
        f"{side}: {feedback} [RESULT] {score}"
        for side, feedback, score in (
            ("A", reading.feedback_a, reading.score_a),
            ("B", reading.feedback_b, reading.score_b),
        )
    ]
    choice = "A or B, by lot" if reading.better == "tie" else reading.better
    texts = {
        f"The rubric asks about {', '.join(reading.details)}": "",
        "direct": "\n".join(textwrap.fill(text, _WRAP) for text in scored),
        "pairwise": textwrap.fill(f"{reading.comparison} [RESULT] {choice}", _WRAP),
    }
    return texts


def _reading(axes: Axes, left: float, top: float, half: Mapping[str, str]) -> None:
    titles = {"direct": "Direct assessment", "pairwise": "Pairwise ranking"}
    for name, text in half.items():
        colour = FORMAT_COLOURS.get(name, BLACK)
        axes.text(left, top, titles.get(name, name), ha="left", va="top", fontsize=10, fontweight="bold", color=colour)
        top -= 0.3
        if text:
            top = _text_box(axes, left, top, 4.85, text, colour) - 0.1


def _flip_message(readings: Sequence[Reading]) -> str:
    said = [f"response {each.better} is better" if each.better != "tie" else "both are equal" for each in readings]
    if len(set(said)) == 1:
        return f"By every rubric {said[0]}"
    return "One pair, two rubrics: " + " by the left one, ".join(said) + " by the right one"


def _height(text: str) -> float:
    return _LINE * (text.count("\n") + 1) + 0.2 if text else 0.0


def _text_box(axes: Axes, left: float, top: float, width: float, text: str, colour: str) -> float:
    """Draw a box with a text below `top`, and return where the next one starts."""
    height = _height(text)
    _box(axes, left, top - height, width, height, colour, width_of_line=1.2)
    axes.text(left + 0.1, top - 0.09, text, ha="left", va="top", fontsize=8)
    return top - height - 0.08


def _box(axes: Axes, x: float, y: float, width: float, height: float, colour: str, width_of_line: float) -> None:
    style, filling = "round,pad=0,rounding_size=0.08", (*to_rgb(colour), 0.06)
    patch = FancyBboxPatch((x, y), width, height, style, edgecolor=colour, linewidth=width_of_line, facecolor=filling)
    axes.add_patch(patch)


# --- Figure 3 --------------------------------------------------------------------------------------------------------


def figure_3(cells: pd.DataFrame) -> Figure:
    """Averages against alpha with 95 % bands (`tables.figure_3`); vertical lines mark the paper's published optima.

    Where the truth is known its measures are the curves with bands, and what the raters show is dashed beside them.
    Pearson is multiplied by 100, as in the paper, so that all share one axis.
    """
    known = set(cells["column"])
    main = _BY_TRUTH if known & _BY_TRUTH.keys() else _BY_RATERS
    figure, axes = _axes(8, 5)
    for column, look in main.items():
        _curve(axes, _sweep(cells, column), column, look)
    if main is _BY_TRUTH:
        for column in (DIRECT_AVERAGE, PAIR_AVERAGE):
            _curve(axes, _sweep(cells, column), column, (_BY_RATERS[column][0], "", "--"), band=False)
    _published_optima(axes, cells[cells["kind"] == "published"])
    axes.set(
        xlabel=f"alpha (share of the direct expert); n = {_ns(cells, main)}",
        ylabel="average in percent",
        xlim=(-0.03, 1.03),
    )
    axes.set_xticks(np.arange(11) / 10)
    axes.set_title(_optimum_message(cells, main))
    _clean(axes)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, frameon=False, fontsize=9)
    return figure


def _sweep(cells: pd.DataFrame, column: str) -> pd.DataFrame:
    return cells[(cells["column"] == column) & (cells["kind"] == "judge") & (cells["row"] != "best alpha")]


def _curve(axes: Axes, part: pd.DataFrame, column: str, look: tuple[str, str, str], band: bool = True) -> None:
    colour, marker, line = look
    pearson = column == DIRECT_AVERAGE
    alphas, scale = part["row"].astype(float), 100 if pearson else 1
    label = f"{column} (Pearson x 100)" if pearson else column
    if not band:
        label = "scoring by a rater: Pearson x 100" if pearson else "ranking by a rater's labels: accuracy"
    width = 1.8 if band else 1.2
    axes.plot(alphas, scale * part["value"], line, color=colour, marker=marker, label=label, linewidth=width)
    if band:
        axes.fill_between(alphas, scale * part["low"], scale * part["high"], color=colour, alpha=0.15, linewidth=0)


def _published_optima(axes: Axes, published: pd.DataFrame) -> None:
    for number, each in enumerate(published.itertuples()):
        colour = _BY_RATERS[each.column][0]
        axes.axvline(each.value, color=colour, linestyle=":", linewidth=1, alpha=0.8)
        place = {"xy": (each.value, 0.02 + 0.05 * number), "xycoords": ("data", "axes fraction")}
        text = f" paper's best, {each.column.split()[0].lower()}: {each.value:g} "
        side = "right" if each.value < 0.5 else "left"
        axes.annotate(text, **place, color=colour, fontsize=9, horizontalalignment=side)


def _ns(cells: pd.DataFrame, columns: Mapping[str, Any]) -> str:
    """How many responses and pairs stand behind the curves of both formats, at their alphas."""
    counts = [_sweep(cells, column)["n"].dropna() for column in list(columns)[:2]]
    return ", ".join(f"{_range(n)} {what}" for n, what in zip(counts, ("responses", "pairs")) if len(n)) or "none"


def _optimum_message(cells: pd.DataFrame, columns: Mapping[str, Any]) -> str:
    """Where scoring and ranking are best."""
    best = cells[(cells["row"] == "best alpha") & (cells["kind"] == "judge")].set_index("column")["value"]
    known = {name: best[column] for name, column in zip(("Scoring", "ranking"), columns) if column in best.index}
    said = [f"{name} is highest at alpha {alpha:g}" for name, alpha in known.items()]
    return ", ".join(said) or "Linear merging: nothing judged"


# --- plots for the notebooks -----------------------------------------------------------------------------------------


def interval_plot(cells: pd.DataFrame, column: str, variant: str | None = None) -> Figure:
    """Dots with 95 % intervals of one column's judges, the highest on top; floors dashed, ceilings and raters dotted.

    A judge has the colour of what it was trained on and the marker of its family. `variant` picks a rule where a table
    has several (default: the one that `tables.display_table` shows). The axis says what was measured on how many items,
    the title what there is to see. A judge without a value is named below. Raises KeyError for a column that the table
    does not have.
    """
    part, rule = _column_cells(cells, column, variant)
    judges = part[part["kind"].isin(["judge", "real judge"])]
    known = judges.dropna(subset=["value"]).sort_values("value", kind="stable")
    lines = part[part["kind"].str.contains("floor|ceiling|rater")].dropna(subset=["value"])
    figure, axes = _axes(8.5, 1.9 + 0.36 * max(len(known), 3))
    for place, each in enumerate(known.itertuples()):
        look = judge_look(each.row)
        axes.hlines(place, each.low, each.high, color=look["color"], linewidth=2.5, alpha=0.6)
        axes.plot(each.value, place, linestyle="", markersize=7, **look)
    axes.set_yticks(range(len(known)), known["row"])
    axes.set_ylim(-0.7, max(len(known), 1) - 0.3)
    _limit_lines(axes, lines)
    missing = ", ".join(judges.loc[judges["value"].isna(), "row"])
    rule = f" ({rule})" if rule else ""
    axes.set_xlabel(f"{measure(part)}: {column}{rule}{_n_text(known)}" + (f"\nno value: {missing}" if missing else ""))
    axes.set_title(_best_message(known, lines), fontsize=11)
    _clean(axes)
    return figure


def _n_text(known: pd.DataFrame) -> str:
    n = known["n"].dropna()
    return "" if n.empty else f"; n = {_range(n)}"


def _range(n: pd.Series) -> str:
    return f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"


def _best_message(known: pd.DataFrame, lines: pd.DataFrame) -> str:
    """Which judge is best, and how many have their whole interval beyond every floor."""
    if known.empty:
        return "no judge has a value"
    unit, less = known["unit"].iloc[0], known["unit"].iloc[0] == "error"
    best = known.iloc[0 if less else -1]
    message = f"{best['row']} is {'lowest' if less else 'highest'} ({best['value']:{UNITS[unit].value}})"
    floors = lines.loc[lines["kind"].str.contains("floor"), "value"]
    if floors.empty:
        return message
    beyond = known["high"] < floors.min() if less else known["low"] > floors.max()
    return f"{message}; {beyond.sum()} of {len(known)} judges lie beyond every floor"


def _column_cells(cells: pd.DataFrame, column: str, variant: str | None) -> tuple[pd.DataFrame, str]:
    part = cells[cells["column"] == column]
    if part.empty:
        raise KeyError(f"no column {column!r}; the table has {list(dict.fromkeys(cells['column']))}")
    rule = shown_variant(part, None if variant is None else [variant])
    return part[part["variant"].isin(["", rule])].drop_duplicates(["kind", "row"]), rule


def _limit_lines(axes: Axes, lines: pd.DataFrame) -> None:
    """Floors dashed in grey, ceilings dotted in black, other raters dash-dotted in purple, named beside the plot.

    Floors that would lie on one another become one line with all their names; every ceiling has a line of its own.
    """
    low, high = axes.get_xlim()
    span = max([high, *lines["value"]]) - min([low, *lines["value"]])
    kinds = lines["kind"].str.removeprefix("real ")
    floors = lines[kinds == "floor"].sort_values("value", kind="stable")
    for number, (value, part) in enumerate(_together(floors, 0.01 * span)):
        label = "floor: " + ", ".join(part["row"])
        axes.axvline(value, color=GREY, linestyle=(0, (6 - number % 5, 2)), linewidth=1.3, label=label)
    for kind, colour, marks in (("ceiling", BLACK, (1, 1.5)), ("rater", PURPLE, (5, 1, 1, 1))):
        for number, each in enumerate(lines[kinds == kind].sort_values("value", kind="stable").itertuples()):
            style = (0, tuple(mark * (1 + number) for mark in marks))
            name = each.row.removeprefix("rater ")
            axes.axvline(each.value, color=colour, linestyle=style, linewidth=1.4, label=f"{kind}: {name}")
    if len(lines):
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)


def _together(lines: pd.DataFrame, width: float) -> Iterator[tuple[float, pd.DataFrame]]:
    """Lines sorted by value, in groups that lie within `width`; each group's first value stands for it."""
    start, values = 0, lines["value"].to_numpy()
    for place in range(1, len(values) + 1):
        if place == len(values) or values[place] - values[start] > width:
            yield float(values[start]), lines.iloc[start:place]
            start = place


def learning_curves(logs: Mapping[str, Any]) -> Figure:
    """Training loss by optimiser step. `logs`: expert -> what `training.read_log` returns, or its list of losses.

    Runs of one format share its colour and differ in their lines.
    """
    figure, axes = _axes(8, 4.5)
    ends, seen = {}, Counter()
    for name, log in logs.items():
        entries = log["log"] if isinstance(log, Mapping) else log
        steps, losses = ([entry[key] for entry in entries] for key in ("step", "loss"))
        look = judge_look(name)
        line = LINES[seen[look["color"]] % len(LINES)]
        seen[look["color"]] += 1
        axes.plot(steps, losses, line, markevery=max(1, len(steps) // 8), markersize=5, label=name, **look)
        ends |= {name: losses[-1]} if losses else {}
    axes.set(xlabel="optimiser step", ylabel="loss on the answer's tokens (log scale)", yscale="log")
    _clean(axes)
    if ends:
        low, high = min(ends, key=ends.get), max(ends, key=ends.get)
        axes.set_title(f"Last loss from {ends[low]:.3g} ({low}) to {ends[high]:.3g} ({high})", fontsize=11)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def _clean(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
