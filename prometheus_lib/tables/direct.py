"""Tables 3, 11, 12 and 16 and Figure 1: direct assessment, as correlations with raters."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from .. import metrics
from ..data.catalogue import DIRECT_BENCHMARKS, REFERENCE_BENCHMARKS, TITLES
from ..metrics import Comparison, Floats, Interval
from ..records import DirectItem
from .cells import COMPARISON_RESAMPLES, Cell, cells_table, difference_cells, interval_cell
from .published import (
    REFERENCE_PARTS,
    correlation_places,
    figure_1_places,
    published_cells,
    real_column,
    reference_places,
)
from .rows import (
    NO_NOISE,
    Answers,
    as_real,
    cluster_numbers,
    correlation_cell,
    human_rater,
    judge_pairs,
    judge_rows,
    other_raters,
    prompt_floor,
    rater_draws,
    rater_means,
    raters,
    run_floors,
    run_gold,
    run_limits,
)
from .run import Items, Run, once_per_run
from .truth import (
    EXACT,
    judge_against_truth,
    knows_truth,
    row_against_truth,
    truth_cells,
    truth_column,
    truth_differences,
)

Found = dict[tuple[str, str], Comparison | None]


# --- Tables 3, 11 and 12 ---------------------------------------------------------------------------------------------


@once_per_run
def table_3(run: Run) -> pd.DataFrame:
    """Table 3: exact score, mean absolute error, and Pearson of the mean of three draws with each rater's mean score.

    The measures against the truth stand first, where items carry it. Rows of kind "difference" compare the merged judge
    with each other judge, paired by item, Holm-corrected over the exact scores and over the correlations: for these
    the bootstrap by instruction decides, and Williams' test, which takes items for independent, is named.

    >>> from prometheus_lib.tables import example_run
    >>> cells = table_3(example_run())
    >>> cells.query("row == 'linear - base' and column == 'FLASK | sim-strong'")["verdict"].item()
    'too few instructions'
    """
    return _correlation_table(run, "3", "pearson", _truth_cells(run))


@once_per_run
def table_11(run: Run) -> pd.DataFrame:
    """Table 11: Kendall's tau-b, otherwise as Table 3 (differences by the bootstrap alone).

    >>> from prometheus_lib.tables import example_run
    >>> cells = table_11(example_run())
    >>> cells.query("row == 'true score'")["unit"].unique().tolist()
    ['kendall']
    """
    return _correlation_table(run, "11", "kendall")


@once_per_run
def table_12(run: Run) -> pd.DataFrame:
    """Table 12: Spearman correlation, otherwise as Table 3 (differences by the bootstrap alone).

    >>> from prometheus_lib.tables import example_run
    >>> cells = table_12(example_run())
    >>> cells.query("row == 'true score'")["unit"].unique().tolist()
    ['spearman']
    """
    return _correlation_table(run, "12", "spearman")


def _truth_cells(run: Run) -> list[Cell]:
    """Exact score and mean absolute error of judges, floors and the oracle, and the merged judge's differences."""
    cells, found = [], {}
    for name in run.present(DIRECT_BENCHMARKS):
        measured = {judge: judge_against_truth(run, judge, name) for judge in run.scale.main_judges}
        for judge, each in measured.items():
            cells += truth_cells(name, judge, each)
        for row in run_limits(run, name):
            cells += truth_cells(name, row.row, row_against_truth(run, name, row), row.kind)
        pairs = judge_pairs(run, [judge for judge, each in measured.items() if each])
        for (one, other), compared in truth_differences(run, pairs, name).items():
            found[f"{one} - {other}", truth_column(name, EXACT)] = compared
    return [*cells, *difference_cells(found, "points")]


def _correlation_table(run: Run, number: str, kind: metrics.Kind, first: Sequence[Cell] = ()) -> pd.DataFrame:
    cells, found = list(first), {}
    for name in run.present(DIRECT_BENCHMARKS):
        items = run.items[name]
        for rater in raters(items):
            column = f"{TITLES[name]} | {rater}"
            judged, differences = _judge_cells(run, name, column, rater, kind)
            limits = [*run_limits(run, name), *_yardsticks(items, rater)]
            cells += [*judged, *_limit_cells(run, name, items, column, limits, rater, kind)]
            found |= differences
    cells += difference_cells(found, kind)
    for name in ("vicuna_bench", "mt_bench"):
        if name in run.real:
            items, rater = run.real[name], "gpt-4-1106"
            limits = [*run_floors(run, name, real=True), *as_real(_yardsticks(items, rater))]
            cells += _limit_cells(run, name, items, real_column(name, rater), limits, rater, kind, "real ")
    return cells_table(number, [*cells, *published_cells(number, correlation_places(run, number), kind)])


