"""Measure a sweep over 11 alphas judged in place, against a checkpoint and a fresh engine for every alpha.

`python perf/sweeps.py [--quick] [--vllm]`. Two models: the miniature, and a random Mistral of about 500 MB. The usual
way is measured twice: as it is mostly done, with two commands for each alpha (mergekit-yaml, and a script that loads
the folder and judges), and with everything in one process, where only merging, writing and loading are left of it.
Every third alpha is measured for it and stands for three. All judge the same few prompts, with one thread. At last a
grid of 100 merges of the miniature is judged on one benchmark. `--quick` takes 4 alphas and 10 merges. `--vllm`
measures vLLM instead of transformers, on the miniature alone, where vLLM is installed (without mergekit our own merging
takes its place).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
if "--vllm" in sys.argv:
    os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_CPU_KVCACHE_SPACE="1", VLLM_LOGGING_LEVEL="ERROR")

from prometheus_lib import judging, merging  # noqa: E402
from prometheus_lib.data import minibench  # noqa: E402
from prometheus_lib.judging import Decoding, sweeps  # noqa: E402
from prometheus_lib.judging.store import JudgmentStore  # noqa: E402
from prometheus_lib.merging.catalogue import ALPHAS  # noqa: E402
from prometheus_lib.merging.spec import Merge  # noqa: E402
from prometheus_lib.training import EMBEDDED_BASE, base_model  # noqa: E402

TARGETS = {"faster_than_two_commands": 5.0, "weight_bytes_written": 0}
# What is judged for each alpha: pairs, new tokens.
WORKLOADS = {"miniature": (32, 64), "500 MB": (2, 4)}
METHODS = tuple(merging.METHODS)


# --- models ----------------------------------------------------------------------------------------------------------


def make_models(name: str, folder: Path) -> None:
    """Write a base and two experts, which are the base with weights shaken by a few percent."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, MistralForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED_BASE)
    torch.manual_seed(0)
    if name == "miniature":
        model = AutoModelForCausalLM.from_pretrained(EMBEDDED_BASE, dtype=torch.float32)
    else:
        model = MistralForCausalLM(base_model.build_config(tokenizer, hidden=1024, layers=9))
    save(model, tokenizer, folder / "base")
    start = {key: value.clone() for key, value in model.state_dict().items()}
    for expert in ("direct", "pairwise"):
        for key, value in model.state_dict().items():
            value.copy_(start[key] + 0.03 * start[key].std() * torch.randn_like(value))
        save(model, tokenizer, folder / "experts" / expert)


def save(model, tokenizer, folder: Path) -> None:
    """Save model and tokenizer into a folder."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def weight_bytes(folder: Path) -> int:
    """Return the bytes of all weight files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))


# --- the ways --------------------------------------------------------------------------------------------------------


def start(folder: str | Path) -> judging.Judge:
    """Start a judge on a model folder."""
    if "--vllm" in sys.argv:
        return judging.VLLMJudge("", folder, bf16=False, enforce_eager=True, max_num_seqs=64)
    return judging.TransformersJudge("", folder)


def linear(alpha: float) -> Merge:
    """Return the merge of one alpha."""
    return Merge(f"linear-{alpha}", "linear", alpha=alpha)


def in_place(name: str, folder: Path, alphas: list[float], out: Path) -> list[float]:
    """Judge all alphas with one engine; return seconds for each (the start of the engine is in the first)."""
    seconds, sweep = [], sweeps.Sweep(folder / "base", folder / "experts", start)
    for alpha in alphas:
        begin = time.perf_counter()
        collect(name, sweep.set(linear(alpha)), out / f"{alpha}.jsonl")
        seconds.append(time.perf_counter() - begin)
    sweep.close()
    return seconds


def by_checkpoint(name: str, folder: Path, alphas: list[float], out: Path) -> list[float]:
    """Merge every alpha to a folder, load it and judge, all in this process; return seconds for each."""
    seconds = []
    for alpha in alphas:
        begin = time.perf_counter()
        merging.merge_experts(linear(alpha), folder / "base", folder / "experts", out / f"{alpha}", engine=ENGINE)
        judge_folder(name, out / f"{alpha}", [alpha], out)
        seconds.append(time.perf_counter() - begin)
    return seconds


def judge_folder(name: str, folder: Path, alphas: list[float], out: Path) -> list[float]:
    """Judge one model folder, as a script of its own would."""
    judge = start(folder)
    judge.name = f"linear-{alphas[0]}"
    collect(name, judge, out / f"{alphas[0]}.jsonl")
    judge.close()
    return []


def collect(name: str, judge: judging.Judge, file: Path) -> None:
    """Judge the workload of a model into a file of its own."""
    pairs, tokens = WORKLOADS[name]
    tasks = judging.pairwise_tasks("mini_hhh_alignment", minibench.build("mini_hhh_alignment", 42)[:pairs])
    judging.collect(judge, tasks, JudgmentStore(file), Decoding(max_new_tokens=tokens))


WAYS = {"in place": in_place, "judge a folder": judge_folder}
ENGINE = "mergekit" if importlib.util.find_spec("mergekit") else "prometheus"


def in_a_process(way: str, name: str, folder: Path, alphas: list[float], out: Path) -> float:
    """Let a new process do it; return its seconds, imports included."""
    job = json.dumps([way, name, str(folder), alphas, str(out)])
    command = [sys.executable, __file__, "--job", job, *(["--vllm"] if "--vllm" in sys.argv else [])]
    return timed(command)


