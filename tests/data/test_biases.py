"""The bias study: rubrics with known truth, and judges whose biases are known by construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prometheus_lib import judging
from prometheus_lib.data import baselines, biases, minibench, miniworld
from prometheus_lib.data.biases import facts, other_rubric, rubric_couples
from prometheus_lib.data.catalogue import DIRECT_BENCHMARKS, PAIR_BENCHMARKS
from prometheus_lib.judging import Completion, Decoding, Judge, studies
from prometheus_lib.judging.store import JudgmentStore, load_judgments
from prometheus_lib.records import DataError, DirectItem, Rubric
from prometheus_lib.scale import load_scale
from prometheus_lib.tables import biases as table_biases
from prometheus_lib.tables.biases import AGREE, CHANGE, FIRST, LENGTH, LONGER, SLOPE
from prometheus_lib.tables.run import Run

RULES = {  # how each judge decides a pair as shown (True: the first), and scores a response
    "true": (lambda first, second, truth: truth[0] > truth[1], lambda item, own: item.meta["true_score"]),
    "place": (lambda first, second, truth: True, lambda item, own: 3),
    "length": (lambda first, second, truth: len(first) > len(second), lambda item, own: 1 + len(item.response) % 5),
    "deaf": (lambda first, second, truth: truth[0] > truth[1], lambda item, own: own),
}


class Rule(Judge):
    """A judge that follows one of the rules; `own` is a response's true score under its own benchmark's rubric."""

    batch_size = 64

    def __init__(self, name: str, own: dict[str, int]):
        self.name, self.fingerprint, self.own = name, f"rule-{name}", own
        self.chooses, self.scores = RULES[name]

    def generate(self, tasks, decoding, seed):
        return [[Completion("", 0, True, self.decide(task)) for _ in range(task.draws)] for task in tasks]

    def decide(self, task):
        item = task.item
        if task.format == "direct":
            return self.scores(item, self.own[item.id.removeprefix(f"{biases.RUBRICS}/")])
        shown = [(item.response_a, item.meta["true_a"]), (item.response_b, item.meta["true_b"])]
        (first, one), (second, two) = shown if task.order == "ab" else shown[::-1]
        return "A" if self.chooses(first, second, (one, two)) else "B"


def bias_tasks(scale, items):
    pairs, responses = (items[name] for name in (biases.POSITION_SOURCE, biases.RUBRIC_SOURCE))
    return [
        *studies.position_tasks(f"mini_{biases.POSITION_SOURCE}", pairs),
        *studies.rubric_tasks(responses, scale.benchmark_share, scale.draws),
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    scale = replace(load_scale("mini", tmp_path_factory.mktemp("outputs")), main_judges=tuple(RULES), resamples=200)
    items = {name: minibench.build(f"mini_{name}", 42) for name in (*DIRECT_BENCHMARKS, *PAIR_BENCHMARKS)}
    pairs = sorted(items["hhh_alignment"], key=lambda pair: minibench.true_decision(pair) == "tie")
    items["hhh_alignment"] = [*pairs[:60], *pairs[-4:]]  # "true" calls equal ones for the second shown: few of them
    tasks = bias_tasks(scale, items)
    for name in DIRECT_BENCHMARKS:
        tasks += judging.direct_tasks(f"mini_{name}", items[name], True, scale.draws)
    for name in PAIR_BENCHMARKS:
        tasks += judging.pairwise_tasks(f"mini_{name}", items[name])
    own = {item.id: item.meta["true_score"] for name in DIRECT_BENCHMARKS for item in items[name]}
    for name in RULES:
        judging.collect(Rule(name, own), tasks, JudgmentStore(scale.paths.judgments / f"{name}.jsonl"), Decoding())
    return Run(scale, load_judgments(scale.paths.judgments), items)


# Rubrics whose truth is known --------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b.name for b in minibench.MINIATURES.values() if b.format == "direct"])
def test_facts_read_from_texts_give_the_true_scores(name):
    for item in minibench.build(name, 7, 0.5):
        asked, stated = facts(item.reference_answer), facts(item.response)
        assert len(asked) == len(stated) == 6
        right = [stated[attribute] == asked[attribute] for attribute in miniworld.details_of(item.rubric)]
        assert 1 + sum(right) == item.meta["true_score"]


def test_another_rubric_asks_about_what_the_own_one_leaves_out():
    changes = []
    for item in minibench.build("mini_flask", 42):
        other = other_rubric(item)
        own, new = (set(miniworld.details_of(each.rubric)) for each in (item, other))
        assert len(new) == 4 and set(facts(item.response)) - own < new
        assert (other.instruction, other.response, other.rubric.descriptions) == (
            item.instruction, item.response, item.rubric.descriptions,
        )  # fmt: skip
        assert other.id != item.id and other.scores == {}
        asked, stated = facts(other.reference_answer), facts(other.response)
        assert other.meta["true_score"] == 1 + sum(stated[name] == asked[name] for name in new)
        changes.append(other.meta["true_score"] - item.meta["true_score"])
    assert sum(change > 0 for change in changes) > 10 < sum(change < 0 for change in changes)


def test_a_text_of_another_world_is_refused():
    with pytest.raises(DataError, match="not a response of the miniature world"):
        facts("Dear customer, thank you.")


def test_real_items_are_coupled_by_their_response(tmp_path):
    """As in FLASK: one response rated under several skills; what stands under one rubric only has no partner."""
    kind, clear = (Rubric(name, ("1", "2", "3", "4", "5")) for name in ("Kind?", "Clear?"))
    items = [
        DirectItem("a", "Say hello.", "Hi!", None, kind, {"human": [4, 5]}),
        DirectItem("b", "Say hello.", "Hi!", None, clear, {"human": [2]}),
        DirectItem("c", "Say hello.", "Hello!", None, kind, {"human": [1]}),
        DirectItem("d", "Say bye.", "Hi!", None, clear, {"human": [1]}),
    ]
    ((own, other),) = rubric_couples(items)
    assert (own.id, other.id) == ("a", "b")
    assert table_biases.true_score(own) - table_biases.true_score(other) == 2.5
    assert rubric_couples(items[2:]) == rubric_couples([]) == []


def test_what_is_asked_shrinks_with_the_scale(tmp_path):
    scale = load_scale("smoke", tmp_path)
    sources = (biases.POSITION_SOURCE, biases.RUBRIC_SOURCE)
    tasks = bias_tasks(scale, {name: minibench.build(f"mini_{name}", 42, scale.benchmark_share) for name in sources})
    assert {(task.benchmark, task.order) for task in tasks} == {("mini_hhh_alignment", "ba"), ("rubrics", "ab")}
    assert sum(task.draws for task in tasks if task.benchmark == "rubrics") == 4 * scale.draws


# Judges whose biases are known -------------------------------------------------------------------------


def test_position(run):
    place, true = (table_biases.position(run, judge) for judge in ("place", "true"))
    assert (place[AGREE].estimate, place[FIRST].estimate) == (0, 100)
    differ = np.mean([item.meta["true_a"] != item.meta["true_b"] for item in run.items["hhh_alignment"]])
    assert true[AGREE].estimate == pytest.approx(100 * differ)  # a pair without a better response gives B, then A
    assert true[FIRST].estimate == pytest.approx(50 * differ) and true[FIRST].n == 64


def test_unparsed_answers_do_not_agree_and_are_counted(run):
    broken = run.judgments.copy()
    swapped = (broken["judge"] == "true") & (broken["order"] == "ba")
    broken.loc[swapped, "decision"] = None
    found = table_biases.position(Run(run.scale, broken, run.items), "true")
    assert (found[AGREE].estimate, found[AGREE].unparsed) == (0, 64)
    assert found[FIRST].n == 64 and found[FIRST].unparsed == 64


def test_a_judge_that_was_not_asked_both_orders_has_no_position(run):
    asked = run.judgments[run.judgments["order"] == "ab"]
    assert table_biases.position(Run(run.scale, asked, run.items), "true") == {}


def test_length_in_pairs(run):
    longer = table_biases.length_in_pairs(run, "length")[LONGER]
    pairs = [item for name in PAIR_BENCHMARKS for item in run.items[name] if item.label != "tie"]
    wins = [(baselines.longer_wins([item])[0], item.label) for item in pairs]
    share = np.mean([long == label for long, label in wins if long != "tie"])
    assert longer.estimate == pytest.approx(100 * (1 - share))
    assert longer.n == sum(long != "tie" for long, _ in wins)
    low, high = np.quantile(table_biases.length_in_pairs(run, "true")[LONGER].draws, [0.025, 0.975])
    assert low <= 0 <= high


def test_length_in_scores_holds_the_rater_constant(run):
    """Scores that are the true ones do not go with length beyond the rater; the interval holds 0."""
    low, high = np.quantile(table_biases.length_in_scores(run, "true")[LENGTH].draws, [0.025, 0.975])
    assert low <= 0 <= high
    assert table_biases.length_in_scores(run, "true")[LENGTH].n == sum(len(run.items[n]) for n in DIRECT_BENCHMARKS)


def test_rubric_sensitivity(run):
    true, deaf = (table_biases.rubric_sensitivity(run, judge) for judge in ("true", "deaf"))
    assert (true[CHANGE].estimate, true[SLOPE].estimate) == (100, 1)
    assert (deaf[CHANGE].estimate, deaf[SLOPE].estimate) == (0, 0)
    assert true[SLOPE].n == deaf[SLOPE].n <= biases.RESPONSES


def test_the_table_tests_each_bias_and_shows_the_limits(run):
    cells = table_biases.table_biases(run).set_index(["row", "column"])
    assert cells.loc[("place", FIRST), "verdict"] == "higher"
    assert cells.loc[("true", FIRST), "verdict"] == "undecided"
    assert cells.loc[("length", LONGER), "verdict"] == "higher"
    assert cells.loc[("true", SLOPE), "verdict"] == "higher"
    assert cells.loc[("deaf", SLOPE), "verdict"] == "undecided"
    assert cells.loc[("unbiased", FIRST), "value"] == 50 and cells.loc[("longer wins", LENGTH), "value"] == 1
    assert cells.loc[("longer wins", LONGER), "value"] == pytest.approx(cells.loc[("length", LONGER), "value"])


def panel(figure, column):
    """A panel's place in the figure, and what its legend says of which value."""
    ax = figure.axes[list(table_biases.TESTED).index(column)]
    lines = {line.get_label(): line for line in ax.lines}
    return ax, {text.get_text(): lines[text.get_text()].get_xdata() for text in ax.get_legend().get_texts()}


