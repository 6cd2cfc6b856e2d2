"""Figure 3, the sweep over alpha; and Table 17 and Figure 3 run twice, for two pairs of experts.

Both pairs are merged in the same ways and judged on the same items, with as many judgments. A difference between two
merges of one pair of experts may be the luck of one training run, which no interval over items can know. Here each
merge exists for both pairs (and DARE-linear with a second mask), all are judged on the benchmarks of `SEED_BENCHMARKS`,
and the mean over both pairs resamples instructions *and* pairs. Two pairs are few: they show whether training runs
matter, not exactly how much.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import pandas as pd

from .. import metrics
from ..data.catalogue import DIRECT_BENCHMARKS, PAIR_BENCHMARKS, SEED_BENCHMARKS
from ..merging.catalogue import ALPHAS, SECOND_MASK, SECOND_RUN, SEED_ALPHAS, SEED_METHODS, TABLE_10_MERGES, alpha_judge
from ..metrics import Comparison, Interval
from .averages import REFERENCE_JUDGE
from .cells import Cell, cells_table, difference_cells, interval_cell
from .measures import judge_average, judge_measured
from .published import AVERAGE_UNITS, DIRECT_AVERAGE, OVERALL, PAIR_AVERAGE
from .run import Run, once_per_run
from .truth import DIRECT_TRUTH, OVERALL_TRUTH, PAIR_TRUTH, TRUTH_UNITS, truth_average

PAIRS = {"experts 1": "", "experts 2": SECOND_RUN}
FIRST, BOTH = "experts 1", "both"
FORMATS = {
    DIRECT_AVERAGE: [name for name in SEED_BENCHMARKS if name in DIRECT_BENCHMARKS],
    PAIR_AVERAGE: [name for name in SEED_BENCHMARKS if name in PAIR_BENCHMARKS],
}
MASK, RUN = "another mask", "another run"

Runs = Mapping[str, Interval | None]


# --- Figure 3 --------------------------------------------------------------------------------------------------------


@once_per_run
def figure_3(run: Run) -> pd.DataFrame:
    """Figure 3: averages of the direct and the pairwise benchmarks for each alpha, and where they are best.

    By the truth first, where items carry it, then by the raters.

    Row "best alpha" gives the best alpha with the interval of its bootstrap distribution; the columns "..., share
    best" give that distribution (equal values share a resample).

    >>> from prometheus_lib.tables import example_run
    >>> cells = figure_3(example_run())
    >>> cells.query("row == 'best alpha' and kind == 'published'")["value"].tolist()
    [0.5, 0.3]
    """
    run, cells = run.of(*map(alpha_judge, ALPHAS)), []
    plans = ((DIRECT_BENCHMARKS, DIRECT_AVERAGE, 0.5), (PAIR_BENCHMARKS, PAIR_AVERAGE, 0.3))
    sweeps = {column: _alpha_sweep(run, names) for names, column, _ in plans}
    sweeps[OVERALL] = _overall(sweeps[DIRECT_AVERAGE], sweeps[PAIR_AVERAGE])
    for column, sweep in {**_truth_sweeps(run), **sweeps}.items():
        cells += _sweep_cells(column, sweep, {**AVERAGE_UNITS, **TRUTH_UNITS}[column])
    more = {"unit": "alpha", "kind": "published", "note": "stated in section 6.3; the paper gives no interval"}
    cells += [Cell("best alpha", column, alpha, **more) for _, column, alpha in plans]
    return cells_table("figure_3", cells)


def _alpha_sweep(run: Run, names: Sequence[str]) -> dict[float, Interval]:
    names = run.asked(names)
    if run.present(names) != names:
        return {}
    judges = {alpha: alpha_judge(alpha) for alpha in ALPHAS}
    found = {a: metrics.average([judge_measured(run, judge, name) for name in names]) for a, judge in judges.items()}
    return {alpha: each for alpha, each in found.items() if each is not None}


def _truth_sweeps(run: Run) -> dict[str, dict[float, Interval]]:
    """The same averages against the truth; no column where items carry none."""
    plans = ((DIRECT_BENCHMARKS, DIRECT_TRUTH), (PAIR_BENCHMARKS, PAIR_TRUTH))
    sweeps = {
        column: {alpha: truth_average(run, alpha_judge(alpha), names, run.scale.resamples) for alpha in ALPHAS}
        for names, column in plans
    }
    known = {column: {a: each for a, each in sweep.items() if each is not None} for column, sweep in sweeps.items()}
    scoring, ranking = known.values()
    both = {alpha: metrics.average([scoring[alpha], ranking[alpha]]) for alpha in scoring if alpha in ranking}
    return {column: sweep for column, sweep in {**known, OVERALL_TRUTH: both}.items() if sweep}


def _overall(direct: Mapping[float, Interval], pair: Mapping[float, Interval]) -> dict[float, Interval]:
    """The mean of both formats' averages, the direct one x 100, at each alpha that both have."""
    return {alpha: metrics.average([direct[alpha].times(100), pair[alpha]]) for alpha in direct if alpha in pair}


def _sweep_cells(
    column: str, sweep: Mapping[float, Interval], unit: str, judge: Callable[[float], str] = alpha_judge
) -> Iterator[Cell]:
    """Yield a column's value at each alpha, the best alpha with its interval, and each alpha's share of best."""
    usable = {alpha: found for alpha, found in sweep.items() if math.isfinite(found.estimate)}
    for alpha, found in sweep.items():
        yield interval_cell(str(alpha), column, found, unit, "judge", note=judge(alpha))
    if not usable:
        return
    best, low, high, shares = metrics.best_candidate(usable)
    if usable[best].n_clusters < metrics.FEWEST_CLUSTERS:
        low = high = math.nan
    yield Cell("best alpha", column, best, low=low, high=high, n=usable[best].n, unit="alpha")
    for alpha, share in zip(usable, shares):
        yield Cell(str(alpha), f"{column}, share best", float(share), unit="share", note="share of resamples")


