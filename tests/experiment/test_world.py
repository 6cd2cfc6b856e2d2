"""What cells are trained on and tested with: the knobs do what their names say, and nothing else."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from prometheus_lib.data import miniworld
from prometheus_lib.data.collections import checklist_example, direct_example, pairwise_example
from prometheus_lib.experiment.cells import _tasks
from prometheus_lib.experiment.design import Settings
from prometheus_lib.experiment.world import (
    base_folder,
    base_identity,
    build_base,
    training_rows,
    unseen_items,
    with_marks,
)
from prometheus_lib.prompts import parse_checklist
from prometheus_lib.training import EMBEDDED_BASE, base_model

POINT = Settings(examples=200)


def criteria(rows) -> set[str]:
    return {detail for row in rows for detail in miniworld.details_of(row["orig_criteria"])}


def test_at_the_point_both_formats_are_built_from_the_same_instructions():
    direct, pairwise = (training_rows(POINT, format, seed=3) for format in ("direct", "pairwise"))
    assert {row["orig_instruction"] for row in direct} == {row["orig_instruction"] for row in pairwise}
    assert len(direct) == 200 and len(pairwise) == 400  # of which as many as of the others are drawn
    assert criteria(direct) == criteria(pairwise) == set(miniworld.ATTRIBUTES)


@pytest.mark.parametrize("own", (6, 10))
def test_criteria_of_ones_own_are_asked_about_in_one_format_only(own):
    rows = {f: training_rows(Settings(examples=500, own_criteria=own), f, seed=1) for f in ("direct", "pairwise")}
    direct, pairwise = criteria(rows["direct"]), criteria(rows["pairwise"])
    assert len(direct - pairwise) == len(pairwise - direct) == own // 2
    assert direct | pairwise == set(miniworld.ATTRIBUTES)


@pytest.mark.parametrize("share", (0.25, 0.5, 1.0))
def test_conflict_swaps_the_labels_of_whole_instructions_and_nothing_else(share):
    plain, other = (training_rows(Settings(examples=200, conflict=c), "pairwise", seed=1) for c in (0.0, share))
    label = "orig_preference"
    assert [{**row, label: ""} for row in plain] == [{**row, label: ""} for row in other]
    swapped = Counter(a["orig_instruction"] for a, b in zip(plain, other, strict=True) if a[label] != b[label])
    assert len(swapped) == share * 40 and set(swapped.values()) == {10}


def test_conflict_leaves_direct_assessment_alone():
    assert training_rows(Settings(examples=20, conflict=0.5), "direct", 1) == training_rows(
        Settings(examples=20), "direct", 1
    )


def test_seeds_give_other_data():
    assert (
        training_rows(POINT, "direct", 1) != training_rows(POINT, "direct", 2) != training_rows(POINT, "direct", 1001)
    )


def test_test_items_are_unseen_balanced_and_labelled_by_the_truth():
    direct, pairs = unseen_items(100)
    seen = {row["orig_instruction"] for row in training_rows(Settings(examples=4000), "direct", seed=1)}
    assert not seen & {item.instruction for item in [*direct, *pairs]}
    combinations = {frozenset(each) for each in miniworld.SEEN.combinations}
    assert all(frozenset(miniworld.details_of(item.rubric)) not in combinations for item in direct)
    assert Counter(item.meta["true_score"] for item in direct) == dict.fromkeys(range(1, 6), 20)
    assert Counter(item.label for item in pairs) == {"A": 50, "B": 50}
    assert all(item.response_a != item.response_b for item in pairs)


def test_the_better_response_of_a_pair_states_more_of_the_references_facts():
    """A second way to the label: where all is said in plain words, count what the reference answer says too."""
    plain = {value for values in miniworld.VALUES.values() for value in values}
    checked = 0
    for item in unseen_items(400)[1]:
        wanted = plain & set(item.reference_answer.rstrip(".").replace(",", " ").split())
        said = [set(text.rstrip(".").replace("\n", " ").replace(";", " ").replace(",", " ").split())
                for text in (item.response_a, item.response_b)]  # fmt: skip
        if any(len(plain & words) < 6 for words in said):
            continue  # an everyday word stands for a value
        details = miniworld.details_of(item.criteria)
        right = [sum(bool(words & wanted & set(miniworld.VALUES[detail])) for detail in details) for words in said]
        checked += 1
        assert (right[0] > right[1]) == (item.label == "A")
    assert checked > 5


def test_a_base_model_is_known_by_its_schooling_and_width(tmp_path):
    cells = [Settings(20), Settings(20, width=32), Settings(20, schooling=0.5), Settings(20, width=32, schooling=0.5)]
    assert len({base_identity(each) for each in cells}) == len({base_folder(each, tmp_path) for each in cells}) == 4
    assert base_folder(cells[0], tmp_path) == EMBEDDED_BASE
    assert cells[0].width == base_model.HIDDEN, "the point of the default settings is the shipped model's width"


def test_a_narrow_base_model_is_schooled_as_the_shipped_one_and_kept(tmp_path):
    settings = Settings(20, width=32, schooling=0.0005)
    folder = build_base(settings, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    assert config["hidden_size"] == 32 and config["vocab_size"] == len(base_model.build_tokenizer())
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert build_base(settings, tmp_path) == folder and (folder / "model.safetensors").stat().st_mtime_ns == written


def test_what_an_ablation_leaves_out_is_gone_and_nothing_else():
    plain = training_rows(Settings(20), "direct", 1)
    silent = training_rows(Settings(20, feedback=False), "direct", 1)
    assert [row | {"orig_feedback": ""} for row in plain] == silent
    for format in ("direct", "pairwise"):
        rows = training_rows(Settings(20, rubric="coarse"), format, 1)
        assert {row["orig_criteria"] for row in rows} == {"Is the response right?"}
        label = "orig_score" if format == "direct" else "orig_preference"
        assert [row[label] for row in rows] == [row[label] for row in training_rows(Settings(20), format, 1)]
    assert all("###Score Rubric" in each.prompt for each in _tasks(Settings(20), 10)["exact"])
    asked = _tasks(Settings(20, rubric="none"), 10)
    bare = [*asked["exact"], *asked["pair"]]
    learned = [direct_example(training_rows(Settings(20, rubric="none"), "direct", 1)[0]),
               pairwise_example(training_rows(Settings(20, rubric="none"), "pairwise", 1)[0])]  # fmt: skip
    assert not any("###Score Rubric" in each.prompt or "Score 1:" in each.prompt for each in [*bare, *learned])
    coarse, full = unseen_items(10, "coarse"), unseen_items(10)
    assert [item.response for item in coarse[0]] == [item.response for item in full[0]]
    assert (
        {item.rubric.criteria for item in coarse[0]}
        == {item.criteria for item in coarse[1]}
        == {"Is the response right?"}
    )


def test_judges_are_shown_what_their_experts_were_trained_with():
    asked = {each: _tasks(Settings(20, **{each: value}), 10) for each, value in
             (("conflict", 0.0), ("reference", False), ("pair_reference", True))}  # fmt: skip
    assert [asked[each]["exact"][0].with_reference for each in asked] == [True, False, True]
    assert [asked[each]["pair"][0].with_reference for each in asked] == [False, False, True]
    shown = [task.item.reference_answer in task.prompt for tasks in asked.values() for task in
             (tasks["exact"][0], tasks["pair"][0])]  # fmt: skip
    assert shown == [True, False, False, False, True, True]


def test_a_checklists_truth_is_the_scores_and_its_rows_say_what_the_feedback_does():
    for item in with_marks(unseen_items(40)[0]):
        assert len(item.meta["marks"].split()) == 4
        assert item.meta["marks"].count("yes") + 1 == item.meta["true_score"]
    rows = training_rows(Settings(20), "checklist", 1)
    assert [{k: v for k, v in row.items() if k != "orig_marks"} for row in rows] == training_rows(
        Settings(20), "direct", 1
    )
    assert all(str(row["orig_marks"].count("yes") + 1) == row["orig_score"] for row in rows)
    assert len({row["orig_marks"] for row in rows}) > 5


def test_a_checklist_is_asked_as_it_was_learned_and_needs_the_reference_as_scores_do():
    task, bare = (_tasks(Settings(20, reference=shown), 10)["list"][0] for shown in (True, False))
    learned = checklist_example(training_rows(Settings(20), "checklist", 1)[0])
    assert task.format == learned.format == "checklist"
    assert task.prompt.split("###")[1] == learned.prompt.split("###")[1]
    assert task.item.reference_answer in task.prompt and task.item.reference_answer not in bare.prompt
    assert parse_checklist(learned.completion).decision == learned.completion.partition("[RESULT] ")[2]