def test_the_figure_names_units_ideals_trivial_judges_and_what_is_shown(run):
    cells = table_biases.table_biases(run)
    figure = table_biases.figure(cells)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(RULES)[::-1]
    labels = ["percent", "percentage points", "partial correlation", "score points per true point"]
    assert [ax.get_xlabel() for ax in figure.axes] == labels
    values = cells.set_index(["row", "column"])["value"]
    trivial = {FIRST: "always the first", LONGER: "longer wins", LENGTH: "longer wins", SLOPE: "reads no rubric"}
    for column, name in trivial.items():
        said = panel(figure, column)[1]
        assert said[f"trivial judge: {name}"][0] == values[name, column]
        ideal = "follows the rubric" if column == SLOPE else "unbiased"
        assert said[ideal][0] == values["unbiased", column]
    assert list(panel(figure, FIRST)[1]["differs from 50 (test)"]) == [values["place", FIRST]]
    unsure = cells.assign(verdict=cells["verdict"].replace("higher", "undecided"))
    assert not [text for text in panel(table_biases.figure(unsure), FIRST)[1] if "differs" in text]


def test_findings_are_sentences_for_what_a_test_shows(run):
    cells = table_biases.table_biases(run)
    said = table_biases.findings(cells)
    assert any(text.startswith("place prefers the response shown first: first shown wins 100.0 [") for text in said)
    assert any(text.startswith("length lets long responses win more often") for text in said)
    assert all("(Holm)" in text and "n = " in text for text in said)
    assert not any(text.startswith(("true ", "deaf ")) for text in said)
    reads = table_biases.findings(cells, [SLOPE])
    assert any(text.startswith("true moves its score with the rubric: points per true point 1.00") for text in reads)
    assert not any(text.startswith("deaf ") for text in reads)
    swapped = cells.assign(verdict=cells["verdict"].replace("higher", "lower"))
    assert any("place prefers the response shown second" in text for text in table_biases.findings(swapped))
    assert {column for column, _ in table_biases.MEANINGS} == set(table_biases.TESTED)


def test_a_run_without_these_judgments_gives_no_cells(run):
    assert table_biases.table_biases(Run(run.scale, run.judgments.iloc[:0], run.items)).empty
