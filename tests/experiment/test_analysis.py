"""Differences, verdicts and the figure, from results made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

import prometheus_lib.experiment as experiment
from prometheus_lib.experiment.analysis import NOT_RUN, ONE_SEED
from prometheus_lib.experiment.design import Hypothesis
from prometheus_lib.experiment.figure import headline
from prometheus_lib.tables.claims import NO_EFFECT, NOT_REPRODUCED, REPRODUCED, UNDECIDED

MAP = experiment.read_design("map")


def made(shares: dict[str, float], cells=tuple(MAP.cells), seeds=MAP.seeds, spread=0.01, items=300) -> dict:
    """Results in which an arm is right on about a given share of the instructions (default: half)."""
    rng = np.random.default_rng(0)
    return {(cell, seed): {"arms": arms(shares, rng, spread, items)} for cell in cells for seed in seeds}


def arms(shares, rng, spread, items) -> dict:
    luck = rng.normal(0, spread)  # of the seed: all arms share it
    return {
        arm: {m: text(rng, shares.get(arm, 0.5) + luck + rng.normal(0, spread / 4), items) for m in ("exact", "pair")}
        for arm in MAP.arms
    }


def text(rng, share: float, items: int) -> str:
    right = round(min(max(share, 0), 1) * items)
    return "".join(rng.permutation(list("1" * right + "0" * (items - right))))


def verdict_of(results, **change) -> str:
    hypothesis = Hypothesis("H", "", "paper", "exact", "linear", "joint", **change)
    return experiment.verdicts(replace(MAP, hypotheses=(hypothesis,)), results).loc["H", "verdict"]


@pytest.mark.parametrize(
    "shares, sign, verdict",
    [
        ({"linear": 0.7}, "+", REPRODUCED),
        ({"linear": 0.7}, "-", NOT_REPRODUCED),
        ({"linear": 0.3}, "-", REPRODUCED),
        ({"linear": 0.3}, "+", NOT_REPRODUCED),
        ({}, "+", NO_EFFECT),
    ],
)
def test_a_clear_difference_or_none_gets_its_verdict(shares, sign, verdict):
    assert verdict_of(made(shares, ["paper"]), sign=sign) == verdict


def test_noise_leaves_it_undecided_and_one_seed_is_no_test():
    assert verdict_of(made({"linear": 0.53}, ["paper"], spread=0.4)) == UNDECIDED
    assert verdict_of(made({"linear": 0.9}, ["paper"], seeds=(1,))) == ONE_SEED
    assert verdict_of({}) == NOT_RUN


@pytest.mark.parametrize("seeds", [(1,), (1, 2)])
def test_fewer_than_three_seeds_show_nothing_whatever_their_difference(seeds):
    """Two seeds that agree by accident have an interval of no width."""
    exactly = made({"linear": 0.9}, ["paper"], seeds=seeds, spread=0)
    table = experiment.differences(MAP, exactly)
    assert set(experiment.helps(table, MAP.margin)) == {"too few seeds"}
    assert headline(MAP, table).startswith("Fewer than three seeds")
    assert f"{len(seeds)} seed{'s' * (len(seeds) > 1)}," in headline(MAP, table)
    assert all("too few seeds at" in line for line in experiment.told(MAP, table))
    assert not drawn_bands(experiment.map_figure(MAP, exactly))


def test_three_seeds_show_a_difference_and_have_a_band():
    results = made({"linear": 0.9}, ["paper"], seeds=(1, 2, 3))
    table = experiment.differences(MAP, results)
    joint = table[table["against"] == "joint training"]
    assert set(experiment.helps(joint, MAP.margin)) == {"helps"}
    assert drawn_bands(experiment.map_figure(MAP, results))


def drawn_bands(figure) -> list:
    """The intervals that a figure's panels show: filled areas with at least one corner."""
    areas = [area for axes in figure.axes for area in axes.collections if isinstance(area, PolyCollection)]
    return [path for area in areas for path in area.get_paths() if len(path.vertices)]


def test_p_values_are_corrected_over_what_could_be_tested():
    results = made({"linear": 0.55}, ["paper"], spread=0.1)
    alone = experiment.verdicts(replace(MAP, hypotheses=MAP.hypotheses[:1]), results)
    together = experiment.verdicts(MAP, results)
    tested = together["p"].notna()
    assert tested.sum() == sum(each.cell == "paper" for each in MAP.hypotheses) < len(MAP.hypotheses)
    assert together.loc["M1", "p"] >= alone.loc["M1", "p"] and (together.loc[~tested, "verdict"] == NOT_RUN).all()


