"""Learning curves over rows: who stands on them, on what they are compared, and what is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from prometheus_lib import tables
from prometheus_lib.scale.settings import Expert
from prometheus_lib.tables import learning, panels


@pytest.fixture(scope="module")
def run():
    """Three direct experts: all rows, a quarter of them (answers of "base"), and another seed."""
    whole = tables.example_run()
    experts = (
        Expert("direct", ("direct",), 400), Expert("direct-quarter", ("direct",), 100),
        Expert("direct-seed2", ("direct",), 400, seed=43), Expert("joint", ("direct", "pairwise"), 400),
    )  # fmt: skip
    said = whole.judgments
    of = {"direct": "linear", "direct-seed2": "linear", "direct-quarter": "base", "joint": "linear"}
    more = [said[said["judge"] == source].assign(judge=name) for name, source in of.items()]
    return replace(
        whole, scale=replace(whole.scale, experts=experts), judgments=pd.concat([said, *more], ignore_index=True)
    )


def test_the_curve_has_the_experts_of_one_format_by_rows_and_no_further_seeds(run):
    curve = tables.over_rows(run, "direct")
    assert curve["rows"].to_dict() == {"base": 0, "direct-quarter": 100, "direct": 400}
    for judge in curve.index:
        average = tables.truth_average(run, judge, tables.RESEARCH_DIRECT)
        assert curve.at[judge, "value"] == pytest.approx(average.estimate)
    assert curve["low"].isna().all() and (curve["instructions"] < 10).all()


def test_unreadable_answers_are_counted(run):
    said = run.judgments.copy()
    its = said.index[(said["judge"] == "direct-quarter") & (said["format"] == "direct")]
    said["decision"] = said["decision"].astype(object)
    said.loc[its[::2], "decision"] = np.nan
    curve = tables.over_rows(replace(run, judgments=said), "direct")
    assert 0 < curve.at["direct-quarter", "readable"] < 100 and curve.at["direct", "readable"] == 100


def test_one_number_of_rows_is_no_curve_and_the_figure_has_all_points(run):
    assert "no curve" in learning.told(tables.over_rows(tables.example_run(), "pairwise"), "accuracy, %")
    curve = tables.over_rows(run, "direct")
    assert learning.told(curve, "exact scores, %").startswith("From 100 to 400 rows: readable answers 100 to 100 %")
    left, right = panels.rows_panels(curve, "direct", "exact scores, %").axes
    assert list(left.lines[0].get_xdata()) == [0, 100, 400] and right.get_ylabel() == "exact scores, %"


def test_an_expert_whose_rows_are_not_counted_yet_is_no_point(run):
    """ "All rows" are counted by Table 1; without it nobody knows where on the curve the expert stands."""
    experts = (*run.scale.experts, Expert("direct-all", ("direct",), None))
    said = run.judgments[run.judgments["judge"] == "linear"].assign(judge="direct-all")
    more = pd.concat([run.judgments, said], ignore_index=True)
    uncounted = replace(run, scale=replace(run.scale, experts=experts), judgments=more)
    assert np.isnan(tables.examples_learned(uncounted.scale).at["direct-all", "direct"])
    assert list(tables.over_rows(uncounted, "direct").index) == ["base", "direct-quarter", "direct"]
