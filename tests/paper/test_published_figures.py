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
from sklearn.metrics import precision_recall_fscore_support

from prometheus_lib import metrics
from prometheus_lib.records import DataError


def read(path: Path):
    """A JSON file, or the list of rows of a JSON Lines file (some carry the ending .json)."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl" or path.name == "autoj_pairwise.json":
        return [json.loads(line) for line in text.split("\n") if line]
    return json.loads(text)


def percent(share: float) -> float:
    return round(100 * share, 2)


# ----------------------------------------------------------------------------------------------- correlations


UNIEVAL = {  # the tables of UniEval's reproduction guide, dimension by dimension
    "topical_chat": {
        "naturalness": (0.443666, 0.513986, 0.373973),
        "coherence": (0.595143, 0.612942, 0.465915),
        "engagingness": (0.55651, 0.604739, 0.455941),
        "groundedness": (0.536209, 0.574954, 0.451533),
        "understandability": (0.380038, 0.467807, 0.360741),
        "overall": (0.632796, 0.662583, 0.487272),
    },
    "qags_cnndm": {"consistency": (0.681681, 0.662255, 0.531636)},
}


@pytest.mark.parametrize(
    ("name", "dimension", "printed"),
    [(name, dimension, printed) for name, rows in UNIEVAL.items() for dimension, printed in rows.items()],
)
def test_unieval_correlations(data_dir, name, dimension, printed):
    rows = read(data_dir / "unieval" / f"{name}.jsonl")
    assert set(rows[0]["human"]) == set(UNIEVAL[name])  # no dimension of the file is left out
    ours = metrics.correlations([row["unieval"][dimension] for row in rows], [row["human"][dimension] for row in rows])
    assert (ours.n, ours.dropped) == ({"topical_chat": 360, "qags_cnndm": 235}[name], 0)
    assert tuple(round(v, 6) for v in (ours.pearson, ours.spearman, ours.kendall)) == printed


# -------------------------------------------------------------------------------------------------- agreement


def relevance(path: Path) -> dict[tuple[str, str], int]:
    """{(query, passage): label} of a file in TREC's four-column format."""
    rows = (line.split() for line in path.read_text().splitlines())
    return {(query, passage): int(label) for query, _, passage, label in rows}


@pytest.fixture(scope="module")
def trec(data_dir):
    """{run: (2, pairs) labels of NIST's assessors and of the run}; labels are 0 to 3, one run holds a 10."""
    folder = data_dir / "llmjudge_trec"
    gold = relevance(folder / "gold_qrels.txt")
    runs = {path.stem: relevance(path) for path in (folder / "submissions").iterdir()}
    return {name: [list(gold.values()), [run[pair] for pair in gold]] for name, run in runs.items()}


TREC = {  # run: labels outside 0-3, Cohen's kappa and nominal alpha (recomputed by others), ordinal alpha
    "h2oloo-fewself": (0, 0.2774, 0.2689, 0.495764),
    "h2oloo-zeroshot1": (0, 0.2817, 0.2792, None),
    "h2oloo-zeroshot2": (1, 0.2589, 0.2408, None),
}


@pytest.mark.parametrize("run", TREC)
def test_trec_agreement_with_labels_clipped_to_the_domain(trec, run):
    outside, kappa, nominal, ordinal = TREC[run]
    labels = np.array(trec[run])
    assert labels.shape == (2, 4423) and set(trec) == set(TREC)
    assert (labels > 3).sum() == outside
    clip = {"labels": range(4), "outside": "clip"}
    assert round(metrics.cohen_kappa(labels[0], np.clip(labels[1], 0, 3)), 4) == kappa
    assert round(metrics.krippendorff_alpha(labels, "nominal", **clip), 4) == nominal
    assert ordinal is None or round(metrics.krippendorff_alpha(labels, **clip), 6) == ordinal


def test_trec_label_outside_the_domain_is_an_error_that_names_it(trec):
    with pytest.raises(DataError, match=r"ratings 10\.0 are not among the labels \[0\.0, 1\.0, 2\.0, 3\.0\]"):
        metrics.krippendorff_alpha(trec["h2oloo-zeroshot2"], labels=[0, 1, 2, 3])


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


def test_pandalm_majority_labels_and_judge(data_dir):
    """The label distribution, and PandaLM-7B's accuracy and macro averages against the majority."""
    rows = read(data_dir / "pandalm" / "testset-v1.json")
    votes = [Counter(row[f"annotator{i}"] for i in (1, 2, 3)).most_common(1)[0] for row in rows]
    assert min(times for _, times in votes) == 2  # a majority exists everywhere
    majority = [label for label, _ in votes]
    assert [majority.count(label) for label in (0, 1, 2)] == [105, 422, 472]
    judge = [row["pandalm_result"] for row in read(data_dir / "pandalm" / "pandalm-7b-testset-v1.json")]
    name = {0: "tie", 1: "A", 2: "B"}
    accuracy = metrics.pairwise_accuracy([name[v] for v in judge], [name[v] for v in majority])
    assert (accuracy.n, accuracy.unparsed, round(accuracy.value, 4)) == (999, 0, 0.6677)
    averages = precision_recall_fscore_support(majority, judge, average="macro")[:3]
    assert [round(value, 4) for value in averages] == [0.5738, 0.5750, 0.5743]


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


