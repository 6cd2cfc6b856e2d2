"""Judging through an OpenAI-compatible API, against a local server: what is sent, what goes wrong, what is kept."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import asdict, replace
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai_server import ModelScript, OpenAIServer, Reply, completion, refusal

from prometheus_lib import artifacts, judging, prompts
from prometheus_lib.data import minibench
from prometheus_lib.judging import (
    SERVERS,
    APIJudge,
    APISettings,
    Decoding,
    Policy,
    Prices,
    Task,
    TransformersJudge,
    load_settings,
)
from prometheus_lib.judging.engines.api_requests import WITHHELD, shares
from prometheus_lib.judging.store import JudgmentStore, load_judgments
from prometheus_lib.prompts import templates
from prometheus_lib.records import DataError
from prometheus_lib.training import EMBEDDED_BASE

PLAIN = Decoding(temperature=0.7, top_p=0.8, max_new_tokens=64, repetition_penalty=1.0)
GOOD = "Fine. [RESULT] 4"


def tasks(count: int, draws: int = 1) -> list[Task]:
    return [Task("bench", f"i{n}", "direct", False, "ab", draws, f"prompt {n}") for n in range(count)]


def settings(server: OpenAIServer, **changes) -> APISettings:
    local = APISettings("judge-1", server.url, "", requests_at_once=4, attempts=2)
    return replace(local, **changes)


def served(script, **changes):
    """A server (to be started by `with`) and a judge that asks it."""
    server = OpenAIServer(script)
    return server, APIJudge("api", settings(server, **changes))


def echo(body: dict, number: int) -> Reply:
    """One choice per draw, each naming the prompt it belongs to."""
    prompt = body["messages"][-1]["content"]
    return completion(*[f"{prompt}/{draw} [RESULT] 4" for draw in range(body.get("n", 1))])


# --- what is sent ----------------------------------------------------------------------------------------------------


def test_every_setting_arrives_as_given():
    sends = ("temperature", "top_p", "n", "seed", "repetition_penalty")
    extra = {"top_k": 0, "min_p": 0.1}
    server, judge = served(echo, sends=sends, extra_body=extra, stop=("###",), token_limit="max_completion_tokens")
    with server:
        judge.generate(tasks(1, 3), replace(PLAIN, repetition_penalty=1.03), 7)
    (body,) = server.bodies
    assert isinstance(body.pop("seed"), int)
    assert body == {
        "model": "judge-1", "messages": prompts.chat_messages("prompt 0", "direct"), "temperature": 0.7, "top_p": 0.8,
        "n": 3, "max_completion_tokens": 64, "repetition_penalty": 1.03, "stop": ["###"], "top_k": 0, "min_p": 0.1,
    }  # fmt: skip


def test_what_the_server_does_not_take_is_not_sent_and_not_claimed():
    server, judge = served(echo, sends=("top_p",), system_role=False)
    with server:
        with pytest.raises(DataError, match="takes no temperature; collect with judge.settings.adapted"):
            judge.generate(tasks(1), PLAIN, 0)
        assert judge.settings.adapted(PLAIN) == replace(PLAIN, temperature=1.0)
        judge.generate(tasks(1, 2), judge.settings.adapted(PLAIN), 0)
    both = [message["content"] for message in prompts.chat_messages("prompt 0", "direct")]
    wanted = {"model", "messages", "top_p", "max_tokens"}
    assert [set(body) for body in server.bodies] == [wanted, wanted]  # two draws, two requests
    assert server.bodies[0]["messages"] == [{"role": "user", "content": "\n\n".join(both)}]


def test_seeds_depend_on_seed_prompt_and_draw_but_not_on_the_others():
    server, judge = served(echo, sends=("temperature", "top_p", "seed"))
    with server:
        judge.generate(tasks(3, 2), PLAIN, 1)
        judge.generate(tasks(1, 2), PLAIN, 1)
        judge.generate(tasks(1, 2), PLAIN, 2)
        judge.generate(tasks(1) * 3, PLAIN, 3)  # as draws that are repeated: the same prompt, drawn anew
    seeds = [(body["messages"][-1]["content"], body["seed"]) for body in server.bodies]
    assert len(set(seeds[:6])) == 6
    assert set(seeds[6:8]) == {one for one in seeds[:6] if one[0] == "prompt 0"}
    assert not set(seeds[8:10]) & set(seeds[:8])
    assert len(set(seeds[10:])) == 3


def test_a_template_of_another_family_is_sent_and_read_and_identified():
    server, paper = served(lambda body, number: completion("Rating: [[7]]"))
    own = templates.Template("other", None, None, {"direct": templates.parse_auto_j_direct}, "Be kind.")
    judge = APIJudge("other", paper.settings, template=own)
    with server:
        found = judge.generate(tasks(1), PLAIN, 0)
    assert server.bodies[0]["messages"][0] == {"role": "system", "content": "Be kind."}
    assert judging.judgments(judge, tasks(1)[0], ["k"], found[0])[0].decision == 7
    assert judge.fingerprint != paper.fingerprint


# --- a server that takes no system message ---------------------------------------------------------------------------

NO_SYSTEM = {
    "vLLM with Mistral's template": refusal(400, "Conversation roles must alternate user/assistant/user/assistant/..."),
    "in other words": refusal(400, "Developer instruction is not enabled for models/gemma"),
    "as a broken entity": refusal(422, "Input validation error"),
    "as its own failure": refusal(500, "Jinja exception: System role not supported"),
}


def without_system(kind):
    def script(body, number):
        return NO_SYSTEM[kind] if body["messages"][0]["role"] == "system" else echo(body, number)

    return script


@pytest.mark.parametrize("kind", NO_SYSTEM)
def test_the_system_prompt_joins_the_users_message_where_a_server_refuses_it(kind, tmp_path):
    server, judge = served(without_system(kind), requests_at_once=8, attempts=1)
    given, store = judge.fingerprint, JudgmentStore(tmp_path / "api.jsonl")
    with server:
        with pytest.warns(UserWarning, match="'api': 127.0.0.1 takes no system message") as said:
            assert judging.collect(judge, tasks(30, 2), store, PLAIN) == 60
        assert len(said) == 1 and len(server.bodies) <= 30 + 8
        told = APIJudge("api", replace(judge.settings, system_role=False))
        assert given != judge.fingerprint == told.fingerprint
        assert set(load_judgments(tmp_path)["fingerprint"]) == {judge.fingerprint}
        # Started again with the first settings: nothing is asked, and what is missing is asked in the same form.
        sent, again = len(server.bodies), APIJudge("api", settings(server))
        assert judging.collect(again, tasks(30, 2), JudgmentStore(store.path), PLAIN) == 0
        assert judging.collect(again, tasks(31, 2), JudgmentStore(store.path), PLAIN) == 2
        assert [len(body["messages"]) for body in server.bodies[sent:]] == [1]
    assert again.fingerprint == judge.fingerprint
    assert len(judging.judgments_of(APIJudge("api", settings(server)), tasks(31, 2), tmp_path, PLAIN)) == 62


def test_a_job_that_was_asked_without_a_system_message_is_complete(tmp_path):
    server, judge = served(without_system("in other words"))
    file = tmp_path / "settings.json"
    out = tmp_path / "judgments" / "api.jsonl"
    with server, pytest.warns(UserWarning, match="takes no system message"):
        judging.collect(judge, tasks(3), JudgmentStore(out), PLAIN)
    given = {
        "server": "openai",
        "model": "judge-1",
        "base_url": server.url,
        "key_variable": "",
        "token_limit": "max_tokens",
    }
    file.write_text(json.dumps(given))
    job = judging.JudgingJob("api", str(file), tuple(tasks(3)), str(out), PLAIN, "api")
    assert judging.run_judge(job) == 0  # the server is gone: nothing may be sent


def test_one_refusal_after_answers_with_a_system_message_changes_no_form():
    def script(body, number):
        return refusal(400, "bad") if number == 3 else echo(body, number)

    server, judge = served(script, requests_at_once=1)
    given = judge.fingerprint
    with server, pytest.raises(DataError, match="bench/i3: 400: bad"):
        judge.generate(tasks(5), PLAIN, 0)
    assert judge.fingerprint == given and all(len(body["messages"]) == 2 for body in server.bodies)


# --- what comes back -------------------------------------------------------------------------------------------------


def test_answers_belong_to_their_tasks_and_draws():
    server, judge = served(echo)
    with server:
        found = judge.generate(tasks(9, 3), PLAIN, 0)
    assert [[c.text for c in draws] for draws in found] == [
        [f"prompt {n}/{draw} [RESULT] 4" for draw in range(3)] for n in range(9)
    ]
    assert len(server.bodies) == 9


@pytest.mark.parametrize(
    ("reason", "text", "status", "feedback"),
    [
        ("stop", "no verdict", "unparsed", "no verdict"),
        ("length", "no verdict", "truncated", "no verdict"),
        ("content_filter", "half [RESULT] 5", "unparsed", WITHHELD),
        ("stop", GOOD, "ok", "Fine."),
    ],
)
def test_the_finish_reason_decides_the_status(reason, text, status, feedback):
    server, judge = served(lambda body, number: completion(text, reason=reason))
    with server:
        (row,) = judging.judgments(judge, tasks(1)[0], ["k"], judge.generate(tasks(1), PLAIN, 0)[0])
    assert (row.status, row.feedback) == (status, feedback)


def test_a_filtered_prompt_and_a_refusal_are_recorded_not_repeated():
    def script(body, number):
        if body["messages"][-1]["content"] == "prompt 0":
            return refusal(400, "the prompt was filtered", "content_filter")
        reply = completion("")
        reply.body["choices"][0]["message"] |= {"content": None, "refusal": "I will not."}
        return reply

    server, judge = served(script)
    with server:
        found = judge.generate(tasks(2), PLAIN, 0)
    assert [draws[0].text for draws in found] == [WITHHELD, "I will not."]
    assert len(server.bodies) == 2


@hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**4), min_size=1, max_size=9))
def test_shares_are_whole_sum_to_the_total_and_follow_the_lengths(total, lengths):
    parts = shares(total, lengths)
    assert sum(parts) == total and min(parts) >= 0
    exact = [total * (length + 1) / (sum(lengths) + len(lengths)) for length in lengths]
    assert all(abs(part - wanted) <= 1 for part, wanted in zip(parts, exact))


def test_tokens_are_the_servers_and_its_total_is_kept():
    server, judge = served(lambda body, number: completion("a" * 9, "b" * 29, tokens=40))
    with server:
        found = judge.generate(tasks(1, 2), PLAIN, 0)
    assert [c.tokens for c in found[0]] == [10, 30]
    usage = judge.usage
    assert (usage.requests, usage.prompt_tokens, usage.completion_tokens) == (1, 100, 40)
    assert usage.served == {("scripted", ""): 1}


def test_a_model_that_changes_behind_its_name_is_reported():
    server, judge = served(lambda body, number: completion(GOOD, model=f"judge-1-{number % 2}"))
    with server, pytest.warns(UserWarning, match="answered as judge-1-0 and judge-1-1"):
        judge.generate(tasks(4), PLAIN, 0)


# --- n draws ---------------------------------------------------------------------------------------------------------


def test_fewer_choices_than_asked_for_are_completed():
    server, judge = served(lambda body, number: completion(*[f"{number}"] * min(2, body.get("n", 1))))
    with server:
        (draws,) = judge.generate(tasks(1, 5), PLAIN, 0)
    assert [c.text for c in draws] == ["0", "0", "1", "1", "2"]
    assert [body.get("n") for body in server.bodies] == [5, 3, None]
    first, *others = (body["seed"] for body in server.bodies)
    assert others == [first + 2, first + 4]


def test_a_server_that_refuses_n_is_asked_once_per_draw_and_that_is_remembered():
    def script(body, number):
        return refusal(400, "n must be 1") if "n" in body else completion(GOOD)

    server, judge = served(script, requests_at_once=1)
    with server:
        found = judge.generate(tasks(3, 2), PLAIN, 0)
    assert [len(draws) for draws in found] == [2, 2, 2]
    assert [body.get("n") for body in server.bodies] == [
        2,
        2,
        *[None] * 6,
    ]  # with and without a system message, then one by one


# --- concurrency -----------------------------------------------------------------------------------------------------


def test_the_bound_is_reached_and_never_exceeded():
    together = threading.Barrier(4, timeout=20)

    def script(body, number):
        together.wait()  # nobody is answered before four are in flight
        return completion(GOOD)

    server, judge = served(script)
    with server:
        judge.generate(tasks(24), PLAIN, 0)
    assert server.most == 4 and len(server.bodies) == 24


def test_it_works_inside_a_running_event_loop():
    server, judge = served(echo)

    async def cell() -> int:
        return len(judge.generate(tasks(5), PLAIN, 0))

    with server:
        assert asyncio.run(cell()) == 5
    assert not [thread for thread in threading.enumerate() if thread.name == "api-judge"]


# --- failures that pass ----------------------------------------------------------------------------------------------

TROUBLE = {
    "429": refusal(429, "slow down"),
    "500": refusal(500, "oh"),
    "529 without JSON": Reply(b"<html>overloaded</html>", 529, {"Content-Type": "text/html"}),
    "dropped in the middle": replace(completion(GOOD), cut=True),
    "not JSON": Reply(b'{"choices": [{"mess'),
    "a web page": Reply(b"<html>log in</html>", headers={"Content-Type": "text/html"}),
    "no choices": Reply({"choices": []}),
    "no message": Reply({"choices": [{"finish_reason": "stop"}]}),
    "choices of another kind": Reply({"choices": "none"}),
    "broken off": completion("half an ans", reason="abort"),
    "too slow": replace(completion(GOOD), seconds=1.0),
}


@pytest.mark.parametrize("kind", TROUBLE)
def test_trouble_that_passes_is_waited_out(kind):
    server, judge = served(lambda body, number: TROUBLE[kind] if number < 1 else completion(GOOD), timeout=0.4)
    with server:
        assert judge.generate(tasks(1), PLAIN, 0)[0][0].text == GOOD
    assert len(server.bodies) == 2 and server.bodies[0] == server.bodies[1]


@pytest.mark.parametrize("kind", TROUBLE)
def test_trouble_that_stays_names_the_item_after_the_last_attempt(kind):
    server, judge = served(lambda body, number: TROUBLE[kind], timeout=0.1)
    with (
        server,
        pytest.raises(DataError, match=r"'api', direct bench/i0: no answer after 2 attempts; the last time: ."),
    ):
        judge.generate(tasks(1), PLAIN, 0)
    assert len(server.bodies) == 2


def test_a_server_that_is_not_there_is_named():
    server, judge = served(echo)
    with server:
        pass
    with pytest.raises(DataError, match=r"no answer after 2 attempts; the last time: 127\.0\.0\.1: Connection error"):
        judge.generate(tasks(1), PLAIN, 0)


def test_a_server_that_is_not_there_is_reported_while_it_is_waited_for():
    server, judge = served(echo, attempts=3)
    with server:
        pass
    silent = rf"'api': {server.url} has not answered; 2 more attempts follow"
    with pytest.warns(UserWarning, match=silent) as said, pytest.raises(DataError):
        judge.generate(tasks(9), PLAIN, 0)
    assert len(said) == 1


@pytest.mark.parametrize("wait", [{"retry_after_ms": "900"}, {"retry_after": "1"}])
def test_a_wait_that_the_server_asks_for_is_kept(wait):
    server, judge = served(lambda body, number: refusal(429, "later", **wait) if number == 0 else completion(GOOD))
    with server:
        judge.generate(tasks(1), PLAIN, 0)
    assert len(server.times) == 2 and server.times[1] - server.times[0] >= 0.9  # without it, half a second


def test_other_requests_are_not_tried_again_after_a_failure_for_good():
    """Nineteen requests are to be tried again when one is refused for good; nothing is sent after that."""

    def script(body, number):
        return refusal(401, "no") if body["messages"][-1]["content"] == "prompt 7" else refusal(500, "oh")

    server, judge = served(script, requests_at_once=20, attempts=9)
    with server, pytest.raises(DataError, match="refused"):
        judge.generate(tasks(20), PLAIN, 0)
    assert len(server.bodies) <= 20


# --- failures that do not pass ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (refusal(401, "bad key sk-secret-1"), r"127\.0\.0\.1 refused the key in TEST_API_KEY \(401\)"),
        (refusal(404, "no such model"), r"does not know the model 'judge-1' or this base_url \(404: no such model\)"),
        (refusal(429, "later", retry_after="9000"), r"asks to wait 9000 seconds \(429: later\); start again then"),
        (refusal(413, "too large for sk-secret-1"), r"413: too large for \*\*\*"),
    ],
)
def test_hopeless_requests_stop_the_run_at_once_and_never_show_the_key(monkeypatch, reply, message):
    monkeypatch.setenv("TEST_API_KEY", "sk-secret-1")
    server, judge = served(lambda body, number: reply, key_variable="TEST_API_KEY", requests_at_once=1)
    with server, pytest.raises(DataError, match=message) as caught:
        judge.generate(tasks(20), PLAIN, 0)
    assert len(server.bodies) == 1
    assert server.headers[0]["authorization"] == "Bearer sk-secret-1"
    shown = "".join(traceback.format_exception(caught.value)) + repr(vars(judge))
    assert "sk-secret" not in shown


def test_what_is_refused_in_every_form_is_explained_by_the_first_refusal():
    server, judge = served(lambda body, number: refusal(400, f"unknown field 'top_k' ({number})"), requests_at_once=1)
    with server, pytest.raises(DataError, match=r"direct bench/i0: 400: unknown field 'top_k' \(0\)"):
        judge.generate(tasks(20, 3), PLAIN, 0)
    forms = [(body.get("n", 1), len(body["messages"])) for body in server.bodies]
    assert forms == [(3, 2), (3, 1), (1, 2), (1, 1)]
    assert judge.settings.system_role and judge.takes_n


@pytest.mark.parametrize("half", ["\ud83d", "\ude00 the end"])
def test_half_a_character_is_named_and_nothing_is_sent(half, tmp_path):
    server, judge = served(echo)
    asked = [*tasks(3), replace(tasks(1)[0], item_id="odd", prompt=f"prompt {half}")]
    store = JudgmentStore(tmp_path / "api.jsonl")
    with server:
        for ask in (lambda: judge.generate(asked, PLAIN, 0), lambda: judging.collect(judge, asked, store, PLAIN)):
            with pytest.raises(DataError, match="1 tasks cannot be asked; task bench/odd: prompt holds a lone surrog"):
                ask()
        assert not server.bodies
        assert judging.collect(judge, asked[:3], store, PLAIN) == 3


def test_without_a_key_the_variable_is_named(monkeypatch):
    monkeypatch.delenv("TEST_API_KEY", raising=False)
    with pytest.raises(DataError, match="'TEST_API_KEY' is not set"):
        APIJudge("api", APISettings("m", key_variable="TEST_API_KEY"))


def test_prompts_that_do_not_fit_are_all_named_and_the_others_answered():
    long = {"prompt 2", "prompt 5"}

    def script(body, number):
        if body["messages"][-1]["content"] in long:
            return refusal(400, "This model's maximum context length is 4096 tokens.", "context_length_exceeded")
        return completion(GOOD)

    server, judge = served(script)
    found = []
    with server, pytest.raises(DataError, match="2 prompts do not fit .*: bench/i2, bench/i5; leave them out"):
        found.extend(judge.stream(tasks(8), PLAIN, 0))
    assert sorted(place for ((place, _),) in found) == [0, 1, 3, 4, 6, 7]
    assert len(server.bodies) == 8


def test_what_was_answered_before_a_failure_is_stored_and_not_asked_again(tmp_path):
    broken = True

    def script(body, number):
        return refusal(500, "oh") if broken and body["messages"][-1]["content"] == "prompt 7" else echo(body, number)

    server, judge = served(script, requests_at_once=2)
    with server:
        with pytest.raises(DataError, match="bench/i7: no answer after 2 attempts"):
            judging.collect(judge, tasks(12, 3), JudgmentStore(tmp_path / "api.jsonl"), PLAIN)
        kept = len(load_judgments(tmp_path))
        assert kept == 3 * judge.usage.requests >= 15
        broken, asked = False, len(server.bodies)
        judging.collect(judge, tasks(12, 3), JudgmentStore(tmp_path / "api.jsonl"), PLAIN)
    assert 3 * (len(server.bodies) - asked) == 36 - kept
    assert len(load_judgments(tmp_path)) == 36


# --- stopping and going on -------------------------------------------------------------------------------------------

TESTS = Path(__file__).parent.parent
WORKER = """
import json, sys
sys.path[:0] = [sys.argv[3], sys.argv[3] + '/judging']
from test_api_judge import PLAIN, APIJudge, APISettings, JudgmentStore, judging, tasks
judge = APIJudge("api", APISettings(**json.loads(sys.argv[1])))
judging.collect(judge, tasks(200), JudgmentStore(sys.argv[2]), PLAIN)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on_where_it_was(tmp_path, how):
    """At most what was in flight is asked twice; after Ctrl-C the process ends by itself."""
    worker: subprocess.Popen | None = None

    def script(body, number):
        if number == 100:
            worker.send_signal(how)
            time.sleep(0.3)
        return echo(body, number)

    server, judge = served(script)
    path = tmp_path / "api.jsonl"
    given = json.dumps(asdict(judge.settings))
    with server:
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, given, str(path), str(TESTS)],
            stderr=subprocess.PIPE,
        )
        _, complaint = worker.communicate(timeout=60)
        assert worker.returncode != 0 and (how == signal.SIGKILL or b"KeyboardInterrupt" in complaint)
        assert b"never retrieved" not in complaint and b"was destroyed" not in complaint
        judging.collect(judge, tasks(200), JudgmentStore(path), PLAIN)
    assert len(load_judgments(tmp_path)) == 200
    assert 200 <= len(server.bodies) <= 1.02 * 200


