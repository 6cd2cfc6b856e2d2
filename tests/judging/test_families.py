"""The table of the paper's judges, and judges made from it: tiny models stand in for the hub's."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import replace

import pandas as pd
import pytest
from openai_server import OpenAIServer, completion

from prometheus_lib import artifacts, judging, prompts
from prometheus_lib.data import minibench
from prometheus_lib.judging import Decoding, tasks_for
from prometheus_lib.judging.engines.transformers_judge import TransformersJudge, prompt_ids
from prometheus_lib.judging.families import (
    FAMILIES,
    GREEDY,
    LLAMA_2_CHAT,
    family_named,
    judge_for,
    template_for,
)
from prometheus_lib.judging.store import JudgmentStore, load_judgments
from prometheus_lib.paper import load_published
from prometheus_lib.prompts.chat import render_chat
from prometheus_lib.prompts.templates import PROMETHEUS_1
from prometheus_lib.records import DataError

WORDING = 'single = "{prompt} | {response}"\npairwise_tie = "{prompt} | {response} | {response_another}"\n'


@pytest.fixture(scope="module")
def wording(tmp_path_factory):
    file = tmp_path_factory.mktemp("autoj") / "constants_prompt.py"
    file.write_text(WORDING)
    return file


@pytest.fixture(scope="module")
def bare_base(tiny_base, tmp_path_factory):
    """The tiny Mistral as released before tokenizers kept their chat template."""
    folder = tmp_path_factory.mktemp("bare") / "model"
    shutil.copytree(tiny_base, folder)
    (folder / "chat_template.jinja").unlink()
    return folder


@pytest.fixture(scope="module")
def direct():
    return minibench.build("mini_flask", 1, 0.2)[:3]


@pytest.fixture(scope="module")
def pairs():
    return minibench.build("mini_autoj_eval", 1, 0.2)[:3]


# --- the table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table, format", [(3, "direct"), (4, "pairwise")])
def test_every_row_of_the_papers_tables_is_one_family_that_knows_the_format(table, format):
    cells = load_published()
    rows = set(cells.loc[cells["table"] == table, "row"])
    named = [row for family in FAMILIES.values() if format in family.formats for row in family.rows]
    assert rows <= set(named) and len(named) == len(set(named))
    assert {row for row in named if row not in rows} <= {"GPT-4-1106", "GPT-4-1106-PREVIEW"}  # one model, two names


def test_decoding_is_table_8s_for_all_that_read_the_papers_prompts():
    for family in FAMILIES.values():
        if family.template != "prometheus":
            continue
        wanted = Decoding() if family.engine == "vllm" else Decoding(repetition_penalty=1.0)
        assert family.decoding == wanted, family.name
    assert FAMILIES["auto-j-13b"].decoding == GREEDY and GREEDY.temperature == 0
    assert family_named("prometheus-2-7b").model == "prometheus-eval/prometheus-7b-v2.0"


def test_the_papers_auto_j_was_not_greedy():
    """What the note in the table says: over three greedy runs alpha would be 1."""
    cells = load_published()
    printed = cells[(cells["table"] == 14) & (cells["row"] == "AUTO-J (13B)")]["value"]
    assert len(printed) == 3 and (printed < 0.7).all()


def test_names_and_engines_that_do_not_exist_are_refused(tiny_base, wording):
    with pytest.raises(DataError, match="unknown judge 'gpt-9'; choose one of llama-2-7b-chat, .*claude-3-opus"):
        judge_for("gpt-9")
    with pytest.raises(DataError, match="pair-rm runs as 'pair-ranker' and not as 'vllm'"):
        judge_for("pair-rm", engine="vllm")
    with pytest.raises(DataError, match="runs as 'vllm' and not as 'reward'"):
        judge_for("prometheus-2-7b", engine="reward", model=tiny_base)
    with pytest.raises(DataError, match="no licence"):
        judge_for("auto-j-13b", engine="transformers", model=tiny_base)


# --- judges from the table -------------------------------------------------------------------------------------------


def test_every_family_that_writes_judges_through_the_store(tiny_base, bare_base, wording, direct, pairs, tmp_path):
    """A tiny model in the place of each: the family's prompts, voice and parser, both formats where it knows them."""
    writing = [family for family in FAMILIES.values() if family.engine == "vllm"]
    assert len(writing) == 10
    for family in writing:
        with pytest.warns(UserWarning) if family.template == "auto-j" else nullcontext():
            template = template_for(family.name, wording)
            folder = bare_base if family.chat else tiny_base
            judge = judge_for(family.name, engine="transformers", model=folder, template=template)
        decoding = replace(family.decoding, max_new_tokens=4)
        items = {"direct": direct, "pairwise": pairs}
        tasks = [t for format in family.formats for t in tasks_for(template, "b", items[format], format)]
        store = JudgmentStore(tmp_path / f"{family.name}.jsonl")
        assert judging.collect(judge, tasks, store, decoding) == len(tasks) > 0
    table = load_judgments(tmp_path)
    assert set(table["judge"]) == {family.name for family in writing}
    assert set(table.loc[table["judge"] == "prometheus-13b", "format"]) == {"direct"}


