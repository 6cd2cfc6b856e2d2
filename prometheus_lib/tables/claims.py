"""The paper's claims as tests: evidence for each difference of the registry (`paper.CLAIMS`), and a ledger of verdicts.

Every notebook reads its p-values and verdicts here, so one comparison has one corrected p-value. Each part of a claim
is a difference between two judges on the same items, resampled by whole instructions (`claim_measures`). The parts of
the primary claims are corrected together, those of the secondary ones among themselves, and those of each sanity check
and control by themselves (`metrics.simultaneous`): intervals and p-values are the corrected ones. A verdict follows
from what is shown of a claim's parts:

- *reproduced*: all are above zero;
- *not reproduced*: one is below zero;
- *no effect larger than m*: each is above zero or within the margin m, which the registry fixed beforehand;
- *undecided*: all else, with an estimate of how many more judgments would tell.

A control has no direction that the paper claims: its verdict is *higher*, *lower* or one of the last two. What is true
by construction gets no verdict.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .. import metrics
from ..metrics import FEWEST_CLUSTERS, TOO_FEW, Interval, Joint
from ..paper import Claim, Part, claims_about
from ..paper.claims import CLAIM, CONSTRUCTION, CONTROL, PRIMARY
from .cells import COMPARISON_RESAMPLES, show_p
from .claim_measures import MEASURED
from .claim_numbers import published_part, published_score
from .measures import judge_average
from .run import Run

AVERAGE = "average, unseen domain"
REPRODUCED, NOT_REPRODUCED, NO_EFFECT, UNDECIDED = (
    "reproduced", "not reproduced", "no effect larger than m", "undecided",
)  # fmt: skip
VERDICTS = (REPRODUCED, NOT_REPRODUCED, NO_EFFECT, UNDECIDED)
IN_DOMAIN = ("feedback_bench", "preference_bench")
_NOT_MEASURED = "not measured"
_NOTHING = 1e-9  # what floating-point sums leave of zero


# --- evidence --------------------------------------------------------------------------------------------------------


def evidence_table(run: Run, merged: str | None = None) -> pd.DataFrame:
    """Return one row for each difference of each claim that can be tested.

    Columns: claim (its id), part, difference, low, high (95 %, for the whole list), p, p (no effect), shown ("+", "-",
    "0" within the margin, "?" nothing), margin, printed and repaired (the paper's own difference), n, clusters, more
    needed. `merged` takes the place of the scale's merged judge. Without evidence numbers are NaN and n is 0.

    >>> from prometheus_lib.tables import example_run
    >>> table = evidence_table(example_run()).set_index("claim")
    >>> table.loc["C02", "part"], bool(table.loc["C02", "low"] > 0)
    ('merged - base', True)
    """
    merged = merged or run.scale.merged_judge
    if ("evidence", merged) not in run.memory:
        run.memory["evidence", merged] = _evidence(run, merged)
    return run.memory["evidence", merged].copy()


def _evidence(run: Run, merged: str) -> pd.DataFrame:
    claims = claims_about()
    found = {(claim.id, part): _measured(run, claim, part, merged) for claim in claims for part in claim.parts}
    joint: dict[tuple[str, Part], Joint] = {}
    for family in _families(claims, run.scale.miniature):
        keys = [(claim.id, part) for claim in family for part in claim.parts]
        margins = {(claim.id, part): claim.margin for claim in family for part in claim.parts}
        joint |= metrics.simultaneous({key: found[key] for key in keys}, margins)
    rows = [
        _row(run, claim, part, found[claim.id, part], joint.get((claim.id, part)))
        for claim in claims
        for part in claim.parts
    ]
    return pd.DataFrame(rows).astype({"more needed": "Int64"})


def _families(claims: Iterable[Claim], miniature: bool) -> list[list[Claim]]:
    """Claims that are corrected together: the primary, the secondary; every sanity check and control by itself.

    What is true by construction is not tested.
    """
    tested = [claim for claim in claims if claim.kind != CONSTRUCTION]
    stated = [claim for claim in tested if claim.kind_at(miniature) == CLAIM]
    primary = [claim for claim in stated if claim.role == PRIMARY]
    secondary = [claim for claim in stated if claim.role != PRIMARY]
    return [primary, secondary, *([claim] for claim in tested if claim not in stated)]


def _measured(run: Run, claim: Claim, part: Part, merged: str) -> Interval:
    found = MEASURED[claim.measure](run, part, merged)
    return found or metrics.interval_of_draws(math.nan, np.full(COMPARISON_RESAMPLES, math.nan), 0, 0)


def _row(run: Run, claim: Claim, part: Part, found: Interval, joint: Joint | None) -> dict[str, Any]:
    tested = joint or found
    return {
        "claim": claim.id,
        "part": part.label,
        "difference": found.estimate,
        "low": tested.low,
        "high": tested.high,
        "p": joint.p_value if joint else math.nan,
        "p (no effect)": joint.p_none if joint else math.nan,
        "shown": joint.sign if joint else "",
        "margin": claim.margin,
        "printed": published_part(run.scale, claim, part),
        "repaired": published_part(run.scale, claim, part, repaired=True),
        "n": found.n,
        "clusters": found.n_clusters,
        "more needed": joint.more_needed if joint else None,
    }


# --- the ledger ------------------------------------------------------------------------------------------------------


def ledger(run: Run, claims: Iterable[Claim] | None = None, merged: str | None = None) -> pd.DataFrame:
    """Return one row for each claim (all that can be tested, or those given), index its id.

    Columns: kind, role, where, claim, printed and repaired (the paper's difference where it is one), this run (its
    difference with the interval that holds for the whole list, or how many are shown), p, p (no effect), margin,
    verdict, excludes paper's (whether the interval excludes the paper's own size), more needed, note. The correction is
    always that of the whole registry, whichever claims are shown.

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
    kind, verdict = claim.kind_at(run.scale.miniature), verdict_of(claim, parts["shown"])
    undecided = verdict == UNDECIDED
    more = parts.loc[parts["shown"] == "?", "more needed"].max() if undecided else pd.NA
    return {
        "kind": kind,
        "role": claim.role,
        "where": claim.where,
        "claim": claim.text,
        "printed": _single(parts["printed"]),
        "repaired": _single(parts["repaired"]),
        "this run": show_parts(parts),
        "p": _claim_p(parts),
        "p (no effect)": _claim_p_none(parts),
        "margin": float(claim.margin),
        "verdict": verdict,
        "excludes paper's": _excludes(parts),
        "more needed": more,
        "note": _note(run, claim, kind, parts, undecided),
    }


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
    """Whether the interval excludes the difference that the paper prints; of several, how many do."""
    known = parts[parts["printed"].notna() & parts["low"].notna()]
    outside = int(((known["printed"] < known["low"]) | (known["printed"] > known["high"])).sum())
    if known.empty:
        return "-"
    return f"{outside} of {len(known)}" if len(parts) > 1 else ("yes" if outside else "no")


