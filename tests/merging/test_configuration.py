"""Settings that change what weights compute are compared, however they are written; others are not."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from prometheus_lib.merging.configuration import check_settings
from prometheus_lib.records import DataError

MISTRAL = {
    "model_type": "mistral", "vocab_size": 100, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "sliding_window": None,
}  # fmt: skip
GEMMA = {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "hidden_size": 32}, "vision_config": {}}
OWN = {"model_type": "somebodys_own", "factor": 1.0, "auto_map": {"AutoConfig": "conf.Config"}}


@pytest.fixture
def folders(tmp_path):
    """Return a function that writes two configurations and returns their folders."""

    def write(first, second):
        paths = [tmp_path / name for name in ("first", "second")]
        for path, settings in zip(paths, (first, second), strict=True):
            path.mkdir(exist_ok=True)
            (path / "config.json").write_text(json.dumps(settings))
        return paths

    return write


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, "rope_parameters.factor"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_parameters.rope_type"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0}}, "rope_parameters.factor"),
        ({"rope_theta": 1e6}, "rope_parameters.rope_theta in config.json is 10000.0 and 1000000.0"),
        ({"rope_theta": 1e6, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}, "rope_theta"),
        ({"sliding_window": 16}, "sliding_window in config.json is None and 16"),
        ({"rms_norm_eps": 1e-5}, "rms_norm_eps in config.json is 1e-06 and 1e-05"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"num_key_value_heads": 2}, "num_key_value_heads"),
        ({"num_attention_heads": 4}, "num_attention_heads in config.json is 2 and 4"),
        ({"max_position_embeddings": 64}, "max_position_embeddings"),
        ({"eos_token_id": 7}, "eos_token_id"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantization_config.quant_method"),
        ({"eos_token_id": [2, 7]}, "eos_token_id"),
        ({"model_type": "llama"}, "model_type in config.json is 'mistral' and 'llama'"),
    ],
    ids=str,
)
def test_what_changes_the_answers_is_named(folders, changed, named):
    for pair in ((MISTRAL, {**MISTRAL, **changed}), ({**MISTRAL, **changed}, MISTRAL)):
        with pytest.raises(DataError) as error:
            check_settings(*folders(*pair))
        assert named.partition(" is ")[0] in str(error.value)
    with pytest.raises(DataError) as error:
        check_settings(*folders(MISTRAL, {**MISTRAL, **changed}))
    assert named in str(error.value)


@pytest.mark.parametrize("changed", [{"rope_scaling": {"type": "linear", "factor": 4.0}}, {"rms_norm_eps": 1e-2}])
def test_what_is_named_does_change_them(folders, changed):
    logits = []
    for folder in folders(MISTRAL, {**MISTRAL, **changed}):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).eval()
        with torch.inference_mode():
            logits.append(model(torch.arange(40)[None]).logits)
    assert not torch.allclose(*logits, atol=1e-4)


@pytest.mark.parametrize(
    "changed",
    [
        {"rope_theta": 10000.0},
        {"rope_theta": 10000, "rope_scaling": None},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
        {"rope_parameters": {"rope_theta": 10000.0, "type": "default", "rope_type": "default"}},
        {"rms_norm_eps": 1e-6, "hidden_act": "silu", "max_position_embeddings": 131072},
        {"eos_token_id": [2]},
        {"pad_token_id": 2},
        {"torch_dtype": "bfloat16"},
        {"dtype": "float16", "use_cache": False, "transformers_version": "4.31.0", "_name_or_path": "there"},
        {"attention_dropout": 0.1, "initializer_range": 0.5, "architectures": ["MistralForCausalLM"]},
        {"unsloth_version": "2024.9", "quantization_config": None},
        {"_attn_implementation_autoset": True},
        {"tie_word_embeddings": True},  # compared with the weights, in `checks`
    ],
    ids=str,
)
def test_what_changes_nothing_raises_no_alarm(folders, changed):
    check_settings(*folders(MISTRAL, {**MISTRAL, **changed}))
    check_settings(*folders({**MISTRAL, **changed}, MISTRAL))


def test_a_base_may_end_its_answers_otherwise(folders):
    check_settings(*folders({**MISTRAL, "eos_token_id": [2, 7]}, MISTRAL), is_base=True)
    with pytest.raises(DataError, match="rms_norm_eps"):
        check_settings(*folders({**MISTRAL, "rms_norm_eps": 1e-5}, MISTRAL), is_base=True)


def test_the_parts_of_a_model_of_several_are_compared(folders):
    for part, name, value in (
        ("text_config", "rms_norm_eps", 1e-5), ("text_config", "sliding_window", 16),
        ("vision_config", "image_size", 8),
        ("text_config", "rope_theta", 5e5), ("text_config", "rope_scaling", {"rope_type": "linear", "factor": 8.0}),
    ):  # fmt: skip
        changed = {**GEMMA, part: {**GEMMA[part], name: value}}
        with pytest.raises(DataError, match=rf"{part}\."):
            check_settings(*folders(GEMMA, changed))
    harmless = {
        "dtype": "bfloat16",
        "attention_dropout": 0.5,
        "_name_or_path": "x",
        "unsloth_version": "1",
        "use_cache": False,
    }
    check_settings(*folders(GEMMA, {**GEMMA, "text_config": {**GEMMA["text_config"], **harmless}}))


def test_an_architecture_of_somebodys_own_is_compared_as_it_is_written(folders):
    check_settings(*folders(OWN, {**OWN, "dtype": "float16", "nothing": None}))
    for changed in ({"factor": 2.0}, {"more": 1}, {"nested": {"deep": 1}}):
        with pytest.raises(DataError, match=list(changed)[0]):
            check_settings(*folders(OWN, {**OWN, **changed}))
