"""Judging in shares and from the command line, and the settings of engines; engines themselves: tests/judging/vllm."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from openai_server import OpenAIServer, completion

from prometheus_lib import judging
from prometheus_lib.data import minibench
from prometheus_lib.judge import main
from prometheus_lib.judging import Decoding, TransformersJudge, sharing
from prometheus_lib.judging.engines import vllm_judge, writing
from prometheus_lib.judging.store import JudgmentStore, compress, load_judgments
from prometheus_lib.records import DataError
from prometheus_lib.scale import load_scale
from prometheus_lib.training import EMBEDDED_BASE

SHORT = Decoding(max_new_tokens=4)


@pytest.fixture(scope="module")
def tasks():
    items = minibench.build("mini_flask", 1, 0.4)
    pairs = minibench.build("mini_autoj_eval", 1, 0.2)
    return [*judging.direct_tasks("mini_flask", items, True, 3), *judging.pairwise_tasks("mini_autoj_eval", pairs)]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_hold_every_task_once_and_are_about_equal(tasks, count):
    shares = judging.shares(tasks, count)
    assert sorted(place for share in shares for place in share) == list(range(len(tasks)))
    draws = [sum(tasks[place].draws for place in share) for share in shares]
    assert max(draws) - min(draws) <= 6


def test_shares_keep_equal_prompts_together_and_neighbours_in_order(tasks):
    doubled = [*tasks, *(replace(task, item_id=f"again {task.item_id}") for task in tasks)]
    shares = judging.shares(doubled, 4)
    prompts = [[doubled[place].prompt for place in share] for share in shares]
    assert not set(prompts[0]) & set(prompts[1]) and all(share.count(share[0]) == 2 for share in prompts)
    formats = [doubled[place].format for share in shares for place in share]
    assert formats == sorted(formats)


def test_shares_of_nothing_and_shares_that_are_none():
    assert judging.shares([], 3) == [[], [], []]
    assert sharing.parse_share("2/3") == (2, 3)
    for text in ("3/3", "-1/3", "1", "a/b", ""):
        with pytest.raises(DataError, match="no share"):
            sharing.parse_share(text)


def test_gathering_adds_what_is_missing_and_nothing_twice(tiny_base, tasks, tmp_path):
    judge = TransformersJudge("base", tiny_base)
    half = len(tasks) // 2
    for folder, own in (("ours", tasks[: half + 3]), ("theirs", tasks[half:])):
        judging.collect(judge, own, JudgmentStore(tmp_path / folder / "base.jsonl"), SHORT)
    gained = judging.gather(tmp_path / "ours", tmp_path / "theirs")
    assert gained == {"base": sum(task.draws for task in tasks[half + 3 :])}
    assert judging.gather(tmp_path / "ours", tmp_path / "theirs") == {"base": 0}
    table = load_judgments(tmp_path / "ours")
    assert len(table) == sum(task.draws for task in tasks) and table["key"].is_unique
    with pytest.raises(DataError, match="no judgment files"):
        judging.gather(tmp_path / "ours", tmp_path)


def test_gathering_brings_along_what_was_asked_last(tiny_base, tasks, tmp_path):
    """There, two items were asked about twice, with another prompt; here, one of them had an answer already."""
    judge = TransformersJudge("base", tiny_base)
    changed = [replace(task, prompt=f"{task.prompt} Be strict.") for task in tasks[:2]]
    for folder, own in (("theirs", tasks[:2]), ("theirs", changed), ("ours", tasks[:1]), ("here", [])):
        judging.collect(judge, own, JudgmentStore(tmp_path / folder / "base.jsonl"), SHORT)
    judging.gather(tmp_path / "here", tmp_path / "theirs")
    with pytest.warns(UserWarning, match="to another prompt"):
        there = judging.current_judgments(tmp_path / "theirs")
    with pytest.warns(UserWarning, match="to another prompt"):
        assert judging.current_judgments(tmp_path / "here").equals(there)
    judging.gather(tmp_path / "ours", tmp_path / "theirs")
    second = {task.item_id for task in changed[1:]}
    assert {question[2] for question in judging.asked_last(tmp_path / "ours")} == second


def test_gathering_starts_from_what_is_recorded(tiny_base, tasks, tmp_path):
    judge = TransformersJudge("base", tiny_base)
    for folder, own in (("ours", tasks[:4]), ("theirs", tasks[4:6])):
        judging.collect(judge, own, JudgmentStore(tmp_path / folder / "base.jsonl"), SHORT)
    compress(tmp_path / "ours")
    (tmp_path / "ours" / "base.jsonl").unlink()
    judging.gather(tmp_path / "ours", tmp_path / "theirs")
    assert len(load_judgments(tmp_path / "ours")) == sum(task.draws for task in tasks[:6])


def test_two_shares_judge_everything_once(tmp_path, capsys):
    arguments = ["--scale", "smoke", "--outputs", str(tmp_path), "--judge", "base"]
    for share in ("0/2", "1/2", "0/1"):
        main([*arguments, "--share", share])
    added = [int(line.split()[1]) for line in capsys.readouterr().out.splitlines()]
    assert added[0] > 0 and added[1] > 0 and added[2] == 0
    table = load_judgments(load_scale("smoke", tmp_path).paths.judgments)
    assert len(table) == sum(added) and table["key"].is_unique


def test_a_judge_behind_an_api_is_asked_everything_once(tmp_path, capsys):
    settings = tmp_path / "api.json"
    arguments = ["--scale", "smoke", "--outputs", str(tmp_path), "--judge", "elsewhere", "--api", str(settings)]
    with OpenAIServer(lambda body, number: completion(*["Good. [RESULT] 4"] * body.get("n", 1))) as server:
        settings.write_text(json.dumps({"server": "vllm", "model": "m", "base_url": server.url}))
        main(arguments)
        main(arguments)
    first, second = (int(line.split()[1]) for line in capsys.readouterr().out.splitlines())
    table = load_judgments(load_scale("smoke", tmp_path).paths.judgments)
    assert first == len(table) > 80 and second == 0
    assert set(table["judge"]) == {"elsewhere"} and set(table["format"]) == {"direct", "pairwise"}
    with pytest.raises(DataError, match="needs one --judge"):
        main([*arguments, "--judge", "another"])


def test_judges_that_are_not_there_are_named(tmp_path):
    arguments = ["--scale", "smoke", "--outputs", str(tmp_path)]
    with pytest.raises(DataError, match="nobody: no judge has this name; choose from .*linear-0.3"):
        main([*arguments, "--judge", "nobody"])
    for judge in ("direct", "linear-0.3"):
        with pytest.raises(DataError, match="direct.*train and merge first"):
            main([*arguments, "--judge", judge])
    with pytest.raises(DataError, match="linear-0.3: no judge has this name"):  # one engine changes its weights
        main([*arguments, "--judge", "linear-0.3", "--replicas", "2"])


def test_merges_without_a_folder_are_judged_in_place(tiny_experts, tmp_path, capsys):
    paths = load_scale("smoke", tmp_path).paths
    shutil.copytree(tiny_experts, paths.experts)
    arguments = ["--scale", "smoke", "--outputs", str(tmp_path), "--judge", "linear-0.3", "--judge", "linear-0.7"]
    for share in ("0/2", "1/2", "0/1"):
        main([*arguments, "--share", share])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    added = {name: [int(row[1]) for row in rows if row[0] == name] for name in ("linear-0.3", "linear-0.7")}
    assert all(first > 0 and second > 0 and third == 0 for first, second, third in added.values())
    table = load_judgments(paths.judgments)
    assert dict(table["judge"].value_counts()) == {name: sum(counts) for name, counts in added.items()}
    assert table["key"].is_unique and table["fingerprint"].nunique() == 2 and not paths.merged.exists()


# --- vLLM's settings, without vLLM -----------------------------------------------------------------------------------


def test_engine_settings_come_from_the_call_then_the_environment_then_the_machine(monkeypatch):
    monkeypatch.delenv(vllm_judge.SETTINGS, raising=False)
    assert vllm_judge.engine_settings({}, cpu=False) == {"enable_prefix_caching": True}
    assert vllm_judge.engine_settings({}, cpu=True) == {"enable_prefix_caching": True, "enable_chunked_prefill": False}
    monkeypatch.setenv(vllm_judge.SETTINGS, '{"tensor_parallel_size": 2, "max_model_len": 8192}')
    found = vllm_judge.engine_settings({"max_model_len": 4096}, cpu=False)
    assert (found["tensor_parallel_size"], found["max_model_len"]) == (2, 4096)
    for wrong in ("[1]", "tensor_parallel_size=2"):
        monkeypatch.setenv(vllm_judge.SETTINGS, wrong)
        with pytest.raises(DataError, match=vllm_judge.SETTINGS):
            vllm_judge.engine_settings({}, cpu=False)


def test_weights_are_spread_over_as_few_gpus_as_hold_them():
    mistral, mixtral, a100 = 14_500_000_000, 93_400_000_000, 40 * 2**30
    assert vllm_judge.gpus_needed(mistral, a100, 8) == 1
    assert vllm_judge.gpus_needed(mixtral, a100, 8) == 4
    assert vllm_judge.gpus_needed(mixtral, 140 * 2**30, 1) == 1
    with pytest.raises(DataError, match="93 GB.* 4 GPUs .* 2 can be seen"):
        vllm_judge.gpus_needed(mixtral, a100, 2)


def test_the_size_of_the_weights_follows_from_the_configuration():
    file = (EMBEDDED_BASE / "model.safetensors").stat().st_size
    size = vllm_judge.weight_bytes(EMBEDDED_BASE, "float32")
    assert 0.95 * file < size <= file and vllm_judge.weight_bytes(EMBEDDED_BASE, "bfloat16") * 2 == size


def test_every_task_has_a_seed_of_its_own(tasks):
    seeds = writing.task_seeds(tasks, 1)
    assert len(set(seeds)) == len(tasks)
    assert writing.task_seeds(tasks[::-1], 1) == seeds[::-1]
    assert not set(seeds) & set(writing.task_seeds(tasks, 2))
    once, again = writing.task_seeds([tasks[0]] * 2, 1)
    assert once == seeds[0] != again
    # Two items with one prompt are drawn apart, and what is left after a stop is drawn as it would have been.
    twins = [tasks[0], replace(tasks[0], item_id="twin"), tasks[1]]
    whole = writing.task_seeds(twins, 1)
    assert len(set(whole)) == 3 and writing.task_seeds(twins[1:], 1) == whole[1:]
