"""Measure judging: shared prompts, what our pipeline costs, going on after a kill, repairing answers, batch sizes.

`python perf/judging.py`. Prompts are Vicuna Bench's (PROMETHEUS_DATA_DIR; about 1,300 tokens each with the 2,000-token
vocabulary trained here) for a random Mistral of a few million parameters, and miniature items for the embedded base
model. vLLM is measured in its own environment (`make env-vllm`); where that is missing its lines are left out. One
thread, medians of rounds in turn. Questions:

- draws: three draws per item in one request, against three passes over all prompts;
- overhead: our pipeline with its judgment store, against the bare engine's generate on the same tokens;
- kill: judgments computed / needed when a run is killed half-way and started again, and after a metric has changed;
- policies: tokens per valid judgment when about half of the answers hold no decision;
- batches: tokens per second by batch size: transformers in the order given and sorted by length, and the judge.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from prometheus_lib import artifacts, judging
from prometheus_lib.artifacts import project_folder
from prometheus_lib.data import benchmarks, minibench
from prometheus_lib.judging import Decoding, Policy, Task
from prometheus_lib.judging.store import JudgmentStore, load_judgments
from prometheus_lib.training import EMBEDDED_BASE, base_model

TARGETS = {
    "prompt_tokens_to_three_passes": 0.4,
    "vllm_prompt_tokens_to_three_passes": 0.4,
    "times_faster_than_three_passes": 1.5,
    "pipeline_to_bare_engine": 1.05,
    "vllm_pipeline_to_bare_engine": 1.05,
    "computed_to_needed_after_kill": 1.02,
    "generated_after_metric_change": 0,
}
AT_LEAST = ("times_faster_than_three_passes",)
ROUNDS, PROMPTS = 3, 8
DECODING, ONE_TOKEN = Decoding(max_new_tokens=64), Decoding(max_new_tokens=1)
VLLM_PYTHON = project_folder() / ".venv-vllm" / "bin" / "python"
VLLM_ENVIRONMENT = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_LOGGING_LEVEL": "ERROR"}
NOISE = 0.88  # standard deviations: with so much noise about half of the miniature judge's answers hold no decision


# --- models and prompts ----------------------------------------------------------------------------------------------


def vicuna_tasks() -> list[Task]:
    """All prompts of Vicuna Bench, with three draws each."""
    items = benchmarks.load_benchmark("vicuna_bench", os.environ.get("PROMETHEUS_DATA_DIR"))
    return judging.direct_tasks("vicuna_bench", items, True, 3)


def spread(tasks: Sequence[Task], count: int) -> list[Task]:
    return list(tasks[:: len(tasks) // count][:count])


def save_random_mistral(folder: Path, tasks: Sequence[Task]) -> Path:
    """Save a random Mistral of a few million parameters with a vocabulary of 2,000 tokens trained on these prompts."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import MistralForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = list(base_model.SPECIAL_TOKENS)
    trainer = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([task.prompt for task in tasks], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="</s>")
    fast.chat_template = base_model.CHAT_TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = base_model.build_config(fast, hidden=256, layers=6)
    config.max_position_embeddings = 4096
    model = MistralForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(20)  # few likely tokens at a time, as in a trained model
    model.save_pretrained(folder)
    return folder


def save_damaged_judge(folder: Path) -> Path:
    """Save the embedded base model with noise in all of its matrices."""
    import torch
    from transformers import MistralForCausalLM

    shutil.copytree(EMBEDDED_BASE, folder)
    model = MistralForCausalLM.from_pretrained(folder)
    torch.manual_seed(0)
    with torch.no_grad():
        for matrix in (p for p in model.parameters() if p.ndim == 2):
            matrix.add_(NOISE * matrix.std() * torch.randn_like(matrix))
    model.save_pretrained(folder)
    return folder


# --- measuring -------------------------------------------------------------------------------------------------------


