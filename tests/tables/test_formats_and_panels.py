"""The gap between formats, a rater against itself under three rules for ties, and figures of several panels."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from prometheus_lib import tables
from prometheus_lib.data import minibench
from prometheus_lib.tables import panels


@pytest.fixture(scope="module")
def four_responses():
    """Four responses to one instruction; the draws of a rater are set by hand."""
    items = minibench.build("mini_vicuna_bench", 1)[:4]
    draws = [[5, 5, 5], [3, 4, 3], [3, 2, 1], [1, 1, 1]]
    return [replace(item, scores={"r": row}, cluster="one") for item, row in zip(items, draws)]


def test_a_rater_against_itself_counts_ties_by_each_rule(four_responses):
    """Third draws 5 3 1 1 leave five of six pairs; first draws 5 3 3 1 tie one of them, which redraws to right."""
    found = tables.self_agreement(four_responses, "r")
    assert found == {"pairs": 5, "equal scores": 20, "ties wrong": 80, "ties half": 90, "label-aware": 100}


def test_one_response_per_instruction_or_few_draws_leave_nothing_to_agree_on(four_responses):
    apart = [replace(item, cluster=item.id) for item in four_responses]
    few = [replace(item, scores={"r": item.scores["r"][:2]}) for item in four_responses]
    for items in (apart, few):
        found = tables.self_agreement(items, "r")
        assert found.pop("pairs") == 0 and np.isnan(list(found.values())).all() and len(found) == 4
    missing = [replace(four_responses[0], scores={"r": [5, 5]}), *four_responses[1:]]
    assert tables.self_agreement(missing, "r")["pairs"] == 2  # of the last three, whose third draws are 3 1 1


def test_the_gap_is_that_of_table_13():
    run = tables.example_run()
    table = tables.table_13(run)
    rows = table[(table["kind"] == "judge") & table["column"].str.endswith("Pair2Pair - Direct2Pair")]
    names = {title: name for name, title in tables.TITLES.items()}
    for cell in rows.itertuples():
        found = tables.format_gap(run, cell.row, names[cell.column.split(" | ")[0]], cell.variant)
        assert found.estimate == pytest.approx(cell.value)
    assert len(rows) >= 3


def test_the_size_of_a_gap_has_no_sign():
    run = tables.example_run()
    gaps = [tables.format_gap(run, "base", name).estimate for name in tables.RESEARCH_PAIR]
    assert tables.gap_size(run, "base").estimate == pytest.approx(np.mean(np.abs(gaps)))
    assert tables.gap_size(run, "nobody") is None


def test_panels_show_each_rule_and_leave_out_who_has_no_value():
    cells = tables.table_13(tables.example_run())
    columns = [column for column in dict.fromkeys(cells["column"]) if column.endswith("Pair2Pair - Direct2Pair")]
    looks = {"corrected": ("o", "black"), "ties half": ("s", "black")}
    figure = panels.judge_panels(cells, columns, "points", looks, lines={columns[0]: 0.0})
    assert len(figure.axes) == len(columns)
    assert [line.get_label() for line in figure.axes[1].lines] == ["corrected", "ties half"]


@pytest.mark.parametrize(("shown", "marker", "face"), [("+", "o", "full"), ("0", "s", "full"), ("?", "o", "white")])
def test_a_difference_is_drawn_by_what_is_shown(shown, marker, face):
    rows = pd.DataFrame({"difference": [1.0], "low": [-1], "high": [3], "shown": [shown]}, index=["a - b"])
    dot = panels.difference_panels({"t": rows}, "points", margin=2).axes[0].lines[-1]
    assert dot.get_marker() == marker and (dot.get_markerfacecolor() == "white") == (face == "white")


def test_a_panel_without_values_says_so():
    measured = pd.DataFrame({"difference": [1.0], "low": [0.0], "high": [2.0]}, index=["one"])
    figure = panels.difference_panels({"here": measured, "there": measured * np.nan, "none": measured[:0]}, "points")
    assert [[text.get_text() for text in ax.texts] for ax in figure.axes] == [
        [], ["not measured in this run"], ["not measured in this run"],
    ]  # fmt: skip
    (ax,) = panels.judge_panels(pd.DataFrame(columns=["kind", "row", "column", "variant"]), [], "points").axes
    assert ax.texts[0].get_text() == "not measured in this run"
