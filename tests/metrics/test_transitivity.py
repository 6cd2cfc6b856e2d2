"""Transitivity by hand and against the definition spelled out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_lib import metrics
from prometheus_lib.records import DataError

NAN = math.nan


def table(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["group", "x", "y", "winner"])


def by_loops(frame: pd.DataFrame, repeats: str = "unanimous") -> metrics.Transitivity:
    """The definition spelled out: every ordered triple of every group, pairs judged again settled first."""
    votes: dict[tuple, list[int]] = {}
    for group, x, y, winner in frame.itertuples(index=False):
        if not pd.isna(winner):
            one, two = sorted((x, y))
            votes.setdefault((group, one, two), []).append(0 if winner == "tie" else 1 if winner == one else -1)
    outcome = {}
    for (group, one, two), signs in votes.items():
        won = int(np.sign(sum(signs))) if repeats == "majority" or len(set(signs)) == 1 else 0
        outcome[group, one, two], outcome[group, two, one] = won, -won
    counts = dict.fromkeys(("triples", "decisive", "cycles", "chains", "kept", "tied", "reversed"), 0)
    for group in frame["group"].unique():
        items = {i for g, i, _ in outcome if g == group}
        for trio in itertools.combinations(sorted(items), 3):
            if all((group, *pair) in outcome for pair in itertools.combinations(trio, 2)):
                ring = [outcome[group, a, b] for a, b in zip(trio, trio[1:] + trio[:1], strict=True)]
                counts["triples"] += 1
                counts["decisive"] += 0 not in ring
                counts["cycles"] += abs(sum(ring)) == 3
        for x, y, z in itertools.permutations(sorted(items), 3):
            if outcome.get((group, x, y)) == outcome.get((group, y, z)) == 1 and (group, x, z) in outcome:
                counts["chains"] += 1
                counts[{1: "kept", 0: "tied", -1: "reversed"}[outcome[group, x, z]]] += 1
    again = sum(len(signs) - 1 for signs in votes.values())
    return metrics.Transitivity(*counts.values(), unparsed=int(frame["winner"].isna().sum()), repeated=again)


@st.composite
def decision_tables(draw) -> pd.DataFrame:
    """Up to three groups of five items; pairs missing, judged up to three times, in either order, or unparsed."""
    items, rows = draw(st.sampled_from(["pqrst", range(5)])), []
    for group in range(draw(st.integers(1, 3))):
        for x, y in itertools.combinations(items, 2):
            for _ in range(draw(st.sampled_from([1, 1, 1, 0, 2, 3]))):
                x, y = draw(st.sampled_from([(x, y), (y, x)]))
                rows.append((group, x, y, draw(st.sampled_from([x, y, x, y, "tie", None]))))
    return table(*draw(st.permutations(rows)))


@pytest.mark.parametrize("repeats", ["unanimous", "majority"])
@given(decision_tables())
@settings(max_examples=40, deadline=None)
def test_transitivity_equals_the_plain_loops(repeats, frame):
    found = metrics.transitivity(frame, repeats)
    assert found == by_loops(frame, repeats)
    assert found.chains == found.chains_kept + found.chains_tied + found.chains_reversed
    assert found.chains_reversed == 3 * found.cycles
    assert found.chains_kept == found.decisive - found.cycles
    by_group = metrics.transitivity_by_group(frame, repeats).sum()
    assert by_group.to_dict() == {name: getattr(found, name) for name in by_group.index}


def test_transitivity_takes_any_table_of_the_four_columns():
    """Other columns, another index, pandas' own text and category types, tuples as names: all the same."""
    rows = [("g", "a", "b", "a"), ("g", "c", "b", "b"), ("g", "a", "c", "tie"), ("g", "c", "d", None)]
    plain = table(*rows)
    wanted = metrics.transitivity(plain)
    assert (wanted.triples, wanted.decisive, wanted.chains_tied, wanted.unparsed) == (1, 0, 1, 1)
    tuples = table(*((g, (x,), (y,), w if w in ("tie", None) else (w,)) for g, x, y, w in rows))
    frames = [plain.astype(kind) for kind in ("string", "category", "str")] + [tuples]
    frames.append(plain.assign(judge="j", winner=plain["winner"].fillna(np.nan)).set_index("judge"))
    assert [metrics.transitivity(frame) for frame in frames] == [wanted] * len(frames)


@pytest.mark.parametrize(
    ("last", "kept", "tied", "reversed_", "cycles"),
    [("a", 1, 0, 0, 0), ("tie", 0, 1, 0, 0), ("c", 0, 0, 3, 1)],
)
def test_transitivity_of_one_triple(last, kept, tied, reversed_, cycles):
    found = metrics.transitivity(table((1, "a", "b", "a"), (1, "b", "c", "b"), (1, "a", "c", last)))
    assert (found.chains_kept, found.chains_tied, found.chains_reversed) == (kept, tied, reversed_)
    assert (found.triples, found.decisive, found.cycles) == (1, int(last != "tie"), cycles)
    assert found.rate == kept / found.chains


def test_a_chain_needs_its_closing_pair_in_the_same_group():
    found = metrics.transitivity(table((1, "a", "b", "a"), (1, "b", "c", "b"), (2, "a", "c", "a")))
    assert (found.triples, found.chains) == (0, 0)
    assert math.isnan(found.rate) and math.isnan(found.cycle_rate)