def prompt_rows(judge: Any, tasks: Sequence[Task]) -> list[list[int]]:
    from prometheus_lib.judging.engines.writing import prompt_ids

    return prompt_ids(judge.tokenizer, tasks)


def in_turn(ways: dict[Any, Callable[[], Any]], rounds: int = ROUNDS) -> dict[Any, float]:
    """Return the median seconds of each way; the ways take turns."""
    seconds: dict[Any, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in seconds.items()}


def once(tasks: Sequence[Task]) -> list[Task]:
    return [replace(task, draws=1) for task in tasks]


def three_passes(tasks: Sequence[Task]) -> list[Task]:
    return [replace(task, item_id=f"{task.item_id} pass {n}", draws=1) for n in range(3) for task in tasks]


def generate_all(judge: Any, tasks: Sequence[Task], decoding: Decoding = DECODING) -> None:
    """Let a judge generate in its batches."""
    for batch in judging.batches(tasks, judge.batch_size):
        judge.generate(batch, decoding, 0)


def generate_plainly(judge: Any, tasks: Sequence[Task], decoding: Decoding = DECODING) -> None:
    """Generate with transformers alone, in the judge's batches: one draw each."""
    for batch in judging.batches(tasks, judge.batch_size):
        plain_batch(judge, batch, decoding)


def plain_batch(judge: Any, batch: Sequence[Task], decoding: Decoding) -> int:
    """Generate one draw per task with transformers alone and return the number of tokens."""
    judge.tokenizer.padding_side = "left"
    padded = judge.tokenizer.pad({"input_ids": prompt_rows(judge, batch)}, return_tensors="pt")
    output = judge.model.generate(
        **padded, do_sample=True, temperature=decoding.temperature, top_p=decoding.top_p, top_k=0,
        repetition_penalty=decoding.repetition_penalty, max_new_tokens=decoding.max_new_tokens,
        pad_token_id=judge.tokenizer.pad_token_id,
    )  # fmt: skip
    new = output[:, padded["input_ids"].shape[1] :]
    ended = (new == judge.tokenizer.eos_token_id).any(-1)  # what follows is padding
    return int((new != judge.tokenizer.pad_token_id).sum() + ended.sum())