def test_a_template_of_its_own_is_heard_and_changes_the_fingerprint(tiny_base, bare_base, direct):
    plain = judge_for("prometheus-7b", engine="transformers", model=bare_base)
    own = judge_for("prometheus-7b", engine="transformers", model=bare_base, template=PROMETHEUS_1)
    task = tasks_for(PROMETHEUS_1, "b", direct, "direct")[0]
    heard = [render_chat(judge.tokenizer, task.prompt, "direct", judge.template) for judge in (plain, own)]
    assert prompts.DIRECT_SYSTEM_PROMPT in heard[0] and PROMETHEUS_1.system in heard[1]
    assert heard[0].replace(prompts.DIRECT_SYSTEM_PROMPT, PROMETHEUS_1.system) == heard[1]
    assert heard[0].startswith("<s>[INST] <<SYS>>") and heard[0].endswith(" [/INST]")
    assert len({plain.fingerprint, own.fingerprint, artifacts.judge_fingerprint(bare_base)}) == 3
    assert [row.count(own.tokenizer.bos_token_id) for row in prompt_ids(own.tokenizer, [task], own.template)] == [1]
    # A judge that speaks as its model folder says is the judge that any other notebook makes from that folder.
    kept = judge_for("mistral-7b-instruct", engine="transformers", model=tiny_base)
    assert kept.fingerprint == TransformersJudge("x", tiny_base).fingerprint


def test_a_tokenizer_without_a_chat_template_needs_one(bare_base):
    with pytest.raises(DataError, match="this tokenizer has no chat template"):
        TransformersJudge("x", bare_base, template=PROMETHEUS_1)
    assert TransformersJudge("x", bare_base, chat=LLAMA_2_CHAT).tokenizer.chat_template == LLAMA_2_CHAT


def test_families_behind_an_api(monkeypatch, wording, direct, pairs, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "not a key")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "not a key")
    for name in ("gpt-3.5-turbo-0613", "gpt-4-1106-preview", "claude-3-opus"):
        judge, family = judge_for(name), FAMILIES[name]
        judge.check([], family.decoding)  # nothing that the server would not take
        assert judge.name == name and judge.settings.model == family.model

    def script(body, number):
        pairwise = "Response B" in body["messages"][-1]["content"] or "|" in body["messages"][-1]["content"]
        return completion(*["Fine. [RESULT] B" if pairwise else "Fine. [RESULT] 3"] * body.get("n", 1))

    with OpenAIServer(script) as server:
        judge = judge_for("mistral-7b-instruct", engine="api", base_url=server.url)
        tasks = [
            *tasks_for(template_for(judge.name), "b", direct, "direct", with_reference=True, draws=3),
            *tasks_for(template_for(judge.name), "b", pairs, "pairwise", order="ba"),
        ]
        judging.collect(judge, tasks, JudgmentStore(tmp_path / "m.jsonl"), FAMILIES[judge.name].decoding)
        assert all([m["role"] for m in body["messages"]] == ["user"] for body in server.bodies)  # no system role
        with pytest.warns(UserWarning):
            auto_j = judge_for("auto-j-13b", engine="api", wording=wording, base_url=server.url)
        done = len(server.bodies)
        found = auto_j.generate(tasks_for(auto_j.template, "b", pairs[:1], "pairwise"), GREEDY, 0)
        assert [m["role"] for m in server.bodies[done]["messages"]] == ["user"] and len(found) == 1
    table = load_judgments(tmp_path)
    assert set(table.loc[table["format"] == "direct", "decision"]) == {3} and len(table) == 12
    assert set(table.loc[table["format"] == "pairwise", "decision"]) == {"A"} and not pd.isna(table["decision"]).any()
