"""Measure merging on disk: mergekit, our own engine and plain copies, seconds and peak memory, method by method.

`python perf/merging.py [--megabytes 490] [--rounds 3]`. Models of that size (a random Mistral, and two that differ from
it) are written to a temporary folder and removed. Every merge runs in a process of its own that has all imports
already; its peak is what it holds beyond them, pages of mapped files included. mergekit may use all cores for a
tensor; ours merges two tensors at once. There are two copies to compare with: `copy` is `shutil.copyfile` of one
expert's weights, which the system does by itself; `same bytes` reads the weights of both experts and writes as much as
one, which is what a merge has to move.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions

from prometheus_lib import merging
from prometheus_lib.merging import disk
from prometheus_lib.merging.layout import read_layout
from prometheus_lib.merging.spec import Merge
from prometheus_lib.training import EMBEDDED_BASE, base_model

MERGES = {
    "linear": Merge("m", "linear", alpha=0.3),
    "slerp": Merge("m", "slerp", alpha=0.3),
    "task-arithmetic": Merge.mergekit_default("m", "task-arithmetic"),
    "ties": Merge("m", "ties", density=0.2),
    "dare-ties": Merge("m", "dare-ties", density=0.9),
    "dare-linear": Merge("m", "dare-linear", density=0.9),
}
TARGETS = {
    "ours_to_copy_linear_at_most": 2.0,
    "mergekit_to_ours_ties_at_least": 4.0,
    "peak_within_output_plus_three": True,
}
NAMES = ("base", "direct", "pairwise")


def write_models(root: Path, megabytes: int) -> None:
    """Write a base model and two experts of about this size."""
    layers = max(1, round((megabytes - 131) / 45))
    config = transformers.MistralConfig(
        vocab_size=16_000, hidden_size=1024, intermediate_size=2816, num_hidden_layers=layers, num_attention_heads=16,
        num_key_value_heads=4,
    )  # fmt: skip
    torch.manual_seed(0)
    write_experts(root, transformers.MistralForCausalLM(config), base_model.build_tokenizer())


def write_miniature(root: Path) -> None:
    """Write the embedded base model and two models that differ from it."""
    model = transformers.AutoModelForCausalLM.from_pretrained(EMBEDDED_BASE)
    write_experts(root, model, transformers.AutoTokenizer.from_pretrained(EMBEDDED_BASE))


def write_experts(root: Path, model: Any, tokenizer: Any) -> None:
    """Write a model, and twice what becomes of it by a small random change."""
    for name in NAMES:
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
        with torch.no_grad():
            for weights in model.parameters():
                weights.add_(1e-3 * torch.randn_like(weights))


def through_mergekit(merge: Merge, root: Path, out: Path) -> None:
    """Merge as mergekit does when it is called from Python."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    config = merging.mergekit_config(merge, *(str(root / name) for name in NAMES))
    options = MergeOptions(copy_tokenizer=True, random_seed=merge.seed, quiet=True, write_model_card=False)
    run_merge(MergeConfiguration.model_validate(config), str(out), options)


def through_ours(merge: Merge, root: Path, out: Path) -> None:
    """Merge with our own engine."""
    disk.merge_to_disk(merge, *(root / name for name in NAMES), out)


def copied(root: Path, out: Path) -> None:
    """Copy the weights of one expert."""
    shutil.copyfile(root / "direct" / "model.safetensors", out / "model.safetensors")


def same_bytes(root: Path, out: Path) -> None:
    """Read the weights of both experts and write those of one."""
    buffers = [bytearray(2**19) for _ in range(2)]
    with ExitStack() as stack:
        paths = [root / name / "model.safetensors" for name in NAMES[1:]]
        files = [stack.enter_context(open(path, "rb", buffering=0)) for path in paths]
        result = stack.enter_context(open(out / "model.safetensors", "wb", buffering=0))
        while count := min(file.readinto(buffer) for file, buffer in zip(files, buffers, strict=True)):
            result.write(memoryview(buffers[0])[:count])


