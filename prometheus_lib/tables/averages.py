"""Tables 5, 6 and 17 and Figure 3: averages over benchmarks, merging methods, and the sweep over alpha."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import metrics
from ..data.catalogue import DIRECT_BENCHMARKS, PAIR_BENCHMARKS
from ..merging.catalogue import ALPHAS, alpha_judge
from ..metrics.accuracy import Comparison, Floats
from ..metrics.agreement import correlation
from ..paper import published_table
from .cells import (
    COMPARISON_RESAMPLES,
    NAN,
    Answers,
    Cell,
    Sample,
    ceilings,
    cell,
    cells_table,
    cluster_numbers,
    compare_credits,
    compare_scores,
    difference_cells,
    difference_of_samples,
    human_rater,
    labels,
    raters,
    run_floors,
    run_gold,
    sample_cell,
)
from .published import DIRECT_AVERAGE, OVERALL, PAIR_AVERAGE, average_places, measure_column, published_cells
from .run import Items, Run

if TYPE_CHECKING:
    from ..scale import Scale

RESEARCH_DIRECT, RESEARCH_PAIR = DIRECT_BENCHMARKS[:3], PAIR_BENCHMARKS[:3]  # Tables 5 and 6 leave in-domain out
REFERENCE_JUDGE = "linear"  # Table 17 compares every merge with it
_FLOORS = {  # one name for the trivial judge of both formats
    "random": ("random score", "random"),
    "length": ("response length", "longer wins"),
    "closeness to reference": ("similarity to reference", "closer to reference"),
}


def table_5(run: Run) -> pd.DataFrame:
    """Table 5: prompting, single-format training, joint training and merging, with averages of three benchmarks."""
    merged = (run.scale.merged_judge, "dare-linear", "task-arithmetic-default")
    judges = dict.fromkeys(("base", "direct", "pairwise", "joint", "joint-half", *merged))
    return _average_table(run, "5", judges, RESEARCH_DIRECT, RESEARCH_PAIR)


def table_6(run: Run) -> pd.DataFrame:
    """Table 6: merging two formats against merging two experts of one format that differ in their seed."""
    judges = ("base", "direct", "pairwise", "direct+direct", "pairwise+pairwise", run.scale.merged_judge)
    return _average_table(run, "6", judges, RESEARCH_DIRECT, RESEARCH_PAIR)


def _average_table(
    run: Run, number: str, judges: Iterable[str], direct: Sequence[str], pair: Sequence[str]
) -> pd.DataFrame:
    cells = [each for row in _judge_rows(run, judges) for each in _average_row(run, row, direct, pair)]
    cells += [each for row in _trivial_rows(run) for each in _average_row(run, row, direct, pair)]
    return cells_table(number, [*cells, *published_cells(number, average_places(run, number))])


class AverageRow(NamedTuple):
    """A row that spans benchmarks: `answers` gives its answers on one of them, or None."""

    row: str
    kind: str
    answers: Callable[[str], Answers | None]


def _judge_rows(run: Run, judges: Iterable[str]) -> list[AverageRow]:
    def answers(judge: str, name: str) -> Answers | None:
        found = run.answers(judge, name)
        return None if found is None else Answers(judge, "judge", *found)

    return [AverageRow(judge, "judge", partial(answers, judge)) for judge in judges]


def _trivial_rows(run: Run) -> list[AverageRow]:
    """The true score as ceiling and the trivial judges that exist in both formats as floors."""

    def answers(named: Sequence[str], name: str) -> Answers | None:
        rows = [*run_floors(run, name), *ceilings(run.items[name])]
        return next((row for row in rows if row.row in named), None)

    trivial = [AverageRow(title, "floor", partial(answers, named)) for title, named in _FLOORS.items()]
    return [AverageRow("true score", "ceiling", partial(answers, ["true score"])), *trivial]


def _average_row(
    run: Run, row: AverageRow, direct: Sequence[str], pair: Sequence[str], human: bool = False, overall: bool = False
) -> list[Cell]:
    """One row's cells: each benchmark, the average of each format and, with `overall`, Table 17's last column."""
    samples = {name: _row_sample(run, row, name, human) for name in run.present((*direct, *pair))}
    if all(sample is None for sample in samples.values()):
        return []
    cells, averages = [], {}
    for names, column in ((direct, DIRECT_AVERAGE), (pair, PAIR_AVERAGE)):
        for name in run.present(names):
            place = measure_column(name, run.items[name], human and name == "flask")
            cells.append(sample_cell(row.row, place, samples[name], row.kind))
        averages[column] = average([samples.get(name) for name in names])
        cells.append(sample_cell(row.row, column, averages[column], row.kind))
    parts = {"corrected": averages[DIRECT_AVERAGE], "as printed": samples.get("feedback_bench")} if overall else {}
    for variant, part in parts.items():
        both = average([percent(part), averages[PAIR_AVERAGE]])
        cells.append(sample_cell(row.row, OVERALL, both, row.kind, variant=variant))
    return cells


def _row_sample(
    run: Run, row: AverageRow, name: str, human: bool = False, resamples: int | None = None
) -> Sample | None:
    rater = _rater_of(run, name, human)
    key = ("sample", row.kind, row.row, name, rater, run.options(name, resamples)["n_resamples"])
    if key not in run.memory:
        answers = row.answers(name)
        run.memory[key] = None if answers is None else benchmark_sample(run, name, answers, rater, resamples)
    return run.memory[key]


def _rater_of(run: Run, name: str, human: bool) -> str | None:
    """The rater of Tables 5 and 6 (the strongest) or, with `human`, Table 17's (humans on FLASK); None for pairs."""
    items = run.items[name]
    if name in PAIR_BENCHMARKS:
        return None
    return human_rater(items) if human and name == "flask" else raters(items)[0]


