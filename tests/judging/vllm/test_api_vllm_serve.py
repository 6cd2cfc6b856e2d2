"""The API judge against `vllm serve` with the embedded base model: the decisions of transformers in this process."""

from __future__ import annotations

from dataclasses import replace

import pytest
from serving import served

from prometheus_lib import artifacts, judging
from prometheus_lib.data import minibench
from prometheus_lib.judging import Decoding
from prometheus_lib.judging.engines.api import APIJudge
from prometheus_lib.judging.engines.api_settings import SERVERS
from prometheus_lib.records import DataError

GREEDY = Decoding(temperature=0.0, top_p=1.0, max_new_tokens=64)
SAMPLED = Decoding(max_new_tokens=64)


@pytest.fixture(scope="module")
def url(base, tmp_path_factory):
    with served(base, "mini", tmp_path_factory.mktemp("serve"), "float32") as address:
        yield address


@pytest.fixture
def judge(url, base):
    settings = replace(SERVERS["vllm"], model="mini", base_url=url, revision=artifacts.model_fingerprint(base))
    return APIJudge("served", replace(settings, requests_at_once=16))


@pytest.fixture(scope="module")
def transformers(base):
    return judging.TransformersJudge("base", base)


@pytest.fixture(scope="module")
def tasks():
    direct = judging.direct_tasks("mini_flask", minibench.build("mini_flask", 1, 1.0)[:12], True, 1)
    return [*direct, *judging.pairwise_tasks("mini_autoj_eval", minibench.build("mini_autoj_eval", 1, 1.0)[:12])]


def by_format(judge, tasks, decoding):
    """Transformers answers one format at a time."""
    halves = ([task for task in tasks if task.format == format] for format in ("direct", "pairwise"))
    return [draws for half in halves for draws in judge.generate(half, decoding, 0)]


def test_greedy_answers_are_those_of_transformers(judge, transformers, tasks):
    """Texts, token counts and whether they ended by themselves, with the repetition penalty of Table 8."""
    answers = judge.generate(tasks, GREEDY, 0)
    assert answers == by_format(transformers, tasks, GREEDY)
    decisions = [judging.judgments(judge, t, ["k"], a)[0].decision for t, a in zip(tasks, answers, strict=True)]
    assert len(set(decisions[:12])) > 1 and len(set(decisions[12:])) > 1


def test_three_draws_are_one_request_and_can_be_repeated(judge, tasks):
    thrice = [replace(task, draws=3) for task in tasks[:6]]
    first, second, other = (judge.generate(thrice, SAMPLED, seed) for seed in (1, 1, 2))
    assert first == second != other
    assert judge.usage.requests == 18 and judge.takes_n
    assert any(len({completion.text for completion in draws}) > 1 for draws in first)
    assert sum(c.tokens for run in (first, second, other) for d in run for c in d) == judge.usage.completion_tokens


def test_a_draw_does_not_depend_on_how_it_is_asked_for(judge, tasks):
    """Three draws in one request are the same three when they are asked for one after the other."""
    thrice = [replace(task, draws=3) for task in tasks[:4]]
    singly = APIJudge("singly", replace(judge.settings, sends=tuple(s for s in judge.settings.sends if s != "n")))
    texts = [[[c.text for c in draws] for draws in one.generate(thrice, SAMPLED, 1)] for one in (judge, singly)]
    assert texts[0] == texts[1] and singly.usage.requests == 12


def test_a_feedback_is_finished_as_transformers_finishes_it(judge, transformers, tasks):
    texts = ["Feedback: cut sho", "Feedback: said. [RESULT] 7", ""] * 8
    own = [transformers.finish([task], [text], GREEDY, 0)[0].text for task, text in zip(tasks, texts, strict=True)]
    assert [c.text for c in judge.finish(tasks, texts, GREEDY, 0)] == own


def test_prompts_that_do_not_fit_are_named_and_the_others_answered(judge, tasks):
    long = replace(tasks[0], item_id="long", prompt="word " * 3000)
    found = []
    with pytest.raises(DataError, match=r"1 prompts do not fit .*: mini_flask/long;"):
        found.extend(judge.stream([tasks[0], long, tasks[1]], GREEDY, 0))
    assert sorted(place for ((place, _),) in found) == [0, 2]
