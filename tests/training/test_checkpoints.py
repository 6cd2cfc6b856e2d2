"""A training that is killed at any step, also while it writes a checkpoint, ends with the same weights."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from prometheus_lib import data, training
from prometheus_lib.records import write_jsonl
from prometheus_lib.training import ExpertJob, Lora, TrainingSettings, checkpoints

SETTINGS = TrainingSettings(learning_rate=1e-3, batch_size=8, max_length=512, checkpoint_minutes=0.0)
STEPS = 5
CHILD = """
import os, signal, sys, threading, time
from pathlib import Path
from prometheus_lib import training
base, rows, out, lora, when, number = sys.argv[1:]
lora = training.Lora(4, 8, 0.1, ("q_proj", "v_proj")) if lora else None
settings = training.TrainingSettings(1e-3, batch_size=8, max_length=512, checkpoint_minutes=0.0, lora=lora)
job = training.ExpertJob("e", base, (("direct", rows, 40, True),), settings, 42, out)
kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
done = 0
def report(steps):
    global done
    done += steps
    if when == "step" and done == int(number):
        kill()
def watch():
    while not list(Path(out).parent.glob(f".e.work-*/checkpoint-{number}")):
        time.sleep(0.0005)
    kill()
if when == "write":
    threading.Thread(target=watch, daemon=True).start()
training.train_expert(job, report)
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("rows") / "feedback.jsonl", data.feedback_rows(1, 8))


def job_for(base: Path, rows: Path, out: Path, lora: Lora | None = None) -> ExpertJob:
    settings = replace(SETTINGS, lora=lora)
    return ExpertJob("e", str(base), (("direct", str(rows), 40, True),), settings, 42, str(out))


