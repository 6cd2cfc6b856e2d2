"""The measures of the registry of claims: each takes a part of a claim and returns its difference with resamples.

A measure is a function (run, part, setting) -> Interval or None: first minus second in the unit of `paper.MEASURES`, as
many resamples as all others, those of one benchmark from one seed; None where something was not judged. The setting
says which judge "merged" is, which yardstick counts, and which training runs: judges that a part calls "merged" and
"alpha 0.3" are looked up by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import metrics
from ..data.catalogue import DIRECT_BENCHMARKS, PAIR_BENCHMARKS, SEED_BENCHMARKS
from ..merging.catalogue import SECOND_RUN, SEED_ALPHAS, alpha_judge
from ..metrics import Floats, Interval, columns
from ..metrics.agreement import correlation
from ..paper import claims as registry
from ..paper.claims import MERGED, Part
from .cells import COMPARISON_RESAMPLES
from .consistency import alpha_sample, format_gap, gap_size, transitivity_samples
from .measures import RESEARCH_DIRECT, RESEARCH_PAIR, judge_average
from .rows import Answers, cluster_numbers, clusters, human_rater, raters, run_gold
from .run import Run
from .truth import exact_score, truth_average

_ALPHA = "alpha "


@dataclass(frozen=True)
class Setting:
    """How claims are measured: `merged` is the merged judge, `truth` the yardstick (else the raters), `seed` the suffix
    of the judges' training runs ("" for the first).

    >>> setting = Setting("linear", seed="-seed2")
    >>> [setting.judge(name) for name in ("merged", "alpha 0.3", "joint", "base")]
    ['linear-seed2', 'linear-0.3-seed2', 'joint-seed2', 'base']
    """

    merged: str
    truth: bool = False
    seed: str = ""

    def judge(self, name: str) -> str:
        """Return the judge that a part of a claim means; the base model has no training runs."""
        if name.startswith(_ALPHA):
            return alpha_judge(float(name.removeprefix(_ALPHA)), self.seed)
        known = self.merged if name == MERGED else name
        return known if known == "base" else known + self.seed

    def average(self, run: Run, judge: str, names: Sequence[str], human: bool = False) -> Interval | None:
        """Return what a judge reaches on the average of benchmarks of one format, in points, by this yardstick."""
        if self.truth:
            return truth_average(run, judge, names)
        found = judge_average(run, judge, names, human)
        return found.times(100) if found and names[0] in DIRECT_BENCHMARKS else found


Measured = Callable[[Run, Part, Setting], Interval | None]


def _between(one: Interval | None, two: Interval | None) -> Interval | None:
    return None if one is None or two is None else metrics.difference(one, two)


# --- averages of scoring and ranking ---------------------------------------------------------------------------------


def _average(names: Sequence[str], human: bool = False) -> Measured:
    def measured(run: Run, part: Part, setting: Setting) -> Interval | None:
        return _gap(run, part.first, part.second, names, setting, human)

    return measured


def _gap(
    run: Run, first: str, second: str, names: Sequence[str], setting: Setting, human: bool = False
) -> Interval | None:
    one, two = setting.judge(first), setting.judge(second)
    asked = run.of(one, two)
    return _between(*(setting.average(asked, judge, names, human) for judge in (one, two)))


def _overall(run: Run, part: Part, setting: Setting) -> Interval | None:
    one, two = setting.judge(part.first), setting.judge(part.second)
    asked = run.of(one, two)

    def both(judge: str) -> Interval | None:
        return metrics.average([setting.average(asked, judge, names, True) for names in _ALL.values()])

    return _between(both(one), both(two))


def _gain(run: Run, part: Part, setting: Setting) -> Interval | None:
    """What merging adds to the direct expert's scoring, less what it adds to the pairwise expert's ranking."""
    scoring = _gap(run, MERGED, "direct", RESEARCH_DIRECT, setting)
    return _between(scoring, _gap(run, MERGED, "pairwise", RESEARCH_PAIR, setting))


# --- the best alpha --------------------------------------------------------------------------------------------------


def _best_alpha(run: Run, part: Part, setting: Setting) -> Interval | None:
    judges = {alpha: alpha_judge(alpha, setting.seed) for alpha in registry.ALPHAS}
    asked = run.of(*judges.values())

    def curve(names: Sequence[str]) -> dict[float, Interval | None]:
        known = {alpha: each for alpha, each in judges.items() if setting.seed or each in run.scale.judges}
        return {alpha: setting.average(asked, judge, names) for alpha, judge in known.items()}

    return _gap_of_best(*map(curve, _ALL.values()))


def _best_alpha_of_two_runs(run: Run, part: Part, setting: Setting) -> Interval | None:
    asked = run.of(*map(alpha_judge, SEED_ALPHAS))

    def over_both(alpha: float, names: Sequence[str]) -> Interval | None:
        runs = [setting.average(asked, alpha_judge(alpha, seed), names) for seed in ("", SECOND_RUN)]
        return None if any(each is None for each in runs) else metrics.average_over_runs(runs, run.scale.seed)

    def curve(names: Sequence[str]) -> dict[float, Interval | None]:
        return {alpha: over_both(alpha, names) for alpha in SEED_ALPHAS}

    return None if setting.seed else _gap_of_best(*map(curve, _ON_SECOND_RUNS))


def _gap_of_best(scoring: Mapping[float, Interval | None], ranking: Mapping[float, Interval | None]) -> Interval | None:
    """By how much the best alpha of one curve exceeds the other's; alphas that are equally good count by their mean."""
    one, two = _best(scoring), _best(ranking)
    return _between(one, two)


