"""Tables 5, 6 and 17: what judges and merges reach on each benchmark and on the average of each format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from .. import metrics
from ..data.catalogue import DIRECT_BENCHMARKS, PAIR_BENCHMARKS
from ..metrics import Comparison, Interval
from ..paper import published_table
from .cells import Cell, cells_table, difference_cells, interval_cell
from .measures import (
    RESEARCH_DIRECT,
    RESEARCH_PAIR,
    compare_averages,
    compare_judges,
    judge_measured,
    measure_unit,
    measured,
    position_consistency,
    rater_of,
)
from .published import (
    AVERAGE_UNITS,
    CONSISTENCY,
    DIRECT_AVERAGE,
    OVERALL,
    PAIR_AVERAGE,
    accuracy_column,
    average_places,
    average_units,
    measure_column,
    published_cells,
)
from .rows import BLIND, CEILINGS, ORACLE, Answers, run_limits
from .run import Run, once_per_run
from .truth import (
    DIRECT_ERROR,
    DIRECT_TRUTH,
    ERROR,
    EXACT,
    OVERALL_TRUTH,
    PAIR_RIGHT,
    PAIR_TRUTH,
    TRUTH_UNITS,
    judge_against_truth,
    row_against_truth,
    truth_average,
    truth_cells,
    truth_column,
    truth_differences,
)

if TYPE_CHECKING:
    from ..scale import Scale

REFERENCE_JUDGE = "linear"  # Table 17 compares every merge with it
_CEILINGS = {ORACLE: CEILINGS}
_FLOORS = {  # one name for what no trained judge says, in both formats
    BLIND: (BLIND,),
    "random": ("random score", "random"),
    "length": ("response length", "longer wins"),
    "closeness to reference": ("similarity to reference", "closer to reference"),
}


@once_per_run
def table_5(run: Run) -> pd.DataFrame:
    """Table 5: prompting, single-format training, joint training and merging, with averages of three benchmarks.

    >>> from prometheus_lib.tables import example_run
    >>> cells = table_5(example_run())
    >>> sorted(set(cells.query("kind == 'judge'")["row"]))
    ['base', 'linear']
    """
    merged = (run.scale.merged_judge, "dare-linear", "task-arithmetic-default")
    judges = dict.fromkeys(("base", "direct", "pairwise", "joint", "joint-half", *merged))
    return _average_table(run, "5", judges, RESEARCH_DIRECT, RESEARCH_PAIR)


@once_per_run
def table_6(run: Run) -> pd.DataFrame:
    """Table 6: merging two formats against merging two experts of one format that differ in their seed.

    >>> from prometheus_lib.tables import example_run
    >>> cells = table_6(example_run())
    >>> cells.query("kind == 'published'")["row"].nunique()
    6
    """
    judges = ("base", "direct", "pairwise", "direct+direct", "pairwise+pairwise", run.scale.merged_judge)
    return _average_table(run, "6", judges, RESEARCH_DIRECT, RESEARCH_PAIR)


def _average_table(
    run: Run, number: str, judges: Iterable[str], direct: Sequence[str], pair: Sequence[str]
) -> pd.DataFrame:
    cells = [each for row in _judge_rows(run, judges) for each in _average_row(run, row, direct, pair)]
    cells += [each for row in _trivial_rows(run) for each in _average_row(run, row, direct, pair)]
    return cells_table(number, [*cells, *published_cells(number, average_places(run, number), average_units(number))])


class AverageRow(NamedTuple):
    """A row that spans benchmarks: what it reaches on one of them by a rater (human or not; None: not judged).

    `against_truth` gives the same by each measure against the truth, nothing where that is not known; `consistency` how
    many pairs are decided alike in both orders, None where only one was asked.
    """

    row: str
    kind: str
    measured: Callable[[str, bool], Interval | None]
    against_truth: Callable[[str], Mapping[str, Interval]]
    consistency: Callable[[str], Interval | None] = lambda name: None


def _judge_rows(run: Run, judges: Iterable[str]) -> list[AverageRow]:
    return [
        AverageRow(
            judge, "judge", partial(judge_measured, run, judge), partial(judge_against_truth, run, judge),
            partial(position_consistency, run, judge),
        )
        for judge in judges
    ]  # fmt: skip


def _trivial_rows(run: Run) -> list[AverageRow]:
    """The oracle as ceiling, and as floors who ignores the rubric and the trivial judges that both formats have."""

    def named(names: Sequence[str], name: str) -> Answers | None:
        return next((row for row in run_limits(run, name) if row.row in names), None)

    def found(names: Sequence[str], name: str, human: bool) -> Interval | None:
        row = named(names, name)
        return None if row is None else measured(run, name, row, rater_of(run, name, human))

    def truly(names: Sequence[str], name: str) -> Mapping[str, Interval]:
        row = named(names, name)
        return {} if row is None else row_against_truth(run, name, row)

    kinds = {**dict.fromkeys(_CEILINGS, "ceiling"), **dict.fromkeys(_FLOORS, "floor")}
    return [
        AverageRow(title, kinds[title], partial(found, names), partial(truly, names))
        for title, names in {**_CEILINGS, **_FLOORS}.items()
    ]


def _average_row(
    run: Run, row: AverageRow, direct: Sequence[str], pair: Sequence[str], human: bool = False, overall: bool = False
) -> list[Cell]:
    """One row's cells: each benchmark, the average of each format and, with `overall`, Table 17's last column."""
    found = {name: row.measured(name, human) for name in run.present((*direct, *pair))}
    if all(each is None for each in found.values()):
        return []
    cells, averages = _truth_row(run, row, direct, pair, overall), {}
    for names, column in ((direct, DIRECT_AVERAGE), (pair, PAIR_AVERAGE)):
        unit = AVERAGE_UNITS[column]
        for name in run.present(names):
            place = measure_column(name, run.items[name], human and name == "flask")
            cells.append(interval_cell(row.row, place, found[name], unit, row.kind))
            if (alike := row.consistency(name)) is not None:
                cells.append(interval_cell(row.row, accuracy_column(name, CONSISTENCY), alike, "accuracy", row.kind))
        averages[column] = metrics.average([found.get(name) for name in run.asked(names)])
        cells.append(interval_cell(row.row, column, averages[column], unit, row.kind))
    parts = {"corrected": averages[DIRECT_AVERAGE], "as printed": found.get("feedback_bench")} if overall else {}
    for variant, part in parts.items():
        both = metrics.average([part and part.times(100), averages[PAIR_AVERAGE]])
        cells.append(interval_cell(row.row, OVERALL, both, AVERAGE_UNITS[OVERALL], row.kind, variant=variant))
    return cells


def _truth_row(
    run: Run, row: AverageRow, direct: Sequence[str], pair: Sequence[str], overall: bool = False
) -> list[Cell]:
    """One row's cells against the truth: each benchmark, the averages and, with `overall`, the mean of both formats."""
    found = {name: row.against_truth(name) for name in run.present((*direct, *pair))}
    cells = [
        cell for name, each in found.items() for cell in truth_cells(name, row.row, each, row.kind)
        if cell.unit != "error"
    ]  # fmt: skip
    parts = ((direct, EXACT, DIRECT_TRUTH), (direct, ERROR, DIRECT_ERROR), (pair, PAIR_RIGHT, PAIR_TRUTH))
    averages = {
        column: metrics.average([found.get(name, {}).get(measure) for name in run.asked(names)])
        for names, measure, column in parts
    }
    if overall:
        averages[OVERALL_TRUTH] = metrics.average([averages[DIRECT_TRUTH], averages[PAIR_TRUTH]])
    known = {column: each for column, each in averages.items() if each is not None}
    return cells + [
        interval_cell(row.row, column, each, TRUTH_UNITS[column], row.kind) for column, each in known.items()
    ]


