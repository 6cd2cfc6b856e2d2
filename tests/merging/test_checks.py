"""Models that cannot be merged are refused by name before anything is written; doubtful ones are warned about."""

from __future__ import annotations

import json
import shutil
import warnings

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from prometheus_lib import merging
from prometheus_lib.merging import checks, layout
from prometheus_lib.merging.spec import Merge
from prometheus_lib.records import DataError

KEY = "model.layers.1.self_attn.q_proj.weight"
TIES = Merge("m", "ties", density=0.5)


@pytest.fixture
def models(tiny_base, tiny_experts, tmp_path):
    """Return a folder with copies of `base`, `direct` and `pairwise`, to be damaged."""
    shutil.copytree(tiny_base, tmp_path / "in" / "base")
    for name in ("direct", "pairwise"):
        shutil.copytree(tiny_experts / name, tmp_path / "in" / name)
    return tmp_path / "in"


def refused(models, merge=TIES) -> str:
    """Return the message that refuses a merge with either engine; nothing may be written."""
    out = models.parent / "out"
    messages = set()
    for engine in merging.ENGINES:
        with pytest.raises(DataError) as error:
            merging.merge_experts(merge, models / "base", models, out / "m", engine=engine)
        messages.add(str(error.value))
    assert not out.exists()
    return messages.pop() if len(messages) == 1 else pytest.fail(f"the engines differ: {messages}")


