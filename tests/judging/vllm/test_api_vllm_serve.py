"""The API judge against `vllm serve` with the embedded base model: the decisions of transformers in this process."""

from __future__ import annotations

import importlib.metadata
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace

import pytest

from prometheus_lib import artifacts, judging
from prometheus_lib.data import minibench
from prometheus_lib.judging import Decoding
from prometheus_lib.judging.engines.api import APIJudge
from prometheus_lib.judging.engines.api_settings import SERVERS
from prometheus_lib.records import DataError

GREEDY = Decoding(temperature=0.0, top_p=1.0, max_new_tokens=64)
SAMPLED = Decoding(max_new_tokens=64)
START_SECONDS = 300


def serve() -> list[str]:
    """`vllm serve`, or, for the CPU build (whose package has a name that this command does not find), its server."""
    try:
        importlib.metadata.version("vllm")
    except importlib.metadata.PackageNotFoundError:
        return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model"]
    return [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve"]


@pytest.fixture(scope="module")
def url(base, tmp_path_factory):
    """Where `vllm serve` answers; its log is shown when it does not come up."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *serve(), str(base), "--served-model-name", "mini", "--host", "127.0.0.1", "--port", str(port),
        "--dtype", "float32", "--enforce-eager", "--max-num-seqs", "32",
        "--no-enable-chunked-prefill",  # chunks and a request's own seed do not go together on a CPU
    ]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != "VLLM_ENABLE_V1_MULTIPROCESSING"}
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    try:
        wait_until_up(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)


def wait_until_up(process: subprocess.Popen, health: str, log) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"vllm serve did not come up:\n{log.read_text(errors='replace')[-4000:]}")


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