def merge_names(scale: Scale) -> list[str]:
    """Return the merges of Table 17: both formats at alpha 0.5, matched and default weights.

    >>> from prometheus_lib.scale import load_scale
    >>> merge_names(load_scale("mini"))[:3]
    ['linear', 'slerp', 'task-arithmetic']
    """
    return [m.name for m in scale.merges if (m.first, m.second, m.alpha) == ("direct", "pairwise", 0.5)]


@once_per_run
def table_17(run: Run) -> pd.DataFrame:
    """Table 17: merging methods on all eight benchmarks, and each method's paired difference to linear merging.

    By the truth first, where items carry it; differences by the truth and by the raters are corrected by themselves.
    Linear, SLERP and TIES have no "-default" row: they normalise, so the weights (1, 1) give the same model. "Overall
    average" is the mean of the two averages, the direct one x 100 ("corrected"), and the rule the printed column
    follows ("as printed": Feedback Bench alone x 100 with the pairwise average).

    >>> from prometheus_lib.tables import example_run
    >>> cells = table_17(example_run())
    >>> cells.query("row == 'LINEAR' and column == 'Overall average'")[["variant", "value"]].values.tolist()
    [['corrected', 71.63], ['as printed', 82.93]]
    """
    run, cells = run.of(*merge_names(run.scale)), []
    for row in _judge_rows(run, merge_names(run.scale)):
        found = _average_row(run, row, DIRECT_BENCHMARKS, PAIR_BENCHMARKS, human=True, overall=True)
        cells += _with_same_note(found)
    cells += [*_truth_differences(run), *_merge_differences(run)]
    for row in _trivial_rows(run):
        cells += _average_row(run, row, DIRECT_BENCHMARKS, PAIR_BENCHMARKS, human=True)
    return cells_table("17", [*cells, *_published_17(run)])


