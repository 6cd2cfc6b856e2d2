"""Measure the numbers behind the tables: all tables at the paper's size, vectorised against plain resampling, growth.

`python perf/metrics.py` (a script called statistics.py would hide Python's own module of that name). Judges, raters and
judgments are **simulated** here, at the sizes of the paper's eight benchmarks: nothing below says anything about a
model. Three questions:

- tables: seconds for every table of 20 judges x 8 benchmarks, 10,000 clustered resamples for each cell;
- loop: how many times slower is a plain loop over resamples (one scipy or krippendorff call each)? The loop is timed on
  fewer resamples and scaled up, which is exact, because its resamples are independent of each other;
- growth: time per item of Krippendorff's alpha and of transitivity, at 10,000 and at 100,000 items.

One thread: two wait for each other on a busy machine. CPU seconds are printed beside wall-clock seconds; the target
is for the clock, so a busy machine can miss it.
"""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median

import krippendorff
import numpy as np
import pandas as pd
from scipy import stats
from threadpoolctl import threadpool_limits

from prometheus_lib import metrics, tables
from prometheus_lib.data.catalogue import CONSISTENCY_BENCHMARKS
from prometheus_lib.merging.catalogue import alpha_judge
from prometheus_lib.records import DirectItem, PairItem, Rubric
from prometheus_lib.scale import stored_scale
from prometheus_lib.tables import Run

TARGETS = {"all_tables_seconds": 30.0, "times_faster_than_the_loop": 100.0, "growth_of_time_per_item": 1.5}
RESAMPLES, LOOPED, ROUNDS = 10_000, 50, 3
ALPHAS = (0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9)
JUDGES = (
    "base", "direct", "pairwise", "joint", "joint-half", "linear", "slerp", "task-arithmetic", "ties", "dare-ties",
    "dare-linear", "task-arithmetic-default", *map(alpha_judge, ALPHAS),
)  # fmt: skip
# The paper's sizes: instructions, responses (or pairs) per instruction, raters.
STRONG, BOTH, ALL = ("sim-strong",), ("sim-strong", "sim-second"), ("sim-strong", "sim-second", "sim-crowd")
DIRECT = {"vicuna_bench": (80, 4, BOTH), "mt_bench": (80, 4, BOTH), "flask": (200, 10, ALL)}
DIRECT |= {"feedback_bench": (200, 5, STRONG)}
PAIRS = {"hhh_alignment": (221, 1), "mt_bench_human": (80, 18), "autoj_eval": (1160, 1), "preference_bench": (200, 10)}
RUBRIC = Rubric("Simulated.", ("1", "2", "3", "4", "5"))


# --- a simulated run -------------------------------------------------------------------------------------------------


def direct_items(rng: np.random.Generator, name: str) -> list[DirectItem]:
    """Items with a true score and raters who are right in most cases."""
    instructions, each, raters = DIRECT[name]
    truth = rng.integers(1, 6, instructions * each)
    drawn = {rater: noisy(rng, truth, 0.8, 3) for rater in raters}
    return [
        DirectItem(
            f"{name}/{n}", "Simulated.", "word " * int(score), "word word", RUBRIC,
            {rater: draws[n].tolist() for rater, draws in drawn.items()},
            cluster=f"{name}/{n // each}", meta={"true_score": int(score)},
        )
        for n, score in enumerate(truth)
    ]  # fmt: skip


def pair_items(rng: np.random.Generator, name: str) -> list[PairItem]:
    """Pairs of responses; Preference Bench has all pairs of five responses of different grades."""
    instructions, each = PAIRS[name]
    corners = [(a, b) for a in range(1, 6) for b in range(a + 1, 6)]
    items = []
    for n in range(instructions * each):
        a, b = corners[n % 10] if name == "preference_bench" else rng.integers(1, 6, 2).tolist()
        a, b = (b, a) if rng.random() < 0.5 else (a, b)
        tie = a == b and name in ("mt_bench_human", "autoj_eval")
        label = "tie" if tie else ("A" if a > b else "B")
        items.append(
            PairItem(
                f"{name}/{n}", "Simulated.", f"grade {a}", f"grade {b}", "word", "Simulated.", label, f"group {n % 4}",
                f"{name}/{n // each}", RUBRIC, meta={"true_a": a, "true_b": b},
            )
        )  # fmt: skip
    return items


