"""Accuracy under each tie rule, both orders and win rates: by hand and against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score

from prometheus_lib import metrics
from prometheus_lib.records import DataError

NAN = math.nan
WORDS = st.sampled_from(["A", "B", "tie"])


#           right  right wrong gold tie  right tie  decided tie  unparsed
DECISIONS = ["A", "B", "A", "A", "tie", "tie", None]
LABELS = ["A", "B", "B", "tie", "tie", "A", "A"]


@pytest.mark.parametrize(
    ("ties", "correct", "n"), [("wrong", 3, 7), ("half", 4, 7), ("dropped", 2, 4), ("gold dropped", 2, 5)]
)
def test_tie_rules_by_hand(ties, correct, n):
    found = metrics.pairwise_accuracy(DECISIONS, LABELS, ties)
    assert (found.correct, found.n, found.unparsed) == (correct, n, 1)
    assert found.value == pytest.approx(correct / n)
    credit = metrics.item_credits(DECISIONS, LABELS, ties)
    assert np.nanmean(credit) == pytest.approx(found.value)


def test_counts_of_ties():
    found = metrics.pairwise_accuracy(DECISIONS, LABELS)
    assert (found.gold_ties, found.decided_ties, found.rule) == (2, 2, "wrong")


def test_accuracy_limits():
    flipped = ["B" if label == "A" else "A" for label in "ABBA"]
    assert metrics.pairwise_accuracy(list("ABBA"), list("ABBA")).value == 1
    assert metrics.pairwise_accuracy(flipped, list("ABBA")).value == 0
    assert metrics.pairwise_accuracy(["A"] * 4, list("ABBA")).value == 0.5
    unparsed = metrics.pairwise_accuracy([None, NAN], ["A", "tie"], "half")
    assert (unparsed.value, unparsed.unparsed) == (0, 2)
    nothing = metrics.pairwise_accuracy([], [])
    assert math.isnan(nothing.value) and nothing.n == 0
    assert math.isnan(metrics.pairwise_accuracy(["A"], ["tie"], "dropped").value)


@pytest.mark.parametrize(
    ("decisions", "labels", "ties", "message"),
    [
        (["A", "C"], ["A", "B"], "wrong", r"decisions\[1\] is 'C'"),
        (["A", "B"], ["A", None], "wrong", r"labels\[1\] is None"),
        (["A"], ["A", "B"], "wrong", "decisions 1, labels 2"),
        (["A"], ["A"], "ignored", "unknown tie rule 'ignored'"),
    ],
)
def test_bad_pairwise_input_is_named(decisions, labels, ties, message):
    with pytest.raises(ValueError, match=message):
        metrics.pairwise_accuracy(decisions, labels, ties)


@given(st.lists(st.tuples(st.one_of(WORDS, st.none()), WORDS), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_tie_rules_keep_their_order(rows):
    decisions, labels = zip(*rows, strict=True)
    wrong, half = (metrics.pairwise_accuracy(decisions, labels, ties) for ties in ("wrong", "half"))
    assert wrong.value == pytest.approx(accuracy_score(labels, [d or "unparsed" for d in decisions]))
    assert wrong.value <= half.value <= 1
    kept = {
        "dropped": [(d, gold) for d, gold in rows if "tie" not in (d, gold)],
        "gold dropped": [(d, gold) for d, gold in rows if gold != "tie"],
    }
    for rule, pairs in kept.items():
        found = metrics.pairwise_accuracy(decisions, labels, rule)
        assert (found.n, found.correct) == (len(pairs), sum(d == gold for d, gold in pairs))
        assert found.unparsed == sum(d is None for d, _ in pairs)


def test_direct_to_pair():
    assert metrics.direct_to_pair([5, 2, 3, NAN], [4, 4, 3, 1]).tolist() == ["A", "B", "tie", None]


def test_text_mixture():
    """Equal scores tie even where the pairwise decision is right; a missing score leaves it unparsed."""
    a, b, pairwise = [3, 3, 5, NAN], [3, 3, 1, 4], ["A", "A", "B", "A"]
    assert metrics.text_mixture_decisions(a, b, pairwise).tolist() == ["tie", "tie", "B", None]
    found = metrics.pairwise_accuracy(metrics.text_mixture_decisions(a, b, pairwise), ["tie", "A", "B", "A"])
    assert (found.correct, found.n, found.unparsed) == (2, 4, 1)


def test_label_aware_rule_by_hand():
    """Rows: second draw decides; all equal; gold tie, first draw only; gold tie lost; one draw unparsed."""
    a = [[3, 4, 1], [3, 3, 3], [2, 5, 5], [4, 2, 2], [NAN, 5, 1]]
    b = [[3, 2, 5], [3, 3, 3], [2, 1, 1], [3, 2, 2], [3, 4, 1]]
    labels = ["A", "A", "tie", "tie", "A"]
    assert metrics.code_label_aware_decisions(a, b, labels).tolist() == ["A", "tie", "tie", "A", "A"]
    assert metrics.code_label_aware_accuracy(a, b, labels).correct == 3
    with pytest.raises(DataError, match="do not fit together"):
        metrics.code_label_aware_decisions(np.zeros((1, 0)), np.zeros((1, 0)), ["B"])
    unread = metrics.code_label_aware_accuracy([[NAN] * 3], [[1, 2, 3]], ["B"])
    assert (unread.value, unread.unparsed) == (0, 1)


def test_label_aware_rule_inflates_as_stated():
    """35 % equal scores, 75 % right elsewhere: one pass gives 48.75 %, the label-aware rule 71.8 %."""
    rng = np.random.default_rng(0)
    better = rng.choice([-1, 0, 1], size=(200_000, 3), p=[0.65 * 0.25, 0.35, 0.65 * 0.75])
    labels = np.full(len(better), "A")
    once = metrics.pairwise_accuracy(metrics.direct_to_pair(better[:, 0], np.zeros(len(better))), labels)
    aware = metrics.code_label_aware_accuracy(better, np.zeros_like(better), labels)
    assert once.value == pytest.approx(0.4875, abs=0.004)
    assert aware.value == pytest.approx(0.4875 * (1 + 0.35 + 0.35**2), abs=0.004)


def test_both_orders():
    first, swapped, labels = (
        ["A", "A", "tie", None, "B"],
        ["A", "B", "tie", "A", "tie"],
        ["A", "A", "tie", "A", "B"],
    )
    strict = metrics.both_orders_accuracy(first, swapped, labels)
    assert (strict.correct, strict.n, strict.unparsed, strict.decided_ties) == (2, 5, 1, 1)
    found = metrics.position_consistency(first, swapped)
    assert (found.equal, found.n, found.unparsed) == (2, 5, 1)
    assert (found.value, found.parsed_only) == (pytest.approx(2 / 5), pytest.approx(2 / 4))


EITHER = st.sampled_from(["A", "B", "tie", None])
OTHER = {"A": "B", "B": "A", "tie": "tie", None: None}


@given(st.lists(st.tuples(EITHER, EITHER, WORDS), max_size=20))
@settings(max_examples=80, deadline=None)
def test_both_orders_under_each_rule_equal_the_plain_loops(rows):
    first, swapped, labels = (list(column) for column in zip(*rows)) if rows else ([], [], [])
    votes = [[d == gold for d in (a, b)] for a, b, gold in rows]
    strict = metrics.both_orders_accuracy(first, swapped, labels)
    assert (strict.n, strict.correct) == (len(rows), sum(map(all, votes)))
    assert strict.unparsed == sum(None in row[:2] for row in rows)
    together = metrics.pairwise_accuracy(metrics.combine_orders(first, swapped, "together"), labels)
    balance = [sum({"A": 1, "B": -1}.get(d, 0) for d in row[:2]) for row in rows]
    silent = [row[:2] == (None, None) for row in rows]
    decided = [None if quiet else "tie" if not sum_ else "AB"[sum_ < 0] for quiet, sum_ in zip(silent, balance)]
    assert (together.correct, together.unparsed) == (
        sum(d == gold for d, gold in zip(decided, labels)), sum(silent)
    )  # fmt: skip
    assert metrics.combine_orders(first, swapped, "together").tolist() == decided
    agreed = [None if None in row[:2] else row[0] if row[0] == row[1] else "tie" for row in rows]
    assert metrics.combine_orders(first, swapped).tolist() == agreed
    as_said = [OTHER[d] for d in swapped]
    again = metrics.both_orders_accuracy(first, as_said, labels, mapped_back=False)
    assert repr(again) == repr(strict)  # NaN for no items equals nothing but its own name
    for rule in ("agree", "together"):
        again = metrics.combine_orders(first, as_said, rule, mapped_back=False)
        assert again.tolist() == metrics.combine_orders(first, swapped, rule).tolist()
    again = metrics.position_consistency(first, as_said, mapped_back=False)
    assert repr(again) == repr(metrics.position_consistency(first, swapped))


def test_bad_order_rules_are_named():
    with pytest.raises(DataError, match="unknown rule 'both'"):
        metrics.combine_orders(["A"], ["A"], "both")
    with pytest.raises(DataError, match="first 1, swapped 2"):
        metrics.both_orders_accuracy(["A"], ["A", "B"], ["A"])


def test_a_judge_that_always_picks_the_first_shown_is_never_right_in_both_orders():
    labels = list("ABAB")
    assert metrics.both_orders_accuracy(["A"] * 4, ["B"] * 4, labels).value == 0
    assert metrics.position_consistency(["A"] * 4, ["B"] * 4).value == 0
    assert metrics.position_consistency([None] * 2, [None] * 2).value == 0  # two silences do not agree


def test_win_rate_by_hand():
    """Two wins, one loss, one draw written 0, one graded 1.75, one unparsed."""
    found = metrics.win_rate([2, 2, 1, 0, 1.75, None])
    assert (found.wins, found.losses, found.draws, found.n, found.unparsed) == (3, 1, 1, 5, 1)
    assert found.value == pytest.approx((1 + 1 + 0 + 0.5 + 0.75) / 5)
    assert found.discrete == pytest.approx(3.5 / 5)
    assert found.standard_error == pytest.approx(stats.sem([1, 1, 0, 0.5, 0.75]))


def test_win_rate_limits():
    assert math.isnan(metrics.win_rate([2]).standard_error)
    assert math.isnan(metrics.win_rate([None]).value)
    for wrong in (3, 0.5, -1):
        with pytest.raises(DataError, match=f"{wrong:g} is no preference"):
            metrics.win_rate([1, wrong])


def test_win_rate_takes_the_decisions_of_a_judge():
    """A is the first response, the baseline, as AlpacaEval's 1 is; the other side's rate is what is left."""
    decisions = ["B", "B", "A", "tie", None, "B"]
    numbers = [2, 2, 1, 1.5, None, 2]
    found = metrics.win_rate(decisions)
    assert found == metrics.win_rate(numbers)
    assert (found.wins, found.losses, found.draws, found.n, found.unparsed) == (3, 1, 1, 5, 1)
    other = metrics.win_rate(decisions, side="A")
    assert (other.wins, other.losses) == (1, 3) and other.value == pytest.approx(1 - found.value)
    assert metrics.win_rate(np.array(decisions, dtype=object)) == found
    assert math.isnan(metrics.win_rate([None, None]).value)


@pytest.mark.parametrize("wrong", [["A", 2], ["a", "B"], ["A", "C"], [True, False], ["1", "2"]])
def test_win_rate_refuses_what_it_would_have_to_guess(wrong):
    with pytest.raises(DataError):
        metrics.win_rate(wrong)
    with pytest.raises(DataError, match="side must be 'A' or 'B'"):
        metrics.win_rate(["A"], side="model")
