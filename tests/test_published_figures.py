"""Other people's judges, other people's published figures: our metrics must give them to the printed digit.

Each test reads the raw decisions or ratings of a public data set and compares with what its authors printed.
The reading is spelled out here, so that a figure can be followed from file to number.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from prometheus_lib import metrics


def read(path: Path):
    """A JSON file, or the list of rows of a JSON Lines file (some carry the ending .json)."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl" or path.name == "autoj_pairwise.json":
        return [json.loads(line) for line in text.split("\n") if line]
    return json.loads(text)


def percent(share: float) -> float:
    return round(100 * share, 2)


# ----------------------------------------------------------------------------------------------- correlations


@pytest.mark.parametrize(
    ("name", "dimension", "n", "printed"),
    [
        ("topical_chat", "overall", 360, (0.632796, 0.662583, 0.487272)),
        ("topical_chat", "naturalness", 360, (0.443666, 0.513986, 0.373973)),
        ("qags_cnndm", "consistency", 235, (0.681681, 0.662255, 0.531636)),
    ],
)
def test_unieval_correlations(data_dir, name, dimension, n, printed):
    rows = read(data_dir / "unieval" / f"{name}.jsonl")
    ours = metrics.correlations([row["unieval"][dimension] for row in rows], [row["human"][dimension] for row in rows])
    assert (ours.n, ours.dropped) == (n, 0)
    assert (ours.pearson, ours.spearman, ours.kendall) == pytest.approx(printed, abs=1e-6)


# -------------------------------------------------------------------------------------------------- agreement


def relevance(path: Path) -> dict[tuple[str, str], int]:
    """{(query, passage): label} of a file in TREC's four-column format."""
    rows = (line.split() for line in path.read_text().splitlines())
    return {(query, passage): int(label) for query, _, passage, label in rows}


def test_trec_alpha_with_labels_clipped_to_the_domain(data_dir):
    folder = data_dir / "llmjudge_trec"
    gold = relevance(folder / "gold_qrels.txt")
    run = relevance(folder / "submissions" / "h2oloo-fewself.txt")
    judge = np.clip([run[pair] for pair in gold], 0, 3)
    assert len(gold) == 4423
    alpha = metrics.krippendorff_alpha([list(gold.values()), judge], "ordinal", value_domain=[0, 1, 2, 3])
    assert round(alpha, 6) == 0.495764


def test_trec_label_outside_the_domain_is_an_error_that_names_it(data_dir):
    folder = data_dir / "llmjudge_trec"
    gold = relevance(folder / "gold_qrels.txt")
    run = relevance(folder / "submissions" / "h2oloo-zeroshot2.txt")  # holds one label 10
    with pytest.raises(ValueError, match=r"10\.0"):
        metrics.krippendorff_alpha([list(gold.values()), [run[p] for p in gold]], value_domain=[0, 1, 2, 3])


@pytest.mark.parametrize(
    ("name", "property_", "level", "printed"),
    [
        ("newsroom", "Informativeness", "ordinal", 0.284873),
        ("newsroom", "Relevance", "ordinal", 0.115121),
        ("newsroom", "Fluency", "ordinal", -0.015808),
        ("newsroom", "Coherence", "ordinal", 0.064972),
        ("inferential-strategies", "Sound Reasoning", "nominal", 1.0),
    ],
)
def test_human_agreement_alpha(data_dir, name, property_, level, printed):
    entry = read(data_dir / "human_agreement_alpha" / f"{name}.json")[property_]
    assert entry["level"] == level
    assert round(metrics.krippendorff_alpha(entry["ratings"], level), 6) == printed


def test_pandalm_annotators(data_dir):
    rows = read(data_dir / "pandalm" / "testset-v1.json")
    raters = np.array([[row[f"annotator{i}"] for row in rows] for i in (1, 2, 3)])
    kappas = [metrics.cohen_kappa(raters[i], raters[j]) for i, j in itertools.combinations(range(3), 2)]
    assert raters.shape == (3, 999)
    assert [round(k, 6) for k in kappas] == [0.852023, 0.878944, 0.861661]
    assert round(metrics.krippendorff_alpha(raters, "nominal"), 6) == 0.864221


def test_pandalm_majority_labels(data_dir):
    rows = read(data_dir / "pandalm" / "testset-v1.json")
    votes = [Counter(row[f"annotator{i}"] for i in (1, 2, 3)).most_common(1)[0] for row in rows]
    assert min(times for _, times in votes) == 2  # a majority exists everywhere
    majority = Counter(label for label, _ in votes)
    assert [majority[label] for label in (0, 1, 2)] == [105, 422, 472]


