"""Figures show what the cells say, and the same data gives the same bytes."""

from __future__ import annotations

import base64
import dataclasses
import io
import math

import numpy as np
import pandas as pd
import pytest

from prometheus_lib.data import miniworld
from prometheus_lib.data.readings import true_reading
from prometheus_lib.tables import (
    DIRECT_AVERAGE,
    DIRECT_TRUTH,
    OVERALL,
    PAIR_AVERAGE,
    PAIR_TRUTH,
    Cell,
    cells_table,
    images,
    plots,
)


def cell(row: str, column: str, value: float = math.nan, kind: str = "judge", unit: str = "pearson", **more) -> Cell:
    return Cell(row, column, value, kind=kind, unit=unit, **more)


def spread(value: float, **more):
    return {"low": value - 0.05, "high": value + 0.05, "n": 10, "unparsed": 0, **more}


@pytest.fixture
def matrix():
    values = {("sim", "sim"): 1.0, ("sim", "judge"): 0.5, ("judge", "sim"): 0.5, ("judge", "judge"): math.nan}
    kinds = {"sim": "rater", "judge": "judge"}
    cells = [cell(row, column, value, kinds[row]) for (row, column), value in values.items()]
    return cells_table("figure_1", [*cells, cell("PAPER", "sim", 0.9, "published")])


@pytest.fixture
def sweep():
    cells = []
    for column, factor in ((DIRECT_AVERAGE, 0.01), (PAIR_AVERAGE, 1.0), (OVERALL, 1.0)):
        for alpha, value in ((0.0, 50.0), (0.5, 80.0), (1.0, 60.0)):
            cells.append(cell(str(alpha), column, factor * value, low=factor * (value - 5), high=factor * (value + 5)))
        cells.append(cell("best alpha", column, 0.5, low=0.0, high=1.0))
    cells += [cell("best alpha", DIRECT_AVERAGE, 0.5, "published"), cell("best alpha", PAIR_AVERAGE, 0.3, "published")]
    return cells_table("figure_3", cells)


@pytest.fixture
def scores():
    cells = [cell("weak", "c", 0.2, **spread(0.2)), cell("strong", "c", 0.7, **spread(0.7)), cell("silent", "c")]
    cells += [
        cell("random", "c", 0.0, "floor"),
        cell("constant", "c", kind="floor"),
        cell("rater", "c", 0.9, "ceiling"),
    ]
    return cells_table(
        "3", [*cells, cell("weak", "c", 0.99, variant="paper-code"), cell("PAPER", "c", 0.5, "published")]
    )


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_figure_1_prints_every_value_and_a_dash(matrix):
    axes = plots.figure_1(matrix).axes[0]
    assert texts(axes) == ["1.00", "0.50", "0.50", "-"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["sim", "judge"]


@pytest.fixture
def two_rubrics():
    """A pair whose better response changes with the rubric, and what is said of it."""
    family = next(miniworld.families(seed=7, count=1))
    a, b = family.answers[1], family.answers[3]
    others = [d for d in family.task.facts if d not in family.details]
    texts = miniworld.instruction_text(family.task), (a.text, b.text)
    return texts, [true_reading(family.task, a, b, details) for details in (family.details, others)]


def test_figure_2_shows_every_text_of_a_pair_inside_the_axes(two_rubrics):
    (instruction, responses), readings = two_rubrics
    axes = plots.figure_2(instruction, responses, readings).axes[0]
    words = " ".join(" ".join(texts(axes)).split())
    for expected in ("Direct assessment", "Pairwise ranking", instruction, *responses):
        assert " ".join(expected.split()) in words
    for reading in readings:
        assert f"A: {reading.feedback_a} [RESULT] {reading.score_a}" in words
        assert reading.comparison in words and ", ".join(reading.details) in words
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    boxes = [(p.get_x(), p.get_y(), p.get_x() + p.get_width(), p.get_y() + p.get_height()) for p in axes.patches]
    assert all(left <= x0 and x1 <= right and bottom <= y0 and y1 <= top for x0, y0, x1, y1 in boxes)


def test_figure_2_says_whether_the_decision_flips(two_rubrics):
    texts, (reading, _) = two_rubrics
    other = reading._replace(better="A", details=("size",))
    title = plots.figure_2(*texts, [reading, other]).axes[0].get_title()
    assert title == (
        "One pair, two rubrics: response B is better by the left one, response A is better by the right one"
    )
    assert plots.figure_2(*texts, [reading, reading]).axes[0].get_title() == "By every rubric response B is better"


def test_figure_3_scales_pearson_and_marks_the_papers_optima(sweep):
    axes = plots.figure_3(sweep).axes[0]
    curves = {line.get_label(): line for line in axes.lines}
    direct = curves["Direct average (Pearson x 100)"]
    assert np.allclose(direct.get_ydata(), [50, 80, 60]) and np.allclose(direct.get_xdata(), [0, 0.5, 1])
    assert np.allclose(curves["Pairwise average"].get_ydata(), [50, 80, 60])
    marks = sorted(line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1)
    assert marks == [0.3, 0.5]
    assert [text.strip() for text in texts(axes)] == ["paper's best, direct: 0.5", "paper's best, pairwise: 0.3"]


def test_interval_plot_sorts_judges_and_draws_limits(scores):
    axes = plots.interval_plot(scores, "c").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["weak", "strong"]
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "None"]
    assert np.allclose(dots, [0.2, 0.7])
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named == ["floor: random", "ceiling: rater"]
    assert axes.get_title() == "strong is highest (0.700); 2 of 2 judges lie beyond every floor"
    assert "no value: silent" in axes.get_xlabel()


