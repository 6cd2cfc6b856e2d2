"""What notebooks lay beside the tables: floors beaten, draws averaged, what a rater hides, what judgments can show."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from .. import metrics
from ..data import baselines
from ..data.catalogue import PAIR_BENCHMARKS
from ..metrics import FEWEST_RUNS, Comparison, Floats, Interval
from ..records import DirectItem
from .cells import COMPARISON_RESAMPLES
from .claim_evidence import primary_average, rests_on_truth
from .claims import show_difference
from .files import display_table
from .measures import RESEARCH_DIRECT, RESEARCH_PAIR
from .rows import cluster_numbers, labels, rater_draws, raters, run_floors, run_gold
from .run import Run
from .truth import knows_truth, truth_credits

ABOVE_FLOOR, BELOW_FLOOR = "above the floor", "below the floor"
BY_TRUTH, BY_ONE, BY_MEAN, BY_PEARSON = "by the truth", "by one rater", "by the mean of its draws", "by Pearson x 100"


def part_of(cells: pd.DataFrame, *titles: str) -> pd.DataFrame:
    """Return the columns of some benchmarks as `display_table` shows them, without those of real files.

    >>> from prometheus_lib.tables import example_run, table_5
    >>> part_of(table_5(example_run()), "FLASK").columns.tolist()
    ['FLASK | exact score', 'FLASK | sim-strong']
    """
    chosen = cells["column"].str.startswith(titles) & ~cells["column"].str.contains("(real)", regex=False)
    return display_table(cells[chosen])


def noisy_rater(run: Run, name: str) -> pd.DataFrame:
    """Return the main judges of one benchmark by the truth and by what a rater shows of it, in percent.

    Direct: exact scores against the truth, against one draw of the strongest rater and against the rounded mean of all
    its draws; and Pearson x 100 with that mean. Pairs: against the truth and against the labels, on the pairs without
    a tie in either. Empty where the truth is not known.

    >>> from prometheus_lib.tables import example_run
    >>> noisy_rater(example_run(), "preference_bench").loc["linear"].tolist()
    [100.0, 100.0]
    """
    rows = _noisy_labels if name in PAIR_BENCHMARKS else _noisy_scores
    judges = [judge for judge in run.scale.main_judges if run.answers(judge, name) is not None]
    known = judges if knows_truth(run.items[name]) else []
    return pd.DataFrame({judge: rows(run, judge, name) for judge in known}).T


def _noisy_scores(run: Run, judge: str, name: str) -> dict[str, float]:
    rater = raters(run.items[name])[0]
    scores, draws, mean = run.scores(judge, name), rater_draws(run.items[name], rater), run_gold(run, name, rater)
    yardsticks = {BY_ONE: draws[:, 0], BY_MEAN: np.round(mean)}
    exact = {how: 100 * np.nanmean(metrics.exact_credits(scores, gold)) for how, gold in yardsticks.items()}
    pearson = metrics.correlations(metrics.mean_scores(scores), mean).pearson
    return {BY_TRUTH: float(truth_credits(run, judge, name).mean()), **exact, BY_PEARSON: 100 * pearson}


def _noisy_labels(run: Run, judge: str, name: str) -> dict[str, float]:
    by_truth = truth_credits(run, judge, name)
    by_label = 100 * metrics.item_credits(run.choices(judge, name), labels(run.items[name]), "gold dropped")
    both = np.isfinite(by_truth) & np.isfinite(by_label)
    return {BY_TRUTH: float(by_truth[both].mean()), BY_ONE: float(by_label[both].mean())}


def gain_of_draws(run: Run, judge: str, name: str) -> dict[str, float]:
    """Return Pearson with the strongest rater: the mean over single draws, and that of the mean of all draws.

    >>> from prometheus_lib.tables import example_run
    >>> found = gain_of_draws(example_run(), "base", "flask")
    >>> list(found)
    ['one draw', 'mean of draws']
    """
    scores, gold = run.scores(judge, name), run_gold(run, name, raters(run.items[name])[0])
    single = float(np.mean([metrics.correlations(column, gold).pearson for column in scores.T]))
    return {"one draw": single, "mean of draws": metrics.correlations(metrics.mean_scores(scores), gold).pearson}


def against_floor(run: Run, judge: str, name: str) -> Comparison:
    """Compare a judge with the best trivial judge of a benchmark, paired by item and clustered by instruction.

    By Pearson with the strongest rater, or by accuracy on the labels without ties; there the floor that sees the
    reference answer, which the judges do not see, is left out.

    >>> from prometheus_lib.tables import example_run
    >>> against_floor(example_run(), "linear", "preference_bench").verdict
    'first'
    """
    items, options = run.items[name], run.options(name, COMPARISON_RESAMPLES)
    groups = cluster_numbers(run, items)
    if isinstance(items[0], DirectItem):
        gold = run_gold(run, name, raters(items)[0])
        floors = [row.values for row in run_floors(run, name)]
        reached = [metrics.correlations(values, gold).pearson for values in floors]
        best = floors[int(np.argmax(np.nan_to_num(reached, nan=-np.inf)))]
        return metrics.compare_correlations(run.answers(judge, name)[0], best, gold, clusters=groups, **options)
    rules = (baselines.always_a, baselines.random_pair, baselines.longer_wins)
    floors = [label_credits(run, rule(list(items)), name) for rule in rules]
    best = max(floors, key=np.nanmean)
    return metrics.compare_accuracies(label_credits(run, run.choices(judge, name), name), best, groups, **options)


def floor_verdicts(run: Run, names: Sequence[str]) -> pd.Series:
    """Return whether each main judge lies above the best trivial judge of each benchmark, corrected over all of them.

    Index: judge and benchmark. Values: "above the floor", "below the floor", "undecided", "too few instructions".

    >>> from prometheus_lib.tables import example_run
    >>> floor_verdicts(example_run(), ["hhh_alignment"]).to_dict()[("linear", "hhh_alignment")]
    'above the floor'
    """
    judged = [(judge, name) for judge in run.scale.main_judges for name in names if run.answers(judge, name)]
    found = metrics.decide({pair: against_floor(run, *pair) for pair in judged})
    words = {"first": ABOVE_FLOOR, "second": BELOW_FLOOR}
    told = {pair: words.get(each.verdict, each.verdict) for pair, each in found.items()}
    return pd.Series(told, index=pd.MultiIndex.from_tuples(judged, names=["judge", "benchmark"]), dtype=object)


def floors_beaten(verdicts: pd.Series) -> str:
    """Return in words how many of `floor_verdicts` lie above the floor, of those that could be tested.

    >>> floors_beaten(pd.Series(["above the floor", "undecided", "too few instructions"]))
    '1 of 2 tested pairs of judge and benchmark lie above the best trivial judge; 1 has too few instructions for a test'
    """
    few = int((verdicts == metrics.TOO_FEW).sum())
    above = int((verdicts == ABOVE_FLOOR).sum())
    if few == len(verdicts):
        return f"no pair of judge and benchmark could be tested; {few} have too few instructions"
    told = f"{above} of {len(verdicts) - few} tested pairs of judge and benchmark lie above the best trivial judge"
    return told + (f"; {few} {'has' if few == 1 else 'have'} too few instructions for a test" if few else "")


def label_credits(run: Run, decisions: object, name: str) -> Floats:
    """Return 100 for a decision that is the pair's label, 0 for any other or none, NaN where the label is a tie.

    >>> from prometheus_lib.tables import example_run
    >>> run = example_run()
    >>> set(label_credits(run, run.choices("linear", "preference_bench"), "preference_bench").tolist())
    {100.0}
    """
    return 100 * metrics.item_credits(decisions, labels(run.items[name]), "gold dropped")


def by_coefficient(run: Run, first: str, second: str, name: str) -> dict[str, str]:
    """Return the difference of two judges by each correlation with the strongest rater, as text with its interval.

    >>> from prometheus_lib.tables import example_run
    >>> list(by_coefficient(example_run(), "linear", "base", "flask"))
    ['pearson', 'spearman', 'kendall']
    """
    gold, options = run_gold(run, name, raters(run.items[name])[0]), run.options(name, COMPARISON_RESAMPLES)
    groups, shown = cluster_numbers(run, run.items[name]), {}
    one, two = (run.answers(judge, name)[0] for judge in (first, second))
    for kind in metrics.CORRELATIONS:
        found = metrics.compare_correlations(one, two, gold, kind, groups, **options)
        shown[kind] = show_difference(found.difference, found.low, found.high)
    return shown


# --- what judgments can show -----------------------------------------------------------------------------------------

_POWER = metrics.detectable(1.0, 1) / metrics.detectable(1.0, 1, chance=0.5)  # of half a 95 % interval: 2.80 / 1.96


def detectable_differences(
    run: Run, direct: Sequence[str] = RESEARCH_DIRECT, pair: Sequence[str] = RESEARCH_PAIR
) -> pd.DataFrame:
    """Return the smallest difference, in points, that these judgments find with 80 % power, for the main comparisons.

    Compared are merged judge, joint training and the format's expert, on the averages over benchmarks that verdicts
    rest on (`direct`, `pair`): by the truth where it is known. A formula has to assume how alike two judges are and
    how items of one instruction hang together; here both are measured, by the resamples of each difference. Index:
    format and comparison. Columns: runs (training runs of both), one run, mean of runs, over runs too (the luck of
    training counted in; NaN with fewer than three). For one comparison alone, at 5 %, two-sided.

    >>> from prometheus_lib.tables import example_run
    >>> list(detectable_differences(example_run()))
    ['runs', 'one run', 'mean of runs', 'over runs too']
    """
    rows = {}
    for format, names in (("direct", direct), ("pairwise", pair)):
        for first, second in itertools.combinations((run.scale.merged_judge, "joint", format), 2):
            if found := _by_run(run, first, second, names):
                rows[format, f"{first} - {second}"] = _detectable(found)
    index = pd.MultiIndex.from_arrays([*zip(*rows)] or [[], []], names=["format", "comparison"])
    return pd.DataFrame(list(rows.values()), index, columns=["runs", "one run", "mean of runs", "over runs too"])


def _by_run(run: Run, first: str, second: str, names: Sequence[str]) -> list[Interval]:
    """The difference of two judges in points, as each training run gives it."""
    if not run.asked(names):
        return []
    factor = 1 if rests_on_truth(run) or names[0] in PAIR_BENCHMARKS else 100
    pairs = zip(run.scale.replicas(first), run.scale.replicas(second))
    measured = [[primary_average(run, judge, names) for judge in each] for each in pairs]
    return [metrics.difference(*each).times(factor) for each in measured if None not in each]


def _detectable(runs: Sequence[Interval]) -> dict[str, float]:
    both = metrics.over_training_runs(runs) if len(runs) >= FEWEST_RUNS else None
    return {
        "runs": len(runs),
        "one run": metrics.detectable(_error(runs[0]), 1),
        "mean of runs": metrics.detectable(_error(metrics.average(runs)), 1),
        "over runs too": _POWER * (both.high - both.low) / 2 if both else math.nan,
    }


def _error(found: Interval) -> float:
    """The standard error of a resampled mean: k clusters resampled vary by (k - 1) / k too little."""
    k = found.n_clusters
    return float(np.nanstd(found.draws)) * (math.sqrt(k / (k - 1)) if k > 1 else math.nan)