def noisy(rng: np.random.Generator, truth: np.ndarray, skill: float, draws: int) -> np.ndarray:
    """Scores (items, draws): the true one in a share `skill` of the cases, else any."""
    known = rng.random((len(truth), draws)) < skill
    return np.where(known, truth[:, None], rng.integers(1, 6, (len(truth), draws)))


def judgments(rng: np.random.Generator, judge: str, items: dict[str, list]) -> list[pd.DataFrame]:
    """Everything one simulated judge says."""
    skill, parts = rng.uniform(0.3, 0.9), []
    for name in DIRECT:
        truth, ids = np.array([item.meta["true_score"] for item in items[name]]), [item.id for item in items[name]]
        for with_reference in (True, False) if name == "flask" else (True,):
            parts.append(frame(judge, name, ids, noisy(rng, truth, skill, 3), "direct", with_reference))
    for name in PAIRS:
        gold, ids = np.array([item.label for item in items[name]]), [item.id for item in items[name]]
        right = rng.random(len(gold)) < 0.5 + skill / 2
        said = np.where(right & (gold != "tie"), gold, rng.choice(["A", "B"], len(gold)))
        parts.append(frame(judge, name, ids, said[:, None].astype(object), "pairwise", False))
        for side in "ab" if name in CONSISTENCY_BENCHMARKS else "":
            truth = np.array([item.meta[f"true_{side}"] for item in items[name]])
            sides = [f"{item_id}#{side}" for item_id in ids]
            parts.append(frame(judge, name, sides, noisy(rng, truth, skill, 3), "direct", False))
    return parts


def frame(judge: str, name: str, ids: list[str], decisions: np.ndarray, format: str, reference: bool) -> pd.DataFrame:
    """Decisions (items, draws) as judgment rows."""
    draws = decisions.shape[1]
    rows = {"item_id": np.repeat(ids, draws), "draw": np.tile(np.arange(draws), len(ids))}
    shared = {"judge": judge, "benchmark": f"mini_{name}", "format": format, "with_reference": reference, "order": "ab"}
    shared |= {"fingerprint": "simulated", "prompt_hash": ""}
    return pd.DataFrame({**rows, "decision": decisions.ravel().astype(object), **shared})


def simulated_run() -> Run:
    """Twenty simulated judges on eight simulated benchmarks of the paper's sizes."""
    rng = np.random.default_rng(0)
    items: dict[str, list] = {name: direct_items(rng, name) for name in DIRECT}
    items |= {name: pair_items(rng, name) for name in PAIRS}
    rows = pd.concat([part for judge in JUDGES for part in judgments(rng, judge, items)], ignore_index=True)
    scale = replace(stored_scale("mini"), main_judges=JUDGES, resamples=RESAMPLES)
    return Run(scale, rows, items)


# --- the three measurements ------------------------------------------------------------------------------------------


def seconds(function: Callable[[], object]) -> float:
    """Return how long one call takes."""
    gc.collect()
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def all_tables() -> tuple[dict[str, float], float]:
    """Seconds of each table of the paper (the first also pays for reading the judgments), and CPU seconds of all."""
    run, start = simulated_run(), time.process_time()
    print(f"{len(run.judgments):,} simulated judgments, {len(JUDGES)} judges, {len(run.items)} benchmarks")
    paper = {name: table for name, table in tables.TABLES.items() if name.isdigit() or name in ("figure_1", "figure_3")}
    spent = {name: seconds(partial(table, run)) for name, table in paper.items()}
    return spent, time.process_time() - start


def against_the_loop() -> dict[str, float]:
    """How many times as long a plain loop over resamples takes, by statistic; 320 items in 80 instructions."""
    rng = np.random.default_rng(1)
    truth = rng.integers(1, 6, 320)
    judge, rater = noisy(rng, truth, 0.6, 3), noisy(rng, truth, 0.8, 3)
    x, y, right = judge.mean(axis=1), rater.mean(axis=1), (judge[:, 0] == truth).astype(float)
    named = {
        "pearson": ((x, y), lambda a, b: stats.pearsonr(a, b).statistic),
        "spearman": ((x, y), lambda a, b: stats.spearmanr(a, b).statistic),
        "kendall": ((x, y), lambda a, b: stats.kendalltau(a, b).statistic),
        "mean": ((right,), np.mean),
    }
    ratios = {name: ratio(name, data, data, loop) for name, (data, loop) in named.items()}
    ratios["krippendorff_alpha"] = ratio("krippendorff_alpha", (judge.T.astype(float),), (judge,), alpha_of_rows)
    return ratios