def change(folder, edit) -> None:
    """Rewrite a model's weights after `edit`."""
    state = load_file(folder / "model.safetensors")
    edit(state)
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def configure(folder, **settings) -> None:
    """Change settings in config.json."""
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def save_in_shards(folder) -> None:
    """Save a model in several files."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="150KB")


def test_good_models_pass_without_a_word(models):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks.check_mergeable(models / "direct", models / "pairwise", models / "base")


@pytest.mark.parametrize("which", ["direct", "pairwise", "base"])
def test_a_missing_tensor_is_named(models, which):
    change(models / which, lambda state: state.pop(KEY))
    message = refused(models)
    assert f"{models / which} lacks 1 tensors" in message and f"{KEY} (in model.safetensors)" in message


def test_an_extra_tensor_is_named(models):
    change(models / "pairwise", lambda state: state.update(extra=torch.ones(2)))
    message = refused(models)
    assert f"{models / 'direct'} lacks" in message and "extra (in model.safetensors)" in message


def test_a_misshapen_tensor_is_named(models):
    change(models / "pairwise", lambda state: state.update({KEY: state[KEY][:32].clone()}))
    message = refused(models)
    assert f"{KEY} (64, 64) against (32, 64)" in message and "pairwise/model.safetensors" in message


def test_different_vocabularies_are_refused_by_token(models):
    file = models / "pairwise" / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    tokenizer["added_tokens"][-1]["content"] = "another token"
    file.write_text(json.dumps(tokenizer))
    message = refused(models)
    assert "the tokenizers differ" in message and "'another token'" in message


def test_tied_against_untied_embeddings(models):
    change(models / "pairwise", lambda state: state.pop("lm_head.weight"))
    configure(models / "pairwise", tie_word_embeddings=True)
    message = refused(models)
    assert f"{models / 'direct'} has an output head of its own" in message and "tie_word_embeddings" in message


def test_different_number_formats_are_refused(models):
    change(models / "pairwise", lambda state: state.update({k: v.bfloat16() for k, v in state.items()}))
    message = refused(models)
    assert "different number formats" in message and "F32 against BF16" in message


def test_a_base_in_a_coarser_format_is_fine(models):
    change(models / "base", lambda state: state.update({k: v.bfloat16() for k, v in state.items()}))
    assert merging.merge_experts(TIES, models / "base", models, models.parent / "m", engine="prometheus")


def test_quantised_weights_are_refused(models):
    change(models / "pairwise", lambda state: state.update({KEY: state[KEY].to(torch.int8)}))
    assert f"{KEY} (I8)" in refused(models)


def test_another_architecture_of_the_same_shapes(models):
    configure(models / "pairwise", num_attention_heads=4)
    configure(models / "direct", num_attention_heads=2)
    assert "num_attention_heads in config.json is 2 and 4" in refused(models)
    configure(models / "direct", num_attention_heads=4, rope_theta=1e6)
    assert "rope_theta in config.json is 1000000.0 and 10000.0" in refused(models)


def test_an_adapter_is_told_from_a_model(models):
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(models / "base"), LoraConfig(target_modules=["q_proj"]))
    shutil.rmtree(models / "pairwise")
    model.save_pretrained(models / "pairwise")
    message = refused(models)
    assert f"{models / 'pairwise'}: this is a LoRA adapter" in message and "merge_and_unload" in message


def test_a_missing_shard_is_named_with_its_tensors(models):
    save_in_shards(models / "pairwise")
    lost = sorted((models / "pairwise").glob("model-*.safetensors"))[1]
    names = list(load_file(lost))
    lost.unlink()
    message = refused(models)
    assert "pairwise/model.safetensors.index.json" in message and lost.name in message
    assert any(name in message for name in names)


def test_shards_without_an_index_or_with_a_wrong_one(models):
    save_in_shards(models / "pairwise")
    index = models / "pairwise" / layout.INDEX
    places = json.loads(index.read_text())["weight_map"]
    other = next(file for file in places.values() if file != places[KEY])
    index.write_text(json.dumps({"weight_map": {**places, KEY: other}}))
    message = refused(models)
    assert f"{KEY} ({other})" in message
    index.write_text("{")
    assert "index.json: not valid JSON" in refused(models)
    index.unlink()
    assert "neither model.safetensors nor model.safetensors.index.json" in refused(models)


def read_by_transformers(folder) -> dict[str, torch.Tensor]:
    return AutoModelForCausalLM.from_pretrained(folder).state_dict()


def test_two_models_in_one_folder_are_refused_naming_both(models):
    """Old shards and their index beside a newer model.safetensors, and the other way round."""
    shutil.copy(models / "pairwise" / "model.safetensors", models / "whole")
    save_in_shards(models / "pairwise")
    shutil.copy(models / "whole", models / "pairwise" / "model.safetensors")
    message = refused(models, Merge("m", "linear"))
    assert str(models / "pairwise") in message
    assert "both model.safetensors and model.safetensors.index.json with model-00001-of-" in message
    sorted((models / "pairwise").glob("model-*"))[0].unlink()
    assert "two models in one folder" in refused(models, Merge("m", "linear"))


@pytest.mark.parametrize("engine", merging.ENGINES)
def test_an_index_whose_files_are_gone_hides_nothing(models, engine):
    """save_pretrained leaves it behind when a model of several files is saved again as one."""
    save_in_shards(models / "pairwise")
    (models / "old").write_bytes((models / "pairwise" / layout.INDEX).read_bytes())
    AutoModelForCausalLM.from_pretrained(models / "pairwise").save_pretrained(models / "pairwise")
    shutil.move(models / "old", models / "pairwise" / layout.INDEX)
    assert not list((models / "pairwise").glob("model-*"))
    out = models.parent / "m"
    for first, second in (("direct", "pairwise"), ("pairwise", "direct")):
        merge = Merge("m", "linear", first, second, alpha=0.25)
        assert merging.merge_experts(merge, models / "base", models, out, engine=engine)
        ours, one, two = (read_by_transformers(folder) for folder in (out, models / first, models / second))
        assert all(torch.allclose(ours[name], 0.25 * one[name] + 0.75 * two[name], atol=1e-6) for name in ours)
        assert not (out / layout.INDEX).exists()


@pytest.mark.parametrize("engine", merging.ENGINES)
def test_other_weight_files_are_not_read_where_transformers_does_not_read_them(models, engine):
    direct = models / "direct"
    state = {name: 0 * tensor for name, tensor in load_file(direct / "model.safetensors").items()}
    torch.save(state, direct / "pytorch_model.bin")  # newer, and all zeros
    save_file(state, direct / "consolidated.safetensors")
    (direct / layout.INDEX).write_text(json.dumps({"weight_map": dict.fromkeys(state, "model.safetensors")}))
    out = models.parent / "m"
    assert merging.merge_experts(Merge("m", "linear", alpha=1.0), models / "base", models, out, engine=engine)
    ours, wanted = read_by_transformers(out), read_by_transformers(direct)
    assert all(torch.equal(ours[name], wanted[name]) for name in wanted) and any(map(torch.any, wanted.values()))


def test_weights_as_pickles_alone_are_refused(models):
    torch.save(load_file(models / "direct" / "model.safetensors"), models / "direct" / "pytorch_model.bin")
    (models / "direct" / "model.safetensors").unlink()
    assert "only pytorch_model.bin" in refused(models)


def test_an_adapter_beside_a_model_is_refused(models):
    """transformers would load both, one on top of the other."""
    (models / "pairwise" / "adapter_config.json").write_text("{}")
    assert f"{models / 'pairwise'}: this is a LoRA adapter (adapter_config.json) beside a model" in refused(models)


@pytest.mark.parametrize("settings", [
    {"rope_scaling": {"type": "linear", "factor": 4.0}}, {"sliding_window": 16}, {"rms_norm_eps": 1e-3},
])  # fmt: skip
def test_one_expert_or_the_base_with_other_settings_is_refused(models, settings):
    before = (models / "pairwise" / "config.json").read_text()
    configure(models / "pairwise", **settings)
    message = refused(models)
    assert f"{models / 'direct'} and {models / 'pairwise'}" in message and "in config.json is" in message
    (models / "pairwise" / "config.json").write_text(before)
    configure(models / "base", **settings)
    assert f"{models / 'direct'} and {models / 'base'}" in refused(models)
    assert merging.merge_experts(Merge("m", "linear"), models / "base", models, models.parent / "m")  # needs no base


def test_a_base_that_is_gone_is_named(models):
    with pytest.raises(DataError, match="no-such-folder/base: there is no such model folder"):
        merging.merge_experts(TIES, models / "no-such-folder/base", models, models.parent / "m")


def test_experts_that_end_their_answers_otherwise_are_warned_about(models):
    file = models / "pairwise" / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "eos_token_id": [2, 7]}))
    with pytest.warns(UserWarning, match="end answers differently"):
        checks.check_mergeable(models / "direct", models / "pairwise")
    file.write_text(json.dumps({**json.loads(file.read_text()), "eos_token_id": [2]}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks.check_mergeable(models / "direct", models / "pairwise")


def test_tokenizers_that_split_texts_otherwise_are_warned_about(models):
    file = models / "pairwise" / "tokenizer.json"
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**tokenizer, "normalizer": {"type": "Lowercase"}}), encoding="utf-8")
    with pytest.warns(UserWarning, match="split texts into different tokens .*; the merge gets the first's"):
        checks.check_mergeable(models / "direct", models / "pairwise")


def test_a_configuration_that_is_no_object_is_named(models):
    (models / "pairwise" / "config.json").write_text("[]")
    assert f"{models / 'pairwise' / 'config.json'}: a list, not an object" in refused(models)


def test_sharded_and_whole_models_can_be_merged(models):
    save_in_shards(models / "pairwise")
    assert merging.merge_experts(TIES, models / "base", models, models.parent / "m", engine="prometheus")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-100], lambda data: data[:50], lambda data: b"", lambda d: d + d]
)
def test_a_damaged_file_is_named(models, damage):
    file = models / "pairwise" / "model.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    assert str(file) in refused(models)


def test_methods_without_a_base_do_not_look_at_it(models):
    change(models / "base", lambda state: state.pop(KEY))
    assert merging.merge_experts(Merge("m", "linear"), models / "base", models, models.parent / "m")


def test_an_expert_that_is_the_other_or_the_base_is_warned_about(models):
    shutil.rmtree(models / "pairwise")
    shutil.copytree(models / "direct", models / "pairwise")
    (models / "pairwise" / "training_log.json").unlink()
    save_in_shards(models / "pairwise")  # the same weights in other files
    with pytest.warns(UserWarning, match="are the same model; merging"):
        checks.check_mergeable(models / "direct", models / "pairwise")
    with pytest.warns(UserWarning, match="this expert changes nothing"):
        checks.check_mergeable(models / "direct", models / "base", models / "base")


def test_other_chat_templates_and_rounded_experts_are_warned_about(models):
    (models / "pairwise" / "chat_template.jinja").write_text("{{ messages }}")
    for name in ("direct", "pairwise"):
        change(models / name, lambda state: state.update({k: v.bfloat16() for k, v in state.items()}))
    with pytest.warns(UserWarning) as caught:
        checks.check_mergeable(models / "direct", models / "pairwise", models / "base")
    text = " ".join(str(warning.message) for warning in caught)
    assert "different chat templates" in text and "their own rounding" in text


def test_same_weights_looks_at_the_last_byte(models):
    layouts = [layout.read_layout(models / "direct") for _ in range(2)]
    assert layout.same_weights(*layouts)
    change(models / "pairwise", lambda state: state.update(load_file(models / "direct" / "model.safetensors")))
    change(models / "pairwise", lambda state: state["lm_head.weight"].view(-1)[-1:].add_(1e-3))
    assert not layout.same_weights(layouts[0], layout.read_layout(models / "pairwise"))
