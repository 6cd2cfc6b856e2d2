"""What a judge reaches against the truth, where the items carry it: the primary measures of the miniature world.

Exact score and mean absolute error for direct assessment, pair right for pairwise ranking; as intervals whose resamples
are paired with those of every other measure of the same benchmark. Real items carry no truth: every function gives None
there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import metrics
from ..data import minibench
from ..data.catalogue import PAIR_BENCHMARKS, TITLES
from ..metrics import Comparison, Floats, Interval
from ..records import SCORES
from .cells import COMPARISON_RESAMPLES, Cell, interval_cell
from .published import DIRECT_AVERAGE, OVERALL, PAIR_AVERAGE
from .rows import Answers, cluster_numbers
from .run import Items, Run

EXACT, ERROR, PAIR_RIGHT = "exact score", "mean absolute error", "pair right"
MEASURE_UNITS = {EXACT: "exact", ERROR: "error", PAIR_RIGHT: "right"}
DIRECT_TRUTH, DIRECT_ERROR = f"{DIRECT_AVERAGE} | {EXACT}", f"{DIRECT_AVERAGE} | {ERROR}"
PAIR_TRUTH, OVERALL_TRUTH = f"{PAIR_AVERAGE} | {PAIR_RIGHT}", f"{OVERALL} | {EXACT} and {PAIR_RIGHT}"
TRUTH_UNITS = {DIRECT_TRUTH: "exact", DIRECT_ERROR: "error", PAIR_TRUTH: "right", OVERALL_TRUTH: "percent"}


def knows_truth(items: Items) -> bool:
    """Return whether every item carries its truth, as those of the miniature world do.

    >>> from prometheus_lib.tables import example_run
    >>> knows_truth(example_run().items["flask"])
    True
    """
    return all("true_score" in item.meta or "true_a" in item.meta for item in items)


def true_scores(items: Items) -> Floats:
    """Return the true score of each direct item (items,).

    >>> from prometheus_lib.tables import example_run
    >>> sorted(set(true_scores(example_run().items["feedback_bench"]).tolist()))
    [1.0, 2.0, 3.0, 4.0, 5.0]
    """
    return np.array([item.meta["true_score"] for item in items], dtype=float)


def true_decisions(items: Items) -> NDArray[np.object_]:
    """Return "A", "B" or "tie" by the true scores of each pair (items,).

    >>> from prometheus_lib.tables import example_run
    >>> sorted(set(true_decisions(example_run().items["preference_bench"])))
    ['A', 'B']
    """
    return np.array([minibench.true_decision(item) for item in items], dtype=object)


# --- one judge, one benchmark ----------------------------------------------------------------------------------------


def exact_score(
    run: Run, judge: str, name: str, with_reference: bool = True, resamples: int | None = None
) -> Interval | None:
    """Return how many of a judge's draws are the true score, in percent; an unparsed draw is not.

    None where the judge has not answered or the items carry no truth. `resamples`: default the scale's.

    >>> from prometheus_lib.tables import example_run
    >>> exact_score(example_run(), "linear", "flask").estimate
    100.0
    """
    scores = run.scores(judge, name, with_reference)
    return None if scores is None else exact_interval(run, name, scores, resamples)


def score_error(
    run: Run, judge: str, name: str, with_reference: bool = True, resamples: int | None = None
) -> Interval | None:
    """Return a judge's mean distance from the true score, in score points, over the draws that could be read.

    >>> from prometheus_lib.tables import example_run
    >>> run = example_run()
    >>> score_error(run, "linear", "flask").estimate, score_error(run, "base", "flask").estimate > 1
    (0.0, True)
    """
    scores = run.scores(judge, name, with_reference)
    return None if scores is None else error_interval(run, name, scores, resamples)


def pair_right(run: Run, judge: str, name: str, order: str = "ab", resamples: int | None = None) -> Interval | None:
    """Return how often a judge picks the truly better response, in percent of the pairs where one is better.

    An unparsed decision, and a tie, is not right. None where the judge has not answered or the items carry no truth.

    >>> from prometheus_lib.tables import example_run
    >>> pair_right(example_run(), "linear", "autoj_eval").estimate
    100.0
    """
    choices = run.choices(judge, name, order)
    return None if choices is None else right_interval(run, name, choices, resamples)


def truth_credits(run: Run, judge: str, name: str) -> Floats | None:
    """Return what a judge earns on each item, in percent (items,): `exact_score` and `pair_right` are its means.

    NaN for a pair whose responses are truly alike. None where the judge has not answered or the items carry no truth.

    >>> from prometheus_lib.tables import example_run
    >>> sorted(set(truth_credits(example_run(), "base", "preference_bench").tolist()))
    [0.0, 100.0]
    """
    items, pairs = run.items[name], name in PAIR_BENCHMARKS
    answers = run.choices(judge, name) if pairs else run.scores(judge, name)
    if answers is None or not knows_truth(items):
        return None
    if pairs:
        return 100 * metrics.item_credits(answers, true_decisions(items), "gold dropped")
    return 100 * metrics.exact_credits(answers, true_scores(items))


def truth_differences(run: Run, pairs: Sequence[tuple[str, str]], name: str) -> dict[tuple[str, str], Comparison]:
    """Compare pairs of judges in `truth_credits` on one benchmark, in percentage points; pairs not judged are left out.

    The interval is a paired bootstrap, the test exchanges the two judges in whole instructions.

    >>> from prometheus_lib.tables import example_run
    >>> truth_differences(example_run(), [("linear", "base")], "preference_bench")["linear", "base"].difference > 20
    True
    """
    judges = {judge for pair in pairs for judge in pair}
    run = run.of(*judges)
    earned = {judge: truth_credits(run, judge, name) for judge in judges}
    known = {(a, b): (earned[a], earned[b]) for a, b in pairs if earned[a] is not None and earned[b] is not None}
    if not known:
        return {}
    options = run.options(name, COMPARISON_RESAMPLES)
    return metrics.compare_many_accuracies(known, cluster_numbers(run, run.items[name]), **options)


def truth_measured(run: Run, judge: str, name: str, resamples: int | None = None) -> Interval | None:
    """Return the primary measure of a benchmark, in percent: `exact_score` (with reference) or `pair_right`.

    >>> from prometheus_lib.tables import example_run
    >>> [truth_measured(example_run(), "linear", name).estimate for name in ("flask", "preference_bench")]
    [100.0, 100.0]
    """
    run = run.of(judge)
    key = ("truth", judge, name, run.options(name, resamples)["n_resamples"])
    if key not in run.memory:
        measured = pair_right if name in PAIR_BENCHMARKS else exact_score
        run.memory[key] = measured(run, judge, name, resamples=resamples)
    return run.memory[key]


def truth_average(run: Run, judge: str, names: Sequence[str], resamples: int = COMPARISON_RESAMPLES) -> Interval | None:
    """Return the mean of `truth_measured` over benchmarks with its resamples; None when one of them is missing.

    >>> from prometheus_lib.tables import RESEARCH_PAIR, example_run
    >>> truth_average(example_run(), "linear", RESEARCH_PAIR).estimate
    100.0
    """
    names = run.asked(names)
    if run.present(names) != names:
        return None
    return metrics.average([truth_measured(run, judge, name, resamples) for name in names])


def truth_column(name: str, measure: str) -> str:
    """Return the column in which tables show a benchmark's measure against the truth.

    >>> truth_column("flask", EXACT)
    'FLASK | exact score'
    """
    return f"{TITLES[name]} | {measure}"


def judge_against_truth(run: Run, judge: str, name: str) -> dict[str, Interval]:
    """Return a judge's measures against the truth on one benchmark, by name; empty without answers or truth.

    >>> from prometheus_lib.tables import example_run
    >>> list(judge_against_truth(example_run(), "linear", "flask"))
    ['exact score', 'mean absolute error']
    """
    run = run.of(judge)
    found = {PAIR_RIGHT: truth_measured} if name in PAIR_BENCHMARKS else {EXACT: truth_measured, ERROR: score_error}
    measured = {measure: measuring(run, judge, name) for measure, measuring in found.items()}
    return {measure: each for measure, each in measured.items() if each is not None}


def truth_cells(name: str, row: str, found: Mapping[str, Interval], kind: str = "judge") -> list[Cell]:
    """Return measures against the truth on one benchmark as cells of one row."""
    return [
        interval_cell(row, truth_column(name, measure), each, MEASURE_UNITS[measure], kind)
        for measure, each in found.items()
    ]


# --- any answers -----------------------------------------------------------------------------------------------------


def exact_interval(run: Run, name: str, scores: Floats, resamples: int | None = None) -> Interval | None:
    """Return `exact_score` of any scores (items, draws); None where the items carry no truth."""
    items = run.items[name]
    if not knows_truth(items):
        return None
    return _mean(run, name, 100 * metrics.exact_credits(scores, true_scores(items)), _missing(scores), resamples)


def error_interval(run: Run, name: str, scores: Floats, resamples: int | None = None) -> Interval | None:
    """Return `score_error` of any scores (items, draws); None where the items carry no truth."""
    items = run.items[name]
    if not knows_truth(items):
        return None
    return _mean(run, name, metrics.absolute_errors(scores, true_scores(items)), _missing(scores), resamples)


def right_interval(run: Run, name: str, choices: NDArray, resamples: int | None = None) -> Interval | None:
    """Return `pair_right` of any decisions (items,); None where the items carry no truth."""
    items = run.items[name]
    if not knows_truth(items):
        return None
    credits = 100 * metrics.item_credits(choices, true_decisions(items), "gold dropped")
    unparsed = int((pd.isna(choices) & np.isfinite(credits)).sum())
    return _mean(run, name, credits, unparsed, resamples)


def row_against_truth(run: Run, name: str, row: Answers, resamples: int | None = None) -> dict[str, Interval]:
    """Return what a trivial judge or ceiling reaches by each measure of the benchmark's format; none without truth.

    A row whose values are no scores from 1 to 5, as a length, has no exact score.
    """
    if not knows_truth(run.items[name]):
        return {}
    if name in PAIR_BENCHMARKS:
        return {PAIR_RIGHT: right_interval(run, name, row.values, resamples)}
    if not np.isin(row.values[np.isfinite(row.values)], SCORES).all():
        return {}
    scores = row.values[:, None]
    measures = {EXACT: exact_interval, ERROR: error_interval}
    return {measure: measured(run, name, scores, resamples) for measure, measured in measures.items()}


def _missing(scores: Floats) -> int:
    return int(np.isnan(scores).sum())


def _mean(run: Run, name: str, credits: Floats, unparsed: int, resamples: int | None) -> Interval:
    groups, options = cluster_numbers(run, run.items[name]), run.options(name, resamples)
    return metrics.bootstrap_mean(credits, groups, paired=True, **options).with_unparsed(unparsed)
