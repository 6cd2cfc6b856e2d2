"""Measure the whole road: seconds of a first and of a second run of all notebooks, and the peak memory.

`python perf/pipeline.py [--scale mini] [--outputs DIR]`. The first run starts from an empty folder; the second finds
everything there. Memory is the sum over the runner and all its child processes, sampled twice a second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

TARGETS = {"first_run_seconds": 900, "second_run_seconds": 90, "peak_memory_gib": 6}


def tree_memory(process: psutil.Process) -> int:
    """Return the bytes held by a process and its children, shared pages counted once where the system tells."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            info = member.memory_full_info()
            total += getattr(info, "pss", info.uss)
        except psutil.Error:
            continue
    return total


def run_once(scale: str, outputs: Path) -> tuple[float, float]:
    """Run all notebooks; return seconds and peak memory in GiB."""
    command = [sys.executable, "-m", "prometheus_lib", "run", "--scale", scale, "--outputs", str(outputs)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=sys.stderr)
    peak, done = [0], threading.Event()

    def sample() -> None:
        while not done.wait(0.5):
            try:
                peak[0] = max(peak[0], tree_memory(psutil.Process(process.pid)))
            except psutil.Error:
                return

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    code = process.wait()
    done.set()
    if code:
        raise SystemExit(f"the run failed with exit status {code}")
    return time.perf_counter() - start, peak[0] / 2**30


def main() -> None:
    """Measure, print a table, and print one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", default="mini")
    parser.add_argument("--outputs", default=None, help="an empty folder to run in (default: a temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        outputs = Path(options.outputs or temporary)
        first, memory = run_once(options.scale, outputs)
        per_notebook = json.loads((outputs / options.scale / "manifest.json").read_text())["seconds"]
        second, second_memory = run_once(options.scale, outputs)
    figures = {
        "first_run_seconds": round(first, 1),
        "second_run_seconds": round(second, 1),
        "second_to_first": round(second / first, 3),
        "peak_memory_gib": round(max(memory, second_memory), 2),
        "seconds_per_notebook": per_notebook,
        "cores": len(os.sched_getaffinity(0)),
    }
    for name, value in figures.items():
        print(f"{name:<24}{value}")
    ok = all(figures[name] <= limit for name, limit in TARGETS.items())
    print(json.dumps({"name": "pipeline", "figures": figures, "targets": TARGETS, "ok": ok}))


if __name__ == "__main__":
    main()