def test_interval_plot_says_what_is_measured_and_under_which_rule(scores):
    assert plots.interval_plot(scores, "c").axes[0].get_xlabel().startswith("Pearson correlation: c")
    cells = [cell("judge", "p", 60.0, unit="accuracy", variant=v, **spread(60.0)) for v in ("ties half", "corrected")]
    axes = plots.interval_plot(cells_table("4", cells), "p").axes[0]
    assert axes.get_xlabel() == "accuracy in percent: p (corrected); n = 10"
    assert len(axes.get_yticklabels()) == 1


def test_interval_plot_leaves_tested_differences_out(scores):
    difference = cells_table("3", [cell("strong - weak", "c", 0.5, "difference", **spread(0.5))])
    axes = plots.interval_plot(pd.concat([scores, difference]), "c").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["weak", "strong"]


def test_floors_on_one_another_become_one_line_and_ceilings_never_do():
    cells = [cell("judge", "c", 0.7, **spread(0.7)), cell("random", "c", 0.5, "floor"), cell("far", "c", 0.6, "floor")]
    cells += [cell("always A", "c", 0.5001, "floor"), cell("oracle", "c", 0.6001, "ceiling")]
    cells += [cell("no noise", "c", 0.6001, "ceiling"), cell("rater sim", "c", 0.6, "rater")]
    axes = plots.interval_plot(cells_table("3", cells), "c").axes[0]
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named == ["floor: random, always A", "floor: far", "ceiling: oracle", "ceiling: no noise", "rater: sim"]
    lines = [line for line in axes.lines if len(set(line.get_xdata())) == 1 and line.get_marker() == "None"]
    assert len({(line.get_color(), str(line.get_linestyle()), str(line._dash_pattern)) for line in lines}) == 5


def test_an_error_is_best_where_it_is_lowest():
    cells = [cell(row, "e", v, unit="error", **spread(v)) for row, v in (("direct", 0.1), ("base", 1.2))]
    figure = plots.interval_plot(cells_table("3", [*cells, cell("constant", "e", 1.2, "floor", "error")]), "e")
    assert figure.axes[0].get_title() == "direct is lowest (0.10); 1 of 2 judges lie beyond every floor"


def test_judges_have_the_colour_of_their_format_and_the_marker_of_their_family():
    names = ("base", "direct", "pairwise", "joint", "linear", "direct+direct")
    cells = [cell(name, "c", n / 10, **spread(n / 10)) for n, name in enumerate(names)]
    axes = plots.interval_plot(cells_table("3", cells), "c").axes[0]
    looks = [(line.get_color(), line.get_marker()) for line in axes.lines if line.get_linestyle() == "None"]
    assert looks == [tuple(plots.judge_look(name).values()) for name in names] and len(set(looks)) == len(looks)


