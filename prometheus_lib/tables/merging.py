"""Table 17 and Figure 3 run twice: the same merges of two pairs of experts, on the same items, with as many judgments.

A difference between two merges of one pair of experts may be the luck of one training run, which no interval over
items can know. Here each merge exists for both pairs (and DARE-linear with a second mask), all are judged on the
benchmarks of `SEED_BENCHMARKS`, and the mean over both pairs resamples instructions *and* pairs. Two pairs are few:
they show whether training runs matter, not exactly how much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from .. import metrics
from ..data.catalogue import DIRECT_BENCHMARKS, PAIR_BENCHMARKS, SEED_BENCHMARKS
from ..merging.catalogue import SECOND_MASK, SECOND_RUN, SEED_ALPHAS, SEED_METHODS, TABLE_10_MERGES, alpha_judge
from ..metrics import Comparison, Interval
from .averages import REFERENCE_JUDGE, benchmark_sample, percent, sweep_cells
from .cells import (
    COMPARISON_RESAMPLES,
    Answers,
    Cell,
    cell,
    cells_table,
    difference_cells,
    raters,
    sample_cell,
)
from .published import DIRECT_AVERAGE, OVERALL, PAIR_AVERAGE
from .run import Run

PAIRS = {"experts 1": "", "experts 2": SECOND_RUN}
FIRST, BOTH = "experts 1", "both"
FORMATS = {
    DIRECT_AVERAGE: [name for name in SEED_BENCHMARKS if name in DIRECT_BENCHMARKS],
    PAIR_AVERAGE: [name for name in SEED_BENCHMARKS if name in PAIR_BENCHMARKS],
}
MASK, RUN = "another mask", "another run"

Runs = Mapping[str, Interval | None]


def table_17_runs(run: Run) -> pd.DataFrame:
    """Table 17 for two pairs of experts: averages of each merge, and its paired differences to linear merging.

    Columns are an average and the pair of experts, or "both" for the mean over pairs. Tested, with p-values corrected
    together, are the differences to linear over both pairs, what another run or mask alone changes (rows "<merge>,
    another run"), and Table 10's recipe for the 8x7B judge in its two readings. The other differences of one pair are
    shown with their intervals.
    """
    cells: list[Cell] = []
    tested: dict[tuple[str, str], Comparison | None] = {}
    for format in FORMATS:
        linear = _runs(run, REFERENCE_JUDGE, format)
        for merge in (REFERENCE_JUDGE, *SEED_METHODS):
            found = _runs(run, merge, format)
            cells += _values(merge, format, found, run)
            tested[f"{merge}, {RUN}", runs_column(format, BOTH)] = _compare(found["experts 2"], found["experts 1"])
            if merge != REFERENCE_JUDGE:
                row, both = f"{merge} - {REFERENCE_JUDGE}", "paired bootstrap by cluster and run"
                cells += _one_pair(row, format, found, linear)
                tested[row, runs_column(format, BOTH)] = _compare(found[BOTH], linear[BOTH], both)
        first, second = (_judge_average(run, name, format) for name in ("dare-linear", f"dare-linear{SECOND_MASK}"))
        tested[f"dare-linear, {MASK}", runs_column(format, FIRST)] = _compare(second, first)
        for merge in TABLE_10_MERGES:
            sample = _judge_average(run, merge, format)
            cells += _values(merge, format, {FIRST: sample}, run)
            tested[f"{merge} - {REFERENCE_JUDGE}", runs_column(format, FIRST)] = _compare(sample, linear[FIRST])
    return cells_table("table_17_runs", [*cells, *difference_cells(tested)])


def figure_3_runs(run: Run) -> pd.DataFrame:
    """Figure 3 for two pairs of experts, and where the best alpha lies for each, over both, and in both formats.

    As `table_averages.figure_3`, with the pair of experts in the column's name; under "both" every resample draws
    instructions and pairs anew, so that the interval of the best alpha knows of both.
    """
    runs = {format: {alpha: _runs(run, alpha, format) for alpha in SEED_ALPHAS} for format in FORMATS}
    cells = []
    for label in (*PAIRS, BOTH):
        curves = {
            format: {a: r[label] for a, r in each.items() if r[label] is not None} for format, each in runs.items()
        }
        direct, pair = curves[DIRECT_AVERAGE], curves[PAIR_AVERAGE]
        curves[OVERALL] = {
            alpha: metrics.average([percent(direct[alpha]), pair[alpha]]) for alpha in direct if alpha in pair
        }
        named = {alpha_judge(alpha): alpha_judge(alpha, PAIRS.get(label, "")) for alpha in SEED_ALPHAS}
        found = [each for format, curve in curves.items() for each in sweep_cells(runs_column(format, label), curve)]
        cells += [{**each, "note": named.get(each["note"], each["note"])} for each in found]
    return cells_table("figure_3_runs", cells)


def runs_column(format: str, label: str) -> str:
    """Return the column of an average for a pair of experts ("experts 1", "experts 2") or "both"."""
    return f"{format} | {label}"


# --- averages of one merge -------------------------------------------------------------------------------------------


def _runs(run: Run, merge: str | float, format: str) -> dict[str, Interval | None]:
    """Return a merge's average for each pair of experts and over both; a number is linear merging at that alpha."""
    name = merge if isinstance(merge, str) else alpha_judge(merge)
    found = {label: _judge_average(run, f"{name}{suffix}", format) for label, suffix in PAIRS.items()}
    known = [sample for sample in found.values() if sample is not None]
    return {**found, BOTH: metrics.average_over_runs(known, run.scale.seed) if len(known) == len(PAIRS) else None}


def _judge_average(run: Run, judge: str, format: str) -> Interval | None:
    samples = []
    for name in FORMATS[format]:
        answers = run.answers(judge, name) if name in run.items else None
        if answers is None:
            return None
        rater = raters(run.items[name])[0] if name in DIRECT_BENCHMARKS else None
        samples.append(benchmark_sample(run, name, Answers(judge, "judge", *answers), rater, COMPARISON_RESAMPLES))
    return metrics.average(samples)


# --- cells and differences -------------------------------------------------------------------------------------------


def _values(row: str, format: str, found: Runs, run: Run) -> list[Cell]:
    named = {runs_column(format, label): sample for label, sample in found.items()}
    return [sample_cell(row, place, sample, "judge", run.scale.resamples) for place, sample in named.items()]


def _one_pair(row: str, format: str, found: Runs, linear: Runs) -> Iterator[Cell]:
    for label in PAIRS:
        each = _compare(found[label], linear[label])
        if each is not None:
            spread = {"low": each.low, "high": each.high, "n": each.n, "note": "one run, not tested"}
            yield cell(row, runs_column(format, label), each.difference, "difference", **spread)


def _compare(
    one: Interval | None, two: Interval | None, test: str = "paired bootstrap by cluster"
) -> Comparison | None:
    return None if one is None or two is None else metrics.compare_intervals(one, two, test)
