"""Measure training: a step of a real model against a bare PyTorch loop, number formats, and two processes against one.

`python perf/training.py [--quick]`. The real model is SmolLM2-135M-Instruct from its package, on rows of the miniature
world with one thread; ours (TRL's trainer, answer-only loss) and a bare loop take the same rows in the same batches,
in turn. bfloat16 is measured where the processor computes in it. Two processes (torchrun) and one train the embedded
base model on the same rows; each has one thread. `--quick` takes fewer steps and rounds, and the embedded base model
in place of the real one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

from prometheus_lib import data, training  # noqa: E402
from prometheus_lib.parallel import available_workers, processor_has_bfloat16, use_one_thread  # noqa: E402
from prometheus_lib.records import write_jsonl  # noqa: E402
from prometheus_lib.training import EMBEDDED_BASE, IGNORED, ExpertJob, TrainingSettings  # noqa: E402

REAL = "HuggingFaceTB/SmolLM2-135M-Instruct"
TARGETS = {"step_against_bare_loop": 1.15, "two_processes_against_one": 1.6, "bfloat16_against_float32": 2.0}
BATCH = 2


def ours(base: str, rows: list, settings: TrainingSettings) -> float:
    """Return the median seconds of a step of our trainer, the first step left out."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        model, tokenizer = training.load_model(base, settings), AutoTokenizer.from_pretrained(base)
        report = lambda done, tokens=0: times.append(time.perf_counter())  # noqa: E731
        training.fine_tune(model, tokenizer, rows, settings, 42, Path(folder), report)
    return statistics.median(after - before for before, after in zip(times[1:], times[2:]))


def bare(base: str, rows: list, settings: TrainingSettings) -> float:
    """Return the median seconds of a step of a loop in plain PyTorch, the first step left out."""
    model, times = training.load_model(base, settings), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.0)
    model.train()
    for start in range(0, len(rows), settings.batch_size):
        began = time.perf_counter()
        step(model, optimizer, rows[start : start + settings.batch_size], settings.bf16)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def step(model, optimizer, rows: list, bf16: bool) -> None:
    """Take one step on a batch, padded on the right; logits are computed for the answers only."""
    width = max(len(row["labels"]) for row in rows)
    ids = torch.tensor([row["input_ids"] + [0] * (width - len(row["input_ids"])) for row in rows])
    labels = torch.tensor([row["labels"] + [IGNORED] * (width - len(row["labels"])) for row in rows])
    mask = torch.tensor([[1] * len(row["labels"]) + [0] * (width - len(row["labels"])) for row in rows])
    first = int((labels != IGNORED).int().argmax(dim=1).min())
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=width - first + 1).logits
    loss = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), labels[:, first:].flatten(), ignore_index=IGNORED
    )
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()


def in_turn(ways: dict, rounds: int) -> dict[str, float]:
    """Return the median seconds of each way, all of them measured in each round."""
    taken = [{name: way() for name, way in ways.items()} for _ in range(rounds)]
    return {name: statistics.median(each[name] for each in taken) for name in ways}


def processes(rounds: int, examples: int) -> dict[str, float]:
    """Return the tokens per second of one process and of two."""
    with tempfile.TemporaryDirectory() as folder:
        rows = write_jsonl(Path(folder) / "feedback.jsonl", data.feedback_rows(1, -(-examples // 5)))
        settings = TrainingSettings(5e-4, batch_size=32, max_length=512)

        def speed(count: int) -> float:
            sources = (("direct", str(rows), examples, True),)
            job = ExpertJob("e", str(EMBEDDED_BASE), sources, settings, 42, f"{folder}/{time.time_ns()}/e")
            seen: list[float] = []
            started = training.launch(job, "cpu", processes=count)
            started.wait(seen=lambda progress: seen.append(progress["tokens_per_second"] or 0.0))
            return seen[-1]

        return in_turn({"one process": lambda: speed(1), "two processes": lambda: speed(2)}, rounds)


def main() -> None:
    """Run everything, print a table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few steps, one round, the embedded base model")
    quick = parser.parse_args().quick
    use_one_thread()
    steps, rounds = (4, 1) if quick else (6, 3)
    base = str(EMBEDDED_BASE) if quick else training.local_base(REAL)
    examples = list(map(data.direct_example, data.feedback_rows(1, 5)))[: steps * BATCH]
    rows, _ = training.tokenise(AutoTokenizer.from_pretrained(base), examples, 2048)
    settings = TrainingSettings(1e-5, batch_size=BATCH, max_length=2048, warmup=0.0)
    ways = {"trainer": lambda: ours(base, rows, settings), "bare loop": lambda: bare(base, rows, settings)}
    if processor_has_bfloat16():
        ways["trainer, bfloat16"] = lambda: ours(base, rows, replace(settings, bf16=True))
    seconds = in_turn(ways, rounds)
    figures = {"step_against_bare_loop": seconds["trainer"] / seconds["bare loop"]}
    for name, value in seconds.items():
        print(f"{name:<24}{value:>10.3f} s per step of {BATCH} rows")
    if "trainer, bfloat16" in seconds:
        figures["bfloat16_against_float32"] = seconds["trainer"] / seconds["trainer, bfloat16"]
    else:
        print("bfloat16                not measured: this processor computes it by way of float32")
    if available_workers() > 1:
        speeds = processes(rounds, 320 if quick else 960)
        figures["two_processes_against_one"] = speeds["two processes"] / speeds["one process"]
        for name, value in speeds.items():
            print(f"{name:<24}{value:>10,.0f} tokens/s")
    checks = [
        figures[name] <= target if name == "step_against_bare_loop" else figures[name] >= target
        for name, target in TARGETS.items()
        if name in figures
    ]
    print(json.dumps({"name": "training", "figures": figures, "targets": TARGETS, "ok": all(checks)}))


if __name__ == "__main__":
    main()
