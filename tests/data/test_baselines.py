"""Trivial judges: their rules on small items, their results on real data, and that they read no label."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean

import pytest
from scipy.stats import kendalltau, pearsonr, spearmanr

from prometheus_lib.data.baselines import (
    DIRECT_BASELINES,
    PAIR_BASELINES,
    SCORING_TWINS,
    always_a,
    constant_score,
    length_score,
    longer_wins,
    more_similar_to_reference,
    other_answers_mean,
    pair_sides,
    random_pair,
    random_score,
    reference_similarity,
    word_overlap,
)
from prometheus_lib.data.benchmarks import load_benchmark
from prometheus_lib.records import DirectItem, PairItem, Rubric

RUBRIC = Rubric("Is it kind?", ("1", "2", "3", "4", "5"))
GPT4 = "gpt-4-1106"


def direct(number: int, response: str = "one two", reference: str | None = "one two", **fields) -> DirectItem:
    return DirectItem(f"d{number}", "Do it.", response, reference, RUBRIC, **fields)


def pair(a: str, b: str, reference: str | None = None, label: str = "A") -> PairItem:
    return PairItem(f"p-{a}-{b}", "Do it.", a, b, reference, "Is it kind?", label)


def test_constant_and_random_scores_stay_on_the_scale_and_repeat():
    items = [direct(number) for number in range(500)]
    assert constant_score(items) == [3] * 500
    scores = random_score(items)
    assert scores == random_score(items) != random_score(items, seed=1)
    assert [scores.count(score) for score in range(6)] == pytest.approx([0, 100, 100, 100, 100, 100], abs=35)
    assert random_score(items[7:9]) == scores[7:9]


def test_length_counts_characters_without_surrounding_space():
    assert length_score([direct(0, " abc\n"), direct(1, ""), direct(2, "éé")]) == [3, 0, 2]


def test_word_overlap_is_the_f1_of_shared_words():
    assert word_overlap("The cat sat", "the CAT sat!") == 1
    assert word_overlap("a b", "c d") == word_overlap("", "a") == word_overlap("", "") == 0
    assert word_overlap("a a b", "a c") == pytest.approx(2 * 1 / 5)
    assert reference_similarity([direct(0), direct(1, reference=None)]) == [1, None]


def test_pair_rules():
    pairs = [pair("long", "no"), pair("no", "long"), pair("same", "size"), pair("", "\u200b")]
    assert longer_wins(pairs) == ["A", "B", "tie", "B"]
    assert always_a(pairs) == ["A"] * 4
    assert set(random_pair([pair(str(n), "b") for n in range(50)])) == {"A", "B"}
    known = [pair("x y", "a b", "a b"), pair("a", "a", "a"), pair("a", "b")]
    assert more_similar_to_reference(known) == ["B", "tie", None]


def test_pair_sides_score_both_responses_once_per_rule():
    pairs = [pair("a b c", "a", "a b c"), pair("", "xx", "xx")]
    a, b = pair_sides(pairs, SCORING_TWINS["longer wins"])
    assert (a, b) == ([[5], [0]], [[1], [2]])
    assert pair_sides(pairs, SCORING_TWINS["closer to reference"]) == ([[1.0], [0.0]], [[0.5], [1.0]])
    drawn, other = pair_sides([pair(str(n), "b") for n in range(60)], SCORING_TWINS["random"])
    assert {len(draws) for draws in drawn} == {3} and drawn != other
    assert len({tuple(draws) for draws in drawn}) > 20  # the draws of one response differ
    assert set(SCORING_TWINS) == set(PAIR_BASELINES)


def test_other_answers_mean_leaves_the_item_itself_out():
    items = [
        direct(0, scores={"r": [1, 3]}, cluster="x"),
        direct(1, scores={"r": [5]}, cluster="x"),
        direct(2, scores={"r": [4]}, cluster="x"),
        direct(3, scores={"r": [4]}, cluster="alone"),
        direct(4, scores={}, cluster="x"),
    ]
    assert other_answers_mean(items, "r") == [4.5, 3.0, 3.5, None, pytest.approx(11 / 3)]


def test_no_trivial_judge_reads_a_label():
    items = [direct(n, "word " * n, scores={"r": [n % 5 + 1]}, group="g") for n in range(9)]
    blind = [replace(item, scores={}, group="", cluster="", meta={}) for item in items]
    pairs = [pair("word " * n, "x " * (9 - n), "word", "AB"[n % 2]) for n in range(9)]
    flipped = [replace(item, label="tie") for item in pairs]
    for judge in DIRECT_BASELINES.values():
        assert judge(items) == judge(blind)
    for judge in PAIR_BASELINES.values():
        assert judge(pairs) == judge(flipped)


def test_length_against_gpt4_on_vicuna_bench(data_dir):
    items = load_benchmark("vicuna_bench", data_dir)
    lengths, scores = length_score(items), [mean(item.scores[GPT4]) for item in items]
    assert pearsonr(lengths, scores).statistic == pytest.approx(0.294498, abs=5e-7)
    assert spearmanr(lengths, scores).statistic == pytest.approx(0.374977, abs=5e-7)
    assert kendalltau(lengths, scores).statistic == pytest.approx(0.285184, abs=5e-7)


def test_longer_wins_on_hhh_whatever_the_order(data_dir):
    items = load_benchmark("hhh_alignment", data_dir)
    decisions = longer_wins(items)
    right = sum(decision == item.label for decision, item in zip(decisions, items, strict=True))
    assert (right, decisions.count("tie")) == (139, 2)
    assert always_a(items).count("A") == 221
    assert sum(item.label == "A" for item in items) == 111


def test_other_answers_predict_gpt4_on_mt_bench(data_dir):
    items = load_benchmark("mt_bench", data_dir)
    guesses, scores = other_answers_mean(items, GPT4), [mean(item.scores[GPT4]) for item in items]
    assert pearsonr(guesses, scores).statistic == pytest.approx(0.651470, abs=5e-7)


@pytest.mark.parametrize(("name", "registry"), [("mt_bench", DIRECT_BASELINES), ("autoj_eval", PAIR_BASELINES)])
def test_every_registered_judge_decides_every_item(data_dir, name, registry):
    items = load_benchmark(name, data_dir)
    for judge in registry.values():
        assert len(judge(items)) == len(items)