# --- two training runs -----------------------------------------------------------------------------------------------


@once_per_run
def table_17_runs(run: Run) -> pd.DataFrame:
    """Table 17 for two pairs of experts: averages of each merge, and its paired differences to linear merging.

    Columns are an average and the pair of experts, or "both" for the mean over pairs. Tested, with p-values corrected
    together, are the differences to linear over both pairs, what another run or mask alone changes (rows "<merge>,
    another run"), and Table 10's recipe for the 8x7B judge in its two readings. The other differences of one pair are
    shown with their intervals.

    >>> from prometheus_lib.tables import example_run
    >>> cells = table_17_runs(example_run())
    >>> cells.query("row == 'linear' and column == 'Direct average | experts 2'")["note"].item()
    'not judged'
    """
    run = run.of(REFERENCE_JUDGE, *SEED_METHODS)
    cells: list[Cell] = []
    tested: dict[tuple[str, str], Comparison | None] = {}
    for format in FORMATS:
        linear = averages_by_pair(run, REFERENCE_JUDGE, format)
        for merge in (REFERENCE_JUDGE, *SEED_METHODS):
            found = averages_by_pair(run, merge, format)
            cells += _values(merge, format, found, run)
            tested[f"{merge}, {RUN}", runs_column(format, BOTH)] = _compare(found["experts 2"], found["experts 1"])
            if merge != REFERENCE_JUDGE:
                row, both = f"{merge} - {REFERENCE_JUDGE}", "paired bootstrap by cluster and run"
                cells += _one_pair(row, format, found, linear)
                tested[row, runs_column(format, BOTH)] = _compare(found[BOTH], linear[BOTH], both)
        first, second = (
            judge_average(run, name, FORMATS[format]) for name in ("dare-linear", f"dare-linear{SECOND_MASK}")
        )
        tested[f"dare-linear, {MASK}", runs_column(format, FIRST)] = _compare(second, first)
        for merge in TABLE_10_MERGES:
            sample = judge_average(run, merge, FORMATS[format])
            cells += _values(merge, format, {FIRST: sample}, run)
            tested[f"{merge} - {REFERENCE_JUDGE}", runs_column(format, FIRST)] = _compare(sample, linear[FIRST])
    return cells_table("table_17_runs", [*cells, *difference_cells(tested, _UNITS)])


@once_per_run
def figure_3_runs(run: Run) -> pd.DataFrame:
    """Figure 3 for two pairs of experts, and where the best alpha lies for each, over both, and in both formats.

    As `figure_3`, with the pair of experts in the column's name; under "both" every resample draws
    instructions and pairs anew, so that the interval of the best alpha knows of both.

    >>> from prometheus_lib.tables import example_run
    >>> cells = figure_3_runs(example_run())
    >>> cells["column"].unique()[0]
    'Direct average | experts 1'
    """
    run, cells = run.of(*map(alpha_judge, SEED_ALPHAS)), []
    runs = {format: {alpha: averages_by_pair(run, alpha, format) for alpha in SEED_ALPHAS} for format in FORMATS}
    for label in (*PAIRS, BOTH):
        curves = {
            format: {a: r[label] for a, r in each.items() if r[label] is not None} for format, each in runs.items()
        }
        curves[OVERALL] = _overall(curves[DIRECT_AVERAGE], curves[PAIR_AVERAGE])
        for format, curve in curves.items():
            judge = partial(alpha_judge, run=PAIRS.get(label, ""))
            cells += _sweep_cells(runs_column(format, label), curve, AVERAGE_UNITS[format], judge)
    return cells_table("figure_3_runs", cells)


def runs_column(format: str, label: str) -> str:
    """Return the column of an average for a pair of experts ("experts 1", "experts 2") or "both"."""
    return f"{format} | {label}"


_UNITS = {runs_column(format, label): AVERAGE_UNITS[format] for format in FORMATS for label in (*PAIRS, BOTH)}


# --- averages of one merge -------------------------------------------------------------------------------------------


def averages_by_pair(run: Run, merge: str | float, format: str) -> dict[str, Interval | None]:
    """Return a merge's average for each pair of experts and over both; a number is linear merging at that alpha."""
    name = merge if isinstance(merge, str) else alpha_judge(merge)
    found = {label: judge_average(run, f"{name}{suffix}", FORMATS[format]) for label, suffix in PAIRS.items()}
    known = [sample for sample in found.values() if sample is not None]
    return {**found, BOTH: metrics.average_over_runs(known, run.scale.seed) if len(known) == len(PAIRS) else None}


# --- cells and differences -------------------------------------------------------------------------------------------


def _values(row: str, format: str, found: Runs, run: Run) -> list[Cell]:
    named = {runs_column(format, label): sample for label, sample in found.items()}
    resamples, unit = run.scale.resamples, AVERAGE_UNITS[format]
    return [interval_cell(row, place, sample, unit, "judge", resamples) for place, sample in named.items()]


def _one_pair(row: str, format: str, found: Runs, linear: Runs) -> Iterator[Cell]:
    for label in PAIRS:
        each = _compare(found[label], linear[label])
        if each is not None:
            spread = {"low": each.low, "high": each.high, "n": each.n, "note": "one run, not tested"}
            more = {"unit": AVERAGE_UNITS[format], "kind": "difference", **spread}
            yield Cell(row, runs_column(format, label), each.difference, **more)


def _compare(
    one: Interval | None, two: Interval | None, test: str = "paired bootstrap by cluster"
) -> Comparison | None:
    return None if one is None or two is None else metrics.compare_intervals(one, two, test)
