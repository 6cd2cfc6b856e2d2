"""Merges that are written, judged and removed: what stays, what is not done again, and what is."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import replace

import pytest

from prometheus_lib import artifacts, judging
from prometheus_lib.data import minibench
from prometheus_lib.judging.passing import Recipe, passing
from prometheus_lib.merging import Merge, merge_experts
from prometheus_lib.records import read_jsonl


@pytest.fixture
def job(tiny_base, tiny_experts, tmp_path):
    """A merge to be judged on three items, of experts that the test may change."""
    shutil.copytree(tiny_experts, tmp_path / "experts")
    tasks = judging.direct_tasks("mini_flask", minibench.build("mini_flask", 1, 0.1)[:3], True, draws=1)
    recipe = Recipe(Merge("half", "linear"), str(tiny_base), str(tmp_path / "experts"), "float32")
    return judging.JudgingJob(
        "half", str(tmp_path / "merged" / "half"), tuple(tasks), str(tmp_path / "half.jsonl"),
        judging.Decoding(max_new_tokens=4), recipe=recipe,
    )  # fmt: skip


def marks(tmp_path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "merged").iterdir() if ".judging-" in path.name)


def test_a_merge_is_judged_and_its_weights_go(job, tmp_path):
    assert judging.run_judge(job) == 3
    left = sorted(path.name for path in (tmp_path / "merged" / "half").iterdir())
    assert not [name for name in left if name.endswith(".safetensors")]
    assert {"config.json", "tokenizer.json", "README.md", artifacts.STAMP, artifacts.REMOVED} <= set(left)
    assert judging.run_judge(replace(job, engine="vllm")) == 0  # nothing is started, nothing is merged
    assert marks(tmp_path) == []
    whole = judging.JudgingJob(**{**vars(job), "recipe": None, "folder": str(tmp_path / "kept")})
    merge_experts(job.recipe.merge, job.recipe.base, job.recipe.experts, whole.folder)
    assert judging.run_judge(whole) == 0  # a merge that stays is the same judge
    again = replace(job, tasks=tuple(replace(task, draws=2) for task in job.tasks))
    assert judging.run_judge(again) == 3 and len({row["fingerprint"] for row in read_jsonl(job.out)}) == 1


def test_a_merge_of_experts_that_were_trained_again_is_judged_again(job, tiny_base, tmp_path):
    assert judging.run_judge(job) == 3
    shutil.copy(tiny_base / "model.safetensors", tmp_path / "experts" / "pairwise")
    assert judging.run_judge(job) == 3


def test_weights_stay_while_another_process_judges_them_and_after_an_error(job, tmp_path):
    weights = tmp_path / "merged" / "half" / "model.safetensors"
    with pytest.raises(RuntimeError, match="stopped"), passing(job.recipe, job.folder):
        assert weights.is_file()
        raise RuntimeError("stopped")
    assert weights.is_file()
    (tmp_path / "merged" / f".half.2.judging-{os.getppid()}@{platform.node()}").touch()  # of the merge half.2
    for used in (f".half.judging-{os.getppid()}@{platform.node()}", ".half.judging-999999999@another-machine"):
        other = tmp_path / "merged" / used
        other.touch()
        with passing(job.recipe, job.folder):
            pass
        assert weights.is_file() and used in marks(tmp_path)
        other.unlink()
    gone = tmp_path / "merged" / f".half.judging-999999999@{platform.node()}"  # of a process that was killed
    gone.touch()
    with passing(job.recipe, job.folder):
        pass
    assert not weights.exists() and len(marks(tmp_path)) == 1
