"""More than one vLLM engine: one after the other, each in a process of its own, and side by side as Ray actors."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import psutil
import pytest

from prometheus_lib import judging
from prometheus_lib.data import minibench
from prometheus_lib.judge import main
from prometheus_lib.judging import Decoding, JudgingJob, Policy
from prometheus_lib.judging.engines import vllm_judge
from prometheus_lib.judging.store import JudgmentStore, load_judgments
from prometheus_lib.parallel import run_jobs
from prometheus_lib.records import DataError

SHORT = Decoding(max_new_tokens=12)
COMMAND = "--scale smoke --judge base --engine transformers --replicas 2 --gpus 0"


@pytest.fixture(scope="module")
def tasks():
    items = minibench.build("mini_flask", 1, 1.0)[:12]
    pairs = minibench.build("mini_autoj_eval", 1, 1.0)[:12]
    return [*judging.direct_tasks("mini_flask", items, True, 3), *judging.pairwise_tasks("mini_autoj_eval", pairs)]


@pytest.fixture
def job(base, engine, tasks, tmp_path, monkeypatch):
    settings = {name: value for name, value in engine.items() if name != "bf16"}
    monkeypatch.setenv(vllm_judge.SETTINGS, json.dumps(settings))
    return JudgingJob("base", str(base), tuple(tasks), str(tmp_path / "out" / "base.jsonl"), SHORT, "vllm")


def rows(folder):
    return load_judgments(folder).sort_values(["judge", "format", "item_id", "draw"]).reset_index(drop=True)


def test_judges_one_after_the_other_leave_nothing_running(job, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(job.folder, copy)
    (copy / "chat_template.jinja").write_text((copy / "chat_template.jinja").read_text() + "\n")
    other = replace(job, name="other", folder=str(copy), out=str(tmp_path / "out" / "other.jsonl"))
    needed = sum(task.draws for task in job.tasks)
    before = set(psutil.Process().children(recursive=True))
    assert run_jobs(judging.run_judge, [job, other], 2 * needed, "judgment", isolated=True) == [needed, needed]
    assert [judging.run_judge(each) for each in (job, other)] == [0, 0]
    after = [p for p in psutil.Process().children(recursive=True) if p not in before and "tracker" not in _line(p)]
    assert not after
    assert set(rows(tmp_path / "out")["judge"]) == {"base", "other"}


def _line(process):
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return "tracker"  # gone in the meantime


def test_two_engines_on_ray_give_the_judgments_of_one(job, engine, tasks, tmp_path, capsys):
    import ray

    from prometheus_lib.judging.ray_judging import RayJudge

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        many = RayJudge(job, replicas=2, gpus=0)
        policy = Policy("finish")
        added = judging.collect(many, tasks, JudgmentStore(job.out), SHORT, policy=policy)
        with pytest.raises(DataError, match="1 prompts .*the long one"):
            judging.collect(many, [replace(tasks[0], item_id="the long one", prompt="x " * 4000)], *_nowhere(tmp_path))
        many.close()
        main(COMMAND.split() + ["--outputs", str(tmp_path / "scale")])
        main(COMMAND.split() + ["--outputs", str(tmp_path / "scale")])
    finally:
        ray.shutdown()
    first, second = (int(line.split()[1]) for line in capsys.readouterr().out.splitlines() if line.startswith("base"))
    assert first == len(load_judgments(tmp_path / "scale" / "smoke" / "judgments")) > 100 and second == 0
    one = judging.VLLMJudge("base", job.folder, **engine)
    assert judging.collect(one, tasks, JudgmentStore(tmp_path / "one" / "base.jsonl"), SHORT, policy=policy) == added
    one.close()
    assert rows(tmp_path / "one").equals(rows(tmp_path / "out"))
    assert (load_judgments(tmp_path / "out", policy="finish")["status"] == "ok").all()


def _nowhere(folder):
    return JudgmentStore(folder / "nowhere.jsonl"), SHORT
