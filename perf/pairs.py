"""Measure pairing at the paper's size: 200,000 pairs from 100,000 graded rows of real length, and ten times as many.

`python perf/pairs.py` (some minutes and 15 GB of disk while it runs; `--quick` for a tenth of the rows). The rows are
made up, at the length of the published ones (4.6 kB); five to an instruction, and in random order. Three questions:

- size: seconds and peak memory from a JSON file to checked, balanced pairs as Parquet with a data card;
- growth: time per row at ten times the rows, and how far the peak memory rises;
- plain: the same pairs by plain pandas (read_json, merge, to_parquet), without checks, exact balance or a card.

Each measurement is a process of its own, so that its peak memory is its own; ours and plain take turns and medians are
shown. CPU seconds are printed beside the clock's; the target is for the clock, so a busy machine can miss it.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from prometheus_lib.data import building

TARGETS = {"seconds": 20.0, "peak_gb": 1.5, "growth_of_time_per_row": 1.3, "growth_of_memory": 2.5}
PARTS = {"orig_instruction": 500, "orig_reference_answer": 1400, "orig_criteria": 90}
PARTS |= {f"orig_score{score}_description": 120 for score in range(1, 6)}
OWN = {"orig_response": 900, "orig_feedback": 550}
ROUNDS = 3
CARD = building.Card("Made-up pairs", ["perf/pairs.py"], "other")


def made_up_text(rng: random.Random) -> str:
    """A megabyte of words, from which texts are cut."""
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(20_000)]
    return " ".join(rng.choices(words, k=160_000))


def write_rows(file: Path, rows: int) -> None:
    """Write a JSON array of graded rows; an instruction's five rows lie 1,000 rows apart and more."""
    rng = random.Random(rows)
    text = made_up_text(rng)

    def cut(length: int) -> str:
        start = rng.randrange(len(text) - length)
        return text[start : start + length]

    with open(file, "w", encoding="utf-8") as out:
        out.write("[")
        for first in range(0, rows // 5, 1000):
            shared = [{name: f"{n} {cut(size)}" for name, size in PARTS.items()} for n in range(first, first + 1000)]
            for score in "12345":
                for number, parts in enumerate(shared[: rows // 5 - first]):
                    own = {name: cut(size) for name, size in OWN.items()}
                    out.write("" if first + number == 0 and score == "1" else ",\n")
                    out.write(json.dumps({**parts, **own, "orig_score": score}))
        out.write("]")


def ours(file: Path, folder: Path) -> int:
    """Pair a file's rows with the library; return the number of pairs."""
    counts, _ = building.build_pairs(building.stream_collection("feedback", file), folder, CARD)
    a, b = counts.preferences.values()
    assert abs(a - b) <= 1
    return counts.pairs


def plain(file: Path, folder: Path) -> int:
    """Pair a file's rows as one would with pandas; return the number of pairs."""
    import numpy as np
    import pandas as pd

    rows = pd.read_json(file, dtype=False)
    shared = ["orig_instruction", "orig_reference_answer", "orig_criteria"]
    own = [*shared, "orig_response", "orig_feedback", "orig_score"]
    pairs = rows[own].merge(rows[own], on=shared, suffixes=("_A", "_B"))
    pairs = pairs[pairs["orig_score_A"] < pairs["orig_score_B"]].reset_index(drop=True)
    turned = np.random.default_rng(42).random(len(pairs)) < 0.5
    for name in ("orig_response", "orig_feedback", "orig_score"):
        a, b = pairs[f"{name}_A"].copy(), pairs[f"{name}_B"].copy()
        pairs[f"{name}_A"], pairs[f"{name}_B"] = b.where(turned, a), a.where(turned, b)
    pairs["orig_preference"] = np.where(turned, "A", "B")
    folder.mkdir(parents=True, exist_ok=True)
    pairs.to_parquet(folder / "train.parquet", compression="zstd")
    return len(pairs)


WAYS = {"ours": ours, "plain": plain}


def measure(way: str, file: Path, folder: Path) -> dict[str, float]:
    """Run one way in a process of its own; return its seconds, CPU seconds, peak memory in GB and pairs."""
    command = [sys.executable, __file__, "--child", way, str(file), str(folder / way)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def child(way: str, file: str, folder: str) -> None:
    """Be that process."""
    start, used = time.perf_counter(), time.process_time()
    pairs = WAYS[way](Path(file), Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({
        "seconds": time.perf_counter() - start, "cpu": time.process_time() - used, "peak_gb": peak, "pairs": pairs,
    }))  # fmt: skip


def middle(measured: list[dict[str, float]]) -> dict[str, float]:
    """Return the medians of several measurements."""
    return {name: median(one[name] for one in measured) for name in measured[0]}


def main() -> int:
    """Measure, print a table, and print the figures as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return 0
    small = 10_000 if options.quick else 100_000
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        write_rows(file, small)
        row_bytes = file.stat().st_size / small
        rounds = [{way: measure(way, file, Path(folder)) for way in WAYS} for _ in range(ROUNDS)]
        found = {way: middle([one[way] for one in rounds]) for way in WAYS}
        write_rows(file, 10 * small)
        found["ours, ten times the rows"] = measure("ours", file, Path(folder))
    return report(found, small, row_bytes)


def report(found: dict[str, dict[str, float]], rows: int, row_bytes: float) -> int:
    """Print what was measured and whether the targets are met."""
    print(f"{rows:,} rows of {row_bytes:,.0f} bytes")
    for way, one in found.items():
        line = "{:>26}: {seconds:7.1f} s ({cpu:6.1f} CPU s), peak {peak_gb:5.2f} GB, {pairs:>9,.0f} pairs"
        print(line.format(way, **one))
    own, plain_way, large = found.values()
    figures = {
        "rows": rows, "seconds": own["seconds"], "cpu_seconds": own["cpu"], "peak_gb": own["peak_gb"],
        "growth_of_time_per_row": large["cpu"] / own["cpu"] / 10, "growth_of_memory": large["peak_gb"] / own["peak_gb"],
        "plain_seconds": plain_way["seconds"], "plain_peak_gb": plain_way["peak_gb"],
        "times_the_memory_of_plain": own["peak_gb"] / plain_way["peak_gb"],
        "times_the_seconds_of_plain": own["seconds"] / plain_way["seconds"],
    }  # fmt: skip
    ok = all(figures[name] <= bound for name, bound in TARGETS.items())
    print(json.dumps({"name": "pairs", "figures": figures, "targets": TARGETS, "ok": ok}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