def test_differences_are_paired_by_seed():
    """Between seeds all arms vary widely, their difference does not."""
    results = made({"linear": 0.6}, ["paper"], spread=0.1)
    found = experiment.difference(MAP, results, "paper", "exact", "linear", "joint")
    single = experiment.arm_table(MAP, results).set_index(["arm", "measure"]).loc[("joint", "exact")]
    assert found.interval()[1] - found.interval()[0] < (single["high"] - single["low"]) / 1.5
    assert found.mean == pytest.approx(10, abs=3) and found.runs == 5 and found.items == 300


def test_the_expert_is_that_of_the_measures_format():
    results = made({"linear": 0.6, "direct": 0.8, "pairwise": 0.3}, ["paper"])
    table = experiment.differences(MAP, results).set_index(["knob", "against", "measure"])["difference"]
    assert table["width", "expert", "exact"] == pytest.approx(-20, abs=1.5)
    assert table["width", "expert", "pair"] == pytest.approx(30, abs=1.5)


def test_unreadable_answers_count_as_wrong_and_are_shown():
    results = {("paper", seed): {"arms": dict.fromkeys(MAP.arms, {"exact": "11-0", "pair": "1111"})} for seed in (1, 2)}
    row = experiment.arm_table(MAP, results).set_index(["arm", "measure"]).loc[("linear", "exact")]
    assert row["mean"] == 50 and row["unreadable"] == 25


def test_a_part_of_the_grid_is_shown_as_a_part():
    results = made({"linear": 0.4}, ["paper", "width=32"], seeds=(1, 2, 3))
    assert experiment.coverage(MAP, results)["seeds there"].tolist().count(3) == 2
    table = experiment.differences(MAP, results)
    assert set(table["cell"]) == {"paper", "width=32"} and set(table["knob"]) == set(MAP.knobs)
    assert "2 of 16 cells, 3 seeds" in headline(MAP, table)


def test_the_figure_shows_every_level_and_crosses_what_is_missing():
    results = made({"linear": 0.4}, ["paper", "width=32"])
    figure = experiment.map_figure(MAP, results)
    by_label = {axes.get_xlabel(): axes for axes in figure.axes[: len(MAP.knobs)]}
    width = by_label["hidden size"]
    assert [tick.get_text() for tick in width.get_xticklabels()] == ["32", "64", "128"]
    crosses = [line for line in width.lines if line.get_marker() == "x"]
    assert [line.get_xdata().tolist() for line in crosses] == [[1]]
    exact = next(line for line in width.lines if line.get_marker() == "o")
    assert exact.get_xdata().tolist() == [0, 2] and exact.get_ydata()[0] == pytest.approx(-10, abs=1.5)


def test_an_ablation_is_compared_with_the_point_seed_by_seed():
    design = experiment.read_design("ablations")
    results = {
        (cell, seed): {"arms": {arm: {"exact": text, "pair": "1010"} for arm in design.arms}}
        for cell, text in (("paper", "1110"), ("feedback=False", "1000"))
        for seed in (1, 2)
    }
    table = experiment.changes(design, results).set_index(["cell", "arm", "measure"])["difference"]
    assert table["feedback=False", "direct", "exact"] == -50 and table["feedback=False", "linear", "pair"] == 0
    titles = [axes.get_title() for axes in experiment.ablation_figure(design, results).axes]
    assert titles[0] == "feedback=False (2 seeds)" and titles[1] == "rubric=coarse: not run"


@pytest.mark.parametrize(("seeds", "shown"), [((1,), False), ((1, 2), False), ((1, 2, 3), True)])
def test_bars_of_the_ablations_and_of_the_third_format_need_three_seeds(seeds, shown):
    for name, cells, draw in (
        ("ablations", ("paper", "feedback=False"), experiment.ablation_figure),
        ("third_format", ("paper",), experiment.formats_figure),
    ):
        design = experiment.read_design(name)
        answers = {arm: dict.fromkeys(design.measures, "1110") for arm in design.arms}
        figure = draw(design, {(cell, seed): {"arms": answers} for cell in cells for seed in seeds})
        drawn = [bar for axes in figure.axes for kept in axes.containers for bar in kept.lines[2][0].get_segments()]
        assert any(len(bar) and np.isfinite(bar).all() for bar in drawn) == shown, name


def test_a_cell_that_was_stopped_for_hours_does_not_spoil_the_estimate():
    known = {("paper", seed): {"units": 10, "seconds": {"training": 4.0, "judging": 1.0}} for seed in (1, 2)}
    known["paper", 3] = {"units": 10, "seconds": {"training": 9000.0, "judging": 1.0}}
    jobs = experiment.jobs_of(MAP, Path("results"), Path("work"), ["paper"], [4])
    assert experiment.estimate(jobs, known) == 0.5 * jobs[0].units()