def _with_same_note(cells: list[Cell]) -> list[Cell]:
    note = "the weights (1, 1) give the same model"
    return [replace(each, note=note) if each.row in ("linear", "slerp", "ties") else each for each in cells]


def _truth_differences(run: Run) -> list[Cell]:
    """Each merge minus linear by the truth, on every benchmark and both averages; corrected over these."""
    pairs = [(judge, REFERENCE_JUDGE) for judge in merge_names(run.scale) if judge != REFERENCE_JUDGE]
    found: dict[tuple[str, str], Comparison] = {}
    for names, measure, column in ((DIRECT_BENCHMARKS, EXACT, DIRECT_TRUTH), (PAIR_BENCHMARKS, PAIR_RIGHT, PAIR_TRUTH)):
        for name in run.present(names):
            for (one, other), compared in truth_differences(run, pairs, name).items():
                found[f"{one} - {other}", truth_column(name, measure)] = compared
        for one, other in pairs:
            averages = [truth_average(run, judge, names) for judge in (one, other)]
            if None not in averages:
                found[f"{one} - {other}", column] = metrics.compare_intervals(*averages)
    return difference_cells(found, "points")


def _merge_differences(run: Run) -> list[Cell]:
    """Each merge minus linear on every benchmark and both averages; p-values Holm-corrected over the whole table."""
    others = [judge for judge in merge_names(run.scale) if judge != REFERENCE_JUDGE]
    found, units = {}, dict(AVERAGE_UNITS)
    for judge in others:
        row = f"{judge} - {REFERENCE_JUDGE}"
        for names, column in ((DIRECT_BENCHMARKS, DIRECT_AVERAGE), (PAIR_BENCHMARKS, PAIR_AVERAGE)):
            for name in run.present(names):
                place = measure_column(name, run.items[name], name == "flask")
                units[place] = measure_unit(name)
                found[row, place] = compare_judges(run, judge, REFERENCE_JUDGE, name, human=True)
            if run.present(names) == list(names):
                found[row, column] = compare_averages(run, judge, REFERENCE_JUDGE, names, human=True)
    return difference_cells(found, units)


def _published_17(run: Run) -> list[Cell]:
    """Table 17 as printed, with the overall average that follows from its own columns beside the printed one."""
    cells = published_cells("17", average_places(run, "17"), average_units("17"))
    cells = [replace(each, variant="as printed") if each.column == OVERALL else each for each in cells]
    wide = published_table(17)
    headings = ("DIRECT ASSESSMENT BENCHMARKS | Average", "PAIRWISE RANKING BENCHMARKS | Average")
    means = (100 * wide[headings[0]] + wide[headings[1]]) / 2
    more = {"unit": "percent", "kind": "published", "note": "recomputed from the two printed averages"}
    return [*(Cell(row, OVERALL, mean, variant="corrected", **more) for row, mean in means.items()), *cells]