def _judge_cells(run: Run, name: str, column: str, rater: str, kind: metrics.Kind) -> tuple[list[Cell], Found]:
    """The judges of one column, and the merged judge's differences to the others from the same resamples."""
    items, rows = run.items[name], {row.row: row for row in judge_rows(run, name, run.scale.main_judges)}
    gold = run_gold(run, name, rater)
    samples = {judge: _sample(run, name, items, row, gold, kind) for judge, row in rows.items()}
    resamples = run.scale.resamples
    cells = [interval_cell(judge, column, sample, kind, "judge", resamples) for judge, sample in samples.items()]

    def compare(first: str, second: str) -> Comparison:
        x, y = rows[first].values, rows[second].values
        if not np.array_equal(np.isfinite(x), np.isfinite(y)):  # other items, so other resamples
            options = run.options(name, COMPARISON_RESAMPLES)
            return metrics.compare_correlations(x, y, gold, kind, clusters=cluster_numbers(run, items), **options)
        found = metrics.compare_intervals(samples[first], samples[second])
        return metrics.with_item_test(found, x, y, gold) if kind == "pearson" else found

    return cells, {(f"{one} - {other}", column): compare(one, other) for one, other in judge_pairs(run, rows)}


def _sample(run: Run, name: str, items: Items, row: Answers, gold: Floats, kind: metrics.Kind) -> Interval:
    """A judge's correlation with enough resamples for comparisons; the table's interval takes the first of them."""
    options = run.options(name, max(COMPARISON_RESAMPLES, run.scale.resamples))
    found = metrics.bootstrap_correlation(row.values, gold, cluster_numbers(run, items), kind, **options)
    return found.with_unparsed(row.unparsed)


def _limit_cells(
    run: Run,
    name: str,
    items: Sequence[DirectItem],
    column: str,
    rows: Iterable[Answers],
    rater: str,
    kind: metrics.Kind,
    where: str = "",
) -> list[Cell]:
    """Floors and ceilings of one column; one of the rater's draws against its others; what its noise leaves to reach.

    `where` is "real " for a real file.
    """
    gold, draws = rater_means(items, rater), rater_draws(items, rater)
    cells = [correlation_cell(run, name, items, column, row, gold, kind) for row in rows]
    if draws.shape[1] > 1:
        one = Answers(f"one draw of {rater}", f"{where}rater", draws[:, 0])
        others, note = metrics.mean_scores(draws[:, 1:]), "against the mean of its other draws"
        cells.append(correlation_cell(run, name, items, column, one, others, kind, note=note))
        if kind == "pearson":
            cells.append(_noise_cell(run, name, items, column, draws, f"{where}ceiling"))
    return cells


def _yardsticks(items: Sequence[DirectItem], rater: str) -> list[Answers]:
    """The other raters and, on items without truth, the score that a prompt's other answers got."""
    others = other_raters(items, rater)
    return others if knows_truth(items) else [*others, *prompt_floor(items, rater)]


def _noise_cell(run: Run, name: str, items: Items, column: str, draws: Floats, kind: str) -> Cell:
    """Pearson that a judge reaches with the mean of a rater's draws if it knows what all draws have in common."""
    groups, options = cluster_numbers(run, items), {**run.options(name), "paired": True}
    pairs = itertools.combinations(draws.T, 2)
    between = metrics.average([metrics.bootstrap_correlation(one, two, groups, **options) for one, two in pairs])
    count, n = draws.shape[1], int(np.isfinite(draws).all(axis=1).sum())
    reached = [metrics.noise_ceiling(each, count) for each in between.draws]
    limit = metrics.noise_ceiling(between.estimate, count)
    found = metrics.interval_of_draws(limit, np.array(reached), n, between.n_clusters)
    note = f"sqrt(k r / (1 + (k - 1) r)) with k = {count} draws and r = {between.estimate:.3f} between two of them"
    return interval_cell(NO_NOISE, column, found, "pearson", kind, note=note)


# --- Figure 1 --------------------------------------------------------------------------------------------------------