LEFT = """
import json, sys, time
sys.path[:0] = [sys.argv[2], sys.argv[2] + '/judging']
from test_api_judge import PLAIN, APIJudge, APISettings, tasks
arriving = APIJudge("api", APISettings(**json.loads(sys.argv[1]))).stream(tasks(50), PLAIN, 0)
next(arriving)
time.sleep(0.3)  # it is still referred to when the interpreter ends
"""


def test_answers_that_nobody_takes_are_not_asked_for_and_the_process_ends():
    server, judge = served(echo)
    given = json.dumps(asdict(judge.settings))
    with server:
        subprocess.run([sys.executable, "-c", LEFT, given, str(TESTS)], check=True, timeout=60)
    assert len(server.bodies) == 4


# --- with a model behind the server ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def miniature():
    with OpenAIServer(ModelScript(str(EMBEDDED_BASE))) as server:
        yield server


def mini_tasks() -> list[Task]:
    direct = judging.direct_tasks("mini_flask", minibench.build("mini_flask", 1, 0.2)[:3], True, 1)
    return [*direct, *judging.pairwise_tasks("mini_autoj_eval", minibench.build("mini_autoj_eval", 1, 0.2)[:3])]


def mini_settings(server: OpenAIServer) -> APISettings:
    return replace(SERVERS["vllm"], model="mini", base_url=server.url, requests_at_once=4)


