"""Tables 5, 6 and 17 and Figure 3: averages over benchmarks, merging methods, and the sweep over alpha."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from .. import metrics
from ..data.catalogue import DIRECT_BENCHMARKS, PAIR_BENCHMARKS
from ..merging.catalogue import ALPHAS, alpha_judge
from ..metrics import Comparison, Interval
from ..paper import published_table
from .cells import (
    COMPARISON_RESAMPLES,
    Answers,
    Cell,
    ceilings,
    cell,
    cells_table,
    cluster_numbers,
    difference_cells,
    human_rater,
    labels,
    raters,
    run_floors,
    run_gold,
    sample_cell,
)
from .published import DIRECT_AVERAGE, OVERALL, PAIR_AVERAGE, average_places, measure_column, published_cells
from .run import Run

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
        averages[column] = metrics.average([samples.get(name) for name in names])
        cells.append(sample_cell(row.row, column, averages[column], row.kind))
    parts = {"corrected": averages[DIRECT_AVERAGE], "as printed": samples.get("feedback_bench")} if overall else {}
    for variant, part in parts.items():
        both = metrics.average([percent(part), averages[PAIR_AVERAGE]])
        cells.append(sample_cell(row.row, OVERALL, both, row.kind, variant=variant))
    return cells


def _row_sample(
    run: Run, row: AverageRow, name: str, human: bool = False, resamples: int | None = None
) -> Interval | None:
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


def benchmark_sample(
    run: Run, name: str, answers: Answers, rater: str | None, resamples: int | None = None
) -> Interval:
    """Pearson with a rater, or accuracy in percent without gold ties, with all resamples."""
    items, options = run.items[name], {**run.options(name, resamples), "paired": True}
    groups = cluster_numbers(run, items)
    if rater is not None:
        gold = run_gold(run, name, rater)
        return metrics.bootstrap_correlation(answers.values, gold, groups, **options).with_unparsed(answers.unparsed)
    credits = 100 * metrics.item_credits(answers.values, labels(items), "gold dropped")
    unparsed = int((pd.isna(answers.values) & np.isfinite(credits)).sum())
    return metrics.bootstrap_mean(credits, groups, **options).with_unparsed(unparsed)


def compare_averages(
    run: Run, first: str, second: str, names: Sequence[str], human: bool = False, resamples: int = COMPARISON_RESAMPLES
) -> Comparison | None:
    """Compare two judges' averages over benchmarks of one format, paired by instruction; None when one is missing.

    Pearson in fractions, accuracy in percent; the p-value is read off the paired bootstrap differences.
    """
    rows = _judge_rows(run, (first, second))
    samples = ([_row_sample(run, row, name, human, resamples) for name in run.present(names)] for row in rows)
    one, two = map(metrics.average, samples)
    return None if one is None or two is None else metrics.compare_intervals(one, two)


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


def percent(sample: Interval | None) -> Interval | None:
    """Return fractions in percent, so that they can be averaged with accuracies."""
    return sample and sample.times(100)


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
        return metrics.compare_correlations(one[0], two[0], run_gold(run, name, rater), **options)
    credits = (100 * metrics.item_credits(answers[0], labels(items), "gold dropped") for answers in (one, two))
    return metrics.compare_accuracies(*credits, **options)


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
    sweeps[OVERALL] = {alpha: metrics.average(pair) for alpha, pair in pairs.items()}
    for column, sweep in sweeps.items():
        cells += sweep_cells(column, sweep)
    note = "stated in section 6.3; the paper gives no interval"
    cells += [cell("best alpha", column, alpha, "published", note=note) for _, column, alpha in plans]
    return cells_table("figure_3", cells)


def _alpha_sweep(run: Run, names: Sequence[str]) -> dict[float, Interval]:
    rows = zip(ALPHAS, _judge_rows(run, map(alpha_judge, ALPHAS)))
    if run.present(names) != list(names):
        return {}
    found = {alpha: metrics.average([_row_sample(run, row, name) for name in names]) for alpha, row in rows}
    return {alpha: sample for alpha, sample in found.items() if sample is not None}


def sweep_cells(column: str, sweep: Mapping[float, Interval]) -> Iterator[Cell]:
    """Yield a column's value at each alpha, the best alpha with its interval, and each alpha's share of best."""
    usable = {alpha: sample for alpha, sample in sweep.items() if math.isfinite(sample.estimate)}
    for alpha, sample in sweep.items():
        yield sample_cell(str(alpha), column, sample, "judge", note=alpha_judge(alpha))
    if not usable:
        return
    best, low, high, shares = metrics.best_candidate(usable)
    yield cell("best alpha", column, best, low=low, high=high, n=usable[best].n)
    for alpha, share in zip(usable, shares):
        yield cell(str(alpha), f"{column}, share best", float(share), note="share of resamples")
