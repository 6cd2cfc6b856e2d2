"""The oracle sees what a judge sees: exact with the reference answer, and below 100 without it, as calculated."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from prometheus_lib import metrics
from prometheus_lib.data import minibench, miniworld, oracle
from prometheus_lib.records import DirectItem, PairItem

DIRECT = [name for name, made in minibench.MINIATURES.items() if made.format == "direct"]
PAIRS = [name for name, made in minibench.MINIATURES.items() if made.format == "pairwise"]


@pytest.mark.parametrize("name", DIRECT)
def test_with_the_reference_answer_it_finds_every_true_score(name):
    items = minibench.build(name, seed=3)
    assert oracle.oracle_scores(items) == [item.meta["true_score"] for item in items]


@pytest.mark.parametrize("name", DIRECT)
def test_without_it_the_oracle_expects_the_right_mean_and_is_not_perfect(name):
    items = minibench.build(name, seed=3)
    truth, expected = [item.meta["true_score"] for item in items], oracle.oracle_scores(items, with_reference=False)
    assert 0.8 < metrics.correlations(expected, truth).pearson < 1
    error = np.subtract(expected, truth)
    assert abs(error.mean()) < 4 * error.std() / math.sqrt(len({item.cluster for item in items}))


@pytest.mark.parametrize("name", PAIRS)
def test_playing_and_calculating_the_ceiling_of_ranking_agree(name):
    items = minibench.build(name, seed=3, share=3)
    truth, said = [minibench.true_decision(item) for item in items], oracle.oracle_decisions(items)
    right = metrics.item_credits(said, truth, "gold dropped")
    played = metrics.bootstrap_mean(right, [item.cluster for item in items])
    calculated = oracle.oracle_accuracy(items)
    error = (played.high - played.low) / 4
    assert abs(played.estimate - calculated) < 4 * error and 0.8 < calculated < 1


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_with_reference_is_decided_by_the_truth(name):
    items = [item for item in minibench.build(name, seed=3) if minibench.true_decision(item) != "tie"]
    assert oracle.oracle_decisions(items, with_reference=True) == [minibench.true_decision(item) for item in items]
    assert oracle.oracle_accuracy(items, with_reference=True) == 1


# --- without the rubric ----------------------------------------------------------------------------------------------


def exact_by_design():
    """What the best reader without the rubric has right by the design: by number of right facts the likelier score.

    Scores are as frequent as each other; both facts outside the rubric are right with the chance (5 - score) / 4.
    """
    chances = {}
    for score in range(1, 6):
        for outside, chance in ((2, (5 - score) / 4), (0, (score - 1) / 4)):
            chances.setdefault(score - 1 + outside, {})[score] = chance / 5
    return sum(max(scores.values()) for scores in chances.values())


def test_a_reader_without_the_rubric_reaches_what_the_design_says():
    assert exact_by_design() == pytest.approx(0.65)
    items = [item for name in DIRECT for item in minibench.build(name, seed=5, share=3)]
    right = np.equal(oracle.blind_scores(items), [item.meta["true_score"] for item in items])
    found = metrics.bootstrap_mean(right, [item.cluster for item in items])
    assert found.low - 0.01 < 0.65 < found.high + 0.01


def test_no_rubric_changes_what_a_reader_without_it_says():
    items = minibench.build("mini_flask", seed=5)
    other = [dataclasses.replace(item, rubric=items[n - 1].rubric) for n, item in enumerate(items)]
    assert oracle.blind_scores(items) == oracle.blind_scores(other) != oracle.oracle_scores(items)
    pairs = minibench.build("mini_autoj_eval", seed=5)
    others = [dataclasses.replace(p, rubric=q.rubric, criteria=q.criteria) for p, q in zip(pairs, pairs[1:] + pairs)]
    assert oracle.blind_decisions(pairs) == oracle.blind_decisions(others) != oracle.oracle_decisions(pairs)


@pytest.mark.parametrize("name", PAIRS)
def test_of_pairs_it_knows_more_than_a_coin_and_less_than_the_oracle(name):
    items = [item for item in minibench.build(name, seed=5, share=2) if minibench.true_decision(item) != "tie"]
    truth = np.array([minibench.true_decision(item) for item in items])
    rules = (oracle.blind_decisions, oracle.oracle_decisions)
    blind, seeing = (np.mean(np.array(rule(items)) == truth) for rule in rules)
    with_reference = np.mean(np.array(oracle.blind_decisions(items, with_reference=True)) == truth)
    assert 0.6 < blind < seeing - 0.1 and with_reference > blind - 0.05
    turned = [dataclasses.replace(item, response_a=item.response_b, response_b=item.response_a) for item in items]
    both = zip(oracle.blind_decisions(items), oracle.blind_decisions(turned))
    assert np.mean([one != other for one, other in both]) > 0.75  # all but coins


def pair(response_a, response_b):
    """The colour is vague: "warm" is red or yellow; the size is plain."""
    instruction = f"{miniworld.INSTRUCTION_OPENING} lamp: colour warm, size big."
    criteria = "Does the response state these details correctly: colour, size?"
    return PairItem("p", instruction, response_a, response_b, None, criteria, "A", meta={"true_a": 2, "true_b": 1})


@pytest.mark.parametrize(
    ("a", "b", "chances"),
    [
        ("red, large", "blue, large", (oracle.FITTING_IS_RIGHT, 0)),  # a fitting colour may be right, blue cannot be
        ("red, large", "yellow, large", (0.5, 0.5)),  # one of them is, and nobody can know which
        ("crimson, large", "red, big", (0, 0)),  # the same in other words
        ("red, tiny", "blue, large", (0, 1 - oracle.FITTING_IS_RIGHT)),  # red evens the size out, or B leads
        ("red, tiny", "yellow, large", (0, 0.5)),
        ("blue, large", "blue, tiny", (1, 0)),
    ],
)
def test_what_a_vague_word_leaves_open(a, b, chances):
    assert oracle.oracle_chances(pair(a, b)) == pytest.approx(chances)


def test_a_coin_falls_only_where_nothing_can_be_known():
    alike = [dataclasses.replace(pair("red", "yellow"), id=f"p/{n}") for n in range(200)]
    assert 60 < oracle.oracle_decisions(alike).count("A") < 140
    assert oracle.oracle_accuracy(alike) == 0.5
    assert set(oracle.oracle_decisions([dataclasses.replace(p, response_b="blue") for p in alike])) == {"A"}


def test_a_detail_that_a_response_does_not_state_is_not_right():
    item = minibench.build("mini_flask", seed=3, share=0.1)[0]
    assert isinstance(item, DirectItem)
    assert oracle.oracle_scores([dataclasses.replace(item, response="A thing.")]) == [1]
