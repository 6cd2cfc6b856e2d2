"""Judges without a model, through the same collecting, store and tables as any other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from prometheus_lib import artifacts, judging, metrics, prompts
from prometheus_lib.data import baselines, benchmarks, minibench
from prometheus_lib.judging import Decoding, Policy, ReplayJudge, TrivialJudge, tasks_for
from prometheus_lib.judging.engines.trivial import TRIVIAL
from prometheus_lib.judging.store import JudgmentStore, load_judgments
from prometheus_lib.prompts import templates
from prometheus_lib.prompts.parsing import Parsed
from prometheus_lib.records import DataError, DirectItem, PairItem, Rubric, write_jsonl

ANY = Decoding()
RUBRIC = Rubric("Is it right?", ("one", "two", "three", "four", "five"))


def pair(name: str, a: str, b: str, reference: str | None = None) -> PairItem:
    return PairItem(name, "Name a colour.", a, b, reference, "Is it good?", "A")


@pytest.fixture(scope="module")
def direct():
    return minibench.build("mini_flask", 1, 0.3)


@pytest.fixture(scope="module")
def pairs():
    return minibench.build("mini_autoj_eval", 1, 0.3)


def collected(judge, tasks, folder) -> pd.DataFrame:
    """What a judge leaves in its file: every task once, and nothing to do the second time."""
    store = JudgmentStore(folder / f"{judge.name}.jsonl")
    assert judging.collect(judge, tasks, store, ANY) == sum(task.draws for task in tasks)
    assert judging.collect(judge, tasks, store, ANY) == 0
    return load_judgments(folder, [judge.name]).set_index(["item_id", "order", "draw"])


# --- trivial judges --------------------------------------------------------------------------------------------------


def test_trivial_judges_say_what_the_baselines_say(direct, pairs, tmp_path):
    for kind, (score, choice) in TRIVIAL.items():
        tasks = judging.pairwise_tasks("mini_autoj_eval", pairs)
        if score:
            tasks += judging.direct_tasks("mini_flask", direct, True, 3)
        found = collected(TrivialJudge(kind), tasks, tmp_path)
        decided = [found.loc[(item.id, "ab", 0), "decision"] for item in pairs]
        assert decided == baselines.PAIR_BASELINES[choice](pairs)
        if score:
            decided = [found.loc[(item.id, "ab", 0), "decision"] for item in direct]
            assert decided == baselines.DIRECT_BASELINES[score](direct)
            assert set(found["status"]) == {"ok"}


def test_the_tables_read_a_trivial_judge_like_any_other(direct, pairs, tmp_path):
    from prometheus_lib.scale import load_scale
    from prometheus_lib.tables import Run

    collected(TrivialJudge("random"), judging.direct_tasks("mini_flask", direct, True, 3), tmp_path)
    collected(TrivialJudge("longer"), judging.pairwise_tasks("mini_autoj_eval", pairs), tmp_path)
    run = Run(load_scale("smoke"), load_judgments(tmp_path), {"flask": direct, "autoj_eval": pairs})
    assert list(run.choices("longer", "autoj_eval")) == baselines.longer_wins(pairs)
    scores = run.scores("random", "flask")
    assert scores.shape == (len(direct), 3) and list(scores[:, 0]) == baselines.random_score(direct)


def test_position_and_draws(pairs, tmp_path):
    """Constant follows the position, longer does not care for it, random is drawn anew for each order and draw."""
    items = [pair(f"p{n}", f"{n}" + "a" * (n % 7), f"{n}" + "b" * (n % 5)) for n in range(200)]
    both = [task for order in ("ab", "ba") for task in judging.pairwise_tasks("b", items, order)]
    same = {}
    for kind in ("constant", "longer", "random"):
        table = collected(TrivialJudge(kind), both, tmp_path)["decision"].droplevel("draw").unstack("order")
        same[kind] = (table["ab"] == table["ba"]).mean()
    assert same["constant"] == 0 and same["longer"] == 1 and 0.35 < same["random"] < 0.65
    item = DirectItem("x", "i", "r", None, RUBRIC)
    tasks = judging.direct_tasks("b", [replace(item, id=f"x{n}", response=str(n)) for n in range(200)], False, 3)
    draws = collected(TrivialJudge("random", "drawn"), tasks, tmp_path)["decision"].droplevel("order").unstack("draw")
    assert set(draws.to_numpy().ravel()) == {1, 2, 3, 4, 5}
    assert 0.1 < (draws[0] == draws[1]).mean() < 0.3 and 0.1 < (draws[1] == draws[2]).mean() < 0.3


def test_ties_and_missing_references_are_kept_apart(tmp_path):
    items = [pair("tie", "aa", "bb"), pair("none", "aa", "b"), pair("near", "red", "blue", "red")]
    longer = collected(TrivialJudge("longer"), judging.pairwise_tasks("b", items), tmp_path)
    assert longer.loc[("tie", "ab", 0), "decision"] == "tie" and longer.loc[("none", "ab", 0), "decision"] == "A"
    closer = collected(TrivialJudge("closer"), judging.pairwise_tasks("b", items), tmp_path)
    assert closer.loc[("near", "ab", 0), "decision"] == "A"
    assert closer.loc[("none", "ab", 0), "status"] == "unparsed"


def test_trivial_judges_refuse_what_they_cannot_answer(direct, pairs):
    with pytest.raises(DataError, match="unknown trivial judge 'wise'; choose one of constant"):
        TrivialJudge("wise")
    with pytest.raises(DataError, match="'longer' gives no score from 1 to 5"):
        TrivialJudge("longer").check(judging.direct_tasks("b", direct, True, 3), ANY)
    task = replace(judging.pairwise_tasks("b", pairs)[0], item=None)
    with pytest.raises(DataError, match="does not carry its item"):
        TrivialJudge("longer").generate([task], ANY, 0)
    assert TrivialJudge("random").fingerprint != TrivialJudge("random", seed=1).fingerprint


# --- recorded answers ------------------------------------------------------------------------------------------------


def test_recorded_judgments_come_back_as_they_were(direct, pairs, tmp_path):
    """Both orders, several draws, decisions, failures: all fields but judge, fingerprint and key."""
    tasks = [
        *judging.direct_tasks("mini_flask", direct, True, 3),
        *[task for order in ("ab", "ba") for task in judging.pairwise_tasks("mini_autoj_eval", pairs, order)],
    ]
    source = tmp_path / "source"
    texts = [
        {"item_id": task.item_id, "format": task.format, "order": task.order, "draw": draw, "text": text}
        for place, task in enumerate(tasks)
        for draw in range(task.draws)
        for text in [["Good. [RESULT] " + ("A" if task.format == "pairwise" else "4"), "I do not know."][place % 2]]
    ]
    first = collected(ReplayJudge("one", texts), tasks, source)
    assert set(first["status"]) == {"ok", "unparsed"}
    second = collected(ReplayJudge.from_file("two", source / "one.jsonl"), tasks, tmp_path)
    kept = [column for column in first.columns if column not in ("judge", "fingerprint", "key")]
    pd.testing.assert_frame_equal(first[kept].sort_index(), second[kept].sort_index())


def test_texts_are_read_as_shown_and_decisions_in_the_items_own_terms(tmp_path):
    tasks = judging.pairwise_tasks("b", [pair("x", "a", "b"), pair("y", "c", "d")], "ba")
    rows = [
        {"item_id": "x", "format": "pairwise", "order": "ba", "text": "First is better. [RESULT] A"},
        {"item_id": "y", "format": "pairwise", "order": "ba", "decision": "A"},
    ]
    found = collected(ReplayJudge("r", rows), tasks, tmp_path)
    assert found.loc[("x", "ba", 0), "decision"] == "B" and found.loc[("y", "ba", 0), "decision"] == "A"


def test_a_truncated_answer_stays_truncated_and_repairs_are_left_out(tmp_path):
    tasks = judging.direct_tasks("b", [DirectItem("x", "i", "r", None, RUBRIC)], False, 1)
    common = {"item_id": "x", "format": "direct"}
    rows = [
        {**common, "decision": None, "feedback": "It is", "status": "truncated"},
        {**common, "decision": 4, "feedback": "It is", "policy": "redraw-5"},
    ]
    assert list(collected(ReplayJudge("r", rows), tasks, tmp_path)["status"]) == ["truncated"]


def test_settings_that_a_row_names_are_respected(tmp_path):
    """An answer for another benchmark, or with another setting of the reference answer, is no answer."""
    item = DirectItem("x", "i", "r", "ref", RUBRIC)
    rows = [
        {"item_id": "x", "format": "direct", "with_reference": True, "decision": 5},
        {"item_id": "x", "format": "direct", "with_reference": False, "decision": 2},
        {"item_id": "z", "format": "direct", "benchmark": "other", "decision": 2},
    ]
    judge = ReplayJudge("r", rows)
    for reference, decision in ((True, 5), (False, 2)):
        found = collected(judge, judging.direct_tasks("b", [item], reference, 1), tmp_path / str(reference))
        assert list(found["decision"]) == [decision]
    with pytest.raises(DataError, match=r"no answer for 1 of 1 judgments: b/z \(direct, ab, draw 0\)"):
        judge.check(judging.direct_tasks("b", [replace(item, id="z")], False, 1), ANY)


def test_missing_answers_are_all_named_before_anything_is_stored(pairs, tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", [{"item_id": pairs[0].id, "format": "pairwise", "decision": "A"}])
    store = JudgmentStore(tmp_path / "r.jsonl")
    judge = ReplayJudge.from_file("r", path)
    missing = len(pairs) - 1
    with pytest.raises(DataError, match=rf"rows\.jsonl: no answer for {missing} of {len(pairs)} .*{missing - 5} more"):
        judging.collect(judge, judging.pairwise_tasks("b", pairs), store, ANY)
    assert not store.keys


@pytest.mark.parametrize(
    "row, message",
    [
        ({"format": "direct", "decision": 4}, "line 2: item_id missing"),
        ({"item_id": "x", "format": "direct"}, "line 2: decision or text missing"),
        ({"item_id": "x", "format": "direct", "decision": 7}, "line 2: decision 7 is none of .*highest="),
        ({"item_id": "x", "format": "direct", "decision": True}, "line 2: decision True is none of "),
        ({"item_id": "x", "format": "pairwise", "decision": "C"}, "line 2: decision 'C' is none of A, B, tie"),
        (
            {"item_id": "x", "format": "pointwise", "decision": 4},
            "line 2: unknown format 'pointwise'",
        ),
        ({"item_id": "w", "format": "direct", "decision": 3}, "line 2: another answer for 'w'"),
    ],
)
def test_rows_that_say_nothing_clear_are_refused(row, message, tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", [{"item_id": "w", "format": "direct", "decision": 4}, row])
    with pytest.raises(DataError, match=rf"rows\.jsonl, {message}"):
        ReplayJudge.from_file("r", path)


def test_decisions_and_ids_are_read_as_files_spell_them(tmp_path):
    spelled = (4, 4.0, "4", " 4 ", float("nan"), None, "")
    rows = [{"item_id": n, "format": "direct", "decision": decision} for n, decision in enumerate(spelled)]
    rows += [
        {"item_id": n, "format": "pairwise", "decision": decision} for n, decision in enumerate(("model_a", "B", "Tie"))
    ]
    judge = ReplayJudge("r", rows)
    items = [DirectItem(str(n), "i", "r", None, RUBRIC) for n in range(len(spelled))]
    pairs = [PairItem(str(n), "i", "a", "b", None, "c") for n in range(3)]
    tasks = [*judging.direct_tasks("b", items, False, 1), *judging.pairwise_tasks("b", pairs)]
    judging.collect(judge, tasks, JudgmentStore(tmp_path / "r.jsonl"), ANY)
    table = load_judgments(tmp_path).sort_values(["format", "item_id"])
    found = [None if decision is None or decision != decision else decision for decision in table["decision"]]
    assert found == [4, 4, 4, 4, None, None, None, "A", "B", "tie"]


def test_judges_that_answer_alike_every_time_are_not_asked_again(tmp_path):
    tasks = judging.direct_tasks("b", [DirectItem("x", "i", "r", None, RUBRIC)], False, 2)
    rows = [{"item_id": "x", "format": "direct", "draw": draw, "text": "no verdict"} for draw in range(2)]
    store = JudgmentStore(tmp_path / "r.jsonl")
    for judge in (ReplayJudge("r", rows), TrivialJudge("constant")):
        with pytest.raises(DataError, match="answers the same question in the same way; choose the policy once"):
            judging.collect(judge, tasks, store, ANY, policy=Policy("redraw", 2))
    assert not store.keys


def test_recorded_answers_are_known_by_what_is_read_from_them(tmp_path):
    """Not by where the parsers stand; what was stored under the name of a module stays valid."""
    item = DirectItem("x", "i", "r", None, RUBRIC)
    tasks = judging.direct_tasks("b", [item], False, 1)
    rows = [{"item_id": "x", "format": "direct", "text": "Good. [RESULT] 4"}]

    def elsewhere(text):
        return prompts.parse_direct(text)

    def deaf(text):
        return prompts.Parsed(None, text, "unparsed")

    judge = ReplayJudge("r", rows)
    same, other = (ReplayJudge("r", rows, parsers={"direct": parse}) for parse in (elsewhere, deaf))
    assert judge.fingerprint == same.fingerprint != other.fingerprint
    # As version 1 wrote it, when the parsers stood in prometheus_lib.parsing.
    names = {"direct": "prometheus_lib.parsing.parse_direct", "pairwise": "prometheus_lib.parsing.parse_pairwise"}
    old = artifacts.text_hash("replay", sorted(map(repr, judge.answers.items())), names)
    assert old in judge.former
    kept = ReplayJudge("r", rows)
    kept.fingerprint = old
    path = tmp_path / "r.jsonl"
    assert judging.collect(kept, tasks, JudgmentStore(path), ANY) == 1
    assert judging.collect(judge, tasks, JudgmentStore(path), ANY) == 0
    assert judging.collect(ReplayJudge("r", rows), tasks, JudgmentStore(tmp_path / "new" / "r.jsonl"), ANY) == 1
    file = write_jsonl(tmp_path / "rows.jsonl", rows)
    job = judging.JudgingJob("r", str(file), tuple(tasks), str(path), ANY, "replay")
    assert judging.run_judge(job) == 0 and set(load_judgments(path)["fingerprint"]) == {old}


def test_judges_without_a_model_are_had_by_name(tmp_path):
    items = [DirectItem("x", "i", "r", None, RUBRIC)]
    file = write_jsonl(tmp_path / "rows.jsonl", [{"item_id": "x", "format": "direct", "decision": 4}])
    for engine, source, decision in (("trivial", "constant", 3), ("replay", str(file), 4)):
        out = tmp_path / "judgments" / f"{engine}.jsonl"
        tasks = tuple(judging.direct_tasks("b", items, False, 1))
        job = judging.JudgingJob(engine, source, tasks, str(out), ANY, engine)
        assert (judging.run_judge(job), judging.run_judge(job)) == (1, 0)
        assert list(load_judgments(out)["decision"]) == [decision]


# --- real recordings -------------------------------------------------------------------------------------------------


def test_auto_js_recorded_decisions_give_its_published_figures(data_dir, tmp_path):
    """Auto-J 13B on its own 1,392 pairs: 59.99 % in one order, 54.96 % in both, the orders agree in 83.41 %."""
    items = benchmarks.load_benchmark("autoj_eval", data_dir)
    recorded = benchmarks.load_autoj_replay(data_dir)
    rows = [
        {"item_id": item.id, "format": "pairwise", "order": order, "decision": decision}
        for order, decisions in zip(("ab", "ba"), recorded, strict=True)
        for item, decision in zip(items, decisions, strict=True)
    ]
    tasks = [task for order in ("ab", "ba") for task in judging.pairwise_tasks("autoj_eval", items, order)]
    judge = ReplayJudge.from_file("auto-j", write_jsonl(tmp_path / "rows.jsonl", rows))
    judging.collect(judge, tasks, JudgmentStore(tmp_path / "judgments" / "auto-j.jsonl"), ANY)
    found = load_judgments(tmp_path / "judgments").set_index("key")["decision"].to_dict()
    # By key, because one triple stands three times in the file under three ids.
    decided = [found[judging.task_keys(task, judge.fingerprint, ANY)[0]] for task in tasks]
    first, swapped = decided[: len(items)], decided[len(items) :]
    labels = [item.label for item in items]
    alone, both = metrics.pairwise_accuracy(first, labels), metrics.both_orders_accuracy(first, swapped, labels)
    assert alone.correct == 835 and round(100 * alone.value, 2) == 59.99
    assert round(100 * both.value, 2) == 54.96
    assert round(100 * sum(a == b for a, b in zip(first, swapped, strict=True)) / len(items), 2) == 83.41


def two_scores(text: str) -> Parsed:
    """Read a review whose first line is one score per response."""
    found = re.match(r"(\d+(?:\.\d+)?)[ ,]+(\d+(?:\.\d+)?)\s*\n", text)
    first, second = map(float, found.groups()) if found else (0, 0)
    if found is None:
        return Parsed(None, text, "unparsed")
    return Parsed("tie" if first == second else "A" if first > second else "B", text[found.end() :], "ok")


def test_recorded_reviews_are_read_by_their_own_parser(data_dir, tmp_path):
    """GPT-4's reviews of Bard and Vicuna, 77 of which open with two scores, as judgments of 80 pairs."""
    file = data_dir / "vicuna_gpt4_reviews" / "gpt4__bard__vicuna-7b.jsonl"
    reviews = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    rows = [{"item_id": str(r["question_id"]), "format": "pairwise", "text": r["text"]} for r in reviews]
    tasks = tasks_for(templates.PROMETHEUS, "vicuna", [pair(r["item_id"], r["item_id"], "b") for r in rows], "pairwise")
    judge = ReplayJudge("gpt-4", rows, parsers={"pairwise": two_scores})
    found = collected(judge, tasks, tmp_path)
    assert found["status"].value_counts().to_dict() == {"ok": 77, "unparsed": 3}
    assert found["decision"].value_counts().to_dict() == {"A": 36, "B": 27, "tie": 14}