def kill(base: Path, rows: Path, out: Path, lora: str, when: str, number: int) -> None:
    """Train in a process of its own, which is killed when a step is done or a checkpoint is begun."""
    command = [sys.executable, "-c", CHILD, *map(str, (base, rows, out, lora, when, number))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("lora", [None, Lora(4, 8, 0.1, ("q_proj", "v_proj"))], ids=["full", "lora"])
def test_killed_at_a_step_and_while_writing_it_ends_with_the_same_weights(tiny_base, rows, tmp_path, lora):
    training.train_expert(job_for(tiny_base, rows, tmp_path / "whole" / "e", lora))
    out = tmp_path / "killed" / "e"
    kill(tiny_base, rows, out, "lora" if lora else "", "step", 2)
    kill(tiny_base, rows, out, "lora" if lora else "", "write", 4)
    assert not out.exists()
    (work,) = out.parent.glob(".e.work-*")
    begun = json.loads((Path(checkpoints.last_checkpoint(work)) / "trainer_state.json").read_text())["global_step"]
    assert begun >= 3
    steps: list[int] = []
    training.train_expert(job_for(tiny_base, rows, out, lora), steps.append)
    assert steps[0] == begun and sum(steps) == STEPS
    whole, killed = (load_file(tmp_path / name / "e" / "model.safetensors") for name in ("whole", "killed"))
    assert set(whole) == set(killed) and all(torch.equal(whole[name], killed[name]) for name in whole)
    assert training.read_log(out)["log"][0]["step"] == 1
    assert not list(out.parent.glob(".e.work-*"))


def test_a_checkpoint_that_is_not_whole_is_not_gone_on_from(tmp_path):
    for step in (9, 10, 11):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for step in (9, 10):
        (tmp_path / f"checkpoint-{step}" / checkpoints.WHOLE).touch()
    assert checkpoints.last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-9"]
    assert checkpoints.last_checkpoint(tmp_path / "none") is None


def flip(file: Path) -> None:
    text = bytearray(file.read_bytes())
    text[len(text) // 2] ^= 1
    file.write_bytes(text)


DAMAGES = {
    "cut": lambda place: (place / "optimizer.pt").write_bytes((place / "optimizer.pt").read_bytes()[:1000]),
    "flipped": lambda place: flip(place / "model.safetensors"),
    "lost": lambda place: (place / "trainer_state.json").unlink(),
    "marked wrongly": lambda place: (place / checkpoints.WHOLE).write_text("{"),
}


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_taken(tiny_base, rows, tmp_path, capsys):
    """Whatever happened to a file: the training ends with the weights of one that was never stopped."""
    training.train_expert(job_for(tiny_base, rows, tmp_path / "whole" / "e"))
    kill(tiny_base, rows, tmp_path / "killed" / "e", "", "step", 4)
    (work,) = (tmp_path / "killed").glob(".e.work-*")
    for name, damage in DAMAGES.items():
        copy = tmp_path / name / work.name
        shutil.copytree(work, copy)
        newest = Path(checkpoints.last_checkpoint(copy))
        damage(newest)
        before = checkpoints.last_checkpoint(copy)
        assert f"{newest} is damaged (" in capsys.readouterr().err and not newest.exists()
        assert int(before.rpartition("-")[2]) == int(newest.name.rpartition("-")[2]) - 1
    steps: list[int] = []
    training.train_expert(job_for(tiny_base, rows, tmp_path / "flipped" / "e"), steps.append)
    assert steps[0] >= 2 and sum(steps) == STEPS
    whole, after = (load_file(tmp_path / name / "e" / "model.safetensors") for name in ("whole", "flipped"))
    assert all(torch.equal(whole[name], after[name]) for name in whole)


def test_checkpoints_of_other_settings_are_named_with_what_differs(tiny_base, rows, tmp_path, capsys):
    job = job_for(tiny_base, rows, tmp_path / "e")
    kill(tiny_base, rows, tmp_path / "e", "", "step", 2)
    assert checkpoints.others(job.out, job.stamp()) == ""
    other = replace(job, seed=43, settings=replace(SETTINGS, learning_rate=2e-3))
    steps: list[int] = []
    training.train_expert(other, steps.append)
    told = capsys.readouterr().err
    assert "differs in settings learning_rate, settings seed)" in told and "begins anew" in told
    assert steps[0] == 0 and not list(tmp_path.glob(".e.work-*"))


def test_a_field_that_is_added_later_trains_no_expert_again(tiny_base, rows, tmp_path):
    """Settings of a later version, with one field more, are those of the experts that are there."""

    @dataclass(frozen=True)
    class Later(TrainingSettings):
        novelty: float = 0.0

    job = job_for(tiny_base, rows, tmp_path / "e")
    training.train_expert(job)
    later = replace(job, settings=Later(**vars(job.settings)))
    assert not training.train_expert(later)
    assert later.stamp() == job.stamp() != replace(later, settings=replace(later.settings, novelty=1.0)).stamp()


def test_a_full_disk_is_one_message_and_loses_no_checkpoint(tiny_base, rows, tmp_path):
    """A limit on the size of files stands for a disk that takes no more."""
    script = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n" + CHILD
    command = [sys.executable, "-c", script, *map(str, (tiny_base, rows, tmp_path / "e", "", "never", 0))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "make room there and give the same command" in done.stderr, done.stderr
    assert not (tmp_path / "e").exists() and not list(tmp_path.glob(".e.*.part"))


def test_the_last_two_checkpoints_are_kept_and_time_decides_about_them(tiny_base, rows, tmp_path):
    examples = [data.direct_example(row) for row in data.feedback_rows(1, 8)]
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenised, _ = training.tokenise(tokenizer, examples, 512)
    for name, minutes, kept in (("often", 0.0, ["checkpoint-3", "checkpoint-4"]), ("seldom", 30.0, [])):
        settings, work = replace(SETTINGS, checkpoint_minutes=minutes), tmp_path / name
        model = training.load_model(str(tiny_base), settings)
        training.fine_tune(model, tokenizer, tokenised, settings, 42, tmp_path / f"{name}-out", lambda n: None, work)
        found = sorted(work.glob("checkpoint-*"))
        assert [path.name for path in found] == kept and all((path / checkpoints.WHOLE).is_file() for path in found)


def test_other_settings_start_anew_and_a_later_field_trains_nothing_again(tiny_base, rows, tmp_path):
    job = job_for(tiny_base, rows, tmp_path / "e")
    other = replace(job, settings=replace(job.settings, learning_rate=2e-3))
    work = [checkpoints.work_folder(each.out, each.stamp()) for each in (job, other)]
    assert work[0] != work[1]
    same = replace(job, settings=replace(job.settings, rows_at_once=2, checkpoint_minutes=5.0))
    assert same.stamp() == job.stamp()
    assert set(job.stamp()["settings"]["settings"]) == set(training.settings.STAMPED)


# --- number formats --------------------------------------------------------------------------------------------------


def seen_dtypes(base: Path, settings: TrainingSettings, folder: Path) -> tuple[set, set, object]:
    """Train for a step and return the formats of what layers compute, of the trained weights, and the model."""
    from transformers import AutoTokenizer

    tokenizer, computed = AutoTokenizer.from_pretrained(base), set()
    examples = [data.direct_example(row) for row in data.feedback_rows(1, 1)]
    tokenised, _ = training.tokenise(tokenizer, examples, 512)
    model = training.load_model(str(base), settings)
    for name, module in model.named_modules():
        if name.endswith("mlp.down_proj"):
            module.register_forward_hook(lambda module, given, made: computed.add(made.dtype))
    training.fine_tune(model, tokenizer, tokenised, settings, 42, folder, lambda steps: None)
    return computed, {value.dtype for value in model.parameters() if value.requires_grad}, model


def test_bfloat16_is_computed_with_and_float32_is_kept(tiny_base, tmp_path):
    settings = replace(SETTINGS, bf16=True, gradient_checkpointing=True)
    computed, masters, model = seen_dtypes(tiny_base, settings, tmp_path / "bf16")
    assert computed == {torch.bfloat16} and masters == {torch.float32} and model.is_gradient_checkpointing
    assert {value.dtype for value in load_file(tmp_path / "bf16" / "model.safetensors").values()} == {torch.float32}
    computed, masters, model = seen_dtypes(tiny_base, SETTINGS, tmp_path / "plain")
    assert computed == masters == {torch.float32} and not model.is_gradient_checkpointing


def test_adapters_are_float32_over_a_bfloat16_base(tiny_base):
    settings = replace(SETTINGS, bf16=True, lora=Lora(4, 8, 0.0, ("q_proj",)))
    model = training.load_model(str(tiny_base), settings)
    assert {value.dtype for value in model.parameters() if value.requires_grad} == {torch.float32}
    assert {value.dtype for value in model.parameters() if not value.requires_grad} == {torch.bfloat16}


def test_a_batch_cut_into_rows_at_once_gives_the_same_step(tiny_base, rows, tmp_path):
    for name, at_once in (("whole", 0), ("cut", 2)):
        job = job_for(tiny_base, rows, tmp_path / name)
        training.train_expert(replace(job, settings=replace(SETTINGS, rows_at_once=at_once)))
    whole, cut = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert all(torch.allclose(whole[name], cut[name], atol=2e-5) for name in whole)
    logs = [training.read_log(tmp_path / name)["log"] for name in ("whole", "cut")]
    assert logs[1][0]["loss"] == pytest.approx(logs[0][0]["loss"], abs=1e-4)