def test_a_reversing_judge_is_perfectly_transitive_and_a_constant_judge_too():
    pairs = list(itertools.combinations(range(5), 2))
    assert metrics.transitivity(table(*((0, x, y, y) for x, y in pairs))).rate == 1
    assert metrics.transitivity(table(*((0, x, y, x) for x, y in pairs))).rate == 1
    ties = metrics.transitivity(table(*((0, x, y, "tie") for x, y in pairs)))
    assert (ties.triples, ties.decisive, ties.chains) == (10, 0, 0)


def test_repeated_and_unparsed_decisions_of_a_pair():
    """Agreeing repeats count once, disagreement is a tie, an unparsed decision leaves the pair out."""
    rows = [
        (1, "a", "b", "a"),
        (1, "b", "a", "a"),
        (1, "b", "c", "b"),
        (1, "a", "c", "a"),
        (1, "c", "a", "c"),
    ]
    found = metrics.transitivity(table(*rows, (1, "d", "a", None)))
    assert (found.triples, found.chains_tied, found.repeated, found.unparsed) == (1, 1, 2, 1)


def test_a_majority_can_settle_what_is_not_unanimous():
    rows = [(1, "a", "b", "a"), (1, "b", "a", "a"), (1, "a", "b", "b"), (1, "b", "c", "b"), (1, "a", "c", "a")]
    assert metrics.transitivity(table(*rows)).decisive == 0
    assert metrics.transitivity(table(*rows), repeats="majority").chains_kept == 1
    with pytest.raises(DataError, match="unknown rule for repeats 'first'"):
        metrics.transitivity(table(*rows), repeats="first")


@pytest.mark.parametrize(
    "row",
    [
        (1, "a", "b", "c"), (1, "a", "b", "Tie"), (1, "a", "b", ""), (1, 1, 2, "1"), (1, "a", "a", "a"),
        (1, "a", "a", "tie"), (1, "a", "tie", "tie"), (1, "tie", "a", "a"), (None, "a", "b", "a"),
        (1, None, "b", "b"), (1, "a", NAN, "a"), (1, "a", pd.NA, None),
    ],
)  # fmt: skip
def test_unreadable_rows_are_named(row):
    with pytest.raises(DataError, match="row 1 of the table cannot be read: .*x and y must differ"):
        metrics.transitivity(table((1, "a", "b", "a"), row))


def test_a_table_without_its_columns_is_refused():
    with pytest.raises(DataError, match="'winner' is missing"):
        metrics.transitivity(table((1, "a", "b", "a")).drop(columns="winner"))
    with pytest.raises(DataError, match="a data frame with the columns group, x, y, winner"):
        metrics.transitivity([(1, "a", "b", "a")])


def test_an_empty_table_has_no_chains():
    found = metrics.transitivity(table())
    assert (found.triples, found.chains) == (0, 0) and math.isnan(found.rate)


def test_a_coin_goes_round_in_a_quarter_of_100_000_rows():
    n = 10_000
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(list(itertools.combinations("abcde", 2)) * n, columns=["x", "y"])
    frame["group"] = np.repeat(np.arange(n), 10)
    frame["winner"] = np.where(rng.integers(0, 2, len(frame)) == 1, frame["x"], frame["y"])
    found = metrics.transitivity(frame)
    assert found.triples == found.decisive == 10 * n
    assert found.cycle_rate == pytest.approx(0.25, abs=0.01)
    assert found.rate == pytest.approx(0.5, abs=0.01)


def test_transitivity_by_group_feeds_an_interval_over_groups():
    frame = table(*((g, x, y, x if g else y) for g in range(4) for x, y in [("a", "b"), ("b", "c"), ("a", "c")]))
    frame.loc[2, "winner"] = "a"  # group 0 now goes round
    counts = metrics.transitivity_by_group(frame)
    assert counts["cycles"].tolist() == [1, 0, 0, 0]
    interval = metrics.bootstrap_ratio(counts["chains_kept"], counts["chains"])
    assert interval.estimate == pytest.approx(metrics.transitivity(frame).rate) == pytest.approx(3 / 6)


def test_released_transitivity_is_a_weighted_accuracy():
    """Gold order 5 > 4 > 2 > 1; weights gap - 1 are 0, 2, 3, 1, 2, 0."""
    grades = list(itertools.combinations([5, 4, 2, 1], 2))
    gaps = [x - y for x, y in grades]
    labels = ["A"] * 6
    assert metrics.released_code_transitivity(["B"] * 6, labels, gaps).value == 0  # reverses, so transitive
    adjacent = ["B" if gap == 1 else "A" for gap in gaps]
    assert metrics.released_code_transitivity(adjacent, labels, gaps).value == 1  # wrong on every adjacent pair
    one_wrong = metrics.released_code_transitivity(["A", "A", "B", "A", "A", None], labels, gaps)
    assert (one_wrong.correct, one_wrong.n, one_wrong.value) == (5, 8, pytest.approx(5 / 8))
    with pytest.raises(ValueError, match="grade gap"):
        metrics.released_code_transitivity(["A"], ["A"], [0])