@once_per_run
def figure_1(run: Run) -> pd.DataFrame:
    """Figure 1: Pearson correlation between all raters and judges on the FLASK-like benchmark, floors as further rows.

    Differences and draw against draw stand under each rater, as in Table 3.

    >>> from prometheus_lib.tables import example_run
    >>> cells = figure_1(example_run())
    >>> cells.query("row == 'linear' and column == 'linear'")["value"].round(6).item()
    1.0
    """
    name, cells = "flask", []
    if name in run.items:
        items = run.items[name]
        rows = [Answers(rater, "rater", rater_means(items, rater)) for rater in raters(items)]
        rows += judge_rows(run, name, run.scale.main_judges)
        cells = _matrix_cells(run, name, rows)
        for floor, other in itertools.product(run_floors(run, name), rows):
            cells.append(_pair_cell(run, name, floor, other))
        found: Found = {}
        for rater in raters(items):
            cells += _limit_cells(run, name, items, rater, [], rater, "pearson")
            found |= _judge_cells(run, name, rater, rater, "pearson")[1]
        cells += difference_cells(found, "pearson")
    return cells_table("figure_1", [*cells, *published_cells("3", figure_1_places(run), "pearson")])


def _matrix_cells(run: Run, name: str, rows: Sequence[Answers]) -> list[Cell]:
    """Every row against every row; the matrix is symmetric, so each half serves the other."""
    half = {(i, j): _pair_cell(run, name, rows[i], rows[j]) for j in range(len(rows)) for i in range(j + 1)}
    named = {(i, j): {"row": rows[i].row, "column": rows[j].row, "kind": rows[i].kind} for i, j in _square(len(rows))}
    return [replace(half[min(place), max(place)], **named[place]) for place in _square(len(rows))]


def _square(size: int) -> list[tuple[int, int]]:
    return list(itertools.product(range(size), range(size)))


def _pair_cell(run: Run, name: str, one: Answers, other: Answers) -> Cell:
    unparsed = one.unparsed + other.unparsed
    items = run.items[name]
    return correlation_cell(run, name, items, other.row, one, other.values, "pearson", unparsed=unparsed)


# --- Table 16 --------------------------------------------------------------------------------------------------------


@once_per_run
def table_16(run: Run) -> pd.DataFrame:
    """Table 16: Pearson with the humans' stand-in, reference-free and reference-based, and the paired difference.

    >>> from prometheus_lib.tables import example_run
    >>> cells = table_16(example_run())
    >>> cells.query("row == 'linear'")["column"].tolist()[:3]
    ['BiGGen Bench | reference-free', 'BiGGen Bench | reference-based', 'BiGGen Bench | difference']
    """
    cells, found = [], {}
    for name in run.present(REFERENCE_BENCHMARKS):
        items, rater = run.items[name], human_rater(run.items[name])
        gold, column = rater_means(items, rater), f"{TITLES[name]} | "
        for judge in run.scale.main_judges:
            both = [run.scores(judge, name, with_reference) for with_reference in (False, True)]
            if any(scores is None for scores in both):
                continue
            free, based = (metrics.mean_scores(scores) for scores in both)
            for part, values, scores in zip(REFERENCE_PARTS, (free, based), both):
                row = Answers(judge, "judge", values, int(np.isnan(scores).sum()))
                cells.append(correlation_cell(run, name, items, column + part, row, gold, "pearson"))
            options = {"clusters": cluster_numbers(run, items), **run.options(name, COMPARISON_RESAMPLES)}
            found[judge, column + REFERENCE_PARTS[2]] = metrics.compare_correlations(
                based, free, gold, "pearson", **options
            )
        cells += _reference_limits(run, name, rater)
    cells += difference_cells(found, "pearson", "judge")
    return cells_table("16", [*_by_column(cells), *published_cells("16", reference_places(), "pearson")])


def _reference_limits(run: Run, name: str, rater: str) -> list[Cell]:
    """Floors and ceilings; what compares with the reference answer exists only where one is shown."""
    items, cells = run.items[name], []
    for part in REFERENCE_PARTS[:2]:
        based = part == "reference-based"
        rows = [*_yardsticks(items, rater), *run_limits(run, name, with_reference=based)]
        shown = [row for row in rows if based or row.row != "similarity to reference"]
        cells += _limit_cells(run, name, items, f"{TITLES[name]} | {part}", shown, rater, "pearson")
    return cells


def _by_column(cells: list[Cell]) -> list[Cell]:
    """Sort cells so that each benchmark's difference stands beside its two correlations."""
    order = [f"{TITLES[name]} | {part}" for name in REFERENCE_BENCHMARKS for part in REFERENCE_PARTS]
    return sorted(cells, key=lambda each: order.index(each.column))