def test_scores_beyond_five_are_replayed_only_where_the_scale_says_so(tmp_path):
    """Auto-J rates from 1 to 10; among scores from 1 to 5 a 7 would be averaged in silence."""
    path = write_jsonl(tmp_path / "rows.jsonl", [{"item_id": "w", "format": "direct", "decision": 7}])
    assert next(iter(ReplayJudge.from_file("auto-j", path, highest=10).answers.values())).decision == 7
    with pytest.raises(DataError, match=r"rows\.jsonl, line 1: decision 7 is none of 1, 2, 3, 4, 5.*highest=\.$"):
        ReplayJudge.from_file("auto-j", path)


def test_these_judges_need_no_engine():
    code = "import sys, prometheus_lib.judging; print({'torch', 'openai', 'vllm', 'transformers'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


# --- a judge of one's own, and what it is asked ----------------------------------------------------------------------


class Own(judging.Judge):
    """Answers each task with the completions it is made with."""

    name, fingerprint = "own", "own, version 1"

    def __init__(self, *completions):
        self.completions = completions

    def generate(self, tasks, decoding, seed):
        return [list(self.completions) for _ in tasks]


def asked(count: int = 2, draws: int = 1):
    items = [DirectItem(str(number), "i", f"r{number}", None, RUBRIC) for number in range(count)]
    return judging.direct_tasks("b", items, False, draws)


