"""The design file: what it must say, and what is refused with the place where it stands."""

from __future__ import annotations

import pytest

from prometheus_lib import artifacts, experiment
from prometheus_lib.experiment import design as designs
from prometheus_lib.experiment import read_design
from prometheus_lib.experiment.design import POINT, Settings
from prometheus_lib.records import DataError

SMALL = """
title = "Small"
seeds = [1, 2]
instructions = 10
margin = 2.0
[point]
examples = 20
[knobs]
width = [32]
[arms.direct]
direct = 1.0
[arms.pairwise]
pairwise = 1.0
[arms.linear]
merges = ["direct", "pairwise"]
method = "linear"
[[hypotheses]]
id = "H1"
says = "It helps."
cell = "width=32"
measure = "exact"
first = "linear"
second = "direct"
"""


def test_the_map_turns_every_knob_of_the_question_one_at_a_time():
    design = read_design("map")
    wanted = {"examples": 4000, "own_criteria": 10, "conflict": 0.5, "width": 32, "learning_rate": 2e-3}
    assert all(value in design.levels(knob) for knob, value in wanted.items()) and "schooling" in design.knobs
    assert len(design.seeds) == 5 and design.instructions >= 100 and design.point.examples in range(125, 4001)
    for name, settings in design.cells.items():
        different = [knob for knob in design.knobs if getattr(settings, knob) != getattr(design.point, knob)]
        assert different == ([] if name == POINT else [name.split("=")[0]])


def test_the_map_has_all_arms_and_every_hypothesis_can_be_answered():
    design = read_design("map")
    assert {"direct", "pairwise", "joint", "joint-half", "linear", "dare-linear", "two-direct", "two-pairwise"} <= set(
        design.arms
    )
    assert len({each.id for each in design.hypotheses}) == len(design.hypotheses)
    joint, half = design.arms["joint"].trains, design.arms["joint-half"].trains
    assert sum(joint.values()) == 2 and sum(half.values()) == sum(design.arms["direct"].trains.values()) == 1
    assert {each.measure for each in design.hypotheses} == set(design.measures)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("width = [32]", "widht = [32]", r"unknown knob 'widht'; did you mean 'width'"),
        ("width = [32]", "width = [33]", r"\[knobs\] width=33: width is 33; give a multiple of 32"),
        ("width = [32]", 'width = ["32"]', r"\[knobs\] width=32: width is '32'; give a whole number"),
        ("examples = 20", "examples = 20.5", r"\[point\]: examples is 20.5; give a whole number"),
        ("examples = 20", "conflict = 0.5", r"\[point\]: the key 'examples' is missing"),
        ("seeds = [1, 2]", "seeds = [1, 1]", "none of them twice"),
        ("seeds = [1, 2]", "seeds = []", "at least one seed"),
        ("instructions = 10", "instructions = 3", "instructions is 3"),
        ("margin = 2.0", "margin = 0.0", "margin is 0.0"),
        ("direct = 1.0", "direct = 1.5", r"\[arms.direct\]: direct is 1.5; give a share"),
        ('merges = ["direct", "pairwise"]', 'merges = ["direct", "linear"]', "it merges an arm that is not trained"),
        ('merges = ["direct", "pairwise"]', 'merges = ["direct"]', "name two trained arms"),
        ('merges = ["direct", "pairwise"]', 'merges = ["direct", "direct"]', "is given twice"),
        ('method = "linear"', 'method = "liner"', "unknown method 'liner'"),
        ('method = "linear"', "", "needs `merges` and `method`"),
        ('cell = "width=32"', 'cell = "width=64"', "hypothesis H1: unknown cell 'width=64'"),
        ('measure = "exact"', 'measure = "exakt"', "unknown measure 'exakt'; did you mean 'exact'"),
        ('second = "direct"', 'second = "expert"', "unknown arm 'expert'"),
        ('second = "direct"', 'second = "direct"\nsign = "="', "unknown sign '='"),
        ('title = "Small"', "", "the key 'title' is missing"),
        ('title = "Small"', 'title = "Small', "not valid TOML"),
    ],
)
def test_a_design_that_cannot_be_meant_is_refused_with_its_place(tmp_path, old, new, message):
    assert old in SMALL
    file = tmp_path / "small.toml"
    file.write_text(SMALL.replace(old, new, 1))
    with pytest.raises(DataError, match=message) as error:
        read_design(file)
    assert "small.toml" in str(error.value)


def test_a_design_of_ones_own_is_read_like_ours(tmp_path):
    (tmp_path / "small.toml").write_text(SMALL)
    design = read_design(tmp_path / "small.toml")
    assert design.name == "small" and list(design.cells) == [POINT, "width=32"]
    assert design.cells["width=32"] == Settings(examples=20, width=32)


def test_levels_stand_in_order_with_the_point_among_them():
    design = read_design("map")
    assert list(design.levels("examples")) == sorted({*design.knobs["examples"], design.point.examples})
    assert design.levels("examples")[design.point.examples] == POINT


def test_every_design_of_the_library_can_be_read():
    for file in designs.DESIGNS.glob("*.toml"):
        assert read_design(file.stem).name == file.stem


def test_what_came_later_leaves_the_stamps_of_older_designs_as_they_were():
    arms = [arm.identity() for arm in read_design("map").arms.values()]
    assert artifacts.text_hash(arms) == "b0c81ae09873cc48"  # as when the map was run
    third = read_design("third_format").arms
    assert third["checklist"].identity()["checklist"] == 1.0 and third["three"].identity()["alpha"] == 2 / 3


def test_a_merge_may_be_merged_again_but_not_before_it_is_there(tmp_path):
    design = read_design("third_format")
    assert design.measures == ("exact", "pair", "list") and design.arms["three"].merges == ("two", "checklist")
    text = (designs.DESIGNS / "third_format.toml").read_text()
    (tmp_path / "loop.toml").write_text(
        text.replace('merges = ["two", "checklist"]', 'merges = ["three", "checklist"]')
    )
    with pytest.raises(DataError, match="merges an arm that is not trained or merged before it"):
        read_design(tmp_path / "loop.toml")


@pytest.mark.parametrize("name", ["map", "ablations", "third_format"])
def test_committed_results_are_those_of_this_code_and_base_model(name):
    """A setting that is new and not used must leave stamps alone; another base model needs the experiment run anew."""
    design = read_design(name)
    folder = experiment.result_folders(design)[1]
    jobs = experiment.jobs_of(design, folder, folder)
    assert len(experiment.read_results(jobs)) == len(list(folder.glob("*.json")))
