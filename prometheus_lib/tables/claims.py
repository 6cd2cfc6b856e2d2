"""The ledger of the paper's claims: a verdict for each, from the evidence for its differences (`claim_evidence`).

A verdict follows from what is shown of a claim's parts:

- *reproduced*: all are above zero;
- *not reproduced*: one is below zero;
- *no effect larger than m*: each is above zero or within the margin m, which the registry fixed beforehand;
- *undecided*: all else, with an estimate of how many more judgments would tell.

What a run cannot put to a test, as judges were not asked or on fewer than ten instructions, is *not tested*.

A control has no direction that the paper claims: its verdict is *higher*, *lower* or one of the last two. What is true
by construction gets no verdict. A verdict speaks of these trained judges; where they were trained with three seeds or
more, the column "over training runs" says whether the same is shown of seeds in general.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .. import metrics
from ..metrics import FEWEST_CLUSTERS, TOO_FEW
from ..paper import MEASURES, Claim, claims_about
from ..paper.claims import CLAIM, CONSTRUCTION, CONTROL
from ..paper.reasons import REASONS
from .cells import show_p
from .claim_evidence import evidence_table, kept_evidence, rests_on_truth
from .claim_numbers import published_score
from .measures import judge_average
from .run import Run

__all__ = [
    "AVERAGE", "FAILS", "HOLDS", "IN_DOMAIN", "NOT_TESTED", "NO_EFFECT", "NOT_REPRODUCED", "ONE_RUN", "OPEN",
    "OUTCOMES", "REPRODUCED", "UNDECIDED", "VERDICTS", "differences_by_benchmark", "display_ledger", "evidence_table",
    "failures", "kept_evidence", "ledger", "outcome_of", "over_training_runs", "show_difference", "show_parts",
    "verdict_of",
]  # fmt: skip

AVERAGE = "average, unseen domain"
REPRODUCED, NOT_REPRODUCED, NO_EFFECT, UNDECIDED = (
    "reproduced", "not reproduced", "no effect larger than m", "undecided",
)  # fmt: skip
VERDICTS = (REPRODUCED, NOT_REPRODUCED, NO_EFFECT, UNDECIDED)
NOT_TESTED = "not tested"
OUTCOMES = (*VERDICTS, NOT_TESTED)
IN_DOMAIN = ("feedback_bench", "preference_bench")
ONE_RUN, HOLDS, FAILS, OPEN = "one run", "holds", "does not hold", "open"
NOT_MEASURED, IN_PART = "not measured", "measured in part"
_NOTHING = 1e-9  # what floating-point sums leave of zero


# --- the ledger ------------------------------------------------------------------------------------------------------


def ledger(run: Run, claims: Iterable[Claim] | None = None, merged: str | None = None) -> pd.DataFrame:
    """Return one row for each claim (all that can be tested, or those given), index its id.

    Columns: kind, role, where, claim, measure, printed and repaired (the paper's difference where it is one), this run
    (its difference with the interval that holds for the whole list, or how many are shown), p, p (no effect), margin,
    verdict, over training runs (whether the verdict holds for them: "holds", "does not hold", "open", or "one run"),
    by the raters (the same difference by the paper's measure), excludes paper's (whether *that* interval excludes the
    paper's own size), more needed, note, and where a claim is not borne out the likely reason and what would tell. The
    correction is always that of the whole registry, whichever claims are shown.

    >>> from prometheus_lib.paper import claim_named
    >>> from prometheus_lib.tables import example_run
    >>> ledger(example_run(), [claim_named("C02"), claim_named("C07")])["note"].str[:20].tolist()
    ['too few instructions', 'not measured']
    """
    table = evidence_table(run, merged)
    parts = dict(list(table.groupby("claim")))
    chosen = claims_about() if claims is None else list(claims)
    rows = {claim.id: _ledger_row(run, claim, parts[claim.id]) for claim in chosen}
    return pd.DataFrame.from_dict(rows, orient="index").astype({"more needed": "Int64"})


def _ledger_row(run: Run, claim: Claim, parts: pd.DataFrame) -> dict[str, Any]:
    kind, verdict = claim.kind_at(run.scale.schooled), outcome_of(claim, parts)
    undecided = verdict == UNDECIDED
    more = parts.loc[parts["shown"] == "?", "more needed"].max() if undecided else pd.NA
    reason = REASONS.get(claim.id) if verdict in (NOT_REPRODUCED, NO_EFFECT) else None
    return {
        "kind": kind,
        "role": claim.role,
        "where": claim.where,
        "claim": claim.text,
        "measure": MEASURES[claim.measure].said(rests_on_truth(run)),
        "printed": _single(parts["printed"]),
        "repaired": _single(parts["repaired"]),
        "this run": show_parts(parts),
        "p": _claim_p(parts),
        "p (no effect)": _claim_p_none(parts),
        "margin": float(claim.margin),
        "verdict": verdict,
        "over training runs": over_training_runs(claim, parts),
        "by the raters": show_parts(parts, "rated") if MEASURES[claim.measure].truth else "",
        "excludes paper's": _excludes(parts),
        "more needed": more,
        "note": _note(claim, kind, parts, verdict),
        "likely reason": reason.likely if reason else "",
        "what would tell": reason.tells if reason else "",
    }


def over_training_runs(claim: Claim, parts: pd.DataFrame) -> str:
    """Return whether a verdict is shown over training runs too: of a claim's parts, over instructions and seeds.

    "holds": the same verdict; "does not hold": another one; "open": these seeds do not tell; "one run": there are fewer
    than three of some part.

    >>> from prometheus_lib.paper import claim_named
    >>> claim, shown = claim_named("C03"), pd.DataFrame({"shown": ["-"], "two-way shown": ["?"]})
    >>> over_training_runs(claim, shown), over_training_runs(claim, shown.assign(**{"two-way shown": "-"}))
    ('open', 'holds')
    """
    if (parts["two-way shown"] == "").any():
        return ONE_RUN
    here, there = (verdict_of(claim, parts[column]) for column in ("shown", "two-way shown"))
    if there == UNDECIDED:
        return OPEN
    return HOLDS if here == there else FAILS


def verdict_of(claim: Claim, shown: Iterable[str]) -> str:
    """Return the verdict on a claim from what is shown of its parts ("+", "-", "0" or "?").

    >>> from prometheus_lib.paper import claim_named
    >>> claim = claim_named("C17")
    >>> [verdict_of(claim, shown) for shown in ("++", "+-", "+0", "0?")]
    ['reproduced', 'not reproduced', 'no effect larger than m', 'undecided']
    """
    if claim.kind == CONSTRUCTION:
        return CONSTRUCTION
    signs = set(shown)
    above, below = ("higher", "lower") if claim.kind == CONTROL else (REPRODUCED, NOT_REPRODUCED)
    if "-" in signs:
        return below
    if signs == {"+"}:
        return above
    return NO_EFFECT if signs and signs <= {"+", "0"} else UNDECIDED


def outcome_of(claim: Claim, parts: pd.DataFrame) -> str:
    """Return the verdict on a claim from its parts' evidence; "not tested" where they lack what a test needs.

    >>> from prometheus_lib.paper import claim_named
    >>> parts = pd.DataFrame({"shown": ["?"], "difference": [3.0], "clusters": [4]})
    >>> outcome_of(claim_named("C03"), parts), outcome_of(claim_named("C03"), parts.assign(clusters=80))
    ('not tested', 'undecided')
    """
    verdict = verdict_of(claim, parts["shown"])
    return NOT_TESTED if verdict == UNDECIDED and lacking(parts) else verdict


def _claim_p(parts: pd.DataFrame) -> float:
    """The p-value of the direction: all parts above zero, or, where some are not, one of them below."""
    below = parts["difference"] <= 0
    return float(parts.loc[below, "p"].min() if below.any() else parts["p"].max(skipna=False))


def _claim_p_none(parts: pd.DataFrame) -> float:
    """The p-value of "no effect larger than m": each part within the margin, or above zero."""
    if len(parts) == 1:
        return float(parts["p (no effect)"].iloc[0])
    above = parts["p"].where(parts["difference"] > 0, 1.0)
    return float(np.minimum(above, parts["p (no effect)"]).max(skipna=False))


def _single(values: pd.Series) -> float:
    return float(values.iloc[0]) if len(values) == 1 else math.nan


def _excludes(parts: pd.DataFrame) -> str:
    """Whether the interval by the paper's measure excludes the difference that it prints; of several, how many do."""
    known = parts[parts["printed"].notna() & parts["rated low"].notna()]
    outside = int(((known["printed"] < known["rated low"]) | (known["printed"] > known["rated high"])).sum())
    if known.empty:
        return "-"
    return f"{outside} of {len(known)}" if len(parts) > 1 else ("yes" if outside else "no")


def _note(claim: Claim, kind: str, parts: pd.DataFrame, verdict: str) -> str:
    missing = lacking(parts)
    if missing in (NOT_MEASURED, IN_PART) or (missing and verdict == NOT_TESTED):
        return missing
    return claim.schooled if kind != claim.kind else claim.why or claim.caution


def lacking(parts: pd.DataFrame, column: str = "difference") -> str:
    """Return what the differences of a claim lack for a test: NOT_MEASURED, IN_PART, TOO_FEW, or "" for nothing.

    >>> lacking(pd.DataFrame({"difference": [3.0, math.nan], "clusters": [80, 0]}))
    'measured in part'
    """
    known = parts[column].notna()
    if not known.all():
        return IN_PART if known.any() else NOT_MEASURED
    return TOO_FEW if (parts["clusters"] < FEWEST_CLUSTERS).any() else ""


# --- in words --------------------------------------------------------------------------------------------------------


def show_difference(difference: float, low: float, high: float) -> str:
    """Write a difference with its interval: as many decimals as its width needs, and none of its ends as a false zero.

    >>> show_difference(-1.588, -4.31, 1.13), show_difference(0.0004, 0.0001, 0.0008), show_difference(2.3, 0.02, 4.6)
    ('-1.6 [-4.3, +1.1]', '+0.00040 [+0.00010, +0.00080]', '+2.30 [+0.02, +4.60]')
    """
    if math.isnan(difference):
        return NOT_MEASURED
    if math.isnan(low):
        return f"{difference:+z.2f}"
    half = (high - low) / 2
    if half < _NOTHING:
        return f"{difference:+z.2f} in every resample"
    places = max(1, 1 - math.floor(math.log10(half)))
    ends = [abs(end) for end in (low, high) if abs(end) > _NOTHING]
    while places < 8 and any(round(end, places) == 0 for end in ends):
        places += 1
    return f"{difference:+z.{places}f} [{low:+z.{places}f}, {high:+z.{places}f}]"


def show_parts(parts: pd.DataFrame, by: str = "") -> str:
    """Say what was measured for a claim: its difference with interval, or what is shown of several.

    by: "" for the yardstick that decides, "rated" for the raters.

    >>> rows = pd.DataFrame({"difference": [2.0, -0.1], "low": [1, -1], "high": [3, 1], "shown": ["+", "0"]})
    >>> show_parts(rows), show_parts(rows[:1])
    ('1 of 2 above zero; shown: 1 above, 0 below, 1 within m', '+2.0 [+1.0, +3.0]')
    """
    columns = [by, f"{by} low", f"{by} high", f"{by} shown"] if by else ["difference", "low", "high", "shown"]
    found = parts[columns].set_axis(["difference", "low", "high", "shown"], axis=1)
    if len(found) == 1:
        return show_difference(*found[["difference", "low", "high"]].iloc[0])
    if found["difference"].isna().all():
        return NOT_MEASURED
    above, signs = int((found["difference"] > 0).sum()), found["shown"].value_counts()
    shown = ", ".join(
        f"{signs.get(sign, 0)} {word}" for sign, word in (("+", "above"), ("-", "below"), ("0", "within m"))
    )
    return f"{above} of {len(found)} above zero; shown: {shown}"


def display_ledger(table: pd.DataFrame) -> pd.DataFrame:
    """Return a ledger as texts to show: p-values with their digits, "-" where there is nothing.

    Reasons are left out (`failures` shows them), as are the columns of raters and training runs where they say nothing.

    >>> from prometheus_lib.paper import claim_named
    >>> from prometheus_lib.tables import example_run
    >>> display_ledger(ledger(example_run(), [claim_named("C03")])).loc["C03", ["printed", "p", "verdict"]].tolist()
    ['+13.90', '-', 'not tested']
    """
    shown = table.astype(object)
    for column in ("printed", "repaired"):
        shown[column] = ["-" if pd.isna(value) else f"{value:+z.2f}" for value in table[column]]
    for column in ("p", "p (no effect)"):
        shown[column] = [show_p(value) for value in table[column]]
    shown["margin"] = [f"{value:g}" for value in table["margin"]]
    shown["more needed"] = ["-" if pd.isna(value) else f"{value:,}" for value in table["more needed"]]
    silent = {"over training runs": ONE_RUN, "by the raters": ""}
    empty = [column for column, nothing in silent.items() if (shown[column] == nothing).all()]
    return shown.drop(columns=["likely reason", "what would tell", *empty]).map(lambda text: text or "-")


def failures(table: pd.DataFrame) -> pd.DataFrame:
    """Return the claims of a ledger that are not borne out, with the likely reason and what would tell.

    >>> from prometheus_lib.tables import example_run
    >>> len(failures(ledger(example_run())))
    0
    """
    failed = (table["likely reason"] != "") & (table["kind"] == CLAIM)
    return table.loc[failed, ["claim", "this run", "verdict", "likely reason", "what would tell"]]


# --- for looking -----------------------------------------------------------------------------------------------------


def differences_by_benchmark(run: Run, pairs: Sequence[tuple[str, str]], names: Sequence[str]) -> pd.DataFrame:
    """Return what each first judge gains over the second on each benchmark and on the average of the unseen ones.

    One row per pair and benchmark: claim ("first > second"), benchmark, published (the paper's own difference, NaN
    where it prints none), ours, low, high (95 %, of this difference alone), n. Nothing is tested: verdicts on claims
    stand in the `ledger`. Pairs with a judge that has not answered are left out.

    >>> from prometheus_lib.tables import example_run
    >>> found = differences_by_benchmark(example_run(), [("linear", "base"), ("linear", "nobody")], ["hhh_alignment"])
    >>> found["claim"].unique().tolist(), found["benchmark"].tolist()
    (['linear > base'], ['hhh_alignment', 'average, unseen domain'])
    """
    places = {**{name: [name] for name in names}, AVERAGE: [name for name in names if name not in IN_DOMAIN]}
    rows = []
    for (first, second), (place, where) in itertools.product(pairs, places.items()):
        one, two = (judge_average(run.of(first, second), judge, where) for judge in (first, second))
        if one is None or two is None:
            continue
        found = metrics.difference(one, two)
        printed = published_score(run.scale, first, where) - published_score(run.scale, second, where)
        limits = {"ours": found.estimate, "low": found.low, "high": found.high, "n": found.n}
        rows.append({"claim": f"{first} > {second}", "benchmark": place, "published": printed, **limits})
    return pd.DataFrame(rows, columns=["claim", "benchmark", "published", "ours", "low", "high", "n"])