def positions(judge: Any, way: Callable[[], Any]) -> int:
    """Return the positions that a transformers model computes, padding included."""
    computed = 0

    def count(module: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        nonlocal computed
        computed += kwargs["input_ids"].numel()

    hook = judge.model.model.register_forward_pre_hook(count, with_kwargs=True)
    way()
    hook.remove()
    return computed


# --- the parts -------------------------------------------------------------------------------------------------------


def measure_draws(judge: Any, tasks: Sequence[Task]) -> dict[str, Any]:
    """Three draws of a shared prompt against three passes of transformers, with equally many sequences per batch."""
    passes, judge.batch_size = three_passes(tasks), 24
    seconds = in_turn({"ours": lambda: generate_all(judge, tasks), "passes": lambda: generate_plainly(judge, passes)})
    few = tasks[:4]
    computed = positions(judge, lambda: generate_all(judge, few, ONE_TOKEN))
    needed = positions(judge, lambda: generate_plainly(judge, three_passes(few), ONE_TOKEN))
    return {
        "draws_seconds": round(seconds["ours"], 2),
        "three_passes_seconds": round(seconds["passes"], 2),
        "times_faster_than_three_passes": round(seconds["passes"] / seconds["ours"], 2),
        "prompt_tokens_to_three_passes": round(computed / needed, 3),
    }


def measure_overhead(judge: Any, tasks: Sequence[Task], folder: Path) -> dict[str, Any]:
    """`collect` with a new store against transformers' generate on the same padded batches, one draw each."""
    tasks, judge.batch_size = once(tasks), 16
    ways = {"ours": lambda: collect_afresh(judge, tasks, folder), "bare": lambda: generate_plainly(judge, tasks)}
    seconds = in_turn(ways)
    return {"pipeline_to_bare_engine": round(seconds["ours"] / seconds["bare"], 3)}


def collect_afresh(judge: Any, tasks: Sequence[Task], folder: Path) -> None:
    path = folder / "afresh.jsonl"
    path.unlink(missing_ok=True)
    judging.collect(judge, tasks, JudgmentStore(path), DECODING)


KILL_TASKS, KILL_DECODING, KILL_BATCH = 1600, Decoding(max_new_tokens=2), 64


def collect_and_count(folder: Path, share: float = 1.0) -> int:
    """Judge many short tasks, note every batch of judgments that is begun, and return how many were generated."""
    judge = judging.TransformersJudge("base", EMBEDDED_BASE, KILL_BATCH)
    generate, log = judge.generate, folder / "begun"

    def counted(tasks: Sequence[Task], decoding: Decoding, seed: int) -> Any:
        with open(log, "a") as file:
            file.write(f"{sum(task.draws for task in tasks)}\n")
        return generate(tasks, decoding, seed)

    judge.generate = counted
    items = [i for seed in range(20) for i in minibench.build("mini_flask", seed, 1.0)]
    named = [replace(item, id=f"{n}/{item.id}") for n, item in enumerate(items)][:KILL_TASKS]
    tasks = judging.direct_tasks("mini_flask", named[: int(share * len(named))], True, 3)
    return judging.collect(judge, tasks, JudgmentStore(folder / "judgments" / "base.jsonl"), KILL_DECODING)


def measure_kill(folder: Path) -> dict[str, Any]:
    """Kill a collecting process (SIGKILL) when half is stored, then start it again; then ask for half of the items."""
    folder.mkdir()
    stored, needed = folder / "judgments" / "base.jsonl", 3 * KILL_TASKS
    child = subprocess.Popen([sys.executable, __file__, "--collect", str(folder)])
    while not stored.exists() or stored.read_bytes().count(b"\n") < needed / 2:
        time.sleep(0.02)
        assert child.poll() is None, "the run ended before it could be killed"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    kept = stored.read_bytes().count(b"\n")
    collect_and_count(folder)
    computed = sum(map(int, (folder / "begun").read_text().split()))
    table = load_judgments(folder / "judgments")
    assert len(table) == needed and table["key"].is_unique and kept < needed
    return {
        "kept_after_kill": kept,
        "needed": needed,
        "computed_to_needed_after_kill": round(computed / needed, 4),
        "generated_after_metric_change": collect_and_count(folder, share=0.5),
    }


def measure_policies(folder: Path, count: int = 96) -> dict[str, Any]:
    """Tokens per valid judgment of each policy, and how far the scores move from those of valid first answers."""
    judge = judging.TransformersJudge("damaged", save_damaged_judge(folder / "damaged"))
    tasks = judging.direct_tasks("mini_flask", minibench.build("mini_flask", 1, 1.0)[:count], True, 3)
    policies = {"once": Policy(), "redraw": Policy("redraw", 5), "finish": Policy("finish")}
    figures: dict[str, Any] = {}
    for name, policy in policies.items():
        judging.collect(judge, tasks, JudgmentStore(folder / "policies" / "damaged.jsonl"), DECODING, policy=policy)
        table = load_judgments(folder / "policies", policy=policy.label)
        valid = table[table["status"] == "ok"]
        scores = valid["decision"].astype(int)
        shares = scores.value_counts(normalize=True)
        first = figures.setdefault("first_shares", shares)
        figures[f"{name}_valid"] = round(len(valid) / len(table), 3)
        figures[f"{name}_tokens_per_valid"] = round(float(table["tokens"].sum()) / len(valid), 1)
        figures[f"{name}_mean_score"] = round(float(scores.mean()), 3)
        figures[f"{name}_shift"] = round(float((shares.sub(first, fill_value=0)).abs().sum() / 2), 3)
    del figures["first_shares"]
    return figures


def measure_batches(name: str, judge: Any, tasks: Sequence[Task], sizes: Sequence[int], new: int) -> dict[str, Any]:
    """Tokens per second for each number of sequences per batch.

    Three passes of transformers alone, in the order given and sorted by length, and the judge's three draws.
    """
    decoding = replace(DECODING, max_new_tokens=new)
    given = three_passes(tasks)
    tokens: dict[tuple[str, int], int] = {}

    def cut(each: Sequence[Task], count: int) -> list[Sequence[Task]]:
        return [each[start : start + count] for start in range(0, len(each), count)]

    def plain(label: str, size: int, ordered: Sequence[Task]) -> None:
        tokens[label, size] = sum(plain_batch(judge, part, decoding) for part in cut(ordered, size))

    def ours(label: str, size: int) -> None:
        judge.batch_size = size
        found = [judge.generate(part, decoding, 0) for part in judging.batches(tasks, size)]
        tokens[label, size] = sum(each.tokens for part in found for draws in part for each in draws)

    ways: dict[tuple[str, int], Callable[[], None]] = {}
    for size in sizes:
        ways["plain_as_given", size] = partial(plain, "plain_as_given", size, given)
        ways["plain_sorted", size] = partial(plain, "plain_sorted", size, sorted(given, key=lambda t: len(t.prompt)))
        ways["judge", size] = partial(ours, "judge", size)
    seconds = in_turn(ways, rounds=2)
    return {
        f"{name}_tokens_per_second_{label}_{size}": round(tokens[label, size] / seconds[label, size])
        for label, size in ways
    }


# --- vLLM ------------------------------------------------------------------------------------------------------------


def measure_vllm(model: Path, folder: Path) -> dict[str, Any]:
    """Draws against passes with and without the prefix cache, and our pipeline against the bare engine."""
    tasks = spread(vicuna_tasks(), PROMPTS)
    figures: dict[str, Any] = {}
    for name, cache in (("vllm", True), ("vllm_uncached", False)):
        judge = judging.VLLMJudge(
            name, model, bf16=False, enforce_eager=True, max_num_seqs=64, enable_prefix_caching=cache,
            disable_log_stats=False,
        )  # fmt: skip
        figures |= vllm_draws(name, judge, tasks)
        if cache:
            figures |= vllm_overhead(judge, tasks, folder)
        judge.close()
    return figures


def vllm_draws(name: str, judge: Any, tasks: Sequence[Task]) -> dict[str, Any]:
    def ours() -> None:
        judge.llm.reset_prefix_cache()
        judge.generate(tasks, DECODING, 0)

    def passes() -> None:
        judge.llm.reset_prefix_cache()
        for number in range(3):
            judge.generate(once(tasks), DECODING, number)

    computed = {way.__name__: vllm_prompt_tokens(judge, way) for way in (ours, passes)}
    seconds = in_turn({"ours": ours, "passes": passes})
    full = 3 * sum(len(ids) for ids in prompt_rows(judge, tasks))
    return {
        f"{name}_draws_seconds": round(seconds["ours"], 2),
        f"{name}_times_faster_than_three_passes": round(seconds["passes"] / seconds["ours"], 2),
        f"{name}_prompt_tokens_to_three_passes": round(computed["ours"] / full, 3),
        f"{name}_three_cached_passes_to_three_passes": round(computed["passes"] / full, 3),
    }


def vllm_prompt_tokens(judge: Any, way: Callable[[], None]) -> int:
    """Return the prompt tokens that the engine computes: those asked for less those found in the prefix cache."""

    def counts() -> tuple[int, int]:
        values = {metric.name: getattr(metric, "value", 0) for metric in judge.llm.get_metrics()}
        return values["vllm:prompt_tokens"], values["vllm:prompt_tokens_cached"]

    asked, cached = counts()
    way()
    asked_after, cached_after = counts()
    return (asked_after - asked) - (cached_after - cached)


def vllm_overhead(judge: Any, tasks: Sequence[Task], folder: Path) -> dict[str, Any]:
    from vllm import SamplingParams

    from prometheus_lib.judging.engines.writing import task_seeds

    settings = {name: getattr(DECODING, name) for name in ("temperature", "top_p", "repetition_penalty")}
    params = [SamplingParams(n=3, seed=seed, max_tokens=64, **settings) for seed in task_seeds(tasks, 0)]
    rows = [{"prompt_token_ids": ids} for ids in prompt_rows(judge, tasks)]

    def bare() -> None:
        judge.llm.reset_prefix_cache()
        judge.llm.generate(rows, params, use_tqdm=False)

    def ours() -> None:
        judge.llm.reset_prefix_cache()
        collect_afresh(judge, tasks, folder)

    seconds = in_turn({"ours": ours, "bare": bare})
    return {"vllm_pipeline_to_bare_engine": round(seconds["ours"] / seconds["bare"], 3)}


def run_vllm(model: Path, folder: Path) -> dict[str, Any]:
    """Measure vLLM in its own environment; nothing where that is not installed."""
    if not VLLM_PYTHON.is_file():
        print("vLLM is not measured: .venv-vllm is not there (make env-vllm)")
        return {}
    command = [str(VLLM_PYTHON), __file__, "--vllm", str(model), str(folder)]
    environment = {**os.environ, **VLLM_ENVIRONMENT}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.strip().splitlines()[-1])