def benchmark_sample(run: Run, name: str, answers: Answers, rater: str | None, resamples: int | None = None) -> Sample:
    """Pearson with a rater, or accuracy in percent without gold ties, with all resamples."""
    items, options = run.items[name], run.options(name, resamples)
    if rater is not None:
        x, y, keep = metrics.complete(answers.values, run_gold(run, name, rater))
        codes, count = _codes_of_all(run, items, keep)
        function = metrics.resampled_correlation("pearson", x, y, codes, count)
        value = correlation("pearson", x, y)
    else:
        credits = 100 * metrics.item_credits(answers.values, labels(items), "gold dropped")
        keep = np.isfinite(credits)
        codes, count = _codes_of_all(run, items, keep)
        sums, sizes = np.bincount(codes, credits[keep], count), np.bincount(codes, minlength=count).astype(float)
        value = float(credits[keep].mean()) if keep.any() else NAN

        def function(counts: Floats) -> Floats:
            return metrics.divide(counts @ sums, counts @ sizes)

    draws = metrics.distribution(function, count, **options)
    unparsed = answers.unparsed if rater else int((pd.isna(answers.values) & keep).sum())
    return Sample(value, draws, int(keep.sum()), unparsed, len(np.unique(codes)))


def _codes_of_all(run: Run, items: Items, keep: NDArray[np.bool_]) -> tuple[NDArray[np.intp], int]:
    """Cluster numbers of the kept items among all clusters, so that two judges meet the same resamples."""
    codes, count = metrics.cluster_codes(cluster_numbers(run, items), np.ones(len(items), dtype=bool))
    return codes[keep], count


def average(samples: Sequence[Sample | None]) -> Sample | None:
    """Return the mean of several statistics, resample by resample; None when one is missing or there are none."""
    known = [sample for sample in samples if sample is not None]
    if len(known) < len(samples) or not known:
        return None
    value, draws = np.mean([s.value for s in known]), np.mean([s.draws for s in known], axis=0)
    counts = (sum(s.n for s in known), sum(s.unparsed for s in known), min(s.clusters for s in known))
    return Sample(float(value), draws, *counts)


