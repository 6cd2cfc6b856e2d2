"""Training in processes of its own: started, watched, stopped, found again, and failing with one message."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from prometheus_lib import data, training
from prometheus_lib.records import DataError, write_jsonl
from prometheus_lib.training import ExpertJob, Lora, TrainingSettings, launching

SETTINGS = TrainingSettings(learning_rate=1e-3, batch_size=8, max_length=512, warmup=0.0, checkpoint_minutes=0.0)


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("rows") / "feedback.jsonl", data.feedback_rows(1, 40))


def job_for(base: Path, rows: Path, out: Path, examples: int = 40) -> ExpertJob:
    return ExpertJob("e", str(base), (("direct", str(rows), examples, True),), SETTINGS, 42, str(out))


def test_two_processes_train_what_one_trains_and_show_how_far_they_are(tiny_base, rows, tmp_path):
    alone, together = (job_for(tiny_base, rows, tmp_path / name / "e") for name in ("alone", "together"))
    training.train_expert(alone)
    started, steps, shown = training.launch(together, "cpu", processes=2), [], []
    assert started.running and started.folder.parent == tmp_path / "together"
    started.wait(lambda done, tokens=0: steps.append((done, tokens)), shown.append)
    assert sum(done for done, _ in steps) == 5 and sum(tokens for _, tokens in steps) > 40 * 80
    assert shown[-1]["step"] == shown[-1]["steps"] == 5 and shown[-1]["loss"] > 0
    logs = [training.read_log(job.out)["log"] for job in (alone, together)]
    assert [each["loss"] for each in logs[1]] == pytest.approx([each["loss"] for each in logs[0]], abs=1e-3)
    weights = [load_file(Path(job.out) / "model.safetensors") for job in (alone, together)]
    assert set(weights[0]) == set(weights[1])
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-4) for name in weights[0])
    assert [path.name for path in (tmp_path / "together").iterdir()] == ["e"]
    assert not training.launch(together, "cpu", processes=2).running  # there is nothing to do


def test_a_training_is_stopped_found_again_and_goes_on(tiny_base, rows, tmp_path):
    """Its checkpoints are whole, so the end is that of a training that was never stopped."""
    job = job_for(tiny_base, rows, tmp_path / "stopped" / "e", examples=160)
    started = training.launch(job, "cpu")
    while started.progress().get("step", 0) < 3:
        assert started.running, started.log
        time.sleep(0.05)
    leader = json.loads((started.folder / launching.PID).read_text())["pid"]
    assert os.getsid(leader) == leader != os.getsid(0)  # a closed notebook takes nothing with it
    found = training.launch(job, "cpu")
    assert json.loads((found.folder / launching.PID).read_text())["pid"] == leader
    found.stop()
    assert not started.running and not Path(job.out).exists()
    with pytest.raises(DataError, match="e: training ended before it was done .*the same command goes on"):
        found.wait()
    begun: list[int] = []
    training.launch(job, "cpu").wait(seen=lambda progress: begun.append(progress["step"]))
    assert begun[0] >= 2 and begun[-1] == 20
    whole = replace(job, out=str(tmp_path / "whole" / "e"))
    training.train_expert(whole)
    weights = [load_file(Path(each.out) / "model.safetensors") for each in (job, whole)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_killed_process_is_one_message_with_the_end_of_the_log(tiny_base, rows, tmp_path):
    job = job_for(tiny_base, rows, tmp_path / "e", examples=160)
    started = training.launch(job, "cpu", processes=2)
    while started.progress().get("step", 0) < 1:
        assert started.running, started.log
        time.sleep(0.05)
    worker = launching._process(started.folder / launching.PID).children(recursive=True)[-1]
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(DataError, match=r"(?s)a GPU or memory may have been lost.*log\.txt:\n.*SIGKILL"):
        started.wait()


def test_bad_input_is_said_as_it_is(tiny_base, rows, tmp_path):
    job = job_for(tiny_base, rows, tmp_path / "e")
    short = replace(job, settings=replace(SETTINGS, max_length=10))
    with pytest.raises(DataError, match="^e: no training row fits into max_length=10 tokens.$"):
        training.launch(short, "cpu", processes=2).wait()
    with pytest.raises(DataError, match="no launcher 'slurm'; choose one of cpu, fsdp2"):
        training.launch(job, "slurm")
    with pytest.raises(DataError, match="use_cpu is True and the launcher 'fsdp2'; choose 'cpu'"):
        training.launch(job, "fsdp2", processes=8)
    with pytest.raises(DataError, match="four_bit is False and the launcher 'qlora'"):
        training.launch(replace(job, settings=replace(SETTINGS, use_cpu=False)), "qlora", processes=8)
    with pytest.raises(DataError, match="four_bit needs bitsandbytes; install it"):
        training.load_model(str(tiny_base), replace(SETTINGS, four_bit=True, lora=Lora(4, 8, 0.0, ("q_proj",))))
    with pytest.raises(DataError, match="a batch of 8 rows cannot be cut into"):
        training.launch(job, "cpu", processes=3)
    assert not (tmp_path / "e").exists()


def test_too_few_processes_are_noticed(tiny_base, rows, tmp_path):
    """`accelerate launch` starts one process on a CPU whatever it is told; the worker counts."""
    job = job_for(tiny_base, rows, tmp_path / "e")
    folder = launching.launch_folder(job)
    words = launching.command(folder / launching.JOB, "cpu", 1)
    folder.mkdir()
    launching._start(job, folder, words, processes=2, threads=1)
    with pytest.raises(DataError, match="2 processes were asked for and 1 started"):
        training.Launched(job, folder).wait()


def test_a_job_survives_its_file(tmp_path):
    lora = Lora(4, 8, 0.1, ("q_proj", "v_proj"))
    job = ExpertJob("e", "owner/base", (("direct", "rows.jsonl", 0.5, True), ("pairwise", "pairs.jsonl", None, False)),
                    replace(SETTINGS, lora=lora, use_cpu=False), 42, str(tmp_path / "e"))  # fmt: skip
    launching._start(job, tmp_path, ["true"], processes=8, threads=1)
    assert launching.read_job(tmp_path / launching.JOB) == (job, 8)


# --- accelerate's configurations -------------------------------------------------------------------------------------


@pytest.mark.parametrize("launcher", [name for name in training.LAUNCHERS if name != "cpu"])
def test_accelerate_takes_each_configuration(launcher, monkeypatch):
    """By its own command line's parser, into the environment that its processes would see."""
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    node = training.launching.Node(1, "10.0.0.1") if launcher == "two-nodes" else None
    words = launching.command(Path("job.json"), launcher, {"single": 1, "two-nodes": 16}.get(launcher, 8), node)
    parsed, default, _ = _validate_launch_command(launch_command_parser().parse_args(words[3:]))
    config = load_config_from_file(words[4])
    assert parsed.mixed_precision == "bf16" and parsed.num_processes == int(words[6])
    assert str(config.distributed_type).split(".")[-1] in ("NO", "FSDP", "DEEPSPEED")
    assert parsed.module and parsed.training_script.endswith("worker") and parsed.training_script_args == ["job.json"]
    if parsed.use_fsdp:
        seen = prepare_multi_gpu_env(parsed)
        assert seen["FSDP_VERSION"] == "2" and seen["FSDP_ACTIVATION_CHECKPOINTING"] == "true"
        assert seen["ACCELERATE_MIXED_PRECISION"] == "bf16"
    if launcher == "zero3":
        assert parsed.use_deepspeed and parsed.zero_stage == 3
    if node:
        assert (parsed.machine_rank, parsed.main_process_ip, parsed.num_machines) == (1, "10.0.0.1", 2)
    assert yaml.safe_load(Path(words[4]).read_text())["compute_environment"] == "LOCAL_MACHINE"


def test_the_stock_trainer_of_gpus_learns_what_ours_does(tiny_base, tmp_path):
    """With `use_cpu` off TRL's own loss is taken; torch falls back to the CPU where there is no GPU."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    rows, _ = training.tokenise(tokenizer, list(map(data.direct_example, data.feedback_rows(1, 4))), 512)
    losses = {}
    for use_cpu in (True, False):
        settings = replace(SETTINGS, use_cpu=use_cpu)
        model, out = training.load_model(str(tiny_base), settings), tmp_path / str(use_cpu)
        log = training.fine_tune(model, tokenizer, rows, settings, 42, out, lambda done, tokens=0: None)
        losses[training.trainers.trainer_class(settings).__name__] = [each["loss"] for each in log]
    assert losses["SFTTrainer"] == pytest.approx(losses["AnswerTrainer"], abs=2e-3)
