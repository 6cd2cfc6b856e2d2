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
