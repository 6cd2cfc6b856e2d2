"""Transitivity of pairwise decisions (appendix E, Table 15): does "x beats y" and "y beats z" mean "x beats z"?"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..records import DataError
from .accuracy import Accuracy
from .columns import Floats, Objects, aligned, codes, one_kind, ratio, vector

RepeatRule = Literal["unanimous", "majority"]
Outcomes = dict[Hashable, dict[Hashable, int]]  # item -> other item -> 1 beats it, -1 loses, 0 ties
_COUNTS = ("triples", "decisive", "cycles", "chains", "chains_kept", "chains_tied", "chains_reversed")


@dataclass(frozen=True)
class Transitivity:
    """Counts over triples of items of one group; see `transitivity` for each rule.

    >>> found = Transitivity(10, decisive=8, cycles=1, chains=20, chains_kept=15, chains_tied=3, chains_reversed=2)
    >>> found.rate, found.cycle_rate
    (0.75, 0.125)
    """

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


def transitivity(table: pd.DataFrame, repeats: RepeatRule = "unanimous") -> Transitivity:
    """Transitivity of a judge's own decisions (Table 15, `paper-text`), with the cycles (`corrected`).

    table: one decision per row, columns group, x, y, winner (other columns are ignored). x and y name the two items by
    any hashable value of one type; winner is the row's x, the row's y or "tie", missing if unparsed (counted in
    `.unparsed`, as if the row were not there). (x, y) and (y, x) are the same pair. A pair judged more than once counts
    once (`.repeated` counts the rows too many): with `repeats` "unanimous" as its winner if all its decisions agree,
    with "majority" as the one with more wins; else as a tie. DataError, with the row, where x equals y, a name is
    missing or "tie", or the winner is neither of the two.

    - triples: three items of a group with all three pairs decided; decisive: without a tie among the three;
      cycles: decisive triples where each item wins once.
    - chains: ordered premises "x beats y" and "y beats z", both the judge's own, whose closing pair (x, z)
      exists. They end kept (x beats z), tied or reversed (z beats x); a tie among the premises makes no
      chain. `rate` is chains_kept / chains, so a tied end counts against it. Each cycle is three reversed
      chains.

    >>> rows = [("q", "a", "b", "a"), ("q", "b", "c", "b"), ("q", "a", "c", "c"), ("q", "a", "d", None)]
    >>> found = transitivity(pd.DataFrame(rows, columns=["group", "x", "y", "winner"]))
    >>> found.cycles, found.decisive, found.rate, found.unparsed
    (1, 1, 0.0, 1)
    """
    groups, unparsed, repeated = _outcomes(table, repeats)
    counts = [_counts(each) for each in groups.values()]
    totals = [sum(column) for column in zip(*counts)] or [0] * len(_COUNTS)
    return Transitivity(*totals, unparsed=unparsed, repeated=repeated)


def transitivity_by_group(table: pd.DataFrame, repeats: RepeatRule = "unanimous") -> pd.DataFrame:
    """The counts of `transitivity` per group (rows, index group); give two columns to `bootstrap_ratio`.

    >>> rows = [("q", "a", "b", "a"), ("q", "b", "c", "b"), ("q", "a", "c", "a")]
    >>> transitivity_by_group(pd.DataFrame(rows, columns=["group", "x", "y", "winner"])).loc["q", "chains_kept"].item()
    1
    """
    groups = _outcomes(table, repeats)[0]
    index = pd.Index(list(groups), name="group", tupleize_cols=False)
    return pd.DataFrame([_counts(each) for each in groups.values()], index=index, columns=list(_COUNTS), dtype=int)


def _outcomes(table: pd.DataFrame, repeats: str) -> tuple[dict[Hashable, Outcomes], int, int]:
    """Each group's settled pairs, the number of unparsed rows, and of rows beyond the first for their pair."""
    if repeats not in ("unanimous", "majority"):
        raise DataError(f"unknown rule for repeats {repeats!r}; use 'unanimous' or 'majority'")
    group, x, y, winner = (_column(table, name) for name in ("group", "x", "y", "winner"))
    signs = _checked_signs(group, x, y, winner)
    one_kind(group=group)
    one_kind(x=x, y=y)
    votes: dict[Hashable, dict[tuple, list[int]]] = {name: {} for name in group}
    for name, one, two, sign in zip(group, x, y, signs.tolist()):
        pairs = votes[name]
        if sign == sign:  # not NaN
            turned = (two, one) in pairs
            pairs.setdefault((two, one) if turned else (one, two), []).append(-sign if turned else sign)
    judged = sum(len(signs) for pairs in votes.values() for signs in pairs.values())
    repeated = judged - sum(map(len, votes.values()))
    return {name: _settled(pairs, repeats) for name, pairs in votes.items()}, len(signs) - judged, repeated