def compare_averages(
    run: Run, first: str, second: str, names: Sequence[str], human: bool = False, resamples: int = COMPARISON_RESAMPLES
) -> Comparison | None:
    """Compare two judges' averages over benchmarks of one format, paired by instruction; None when one is missing.

    Pearson in fractions, accuracy in percent; the p-value is read off the paired bootstrap differences.
    """
    rows = _judge_rows(run, (first, second))
    one, two = (average([_row_sample(run, row, name, human, resamples) for name in run.present(names)]) for row in rows)
    return None if one is None or two is None else difference_of_samples(one, two)


def merge_names(scale: Scale) -> list[str]:
    """Return the merges of Table 17: both formats at alpha 0.5, matched and default weights."""
    return [m.name for m in scale.merges if (m.first, m.second, m.alpha) == ("direct", "pairwise", 0.5)]


def table_17(run: Run) -> pd.DataFrame:
    """Table 17: merging methods on all eight benchmarks, and each method's paired difference to linear merging.

    Linear, SLERP and TIES have no "-default" row: they normalise, so the weights (1, 1) give the same model. "Overall
    average" is the mean of the two averages, the direct one x 100 ("corrected"), and the rule the printed column
    follows ("as printed": Feedback Bench alone x 100 with the pairwise average).
    """
    cells = []
    for row in _judge_rows(run, merge_names(run.scale)):
        found = _average_row(run, row, DIRECT_BENCHMARKS, PAIR_BENCHMARKS, human=True, overall=True)
        cells += _with_same_note(found)
    cells += _merge_differences(run)
    for row in _trivial_rows(run):
        cells += _average_row(run, row, DIRECT_BENCHMARKS, PAIR_BENCHMARKS, human=True)
    return cells_table("17", [*cells, *_published_17(run)])


def _with_same_note(cells: list[Cell]) -> list[Cell]:
    note = "the weights (1, 1) give the same model"
    return [{**each, "note": note} if each["row"] in ("linear", "slerp", "ties") else each for each in cells]


def percent(sample: Sample | None) -> Sample | None:
    """Return a sample of fractions in percent, so that it can be averaged with accuracies."""
    return sample and sample._replace(value=100 * sample.value, draws=100 * sample.draws)


def _merge_differences(run: Run) -> list[Cell]:
    """Each merge minus linear on every benchmark and both averages; p-values Holm-corrected over the whole table."""
    others = [judge for judge in merge_names(run.scale) if judge != REFERENCE_JUDGE]
    found = {}
    for judge in others:
        row = f"{judge} - {REFERENCE_JUDGE}"
        for names, column in ((DIRECT_BENCHMARKS, DIRECT_AVERAGE), (PAIR_BENCHMARKS, PAIR_AVERAGE)):
            for name in run.present(names):
                place = measure_column(name, run.items[name], name == "flask")
                found[row, place] = compare_judges(run, judge, REFERENCE_JUDGE, name, human=True)
            if run.present(names) == list(names):
                found[row, column] = compare_averages(run, judge, REFERENCE_JUDGE, names, human=True)
    return difference_cells(found)


def compare_judges(run: Run, first: str, second: str, name: str, human: bool = False) -> Comparison | None:
    """Compare two judges on one benchmark, paired by item and clustered by instruction; None when one is missing.

    Pearson against the strongest rater (humans on FLASK with `human`), or accuracy in percent without gold ties.
    """
    items = run.items[name]
    one, two = (run.answers(judge, name) for judge in (first, second))
    if one is None or two is None:
        return None
    options = {"clusters": cluster_numbers(run, items), **run.options(name, COMPARISON_RESAMPLES)}
    rater = _rater_of(run, name, human)
    if rater is not None:
        return compare_scores(one[0], two[0], run_gold(run, name, rater), **options)
    first_credits, second_credits = (
        metrics.item_credits(answers[0], labels(items), "gold dropped") for answers in (one, two)
    )
    return compare_credits({name: (first_credits, second_credits)}, **options)[name]