def _best(curve: Mapping[float, Interval | None]) -> Interval | None:
    known = {alpha: each for alpha, each in curve.items() if each is not None and math.isfinite(each.estimate)}
    if len(known) < len(curve):
        return None
    alphas, parts = np.array(list(known)), list(known.values())
    best = _best_of(alphas, np.array([[each.estimate] for each in parts]))[0]
    draws = _best_of(alphas, np.array([each.draws for each in parts]))
    return metrics.interval_of_draws(best, draws, parts[0].n, min(each.n_clusters for each in parts))


def _best_of(alphas: Floats, values: Floats) -> Floats:
    """The best alpha in each column of values (alphas, columns); NaN where a column has no value."""
    values = np.round(np.where(np.isnan(values), -np.inf, values), 9)
    winners = (values == values.max(axis=0)) & np.isfinite(values)
    return np.divide(alphas @ winners, winners.sum(axis=0), out=np.full(values.shape[1], np.nan), where=winners.any(0))


# --- decisions that can be read, the reference answer ----------------------------------------------------------------


def _readable(run: Run, part: Part, setting: Setting) -> Interval | None:
    names = run.present(PAIR_BENCHMARKS)
    if not names or names != run.asked(PAIR_BENCHMARKS):
        return None
    judges = [setting.judge(side) for side in (part.first, part.second)]
    run = run.of(*judges)
    groups = [f"{name} {cluster}" for name in names for cluster in clusters(run.items[name])]
    options = {"n_resamples": COMPARISON_RESAMPLES, "seed": run.scale.seed}
    sides = []
    for judge in judges:
        choices = [run.choices(judge, name) for name in names]
        if any(each is None for each in choices):
            return None
        read = 100.0 * pd.notna(np.concatenate(choices))
        sides.append(metrics.bootstrap_mean(read, groups, **options))
    return metrics.difference(*sides)


def _reference(run: Run, part: Part, setting: Setting) -> Interval | None:
    """Judges with and without the reference answer: "base, with reference"."""
    if part.on not in run.items:
        return None
    measured = _exact if setting.truth else _with_humans
    parted = [side.rpartition(", ") for side in (part.first, part.second)]
    sides = [(setting.judge(judge), seen.startswith("with ")) for judge, _, seen in parted]
    asked = run.of(*(judge for judge, _ in sides))
    return _between(*(measured(asked, judge, part.on, seen) for judge, seen in sides))


def _exact(run: Run, judge: str, name: str, with_reference: bool) -> Interval | None:
    return exact_score(run, judge, name, with_reference, COMPARISON_RESAMPLES)


def _with_humans(run: Run, judge: str, name: str, with_reference: bool) -> Interval | None:
    """Pearson x 100 with the rater in the humans' place."""
    items, scores = run.items[name], run.scores(judge, name, with_reference)
    if scores is None:
        return None
    gold, groups = run_gold(run, name, human_rater(items)), cluster_numbers(run, items)
    options = {**run.options(name, COMPARISON_RESAMPLES), "paired": True}
    return metrics.bootstrap_correlation(metrics.mean_scores(scores), gold, groups, **options).times(100)


