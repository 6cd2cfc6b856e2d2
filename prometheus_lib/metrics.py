"""The paper's metrics, their variants, and the intervals and tests behind every number.

Everything here works on plain arrays, so it runs from judgment files alone, for any judge. Conventions:

- Shares (accuracies, win rates, transitivity) are fractions from 0 to 1; tables multiply by 100 for the
  paper's form.
- Pairwise decisions and labels are "A", "B" or "tie"; a decision may also be None (or NaN): unparsed. An
  unparsed decision is counted in `.unparsed` and is wrong; nothing is filled in, nothing vanishes.
- A score that did not parse is NaN. A statistic that is undefined (constant input, one item) is NaN, without
  warning.
- Where the paper's text, its released code and the sound rule differ, each has a function of its own:
  `paper-text` (`text_mixture_accuracy`, `transitivity`), `paper-code` (`code_label_aware_accuracy`,
  `released_code_transitivity`), `corrected` (`pairwise_accuracy`, which states its tie rule, and
  `transitivity` with its chains counted by kind).
- Intervals are percentile bootstrap intervals that resample whole clusters (instructions). Cluster counts are
  drawn once per (number of clusters, seed), so two judges on the same items always meet the same resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

Floats = NDArray[np.float64]
TieRule = Literal["wrong", "half", "dropped"]
Kind = Literal["pearson", "spearman", "kendall"]

TIE_RULES: tuple[TieRule, ...] = ("wrong", "half", "dropped")
CORRELATIONS: tuple[Kind, ...] = ("pearson", "spearman", "kendall")
LEVELS = ("nominal", "ordinal", "interval", "ratio")

_DECISION_CODES = {"A": 1.0, "B": -1.0, "tie": 0.0}
_BLOCK_ROWS, _BLOCK_SIZE = 1_000, 1_000_000  # resamples drawn at a time: keeps memory flat at any size
_MOST_KENDALL_CELLS = 4_000  # distinct (x, y) pairs; scores from 1 to 5 in thirds have at most 169
_POWER_QUANTILE = 0.8416  # 80 % power: the usual planning value behind "N more judgments would tell"


# ----------------------------------------------------------------------------------------------- result types


@dataclass(frozen=True)
class Correlations:
    """Agreement of two score columns (Tables 3, 11, 12). `n` pairs were used, `dropped` lacked a score."""

    pearson: float
    spearman: float
    kendall: float
    n: int
    dropped: int


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
        return _ratio(self.chains_kept, self.chains)

    @property
    def cycle_rate(self) -> float:
        """Share of the decisive triples that go round in a circle; a coin gets 0.25."""
        return _ratio(self.cycles, self.decisive)


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


@dataclass(frozen=True)
class Interval:
    """A bootstrap percentile interval. `undefined` resamples had no value (constant scores): left out."""

    estimate: float
    low: float
    high: float
    n: int
    n_clusters: int
    level: float = 0.95
    undefined: int = 0


@dataclass(frozen=True)
class Comparison:
    """Two judges on the same items: difference first - second, its interval, and what a test says about it.

    `verdict` is "first", "second" or "undecided" and follows `p_value` (named by `test`), never the interval
    by eye. `more_needed` estimates how many further judgments per judge would decide a difference of this
    size (80 % power); None when decided or when there is no difference to scale from.
    """

    difference: float
    low: float
    high: float
    p_value: float
    n: int
    verdict: str
    more_needed: int | None
    n_clusters: int
    test: str
    level: float = 0.95

    def adjusted(self, p_value: float) -> Comparison:
        """The same comparison under a p-value corrected for the whole table (see `holm`), verdict redone."""
        verdict, more = _verdict(self.difference, self.low, self.high, p_value, self.n, self.level)
        return replace(self, p_value=p_value, verdict=verdict, more_needed=more)


# ---------------------------------------------------------------------------- direct assessment (section 3.1)


def mean_scores(draws: ArrayLike) -> Floats:
    """Mean over an item's parsed draws: (items, draws), NaN for unparsed -> (items,); NaN where none parsed.

    The paper scores an item by the mean of three draws before correlating (appendix B, Table 8).
    """
    table = _matrix(draws, "draws")
    parsed = np.isfinite(table).sum(axis=1)
    return np.where(parsed > 0, np.nansum(table, axis=1) / np.maximum(parsed, 1), np.nan)


def correlations(x: ArrayLike, y: ArrayLike) -> Correlations:
    """Pearson, Spearman and Kendall's tau-b of scores `x` and `y`, both (items,): Tables 3, 11 and 12.

    Pairs with NaN on either side are dropped and counted. With fewer than two pairs, or when one side is
    constant (every judge that always says 3), all three are NaN: there is no order to agree on, which is not
    agreement zero.
    """
    first, second, keep = complete(x, y)
    values = [_correlation(kind, first, second) for kind in CORRELATIONS]
    return Correlations(*values, n=len(first), dropped=int((~keep).sum()))


def _correlation(kind: str, x: Floats, y: Floats) -> float:
    functions = {"pearson": "pearsonr", "spearman": "spearmanr", "kendall": "kendalltau"}
    if kind not in functions:
        raise ValueError(f"unknown correlation {kind!r}; use one of {', '.join(CORRELATIONS)}")
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    with np.errstate(all="ignore"):
        return float(getattr(scipy.stats, functions[kind])(x, y).statistic)


def krippendorff_alpha(
    ratings: ArrayLike, level: str = "ordinal", value_domain: Sequence[float] | None = None
) -> float:
    """Krippendorff's alpha, 1 - observed / expected disagreement, of `ratings` (raters, items), NaN missing.

    Table 14 uses level "ordinal" with a judge's three draws in the place of raters. `value_domain` lists the
    allowed values in order; a rating outside it is an error (clip first). NaN when alpha is undefined: one
    rater, no item rated twice, or a single value throughout (no disagreement is expected, so its absence
    shows nothing).
    """
    table = _matrix(ratings, "ratings")
    if level not in LEVELS:
        raise ValueError(f"unknown level of measurement {level!r}; use one of {', '.join(LEVELS)}")
    _check_domain(table, value_domain)
    pairable = table[:, np.isfinite(table).sum(axis=0) >= 2]
    if len(np.unique(pairable[np.isfinite(pairable)])) < 2:
        return math.nan
    import krippendorff

    return float(krippendorff.alpha(pairable, level_of_measurement=level, value_domain=value_domain))


def _check_domain(ratings: Floats, value_domain: Sequence[float] | None) -> None:
    seen = np.unique(ratings[np.isfinite(ratings)])
    outside = [] if value_domain is None else seen[~np.isin(seen, value_domain)].tolist()
    if outside:
        raise ValueError(
            f"ratings {outside} lie outside the value domain {list(value_domain or [])}: clip or drop them"
        )


def cohen_kappa(a: ArrayLike, b: ArrayLike, weights: str | None = None) -> float:
    """Cohen's kappa of two raters' labels (items,); rows with a label missing are left out.

    `weights` may be "linear" or "quadratic". NaN when nothing is left or both raters use one and the same
    label.
    """
    first, second = _objects(a), _objects(b)
    _same_length(a=first, b=second)
    keep = ~(pd.isna(first) | pd.isna(second))
    labels = pd.unique(np.concatenate([first[keep], second[keep]]))
    if len(labels) < 2:
        return math.nan
    from sklearn.metrics import cohen_kappa_score

    codes = {label: code for code, label in enumerate(sorted(labels))}
    return float(cohen_kappa_score(*([codes[v] for v in side[keep]] for side in (first, second)), weights=weights))


# ----------------------------------------------------------------------------- pairwise ranking (section 3.2)


def item_credits(decisions: ArrayLike, labels: ArrayLike, ties: TieRule = "wrong") -> Floats:
    """Credit per item, (items,): 1 right, 0 wrong, 0.5 under rule "half", NaN for an item "dropped" removes.

    The mean of the credits is `pairwise_accuracy(...).value`; give them to `bootstrap_mean` and
    `compare_accuracies`.
    """
    decided, gold = _decision_codes(decisions, labels)
    return _credits(decided, gold, ties)


def _credits(decided: Floats, gold: Floats, ties: str) -> Floats:
    if ties not in TIE_RULES:
        raise ValueError(f"unknown tie rule {ties!r}; use one of {', '.join(TIE_RULES)}")
    credit = (decided == gold).astype(float)
    if ties == "half":
        credit[((decided == 0) != (gold == 0)) & np.isfinite(decided)] = 0.5
    if ties == "dropped":
        credit[gold == 0] = np.nan
    return credit


def pairwise_accuracy(decisions: ArrayLike, labels: ArrayLike, ties: TieRule = "wrong") -> Accuracy:
    """Share of items whose decision equals the label (Table 4), under a stated tie rule (`corrected`).

    decisions: "A", "B", "tie" or None (unparsed, always wrong); labels: "A", "B" or "tie"; both (items,).
    ties "wrong": only equality counts, so a gold tie is right only when decided as tie. "half": when exactly
    one of decision and label is a tie the item counts 0.5. "dropped": items labelled tie are removed; a
    decided tie on the others stays wrong. Raises ValueError, with the position, for any other value.
    """
    decided, gold = _decision_codes(decisions, labels)
    return _accuracy(_credits(decided, gold, ties), decided, gold, ties)


def _accuracy(credit: Floats, decided: Floats, gold: Floats, rule: str) -> Accuracy:
    kept = np.isfinite(credit)
    right = float(credit[kept].sum())
    return Accuracy(
        value=_ratio(right, int(kept.sum())),
        n=int(kept.sum()),
        correct=int(right) if right.is_integer() else right,
        unparsed=int(np.isnan(decided[kept]).sum()),
        gold_ties=int((gold[kept] == 0).sum()),
        decided_ties=int((decided[kept] == 0).sum()),
        rule=rule,
    )


def accuracy_by_tie_rule(decisions: ArrayLike, labels: ArrayLike) -> dict[str, Accuracy]:
    """The same decisions under every tie rule: {"wrong": ..., "half": ..., "dropped": ...}."""
    return {rule: pairwise_accuracy(decisions, labels, rule) for rule in TIE_RULES}


def accuracy_by_group(
    decisions: ArrayLike, labels: ArrayLike, groups: ArrayLike, ties: TieRule = "wrong"
) -> dict[str, Accuracy]:
    """Accuracy of each group in order of appearance, then "total" over all items (as HHH in Table 4)."""
    decided, gold, names = _objects(decisions), _objects(labels), _objects(groups)
    _same_length(decisions=decided, labels=gold, groups=names)
    found = {g: pairwise_accuracy(decided[names == g], gold[names == g], ties) for g in pd.unique(names)}
    return {**found, "total": pairwise_accuracy(decided, gold, ties)}


def direct_to_pair(scores_a: ArrayLike, scores_b: ArrayLike) -> NDArray[np.object_]:
    """Direct2Pair (Table 13): the higher direct score wins, equal scores tie, a missing one is unparsed.

    One pass over one score per response; combine with `pairwise_accuracy` under each tie rule.
    """
    a, b = _vector(scores_a, "scores_a"), _vector(scores_b, "scores_b")
    _same_length(scores_a=a, scores_b=b)
    return _decision_names(np.sign(a - b))


def text_mixture_decisions(
    scores_a: ArrayLike, scores_b: ArrayLike, pairwise_decisions: ArrayLike
) -> NDArray[np.object_]:
    """The text's "w/ TIE" rule (`paper-text`, Table 4): equal direct scores tie, else the pairwise decision.

    The rule needs both formats: where a direct score is missing the item is unparsed.
    """
    direct = direct_to_pair(scores_a, scores_b)
    pairwise = _objects(pairwise_decisions)
    _same_length(scores=direct, pairwise_decisions=pairwise)
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
    a, b = _matrix(draws_a, "draws_a")[:, :3], _matrix(draws_b, "draws_b")[:, :3]
    gold = _codes(labels, "labels", allow_missing=False)
    if a.shape != b.shape or len(a) != len(gold):
        raise ValueError(f"draws_a {a.shape}, draws_b {b.shape} and {len(gold)} labels do not fit together")
    signs = np.sign(a - b)
    differs = np.nan_to_num(signs) != 0
    first = np.where(differs.any(axis=1), differs.argmax(axis=1), np.isfinite(signs).argmax(axis=1))
    return _decision_names(signs[np.arange(len(gold)), np.where(gold == 0, 0, first)])


def code_label_aware_accuracy(draws_a: ArrayLike, draws_b: ArrayLike, labels: ArrayLike) -> Accuracy:
    """Accuracy of `code_label_aware_decisions` (`paper-code`; behind Table 13's Direct2Pair and "w/ TIE").

    With 35 % equal scores and 75 % right elsewhere it turns 48.8 % into 71.8 %.
    """
    accuracy = pairwise_accuracy(code_label_aware_decisions(draws_a, draws_b, labels), labels)
    return replace(accuracy, rule="label-aware")


def both_orders_accuracy(first: ArrayLike, swapped: ArrayLike, labels: ArrayLike) -> Accuracy:
    """Share of items right under both A/B orders (the strict rule of Auto-J and LLMBar).

    `swapped` holds the decisions made with the responses exchanged, **already mapped back to the item's own A
    and B** (as judgment files store them): a judge free of position bias has swapped == first. Ties follow
    the rule "wrong"; an item is unparsed when either decision is.
    """
    one, gold = _decision_codes(first, labels)
    two, _ = _decision_codes(swapped, labels)
    both = np.where(np.isnan(one) | np.isnan(two), np.nan, one)
    credit = ((one == gold) & (two == gold)).astype(float)
    return replace(_accuracy(credit, both, gold, "both orders"), decided_ties=int(((one == 0) & (two == 0)).sum()))


def position_consistency(first: ArrayLike, swapped: ArrayLike) -> Consistency:
    """Share of items decided alike under both orders; `swapped` is mapped back to the item's own A and B.

    An item with an unparsed decision is not consistent in `.value` and is left out of `.parsed_only`.
    """
    one, two = _codes(first, "first"), _codes(swapped, "swapped")
    _same_length(first=one, swapped=two)
    equal, unparsed = int((one == two).sum()), int((np.isnan(one) | np.isnan(two)).sum())
    return Consistency(_ratio(equal, len(one)), _ratio(equal, len(one) - unparsed), len(one), equal, unparsed)


def format_consistency(direct2pair: Accuracy | float, pair2pair: Accuracy | float) -> float:
    """Delta of Table 13: |Pair2Pair - Direct2Pair| accuracy, a fraction; 0 is a judge alike in both formats.

    Compare like with like: both accuracies under the same tie rule. On real judgments the rule alone moves
    delta from 10.6 to 0.1 points, because a pairwise judge cannot say tie.
    """
    direct, pair = (v.value if isinstance(v, Accuracy) else float(v) for v in (direct2pair, pair2pair))
    return abs(pair - direct)


def win_rate(preferences: ArrayLike) -> WinRate:
    """Win rate of a model over a baseline, as AlpacaEval counts it, from `preferences` (items,).

    1 means the baseline won, 2 the model, 1.5 (or AlpacaEval's 0) a draw; values between are graded; NaN is
    unparsed and left out of the rate. The standard error is that of the mean; `discrete` rounds graded values
    first.
    """
    values = _vector(preferences, "preferences")
    kept = np.where(values == 0, 1.5, values)[np.isfinite(values)]
    if ((kept < 1) | (kept > 2)).any():
        raise ValueError("preferences must be 1 (baseline), 2 (model), 1.5 or 0 (draw), between 1 and 2, or NaN")
    wins, draws, n = int((kept > 1.5).sum()), int((kept == 1.5).sum()), len(kept)
    error = float(kept.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    rate = _ratio(float((kept - 1).sum()), n)
    return WinRate(rate, error, _ratio(wins + draws / 2, n), wins, n - wins - draws, draws, n, len(values) - n)


# ---------------------------------------------------------------------------------- transitivity (appendix E)


def transitivity(table: pd.DataFrame) -> Transitivity:
    """Transitivity of a judge's own decisions (Table 15, `paper-text`), with the cycles (`corrected`).

    table: one decision per row, columns group, x, y, winner; winner is the row's x, the row's y or "tie",
    missing if unparsed (the pair then does not exist; counted). A pair judged more than once counts once: as
    its winner if all its decisions agree, else as a tie.

    - triples: three items of a group with all three pairs decided; decisive: without a tie among the three;
      cycles: decisive triples where each item wins once.
    - chains: ordered premises "x beats y" and "y beats z", both the judge's own, whose closing pair (x, z)
      exists. They end kept (x beats z), tied or reversed (z beats x); a tie among the premises makes no
      chain. `rate` is chains_kept / chains, so a tied end counts against it. Each cycle is three reversed
      chains.
    """
    counts, unparsed, repeated = _transitivity_counts(table)
    return Transitivity(**counts.sum().astype(int).to_dict(), unparsed=unparsed, repeated=repeated)


def transitivity_by_group(table: pd.DataFrame) -> pd.DataFrame:
    """The counts of `transitivity` per group (rows, index group); give two columns to `bootstrap_ratio`."""
    return _transitivity_counts(table)[0]


def _transitivity_counts(table: pd.DataFrame) -> tuple[pd.DataFrame, int, int]:
    """Per-group counts from sparse matrices over (group, item) nodes: linear work for many small groups."""
    groups, names = pd.factorize(_column(table, "group"))
    nodes, node_groups, signs = _nodes(table, groups)
    parsed = np.isfinite(signs)
    low, high, sign, repeated = _merge_repeats(nodes[:, parsed], signs[parsed], len(node_groups))
    beats, tied = _pair_matrices(low, high, sign, len(node_groups))
    either = beats + beats.T
    exists, chains = either + tied, beats @ beats

    def per_group(paths: sparse.csr_array, closing: sparse.csr_array, divisor: int) -> NDArray[np.int64]:
        by_node = np.asarray(paths.multiply(closing).sum(axis=1)).ravel()
        return (np.bincount(node_groups, by_node, len(names)) / divisor).round().astype(int)

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
        index=pd.Index(names, name="group"),
    )
    return counts, int((~parsed).sum()), repeated


def _column(table: pd.DataFrame, name: str) -> NDArray[np.object_]:
    if name not in table.columns:
        raise ValueError(f"the table needs the columns group, x, y, winner; {name!r} is missing")
    return table[name].to_numpy(dtype=object)


def _nodes(table: pd.DataFrame, groups: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """(2, rows) node numbers of x and y, each node's group, each row's sign: 1 x wins, -1 y wins, 0 tie."""
    x, y, winner = (_column(table, name) for name in ("x", "y", "winner"))
    signs = np.select([x == winner, y == winner, winner == "tie"], [1.0, -1.0, 0.0], np.nan)
    wrong = (x == y) | (x == "tie") | (y == "tie") | (np.isnan(signs) & ~pd.isna(winner)) | (groups < 0)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"row {row} of the table cannot be read: group={table['group'].iloc[row]!r} x={x[row]!r} "
            f"y={y[row]!r} winner={winner[row]!r}; x and y must differ, "
            'and winner must be one of the two, "tie" or missing'
        )
    items, names = pd.factorize(np.concatenate([x, y]))
    codes, nodes = np.unique(np.tile(groups, 2) * max(len(names), 1) + items, return_inverse=True)
    return nodes.reshape(2, -1), codes // max(len(names), 1), signs


def _merge_repeats(nodes: NDArray[np.int64], signs: Floats, n_nodes: int) -> tuple[Any, Any, Floats, int]:
    """One row per unordered pair: (low node, high node, sign seen from low, number of rows merged away)."""
    low, high = nodes.min(axis=0), nodes.max(axis=0)
    seen = np.where(nodes[0] == low, signs, -signs)
    keys, place, times = np.unique(low * max(n_nodes, 1) + high, return_inverse=True, return_counts=True)
    mean = np.bincount(place, seen, len(keys)) / times
    agreed = np.where(np.abs(mean) == 1, mean, 0.0)
    return keys // max(n_nodes, 1), keys % max(n_nodes, 1), agreed, len(signs) - len(keys)


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
    gaps = _vector(grade_gaps, "grade_gaps")
    _same_length(decisions=decided, grade_gaps=gaps)
    if (gold == 0).any() or not (gaps >= 1).all() or (gaps % 1 != 0).any():
        raise ValueError("every pair needs a label A or B and a whole grade gap of at least 1")
    weights = gaps - 1
    right, n = int(weights[decided == gold].sum()), int(weights.sum())
    unparsed = int(weights[np.isnan(decided)].sum())
    return Accuracy(_ratio(right, n), n, right, unparsed, 0, int(weights[decided == 0].sum()), "released transitivity")


# ---------------------------------------------------------------------------------------- bootstrap intervals


def bootstrap_interval(
    statistic: str | Callable[..., float],
    *data: ArrayLike,
    clusters: ArrayLike | None = None,
    n_resamples: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of a named statistic or of any function.

    statistic: "mean" (values), "ratio" (numerators, denominators), "pearson" / "spearman" / "kendall" (x, y),
    "krippendorff_alpha" (ratings, shaped raters x items; ordinal) - all vectorised - or a function that is
    called with the resampled arrays (first axis = items), one call per resample. `clusters` names each item's
    instruction; whole instructions are resampled, because answers to one instruction are not independent.
    Without it every item is its own cluster. Rows with NaN are left out (functions get them as they are).
    With fewer than two clusters nothing can be resampled and low and high are NaN. A statistic with no spread
    (all right) gets a width of zero, which is too narrow: read n beside it.
    """
    options: dict[str, Any] = {"clusters": clusters, "n_resamples": n_resamples, "level": level, "seed": seed}
    if callable(statistic):
        return bootstrap_statistic(statistic, data, **options)
    named = {"mean": bootstrap_mean, "ratio": bootstrap_ratio, "krippendorff_alpha": bootstrap_alpha}
    if statistic in named:
        return named[statistic](*data, **options)
    if statistic not in CORRELATIONS:
        raise ValueError(
            f"unknown statistic {statistic!r}; use one of {', '.join([*named, *CORRELATIONS])} or a function"
        )
    return bootstrap_correlation(*data, kind=statistic, **options)  # type: ignore[arg-type]


def bootstrap_mean(values: ArrayLike, clusters: ArrayLike | None = None, **options: Any) -> Interval:
    """Interval of a mean or accuracy (values (items,), NaN left out). Options as in `bootstrap_interval`."""
    numbers = _vector(values, "values")
    return bootstrap_ratio(numbers, np.ones(len(numbers)), clusters, **options)


def bootstrap_ratio(
    numerators: ArrayLike, denominators: ArrayLike, clusters: ArrayLike | None = None, **options: Any
) -> Interval:
    """Interval of sum(numerators) / sum(denominators), e.g. chains kept per chain over groups (Table 15)."""
    top, bottom, keep = complete(numerators, denominators)
    codes, k = cluster_codes(clusters, keep)
    sums = np.column_stack([np.bincount(codes, v, k) for v in (top, bottom)])

    def resampled(counts: Floats) -> Floats:
        totals = counts @ sums
        return divide(totals[:, 0], totals[:, 1])

    return _interval(_ratio(top.sum(), bottom.sum()), resampled, len(top), k, **options)


def bootstrap_correlation(
    x: ArrayLike, y: ArrayLike, clusters: ArrayLike | None = None, kind: Kind = "pearson", **options: Any
) -> Interval:
    """Interval of a Pearson, Spearman or Kendall tau-b correlation of scores (items,); exact per resample."""
    first, second, keep = complete(x, y)
    codes, k = cluster_codes(clusters, keep)
    estimate = _correlation(kind, first, second)
    return _interval(estimate, resampled_correlation(kind, first, second, codes, k), len(first), k, **options)


def bootstrap_pearson(x: ArrayLike, y: ArrayLike, clusters: ArrayLike | None = None, **options: Any) -> Interval:
    """`bootstrap_correlation` of kind "pearson": the column of Table 3."""
    return bootstrap_correlation(x, y, clusters, "pearson", **options)


def bootstrap_alpha(
    ratings: ArrayLike, clusters: ArrayLike | None = None, measurement: str = "ordinal", **options: Any
) -> Interval:
    """Interval of Krippendorff's alpha of `ratings` (raters, items), resampling items by cluster (Table 14).

    Alpha needs only the coincidence matrix, which adds up over items: one matrix product gives all resamples.
    """
    table = _matrix(ratings, "ratings")
    keep = np.isfinite(table).sum(axis=0) >= 2
    codes, k = cluster_codes(clusters, keep)
    values, coincidences = _coincidences(table[:, keep])
    sums = np.zeros((k, coincidences.shape[1]))
    np.add.at(sums, codes, coincidences)

    def resampled(counts: Floats) -> Floats:
        return _alpha_from_coincidences(counts @ sums, values, measurement)

    return _interval(krippendorff_alpha(table, measurement), resampled, int(keep.sum()), k, **options)


def bootstrap_statistic(
    function: Callable[..., float],
    arrays: Sequence[ArrayLike],
    clusters: ArrayLike | None = None,
    **options: Any,
) -> Interval:
    """Interval of any `function(*arrays)`, one call per resample: the loop, for want of a fast path.

    All arrays share their first axis (items). A function may return NaN for a resample it cannot use.
    """
    columns = [np.asarray(a) for a in arrays]
    _same_length(**{f"array {i}": c for i, c in enumerate(columns)})
    codes, k = cluster_codes(clusters, np.ones(len(columns[0]), dtype=bool))
    order = np.argsort(codes, kind="stable")

    def resampled(counts: Floats) -> Floats:
        picks = (np.repeat(order, row[codes[order]].astype(int)) for row in counts)
        return np.array([function(*(c[pick] for c in columns)) for pick in picks], dtype=float)

    return _interval(float(function(*columns)), resampled, len(columns[0]), k, **options)


def _interval(
    estimate: float,
    resampled: Callable[[Floats], Floats],
    n: int,
    n_clusters: int,
    n_resamples: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    draws = distribution(resampled, n_clusters, n_resamples, seed)
    low, high = quantiles(draws, level)
    return Interval(float(estimate), low, high, n, n_clusters, level, int(np.isnan(draws).sum()))


def distribution(resampled: Callable[[Floats], Floats], n_clusters: int, n_resamples: int, seed: int) -> Floats:
    """The statistic of every resample; all NaN with fewer than two clusters."""
    if n_resamples < 1:
        raise ValueError(f"n_resamples must be at least 1, not {n_resamples}")
    if n_clusters < 2:
        return np.full(n_resamples, np.nan)
    return np.concatenate([resampled(counts) for counts in _resamples(n_clusters, n_resamples, seed)])


def quantiles(draws: Floats, level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, for example 0.95, not {level}")
    finite = draws[np.isfinite(draws)]
    if len(finite) == 0:
        return math.nan, math.nan
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resamples(n_clusters: int, n_resamples: int, seed: int) -> Iterator[Floats]:
    """Blocks (resamples, clusters): how often each cluster was drawn, a multinomial with equal shares."""
    rows = int(np.clip(_BLOCK_SIZE // n_clusters, 1, _BLOCK_ROWS))
    for block, start in enumerate(range(0, n_resamples, rows)):
        yield _resample_block(n_clusters, min(rows, n_resamples - start), seed, block).astype(float)


@lru_cache(maxsize=128)
def _resample_block(n_clusters: int, rows: int, seed: int, block: int) -> NDArray[np.uint16]:
    """Cached, because twenty judges on one benchmark need the same counts; at most 256 MB in all."""
    rng = np.random.default_rng([seed, block])
    picks = rng.integers(0, n_clusters, size=(rows, n_clusters)) + np.arange(rows)[:, None] * n_clusters
    return np.bincount(picks.ravel(), minlength=rows * n_clusters).reshape(rows, n_clusters).astype(np.uint16)


def cluster_codes(clusters: ArrayLike | None, keep: NDArray[np.bool_]) -> tuple[NDArray[np.intp], int]:
    """Cluster number of every kept row, and how many clusters there are."""
    if clusters is None:
        return np.arange(int(keep.sum())), int(keep.sum())
    names = _objects(clusters)
    if len(names) != len(keep):
        raise ValueError(f"{len(names)} cluster names for {len(keep)} items: give one per item")
    codes, found = pd.factorize(names[keep])
    if (codes < 0).any():
        raise ValueError("a cluster name is missing: give every item the id of its instruction")
    return codes, len(found)


# --------------------------------------------------------------------------- resampled correlations and alpha


def resampled_correlation(
    kind: str, x: Floats, y: Floats, codes: NDArray[np.intp], k: int
) -> Callable[[Floats], Floats]:
    """The function (resamples, clusters) -> (resamples,) that gives one correlation per resample."""
    if kind == "pearson":
        return _resampled_pearson(x, y, codes, k)
    x_codes, y_codes = (np.unique(v, return_inverse=True)[1] for v in (x, y))
    cells, cell_codes = np.unique(np.column_stack([x_codes, y_codes]), axis=0, return_inverse=True)
    if kind == "kendall" and len(cells) > _MOST_KENDALL_CELLS:
        return _looped_kendall(x, y, codes)
    per_cell, per_x, per_y = (_incidence(codes, k, c) for c in (cell_codes.ravel(), x_codes, y_codes))
    from_counts = _spearman_from_counts if kind == "spearman" else _kendall_from_counts

    def resampled(counts: Floats) -> Floats:
        return from_counts(counts @ per_cell, counts @ per_x, counts @ per_y, cells)

    return resampled


def _looped_kendall(x: Floats, y: Floats, codes: NDArray[np.intp]) -> Callable[[Floats], Floats]:
    """One sort per resample: for thousands of distinct scores the matrix of all pairs would not fit."""

    def resampled(counts: Floats) -> Floats:
        times = counts[:, codes].astype(int)
        return np.array([_correlation("kendall", np.repeat(x, t), np.repeat(y, t)) for t in times])

    return resampled


def _incidence(codes: NDArray[np.intp], k: int, columns: NDArray[np.intp]) -> Any:
    """(clusters, distinct values) row counts; dense while small, because dense products are faster there."""
    shape = (k, int(columns.max(initial=-1)) + 1)
    matrix = sparse.coo_array((np.ones(len(codes)), (codes, columns)), shape=shape).tocsr()
    return matrix.toarray() if shape[0] * shape[1] <= 200_000 else matrix


def _resampled_pearson(x: Floats, y: Floats, codes: NDArray[np.intp], k: int) -> Callable[[Floats], Floats]:
    """Pearson needs six sums per cluster; x and y are standardised first so that the sums do not cancel."""
    x, y = _standardise(x), _standardise(y)
    moments = np.column_stack([np.bincount(codes, v, k) for v in (np.ones(len(x)), x, y, x * x, y * y, x * y)])

    def resampled(counts: Floats) -> Floats:
        n, sx, sy, sxx, syy, sxy = (counts @ moments).T
        return _moment_ratio(sxy - sx * sy / n, sxx - sx * sx / n, syy - sy * sy / n, 1e-9 * n)

    return resampled


def _standardise(values: Floats) -> Floats:
    spread = values.std() if len(values) else 0.0
    return (values - values.mean()) / spread if spread > 0 else np.zeros(len(values))


def _spearman_from_counts(cell: Floats, by_x: Floats, by_y: Floats, cells: NDArray[np.intp]) -> Floats:
    """Pearson of mid-ranks, with the ranks worked out anew in every resample."""
    n = by_x.sum(axis=1)
    rank_x, rank_y = _centred_midranks(by_x), _centred_midranks(by_y)
    covariance = np.einsum("rc,rc,rc->r", cell, rank_x[:, cells[:, 0]], rank_y[:, cells[:, 1]])
    spread_x, spread_y = (np.einsum("rv,rv,rv->r", c, r, r) for c, r in ((by_x, rank_x), (by_y, rank_y)))
    return _moment_ratio(covariance, spread_x, spread_y, 1e-9 * n)


def _centred_midranks(counts: Floats) -> Floats:
    """Mean rank of each value's copies, less the mean rank; counts (resamples, values in ascending order)."""
    return counts.cumsum(axis=1) - counts / 2 - counts.sum(axis=1, keepdims=True) / 2


def _kendall_from_counts(cell: Floats, by_x: Floats, by_y: Floats, cells: NDArray[np.intp]) -> Floats:
    """tau-b: (concordant - discordant) / sqrt(pairs untied in x * pairs untied in y)."""
    signs = np.sign(cells[:, None, 0] - cells[None, :, 0]) * np.sign(cells[:, None, 1] - cells[None, :, 1])
    score = np.einsum("rc,rc->r", cell @ signs.astype(float), cell)
    n = by_x.sum(axis=1)
    untied_x, untied_y = (n * n - np.einsum("rv,rv->r", c, c) for c in (by_x, by_y))
    return _moment_ratio(score, untied_x, untied_y, 0.5)


def _moment_ratio(covariance: Floats, spread_x: Floats, spread_y: Floats, floor: Floats | float) -> Floats:
    """covariance / sqrt(spread_x * spread_y), NaN where a side is constant (its spread not above `floor`)."""
    varies = (spread_x > floor) & (spread_y > floor)
    scale = np.sqrt(np.where(varies, spread_x * spread_y, 1.0))
    return np.where(varies, np.clip(covariance / scale, -1, 1), np.nan)


def _coincidences(ratings: Floats) -> tuple[Floats, Floats]:
    """The distinct values (V,) and each item's part of the coincidence matrix, (items, V * V)."""
    values = np.unique(ratings[np.isfinite(ratings)])
    counts = (ratings.T[:, :, None] == values).sum(axis=1).astype(float)
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(len(values))
    return values, (pairs / (counts.sum(axis=1) - 1)[:, None, None]).reshape(len(counts), len(values) ** 2)


def _alpha_from_coincidences(coincidences: Floats, values: Floats, level: str) -> Floats:
    """Alpha of every resample from its coincidence matrix, (resamples, V * V)."""
    table = coincidences.reshape(len(coincidences), len(values), len(values))
    totals = table.sum(axis=2)
    distance = _squared_distances(totals, values, level)
    observed = (table * distance).sum(axis=(1, 2))
    expected = divide(np.einsum("rv,rvw,rw->r", totals, distance, totals), totals.sum(axis=1) - 1)
    return 1 - divide(observed, expected)


def _squared_distances(totals: Floats, values: Floats, level: str) -> Floats:
    """Krippendorff's squared differences, (resamples or 1, V, V); the ordinal ones depend on the totals."""
    row, column = values[:, None], values[None, :]
    if level == "ordinal":
        middle = totals.cumsum(axis=1) - totals / 2
        return (middle[:, :, None] - middle[:, None, :]) ** 2
    if level == "ratio":
        return (divide(row - column, row + column, 0.0) ** 2)[None]
    return (((row - column) ** 2) if level == "interval" else (row != column).astype(float))[None]


# --------------------------------------------------------------------------------- differences between judges


def compare_correlations(
    x1: ArrayLike,
    x2: ArrayLike,
    y: ArrayLike,
    kind: Kind = "pearson",
    clusters: ArrayLike | None = None,
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Do judges `x1` and `x2` agree equally well with one rater `y`? Scores (items,); NaN items left out.

    The interval is a paired bootstrap by cluster of corr(x1, y) - corr(x2, y). The p-value is Williams'
    t-test for two dependent correlations that share a variable (Steiger 1980) for Pearson without clusters;
    with clusters, or for rank correlations, it is read off the bootstrap differences (two-sided), as
    Williams' test would take answers to one instruction for independent.
    """
    columns, keep = _complete_rows(x1=x1, x2=x2, y=y)
    first, second, rater = columns
    codes, k = cluster_codes(clusters, keep)
    r1, r2 = (_correlation(kind, x, rater) for x in (first, second))
    one, two = (
        distribution(resampled_correlation(kind, x, rater, codes, k), k, n_resamples, seed) for x in (first, second)
    )
    if kind == "pearson" and clusters is None:
        p, test = _williams(r1, r2, _correlation(kind, first, second), len(rater)), "Williams"
    else:
        p, test = bootstrap_p(one - two), "paired bootstrap by cluster"
    return _comparison(r1 - r2, quantiles(one - two, level), p, len(rater), k, test, level)


def _williams(r1: float, r2: float, r12: float, n: int) -> float:
    """Two-sided p-value of Williams' t with n - 3 degrees of freedom; r12 correlates the two judges."""
    if r1 == r2:
        return 1.0
    if n < 4 or math.isnan(r1 + r2 + r12):
        return math.nan
    determinant = max(1 - r1**2 - r2**2 - r12**2 + 2 * r1 * r2 * r12, 0.0)
    spread = 2 * determinant * (n - 1) / (n - 3) + ((r1 + r2) / 2) ** 2 * (1 - r12) ** 3
    if spread <= 0:
        return 0.0
    t = (r1 - r2) * math.sqrt((n - 1) * (1 + r12) / spread)
    return float(2 * scipy.stats.t.sf(abs(t), n - 3))


def bootstrap_p(differences: Floats) -> float:
    """Twice the smaller tail at zero; one is added to each count so that no finite run claims p = 0."""
    finite = differences[np.isfinite(differences)]
    if len(finite) == 0:
        return math.nan
    tail = min((finite <= 1e-12).sum(), (finite >= -1e-12).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(finite) + 1)))


def compare_accuracies(
    correct1: ArrayLike,
    correct2: ArrayLike,
    clusters: ArrayLike | None = None,
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Is judge 1 more accurate than judge 2 on the same items? Credits per item (items,), see `item_credits`.

    Items with NaN for either judge are left out. The interval is a paired bootstrap by cluster; the p-value
    is McNemar's exact test when credits are 0 or 1 and no clusters are given, else a permutation test that
    exchanges the two judges in whole clusters (all ways if few, else `n_resamples` random ones).
    """
    first, second, keep = complete(correct1, correct2)
    codes, k = cluster_codes(clusters, keep)
    difference = first - second
    interval = bootstrap_mean(difference, codes, n_resamples=n_resamples, level=level, seed=seed)
    if clusters is None and np.isin(np.concatenate([first, second]), (0.0, 1.0)).all():
        p, test = _mcnemar(difference), "McNemar exact"
    else:
        p, test = _sign_flip(np.bincount(codes, difference, k), n_resamples, seed), "permutation by cluster"
    return _comparison(interval.estimate, (interval.low, interval.high), p, len(first), k, test, level)


def _mcnemar(difference: Floats) -> float:
    """Exact: among the items only one judge got right, each judge is as likely to be the one."""
    wins, losses = int((difference > 0).sum()), int((difference < 0).sum())
    if len(difference) == 0:
        return math.nan
    return 1.0 if wins + losses == 0 else float(scipy.stats.binomtest(wins, wins + losses).pvalue)


def _sign_flip(sums: Floats, n_resamples: int, seed: int) -> float:
    """Share of sign patterns over the clusters' summed differences that reach the observed total."""
    if len(sums) == 0:
        return math.nan
    moving = sums[np.abs(sums) > 1e-12]
    threshold = abs(moving.sum()) - 1e-9
    if 2 ** len(moving) <= n_resamples:
        patterns = 1 - 2 * ((np.arange(2 ** len(moving))[:, None] >> np.arange(len(moving))) & 1)
        return float((np.abs(patterns @ moving) >= threshold).mean())
    rng = np.random.default_rng(seed)
    rows = int(np.clip(_BLOCK_SIZE // len(moving), 1, n_resamples))
    sizes = [min(rows, n_resamples - start) for start in range(0, n_resamples, rows)]
    totals = [(1 - 2 * rng.integers(0, 2, (size, len(moving)), dtype=np.int8)) @ moving for size in sizes]
    return float(((np.abs(np.concatenate(totals)) >= threshold).sum() + 1) / (n_resamples + 1))


def _comparison(
    difference: float, limits: tuple[float, float], p: float, n: int, k: int, test: str, level: float
) -> Comparison:
    verdict, more = _verdict(difference, *limits, p, n, level)
    return Comparison(float(difference), *limits, p, n, verdict, more, k, test, level)


def _verdict(difference: float, low: float, high: float, p: float, n: int, level: float) -> tuple[str, int | None]:
    if p < 1 - level and difference != 0:
        return ("first" if difference > 0 else "second"), None
    critical = float(scipy.special.ndtri((1 + level) / 2))
    error = (high - low) / (2 * critical)
    if not (difference and error > 0):
        return "undecided", None
    needed = n * ((critical + _POWER_QUANTILE) * error / abs(difference)) ** 2
    return "undecided", max(1, math.ceil(needed - n)) if math.isfinite(needed) else None


def holm(p_values: Sequence[float] | Mapping[Any, float]) -> list[float] | dict[Any, float]:
    """Holm-corrected p-values of one table, in the order given (a mapping gives a mapping); NaN stays NaN.

    Controls the chance of even one false claim in the table; `Comparison.adjusted` takes the result.
    """
    if isinstance(p_values, Mapping):
        return dict(zip(p_values, holm(list(p_values.values())), strict=True))
    values = _vector(p_values, "p_values")
    if np.isnan(values).all():
        return values.tolist()
    from pingouin import multicomp

    return multicomp(values, method="holm")[1].tolist()


# --------------------------------------------------------------------------------------------- input checking


def _vector(values: ArrayLike, name: str) -> Floats:
    array = np.array(values, dtype=float)  # None becomes NaN
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, one value per item; got shape {array.shape}")
    return array


def _matrix(values: ArrayLike, name: str) -> Floats:
    array = np.array(values, dtype=float)
    if array.ndim != 2:
        raise ValueError(f"{name} must be two-dimensional; got shape {array.shape}")
    return array


def _objects(values: ArrayLike) -> NDArray[np.object_]:
    return pd.Series(values, dtype=object).to_numpy()


def _same_length(**arrays: Any) -> None:
    if len({len(a) for a in arrays.values()}) > 1:
        sizes = ", ".join(f"{name} {len(a)}" for name, a in arrays.items())
        raise ValueError(f"one value per item is needed on every side; lengths differ: {sizes}")


def _complete_rows(**named: ArrayLike) -> tuple[list[Floats], NDArray[np.bool_]]:
    """The columns without rows that miss a value, and which rows were kept."""
    arrays = {name: _vector(values, name) for name, values in named.items()}
    _same_length(**arrays)
    keep = np.isfinite(np.column_stack(list(arrays.values()))).all(axis=1)
    return [a[keep] for a in arrays.values()], keep


def complete(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    (first, second), keep = _complete_rows(x=x, y=y)
    return first, second, keep


def _codes(values: ArrayLike, name: str, allow_missing: bool = True) -> Floats:
    """A -> 1, B -> -1, tie -> 0, missing -> NaN; anything else is an error that names its position."""
    given = _objects(values)
    codes = pd.Series(given, dtype=object).map(_DECISION_CODES).to_numpy(dtype=float)
    wrong = np.isnan(codes) & ~(pd.isna(given) if allow_missing else np.zeros(len(given), dtype=bool))
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        allowed = "'A', 'B', 'tie'" + (" or None (unparsed)" if allow_missing else "")
        raise ValueError(f"{name}[{place}] is {given[place]!r}; allowed are {allowed}")
    return codes


def _decision_codes(decisions: ArrayLike, labels: ArrayLike) -> tuple[Floats, Floats]:
    decided, gold = _codes(decisions, "decisions"), _codes(labels, "labels", allow_missing=False)
    _same_length(decisions=decided, labels=gold)
    return decided, gold


def _decision_names(signs: Floats) -> NDArray[np.object_]:
    return np.select([signs > 0, signs < 0, signs == 0], ["A", "B", "tie"], None).astype(object)


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def divide(top: Floats, bottom: Floats, otherwise: float = math.nan) -> Floats:
    """top / bottom, with `otherwise` where bottom is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(top, dtype=float), np.asarray(bottom, dtype=float))
    return np.divide(top, bottom, out=np.full(top.shape, otherwise), where=bottom != 0)
