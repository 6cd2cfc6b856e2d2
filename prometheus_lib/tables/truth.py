"""What a judge reaches against the truth, where the items carry it: the primary measures of the miniature world.

Exact score and mean absolute error for direct assessment, pair right for pairwise ranking; as intervals whose resamples
are paired with those of every other measure of the same benchmark. Real items carry no truth: every function gives None
there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import metrics
from ..data import minibench
from ..data.catalogue import PAIR_BENCHMARKS
from ..metrics import Floats, Interval
from ..records import SCORES
from .cells import COMPARISON_RESAMPLES
from .rows import Answers, cluster_numbers
from .run import Items, Run

EXACT, ERROR, PAIR_RIGHT = "exact score", "mean absolute error", "pair right"


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


def truth_measured(run: Run, judge: str, name: str, resamples: int | None = None) -> Interval | None:
    """Return the primary measure of a benchmark, in percent: `exact_score` (with reference) or `pair_right`.

    >>> from prometheus_lib.tables import example_run
    >>> [truth_measured(example_run(), "linear", name).estimate for name in ("flask", "preference_bench")]
    [100.0, 100.0]
    """
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
    if run.present(names) != list(names):
        return None
    return metrics.average([truth_measured(run, judge, name, resamples) for name in names])


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


def row_against_truth(run: Run, name: str, row: Answers) -> dict[str, Interval]:
    """Return what a trivial judge or ceiling reaches by each measure of the benchmark's format; none without truth.

    A row whose values are no scores from 1 to 5, as a length, has no exact score.
    """
    if not knows_truth(run.items[name]):
        return {}
    if name in PAIR_BENCHMARKS:
        return {PAIR_RIGHT: right_interval(run, name, row.values)}
    if not np.isin(row.values, (*SCORES, np.nan)).all():
        return {}
    scores = row.values[:, None]
    return {EXACT: exact_interval(run, name, scores), ERROR: error_interval(run, name, scores)}


def _missing(scores: Floats) -> int:
    return int(np.isnan(scores).sum())


def _mean(run: Run, name: str, credits: Floats, unparsed: int, resamples: int | None) -> Interval:
    groups, options = cluster_numbers(run, run.items[name]), run.options(name, resamples)
    return metrics.bootstrap_mean(credits, groups, paired=True, **options).with_unparsed(unparsed)
