"""Judging with a real (tiny, untrained) model: tasks, batches, order, resuming, and what is recorded."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest

from prometheus_lib import artifacts, judges, minibench
from prometheus_lib.judges import Completion, Decoding, JudgingJob, Task, TransformersJudge
from prometheus_lib.records import DataError
from prometheus_lib.store import JudgmentStore, load_judgments

SHORT = Decoding(max_new_tokens=8)


@pytest.fixture(scope="module")
def tasks():
    direct = minibench.build("mini_flask", 1, 0.2)
    pairs = minibench.build("mini_autoj_eval", 1, 0.2)
    return [
        *judges.direct_tasks("mini_flask", direct, True, 3),
        *judges.pairwise_tasks("mini_autoj_eval", pairs),
        *judges.direct_for_pairs_tasks("mini_autoj_eval", pairs[:3], 2),
    ]


def needed(tasks) -> int:
    return sum(task.draws for task in tasks)


def test_batches_hold_every_task_once_and_fit(tasks):
    cut = judges.batches(tasks, 12)
    assert sorted((t for batch in cut for t in batch), key=repr) == sorted(tasks, key=repr)
    for batch in cut:
        assert len({task.draws for task in batch}) == 1
        assert len(batch) == 1 or sum(task.draws for task in batch) <= 12


def test_direct_for_pairs_is_reference_free_and_names_both_sides(tasks):
    singles = [task for task in tasks if "#" in task.item_id]
    assert {task.item_id[-2:] for task in singles} == {"#a", "#b"} and len(singles) == 6
    assert not any("Reference Answer" in task.prompt or task.with_reference for task in singles)
    pair = replace(minibench.build("mini_autoj_eval", 1, 0.2)[0], rubric=None)
    with pytest.raises(DataError, match="no score rubric"):
        judges.split_pair(pair)


def test_decisions_of_swapped_prompts_are_mapped_back(tiny_base):
    class Fixed:
        name, fingerprint = "fixed", "f"

    texts = [Completion("Better. [RESULT] A", 5, True)]
    for order, decision in (("ab", "A"), ("ba", "B")):
        task = Task("b", "i", "pairwise", False, order, 1, "prompt")
        assert judges.judgments(Fixed, task, ["k"], texts)[0].decision == decision


def test_unparsed_and_truncated_are_told_apart():
    class Fixed:
        name, fingerprint = "fixed", "f"

    task = Task("b", "i", "direct", True, "ab", 3, "prompt")
    texts = [Completion("no verdict", 2, True), Completion("no verdict", 2, False), Completion("[RESULT] 4", 3, True)]
    rows = judges.judgments(Fixed, task, ["a", "b", "c"], texts)
    assert [row.status for row in rows] == ["unparsed", "truncated", "ok"]
    assert [row.decision for row in rows] == [None, None, 4]


def test_collecting_resumes_and_then_generates_nothing(tiny_base, tasks, tmp_path):
    judge = TransformersJudge("base", tiny_base, batch_size=12)
    whole = JudgmentStore(tmp_path / "whole" / "base.jsonl")
    assert judges.collect(judge, tasks, whole, SHORT, lambda n: None) == needed(tasks)
    assert judges.collect(judge, tasks, whole, SHORT, lambda n: None) == 0

    path = tmp_path / "killed" / "base.jsonl"
    judges.collect(judge, tasks, JudgmentStore(path), SHORT, lambda n: None)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])  # as a kill leaves it: cut inside a line
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store = JudgmentStore(path)
    kept = len(store.keys)
    assert judges.collect(judge, tasks, store, SHORT, lambda n: None) == needed(tasks) - kept > 0
    one, two = (
        load_judgments(tmp_path / f).sort_values(["item_id", "format", "draw"]).reset_index(drop=True)
        for f in ("whole", "killed")
    )
    assert one.equals(two)


def test_a_job_whose_judgments_are_there_loads_no_model(tiny_base, tasks, tmp_path):
    job = JudgingJob("base", str(tiny_base), tuple(tasks[:4]), str(tmp_path / "base.jsonl"), SHORT)
    progress = []
    assert judges.run_judge(job, progress.append) == needed(job.tasks) == sum(progress)
    missing_engine = replace(job, engine="an engine that does not exist")
    assert judges.run_judge(missing_engine, progress.append) == 0


def test_other_weights_and_other_decoding_are_other_judgments(tiny_base, tiny_experts, tasks):
    keys = {
        judges.task_keys(tasks[0], artifacts.model_fingerprint(folder), decoding)[0]
        for folder in (tiny_base, tiny_experts / "direct")
        for decoding in (SHORT, replace(SHORT, temperature=0.5))
    }
    assert len(keys) == 4


def test_prompts_that_do_not_fit_are_named(tiny_base, tasks):
    judge = TransformersJudge("base", tiny_base)
    with pytest.raises(DataError, match=r"mini_flask/.*tokens"):
        judge.generate(tasks[:2], Decoding(max_new_tokens=2040), 0)


def test_greedy_decoding_does_not_depend_on_the_batch(tiny_base, tasks):
    judge = TransformersJudge("base", tiny_base)
    greedy = Decoding(temperature=0.0, top_p=1.0, max_new_tokens=6)
    singles = [replace(task, draws=1) for task in tasks if task.format == "direct"][:6]
    together = judge.generate(singles, greedy, 0)
    assert [judge.generate([task], greedy, 0)[0] for task in singles] == together


def test_sharing_the_prompt_between_draws_changes_no_token(tiny_base, tasks):
    """Three greedy draws from one shared prompt equal one greedy draw from the prompt itself."""
    judge = TransformersJudge("base", tiny_base)
    greedy = Decoding(temperature=0.0, top_p=1.0, max_new_tokens=6)
    thrice = [task for task in tasks if task.draws == 3][:5]
    once = [replace(task, draws=1) for task in thrice]
    shared = judge.generate(thrice, greedy, 0)
    assert shared == [draws * 3 for draws in judge.generate(once, greedy, 0)]
