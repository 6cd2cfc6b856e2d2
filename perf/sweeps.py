"""Measure a sweep over 11 alphas judged in place, against a checkpoint and a fresh engine for every alpha.

`python perf/sweeps.py [--quick]`. Two models: the miniature, and a random Mistral of about 500 MB. The usual way is
measured twice: as it is mostly done, with a new process for each alpha (imports, mergekit, loading, judging), and with
everything in one process, where only merging, writing and loading are left of it. Both judge the same few prompts, with
one thread. At last a grid of 100 merges of the miniature is judged on one benchmark. `--quick` takes 3 alphas and 10
merges.
"""

from __future__ import annotations

import argparse
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

from prometheus_lib import base_model, judges, merging, minibench, sweeps  # noqa: E402
from prometheus_lib.judges import Decoding, TransformersJudge  # noqa: E402
from prometheus_lib.merging import Merge  # noqa: E402
from prometheus_lib.scale import ALPHAS, EMBEDDED_BASE  # noqa: E402
from prometheus_lib.store import JudgmentStore  # noqa: E402

TARGETS = {"faster_than_new_processes": 5.0, "weight_bytes_written": 0}
# What is judged for each alpha: pairs, new tokens.
WORKLOADS = {"miniature": (32, 64), "500 MB": (4, 4)}
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


def in_place(name: str, folder: Path, alphas: list[float], out: Path) -> list[float]:
    """Judge all alphas with one engine; return seconds for each (the start of the engine is in the first)."""
    seconds, sweep = [], sweeps.Sweep(folder / "base", folder / "experts")
    for alpha in alphas:
        start = time.perf_counter()
        collect(name, sweep.set(Merge(f"linear-{alpha}", "linear", alpha=alpha)), out)
        seconds.append(time.perf_counter() - start)
    return seconds


def by_checkpoint(name: str, folder: Path, alphas: list[float], out: Path) -> list[float]:
    """Merge every alpha to a folder with mergekit, load it, judge; return seconds for each."""
    seconds = []
    for alpha in alphas:
        start, merge = time.perf_counter(), Merge(f"linear-{alpha}", "linear", alpha=alpha)
        run_mergekit(merge, folder, out / merge.name)
        collect(name, TransformersJudge(merge.name, out / merge.name), out)
        seconds.append(time.perf_counter() - start)
    return seconds


def run_mergekit(merge: Merge, folder: Path, out: Path) -> None:
    """Merge with mergekit alone, as it is mostly done: no fingerprints, no model card."""
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    paths = (folder / "base", folder / "experts" / merge.first, folder / "experts" / merge.second)
    config = MergeConfiguration.model_validate(merging.mergekit_config(merge, *map(str, paths)))
    run_merge(config, str(out), MergeOptions(copy_tokenizer=True, quiet=True, write_model_card=False))


def collect(name: str, judge: judges.Judge, out: Path) -> None:
    """Judge the workload of a model into a store of its own."""
    pairs, tokens = WORKLOADS[name]
    tasks = judges.pairwise_tasks("mini_hhh_alignment", minibench.build("mini_hhh_alignment", 42)[:pairs])
    judges.collect(judge, tasks, JudgmentStore(out / f"{judge.name}.jsonl"), Decoding(max_new_tokens=tokens))


WAYS = {"in place": in_place, "checkpoint": by_checkpoint}


def in_a_process(way: str, name: str, folder: Path, alphas: list[float], out: Path) -> float:
    """Let a new process do it; return its seconds, imports included."""
    job = json.dumps([way, name, str(folder), alphas, str(out)])
    start = time.perf_counter()
    subprocess.run([sys.executable, __file__, "--job", job], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


# --- measuring -------------------------------------------------------------------------------------------------------


def measure(name: str, folder: Path, alphas: list[float]) -> dict[str, float]:
    """Measure all ways in turn and print a row for each; return the figures of one model."""
    make_models(name, folder)
    size, outs = weight_bytes(folder / "base"), [folder / f"out{n}" for n in range(5)]
    ours = [in_a_process("in place", name, folder, alphas, outs[0])]
    usual = []
    for alpha in alphas:
        usual.append(in_a_process("checkpoint", name, folder, [alpha], outs[1]))
        written = weight_bytes(outs[1])
        shutil.rmtree(outs[1])
    ours.append(in_a_process("in place", name, folder, alphas, outs[2]))
    in_process = [in_place(name, folder, alphas, outs[3])[1:], by_checkpoint(name, folder, alphas, outs[4])[1:]]
    per_alpha = [statistics.median(seconds) for seconds in in_process]
    total = len(alphas) * statistics.median(usual)
    found = {
        "size_mb": round(size / 1e6),
        "in_place_seconds": round(statistics.mean(ours), 1),
        "new_processes_seconds": round(total, 1),
        "faster_than_new_processes": round(total / statistics.mean(ours), 1),
        "in_place_seconds_per_alpha": round(per_alpha[0], 2),
        "one_process_seconds_per_alpha": round(per_alpha[1], 2),
        "faster_than_one_process": round(per_alpha[1] / per_alpha[0], 2),
        "weight_bytes_written": sum(map(weight_bytes, (outs[0], outs[2], outs[3]))),
        "weight_bytes_by_checkpoints": written * len(alphas),
    }
    print(f"\n{name}, {found['size_mb']} MB, {len(alphas)} alphas, {WORKLOADS[name][0]} judgments each")
    for key, value in found.items():
        print(f"  {key:<32}{value:>14,}")
    return found


def measure_grid(folder: Path, count: int) -> dict[str, float]:
    """Judge a grid of merges on one benchmark; return seconds per merge."""
    grid = sweeps.grid(METHODS, ALPHAS, merging.VARIANTS, (42, 43), density=0.9)
    chosen = grid[:: len(grid) // count][:count]
    sweep = sweeps.Sweep(folder / "base", folder / "experts")
    setting, start = 0.0, time.perf_counter()
    for merge in chosen:
        before = time.perf_counter()
        judge = sweep.set(merge)
        setting += time.perf_counter() - before
        collect("miniature", judge, folder / "grid")
    seconds = (time.perf_counter() - start) / count
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
    """Measure both models and the grid; the last line is one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 alphas, 10 merges")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        way, name, folder, alphas, out = json.loads(options.job)
        WAYS[way](name, Path(folder), alphas, Path(out))
        return
    alphas = list(ALPHAS[::5] if options.quick else ALPHAS)
    with tempfile.TemporaryDirectory() as work:
        figures = {name: measure(name, Path(work) / name.replace(" ", ""), alphas) for name in WORKLOADS}
        figures["grid"] = measure_grid(Path(work) / "miniature", 10 if options.quick else 100)
    models = [figures[name] for name in WORKLOADS]
    ok = all(found["faster_than_new_processes"] >= TARGETS["faster_than_new_processes"] for found in models)
    ok = ok and not any(found["weight_bytes_written"] for found in models)
    print(json.dumps({"name": "sweeps", "figures": figures, "targets": TARGETS, "ok": ok}))


if __name__ == "__main__":
    main()