AUTOJ_GROUPS = {  # the leaderboard's tables: n, agreement and consistency over both orders, agreement of one order
    "Summarization": (72, 45.83, 73.61, 56.94),
    "Exam Questions": (72, 38.89, 69.44, 41.67),
    "Code": (120, 47.5, 75.83, 54.17),
    "Rewriting": (120, 49.17, 74.17, 57.5),
    "Creative Writing": (216, 59.72, 87.04, 63.43),
    "Functional Writing": (240, 61.67, 81.67, 68.33),
    "General Communication": (288, 55.21, 92.36, 57.29),
    "NLP Tasks": (264, 57.58, 86.36, 62.12),
}


def test_autoj_by_group(autoj, data_dir):
    labels, first, swapped, scenarios = autoj
    groups = read(data_dir / "autoj_outputs" / "scenario_groups.json")
    group_of = {scenario: group for group, members in groups.items() for scenario in members}
    names = np.array([group_of[scenario] for scenario in scenarios], dtype=object)
    found = {}
    for group in groups:
        part = names == group
        both = metrics.both_orders_accuracy(first[part], swapped[part], labels[part])
        consistency = metrics.position_consistency(first[part], swapped[part])
        one = metrics.pairwise_accuracy(first[part], labels[part])
        found[group] = (both.n, percent(both.value), percent(consistency.value), percent(one.value))
    assert found == AUTOJ_GROUPS
    assert metrics.pairwise_accuracy(first, labels).correct == 835


def test_autoj_decisions_may_be_given_as_the_judge_said_them(autoj):
    """The file of exchanged responses as it is, 0 the first shown: the metric maps it back."""
    labels, first, swapped, _ = autoj
    as_said = [{"A": "B", "B": "A", "tie": "tie"}[decision] for decision in swapped]
    assert percent(metrics.both_orders_accuracy(first, as_said, labels, mapped_back=False).value) == 54.96
    assert percent(metrics.position_consistency(first, as_said, mapped_back=False).value) == 83.41


def test_autoj_tie_rules_move_the_number(autoj):
    """Not printed anywhere: the same real decisions under each tie rule, bounded by what must hold."""
    labels, first, _, _ = autoj
    by_rule = metrics.accuracy_by_tie_rule(first, labels)
    ties = (first == "tie").sum() + (labels == "tie").sum() - 2 * ((first == "tie") & (labels == "tie")).sum()
    assert by_rule["half"].correct == by_rule["wrong"].correct + ties / 2
    assert by_rule["gold dropped"].n == 520 + 499
    assert by_rule["dropped"].n == ((first != "tie") & (labels != "tie")).sum()
    assert by_rule["dropped"].correct == by_rule["gold dropped"].correct
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


JUDGEBENCH = {  # right of 350; per cent of knowledge, reasoning, math, coding and of all, as in the paper's table
    "Skywork_Skywork-Reward-Gemma-2-27B": (225, 59.74, 66.33, 83.93, 50.00, 64.29),
    "internlm_internlm2-20b-reward": (222, 62.34, 69.39, 66.07, 50.00, 63.43),
    "Skywork_Skywork-Reward-Llama-3.1-8B": (218, 59.09, 64.29, 76.79, 50.00, 62.29),
    "internlm_internlm2-7b-reward": (208, 56.49, 61.22, 71.43, 50.00, 59.43),
    "Ray2333_GRM-Gemma-2B-rewardmodel-ft": (208, 62.99, 53.06, 64.29, 54.76, 59.43),
}
JUDGEBENCH_SIDES = {"A>B": "A", "B>A": "B", "A=B": "tie", None: None}
JUDGEBENCH_GROUPS = {"mmlu": "knowledge", "livebench-reasoning": "reasoning", "livebench-math": "math"}


@pytest.mark.parametrize("model", JUDGEBENCH)
def test_judgebench_reward_models(data_dir, model):
    """Right only if both orders together favour the label; the second decision is about the exchanged responses."""
    correct, *printed = JUDGEBENCH[model]
    rows = read(data_dir / "judgebench" / f"gpt-4o-2024-05-13__reward_model__{model}.jsonl")
    first, swapped, labels = (
        np.array([JUDGEBENCH_SIDES[row[key]] for row in rows], dtype=object)
        for key in ("decision_1", "decision_2_swapped_order", "label")
    )
    sources = ["mmlu" if row["source"].startswith("mmlu") else row["source"] for row in rows]
    groups = np.array([JUDGEBENCH_GROUPS.get(source, "coding") for source in sources])
    together = metrics.combine_orders(first, swapped, "together", mapped_back=False)
    whole = metrics.pairwise_accuracy(together, labels)
    assert (whole.correct, whole.n) == (correct, 350)
    parts = [groups == name for name in ("knowledge", "reasoning", "math", "coding")]
    found = [metrics.pairwise_accuracy(together[p], labels[p]) for p in parts]
    assert [percent(accuracy.value) for accuracy in (*found, whole)] == printed


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
    without = metrics.pairwise_accuracy(decisions, labels, ties="dropped")
    assert (with_ties.correct, with_ties.n) == (886, 1343)
    assert (without.correct, without.n) == (727, 859)


def test_mtbench_expert_against_expert(mtbench):
    by_pair: dict[tuple, list[str]] = {}
    for pair, decision in mtbench[1]:
        by_pair.setdefault(pair, []).append(decision)
    couples = [c for votes in by_pair.values() for c in itertools.combinations(votes, 2)]
    with_ties, without = (metrics.pairwise_accuracy(*zip(*couples, strict=True), ties) for ties in ("wrong", "dropped"))
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
