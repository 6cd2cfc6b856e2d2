"""What a judge reaches on one benchmark and on the average of several, and how two judges compare in that.

Pearson's correlation with a rater for direct benchmarks, accuracy in percent without gold ties for pairwise ones: the
measures of Tables 5, 6 and 17 and of Figure 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import metrics
from ..data.catalogue import DIRECT_BENCHMARKS, PAIR_BENCHMARKS
from ..metrics import Comparison, Interval
from .cells import COMPARISON_RESAMPLES
from .rows import Answers, cluster_numbers, human_rater, labels, raters, run_gold
from .run import Items, Run

RESEARCH_DIRECT, RESEARCH_PAIR = DIRECT_BENCHMARKS[:3], PAIR_BENCHMARKS[:3]  # Tables 5 and 6 leave in-domain out


def measure_unit(name: str) -> str:
    """Return the unit of a benchmark's measure.

    >>> measure_unit("mt_bench"), measure_unit("autoj_eval")
    ('pearson', 'accuracy')
    """
    return "accuracy" if name in PAIR_BENCHMARKS else "pearson"


def rater_of(run: Run, name: str, human: bool = False) -> str | None:
    """The rater of Tables 5 and 6 (the strongest) or, with `human`, Table 17's (humans on FLASK); None for pairs."""
    items = run.items[name]
    if name in PAIR_BENCHMARKS:
        return None
    return human_rater(items) if human and name == "flask" else raters(items)[0]


def measured(run: Run, name: str, answers: Answers, rater: str | None, resamples: int | None = None) -> Interval:
    """Pearson with a rater, or accuracy in percent without gold ties (rater None), of one row on one benchmark."""
    items, options = run.items[name], run.options(name, resamples)
    groups = cluster_numbers(run, items)
    if rater is not None:
        gold = run_gold(run, name, rater)
        found = metrics.bootstrap_correlation(answers.values, gold, groups, paired=True, **options)
        return found.with_unparsed(answers.unparsed)
    credits = 100 * metrics.item_credits(answers.values, labels(items), "gold dropped")
    unparsed = int((pd.isna(answers.values) & np.isfinite(credits)).sum())
    return metrics.bootstrap_mean(credits, groups, paired=True, **options).with_unparsed(unparsed)


def position_consistency(run: Run, judge: str, name: str) -> Interval | None:
    """Return how many pairs a judge decides alike in both orders, in percent; None where it was not asked in both.

    An accuracy says little without it: a judge that always picks what stands first is right in half of all pairs.

    >>> from prometheus_lib.tables import example_run
    >>> position_consistency(example_run(), "linear", "hhh_alignment") is None
    True
    """
    if name not in PAIR_BENCHMARKS:
        return None
    run = run.of(judge)
    first, swapped = (run.choices(judge, name, order) for order in ("ab", "ba"))
    if first is None or swapped is None:
        return None
    return alike_interval(run, name, run.items[name], first, swapped)


def alike_interval(run: Run, name: str, items: Items, first: NDArray, swapped: NDArray) -> Interval:
    """Return `position_consistency` of any decisions (items,), mapped back; an unparsed one is like no other."""
    unparsed = pd.isna(first) | pd.isna(swapped)
    alike = 100.0 * ((first == swapped) & ~unparsed)
    found = metrics.bootstrap_mean(alike, cluster_numbers(run, items), **run.options(name))
    return found.with_unparsed(int(unparsed.sum()))


def judge_measured(
    run: Run, judge: str, name: str, human: bool = False, resamples: int | None = None
) -> Interval | None:
    """`measured` for a judge on what it was asked, worked out once; None where it has not answered."""
    run = run.of(judge)
    rater = rater_of(run, name, human)
    key = ("measured", judge, name, rater, run.options(name, resamples)["n_resamples"])
    if key not in run.memory:
        found = run.answers(judge, name)
        answers = None if found is None else Answers(judge, "judge", *found)
        run.memory[key] = None if answers is None else measured(run, name, answers, rater, resamples)
    return run.memory[key]


def compare_judges(run: Run, first: str, second: str, name: str, human: bool = False) -> Comparison | None:
    """Compare two judges on one benchmark, paired by item and clustered by instruction; None when one is missing.

    Pearson against the strongest rater (humans on FLASK with `human`), or accuracy in percent without gold ties.

    >>> from prometheus_lib.tables import example_run
    >>> compare_judges(example_run(), "linear", "base", "preference_bench").verdict
    'first'
    """
    run = run.of(first, second)
    items = run.items[name]
    one, two = (run.answers(judge, name) for judge in (first, second))
    if one is None or two is None:
        return None
    options = {"clusters": cluster_numbers(run, items), **run.options(name, COMPARISON_RESAMPLES)}
    rater = rater_of(run, name, human)
    if rater is not None:
        return metrics.compare_correlations(one[0], two[0], run_gold(run, name, rater), **options)
    credits = (100 * metrics.item_credits(answers[0], labels(items), "gold dropped") for answers in (one, two))
    return metrics.compare_accuracies(*credits, **options)


def judge_average(
    run: Run, judge: str, names: Sequence[str], human: bool = False, resamples: int = COMPARISON_RESAMPLES
) -> Interval | None:
    """Return a judge's average over benchmarks of one format with its resamples; None when one of them is missing.

    Pearson in fractions (FLASK against humans with `human`), accuracy in percent.

    >>> from prometheus_lib.tables import example_run
    >>> round(judge_average(example_run(), "linear", RESEARCH_DIRECT).estimate, 1)
    1.0
    """
    names = run.asked(names)
    if run.present(names) != names:
        return None
    return metrics.average([judge_measured(run, judge, name, human, resamples) for name in names])


def compare_averages(
    run: Run, first: str, second: str, names: Sequence[str], human: bool = False, resamples: int = COMPARISON_RESAMPLES
) -> Comparison | None:
    """Compare two judges' averages over benchmarks of one format, paired by instruction; None when one is missing.

    Pearson in fractions, accuracy in percent; the p-value is read off the paired bootstrap differences.

    >>> from prometheus_lib.tables import example_run
    >>> from prometheus_lib.tables import RESEARCH_DIRECT
    >>> found = compare_averages(example_run(), "linear", "base", RESEARCH_DIRECT)
    >>> found.low > 0, found.n
    (True, 96)
    """
    run = run.of(first, second)
    one, two = (judge_average(run, judge, run.present(names), human, resamples) for judge in (first, second))
    return None if one is None or two is None else metrics.compare_intervals(one, two)