# ------------------------------------------------------------------------------------------- pairwise ranking

AUTOJ = {0: "A", 1: "B", 2: "tie"}
AUTOJ_SWAPPED = {0: "B", 1: "A", 2: "tie"}  # the second file was judged with the responses exchanged


@pytest.fixture(scope="module")
def autoj(data_dir):
    """(labels, decisions in file order, decisions with responses exchanged mapped back, scenarios)."""
    items = read(data_dir / "benchmarks" / "autoj_pairwise.json")
    outputs = data_dir / "autoj_outputs"
    first = [AUTOJ[row["output"]] for row in read(outputs / "pairwise_example_output.jsonl")]
    swapped = [AUTOJ_SWAPPED[row["output"]] for row in read(outputs / "pairwise_exchange_example_output.jsonl")]
    labels = [AUTOJ[item["label"]] for item in items]
    return tuple(np.array(v, dtype=object) for v in (labels, first, swapped, [i["scenario"] for i in items]))


def test_autoj_over_all_groups(autoj):
    labels, first, swapped, _ = autoj
    one_order = metrics.pairwise_accuracy(first, labels)
    assert (one_order.correct, one_order.n, percent(one_order.value)) == (835, 1392, 59.99)
    assert percent(metrics.both_orders_accuracy(first, swapped, labels).value) == 54.96
    assert percent(metrics.position_consistency(first, swapped).value) == 83.41


def test_autoj_by_group(autoj, data_dir):
    labels, first, swapped, scenarios = autoj
    groups = read(data_dir / "autoj_outputs" / "scenario_groups.json")
    group_of = {scenario: group for group, members in groups.items() for scenario in members}
    names = np.array([group_of[scenario] for scenario in scenarios], dtype=object)
    found = metrics.accuracy_by_group(first, labels, names)
    code = names == "Code"
    assert (found["Code"].n, percent(found["Code"].value)) == (120, 54.17)
    assert percent(metrics.both_orders_accuracy(first[code], swapped[code], labels[code]).value) == 47.50
    assert percent(metrics.position_consistency(first[code], swapped[code]).value) == 75.83
    assert sum(found[g].correct for g in groups) == found["total"].correct == 835


def test_autoj_tie_rules_move_the_number(autoj):
    """Not printed anywhere: the same real decisions under each tie rule, bounded by what must hold."""
    labels, first, _, _ = autoj
    by_rule = metrics.accuracy_by_tie_rule(first, labels)
    ties = (first == "tie").sum() + (labels == "tie").sum() - 2 * ((first == "tie") & (labels == "tie")).sum()
    assert by_rule["half"].correct == by_rule["wrong"].correct + ties / 2
    assert by_rule["dropped"].n == 520 + 499
    assert by_rule["wrong"].value < by_rule["half"].value < by_rule["dropped"].value


def test_llmbar_natural_statistics_of_all_settings(data_dir):
    """correct_*, equal and kappa_agreement; the published kappas against the label are without meaning."""
    published = read(data_dir / "llmbar" / "published_statistics_natural.json")
    rows = read(data_dir / "llmbar" / "judgments_natural.jsonl")
    assert len(rows) == len(published) == 65
    for row in rows:
        printed = published[f"LLMBar/Natural/evaluators/{row['evaluator']}"]
        assert llmbar_statistics(row) == readable(printed), row["evaluator"]


def readable(printed: dict) -> dict:
    """ "81 / 100 = 81.0%" -> 81; the kappa to nine digits."""
    counts = {k: int(printed[k].split()[0]) for k in ("correct_False", "correct_True", "correct_both", "equal")}
    average = round(float(printed["correct_average"].rstrip("%")), 1)
    return {**counts, "correct_average": average, "kappa_agreement": round(printed["kappa_agreement"], 9)}


def llmbar_statistics(row: dict) -> dict:
    """LLMBar's own conventions: two unreadable answers are "equal"; for kappa one is "not the first"."""
    sides = {"1": "A", "2": "B", None: None}
    first, swapped = ([sides[v] for v in row[key]] for key in ("swap_false", "swap_true"))
    labels = [sides[str(v)] for v in row["label"]]
    both_unread = sum(a is None and b is None for a, b in zip(first, swapped, strict=True))
    right = [metrics.pairwise_accuracy(d, labels).correct for d in (first, swapped)]
    kappa = metrics.cohen_kappa([d == "A" for d in first], [d == "A" for d in swapped])
    return {
        "correct_False": right[0],
        "correct_True": right[1],
        "correct_both": metrics.both_orders_accuracy(first, swapped, labels).correct,
        "equal": metrics.position_consistency(first, swapped).equal + both_unread,
        "correct_average": sum(right) / 2,
        "kappa_agreement": round(kappa, 9),
    }


