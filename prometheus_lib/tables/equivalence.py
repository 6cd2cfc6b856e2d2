"""Which merges differ, which do not by more than a margin, and how far training runs of one recipe lie apart.

Beside tables whose tests can only show differences: each comparison here has an interval that holds together with all
others of its list, so it can end in a difference, in none larger than a margin that was fixed beforehand (the one of
`paper.MEASURES`), or in neither (`metrics.simultaneous`). Scoring and ranking are measured against the truth where the
items carry it, and against the raters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
from scipy.stats import t

from .. import metrics
from ..data.catalogue import DIRECT_BENCHMARKS, PAIR_BENCHMARKS
from ..merging.catalogue import ALPHAS, alpha_judge
from ..metrics import Interval
from ..paper import MEASURES
from .averages import REFERENCE_JUDGE, merge_names
from .measures import judge_average
from .merging import FORMATS
from .run import Run
from .truth import truth_average

Measure = Callable[[Run, str, Sequence[str]], Interval | None]

TRUTH, RATERS = "truth", "raters"
SCORING, RANKING = "scoring", "ranking"
BENCHMARKS = {SCORING: DIRECT_BENCHMARKS, RANKING: PAIR_BENCHMARKS}
MARGIN = MEASURES["scoring, table 17"].margin  # in points, like that of ranking
ALL_RECIPES = "all recipes"
_SEED = re.compile(r"-seed\d+$")


def in_points(run: Run, judge: str, names: Sequence[str], yardstick: str = TRUTH) -> Interval | None:
    """Return a judge's average over benchmarks of one format in points: of exact scores or right pairs, or by raters.

    By the raters: Pearson x 100 (FLASK with the humans' rater), or accuracy without ties. None where it was not judged,
    or where the items carry no truth.

    >>> from prometheus_lib.tables import example_run
    >>> in_points(example_run(), "linear", ["flask"]).estimate
    100.0
    """
    if yardstick == TRUTH:
        return truth_average(run, judge, names)
    found = judge_average(run, judge, names, human=True)
    return found.times(100) if found and names[0] in DIRECT_BENCHMARKS else found


# --- methods of Table 17 ---------------------------------------------------------------------------------------------


def method_differences(
    run: Run, yardstick: str = TRUTH, margin: float = MARGIN, reference: str = REFERENCE_JUDGE
) -> pd.DataFrame:
    """Return each merge of Table 17 minus a reference, in points, averages of all four benchmarks of a format.

    The reference is linear merging; another that is the same model and was sampled with the other merges' random
    numbers spares the luck of the draw.

    Index: what ("scoring", "ranking"), row. Columns: difference, low, high (95 %, for the whole list), p, p (no
    effect), shown ("+", "-", "0" for none larger than the margin, "?"), at most (the largest difference, either way,
    that the interval allows), n, clusters.

    >>> from prometheus_lib.tables import example_run
    >>> method_differences(example_run()).empty  # only one merge was judged there
    True
    """
    run = run.of(*merge_names(run.scale))
    others = [judge for judge in merge_names(run.scale) if judge not in (reference, REFERENCE_JUDGE)]
    found: dict[tuple[str, str], Interval] = {}
    for what, names in BENCHMARKS.items():
        for judge in others:
            sides = [in_points(run, each, names, yardstick) for each in (judge, reference)]
            if all(sides):
                found[what, f"{judge} - {reference}"] = metrics.difference(*sides)
    return shown_together(found, margin)


def shown_together(found: Mapping[tuple[str, ...], Interval], margin: float) -> pd.DataFrame:
    """Return differences as a table of what is shown of each, corrected together; see `method_differences`."""
    joint = metrics.simultaneous(found, dict.fromkeys(found, margin))
    rows = [
        {**asdict(each), "shown": each.sign, "at most": max(abs(each.low), abs(each.high))} for each in joint.values()
    ]
    columns = ["difference", "low", "high", "p_value", "p_none", "shown", "at most", "n", "n_clusters"]
    table = pd.DataFrame(
        rows, columns=columns, index=pd.MultiIndex.from_tuples(list(joint), names=["what", "row"]) if joint else None
    )
    return table.rename(columns={"p_value": "p", "p_none": "p (no effect)", "n_clusters": "clusters"})


def summary(table: pd.DataFrame, margin: float = MARGIN) -> list[str]:
    """Return one sentence for each format of a table of differences: what is shown, and what stays possible.

    >>> rows = pd.DataFrame({"difference": [-5.0, 0.1], "shown": ["-", "0"], "at most": [7.0, 0.9]})
    >>> summary(rows.set_index(pd.MultiIndex.from_product([["scoring"], ["ties", "slerp"]])))
    ['scoring: 0 better, 1 worse (ties -5.0), 1 with no difference larger than 2 points']
    """
    return [_sentence(what, part.droplevel(0), margin) for what, part in table.groupby(level=0, sort=False)]


def _sentence(what: str, rows: pd.DataFrame, margin: float) -> str:
    parts = [_counted(rows[rows["shown"] == sign], word) for sign, word in (("+", "better"), ("-", "worse"))]
    parts.append(f"{(rows['shown'] == '0').sum()} with no difference larger than {margin:g} points")
    rest, opened = rows[rows["shown"] == "?"], ""
    if rest["at most"].notna().any():
        opened = f"; of the other {len(rest)} up to {rest['at most'].max():.1f} points are possible"
    elif len(rest):
        opened = f"; the other {len(rest)} rest on too few instructions"
    return f"{what}: {', '.join(parts)}{opened}"


def _counted(rows: pd.DataFrame, word: str) -> str:
    listed = ", ".join(f"{name} {value:+.1f}" for name, value in rows["difference"].items())
    return f"{len(rows)} {word} ({listed})" if listed else f"0 {word}"


# --- along alpha -----------------------------------------------------------------------------------------------------


def along_alpha(run: Run, yardstick: str = TRUTH) -> dict[str, dict[float, Interval]]:
    """Return "scoring" and "ranking" -> alpha -> average in points, of the linear merges; empty where one is missing.

    >>> from prometheus_lib.tables import example_run
    >>> along_alpha(example_run())
    {'scoring': {}, 'ranking': {}}
    """
    run, found = run.of(*map(alpha_judge, ALPHAS)), {}
    for what, names in BENCHMARKS.items():
        alphas = [alpha for alpha in ALPHAS if alpha_judge(alpha) in run.scale.judges]
        curve = {alpha: in_points(run, alpha_judge(alpha), names, yardstick) for alpha in alphas}
        found[what] = curve if all(curve.values()) else {}
    return found


def near_best(curve: Mapping[float, Interval], margin: float = MARGIN) -> pd.DataFrame:
    """Return what is shown of each point of a curve against its best one, in points.

    Index: alpha. Columns: value, difference (to the best), low, high, shown: "best", or as in `method_differences`,
    where "0" means less than the margin away; "no value" where there is none (a judge of one score has no Pearson). The
    best was picked from the same data, so it looks a little better than it is. Empty where no point has a value.

    >>> from prometheus_lib.metrics import bootstrap_mean
    >>> right = {0.0: [0, 0, 0, 100] * 30, 0.5: [0, 0, 100, 100] * 30, 1.0: [0, 100, 100, 100] * 30}
    >>> near_best({alpha: bootstrap_mean(each) for alpha, each in right.items()})["shown"].tolist()
    ['-', '-', 'best']
    """
    known = {alpha: each for alpha, each in curve.items() if math.isfinite(each.estimate)}
    best = max(known, key=lambda alpha: known[alpha].estimate, default=None)
    gaps = {(alpha,): metrics.difference(each, known[best]) for alpha, each in known.items() if alpha != best}
    joint = metrics.simultaneous(gaps, dict.fromkeys(gaps, margin))
    shown = {alpha: {"shown": "no value"} for alpha in curve} | {best: {"shown": "best"}}
    shown |= {alpha: _gap(each) for (alpha,), each in joint.items()}
    rows = {alpha: {"value": each.estimate} | shown[alpha] for alpha, each in curve.items()} if known else {}
    columns = ["value", "difference", "low", "high", "shown"]
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns).rename_axis("alpha")


def _gap(each: metrics.Joint) -> dict[str, object]:
    return {"difference": each.difference, "low": each.low, "high": each.high, "shown": each.sign}


# --- training runs ---------------------------------------------------------------------------------------------------


def training_runs(run: Run, yardstick: str = TRUTH) -> pd.DataFrame:
    """Return how far training runs of one recipe lie apart: every judge that was made with at least two seeds.

    One row per format and recipe, on the benchmarks that all runs were judged on; a run whose scores never vary has no
    Pearson and does not count. Columns: runs, mean, sd (of runs, in points). A row "all recipes" pools them: its `sd`
    is the root mean square over all degrees of freedom (`freedom`), and `apart` how far two runs of one recipe lie
    apart at most in 95 of 100 cases (t sd sqrt 2).

    >>> from prometheus_lib.tables import example_run
    >>> training_runs(example_run()).empty
    True
    """
    judges = run.judgments["judge"].unique()
    recipes: dict[str, list[str]] = {}
    for judge in judges:
        recipes.setdefault(_SEED.sub("", judge), []).append(judge)
    rows = []
    for what, names in zip(BENCHMARKS, FORMATS.values(), strict=True):
        for recipe, runs in recipes.items():
            measured = [found for judge in runs if (found := in_points(run, judge, names, yardstick))]
            values = [found.estimate for found in measured if math.isfinite(found.estimate)]
            if len(values) > 1:
                rows.append(
                    (what, recipe, len(values), np.mean(values), np.std(values, ddof=1), len(values) - 1, np.nan)
                )
        rows += _pooled(what, [row for row in rows if row[0] == what])
    columns = ["what", "recipe", "runs", "mean", "sd", "freedom", "apart"]
    return pd.DataFrame(rows, columns=columns).set_index(["what", "recipe"])


def _pooled(what: str, rows: Sequence[tuple]) -> list[tuple]:
    if not rows:
        return []
    freedom = sum(row[5] for row in rows)
    spread = float(np.sqrt(sum(row[5] * row[4] ** 2 for row in rows) / freedom))
    apart = float(t.ppf(0.975, freedom)) * spread * np.sqrt(2)
    return [(what, ALL_RECIPES, sum(row[2] for row in rows), np.nan, spread, freedom, apart)]