def alpha_of_rows(ratings: np.ndarray) -> float:
    """Alpha of ratings (items, raters) by the library that the estimates use."""
    return krippendorff.alpha(ratings.T.astype(float), level_of_measurement="ordinal")


def ratio(name: str, data: tuple, by_item: tuple, statistic: Callable[..., float]) -> float:
    """Seconds of the loop, scaled to the same number of resamples, over seconds of the vectorised bootstrap."""
    clusters = np.repeat(np.arange(80), 4)
    members = [np.flatnonzero(clusters == cluster) for cluster in range(80)]
    rng = np.random.default_rng(2)

    def loop() -> None:
        for _ in range(LOOPED):
            rows = np.concatenate([members[cluster] for cluster in rng.integers(0, 80, 80)])
            statistic(*(column[rows] for column in by_item))

    def vectorised() -> None:
        metrics.bootstrap_interval(name, *data, clusters=clusters, n_resamples=RESAMPLES)

    vectorised()
    rounds = [seconds(loop) / LOOPED * RESAMPLES / seconds(vectorised) for _ in range(ROUNDS)]
    return median(rounds)


def growth() -> dict[str, float]:
    """Time per item at 100,000 items over time per item at 10,000; 1 is linear."""
    rng = np.random.default_rng(3)

    def ratings(n: int) -> np.ndarray:
        return noisy(rng, rng.integers(1, 6, n), 0.6, 3).T.astype(float)

    def games(n: int) -> pd.DataFrame:
        corners = [(a, b) for a in range(5) for b in range(a + 1, 5)]
        x, y = np.array(corners * (n // 10)).T
        names = np.array([f"response {i}" for i in range(5)], dtype=object)
        first, second = names[x], names[y]
        winner = np.where(rng.random(len(x)) < 0.7, first, second)
        return pd.DataFrame({"group": np.arange(len(x)) // 10, "x": first, "y": second, "winner": winner})

    found = {}
    for name, make, function in (
        ("krippendorff_alpha", ratings, metrics.krippendorff_alpha),
        ("transitivity", games, metrics.transitivity),
    ):
        small, large = (partial(function, make(n)) for n in (10_000, 100_000))
        small()
        found[name] = median(seconds(large) / seconds(small) / 10 for _ in range(ROUNDS))
    return found


def main() -> None:
    """Measure, print a table, and print one JSON object as the last line."""
    with threadpool_limits(limits=1):
        (per_table, cpu), loops, grown = all_tables(), against_the_loop(), growth()
    for number, spent in per_table.items():
        print(f"{tables.file_name(number):<28}{spent:8.2f} s")
    total = sum(per_table.values())
    print(f"{'all tables':<28}{total:8.2f} s ({cpu:.1f} s of CPU)")
    for name, times in loops.items():
        print(f"{name:<28}{times:8.0f} x faster than the loop ({LOOPED} resamples, scaled to {RESAMPLES:,})")
    for name, times in grown.items():
        print(f"{name:<28}{times:8.2f} x the time per item at 100,000 items (against 10,000)")
    figures = {
        "all_tables_seconds": round(total, 1),
        "times_faster_than_the_loop": round(min(loops.values()), 1),
        "growth_of_time_per_item": round(max(grown.values()), 2),
        "all_tables_cpu_seconds": round(cpu, 1),
        "seconds_per_table": {name: round(spent, 2) for name, spent in per_table.items()},
        "times_faster": {name: round(times) for name, times in loops.items()},
        "growth": {name: round(times, 2) for name, times in grown.items()},
        "cores": len(os.sched_getaffinity(0)),
        "simulated": True,
    }
    slower = ("all_tables_seconds", "growth_of_time_per_item")
    ok = all(figures[name] <= TARGETS[name] for name in slower)
    ok = ok and figures["times_faster_than_the_loop"] >= TARGETS["times_faster_than_the_loop"]
    print(json.dumps({"name": "statistics", "figures": figures, "targets": TARGETS, "ok": ok}))


if __name__ == "__main__":
    main()