def measured(function: Callable, *arguments: Any) -> tuple[float, float]:
    """Run a function in a child of this process; return its seconds and its peak memory in MiB beyond the imports."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child() -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with tempfile.TemporaryDirectory(dir=arguments[-1].parent) as out:
            start = time.perf_counter()
            function(*arguments, Path(out))
            seconds = time.perf_counter() - start
        sender.send((seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))

    process = context.Process(target=child)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{function.__name__} {arguments} failed with exit status {process.exitcode}")
    return receiver.recv()


def compare(root: Path, rounds: int) -> dict[str, Any]:
    """Measure all methods in turn; return medians of seconds and largest peaks by engine and method."""
    calls = {("copy", "linear"): (copied, root), ("same bytes", "linear"): (same_bytes, root)}
    for method, merge in MERGES.items():
        calls[("mergekit", method)] = (through_mergekit, merge, root)
        calls[("ours", method)] = (through_ours, merge, root)
    results: dict[tuple[str, str], list[tuple[float, float]]] = {call: [] for call in calls}
    for number in range(rounds):
        for call, (function, *arguments) in calls.items():
            results[call].append(measured(function, *arguments))
            print(f"round {number + 1}: {' '.join(call)} {results[call][-1][0]:.2f} s", file=sys.stderr, flush=True)
    return {
        f"{engine} {method}": {
            "seconds": round(median(s for s, _ in found), 3),
            "mib": round(max(m for _, m in found), 1),
        }
        for (engine, method), found in results.items()
    }


def room(root: Path) -> float:
    """Return the MiB of one model's weights plus its three largest tensors."""
    sizes = sorted(stored.read().nbytes for stored in read_layout(root / "direct").values())
    return (sum(sizes) + sum(sizes[-3:])) / 2**20


def print_table(title: str, figures: dict[str, Any]) -> None:
    """Print seconds, ratios and memory, one line per method."""
    copy, same = (figures[f"{what} linear"]["seconds"] for what in ("copy", "same bytes"))
    print(f"\n{title}: a plain copy takes {copy:.3f} s; reading both experts and writing one {same:.3f} s")
    columns = ("mergekit s", "ours s", "ratio", "ours/same bytes", "ours/copy", "mergekit MiB", "ours MiB")
    print(f"{'method':<16}" + "".join(f"{column:>{len(column) + 2}}" for column in columns))
    for method in MERGES:
        theirs, ours = figures[f"mergekit {method}"], figures[f"ours {method}"]
        a, b = theirs["seconds"], ours["seconds"]
        values = (a, b, round(a / b, 1), round(b / same, 1), round(b / copy, 1), theirs["mib"], ours["mib"])
        print(f"{method:<16}" + "".join(f"{v:>{len(c) + 2}}" for c, v in zip(columns, values, strict=True)))


def main() -> None:
    """Measure, print two tables, and print one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=490)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)  # children must not inherit a pool of threads
    with tempfile.TemporaryDirectory() as temporary:
        large, small = Path(temporary, "large"), Path(temporary, "small")
        write_models(large, options.megabytes)
        write_miniature(small)
        figures = {"large": compare(large, options.rounds), "miniature": compare(small, options.rounds)}
        limit = room(large)
    for title, found in figures.items():
        print_table(title, found)
    big = {name: found["seconds"] for name, found in figures["large"].items()}
    figures |= {
        "ours_to_same_bytes_linear": round(big["ours linear"] / big["same bytes linear"], 2),
        "ours_to_copy_linear": round(big["ours linear"] / big["copy linear"], 2),
        "mergekit_to_ours_ties": round(big["mergekit ties"] / big["ours ties"], 1),
        "largest_peak_of_ours_mib": max(figures["large"][f"ours {method}"]["mib"] for method in MERGES),
        "output_plus_three_tensors_mib": round(limit, 1),
        "cores": len(os.sched_getaffinity(0)),
    }
    print(f"\nours: peak {figures['largest_peak_of_ours_mib']} MiB; output plus three tensors {limit:.0f} MiB")
    ok = (
        figures["ours_to_copy_linear"] <= TARGETS["ours_to_copy_linear_at_most"]
        and figures["mergekit_to_ours_ties"] >= TARGETS["mergekit_to_ours_ties_at_least"]
        and figures["largest_peak_of_ours_mib"] <= limit
    )
    print(json.dumps({"name": "merging", "figures": figures, "targets": TARGETS, "ok": ok}))


if __name__ == "__main__":
    main()
