"""One queue of judges and shares for several GPUs: who gets which, and that nothing is lost or judged twice."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from prometheus_lib import artifacts, judging, parallel, pipeline
from prometheus_lib.data import minibench
from prometheus_lib.judging import devices, formats
from prometheus_lib.judging.engines.vllm_judge import VLLMJudge, room_for
from prometheus_lib.judging.sharing import pieces
from prometheus_lib.pipeline import sweep_jobs
from prometheus_lib.records import DataError
from prometheus_lib.scale import committed_outputs, load_scale
from prometheus_lib.training import EMBEDDED_BASE

ITEMS = minibench.build("mini_flask", 1, 0.2)
TASKS = tuple(judging.direct_tasks("mini_flask", ITEMS, True, draws=2))


class Where(judging.Judge):
    """Says which GPUs its process sees, and which process that is."""

    in_batches = False

    def __init__(self, name: str, fingerprint: str):
        self.name, self.fingerprint = name, fingerprint

    def generate(self, tasks, decoding, seed):
        said = f"{os.environ[parallel.DEVICES]} in {os.getpid()} [RESULT] 3"
        return [[judging.Completion(said, 1, True)] * task.draws for task in tasks]


def start(job: judging.JudgingJob) -> judging.Judge:
    return Where(job.name, judging.job_fingerprint(job))


def job(name: str, out: Path, tasks=TASKS, engine: str = "vllm") -> judging.JudgingJob:
    return judging.JudgingJob(name, "owner/model", tasks, str(out / f"{name}.jsonl"), judging.Decoding(), engine)


def test_one_process_per_device_takes_from_one_queue(tmp_path):
    jobs = [job("large", tmp_path), job("small", tmp_path, TASKS[:5])]
    done = judging.run_judging(jobs, start=start, devices=["0", "2,3"]).set_index("judge")
    assert done["added"].to_dict() == done["needed"].to_dict() == {"large": 2 * len(TASKS), "small": 10}
    found = judging.load_judgments(tmp_path)
    assert Counter(found["judge"]) == done["added"].to_dict() and not found.duplicated(["judge", "key"]).any()
    keys = {
        key for task in TASKS for key in judging.task_keys(task, judging.job_fingerprint(jobs[0]), jobs[0].decoding)
    }
    assert set(found.loc[found["judge"] == "large", "key"]) == keys  # as one process would store them
    seen = {text.split(" in ")[0] for text in found["feedback"]}
    processes = {text.split(" in ")[1] for text in found["feedback"]}
    assert seen == {"0", "2,3"} and len(processes) == len(pieces(jobs[0], (2 * len(TASKS) + 10) // 4)) + 1
    assert parallel.DEVICES not in os.environ
    assert judging.run_judging(jobs, start=start)["added"].sum() == 0


def test_only_engines_that_draw_each_task_alone_are_cut(tmp_path):
    cut = pieces(job("mine", tmp_path), 10)
    assert sorted(task.item_id for piece in cut for task in piece.tasks) == sorted(item.id for item in ITEMS)
    assert max(sum(task.draws for task in piece.tasks) for piece in cut) <= 12
    assert pieces(job("mine", tmp_path, engine="transformers"), 10) == [job("mine", tmp_path, engine="transformers")]
    assert len(pieces(job("mine", tmp_path, TASKS[:1]), 1)) == 1 and len(pieces(job("none", tmp_path, ()), 1)) == 1


def test_a_sweep_has_no_more_parts_than_merges():
    scale = replace(load_scale("small"), benchmarks=())
    parts = sweep_jobs(scale, {}, 64)
    assert sorted(each.name for part in parts for each in part.merges) == sorted(merge.name for merge in scale.sweep)
    assert len(parts) == len(scale.sweep) and sweep_jobs(replace(scale, only_merges=("linear",)), {}, 4) == []


@pytest.mark.parametrize(
    ("count", "named", "each", "expected"),
    [
        (4, "", 1, ["0", "1", "2", "3"]),
        (3, "", 2, ["0,1"]),
        (2, "5,7", 1, ["5", "7"]),
        (2, "5, 7", 1, ["5", "7"]),
        (4, "GPU-a,GPU-b,GPU-c,GPU-d", 4, ["GPU-a,GPU-b,GPU-c,GPU-d"]),
    ],
)
def test_gpus_are_put_together_as_cuda_counts_them(monkeypatch, count, named, each, expected):
    monkeypatch.setenv(parallel.DEVICES, named)
    assert devices.groups(devices._numbers(count), each) == expected


@pytest.mark.parametrize(
    ("engine", "settings", "expected"),
    [
        ("vllm", "", ["0", "1", "2"]),
        ("transformers", '{"tensor_parallel_size": 2}', ["0", "1", "2"]),  # a setting of vLLM's
        ("vllm", '{"tensor_parallel_size": 2}', ["0,1"]),
        ("vllm", '{"tensor_parallel_size": 4}', None),  # no engine at all would be made
        ("vllm", '{"tensor_parallel_size": "2"}', None),
        ("trivial", "", []),
    ],
)
def test_each_engine_has_as_many_gpus_as_it_asks_for(monkeypatch, engine, settings, expected):
    monkeypatch.setattr(devices, "visible_gpus", lambda: [("NVIDIA A100-SXM4-40GB", 42.3)] * 3)
    monkeypatch.setenv("PROMETHEUS_VLLM_SETTINGS", settings)
    monkeypatch.setenv(parallel.DEVICES, "")
    if expected is not None:
        assert devices.engine_devices(engine, str(EMBEDDED_BASE), bf16=False) == expected
        return
    with pytest.raises(DataError, match="tensor_parallel_size is .*, and 3 GPUs can be seen"):
        devices.engine_devices(engine, str(EMBEDDED_BASE), bf16=False)


def test_no_jobs_are_a_table_of_no_rows():
    done = judging.run_judging([])
    assert list(done.columns) == ["judge", "needed", "added", "seconds"] and done["added"].sum() == 0


def test_an_engine_is_as_long_as_its_longest_prompt_that_fits(monkeypatch):
    long = replace(TASKS[0], prompt="word " * 9000)
    decoding = judging.Decoding(max_new_tokens=20)
    with_long, without = (
        VLLMJudge.fitted(EMBEDDED_BASE, tasks, decoding)["max_model_len"] for tasks in ([*TASKS, long], TASKS)
    )
    assert with_long == without and without % 256 == 0
    assert room_for([100], 20, None) == 256 and room_for([241], 20, None) == 512
    monkeypatch.setenv("PROMETHEUS_VLLM_SETTINGS", '{"max_model_len": 600}')
    assert VLLMJudge.fitted(EMBEDDED_BASE, TASKS, decoding) == {}


# --- number formats --------------------------------------------------------------------------------------------------


def test_sixteen_bits_are_those_that_a_card_computes_in():
    found = {card: formats.sixteen_bits(card) for card in (None, (7, 0), (7, 5), (8, 0), (8, 9), (12, 0))}
    assert list(found.values()) == ["bfloat16", "float16", "float16", "bfloat16", "bfloat16", "bfloat16"]
    names = {artifacts.judge_fingerprint("owner/model", name) for name in ("float32", "bfloat16", "float16")}
    assert len(names) == 3 and artifacts.model_fingerprint("owner/model") in names


def test_a_scale_sets_the_number_format_of_its_judges_and_by_default_changes_nothing(tmp_path):
    """The committed judgments of the miniature are stored under fingerprints without a format."""
    for name, bf16 in (("mini", False), ("bridge", False), ("small", True), ("7b", True)):
        scale = load_scale(name, tmp_path)
        assert [pipeline.judges_bf16(replace(scale, judging_dtype=each)) for each in ("", "float32", "bfloat16")] == [
            bf16, False, True,
        ]  # fmt: skip
    mini = load_scale("mini", tmp_path)
    made = pipeline.judging_jobs(mini, {name: [] for name in map(mini.benchmark_name, mini.benchmarks)})
    assert not any(each.bf16 for each in made)
    stored = judging.load_judgments(committed_outputs() / "mini" / "judgments")
    assert judging.job_fingerprint(made[0]) in set(stored.loc[stored["judge"] == "base", "fingerprint"])
    file = tmp_path / "mine.toml"
    file.write_text('like = "mini"\njudging_dtype = "auto"\n')
    assert pipeline.judges_bf16(load_scale(file)) == formats.has_bfloat16()
    file.write_text('like = "mini"\njudging_dtype = "float8"\n')
    with pytest.raises(DataError, match="judging_dtype: there is no 'float8'"):
        load_scale(file)