def test_figure_3_by_the_truth_keeps_the_raters_as_dashed_lines(sweep):
    known = [
        cell(a, column, v, unit=unit, low=v, high=v, n=60)
        for column, unit, values in ((DIRECT_TRUTH, "exact", (20, 70, 90)), (PAIR_TRUTH, "right", (88, 86, 60)))
        for a, v in zip(("0.0", "0.5", "1.0"), values)
    ]
    best = [cell("best alpha", DIRECT_TRUTH, 1.0, unit="alpha"), cell("best alpha", PAIR_TRUTH, 0.0, unit="alpha")]
    axes = plots.figure_3(pd.concat([sweep, cells_table("figure_3", [*known, *best])])).axes[0]
    curves = {line.get_label(): line for line in axes.lines}
    assert np.allclose(curves[DIRECT_TRUTH].get_ydata(), [20, 70, 90])
    rater = curves["scoring by a rater: Pearson x 100"]
    assert np.allclose(rater.get_ydata(), [50, 80, 60]) and rater.get_linestyle() == "--"
    assert curves[DIRECT_TRUTH].get_color() == rater.get_color() == plots.FORMAT_COLOURS["direct"]
    assert axes.get_title() == "Scoring is highest at alpha 1, ranking is highest at alpha 0"
    assert "60 responses, 60 pairs" in axes.get_xlabel()
    known[0] = dataclasses.replace(known[0], n=0)  # nothing could be read at the first alpha
    axes = plots.figure_3(cells_table("figure_3", [*known, *best])).axes[0]
    assert "0 to 60 responses, 60 pairs" in axes.get_xlabel()


def test_figure_1_shows_trivial_judges_as_rows_only(matrix):
    floors = [cell("random", column, 0.1, "floor") for column in ("sim", "judge")]
    more = [cell("one draw of sim", "sim", 0.9, "rater"), cell("judge - base", "sim", 0.2, "difference")]
    axes = plots.figure_1(pd.concat([matrix, cells_table("figure_1", [*floors, *more])])).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["sim", "judge", "random"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["sim", "judge"]


def test_interval_plot_of_another_column_is_an_error(scores):
    with pytest.raises(KeyError, match="no column 'd'"):
        plots.interval_plot(scores, "d")


def test_interval_plot_without_any_value():
    cells = cells_table("3", [cell("silent", "c", unparsed=3)])
    assert "no value: silent" in plots.interval_plot(cells, "c").axes[0].get_xlabel()


def test_learning_curves_take_logs_or_lists():
    losses = [{"step": 10, "loss": 2.0}, {"step": 20, "loss": 1.0}]
    axes = plots.learning_curves({"direct": {"log": losses}, "pairwise": losses}).axes[0]
    assert [line.get_label() for line in axes.lines] == ["direct", "pairwise"]
    assert all(np.allclose(line.get_ydata(), [2, 1]) for line in axes.lines)
    looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in axes.lines}
    assert len(looks) == 2


def test_save_figure_is_deterministic_and_undated(sweep, tmp_path):
    first = plots.save_figure(plots.figure_3(sweep), tmp_path / "one", "figure_3")
    second = plots.save_figure(plots.figure_3(sweep), tmp_path / "two", "figure_3")
    assert [path.name for path in first] == ["figure_3.png", "figure_3.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert first[0].read_bytes().startswith(b"\x89PNG") and b"<dc:date>" not in first[1].read_bytes()


def test_figures_of_a_run_without_values_can_be_drawn(tmp_path):
    empty = cells_table("figure_3", [cell("best alpha", DIRECT_AVERAGE, 0.5, "published")])
    plots.save_figure(plots.figure_3(empty), tmp_path, "empty")
    assert (tmp_path / "empty.png").stat().st_size > 0


def test_pictures_keep_their_colours_in_fewer_bytes():
    from matplotlib import pyplot as plt
    from PIL import Image

    figure, axes = plt.subplots()
    axes.imshow(np.linspace(0, 1, 400).reshape(20, 20), cmap="cividis")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    png = buffer.getvalue()
    small = images.with_palette(png)
    assert len(small) < 0.7 * len(png) and images.with_palette(small) == small
    before, after = (np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=int) for data in (png, small))
    assert before.shape == after.shape and np.abs(before - after).mean() < 2
    notebook = {"cells": [{"outputs": [{"data": {"image/png": base64.b64encode(png).decode()}}]}, {"source": []}]}
    images.shrink_outputs(notebook)
    assert base64.b64decode(notebook["cells"][0]["outputs"][0]["data"]["image/png"]) == small