def _settled(pairs: dict[tuple, list[int]], repeats: str) -> Outcomes:
    outcomes: Outcomes = {}
    for (one, two), signs in pairs.items():
        total = sum(signs)
        won = (total > 0) - (total < 0) if repeats == "majority" or abs(total) == len(signs) else 0
        outcomes.setdefault(one, {})[two] = won
        outcomes.setdefault(two, {})[one] = -won
    return outcomes


def _counts(outcomes: Outcomes) -> tuple[int, ...]:
    """The counts of one group, in the order of `_COUNTS`.

    A decisive triple is a cycle, three reversed chains, or an order, one chain kept. A triple with one tie is a chain
    with a tied end where the middle item of its two wins is the same.
    """
    triples = decisive = cycles = tied = 0
    for ring in _rings(outcomes):
        triples += 1
        if 0 not in ring:
            decisive += 1
            cycles += abs(sum(ring)) == 3
        elif ring.count(0) == 1:
            tied += sum(ring) != 0
    kept, back = decisive - cycles, 3 * cycles
    return triples, decisive, cycles, kept + tied + back, kept, tied, back


def _rings(outcomes: Outcomes) -> Iterator[tuple[int, int, int]]:
    """For every three items whose pairs are all decided: who wins going round, a to b, b to c, c to a."""
    place = {item: number for number, item in enumerate(outcomes)}
    for a, decided in outcomes.items():
        later = [item for item in decided if place[item] > place[a]]
        for b, c in itertools.combinations(later, 2):
            if c in outcomes[b]:
                yield decided[b], outcomes[b][c], -decided[c]


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


def released_code_transitivity(decisions: ArrayLike, labels: ArrayLike, grade_gaps: ArrayLike) -> Accuracy:
    """What the released code calls transitivity (`paper-code`, Table 15): accuracy weighted by grade gap - 1.

    One row per pair of responses with different gold grades: the decision, the label (the better grade's
    side) and the gap (1-4) between the grades. The premises come from the gold order, one for each grade
    between the two, so `.n` counts gap - 1 per pair. A judge that reverses every order, perfectly transitive,
    gets 0; a judge wrong on every adjacent pair can get 1.

    >>> released_code_transitivity(["A", "B", "A"], ["A", "A", "A"], grade_gaps=[3, 1, 2]).value
    1.0
    """
    (decisions, labels, grade_gaps), _ = aligned(decisions=decisions, labels=labels, grade_gaps=grade_gaps)
    decided, gold = codes(decisions, "decisions"), codes(labels, "labels", allow_missing=False)
    gaps = vector(grade_gaps, "grade_gaps")
    if (gold == 0).any() or not (gaps >= 1).all() or (gaps % 1 != 0).any():
        raise DataError("every pair needs a label A or B and a whole grade gap of at least 1")
    weights = gaps - 1
    right, n = int(weights[decided == gold].sum()), int(weights.sum())
    unparsed = int(weights[np.isnan(decided)].sum())
    return Accuracy(ratio(right, n), n, right, unparsed, 0, int(weights[decided == 0].sum()), "released transitivity")