def _note(run: Run, claim: Claim, kind: str, parts: pd.DataFrame, undecided: bool) -> str:
    if parts["difference"].isna().any():
        return _NOT_MEASURED
    if undecided and (parts["clusters"] < FEWEST_CLUSTERS).any():
        return TOO_FEW
    return claim.miniature if kind != claim.kind else claim.why


# --- in words --------------------------------------------------------------------------------------------------------


def show_difference(difference: float, low: float, high: float) -> str:
    """Write a difference with its interval: as many decimals as its width needs, and none of its ends as a false zero.

    >>> show_difference(-1.588, -4.31, 1.13), show_difference(0.0004, 0.0001, 0.0008), show_difference(2.3, 0.02, 4.6)
    ('-1.6 [-4.3, +1.1]', '+0.00040 [+0.00010, +0.00080]', '+2.30 [+0.02, +4.60]')
    """
    if math.isnan(difference):
        return _NOT_MEASURED
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


def show_parts(parts: pd.DataFrame) -> str:
    """Say what was measured for a claim: its difference with interval, or what is shown of several.

    >>> rows = pd.DataFrame({"difference": [2.0, -0.1], "low": [1, -1], "high": [3, 1], "shown": ["+", "0"]})
    >>> show_parts(rows), show_parts(rows[:1])
    ('1 of 2 above zero; shown: 1 above, 0 below, 1 within m', '+2.0 [+1.0, +3.0]')
    """
    if len(parts) == 1:
        return show_difference(*parts[["difference", "low", "high"]].iloc[0])
    if parts["difference"].isna().all():
        return _NOT_MEASURED
    above, signs = int((parts["difference"] > 0).sum()), parts["shown"].value_counts()
    shown = ", ".join(
        f"{signs.get(sign, 0)} {word}" for sign, word in (("+", "above"), ("-", "below"), ("0", "within m"))
    )
    return f"{above} of {len(parts)} above zero; shown: {shown}"


def display_ledger(table: pd.DataFrame) -> pd.DataFrame:
    """Return a ledger as texts to show: p-values with their digits, "-" where there is nothing.

    >>> from prometheus_lib.paper import claim_named
    >>> from prometheus_lib.tables import example_run
    >>> display_ledger(ledger(example_run(), [claim_named("C03")])).loc["C03", ["printed", "p", "verdict"]].tolist()
    ['+13.90', '-', 'undecided']
    """
    shown = table.astype(object)
    for column in ("printed", "repaired"):
        shown[column] = ["-" if pd.isna(value) else f"{value:+z.2f}" for value in table[column]]
    for column in ("p", "p (no effect)"):
        shown[column] = [show_p(value) for value in table[column]]
    shown["margin"] = [f"{value:g}" for value in table["margin"]]
    shown["more needed"] = ["-" if pd.isna(value) else f"{value:,}" for value in table["more needed"]]
    return shown.map(lambda text: text or "-")


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
        one, two = (judge_average(run, judge, where) for judge in (first, second))
        if one is None or two is None:
            continue
        found = metrics.difference(one, two)
        printed = published_score(run.scale, first, where) - published_score(run.scale, second, where)
        limits = {"ours": found.estimate, "low": found.low, "high": found.high, "n": found.n}
        rows.append({"claim": f"{first} > {second}", "benchmark": place, "published": printed, **limits})
    return pd.DataFrame(rows, columns=["claim", "benchmark", "published", "ours", "low", "high", "n"])