@pytest.mark.parametrize(
    ("model", "correct", "printed"),
    [
        ("Skywork_Skywork-Reward-Gemma-2-27B", 225, 64.29),
        ("internlm_internlm2-20b-reward", 222, 63.43),
        ("Skywork_Skywork-Reward-Llama-3.1-8B", 218, 62.29),
        ("internlm_internlm2-7b-reward", 208, 59.43),
        ("Ray2333_GRM-Gemma-2B-rewardmodel-ft", 208, 59.43),
    ],
)
def test_judgebench_reward_models(data_dir, model, correct, printed):
    """Right only if both orders together favour the label (one order may be a tie)."""
    rows = read(data_dir / "judgebench" / f"gpt-4o-2024-05-13__reward_model__{model}.jsonl")
    sign = {"A>B": 1, "B>A": -1, "A=B": 0, None: 0}
    together = [sign[row["decision_1"]] - sign[row["decision_2_swapped_order"]] for row in rows]
    decisions = metrics.direct_to_pair(together, np.zeros(len(rows)))
    accuracy = metrics.pairwise_accuracy(decisions, ["A" if r["label"] == "A>B" else "B" for r in rows])
    assert (accuracy.correct, accuracy.n, percent(accuracy.value)) == (correct, 350, printed)


# --------------------------------------------------------------------------------------- MT-Bench human votes


def vote(row: dict) -> tuple[tuple, str]:
    """((question, model, model) in alphabetical order, decision "A" / "B" / "tie" for that order)."""
    models = sorted((row["model_a"], row["model_b"]))
    if "tie" in row["winner"]:  # "tie" and GPT-4's "tie (inconsistent)"
        return (row["question_id"], *models), "tie"
    return (row["question_id"], *models), "A" if row[row["winner"]] == models[0] else "B"


@pytest.fixture(scope="module")
def mtbench(data_dir):
    folder = data_dir / "mtbench_human"
    humans = [vote(row) for row in read(folder / "human_turn1.jsonl") if row["judge"].startswith("expert")]
    return dict(map(vote, read(folder / "gpt4_pair_turn1.jsonl"))), humans


def test_mtbench_gpt4_against_experts(mtbench):
    gpt4, experts = mtbench
    decisions, labels = [gpt4[pair] for pair, _ in experts], [label for _, label in experts]
    with_ties = metrics.pairwise_accuracy(decisions, labels)
    decided = [d != "tie" for d in decisions]
    without = metrics.pairwise_accuracy(
        np.array(decisions, object)[decided], np.array(labels, object)[decided], ties="dropped"
    )
    assert (with_ties.correct, with_ties.n) == (886, 1343)
    assert (without.correct, without.n) == (727, 859)


def test_mtbench_expert_against_expert(mtbench):
    by_pair: dict[tuple, list[str]] = {}
    for pair, decision in mtbench[1]:
        by_pair.setdefault(pair, []).append(decision)
    couples = [c for votes in by_pair.values() for c in itertools.combinations(votes, 2)]
    decided = [c for c in couples if "tie" not in c]
    with_ties, without = (metrics.pairwise_accuracy(*zip(*c, strict=True)) for c in (couples, decided))
    assert (with_ties.correct, with_ties.n) == (454, 721)
    assert (without.correct, without.n) == (388, 479)


# ------------------------------------------------------------------------------------------------- AlpacaEval


def test_alpaca_eval_leaderboard(data_dir):
    """All 52 published rows: win rate, standard error, discrete win rate and the counts behind them."""
    preferences = read(data_dir / "alpaca_eval" / "alpaca_eval_gpt4.json")
    published = read(data_dir / "alpaca_eval" / "published_alpaca_eval_gpt4.json")
    assert len(published) == 52
    for model, printed in published.items():
        ours = metrics.win_rate(preferences[model])
        shares = (100 * ours.value, 100 * ours.standard_error, 100 * ours.discrete)
        names = ("win_rate", "standard_error", "discrete_win_rate")
        assert shares == pytest.approx([printed[k] for k in names], abs=1e-9), model
        counts = (ours.wins, ours.losses, ours.draws, ours.n)
        assert counts == tuple(printed[k] for k in ("n_wins", "n_wins_base", "n_draws", "n_total")), model
