"""Table 17 and Figure 3 run twice: the same merges of two pairs of experts, on the same items, with as many judgments.

A difference between two merges of one pair of experts may be the luck of one training run, which no interval over
items can know. Here each merge exists for both pairs (and DARE-linear with a second mask), all are judged on the
benchmarks of `SEED_BENCHMARKS`, and the mean over both pairs resamples instructions *and* pairs. Two pairs are few:
they show whether training runs matter, not exactly how much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from .metrics import Comparison
from .scale import (
    DIRECT_BENCHMARKS,
    PAIR_BENCHMARKS,
    SECOND,
    SECOND_MASK,
    SEED_ALPHAS,
    SEED_BENCHMARKS,
    SEED_METHODS,
    alpha_judge,
)
from .table_averages import REFERENCE_JUDGE, _percent, _sweep_cells, average, benchmark_sample
from .table_cells import (
    COMPARISON_RESAMPLES,
    Answers,
    Cell,
    Sample,
    cell,
    cells_table,
    difference_cells,
    difference_of_samples,
    raters,
    sample_cell,
)
from .table_published import DIRECT_AVERAGE, OVERALL, PAIR_AVERAGE
from .table_run import Run

PAIRS = {"experts 1": "", "experts 2": SECOND}
BOTH = "both"
FORMATS = {
    DIRECT_AVERAGE: [name for name in SEED_BENCHMARKS if name in DIRECT_BENCHMARKS],
    PAIR_AVERAGE: [name for name in SEED_BENCHMARKS if name in PAIR_BENCHMARKS],
}


def table_17_runs(run: Run) -> pd.DataFrame:
    """Table 17 for two pairs of experts: averages of each merge, and its paired differences to linear merging.

    `variant` names the pair of experts, or "both" for the mean over pairs. Tested, with p-values corrected together,
    are the differences to linear over both pairs, and what a second run alone changes (rows "..., another run"). The
    differences of one pair are shown with their intervals.
    """
    cells, tested = [], {}
    for column in FORMATS:
        linear = _runs(run, REFERENCE_JUDGE, column)
        for method in (REFERENCE_JUDGE, *SEED_METHODS):
            found = _runs(run, method, column)
            cells += _run_cells(method, column, found, run)
            if method != REFERENCE_JUDGE:
                cells += _one_pair_cells(method, column, found, linear)
                tested[f"{method} - {REFERENCE_JUDGE}", column, BOTH] = _difference(found, linear, BOTH)
            tested[f"{method}, another run", column] = _change(found)
        mask = {"experts 1": _judge_average(run, f"dare-linear{SECOND_MASK}", column)}
        cells += _run_cells("dare-linear, another mask", column, mask, run)
        masks = {"experts 1": _judge_average(run, "dare-linear", column), "experts 2": mask["experts 1"]}
        tested["dare-linear, another mask", column] = _change(masks)
    return cells_table("17_runs", [*cells, *difference_cells(tested)])


def figure_3_runs(run: Run) -> pd.DataFrame:
    """Figure 3 for two pairs of experts, and where the best alpha lies for each, over both, and in both formats.

    As `table_averages.figure_3`, with the pair of experts as `variant`; under "both" every resample draws instructions
    and pairs anew, so that the interval of the best alpha knows of both.
    """
    sweeps: dict[str, dict[str, dict[float, Sample]]] = {}
    for column in FORMATS:
        runs = {alpha: _runs(run, alpha, column) for alpha in SEED_ALPHAS}
        for label in (*PAIRS, BOTH):
            known = {alpha: found[label] for alpha, found in runs.items() if found.get(label) is not None}
            sweeps.setdefault(label, {})[column] = known
    cells = [each for label, columns in sweeps.items() for each in _figure_cells(label, columns)]
    return cells_table("figure_3_runs", cells)


def _figure_cells(label: str, columns: Mapping[str, Mapping[float, Sample]]) -> Iterator[Cell]:
    direct, pair = columns[DIRECT_AVERAGE], columns[PAIR_AVERAGE]
    overall = {alpha: average([_percent(direct[alpha]), pair[alpha]]) for alpha in direct if alpha in pair}
    named = {alpha_judge(alpha): alpha_judge(alpha, PAIRS.get(label, "")) for alpha in SEED_ALPHAS}
    for column, sweep in {**columns, OVERALL: overall}.items():
        for each in _sweep_cells(column, sweep):
            yield {**each, "variant": label, "note": named.get(each["note"], each["note"])}


# --- averages of one merge -------------------------------------------------------------------------------------------


def _runs(run: Run, merge: str | float, column: str) -> dict[str, Sample | None]:
    """Return a merge's average for each pair of experts and over both; a number is linear merging at that alpha."""
    name = merge if isinstance(merge, str) else alpha_judge(merge)
    found = {label: _judge_average(run, f"{name}{suffix}", column) for label, suffix in PAIRS.items()}
    known = [sample for sample in found.values() if sample is not None]
    return {**found, BOTH: over_runs(known, run.scale.seed) if len(known) == len(PAIRS) else None}


def _judge_average(run: Run, judge: str, column: str) -> Sample | None:
    samples = []
    for name in FORMATS[column]:
        answers = run.answers(judge, name) if name in run.items else None
        if answers is None:
            return None
        rater = raters(run.items[name])[0] if name in DIRECT_BENCHMARKS else None
        samples.append(benchmark_sample(run, name, Answers(judge, "judge", *answers), rater, COMPARISON_RESAMPLES))
    return average(samples)


def over_runs(samples: Sequence[Sample], seed: int) -> Sample:
    """Return the mean over runs whose resamples are of instructions and, beside that, of the runs themselves.

    Which runs a resample draws depends on the seed alone, so two merges that are compared meet the same ones.
    """
    draws = np.stack([sample.draws for sample in samples])
    chosen = np.random.default_rng(seed).integers(len(samples), size=draws.shape)
    counts = (samples[0].n, sum(sample.unparsed for sample in samples), min(sample.clusters for sample in samples))
    mean = float(np.mean([sample.value for sample in samples]))
    return Sample(mean, np.take_along_axis(draws, chosen, 0).mean(0), *counts)


# --- cells and differences -------------------------------------------------------------------------------------------


def _run_cells(row: str, column: str, found: Mapping[str, Sample | None], run: Run) -> list[Cell]:
    return [sample_cell(row, column, sample, "judge", run.scale.resamples, variant=v) for v, sample in found.items()]


def _one_pair_cells(
    method: str, column: str, found: Mapping[str, Sample | None], linear: Mapping[str, Sample | None]
) -> Iterator[Cell]:
    for label in PAIRS:
        each = _difference(found, linear, label)
        if each is not None:
            spread = {"low": each.low, "high": each.high, "n": each.n, "variant": label, "note": "one run, not tested"}
            yield cell(f"{method} - {REFERENCE_JUDGE}", column, each.difference, "difference", **spread)


def _difference(one: Mapping[str, Sample | None], two: Mapping[str, Sample | None], label: str) -> Comparison | None:
    if one[label] is None or two[label] is None:
        return None
    test = "paired bootstrap by cluster and run" if label == BOTH else "paired bootstrap by cluster"
    return difference_of_samples(one[label], two[label], test)


def _change(found: Mapping[str, Sample | None]) -> Comparison | None:
    """Compare the second run with the first."""
    first, second = (found[label] for label in PAIRS)
    return None if first is None or second is None else difference_of_samples(second, first)
