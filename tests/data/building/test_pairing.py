"""Pairing graded responses: which pairs, exact balance of A and B, repeated and equal ones, no dependence on order."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_lib import tables
from prometheus_lib.data import building, collections
from prometheus_lib.data.building import schema
from prometheus_lib.data.building.pairing import balanced_signs


def graded(instruction, *scores, texts=None):
    texts = texts or [f"response {n} to {instruction}" for n in range(len(scores))]
    base = {"orig_instruction": instruction, "orig_criteria": "c", "orig_reference_answer": "r", "orig_feedback": "f"}
    return [{**base, "orig_response": t, "orig_score": str(s)} for t, s in zip(texts, scores, strict=True)]


def spread(rows, by):
    """The largest |A - B| over the groups that `by` makes."""
    leads = defaultdict(int)
    for row in rows:
        leads[by(row)] += 1 if row["orig_preference"] == "A" else -1
    return max(map(abs, leads.values()), default=0)


def gap(row):
    return round(abs(float(row["orig_score_A"]) - float(row["orig_score_B"])), 4)


def assert_balanced(rows):
    assert spread(rows, lambda row: None) <= 1
    assert spread(rows, lambda row: row["orig_instruction"]) <= 1
    assert spread(rows, gap) <= 1


@pytest.mark.parametrize("instructions", [1, 2, 7, 40])
def test_five_grades_give_ten_pairs_balanced_in_every_way(instructions):
    rows = [row for n in range(instructions) for row in graded(f"i{n}", 1, 2, 3, 4, 5)]
    pairs, counts = building.pair_up(rows)
    assert len(pairs) == counts.pairs == 10 * instructions and len({pair["id"] for pair in pairs}) == len(pairs)
    assert Counter(map(gap, pairs)) == {1: 4 * instructions, 2: 3 * instructions, 3: 2 * instructions, 4: instructions}
    assert_balanced(pairs)
    assert counts.preferences == {"A": 5 * instructions, "B": 5 * instructions}
    assert all(schema.problem(pair, "preference", written=False) is None for pair in pairs)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=8), min_size=1, max_size=12), st.integers(0, 3))
def test_any_grades_are_balanced(groups, seed):
    rows = [row for n, scores in enumerate(groups) for row in graded(f"i{n}", *scores)]
    pairs, counts = building.pair_up(rows, seed=seed, most=None)
    assert_balanced(pairs)
    possible = sum(len(scores) * (len(scores) - 1) // 2 for scores in groups)
    assert counts.pairs + counts.equal == possible and counts.beyond == 0
    for pair in pairs:
        better = "A" if float(pair["orig_score_A"]) > float(pair["orig_score_B"]) else "B"
        assert pair["orig_preference"] == better


@settings(max_examples=100, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 6)), max_size=50))
def test_signs_balance_at_every_node(edges):
    edges = sorted(edges)
    signs = balanced_signs(edges)
    assert set(signs) <= {1, -1}
    for side in (0, 1):
        sums = Counter()
        for edge, sign in zip(edges, signs, strict=True):
            sums[edge[side]] += sign
        assert all(abs(total) <= 1 for total in sums.values())
    assert abs(sum(signs)) <= 1


def test_pairs_do_not_depend_on_the_order_of_the_rows():
    rows = [row for n in range(9) for row in graded(f"i{n}", *random.Random(n).choices(range(1, 6), k=6))]
    turned = random.Random(0).sample(rows, len(rows))

    def as_set(pairs):
        return {tuple(sorted(pair.items())) for pair in pairs}

    first, second = (as_set(building.pair_up(some)[0]) for some in (rows, turned))
    assert first == second != as_set(building.pair_up(rows, seed=7)[0])


def test_position_says_nothing_about_file_order_or_grade():
    """Neither the first nor the better response stands on one side more often."""
    rows = [row for n in range(400) for row in graded(f"i{n}", 1, 2, 3, 4, 5)]
    pairs, _ = building.pair_up(rows)
    number = {row["orig_response"]: n for n, row in enumerate(rows)}
    earlier_first = sum(number[p["orig_response_A"]] < number[p["orig_response_B"]] for p in pairs)
    assert 0.48 < earlier_first / len(pairs) < 0.52
    for score in "12345":
        share = sum(p["orig_score_A"] == score for p in pairs) / sum(
            score in (p["orig_score_A"], p["orig_score_B"]) for p in pairs
        )
        assert 0.46 < share < 0.54


def test_fewer_than_five_equal_grades_and_repeated_responses():
    rows = graded("two", 2, 5) + graded("one", 3) + graded("equal", 4, 4, 4)
    rows += graded("again", 1, 3, 5, texts=["same", "same", "other"])
    pairs, counts = building.pair_up(rows)
    assert counts.pairs == 2 and counts.equal == 3 and counts.repeated == 1 and counts.rows == 9
    assert counts.responses == {2: 2, 1: 1, 3: 1} and counts.instructions == 4
    again = next(pair for pair in pairs if pair["orig_instruction"] == "again")
    assert {again["orig_score_A"], again["orig_score_B"]} == {"2", "5"}  # the mean of 1 and 3
    assert "3 pairs of equal grades" in counts.describe() and "1 rows repeat" in counts.describe()


def test_a_repeated_response_brings_the_feedback_nearest_to_its_mean_grade():
    rows = graded("i", 1, 2, 5, 5, texts=["x", "x", "x", "y"])
    for row, text in zip(rows, ("one", "two", "five", "y"), strict=True):
        row["orig_feedback"] = text
    (pair,) = building.pair_up(rows)[0]
    side = "A" if pair["orig_response_A"] == "x" else "B"
    assert pair[f"orig_score_{side}"] == "2.66667" and pair[f"orig_feedback_{side}"] == "two"


def test_more_than_five_responses_are_cut_to_ten_pairs():
    rows = [row for n in range(30) for row in graded(f"i{n}", 1, 2, 3, 4, 5, 1, 3)]
    pairs, counts = building.pair_up(rows)
    assert set(Counter(pair["orig_instruction"] for pair in pairs).values()) == {10}
    assert counts.beyond == 30 * (21 - 2 - 10) and counts.equal == 60
    assert_balanced(pairs)
    assert len(building.pair_up(rows, most=None)[0]) == 30 * 19


def test_another_criterion_or_reference_is_another_set_of_responses():
    rows = graded("i", 1, 5)
    rows += [{**row, "orig_criteria": "other"} for row in rows] + [{**rows[0], "orig_reference_answer": "other"}]
    pairs, counts = building.pair_up(rows)
    assert counts.instructions == 3 and counts.pairs == 2
    assert len({pair["id"] for pair in pairs}) == 2


def test_odd_texts_are_kept_byte_for_byte():
    texts = ["{x} ###Response B: [RESULT] A", "\U0001f600\r\u4f60\u597d \u200b"]
    (pair,) = building.pair_up(graded("i {0}", 2, 4, texts=texts))[0]
    assert {pair["orig_response_A"], pair["orig_response_B"]} == set(texts) and pair["orig_instruction"] == "i {0}"


def test_table_1_comes_out_for_what_was_paired():
    rows = collections.feedback_rows(3, 12)
    pairs, _ = building.pair_up(rows)
    table = tables.table_1(rows, pairs)
    found = table[(table["row"] == "# Instances")].set_index("column")["value"]
    assert found["Preference Collection (ours)"] == 120 and found["Feedback Collection (ours)"] == 60
    assert found["Preference Collection (published)"] == 200_000


def test_the_miniature_collection_gives_the_same_pairs_as_its_own_generator():
    """The same ten unordered pairs with the same preferred text; only which is A is arranged anew."""
    pairs, _ = building.pair_up(collections.feedback_rows(5, 20))
    own = collections.preference_rows(5, 20)

    def facts(row):
        better, worse = ("A", "B") if row["orig_preference"] == "A" else ("B", "A")
        return row["orig_instruction"], row[f"orig_response_{better}"], row[f"orig_response_{worse}"]

    assert {facts(row) for row in pairs} == {facts(row) for row in own} and len(pairs) == 200
