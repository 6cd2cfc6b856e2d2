"""The vLLM judge on a real engine: the answers of transformers, draws, lengths, finishing, going on after a stop."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prometheus_lib import judging
from prometheus_lib.data import minibench
from prometheus_lib.judging import Decoding, Policy
from prometheus_lib.judging.engines import writing
from prometheus_lib.judging.store import JudgmentStore, load_judgments
from prometheus_lib.prompts.parsing import PARSERS
from prometheus_lib.records import DataError

GREEDY = Decoding(temperature=0.0, top_p=1.0, max_new_tokens=64)
SAMPLED = Decoding(max_new_tokens=64)


@pytest.fixture(scope="module")
def tasks():
    """At least 64 tasks of each format."""
    direct = minibench.build("mini_feedback_bench", 1, 1.0)[:64]
    pairs = minibench.build("mini_preference_bench", 1, 1.0)[:64]
    tasks = [*judging.direct_tasks("mini_feedback_bench", direct, True, 1)]
    tasks += judging.pairwise_tasks("mini_preference_bench", pairs)
    assert len(tasks) == 128
    return tasks


@pytest.fixture(scope="module")
def thrice(tasks):
    return [replace(task, draws=3) for task in tasks[:24]]


@pytest.fixture(scope="module")
def vllm(base, engine):
    judge = judging.VLLMJudge("base", base, **engine)
    yield judge
    judge.close()


@pytest.fixture(scope="module")
def transformers(base):
    return judging.TransformersJudge("base", base)


def by_transformers(judge, tasks, decoding):
    """Answers in batches of one format, as `collect` would ask for them."""
    found = {}
    for batch in judging.batches(tasks, 64):
        found.update(zip(batch, judge.generate(batch, decoding, 0), strict=True))
    return [found[task] for task in tasks]


def test_greedy_answers_are_those_of_transformers(vllm, transformers, tasks):
    """Texts, token counts and whether they ended by themselves; one repetition penalty for all of the prompt."""
    answers = vllm.generate(tasks, GREEDY, 0)
    assert answers == by_transformers(transformers, tasks, GREEDY)
    decisions = [judging.judgments(vllm, t, ["k"], a)[0].decision for t, a in zip(tasks, answers, strict=True)]
    assert len(set(decisions[:64])) > 2 and {"A", "B"} <= set(decisions[64:])


def test_penalty_and_temperature_reach_the_engine(vllm, tasks):
    plain = vllm.generate(tasks[:8], GREEDY, 0)
    assert vllm.generate(tasks[:8], replace(GREEDY, repetition_penalty=2.0), 0) != plain
    assert vllm.generate(tasks[:8], replace(GREEDY, temperature=2.0), 0) != plain
    nucleus = replace(GREEDY, temperature=2.0, top_p=1e-6)  # only the likeliest token is left
    assert vllm.generate(tasks[:8], nucleus, 0) == plain


def test_draws_of_one_request_differ_and_do_not_depend_on_the_neighbours(vllm, thrice):
    together = vllm.generate(thrice, SAMPLED, 5)
    assert all(len(draws) == 3 for draws in together)
    assert sum(len({draw.text for draw in draws}) > 1 for draws in together) > len(thrice) / 4
    assert vllm.generate(thrice[::-1][:7], SAMPLED, 5) == together[::-1][:7]
    assert vllm.generate(thrice, SAMPLED, 6) != together


def test_a_prompt_asked_twice_is_drawn_anew(vllm, tasks):
    first, second = vllm.generate([tasks[0]] * 2, replace(SAMPLED, temperature=2.0), 5)
    assert first != second


def test_long_prompts_with_seeds_are_not_cut_into_chunks(vllm, tasks):
    """More prompt tokens than fit into one step: with chunks a CPU engine would fail at the first cut prompt."""
    long = [replace(t, item_id=f"{n}", prompt=f"{n} {t.prompt * 6}", draws=3) for n, t in enumerate(tasks[:12])]
    lengths = [len(row) for row in writing.prompt_ids(vllm.tokenizer, long)]
    assert sum(lengths) > vllm.llm.llm_engine.vllm_config.scheduler_config.max_num_batched_tokens
    assert len(vllm.generate(long, replace(SAMPLED, max_new_tokens=4), 0)) == 12


def test_truncated_is_told_from_unparsed(vllm, tasks):
    short = vllm.generate(tasks[:8], replace(GREEDY, max_new_tokens=3), 0)
    assert all(draw.tokens == 3 and not draw.finished for draws in short for draw in draws)
    rows = [judging.judgments(vllm, task, ["k"], draws)[0] for task, draws in zip(tasks, short)]
    assert {row.status for row in rows} == {"truncated"}


def test_prompts_that_do_not_fit_are_named(vllm, tasks):
    long = replace(tasks[1], item_id="the long one", prompt=tasks[1].prompt * 40)
    for ask in (vllm.check, lambda tasks, decoding: vllm.generate(tasks, decoding, 0)):
        with pytest.raises(DataError, match="1 prompts .*mini_feedback_bench/the long one"):
            ask([tasks[0], long], GREEDY)


def test_finishing_takes_the_decision_that_transformers_takes(vllm, transformers, tasks):
    texts = ["Feedback: some words"] * 32 + ["Feedback: some words [RESULT] 9 or so"] * 32
    for chosen in (tasks[:64], tasks[64:]):
        ours = vllm.finish(chosen, texts, GREEDY, 0)
        assert [c.text for c in ours] == [c.text for c in transformers.finish(chosen, texts, GREEDY, 0)]
        for task, answer in zip(chosen, ours, strict=True):
            parsed = PARSERS[task.format](answer.text)
            assert parsed.status == "ok" and parsed.feedback.endswith("some words")


def test_collecting_goes_on_after_a_stop_with_the_same_judgments(vllm, thrice, tmp_path):
    needed = sum(task.draws for task in thrice)
    whole = JudgmentStore(tmp_path / "whole" / "base.jsonl")
    assert judging.collect(vllm, thrice, whole, SAMPLED) == needed
    assert judging.collect(vllm, thrice, whole, SAMPLED) == 0

    stopped = JudgmentStore(tmp_path / "stopped" / "base.jsonl")
    arriving = vllm.stream(thrice, SAMPLED, SAMPLED.seed)
    for _, ((place, draws),) in zip(range(5), arriving):
        keys = judging.task_keys(thrice[place], vllm.fingerprint, SAMPLED)
        stopped.append(judging.judgments(vllm, thrice[place], keys, draws))
    arriving.close()
    assert not vllm.llm.llm_engine.has_unfinished_requests()
    assert judging.collect(vllm, thrice, stopped, SAMPLED) == needed - 15
    one, two = (
        load_judgments(tmp_path / name).sort_values(["item_id", "draw"]).reset_index(drop=True)
        for name in ("whole", "stopped")
    )
    assert one.equals(two)


def test_answers_without_a_decision_are_finished(vllm, thrice, tmp_path):
    short = replace(SAMPLED, max_new_tokens=3)
    store = JudgmentStore(tmp_path / "base.jsonl")
    assert judging.collect(vllm, thrice, store, short, policy=Policy("finish")) == 2 * 3 * len(thrice)
    assert (load_judgments(tmp_path)["status"] == "truncated").all()
    assert (load_judgments(tmp_path, policy="finish")["status"] == "ok").all()
