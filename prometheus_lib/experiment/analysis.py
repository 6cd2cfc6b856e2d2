"""What the results say: differences between arms in every cell, and verdicts on the design's hypotheses.

Seeds are the unit: arms of one seed share data and test items, so differences are paired, and Student's t over the
seeds gives interval and p-value. The two-way interval, over seeds and instructions, stands beside it. A hypothesis gets
one of the four verdicts of the ledger; "reproduced" says that the sign it expects is shown.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from ..metrics import holm
from ..metrics.runs import RunsMean, over_runs
from ..tables.claims import NO_EFFECT, NOT_REPRODUCED, REPRODUCED, UNDECIDED
from .design import MEASURES, POINT, Design, Hypothesis, level_text
from .results import FEWEST_SEEDS, Results, outcome_table

LEVEL = 0.05
NOT_RUN, ONE_SEED = "not run yet", "one seed: not tested"
# The main figure's two comparisons: the merge with joint training, and with the expert of the measure's format.
AGAINST = {"joint training": {"exact": "joint", "pair": "joint"}, "expert": {"exact": "direct", "pair": "pairwise"}}


def difference(design: Design, results: Results, cell: str, measure: str, first: str, second: str) -> RunsMean | None:
    """Return first minus second in points over the seeds that are there; None where there is none.

    >>> from .design import read_design
    >>> arms = {"linear": {"exact": "11"}, "joint": {"exact": "10"}}
    >>> results = {("paper", seed): {"arms": arms} for seed in (1, 2)}
    >>> difference(read_design("map"), results, "paper", "exact", "linear", "joint").mean
    50.0
    """
    seeds = [seed for seed in design.seeds if (cell, seed) in results]
    if not seeds:
        return None
    one, two = (outcome_table(results, cell, arm, measure, seeds) for arm in (first, second))
    return over_runs(one - two)


def differences(design: Design, results: Results, merge: str = "linear") -> pd.DataFrame:
    """Return a merge minus joint training and minus the expert, for every knob's levels that are there.

    Columns: knob, level, cell, against, measure, difference, low, high (95 % over seeds), two-way low and high, seeds.
    The paper's point stands in every knob.

    >>> from .design import read_design
    >>> differences(read_design("map"), {}).empty
    True
    """
    rows = [
        {"knob": knob, "level": level, "cell": cell, "against": against, "measure": measure,
         **_ends(difference(design, results, cell, measure, merge, other[measure]))}
        for knob in design.knobs for level, cell in design.levels(knob).items()
        for against, other in AGAINST.items() for measure in other
        if any((cell, seed) in results for seed in design.seeds)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _ends(found: RunsMean) -> dict[str, Any]:
    ends = [*found.interval(), *found.interval(two_way=True)]
    return {"difference": found.mean, **dict(zip(("low", "high", "two-way low", "two-way high"), ends, strict=True)),
            "seeds": found.runs}  # fmt: skip


def verdicts(design: Design, results: Results) -> pd.DataFrame:
    """Return one row for each hypothesis of the design, index its id.

    Columns: says, difference, low, high (95 %, over seeds), two-way low, two-way high, p and p (no effect), both
    corrected by Holm over all hypotheses that could be tested, seeds, verdict. What has fewer than two seeds is not
    tested.

    >>> from .design import read_design
    >>> verdicts(read_design("map"), {})["verdict"].unique().tolist()
    ['not run yet']
    """
    found = {each.id: _tested(design, results, each) for each in design.hypotheses}
    p_values, p_none = (
        holm({id: test(each) if each else math.nan for id, each in found.items()})
        for test in (lambda each: each.p_value, lambda each: each.p_none(design.margin))
    )
    rows = [
        {"id": each.id, "says": each.says, "sign": each.sign, **(_ends(found[each.id]) if found[each.id] else {}),
         "p": p_values[each.id], "p (no effect)": p_none[each.id],
         "verdict": _verdict(each, found[each.id], p_values[each.id], p_none[each.id])}
        for each in design.hypotheses
    ]  # fmt: skip
    return pd.DataFrame(rows).set_index("id")


def _tested(design: Design, results: Results, each: Hypothesis) -> RunsMean | None:
    return difference(design, results, each.cell, each.measure, each.first, each.second)


def _verdict(each: Hypothesis, found: RunsMean | None, p_value: float, p_none: float) -> str:
    if found is None or found.runs < 2:
        return NOT_RUN if found is None else ONE_SEED
    if p_value < LEVEL:
        return REPRODUCED if (found.mean > 0) == (each.sign == "+") else NOT_REPRODUCED
    return NO_EFFECT if p_none < LEVEL else UNDECIDED


def helps(table: pd.DataFrame, margin: float) -> pd.Series:
    """Say of each row of `differences` what its own interval shows: "helps", "hurts", "no effect" or "undecided".

    Fewer than three seeds show nothing ("too few seeds"). An interval of one row holds for that row alone: of twenty
    true zeros one looks like more.

    >>> table = pd.DataFrame({"low": [1.0, -4.0, -1.0, -3.0, 1.0], "high": [3.0, -1.0, 1.0, 3.0, 1.0], "seeds": 3})
    >>> table.loc[4, "seeds"] = 2
    >>> helps(table, margin=2.0).tolist()
    ['helps', 'hurts', 'no effect', 'undecided', 'too few seeds']
    """
    rows = zip(table["low"], table["high"], table["seeds"], strict=True)
    return pd.Series([_shown(low, high, seeds, margin) for low, high, seeds in rows], index=table.index, dtype=object)


def _shown(low: float, high: float, seeds: int, margin: float) -> str:
    if seeds < FEWEST_SEEDS:
        return "too few seeds"
    if low > 0:
        return "helps"
    if high < 0:
        return "hurts"
    return "no effect" if -margin < low and high < margin else "undecided"


_VERBS = {"no effect": "has no effect", "undecided": "is undecided", "too few seeds": "has too few seeds"}


def told(design: Design, table: pd.DataFrame, merge: str = "linear") -> list[str]:
    """Return what `differences` shows of each knob, one sentence for each comparison and measure.

    >>> from .design import read_design
    >>> told(read_design("map"), pd.DataFrame())
    []
    """
    if not len(table):
        return []
    shown = table.assign(shown=helps(table, design.margin))
    return [
        f"{knob}, {MEASURES[measure]}: against {against} the {merge} merge "
        + "; ".join(f"{_VERBS.get(what, what)} at {_levels(rows, what)}" for what in rows["shown"].unique())
        for (knob, against, measure), rows in shown.groupby(["knob", "against", "measure"], sort=False)
    ]


def _levels(rows: pd.DataFrame, what: str) -> str:
    chosen = rows[rows["shown"] == what]
    return ", ".join(
        f"{level_text(level)} ({value:+.1f})"
        for level, value in zip(chosen["level"], chosen["difference"], strict=True)
    )


def changes(design: Design, results: Results) -> pd.DataFrame:
    """Return every cell minus the point, for every arm and measure, paired over the seeds that both have.

    Columns: cell, arm, measure, difference, low, high (95 % over seeds), two-way low and high, seeds.

    >>> from .design import read_design
    >>> changes(read_design("ablations"), {}).empty
    True
    """
    rows = []
    for cell in design.turned():
        seeds = [seed for seed in design.seeds if (cell, seed) in results and (POINT, seed) in results]
        for arm in design.arms if seeds else ():
            for measure in design.measures:
                one, two = (outcome_table(results, each, arm, measure, seeds) for each in (cell, POINT))
                rows.append({"cell": cell, "arm": arm, "measure": measure, **_ends(over_runs(one - two))})
    return pd.DataFrame(rows)