@pytest.mark.parametrize("given", [4, 4.0, np.int64(4), np.float32(4)])
def test_a_decision_is_stored_as_a_whole_number_whatever_number_a_judge_gives(tmp_path, given):
    found = collected(Own(judging.Completion("", 0, True, given)), asked(), tmp_path)
    assert [type(each) for each in found["decision"]] == [int, int] and set(found["decision"]) == {4}


def test_what_a_judge_may_not_answer_is_named(tmp_path):
    store = JudgmentStore(tmp_path / "own.jsonl")
    for given in (4.5, "C", True, [4]):
        with pytest.raises(DataError, match="judge 'own': its decision is .*; give a whole score"):
            judging.collect(Own(judging.Completion("", 0, True, given)), asked(), store, ANY)
    good = judging.Completion("[RESULT] 4", 3, True)
    with pytest.raises(DataError, match=r"'own': generate returned \[2, 2\] answers for tasks that ask for \[1, 1\]"):
        judging.collect(Own(good, good), asked(), store, ANY)
    assert not store.keys


def test_draws_that_can_only_repeat_the_first_are_warned_about(tmp_path):
    good, greedy = judging.Completion("[RESULT] 4", 3, True), Decoding(temperature=0.0)
    with pytest.warns(UserWarning, match="2 tasks are drawn 3 times at temperature 0, where every draw is the first"):
        judging.collect(Own(good, good, good), asked(draws=3), JudgmentStore(tmp_path / "a.jsonl"), greedy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judging.collect(Own(good), asked(), JudgmentStore(tmp_path / "b.jsonl"), greedy)
        judging.collect(Own(good, good), asked(draws=2), JudgmentStore(tmp_path / "c.jsonl"), ANY)


@pytest.mark.parametrize(
    "setting",
    [{"temperature": -1}, {"temperature": float("nan")}, {"temperature": "0"}, {"top_p": 1.5}, {"max_new_tokens": -1},
     {"repetition_penalty": 0.0}],
)  # fmt: skip
def test_settings_that_no_sampling_can_have_are_refused(setting):
    with pytest.raises(DataError, match=f"decoding: {next(iter(setting))} is .*; give a number"):
        Decoding(**setting)


def test_a_policy_may_be_told_by_its_name(tmp_path):
    store = JudgmentStore(tmp_path / "own.jsonl")
    judging.collect(Own(judging.Completion("Nothing.", 3, True)), asked(), store, ANY, policy="redraw")
    assert set(load_judgments(tmp_path, policy="redraw")["attempts"]) == {6}
    with pytest.raises(DataError, match="unknown policy 'again'"):
        judging.collect(Own(), asked(), store, ANY, policy="again")
