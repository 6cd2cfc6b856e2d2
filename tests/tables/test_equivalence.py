"""Lists of differences that can end in "none larger than the margin", the top of a curve, and the luck of seeds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from prometheus_lib import metrics, tables
from prometheus_lib.tables import equivalence


def gap(mean, spread, n=200, seed=0):
    values = np.random.default_rng(seed).normal(0, spread, n)
    return metrics.bootstrap_mean(values - values.mean() + mean, n_resamples=2_000)


def test_each_difference_ends_in_one_of_four_ways():
    found = {
        ("scoring", "better"): gap(8, 10),
        ("scoring", "worse"): gap(-8, 10),
        ("scoring", "alike"): gap(0.1, 4),
        ("scoring", "open"): gap(1.5, 20),
    }
    table = equivalence.shown_together(found, margin=2)
    assert table["shown"].tolist() == ["+", "-", "0", "?"]
    assert table.loc[("scoring", "open"), "at most"] == pytest.approx(table.loc[("scoring", "open"), "high"])
    assert equivalence.summary(table, 2) == [
        "scoring: 1 better (better +8.0), 1 worse (worse -8.0), 1 with no difference larger than 2 points; "
        f"of the other 1 up to {table.loc[('scoring', 'open'), 'at most']:.1f} points are possible"
    ]


def test_without_anything_judged_the_list_is_empty():
    empty = equivalence.shown_together({}, margin=2)
    assert empty.empty and equivalence.summary(empty) == []


def test_the_same_model_twice_has_no_difference():
    table = equivalence.shown_together({("ranking", "twin"): gap(0, 0)}, margin=2)
    assert table["shown"].tolist() == ["0"] and table["at most"].tolist() == [0]


def test_near_best_tells_the_plateau_from_the_slope():
    rng = np.random.default_rng(1)
    right = rng.random(2_000)
    curve = {a: metrics.bootstrap_mean(100 * (right < share)) for a, share in {0.0: 0.5, 0.5: 0.799, 1.0: 0.8}.items()}
    assert equivalence.near_best(curve)["shown"].tolist() == ["-", "0", "best"]


def with_second_seed(run):
    """The base's second seed answers as the linear judge does."""
    second = run.judgments[run.judgments["judge"] == "linear"].assign(judge="base-seed2")
    return replace(run, judgments=pd.concat([run.judgments, second], ignore_index=True))


@pytest.mark.parametrize("yardstick", [equivalence.TRUTH, equivalence.RATERS])
def test_two_runs_of_one_recipe_are_one_draw_of_their_luck(yardstick):
    run = with_second_seed(tables.example_run())
    found = equivalence.training_runs(run, yardstick)
    for what, names in zip(("scoring", "ranking"), equivalence.FORMATS.values()):
        one, two = (equivalence.in_points(run, judge, names, yardstick).estimate for judge in ("base", "linear"))
        row, pooled = found.loc[(what, "base")], found.loc[(what, equivalence.ALL_RECIPES)]
        assert row["runs"] == 2 and row["sd"] == pytest.approx(abs(one - two) / np.sqrt(2))
        assert pooled["freedom"] == 1 and pooled["apart"] == pytest.approx(12.706 * abs(one - two), rel=1e-3)
    assert "linear" not in found.index.get_level_values("recipe")


def test_a_run_whose_scores_never_vary_does_not_hide_the_others():
    run = with_second_seed(tables.example_run())
    before = equivalence.training_runs(run, equivalence.RATERS)
    flat = run.judgments[(run.judgments["judge"] == "base") & (run.judgments["format"] == "direct")]
    flat = flat.assign(judge="base-seed3", decision=3)
    after = equivalence.training_runs(
        replace(run, judgments=pd.concat([run.judgments, flat], ignore_index=True)), equivalence.RATERS
    )
    pd.testing.assert_frame_equal(before, after)