def _published_17(run: Run) -> list[Cell]:
    """Table 17 as printed, with the overall average that follows from its own columns beside the printed one."""
    cells = published_cells("17", average_places(run, "17"))
    cells = [{**each, "variant": "as printed"} if each["column"] == OVERALL else each for each in cells]
    wide = published_table(17)
    headings = ("DIRECT ASSESSMENT BENCHMARKS | Average", "PAIRWISE RANKING BENCHMARKS | Average")
    means = (100 * wide[headings[0]] + wide[headings[1]]) / 2
    note = "recomputed from the two printed averages"
    corrected = [cell(r, OVERALL, v, "published", variant="corrected", note=note) for r, v in means.items()]
    return [*corrected, *cells]


def figure_3(run: Run) -> pd.DataFrame:
    """Figure 3: averages of the direct and the pairwise benchmarks for each alpha, and where they are best.

    Row "best alpha" gives the best alpha with the interval of its bootstrap distribution; the columns "..., share
    best" give that distribution (equal values share a resample).
    """
    cells = []
    plans = ((DIRECT_BENCHMARKS, DIRECT_AVERAGE, 0.5), (PAIR_BENCHMARKS, PAIR_AVERAGE, 0.3))
    sweeps = {column: _alpha_sweep(run, names) for names, column, _ in plans}
    both = sweeps[DIRECT_AVERAGE].keys() & sweeps[PAIR_AVERAGE].keys()
    pairs = {a: [percent(sweeps[DIRECT_AVERAGE][a]), sweeps[PAIR_AVERAGE][a]] for a in sorted(both)}
    sweeps[OVERALL] = {alpha: average(pair) for alpha, pair in pairs.items()}
    for column, sweep in sweeps.items():
        cells += sweep_cells(column, sweep)
    note = "stated in section 6.3; the paper gives no interval"
    cells += [cell("best alpha", column, alpha, "published", note=note) for _, column, alpha in plans]
    return cells_table("figure_3", cells)


def _alpha_sweep(run: Run, names: Sequence[str]) -> dict[float, Sample]:
    rows = zip(ALPHAS, _judge_rows(run, map(alpha_judge, ALPHAS)))
    complete = run.present(names) == list(names)
    found = {alpha: average([_row_sample(run, row, name) for name in names]) for alpha, row in rows} if complete else {}
    return {alpha: sample for alpha, sample in found.items() if sample is not None}


def sweep_cells(column: str, sweep: Mapping[float, Sample]) -> Iterator[Cell]:
    """Yield a column's value at each alpha, the best alpha with its interval, and each alpha's share of best."""
    usable = {alpha: sample for alpha, sample in sweep.items() if math.isfinite(sample.value)}
    for alpha, sample in sweep.items():
        yield sample_cell(str(alpha), column, sample, "judge", note=alpha_judge(alpha))
    if not usable:
        return
    alphas, shares = np.array(list(usable)), best_shares([sample.draws for sample in usable.values()])
    best = max(usable, key=lambda alpha: usable[alpha].value)
    low, high = (_weighted_quantile(alphas, shares, level) for level in (0.025, 0.975))
    yield cell("best alpha", column, best, low=low, high=high, n=usable[best].n)
    for alpha, share in zip(alphas, shares):
        yield cell(str(alpha), f"{column}, share best", float(share), note="share of resamples")


def best_shares(draws: Sequence[Floats]) -> Floats:
    """Return for each candidate the share of resamples in which it is best; equal values share a resample.

    `draws` are (candidates, resamples). Values are rounded first, so that equal averages count as equal everywhere.
    """
    table = np.round(np.where(np.isnan(draws), -np.inf, draws), 9)
    winners = (table == table.max(axis=0)) & np.isfinite(table)
    counts = winners.sum(axis=0)
    if not counts.any():
        return np.full(len(table), NAN)
    return (winners[:, counts > 0] / counts[counts > 0]).mean(axis=1)


def _weighted_quantile(values: Floats, weights: Floats, level: float) -> float:
    """The smallest value at which the cumulated weight reaches the level; NaN when there are no weights."""
    if np.isnan(weights).any():
        return NAN
    return float(values[min(int(np.searchsorted(np.cumsum(weights), level - 1e-12)), len(values) - 1)])
