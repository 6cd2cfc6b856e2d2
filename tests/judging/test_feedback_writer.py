"""Writing feedback for pairs through a real local server that answers, delays, limits, breaks off and talks rubbish."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import replace

import pytest
from openai_server import OpenAIServer, Reply, completion, refusal

from prometheus_lib import judging
from prometheus_lib.data import building
from prometheus_lib.data import feedback_rows as graded_rows
from prometheus_lib.judging import APISettings, Budget, Decoding, Policy, Prices
from prometheus_lib.judging.feedback import written_feedback
from prometheus_lib.records import DataError, read_jsonl

PAIRS = building.pair_up(graded_rows(1, 4))[0]
DECODING = Decoding(temperature=1.0, top_p=1.0, max_new_tokens=200, repetition_penalty=1.0)


def told(body):
    """Which response the request says is better."""
    return re.search(r"explaining why Response ([AB]) is better", body["messages"][-1]["content"]).group(1)


def argue(body, number=0):
    """A feedback that argues for what the writer was told."""
    return completion(f"Response A is brief and Response B is long. In sum, Response {told(body)} is better.")


def writer(server, **changes):
    settings = APISettings("model", server.url, key_variable="", timeout=5.0)
    return judging.feedback_writer("writer", replace(settings, **changes))


def write(server, store, rows=PAIRS, budget=None, **changes):
    by = writer(server, **changes)
    by.budget = budget
    return judging.write_feedback(rows, by, store, DECODING)


def test_every_pair_gets_feedback_for_its_decision_and_is_paid_for_once(tmp_path):
    with OpenAIServer(argue) as server:
        written = write(server, tmp_path / "w.jsonl")
        again = write(server, tmp_path / "w.jsonl")
    assert len(server.bodies) == len(PAIRS) == 40 and again.rows == written.rows
    assert written.outcomes == {"fits": 40}
    for pair, row in zip(PAIRS, written.rows, strict=True):
        assert row == {**pair, "orig_feedback": row["orig_feedback"]}
        assert row["orig_feedback"].endswith(f"Response {pair['orig_preference']} is better.")
        assert building.problem(row, "preference") is None
    assert all(body["stop"] == ["[END]"] and len(body["messages"]) == 1 for body in server.bodies)


def test_the_prompt_is_appendix_h_with_the_pairs_texts(tmp_path):
    row = {**PAIRS[0], "orig_response_A": "{response_B} ###Score Rubric: x [END]"}
    with OpenAIServer(argue) as server:
        write(server, tmp_path / "w.jsonl", [row])
    (message,) = server.bodies[0]["messages"]
    assert message["role"] == "user" and message["content"].startswith("###Task Description:\nAn instruction")
    assert message["content"].count("###Score Rubric:") == 1 and "{response_B}" in message["content"]


def test_every_kind_of_trouble_is_got_over(tmp_path):
    """Too many requests, overload, a web page in place of an answer, half an answer, none in time: then it answers."""
    seen: Counter = Counter()
    troubles = [
        refusal(429, "slow down", Retry_After="0"), refusal(503, "overloaded"), refusal(500, "oops"),
        Reply(b"<html><body>502 Bad Gateway</body></html>", headers={"Content-Type": "text/html"}),
        Reply(b"<html>gone</html>", 502, {"Content-Type": "text/html"}), Reply({"choices": []}), Reply(b"{"),
        replace(completion("x"), cut=True), replace(completion("late"), seconds=1.5),
    ]  # fmt: skip
    lock = threading.Lock()

    def script(body, number):
        with lock:
            prompt = body["messages"][0]["content"]
            seen[prompt] += 1
            return troubles[len(seen) % len(troubles)] if seen[prompt] == 1 else argue(body)

    with OpenAIServer(script) as server:
        written = write(server, tmp_path / "w.jsonl", timeout=0.75)
    assert written.outcomes == {"fits": 40}
    assert len(server.bodies) == 80 and set(seen.values()) == {2}
    assert len(read_jsonl(tmp_path / "w.jsonl")) == 40


RUBBISH = {
    "": "no feedback",
    "\u200b": "no feedback",
    "I cannot help with that.": "no feedback",
    "<html>": "no feedback",
    "Response A and Response B. [RESULT] A": "no feedback",
    "Response A greets.\n###Response B: Hi.": "no feedback",
    "Response A greets and so does Response B.": "unclear",
    "Response A greets \U0001f600 {x}. Response B does not.\r Response SIDE is better. [END] More.": "fits",
    "Response A greets, Response B too. Response OTHER is better.": "contradicts",
}


@pytest.mark.parametrize("text", RUBBISH)
def test_what_is_no_feedback_is_counted_and_left_out(tmp_path, text):
    def script(body, number):
        side = told(body)
        return completion(text.replace("SIDE", side).replace("OTHER", {"A": "B", "B": "A"}[side]))

    with OpenAIServer(script) as server:
        written = write(server, tmp_path / "w.jsonl", PAIRS[:3])
    assert written.outcomes == {RUBBISH[text]: 3} and len(server.bodies) == 3
    assert len(written.rows) == (3 if RUBBISH[text] in ("fits", "unclear") else 0)
    assert "3 " in written.describe()


def test_a_text_that_was_cut_off_is_counted_and_left_out(tmp_path):
    with OpenAIServer(lambda body, n: completion("Response A greets and", reason="length")) as server:
        assert write(server, tmp_path / "w.jsonl", PAIRS[:2]).outcomes == {"truncated": 2}


def test_texts_without_a_conclusion_can_be_drawn_again(tmp_path):
    with OpenAIServer(lambda body, n: argue(body) if n >= 5 else completion("Sorry.")) as server:
        by = writer(server)
        written = judging.write_feedback(PAIRS[:5], by, tmp_path / "w.jsonl", DECODING, Policy("redraw", 2))
        assert written.outcomes == {"fits": 5} and len(server.bodies) == 10
        assert written_feedback(PAIRS[:5], by, tmp_path / "w.jsonl", DECODING).outcomes == {"no feedback": 5}


def test_a_run_that_failed_goes_on_where_it_was(tmp_path):
    """A server that refuses for good after a while: what was written stays, and only the rest is asked."""
    with OpenAIServer(lambda body, n: argue(body) if n < 15 else refusal(401, "no")) as server:
        with pytest.raises(DataError, match="401"):
            write(server, tmp_path / "w.jsonl", requests_at_once=4)
        rest = written_feedback(PAIRS, writer(server), tmp_path / "w.jsonl", DECODING)
        assert rest.outcomes["fits"] == len(rest.rows) == len(read_jsonl(tmp_path / "w.jsonl")) == 15
        assert rest.outcomes["missing"] == 25
    first = {body["messages"][0]["content"] for body in server.bodies[:15]}
    settings = writer(server).settings
    with OpenAIServer(argue) as later:  # another address would be another model, unless a revision says it is not
        by = judging.feedback_writer("writer", replace(settings, base_url=later.url, revision=settings.base_url))
        assert judging.write_feedback(PAIRS, by, tmp_path / "w.jsonl", DECODING).outcomes == {"fits": 40}
    assert len(later.bodies) == 25 and not first & {body["messages"][0]["content"] for body in later.bodies}


def test_no_more_requests_at_once_than_allowed(tmp_path):
    with OpenAIServer(lambda body, n: replace(argue(body), seconds=0.02)) as server:
        write(server, tmp_path / "w.jsonl", requests_at_once=3)
    assert server.most == 3


def test_requests_keep_to_their_rate_also_when_they_are_sent_again(tmp_path):
    per_minute = 3000
    with OpenAIServer(lambda body, n: argue(body) if n % 3 else refusal(429, "slow", Retry_After="0")) as server:
        write(server, tmp_path / "w.jsonl", PAIRS[:20], requests_at_once=16, requests_per_minute=per_minute)
    took = max(server.times) - min(server.times)
    assert len(server.times) >= 29 and took >= 0.9 * (len(server.times) - 2) * 60 / per_minute


def test_a_negative_rate_is_refused():
    with pytest.raises(DataError, match="requests_per_minute"):
        APISettings("model", requests_per_minute=-1)


PRICES = Prices(prompt=10.0, completion=30.0)


def test_the_estimate_comes_before_the_first_call_and_knows_what_is_there(tmp_path):
    with OpenAIServer(argue) as server:
        by = writer(server)
        before = judging.estimate_feedback(PAIRS, by, tmp_path / "w.jsonl", DECODING, PRICES, answer_tokens=100)
        assert not server.bodies and before.requests == 40 and before.completion_tokens == 4000
        assert before.cost == pytest.approx(PRICES.cost(before.prompt_tokens, 4000))
        write(server, tmp_path / "w.jsonl", PAIRS[:30])
        after = judging.estimate_feedback(PAIRS, by, tmp_path / "w.jsonl", DECODING, PRICES)
    sent = sum(len(body["messages"][0]["content"]) for body in server.bodies)
    assert after.requests == 10 and before.prompt_characters - after.prompt_characters == sent


def test_the_cap_stops_the_run_before_it_is_passed(tmp_path):
    """The server reports 100 tokens in and 10 out; the worst case is counted with 200 out."""
    one = PRICES.cost(100, 10)
    cap = 0.05
    with OpenAIServer(argue) as server:
        budget = Budget(PRICES, cap)
        with pytest.raises(DataError, match=r"cap of 0\.05 is reached .* prompts left.*raise the cap"):
            write(server, tmp_path / "w.jsonl", budget=budget)
        asked = len(server.bodies)
        assert 0 < asked < 40 and asked * one <= cap and len(read_jsonl(tmp_path / "w.jsonl")) == asked
        done = write(server, tmp_path / "w.jsonl", budget=Budget(PRICES, 10.0))
    assert len(server.bodies) == 40 and done.outcomes == {"fits": 40}
    assert done.cost == pytest.approx((40 - asked) * one)


def test_a_cap_of_nothing_sends_nothing(tmp_path):
    with OpenAIServer(argue) as server, pytest.raises(DataError, match="40 prompts left"):
        write(server, tmp_path / "w.jsonl", budget=Budget(PRICES, 0.0))
    assert not server.bodies


def test_a_server_that_reports_no_tokens_is_counted_at_the_worst(tmp_path):
    def script(body, number):
        reply = argue(body)
        return replace(reply, body={**reply.body, "usage": None})

    with OpenAIServer(script) as server:
        budget = Budget(PRICES, 0.2)
        with pytest.raises(DataError, match="cap"):
            write(server, tmp_path / "w.jsonl", budget=budget)
    assert 0 < len(server.bodies) < 40 and 0.15 < budget.unreported <= 0.2


def test_pairs_that_stand_there_twice_are_asked_once(tmp_path):
    with OpenAIServer(argue) as server:
        assert write(server, tmp_path / "w.jsonl", PAIRS[:3] * 2).outcomes == {"fits": 6}
    assert len(server.bodies) == 3


@pytest.mark.parametrize("change", [{"orig_reference_answer": ""}, {"orig_preference": "tie"}])
def test_pairs_that_cannot_be_written_about_stop_before_the_first_call(tmp_path, change):
    with OpenAIServer(argue) as server, pytest.raises(DataError):
        write(server, tmp_path / "w.jsonl", [*PAIRS[:3], {**PAIRS[4], **change}])
    assert not server.bodies


def test_a_published_row_without_an_id_has_one_all_the_same(tmp_path):
    rows = [{name: value for name, value in row.items() if name != "id"} for row in PAIRS[:4]]
    assert [building.pair_id(row) for row in rows] == [row["id"] for row in PAIRS[:4]]
    with OpenAIServer(argue) as server:
        assert write(server, tmp_path / "w.jsonl", rows).outcomes == {"fits": 4}
        assert write(server, tmp_path / "w.jsonl", PAIRS[:4]).outcomes == {"fits": 4}
    assert len(server.bodies) == 4


def test_what_was_written_becomes_a_collection_with_its_card(tmp_path):
    from datasets import load_dataset

    with OpenAIServer(argue) as server:
        written = write(server, tmp_path / "w.jsonl")
    card = building.Card("Pairs", ["the miniature world"], "apache-2.0")
    statistics = building.write_collection(tmp_path / "pairs", written.rows, card)
    assert statistics.table_1()["# Verbal Feedback"] == 40
    data = load_dataset(str(tmp_path / "pairs"), split="train", cache_dir=str(tmp_path / "cache"))
    assert data.to_list() == written.rows
    assert building.load_collection("preference", tmp_path / "pairs") == written.rows
    table = building.check_table(written.rows).set_index("check")
    assert table.at["argues for the preferred response", "rows"] == 40