# --- everything ------------------------------------------------------------------------------------------------------


def measure(folder: Path) -> dict[str, Any]:
    """Run all parts, print their figures as they come, and return them."""
    everything = vicuna_tasks()
    model, vicuna = save_random_mistral(folder / "random", everything), spread(everything, PROMPTS)
    random, base = judging.TransformersJudge("random", model), judging.TransformersJudge("base", EMBEDDED_BASE)
    mini = judging.direct_tasks("mini_flask", minibench.build("mini_flask", 1, 1.0)[:64], True, 3)
    mini.sort(key=lambda task: artifacts.text_hash(task.item_id))
    generate_all(random, vicuna[:2])  # warm up
    figures: dict[str, Any] = {}
    for part in (
        lambda: setting(random, vicuna),
        lambda: measure_draws(random, vicuna),
        lambda: measure_overhead(random, vicuna, folder),
        lambda: measure_kill(folder / "kill"),
        lambda: measure_policies(folder),
        lambda: measure_batches("mini", base, mini, (24, 96, 192), 64),
        lambda: measure_batches("vicuna", random, vicuna, (3, 6, 24), 16),
        lambda: run_vllm(model, folder),
    ):
        found = part()
        figures |= found
        print("".join(f"{name:<48}{value:>12,}\n" for name, value in found.items()), end="", flush=True)
    return figures


def setting(judge: Any, tasks: Sequence[Task]) -> dict[str, Any]:
    lengths = [len(ids) for ids in prompt_rows(judge, tasks)]
    cores = len(os.sched_getaffinity(0))
    return {"cores": cores, "parameters": judge.model.num_parameters(), "prompt_tokens_median": median(lengths)}


def reached(figures: dict[str, Any]) -> bool:
    """Tell whether every target is reached whose figure was measured."""
    known = {name: limit for name, limit in TARGETS.items() if name in figures}
    return all(figures[n] >= limit if n in AT_LEAST else figures[n] <= limit for n, limit in known.items())


def main() -> None:
    """Measure, print a table, and print one JSON object as the last line."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--collect", help=argparse.SUPPRESS)  # the process that is killed
    parser.add_argument("--vllm", nargs=2, help=argparse.SUPPRESS)  # the process in vLLM's environment
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    if options.collect:
        collect_and_count(Path(options.collect))
        return
    if options.vllm:
        print(json.dumps(measure_vllm(*map(Path, options.vllm))))
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder))
    print(json.dumps({"name": "judging", "figures": figures, "targets": TARGETS, "ok": reached(figures)}))


if __name__ == "__main__":
    main()