def test_greedy_judgments_are_those_of_the_model_itself(miniature, tmp_path):
    greedy = Decoding(temperature=0.0, top_p=1.0, max_new_tokens=200, repetition_penalty=1.03)
    direct = TransformersJudge("direct", EMBEDDED_BASE)
    through = APIJudge("api", mini_settings(miniature))
    for judge in (direct, through):
        judging.collect(judge, mini_tasks(), JudgmentStore(tmp_path / f"{judge.name}.jsonl"), greedy)
    columns = ["benchmark", "item_id", "decision", "feedback", "status"]
    api, own = (
        load_judgments(tmp_path, [name])[columns].sort_values(columns[:2]).reset_index(drop=True)
        for name in ("api", "direct")
    )
    assert api.equals(own) and api["decision"].notna().any()


def test_a_feedback_is_finished_with_the_decision_the_model_prefers(miniature):
    greedy = Decoding(temperature=0.0, top_p=1.0, max_new_tokens=200)
    texts = ["Feedback: cut sho", "Feedback: said. [RESULT] 7", "", "Feedback: x", "Feedback: y [RESULT] both", "z"]
    own = TransformersJudge("direct", EMBEDDED_BASE).finish(mini_tasks(), texts, greedy, 0)
    through = APIJudge("api", mini_settings(miniature)).finish(mini_tasks(), texts, greedy, 0)
    assert [c.text for c in through] == [c.text for c in own]
    with pytest.raises(DataError, match="cannot finish a given feedback"):
        APIJudge("api", settings(miniature)).finish(mini_tasks(), texts, greedy, 0)


