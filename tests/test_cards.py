"""Experts and merges as others take them: cards, and copies in a folder that anybody's tools load."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoModelForCausalLM, AutoTokenizer

from prometheus_lib import artifacts, cards, judging, merging, pipeline, training
from prometheus_lib.data import minibench
from prometheus_lib.merging.spec import Merge
from prometheus_lib.records import DataError, write_text_atomic
from prometheus_lib.scale import Paths, load_scale

TABLE = "table,row,column,value,low,high,n,unparsed,unit\n3,direct,Vicuna Bench | pearson,0.61,0.5,0.7,160,2,pearson\n"


def test_an_expert_comes_with_a_card_of_all_that_made_it(tiny_experts):
    card = ModelCard.load(tiny_experts / "direct" / cards.CARD)
    assert card.data.license and card.data.library_name == "transformers"
    stamp = json.loads((tiny_experts / "direct" / artifacts.STAMP).read_text())
    for value in stamp["inputs"].values():
        assert f"fingerprint `{value}`" in card.text
    log = training.read_log(tiny_experts / "direct")["log"]
    assert f"| {log[-1]['step']} | {log[-1]['loss']:.4f} |" in card.text
    assert "- learning_rate: 0.001" in card.text and "- seed: 42" in card.text and "- rows: 40" in card.text
    assert f"- torch: {torch.__version__.split('+')[0]}" in card.text and "vllm serve direct" in card.text


def test_a_pushed_judge_is_whole_has_results_and_judges(tiny_base, tiny_experts, tmp_path):
    """Loaded by transformers, and by our own three lines."""
    merging.merge_experts(Merge("linear", "linear"), tiny_base, tiny_experts, tmp_path / "linear")
    for name, folder in (("direct", tiny_experts / "direct"), ("linear", tmp_path / "linear")):
        target = tmp_path / "pushed" / name
        assert cards.push(folder, target, "| benchmark | value |\n|---|---|\n| mine | 0.5 |") == str(target)
        text = (target / cards.CARD).read_text()
        assert "## Results\n\n| benchmark | value |" in text and f"vllm serve {target}" in text
        assert text.count("## How to use it") == 1
        assert artifacts.model_fingerprint(target) == artifacts.model_fingerprint(folder)
        ours, theirs = (AutoModelForCausalLM.from_pretrained(each).state_dict() for each in (folder, target))
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
        assert AutoTokenizer.from_pretrained(target).chat_template
        judge = judging.TransformersJudge("mine", target)
        items = minibench.build("mini_flask", 1, 0.05)[:1]
        tasks = judging.direct_tasks("mine", items, with_reference="available", draws=1)
        assert len(judge.generate(tasks, judging.Decoding(max_new_tokens=4), seed=1)) == 1


def test_pushing_again_renews_the_card_and_spares_what_others_wrote(tiny_experts, tmp_path):
    source, target = tiny_experts / "direct", tmp_path / "pushed"
    cards.push(source, target)
    cards.push(source, target, "Better.")
    assert "## Results\n\nBetter." in (target / cards.CARD).read_text()
    (target / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"notes\.txt would be lost"):
        cards.push(source, target, "Best.")
    with pytest.raises(DataError, match="this folder is or holds the input"):
        cards.push(source, source)
    with pytest.raises(DataError, match="this model folder lacks"):
        cards.push(tmp_path, tmp_path / "other")


def test_the_hub_gets_the_same_files_and_says_no_in_one_message(tiny_experts, monkeypatch):
    source = tiny_experts / "direct"
    names = [file.name for file in cards.pushed_files(source)]
    assert "model.safetensors" in names and not {artifacts.STAMP, cards.CARD} & set(names)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="owner/judge: the hub did not take the model .*hf auth login"):
        cards.push(source, "owner/judge")


def test_results_of_a_run_stand_in_the_card(tiny_experts, tmp_path):
    scale = replace(load_scale("smoke"), paths=replace(Paths.below(tmp_path), experts=tiny_experts))
    write_text_atomic(scale.paths.tables / "table_03.csv", TABLE)
    pipeline.publish(scale, "direct", tmp_path / "pushed")
    text = (tmp_path / "pushed" / cards.CARD).read_text()
    assert "| Vicuna Bench : pearson | 0.61 | 0.5 to 0.7 | 160 | 2 |" in text
    assert cards.judge_results(scale.paths.tables, "linear") == ""


def test_a_licence_is_that_of_the_base(tmp_path):
    write_text_atomic(tmp_path / "base" / cards.CARD, "---\nlicense: apache-2.0\n---\n# base\n")
    assert "license: apache-2.0" in cards.model_card("m", "A judge.", [], str(tmp_path / "base"))
    named = cards.model_card("m", "A judge.", [], "owner/base@abc")
    assert "base_model: owner/base\n" in named and "license: other" in named
    fetched = cards.model_card("m", "A judge.", [], str(tmp_path / "models--owner--base" / "snapshots" / "abc"))
    assert "base_model: owner/base\n" in fetched
