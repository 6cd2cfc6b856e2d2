"""The paper's metrics, their variants, and the intervals and tests behind every number.

Everything here works on plain columns (lists, numpy, pandas), so it runs from judgment files alone, for any judge.
Pairwise ranking, transitivity and win rates stand in this module; correlations, Krippendorff's alpha and Cohen's
kappa in `agreement`, intervals and tests in `resampling`; all of them are used as `metrics.<name>`. Conventions:

- Columns belong together by position; the index of a pandas object is ignored. Missing is None, NaN or pandas' NA.
- Shares (accuracies, win rates, transitivity) are fractions from 0 to 1; tables multiply by 100 for the
  paper's form.
- Pairwise decisions and labels are "A", "B" or "tie", written exactly so; a decision may also be missing:
  unparsed. An unparsed decision is counted in `.unparsed` and is wrong; nothing is filled in, nothing vanishes.
- A score that did not parse is missing. A statistic that is undefined (constant input, one item) is NaN, without
  warning. Input that cannot be meant is a DataError (a ValueError) that names the column and the place.
- Where the paper's text, its released code and the sound rule differ, each has a function of its own:
  `paper-text` (`text_mixture_accuracy`, `transitivity`), `paper-code` (`code_label_aware_accuracy`,
  `released_code_transitivity`), `corrected` (`pairwise_accuracy`, which states its tie rule, and
  `transitivity` with its chains counted by kind).
- Intervals are percentile bootstrap intervals that resample whole clusters (instructions). Cluster counts are
  drawn once per (number of clusters, seed), so two judges on the same items always meet the same resamples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ..records import DataError
from .agreement import (
    CORRELATIONS,
    LEVELS,
    Correlations,
    Kind,
    cohen_kappa,
    correlations,
    krippendorff_alpha,
    mean_scores,
)
from .columns import Floats, Objects, codes, complete, divide, matrix, names, objects, ratio, same_length, vector
from .resampling import (
    Comparison,
    Interval,
    bootstrap_alpha,
    bootstrap_correlation,
    bootstrap_interval,
    bootstrap_mean,
    bootstrap_p,
    bootstrap_pearson,
    bootstrap_ratio,
    bootstrap_statistic,
    cluster_codes,
    compare_accuracies,
    compare_correlations,
    distribution,
    holm,
    quantiles,
    resampled_correlation,
)

__all__ = [
    "CORRELATIONS", "LEVELS", "TIE_RULES", "Accuracy", "Comparison", "Consistency", "Correlations", "Floats",
    "Interval", "Kind", "TieRule", "Transitivity", "WinRate", "accuracy_by_group", "accuracy_by_tie_rule",
    "bootstrap_alpha", "bootstrap_correlation", "bootstrap_interval", "bootstrap_mean", "bootstrap_p",
    "bootstrap_pearson", "bootstrap_ratio", "bootstrap_statistic", "both_orders_accuracy", "cluster_codes",
    "code_label_aware_accuracy", "code_label_aware_decisions", "cohen_kappa", "combine_orders", "compare_accuracies",
    "compare_correlations", "complete", "correlations", "direct_to_pair", "distribution", "divide",
    "format_consistency", "holm", "item_credits", "krippendorff_alpha", "mean_scores", "pairwise_accuracy",
    "position_consistency", "quantiles", "released_code_transitivity", "resampled_correlation",
    "text_mixture_accuracy", "text_mixture_decisions", "transitivity", "transitivity_by_group", "win_rate",
]  # fmt: skip

TieRule = Literal["wrong", "half", "dropped", "gold dropped"]
OrderRule = Literal["both", "together"]
RepeatRule = Literal["unanimous", "majority"]

TIE_RULES: tuple[TieRule, ...] = ("wrong", "half", "dropped", "gold dropped")

_DRAWS = "one row per item and one column per draw"

# ----------------------------------------------------------------------------------------------- result types


@dataclass(frozen=True)
class Accuracy:
    """A share of right decisions. `correct` is whole except under rule "half"; `n` includes `unparsed`."""

    value: float
    n: int
    correct: float
    unparsed: int
    gold_ties: int = 0
    decided_ties: int = 0
    rule: str = "wrong"


@dataclass(frozen=True)
class Consistency:
    """Equal decisions under both orders: `value` over all `n`, `parsed_only` over n - unparsed."""

    value: float
    parsed_only: float
    n: int
    equal: int
    unparsed: int


@dataclass(frozen=True)
class Transitivity:
    """Counts over triples of items of one group; see `transitivity` for each rule."""

    triples: int
    decisive: int
    cycles: int
    chains: int
    chains_kept: int
    chains_tied: int
    chains_reversed: int
    unparsed: int = 0
    repeated: int = 0

    @property
    def rate(self) -> float:
        """Share of chains x > y > z that end in x > z (the text's Table 15); NaN without a chain."""
        return ratio(self.chains_kept, self.chains)

    @property
    def cycle_rate(self) -> float:
        """Share of the decisive triples that go round in a circle; a coin gets 0.25."""
        return ratio(self.cycles, self.decisive)


@dataclass(frozen=True)
class WinRate:
    """Share of comparisons won against a baseline, a draw counting half; all as fractions."""

    value: float
    standard_error: float
    discrete: float
    wins: int
    losses: int
    draws: int
    n: int
    unparsed: int


# ----------------------------------------------------------------------------- pairwise ranking (section 3.2)


def item_credits(decisions: ArrayLike, labels: ArrayLike, ties: TieRule = "wrong") -> Floats:
    """Credit per item, (items,): 1 right, 0 wrong, 0.5 under rule "half", NaN for an item that the rule drops.

    The mean of the credits is `pairwise_accuracy(...).value`; give them to `bootstrap_mean` and
    `compare_accuracies`.
    """
    decided, gold = _decision_codes(decisions, labels)
    return _credits(decided, gold, ties)


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

    decisions: "A", "B", "tie" or None (unparsed, always wrong); labels: "A", "B" or "tie"; both (items,).

    - "wrong": only equality counts, so a gold tie is right only when decided as tie.
    - "half": when exactly one of decision and label is a tie, the item counts 0.5.
    - "dropped": items whose decision or label is a tie are left out (MT-Bench's agreement "without ties"). Each
      judge drops items of its own, so two judges are then not compared on the same items.
    - "gold dropped": only items labelled tie are left out; a decided tie on the others stays wrong (the paper's
      "w/o TIE" columns).

    DataError, with the position, for any other value.
    """
    decided, gold = _decision_codes(decisions, labels)
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


def accuracy_by_tie_rule(decisions: ArrayLike, labels: ArrayLike) -> dict[str, Accuracy]:
    """The same decisions under every rule of `TIE_RULES`, by name."""
    return {rule: pairwise_accuracy(decisions, labels, rule) for rule in TIE_RULES}


def accuracy_by_group(
    decisions: ArrayLike, labels: ArrayLike, groups: ArrayLike, ties: TieRule = "wrong"
) -> dict[str, Accuracy]:
    """Accuracy of each group in order of appearance, then "total" over all items (as HHH in Table 4)."""
    decided, gold = objects(decisions, "decisions"), objects(labels, "labels")
    numbers, found = pd.factorize(objects(groups, "groups"))
    same_length(decisions=decided, labels=gold, groups=numbers)
    if (numbers < 0).any() or "total" in found:
        raise DataError('every item needs a group, and none may be called "total"')
    parts = {name: numbers == number for number, name in enumerate(found)}
    accuracies = {name: pairwise_accuracy(decided[part], gold[part], ties) for name, part in parts.items()}
    return {**accuracies, "total": pairwise_accuracy(decided, gold, ties)}


def direct_to_pair(scores_a: ArrayLike, scores_b: ArrayLike) -> NDArray[np.object_]:
    """Direct2Pair (Table 13): the higher direct score wins, equal scores tie, a missing one is unparsed.

    One pass over one score per response; combine with `pairwise_accuracy` under each tie rule.
    """
    a, b = vector(scores_a, "scores_a"), vector(scores_b, "scores_b")
    same_length(scores_a=a, scores_b=b)
    return names(a - b)


def text_mixture_decisions(
    scores_a: ArrayLike, scores_b: ArrayLike, pairwise_decisions: ArrayLike
) -> NDArray[np.object_]:
    """The text's "w/ TIE" rule (`paper-text`, Table 4): equal direct scores tie, else the pairwise decision.

    The rule needs both formats: where a direct score is missing the item is unparsed.
    """
    direct = direct_to_pair(scores_a, scores_b)
    pairwise = objects(pairwise_decisions, "pairwise_decisions")
    same_length(scores=direct, pairwise_decisions=pairwise)
    missing = pd.isna(direct)
    return np.where(missing, None, np.where(direct == "tie", "tie", pairwise))


def text_mixture_accuracy(
    scores_a: ArrayLike, scores_b: ArrayLike, pairwise_decisions: ArrayLike, labels: ArrayLike
) -> Accuracy:
    """Accuracy of `text_mixture_decisions` (`paper-text`, Table 4); a tie is right only on a gold tie."""
    accuracy = pairwise_accuracy(text_mixture_decisions(scores_a, scores_b, pairwise_decisions), labels)
    return replace(accuracy, rule="text mixture")


def code_label_aware_decisions(draws_a: ArrayLike, draws_b: ArrayLike, labels: ArrayLike) -> NDArray[np.object_]:
    """Decisions of the released evaluation code from draws (items, draws) of direct scores (`paper-code`).

    Where the label is A or B, the first of up to three draws whose scores differ decides; where the label is
    a tie, only the first draw counts. **The rule looks at the label**, so it is no judgment: it is here to
    show how much of a published number it explains. A draw with a missing score decides nothing; none
    readable is unparsed.
    """
    a, b = (matrix(draws, name, _DRAWS)[:, :3] for draws, name in ((draws_a, "draws_a"), (draws_b, "draws_b")))
    gold = codes(labels, "labels", allow_missing=False)
    if a.shape != b.shape or len(a) != len(gold) or a.shape[1] == 0:
        raise DataError(f"draws_a {a.shape}, draws_b {b.shape} and {len(gold)} labels do not fit together")
    signs = np.sign(a - b)
    differs = np.nan_to_num(signs) != 0
    first = np.where(differs.any(axis=1), differs.argmax(axis=1), np.isfinite(signs).argmax(axis=1))
    return names(signs[np.arange(len(gold)), np.where(gold == 0, 0, first)])


def code_label_aware_accuracy(draws_a: ArrayLike, draws_b: ArrayLike, labels: ArrayLike) -> Accuracy:
    """Accuracy of `code_label_aware_decisions` (`paper-code`; behind Table 13's Direct2Pair and "w/ TIE").

    With 35 % equal scores and 75 % right elsewhere it turns 48.8 % into 71.8 %.
    """
    accuracy = pairwise_accuracy(code_label_aware_decisions(draws_a, draws_b, labels), labels)
    return replace(accuracy, rule="label-aware")


def both_orders_accuracy(
    first: ArrayLike,
    swapped: ArrayLike,
    labels: ArrayLike,
    rule: OrderRule = "both",
    mapped_back: bool = True,
) -> Accuracy:
    """Share of items right when both A/B orders were judged; all columns (items,).

    `swapped` holds the decisions made with the responses exchanged, **mapped back to the item's own A and B** (as
    judgment files store them, and LLMBar's): a judge free of position bias has swapped == first. With
    `mapped_back=False` they are taken as the judge said them of the exchanged responses (as Auto-J's and
    JudgeBench's files store them): "A" is then the item's own B.

    rule "both": right only if each order is right (Auto-J's agreement, LLMBar's `correct_both`); an item is
    unparsed when either decision is. "together": each order casts a vote, and the side with more votes is the
    decision, so A and a tie make A, A and B a tie (JudgeBench); an unparsed order casts none, and an item is
    unparsed when both are. A gold tie is right only when decided as tie.
    """
    one, gold = _decision_codes(first, labels)
    two = _swapped_codes(swapped, mapped_back)
    same_length(first=one, swapped=two)
    if rule == "together":
        together = _together(one, two)
        return _accuracy((together == gold).astype(float), together, gold, "both orders together")
    if rule != "both":
        raise DataError(f"unknown rule {rule!r}; use 'both' or 'together'")
    decided = np.where(np.isnan(one) | np.isnan(two), np.nan, np.where(one == two, one, np.inf))  # inf: at odds
    return _accuracy((decided == gold).astype(float), decided, gold, "both orders")


def combine_orders(
    first: ArrayLike, swapped: ArrayLike, rule: Literal["agree", "together"] = "agree", mapped_back: bool = True
) -> Objects:
    """One decision per item from both A/B orders, (items,); `swapped` and `mapped_back` as above.

    "agree": what both orders say; a tie where they differ (MT-Bench's GPT-4 pairs); None when either is
    unparsed. "together": the side with more votes, as in `both_orders_accuracy`.
    """
    one, two = codes(first, "first"), _swapped_codes(swapped, mapped_back)
    same_length(first=one, swapped=two)
    if rule not in ("agree", "together"):
        raise DataError(f"unknown rule {rule!r}; use 'agree' or 'together'")
    agreed = np.where(np.isnan(one) | np.isnan(two), np.nan, np.where(one == two, one, 0.0))
    return names(agreed if rule == "agree" else _together(one, two))


def _swapped_codes(swapped: ArrayLike, mapped_back: bool) -> Floats:
    return codes(swapped, "swapped") * (1 if mapped_back else -1)


def _together(one: Floats, two: Floats) -> Floats:
    votes = np.sign(np.nan_to_num(one) + np.nan_to_num(two))
    return np.where(np.isnan(one) & np.isnan(two), np.nan, votes)


def position_consistency(first: ArrayLike, swapped: ArrayLike, mapped_back: bool = True) -> Consistency:
    """Share of items decided alike under both orders; `swapped` and `mapped_back` as in `both_orders_accuracy`.

    An item with an unparsed decision is not consistent in `.value` and is left out of `.parsed_only`.
    """
    one, two = codes(first, "first"), _swapped_codes(swapped, mapped_back)
    same_length(first=one, swapped=two)
    equal, unparsed = int((one == two).sum()), int((np.isnan(one) | np.isnan(two)).sum())
    return Consistency(ratio(equal, len(one)), ratio(equal, len(one) - unparsed), len(one), equal, unparsed)


def format_consistency(direct2pair: Accuracy | float, pair2pair: Accuracy | float) -> float:
    """Delta of Table 13: |Pair2Pair - Direct2Pair| accuracy, a fraction; 0 is a judge alike in both formats.

    Compare like with like: both accuracies under the same tie rule. On real judgments the rule alone moves
    delta from 10.6 to 0.1 points, because a pairwise judge cannot say tie.
    """
    direct, pair = (v.value if isinstance(v, Accuracy) else float(v) for v in (direct2pair, pair2pair))
    return abs(pair - direct)


def win_rate(preferences: ArrayLike) -> WinRate:
    """Win rate of a model over a baseline, as AlpacaEval counts it, from `preferences` (items,).

    1 means the baseline won, 2 the model, 1.5 (or AlpacaEval's 0) a draw; values between are graded; missing is
    unparsed and left out of the rate. The standard error is that of the mean (NaN for one comparison); `discrete`
    rounds graded values first.
    """
    values = vector(preferences, "preferences")
    kept = np.where(values == 0, 1.5, values)[np.isfinite(values)]
    wrong = kept[(kept < 1) | (kept > 2)]
    if len(wrong):
        raise DataError(
            f"{wrong[0]:g} is no preference; it must be 1 (baseline), 2 (model), 1.5 or 0 (draw), between 1 and 2, "
            "or missing"
        )
    wins, draws, n = int((kept > 1.5).sum()), int((kept == 1.5).sum()), len(kept)
    error = float(kept.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    rate = ratio(float((kept - 1).sum()), n)
    return WinRate(rate, error, ratio(wins + draws / 2, n), wins, n - wins - draws, draws, n, len(values) - n)


# ---------------------------------------------------------------------------------- transitivity (appendix E)


def transitivity(table: pd.DataFrame, repeats: RepeatRule = "unanimous") -> Transitivity:
    """Transitivity of a judge's own decisions (Table 15, `paper-text`), with the cycles (`corrected`).

    table: one decision per row, columns group, x, y, winner (other columns are ignored). x and y name the two
    items by any hashable value; winner is the row's x, the row's y or "tie", missing if unparsed (counted in
    `.unparsed`, as if the row were not there). (x, y) and (y, x) are the same pair. A pair judged more than once
    counts once (`.repeated` counts the rows too many): with `repeats` "unanimous" as its winner if all its
    decisions agree, with "majority" as the one with more wins; else as a tie. DataError, with the row, where
    x equals y, a name is missing or "tie", or the winner is neither of the two.

    - triples: three items of a group with all three pairs decided; decisive: without a tie among the three;
      cycles: decisive triples where each item wins once.
    - chains: ordered premises "x beats y" and "y beats z", both the judge's own, whose closing pair (x, z)
      exists. They end kept (x beats z), tied or reversed (z beats x); a tie among the premises makes no
      chain. `rate` is chains_kept / chains, so a tied end counts against it. Each cycle is three reversed
      chains.
    """
    counts, unparsed, repeated = _transitivity_counts(table, repeats)
    return Transitivity(**counts.sum().astype(int).to_dict(), unparsed=unparsed, repeated=repeated)


def transitivity_by_group(table: pd.DataFrame, repeats: RepeatRule = "unanimous") -> pd.DataFrame:
    """The counts of `transitivity` per group (rows, index group); give two columns to `bootstrap_ratio`."""
    return _transitivity_counts(table, repeats)[0]


def _transitivity_counts(table: pd.DataFrame, repeats: str) -> tuple[pd.DataFrame, int, int]:
    """Per-group counts from sparse matrices over (group, item) nodes: linear work for many small groups."""
    if repeats not in ("unanimous", "majority"):
        raise DataError(f"unknown rule for repeats {repeats!r}; use 'unanimous' or 'majority'")
    group, x, y, winner = (_column(table, name) for name in ("group", "x", "y", "winner"))
    signs = _checked_signs(group, x, y, winner)
    groups, group_names = pd.factorize(group)
    nodes, node_groups = _nodes(groups, x, y)
    parsed = np.isfinite(signs)
    low, high, sign, repeated = _merge_repeats(nodes[:, parsed], signs[parsed], len(node_groups), repeats)
    beats, tied = _pair_matrices(low, high, sign, len(node_groups))
    either = beats + beats.T
    exists, chains = either + tied, beats @ beats

    def per_group(paths: sparse.csr_array, closing: sparse.csr_array, divisor: int) -> NDArray[np.int64]:
        by_node = np.asarray(paths.multiply(closing).sum(axis=1)).ravel()
        return (np.bincount(node_groups, by_node, len(group_names)) / divisor).round().astype(int)

    kept, level, back = (per_group(chains, closing, 1) for closing in (beats, tied, beats.T.tocsr()))
    counts = pd.DataFrame(
        {
            "triples": per_group(exists @ exists, exists, 6),
            "decisive": per_group(either @ either, either, 6),
            "cycles": back // 3,
            "chains": kept + level + back,
            "chains_kept": kept,
            "chains_tied": level,
            "chains_reversed": back,
        },
        index=pd.Index(group_names, name="group"),
    )
    return counts, int((~parsed).sum()), repeated


def _column(table: pd.DataFrame, name: str) -> Objects:
    if not isinstance(table, pd.DataFrame) or name not in table.columns:
        raise DataError(f"a data frame with the columns group, x, y, winner is needed; {name!r} is missing")
    values = table[name].to_numpy(dtype=object)
    return np.where(pd.isna(values), None, values)


def _checked_signs(group: Objects, x: Objects, y: Objects, winner: Objects) -> Floats:
    """Each row's sign: 1 x wins, -1 y wins, 0 tie, NaN unparsed; DataError for the first row without meaning."""
    signs = np.select([x == winner, y == winner, winner == "tie"], [1.0, -1.0, 0.0], np.nan)
    signs[pd.isna(winner)] = np.nan
    nameless = pd.isna(group) | pd.isna(x) | pd.isna(y)
    wrong = nameless | (x == y) | (x == "tie") | (y == "tie") | (np.isnan(signs) & ~pd.isna(winner))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"row {row} of the table cannot be read: group={group[row]!r} x={x[row]!r} y={y[row]!r} "
            f'winner={winner[row]!r}; group, x and y must be given, x and y must differ and not be called "tie", '
            'and winner must be one of the two (same type), "tie" or missing'
        )
    return signs


def _nodes(groups: NDArray[np.intp], x: Objects, y: Objects) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(2, rows) node numbers of x and y, and each node's group: one item in two groups is two nodes."""
    items, item_names = pd.factorize(np.concatenate([x, y]))
    width = max(len(item_names), 1)
    found, nodes = np.unique(np.tile(groups, 2) * width + items, return_inverse=True)
    return nodes.reshape(2, -1), found // width


def _merge_repeats(nodes: NDArray[np.int64], signs: Floats, n_nodes: int, repeats: str) -> tuple[Any, Any, Floats, int]:
    """One row per unordered pair: (low node, high node, sign seen from low, number of rows merged away)."""
    low, high = nodes.min(axis=0), nodes.max(axis=0)
    seen = np.where(nodes[0] == low, signs, -signs)
    keys, place, times = np.unique(low * max(n_nodes, 1) + high, return_inverse=True, return_counts=True)
    wins = np.bincount(place, seen, len(keys))
    sign = np.sign(wins) if repeats == "majority" else np.where(np.abs(wins) == times, np.sign(wins), 0.0)
    return keys // max(n_nodes, 1), keys % max(n_nodes, 1), sign, len(signs) - len(keys)


def _pair_matrices(low: Any, high: Any, sign: Floats, n_nodes: int) -> tuple[sparse.csr_array, sparse.csr_array]:
    """`beats[i, j]` = 1 where node i beats node j; `tied` is symmetric."""
    winner, loser, tie = np.where(sign > 0, low, high), np.where(sign > 0, high, low), sign == 0

    def matrix(rows: Any, columns: Any) -> sparse.csr_array:
        return sparse.csr_array((np.ones(len(rows), dtype=np.int64), (rows, columns)), shape=(n_nodes, n_nodes))

    half = matrix(low[tie], high[tie])
    return matrix(winner[~tie], loser[~tie]), (half + half.T).tocsr()


def released_code_transitivity(decisions: ArrayLike, labels: ArrayLike, grade_gaps: ArrayLike) -> Accuracy:
    """What the released code calls transitivity (`paper-code`, Table 15): accuracy weighted by grade gap - 1.

    One row per pair of responses with different gold grades: the decision, the label (the better grade's
    side) and the gap (1-4) between the grades. The premises come from the gold order, one for each grade
    between the two, so `.n` counts gap - 1 per pair. A judge that reverses every order, perfectly transitive,
    gets 0; a judge wrong on every adjacent pair can get 1.
    """
    decided, gold = _decision_codes(decisions, labels)
    gaps = vector(grade_gaps, "grade_gaps")
    same_length(decisions=decided, grade_gaps=gaps)
    if (gold == 0).any() or not (gaps >= 1).all() or (gaps % 1 != 0).any():
        raise DataError("every pair needs a label A or B and a whole grade gap of at least 1")
    weights = gaps - 1
    right, n = int(weights[decided == gold].sum()), int(weights.sum())
    unparsed = int(weights[np.isnan(decided)].sum())
    return Accuracy(ratio(right, n), n, right, unparsed, 0, int(weights[decided == 0].sum()), "released transitivity")


def _decision_codes(decisions: ArrayLike, labels: ArrayLike) -> tuple[Floats, Floats]:
    decided, gold = codes(decisions, "decisions"), codes(labels, "labels", allow_missing=False)
    same_length(decisions=decided, labels=gold)
    return decided, gold