def test_prompts_beyond_the_models_context_are_named_by_a_real_refusal(miniature):
    long = replace(tasks(1)[0], prompt="word " * 3000)
    with pytest.raises(DataError, match="1 prompts do not fit .* bench/i0"):
        APIJudge("api", mini_settings(miniature)).generate([long], replace(PLAIN, repetition_penalty=1.03), 0)


def test_answers_without_a_decision_are_drawn_again(tmp_path):
    server, judge = served(lambda body, number: completion("no verdict" if number < 6 else GOOD))
    with server:
        store = JudgmentStore(tmp_path / "api.jsonl")
        judging.collect(judge, tasks(4), store, PLAIN, policy=Policy("redraw", 2))
    rows = load_judgments(tmp_path, policy="once")
    assert (rows[rows["policy"] == "redraw-2"]["decision"] == 4).all() and (rows["policy"] == "once").sum() == 4
    assert len(server.bodies) == 4 + 4 + 2


# --- settings and cost -----------------------------------------------------------------------------------------------


def test_the_fingerprint_follows_what_is_asked_and_the_declared_revision():
    base = APISettings("gpt-4-1106-preview")
    declared = replace(base, revision=artifacts.model_fingerprint(EMBEDDED_BASE))
    port = replace(declared, base_url="http://localhost:8001/v1", requests_at_once=2, timeout=5.0)
    assert declared.fingerprint == port.fingerprint
    others = [replace(base, **change) for change in (
        {"model": "gpt-4-0613"}, {"revision": "r"}, {"base_url": "https://elsewhere.org/v1"},
        {"base_url": "https://elsewhere.org:81/v1"}, {"system_role": False}, {"extra_body": {"top_k": 5}},
        {"stop": ("x",)},
    )]  # fmt: skip
    assert len({one.fingerprint for one in (base, declared, *others)}) == 9