def by_two_commands(name: str, folder: Path, alpha: float, out: Path) -> float:
    """Let one process merge with mergekit and another judge the folder; return their seconds."""
    merge, out = linear(alpha), out / str(alpha)
    if ENGINE == "prometheus":
        begin = time.perf_counter()
        merging.merge_experts(merge, folder / "base", folder / "experts", out, engine=ENGINE)
        return time.perf_counter() - begin + in_a_process("judge a folder", name, out, [alpha], out.parent)
    paths = (folder / "base", folder / "experts" / merge.first, folder / "experts" / merge.second)
    recipe = folder / "recipe.yml"
    recipe.write_text(json.dumps(merging.mergekit_config(merge, *map(str, paths))))  # JSON is YAML
    merged = timed([sys.executable, "-m", "mergekit.scripts.run_yaml", str(recipe), str(out), "--copy-tokenizer"])
    return merged + in_a_process("judge a folder", name, out, [alpha], out.parent)


def timed(command: list[str]) -> float:
    """Run a command in silence and return its seconds; its messages are shown only when it fails."""
    begin = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout[-2000:]}")
    return time.perf_counter() - begin


# --- measuring -------------------------------------------------------------------------------------------------------


def measure(name: str, folder: Path, alphas: list[float]) -> dict[str, float]:
    """Measure all ways in turn and print a row for each; return the figures of one model."""
    make_models(name, folder)
    size, outs = weight_bytes(folder / "base"), [folder / f"out{n}" for n in range(6)]
    ours, usual, some = [], [], alphas[::3]
    for number, alpha in enumerate(some):
        if number in (0, len(some) // 2, len(some) - 1):
            ours.append(in_a_process("in place", name, folder, alphas, outs[len(ours)]))
        usual.append(by_two_commands(name, folder, alpha, outs[3]))
        shutil.rmtree(outs[3])
    in_process = [in_place(name, folder, alphas, outs[4])[1:], by_checkpoint(name, folder, some, outs[5])[1:]]
    per_alpha = [statistics.median(seconds) for seconds in in_process]
    one_sweep, total = statistics.median(ours), len(alphas) * statistics.median(usual)
    found = {
        "size_mb": round(size / 1e6),
        "in_place_seconds": round(one_sweep, 1),
        "two_commands_seconds": round(total, 1),
        "faster_than_two_commands": round(total / one_sweep, 1),
        "in_place_seconds_per_alpha": round(per_alpha[0], 2),
        "one_process_seconds_per_alpha": round(per_alpha[1], 2),
        "faster_than_one_process": round(per_alpha[1] / per_alpha[0], 2),
        "weight_bytes_written": sum(map(weight_bytes, (*outs[:3], outs[4]))),
        "weight_bytes_by_checkpoints": size * len(alphas),
    }
    print(f"\n{name}, {found['size_mb']} MB, {len(alphas)} alphas, {WORKLOADS[name][0]} judgments each")
    for key, value in found.items():
        print(f"  {key:<32}{value:>14,}")
    return found


def measure_grid(folder: Path, count: int) -> dict[str, float]:
    """Judge a grid of merges on one benchmark; return seconds per merge."""
    grid = merging.grid(METHODS, ALPHAS, merging.VARIANTS, (42, 43), density=0.9)
    chosen = grid[:: len(grid) // count][:count]
    sweep = sweeps.Sweep(folder / "base", folder / "experts", start)
    setting, begin = 0.0, time.perf_counter()
    for merge in chosen:
        before = time.perf_counter()
        judge = sweep.set(merge)
        setting += time.perf_counter() - before
        collect("miniature", judge, folder / "grid" / f"{merge.name}.jsonl")
    seconds = (time.perf_counter() - begin) / count
    sweep.close()
    methods = len({merge.method for merge in chosen})
    print(
        f"\n{count} merges of {methods} methods on one benchmark: {seconds:.2f} s each, {setting / count:.2f} s to set"
    )
    return {
        "grid_merges": count,
        "grid_seconds_per_merge": round(seconds, 2),
        "grid_seconds_to_set": round(setting / count, 3),
    }


def main() -> None:
    """Measure the models and the grid; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="4 alphas, 10 merges")
    parser.add_argument("--vllm", action="store_true", help="vLLM on the miniature instead of transformers")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        way, name, folder, alphas, out = json.loads(options.job)
        WAYS[way](name, Path(folder), alphas, Path(out))
        return
    alphas = list(ALPHAS[:4] if options.quick else ALPHAS)
    names = list(WORKLOADS)[: 1 if options.vllm else None]
    with tempfile.TemporaryDirectory() as work:
        figures = {name: measure(name, Path(work) / name.replace(" ", ""), alphas) for name in names}
        figures["grid"] = measure_grid(Path(work) / "miniature", 10 if options.quick else 100)
    models = [figures[name] for name in names]
    ok = all(found["faster_than_two_commands"] >= TARGETS["faster_than_two_commands"] for found in models)
    ok = ok and not any(found["weight_bytes_written"] for found in models)
    name = "sweeps in vllm" if options.vllm else "sweeps"
    print(json.dumps({"name": name, "figures": figures, "targets": TARGETS, "ok": ok}))


if __name__ == "__main__":
    main()
