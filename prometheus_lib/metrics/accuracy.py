"""Pairwise ranking (section 3.2, Tables 4 and 13): accuracy under named rules, both orders, win rates.

Decisions and labels are "A", "B" or "tie", written exactly so; a decision may also be missing: unparsed. An unparsed
decision is counted in `.unparsed` and is wrong; nothing is filled in, nothing vanishes. Where the paper's text, its
released code and the sound rule differ, each has a function of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..records import DataError
from .columns import (
    Floats,
    Objects,
    aligned,
    codes,
    labelled,
    matrix,
    names,
    objects,
    one_kind,
    ratio,
    same_length,
    vector,
)

TieRule = Literal["wrong", "half", "dropped", "gold dropped"]

TIE_RULES: tuple[TieRule, ...] = ("wrong", "half", "dropped", "gold dropped")

_DRAWS = "one row per item and one column per draw"


# --- what comes out --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Accuracy:
    """A share of right decisions. `correct` is whole except under rule "half"; `n` includes `unparsed`.

    >>> from prometheus_lib.metrics import pairwise_accuracy
    >>> found = pairwise_accuracy(["A", "B", None, "B"], ["A", "A", "B", "B"])
    >>> found.value, found.correct, found.n, found.unparsed
    (0.5, 2, 4, 1)
    """

    value: float
    n: int
    correct: float
    unparsed: int
    gold_ties: int = 0
    decided_ties: int = 0
    rule: str = "wrong"


@dataclass(frozen=True)
class Consistency:
    """Equal decisions under both orders: `value` over all `n`, `parsed_only` over n - unparsed.

    >>> from prometheus_lib.metrics import position_consistency
    >>> found = position_consistency(["A", "B", None, "A"], ["A", "A", "B", "A"])
    >>> found.value, found.equal, found.unparsed
    (0.5, 2, 1)
    """

    value: float
    parsed_only: float
    n: int
    equal: int
    unparsed: int


@dataclass(frozen=True)
class WinRate:
    """Share of comparisons won by one side, a draw counting half; all as fractions.

    >>> from prometheus_lib.metrics import win_rate
    >>> found = win_rate(["A", "A", "tie", "B"], side="A")
    >>> found.value, found.wins, found.draws
    (0.625, 2, 1)
    """

    value: float
    standard_error: float
    discrete: float
    wins: int
    losses: int
    draws: int
    n: int
    unparsed: int


# --- one order -------------------------------------------------------------------------------------------------------


def item_credits(decisions: ArrayLike, labels: ArrayLike, ties: TieRule = "wrong") -> Floats | pd.Series:
    """Credit per item, (items,): 1 right, 0 wrong, 0.5 under rule "half", NaN for an item that the rule drops.

    The mean of the credits is `pairwise_accuracy(...).value`; give them to `bootstrap_mean` and
    `compare_accuracies`. Where the decisions or labels are a Series, so are the credits.

    >>> item_credits(["A", "B", "tie", None], ["A", "A", "tie", "B"], ties="gold dropped")
    array([ 1.,  0., nan,  0.])
    """
    decided, gold, index = _decision_codes(decisions, labels)
    return labelled(_credits(decided, gold, ties), index)


def _credits(decided: Floats, gold: Floats, ties: str) -> Floats:
    if ties not in TIE_RULES:
        raise DataError(f"unknown tie rule {ties!r}; use one of {', '.join(TIE_RULES)}")
    credit = (decided == gold).astype(float)
    if ties == "half":
        credit[((decided == 0) != (gold == 0)) & np.isfinite(decided)] = 0.5
    if ties in ("dropped", "gold dropped"):
        credit[(gold == 0) | ((decided == 0) & (ties == "dropped"))] = np.nan
    return credit


def pairwise_accuracy(decisions: ArrayLike, labels: ArrayLike, ties: TieRule = "wrong") -> Accuracy:
    """Share of items whose decision equals the label (Table 4), under a stated tie rule (`corrected`).

    decisions: "A", "B", "tie" or None (unparsed, always wrong); labels: "A", "B" or "tie"; both (items,). Two Series
    are matched by their index.

    - "wrong": only equality counts, so a gold tie is right only when decided as tie.
    - "half": when exactly one of decision and label is a tie, the item counts 0.5.
    - "dropped": items whose decision or label is a tie are left out (MT-Bench's agreement "without ties"). Each
      judge drops items of its own, so two judges are then not compared on the same items.
    - "gold dropped": only items labelled tie are left out; a decided tie on the others stays wrong (the paper's
      "w/o TIE" columns).

    DataError, with the position, for any other value.

    >>> found = pairwise_accuracy(["A", "B", "tie", None], ["A", "A", "tie", "B"])
    >>> found.value, found.correct, found.n, found.unparsed
    (0.5, 2, 4, 1)
    """
    decided, gold, _ = _decision_codes(decisions, labels)
    return _accuracy(_credits(decided, gold, ties), decided, gold, ties)


def _accuracy(credit: Floats, decided: Floats, gold: Floats, rule: str) -> Accuracy:
    kept = np.isfinite(credit)
    right = float(credit[kept].sum())
    return Accuracy(
        value=ratio(right, int(kept.sum())),
        n=int(kept.sum()),
        correct=int(right) if right.is_integer() else right,
        unparsed=int(np.isnan(decided[kept]).sum()),
        gold_ties=int((gold[kept] == 0).sum()),
        decided_ties=int((decided[kept] == 0).sum()),
        rule=rule,
    )


def _decision_codes(decisions: ArrayLike, labels: ArrayLike) -> tuple[Floats, Floats, pd.Index | None]:
    (decisions, labels), index = aligned(decisions=decisions, labels=labels)
    decided, gold = codes(decisions, "decisions"), codes(labels, "labels", allow_missing=False)
    same_length(decisions=decided, labels=gold)
    return decided, gold, index


def accuracy_by_tie_rule(decisions: ArrayLike, labels: ArrayLike) -> dict[str, Accuracy]:
    """The same decisions under every rule of `TIE_RULES`, by name.

    >>> found = accuracy_by_tie_rule(["A", "B", "tie"], ["A", "A", "B"])
    >>> {rule: round(each.value, 2) for rule, each in found.items()}
    {'wrong': 0.33, 'half': 0.5, 'dropped': 0.5, 'gold dropped': 0.33}
    """
    return {rule: pairwise_accuracy(decisions, labels, rule) for rule in TIE_RULES}


# --- through direct scores -------------------------------------------------------------------------------------------


def direct_to_pair(scores_a: ArrayLike, scores_b: ArrayLike) -> Objects | pd.Series:
    """Direct2Pair (Table 13): the higher direct score wins, equal scores tie, a missing one is unparsed.

    One pass over one score per response; combine with `pairwise_accuracy` under each tie rule.

    >>> direct_to_pair([5, 2, 3, None], [4, 4, 3, 1]).tolist()
    ['A', 'B', 'tie', None]
    """
    (scores_a, scores_b), index = aligned(scores_a=scores_a, scores_b=scores_b)
    a, b = vector(scores_a, "scores_a"), vector(scores_b, "scores_b")
    return labelled(names(a - b), index)


def text_mixture_decisions(
    scores_a: ArrayLike, scores_b: ArrayLike, pairwise_decisions: ArrayLike
) -> Objects | pd.Series:
    """The text's "w/ TIE" rule (`paper-text`, Table 4): equal direct scores tie, else the pairwise decision.

    The rule needs both formats: where a direct score is missing the item is unparsed.

    >>> text_mixture_decisions([3, 5, None], [3, 1, 4], ["A", "A", "B"]).tolist()
    ['tie', 'A', None]
    """
    given, index = aligned(scores_a=scores_a, scores_b=scores_b, pairwise_decisions=pairwise_decisions)
    direct, pairwise = objects(direct_to_pair(*given[:2]), "scores"), objects(given[2], "pairwise_decisions")
    mixed = np.where(pd.isna(direct), None, np.where(direct == "tie", "tie", pairwise))
    return labelled(mixed, index)


def code_label_aware_decisions(draws_a: ArrayLike, draws_b: ArrayLike, labels: ArrayLike) -> Objects | pd.Series:
    """Decisions of the released evaluation code from draws (items, draws) of direct scores (`paper-code`).

    Where the label is A or B, the first of up to three draws whose scores differ decides; where the label is
    a tie, only the first draw counts. **The rule looks at the label**, so it is no judgment: it is here to
    show how much of a published number it explains. A draw with a missing score decides nothing; none
    readable is unparsed.

    >>> code_label_aware_decisions([[3, 4, 1], [2, 5, 5]], [[3, 2, 5], [2, 1, 1]], ["A", "tie"]).tolist()
    ['A', 'tie']
    """
    (draws_a, draws_b, labels), index = aligned(draws_a=draws_a, draws_b=draws_b, labels=labels)
    a, b = (matrix(draws, name, _DRAWS)[:, :3] for draws, name in ((draws_a, "draws_a"), (draws_b, "draws_b")))
    gold = codes(labels, "labels", allow_missing=False)
    if a.shape != b.shape or a.shape[1] == 0:
        raise DataError(f"draws_a {a.shape}, draws_b {b.shape} and {len(gold)} labels do not fit together")
    signs = np.sign(a - b)
    differs = np.nan_to_num(signs) != 0
    first = np.where(differs.any(axis=1), differs.argmax(axis=1), np.isfinite(signs).argmax(axis=1))
    return labelled(names(signs[np.arange(len(gold)), np.where(gold == 0, 0, first)]), index)


def code_label_aware_accuracy(draws_a: ArrayLike, draws_b: ArrayLike, labels: ArrayLike) -> Accuracy:
    """Accuracy of `code_label_aware_decisions` (`paper-code`; behind Table 13's Direct2Pair and "w/ TIE").

    With 35 % equal scores and 75 % right elsewhere it turns 48.8 % into 71.8 %.

    >>> code_label_aware_accuracy([[3, 4, 1], [2, 5, 5]], [[3, 2, 5], [2, 1, 1]], ["A", "tie"]).value
    1.0
    """
    (draws_a, draws_b, labels), _ = aligned(draws_a=draws_a, draws_b=draws_b, labels=labels)
    accuracy = pairwise_accuracy(code_label_aware_decisions(draws_a, draws_b, labels), labels)
    return replace(accuracy, rule="label-aware")


# --- both orders -----------------------------------------------------------------------------------------------------


def both_orders_accuracy(first: ArrayLike, swapped: ArrayLike, labels: ArrayLike, mapped_back: bool = True) -> Accuracy:
    """Share of items right in each A/B order (Auto-J's agreement, LLMBar's `correct_both`); all columns (items,).

    `swapped` holds the decisions made with the responses exchanged, **mapped back to the item's own A and B** (as
    judgment files store them, and LLMBar's): a judge free of position bias has swapped == first. With
    `mapped_back=False` they are taken as the judge said them of the exchanged responses (as Auto-J's and
    JudgeBench's files store them): "A" is then the item's own B.

    An item is unparsed when either decision is. A gold tie is right only when decided as tie. For the accuracy of one
    decision out of both orders, give `combine_orders` to `pairwise_accuracy`.

    >>> both_orders_accuracy(["A", "A", "B"], ["A", "B", "B"], ["A", "A", "A"]).correct
    1
    """
    (first, swapped, labels), _ = aligned(first=first, swapped=swapped, labels=labels)
    (one, gold, _), two = _decision_codes(first, labels), _swapped_codes(swapped, mapped_back)
    decided = np.where(np.isnan(one) | np.isnan(two), np.nan, np.where(one == two, one, np.inf))  # inf: at odds
    return _accuracy((decided == gold).astype(float), decided, gold, "both orders")


def combine_orders(
    first: ArrayLike, swapped: ArrayLike, rule: Literal["agree", "together"] = "agree", mapped_back: bool = True
) -> Objects | pd.Series:
    """One decision per item from both A/B orders, (items,); `swapped` and `mapped_back` as above.

    "agree": what both orders say; a tie where they differ (MT-Bench's GPT-4 pairs); None when either is unparsed.
    "together": each order casts a vote, and the side with more votes is the decision, so A and a tie make A, A and B a
    tie (JudgeBench); an unparsed order casts none, and an item is unparsed when both are.

    >>> combine_orders(["A", "A", None], ["A", "tie", "B"]).tolist()
    ['A', 'tie', None]
    >>> combine_orders(["A", "A", None], ["A", "tie", "B"], "together").tolist()
    ['A', 'A', 'B']
    """
    (first, swapped), index = aligned(first=first, swapped=swapped)
    one, two = codes(first, "first"), _swapped_codes(swapped, mapped_back)
    if rule not in ("agree", "together"):
        raise DataError(f"unknown rule {rule!r}; use 'agree' or 'together'")
    if rule == "agree":
        return labelled(names(np.where(np.isnan(one) | np.isnan(two), np.nan, np.where(one == two, one, 0.0))), index)
    votes = np.sign(np.nan_to_num(one) + np.nan_to_num(two))
    return labelled(names(np.where(np.isnan(one) & np.isnan(two), np.nan, votes)), index)


def _swapped_codes(swapped: ArrayLike, mapped_back: bool) -> Floats:
    return codes(swapped, "swapped") * (1 if mapped_back else -1)


def position_consistency(first: ArrayLike, swapped: ArrayLike, mapped_back: bool = True) -> Consistency:
    """Share of items decided alike under both orders; `swapped` and `mapped_back` as in `both_orders_accuracy`.

    An item with an unparsed decision is not consistent in `.value` and is left out of `.parsed_only`.

    >>> found = position_consistency(["A", "A", "B", None], ["A", "B", "B", "A"])
    >>> found.value, round(found.parsed_only, 3)
    (0.5, 0.667)
    """
    (first, swapped), _ = aligned(first=first, swapped=swapped)
    one, two = codes(first, "first"), _swapped_codes(swapped, mapped_back)
    equal, unparsed = int((one == two).sum()), int((np.isnan(one) | np.isnan(two)).sum())
    return Consistency(ratio(equal, len(one)), ratio(equal, len(one) - unparsed), len(one), equal, unparsed)


# --- win rates -------------------------------------------------------------------------------------------------------


def win_rate(preferences: ArrayLike, side: Literal["A", "B"] = "B") -> WinRate:
    """Win rate of the responses on one side, as AlpacaEval counts it, from `preferences` (items,).

    Preferences are a judge's decisions ("A", "B", "tie", None for unparsed), or AlpacaEval's numbers: 1 means that the
    first response (A) won, 2 the second (B), 1.5 (or 0) a draw; values between are graded. As in AlpacaEval, the first
    is the baseline and the second the model, unless `side` says "A". What is unparsed is counted and left out of the
    rate. The standard error is that of the mean (NaN for one comparison); `discrete` rounds graded values first.

    >>> decisions = ["B", "B", "A", "tie", None]
    >>> found = win_rate(decisions)
    >>> found.value, found.wins, found.losses, found.draws, found.unparsed
    (0.625, 2, 1, 1, 1)
    >>> win_rate(decisions, side="A").value
    0.375
    >>> win_rate(combine_orders(["A", "B"], ["B", "B"])).value
    0.75
    """
    if side not in ("A", "B"):
        raise DataError(f"side must be 'A' or 'B', not {side!r}")
    values = _preferences(preferences)
    kept = values[np.isfinite(values)]
    kept = kept if side == "B" else 1 - kept
    wins, draws, n = int((kept > 0.5).sum()), int((kept == 0.5).sum()), len(kept)
    error = float(kept.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    rate = ratio(float(kept.sum()), n)
    return WinRate(rate, error, ratio(wins + draws / 2, n), wins, n - wins - draws, draws, n, len(values) - n)


def _preferences(preferences: ArrayLike) -> Floats:
    """How much each comparison went to the second response (B), 0 to 1; NaN for unparsed."""
    given = objects(preferences, "preferences")
    one_kind(preferences=given)
    kinds = set(map(type, given))
    if any(issubclass(kind, str) for kind in kinds):
        return (1 - codes(given, "preferences")) / 2
    if any(issubclass(kind, (bool, np.bool_)) for kind in kinds):
        raise DataError("preferences are truth values; say who won: 'A', 'B' or 'tie', or 1, 2 or 1.5")
    values = vector(given, "preferences")
    values = np.where(values == 0, 1.5, values)
    wrong = values[(values < 1) | (values > 2)]
    if len(wrong):
        raise DataError(
            f"{wrong[0]:g} is no preference; it must be a decision ('A', 'B', 'tie'), 1 (first response), 2 (second), "
            "1.5 or 0 (draw), between 1 and 2, or missing"
        )
    return values - 1
