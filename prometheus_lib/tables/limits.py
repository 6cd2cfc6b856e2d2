"""What stands around the judges' averages in the miniature world: who ignores the rubric below, the oracle above."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .. import metrics
from ..metrics import FEWEST_CLUSTERS, TOO_FEW, Interval, interval_of_draws
from .biases import SLOPE, table_biases
from .cells import COMPARISON_RESAMPLES, HIGHER
from .claim_evidence import judge_over_runs, rests_on_truth
from .measures import RESEARCH_DIRECT, RESEARCH_PAIR
from .rows import BLIND, run_limits
from .run import Run
from .truth import EXACT, PAIR_RIGHT, row_against_truth

ABOVE, BELOW, ALIKE = "above", "below", "not told apart"
UNSEEN = {"direct": RESEARCH_DIRECT, "pairwise": RESEARCH_PAIR}  # each format's benchmarks


def limit_average(run: Run, rows: Sequence[str], names: Sequence[str]) -> Interval | None:
    """Return what the limit with one of these names reaches on average over benchmarks, as `truth_average` of a judge.

    None where a benchmark lacks it, or its truth is not known.

    >>> from prometheus_lib.tables import example_run
    >>> from prometheus_lib.tables.rows import CEILINGS
    >>> limit_average(example_run(), CEILINGS, RESEARCH_DIRECT).estimate
    100.0
    """
    found = [_on_benchmark(run, rows, name) for name in run.asked(names)]
    return metrics.average(found)


def _on_benchmark(run: Run, rows: Sequence[str], name: str) -> Interval | None:
    row = next((each for each in run_limits(run, name) if each.row in rows), None) if name in run.items else None
    found = {} if row is None else row_against_truth(run, name, row, COMPARISON_RESAMPLES)
    return next((found[measure] for measure in (EXACT, PAIR_RIGHT) if measure in found), None)


def against_blind(run: Run) -> pd.DataFrame:
    """Return how far each main judge lies above whoever reads everything and ignores the rubric, in points.

    On the average of the unseen benchmarks by the truth (a mean over training runs where there are several), by format
    and judge: reached, ignored (what that reader reaches), difference with low and high (95 %, for all rows together),
    and found: "above", "below", "not told apart" or "too few instructions". Empty where no truth is known.

    >>> from prometheus_lib.tables import example_run
    >>> against_blind(example_run())["found"].unique().tolist()
    ['too few instructions']
    """
    rows = {}
    for format, names in UNSEEN.items():
        ignored = limit_average(run, (BLIND,), names) if rests_on_truth(run) else None
        for judge in run.scale.main_judges if ignored else ():
            if reached := judge_over_runs(run, judge, names):
                rows[format, judge] = (reached, ignored)
    told = [_difference(*each, level=1 - 0.05 / len(rows)) for each in rows.values()]
    index = pd.MultiIndex.from_tuples(list(rows), names=["format", "judge"])
    return pd.DataFrame(told, index, columns=["reached", "ignored", "difference", "low", "high", "found"])


def _difference(reached: Interval, ignored: Interval, level: float) -> tuple[float, float, float, float, float, str]:
    gap = metrics.difference(reached, ignored)
    wide = interval_of_draws(gap.estimate, gap.draws, gap.n, gap.n_clusters, level)
    found = ABOVE if wide.low > 0 else BELOW if wide.high < 0 else ALIKE
    found = TOO_FEW if gap.n_clusters < FEWEST_CLUSTERS else found
    return reached.estimate, ignored.estimate, wide.estimate, wide.low, wide.high, found


def told_blind(against: pd.DataFrame, format: str) -> str:
    """Return `against_blind` of one format as a sentence; "" where the truth is not known.

    >>> rows = pd.DataFrame({"ignored": [65.0, 65.0], "found": ["above", "below"]}, [["direct"] * 2, ["joint", "base"]])
    >>> print(told_blind(rows, "direct"))
    Whoever reads everything and ignores the rubric has 65.0 % exact scores: above it joint; below it base.
    """
    if format not in against.index.get_level_values(0):
        return ""
    part = against.loc[format]
    what = "exact scores" if format == "direct" else "of the pairs right"
    groups = {name: ", ".join(part.index[part["found"] == name]) for name in (ABOVE, ALIKE, BELOW, TOO_FEW)}
    said = {ABOVE: "above it", ALIKE: "not told apart from it", BELOW: "below it", TOO_FEW: "on too few instructions"}
    told = "; ".join(f"{said[name]} {judges}" for name, judges in groups.items() if judges)
    return f"Whoever reads everything and ignores the rubric has {part['ignored'].iloc[0]:.1f} % {what}: {told}."


def told_rubric(run: Run) -> str:
    """Return how far scores follow another rubric on the same response (`table_biases`) as a sentence; "" if not asked.

    >>> from prometheus_lib.tables import example_run
    >>> told_rubric(example_run())
    ''
    """
    cells = table_biases(run)
    known = cells[(cells["column"] == SLOPE) & (cells["kind"] == "judge") & cells["value"].notna()]
    if known.empty:
        return ""
    told = ", ".join(f"{each.row} {each.value:.2f}" for each in known.itertuples())
    tested = known[known["verdict"] != TOO_FEW]
    follow = f"{(tested['verdict'] == HIGHER).sum()} of {len(tested)} judges are shown to follow the rubric"
    follow = follow if len(tested) else "on too few instructions for a test"
    moved = "Under another rubric on the same response, a score moves for each point of the true score by"
    return f"{moved}: {told}; {follow}."
