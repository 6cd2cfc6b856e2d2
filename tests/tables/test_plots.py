"""Figures show what the cells say, and the same data gives the same bytes."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
import pandas as pd
import pytest

from prometheus_lib.tables import DIRECT_AVERAGE, OVERALL, PAIR_AVERAGE, Cell, cells_table, images, plots


def cell(row: str, column: str, value: float = math.nan, kind: str = "judge", unit: str = "pearson", **more) -> Cell:
    return Cell(row, column, value, kind=kind, unit=unit, **more)


def spread(value: float, **more):
    return {"low": value - 0.05, "high": value + 0.05, "n": 10, "unparsed": 0, **more}


@pytest.fixture
def matrix():
    values = {("sim", "sim"): 1.0, ("sim", "judge"): 0.5, ("judge", "sim"): 0.5, ("judge", "judge"): math.nan}
    kinds = {"sim": "ceiling", "judge": "judge"}
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


def test_figure_2_shows_both_formats_inside_the_axes():
    axes = plots.figure_2().axes[0]
    words = " ".join(texts(axes))
    for expected in (
        "Direct assessment",
        "Pairwise ranking",
        "one response",
        "response B",
        "score 4 of 5",
        "B is better",
    ):
        assert expected in words
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    boxes = [(p.get_x(), p.get_y(), p.get_x() + p.get_width(), p.get_y() + p.get_height()) for p in axes.patches]
    assert all(left <= x0 and x1 <= right and bottom <= y0 and y1 <= top for x0, y0, x1, y1 in boxes)


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
    dots = next(line for line in axes.lines if line.get_marker() == "o")
    assert np.allclose(dots.get_xdata(), [0.2, 0.7])
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named == ["floor: random", "ceiling: rater"]
    assert "no value: silent" in axes.get_xlabel()


def test_interval_plot_says_what_is_measured_and_under_which_rule(scores):
    assert plots.interval_plot(scores, "c").axes[0].get_xlabel().startswith("Pearson correlation: c")
    cells = [cell("judge", "p", 60.0, unit="accuracy", variant=v, **spread(60.0)) for v in ("ties half", "corrected")]
    axes = plots.interval_plot(cells_table("4", cells), "p").axes[0]
    assert axes.get_xlabel() == "accuracy in percent: p (corrected)"
    assert len(axes.get_yticklabels()) == 1


def test_interval_plot_leaves_tested_differences_out(scores):
    difference = cells_table("3", [cell("strong - weak", "c", 0.5, "difference", **spread(0.5))])
    axes = plots.interval_plot(pd.concat([scores, difference]), "c").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["weak", "strong"]


def test_lines_on_one_another_become_one_with_all_names():
    cells = [cell("judge", "c", 0.7, **spread(0.7)), cell("random", "c", 0.5, "floor"), cell("far", "c", 0.6, "floor")]
    cells += [cell("always A", "c", 0.5001, "floor"), cell("rater", "c", 0.6001, "ceiling")]
    axes = plots.interval_plot(cells_table("3", cells), "c").axes[0]
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert named == ["floor: random, always A", "floor: far; ceiling: rater"]
    assert sum(len(set(line.get_xdata())) == 1 and line.get_marker() == "None" for line in axes.lines) == 2


def test_figure_1_shows_trivial_judges_as_rows_only(matrix):
    floors = [cell("random", column, 0.1, "floor") for column in ("sim", "judge")]
    more = [cell("one draw of sim", "sim", 0.9, "ceiling"), cell("judge - base", "sim", 0.2, "difference")]
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
