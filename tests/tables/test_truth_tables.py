"""What judges reach against the truth, from hand-made judgments."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest

from prometheus_lib import tables
from prometheus_lib.records import DirectItem, Judgment, PairItem, Rubric, as_row
from prometheus_lib.scale import load_scale
from prometheus_lib.tables import Run

RUBRIC = Rubric("Is it right?", ("one", "two", "three", "four", "five"))
TRUE_PAIRS = [(5, 1), (1, 5), (2, 4), (3, 3)]


def direct_items(truth=(1, 3, 5, 5), known=True):
    metas = [{"true_score": score} if known else {} for score in truth]
    return [
        DirectItem(f"f/{n}", "Go.", "word", "word", RUBRIC, {"sim-strong": [3]}, cluster=f"{n // 2}", meta=meta)
        for n, meta in enumerate(metas)
    ]


def pair_items():
    return [
        PairItem(f"p/{n}", "Go.", "a", "b", "c", "Right?", "B", "", f"{n}", RUBRIC, meta={"true_a": a, "true_b": b})
        for n, (a, b) in enumerate(TRUE_PAIRS)
    ]


def said(judge, name, item_id, decision, format, draw=0):
    key = f"{judge} {item_id} {format} {draw}"
    asked = (f"mini_{name}", item_id, format, format == "direct", "ab", draw)
    return Judgment(judge, "f", *asked, decision, "", "ok" if decision else "unparsed", 1, 1, key)


@pytest.fixture
def run():
    scores = [[1, 1, 2], [3, None, 3], [1, 1, 1], [5, 5, 5]]
    rows = [said("judge", "flask", f"f/{n}", s, "direct", d) for n, row in enumerate(scores) for d, s in enumerate(row)]
    rows += [said("judge", "autoj_eval", f"p/{n}", d, "pairwise") for n, d in enumerate(("A", "A", None, "A"))]
    scale = dataclasses.replace(load_scale("smoke"), main_judges=("judge",), resamples=50)
    return Run(scale, pd.DataFrame(map(as_row, rows)), {"flask": direct_items(), "autoj_eval": pair_items()})


def test_exact_score_and_error_of_draws(run):
    exact, error = tables.exact_score(run, "judge", "flask"), tables.score_error(run, "judge", "flask")
    assert exact.estimate == pytest.approx(100 * (2 / 3 + 2 / 3 + 0 + 1) / 4)
    assert error.estimate == pytest.approx((1 / 3 + 0 + 4 + 0) / 4)
    assert (exact.n, exact.n_clusters, exact.unparsed, len(exact.draws)) == (4, 2, 1, 50)


def test_pair_right_looks_at_the_truth_and_not_at_the_label(run):
    """Right of the three pairs with a better response: the first; every label is B and would say none."""
    found = tables.pair_right(run, "judge", "autoj_eval")
    assert found.estimate == pytest.approx(100 / 3) and (found.n, found.unparsed) == (3, 1)


def test_the_primary_measure_and_its_average(run):
    assert tables.truth_measured(run, "judge", "autoj_eval").estimate == pytest.approx(100 / 3)
    both = tables.truth_average(run, "judge", ["flask", "autoj_eval"], 50)
    assert both.estimate == pytest.approx((100 * 7 / 12 + 100 / 3) / 2)
    assert tables.truth_average(run, "judge", ["flask", "vicuna_bench"]) is None


def test_nobody_and_items_without_truth_give_none(run):
    assert tables.exact_score(run, "nobody", "flask") is None and tables.pair_right(run, "nobody", "autoj_eval") is None
    real = dataclasses.replace(run, items={"flask": direct_items(known=False)})
    assert not tables.knows_truth(real.items["flask"]) and tables.exact_score(real, "judge", "flask") is None
    assert tables.truth_average(real, "judge", ["flask"]) is None


def test_an_unreadable_judge_is_never_exact_and_has_no_error(run):
    judgments = run.judgments.assign(decision=None)
    silent = dataclasses.replace(run, judgments=judgments)
    assert tables.exact_score(silent, "judge", "flask").estimate == 0
    assert math.isnan(tables.score_error(silent, "judge", "flask").estimate)
    assert tables.pair_right(silent, "judge", "autoj_eval").estimate == 0


# --- in the tables ---------------------------------------------------------------------------------------------------


def value(cells, row, column):
    found = cells[(cells["row"] == row) & (cells["column"] == column)]
    assert len(found) == 1, found
    return found["value"].item()


@pytest.fixture(scope="module")
def example():
    return tables.example_run()


def test_tables_by_the_truth_agree_with_the_measures(example):
    scoring = tables.truth_average(example, "base", ("vicuna_bench", "mt_bench", "flask"))
    ranking = tables.truth_average(example, "base", tables.RESEARCH_PAIR)
    assert value(tables.table_5(example), "base", tables.DIRECT_TRUTH) == pytest.approx(scoring.estimate)
    assert value(tables.table_6(example), "base", tables.PAIR_TRUTH) == pytest.approx(ranking.estimate)
    exact, error = tables.exact_score(example, "base", "flask"), tables.score_error(example, "base", "flask")
    table = tables.table_3(example)
    assert value(table, "base", "FLASK | exact score") == exact.estimate
    assert value(table, "base", "FLASK | mean absolute error") == error.estimate
    right = tables.pair_right(example, "base", "autoj_eval")
    assert value(tables.table_4(example), "base", "Auto-J Eval | pair right") == right.estimate


def test_the_truth_stands_before_the_raters(example):
    for table in (tables.table_3(example), tables.table_5(example), tables.table_17(example)):
        assert table["unit"].iloc[0] == "exact"
    assert tables.table_4(example)["unit"].iloc[0] == "right"


def test_the_oracle_stands_in_every_column_and_is_not_perfect_without_a_reference(example):
    scores, pairs = tables.table_3(example), tables.table_4(example)
    assert value(scores, "true score", "FLASK | exact score") == 100
    assert value(scores, "true score", "FLASK | mean absolute error") == 0
    assert 80 < value(pairs, "oracle", "Auto-J Eval | pair right") < 100
    averages = tables.table_5(example)
    assert value(averages, "oracle", tables.DIRECT_TRUTH) == 100 and value(averages, "oracle", tables.PAIR_TRUTH) < 100
    free, based = (value(tables.table_16(example), row, f"FLASK | reference-{part}")
                   for row, part in (("oracle", "free"), ("true score", "based")))  # fmt: skip
    assert 0 < free < based


def test_no_judge_passes_the_oracle_except_by_luck(example):
    """The judge that knows the truth does, as no judge can; the one that guesses does not."""
    pairs = tables.table_4(example)
    oracle = value(pairs, "oracle", "Auto-J Eval | pair right")
    assert (
        value(pairs, "base", "Auto-J Eval | pair right") < oracle < value(pairs, "linear", "Auto-J Eval | pair right")
    )


def test_what_is_no_score_has_no_exact_score(example):
    rows = set(tables.table_3(example).query("column == 'FLASK | exact score'")["row"])
    assert {"constant score", "random score"} <= rows and not {"response length", "similarity to reference"} & rows


def test_real_items_have_none_of_these_columns(example):
    items = {
        name: [dataclasses.replace(item, meta={}) for item in rows] for name, rows in example.items.items()
    }  # fmt: skip
    plain = dataclasses.replace(example, items=items)
    for number in ("3", "4", "5", "6", "17", "figure_3"):
        cells = tables.TABLES[number](plain)
        assert not cells["unit"].isin(["exact", "error", "right", "points"]).any(), number
        assert not cells["row"].isin(["oracle", "true score"]).any(), number