# --- consistency -----------------------------------------------------------------------------------------------------


def _agreement(run: Run, part: Part, setting: Setting) -> Interval | None:
    if part.on not in run.items:
        return None
    judges = [setting.judge(side) for side in (part.first, part.second)]
    run = run.of(*judges)
    draws = [run.scores(judge, part.on) for judge in judges]
    if any(each is None or each.shape[1] < 2 for each in draws):  # one draw agrees with nothing
        return None
    one, two = (alpha_sample(run, part.on, run.items[part.on], each).times(100) for each in draws)
    return metrics.difference(one, two)


def _transitivity(run: Run, part: Part, setting: Setting) -> Interval | None:
    name = "preference_bench"
    judges = [setting.judge(side) for side in (part.first, part.second)]
    run = run.of(*judges)
    answers = [run.answers(judge, name) if name in run.items else None for judge in judges]
    if any(each is None for each in answers):
        return None
    rows = (Answers("", "judge", *each) for each in answers)
    return metrics.difference(*(transitivity_samples(run, name, row)["Transitivity"] for row in rows))


def _format_gap(run: Run, part: Part, setting: Setting) -> Interval | None:
    return format_gap(run, setting.judge(MERGED), part.on, truth=setting.truth)


def _size_of_gap(run: Run, part: Part, setting: Setting) -> Interval | None:
    return _between(*(gap_size(run, setting.judge(side), truth=setting.truth) for side in (part.first, part.second)))


# --- the order of the judges -----------------------------------------------------------------------------------------


def _order(run: Run, part: Part, setting: Setting) -> Interval | None:
    """Spearman's rho between the judges' order by Pearson and by another coefficient; no resamples."""
    kind = {"Table 11": "kendall", "Table 12": "spearman"}[part.first]
    known = [
        judge for judge in run.scale.main_judges if all(run.answers(judge, n) for n in run.present(DIRECT_BENCHMARKS))
    ]
    if len(known) < 3 or not run.present(DIRECT_BENCHMARKS) or setting.seed:
        return None
    means = [[_mean_correlation(run, judge, each) for judge in known] for each in ("pearson", kind)]
    rho = metrics.correlations(*means).spearman
    return metrics.interval_of_draws(rho, np.full(COMPARISON_RESAMPLES, np.nan), len(known), 0)


def _mean_correlation(run: Run, judge: str, kind: str) -> float:
    """Mean over the columns of Table 3: each rater of each benchmark."""
    if ("mean correlation", judge, kind) not in run.memory:
        found = [
            correlation(kind, *columns.complete_rows(x=run.answers(judge, name)[0], y=run_gold(run, name, rater))[0])
            for name in run.present(DIRECT_BENCHMARKS)
            for rater in raters(run.items[name])
        ]
        run.memory["mean correlation", judge, kind] = float(np.mean(found))
    return run.memory["mean correlation", judge, kind]


_ALL = {"direct": DIRECT_BENCHMARKS, "pairwise": PAIR_BENCHMARKS}
_ON_SECOND_RUNS = [[name for name in SEED_BENCHMARKS if name in names] for names in _ALL.values()]
MEASURED: dict[str, Measured] = {
    "scoring": _average(RESEARCH_DIRECT),
    "ranking": _average(RESEARCH_PAIR),
    "scoring, same format": _average(RESEARCH_DIRECT),
    "ranking, same format": _average(RESEARCH_PAIR),
    "gain": _gain,
    "scoring, figure 3": _average(DIRECT_BENCHMARKS),
    "ranking, figure 3": _average(PAIR_BENCHMARKS),
    "best alpha": _best_alpha,
    "best alpha, two runs": _best_alpha_of_two_runs,
    "scoring, table 17": _average(DIRECT_BENCHMARKS, human=True),
    "ranking, table 17": _average(PAIR_BENCHMARKS, human=True),
    "overall, table 17": _overall,
    "readable": _readable,
    "reference answer": _reference,
    "agreement of draws": _agreement,
    "transitivity": _transitivity,
    "format gap": _format_gap,
    "size of the format gap": _size_of_gap,
    "order of the judges": _order,
}