def test_cost_is_estimated_before_anything_is_sent():
    server, judge = served(echo)
    with server:
        estimate = judge.estimate(tasks(10, 3), PLAIN, Prices(prompt=2.0, completion=10.0), answer_tokens=50)
        single = APIJudge("api", replace(judge.settings, sends=("temperature", "top_p"))).estimate(tasks(10, 3), PLAIN)
    characters = 10 * (len(prompts.DIRECT_SYSTEM_PROMPT) + len("prompt 0"))
    assert (estimate.requests, estimate.answers, estimate.prompt_characters) == (10, 30, characters)
    assert estimate.cost == pytest.approx((estimate.prompt_tokens * 2 + 30 * 50 * 10) / 1e6)
    assert (single.requests, single.prompt_characters, single.completion_tokens) == (30, 3 * characters, 30 * 64)
    assert single.cost is None and not server.bodies


def test_settings_are_read_from_a_file_and_checked(tmp_path):
    path = tmp_path / "judge.json"
    path.write_text(json.dumps({"server": "anthropic", "model": "claude-3-opus-20240229", "stop": ["###"]}))
    assert load_settings(path) == replace(SERVERS["anthropic"], model="claude-3-opus-20240229", stop=("###",))
    for text, message in [
        ("{", "no API settings"), ('{"model": "m"}', "server out of openai"), ('{"server": "openai"}', "no model"),
        ('{"server": "openai", "modle": "m"}', "modle"), ('{"server": "vllm", "sends": ["heat"]}', "heat"),
        ('{"server": "vllm", "base_url": "localhost:8000"}', "http://"),
        ('{"server": "vllm", "attempts": 0}', "at least 1"),
    ]:  # fmt: skip
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            load_settings(path)


def test_no_key_is_written_anywhere(monkeypatch, tmp_path):
    monkeypatch.setenv("TEST_API_KEY", "sk-secret-2")
    server, judge = served(echo, key_variable="TEST_API_KEY")
    with server:
        judging.collect(judge, tasks(2), JudgmentStore(tmp_path / "api.jsonl"), PLAIN)
    files = [Path(folder) / name for folder, _, names in os.walk(tmp_path) for name in names]
    assert files and not any(b"sk-secret" in file.read_bytes() for file in files)


def test_it_is_one_of_the_judges():
    assert judging.APIJudge is APIJudge
