"""Two really trained LoRA adapters as one adapter, against the merge of the whole weights."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import huggingface_hub
import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, MixtralConfig, MixtralForCausalLM

from prometheus_lib import artifacts, data, training
from prometheus_lib.merging import adapters as adapters_
from prometheus_lib.merging.spec import Merge
from prometheus_lib.records import DataError, write_jsonl
from prometheus_lib.training import Lora, TrainingSettings, base_model

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
# The two adapters of a pair differ in rank, alpha and scaling rule.
LORAS = {
    "mistral": (Lora(4, 8, 0.0, (*ATTENTION, "up_proj")), Lora(6, 3, 0.0, (*ATTENTION, "up_proj"))),
    "mixtral": (Lora(4, 8, 0.0, (*ATTENTION, "w1", "w2", "w3")), Lora(3, 6, 0.0, (*ATTENTION, "w1", "w2", "w3"))),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    return {
        "direct": write_jsonl(folder / "feedback.jsonl", data.feedback_rows(1, 4)),
        "pairwise": write_jsonl(folder / "preference.jsonl", data.preference_rows(1, 4)),
    }


@pytest.fixture(scope="module")
def tiny_mixtral(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "mixtral"
    tokenizer = base_model.build_tokenizer()
    torch.manual_seed(0)
    config = MixtralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, num_local_experts=3, num_experts_per_tok=2, sliding_window=None,
    )  # fmt: skip
    MixtralForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def train(base, rows, out, loras) -> dict:
    """Train one adapter per format for a few large steps; return base and adapter folders."""
    folders = {"base": base}
    for (name, file), lora in zip(rows.items(), loras, strict=True):
        settings = TrainingSettings(learning_rate=2e-2, batch_size=6, max_length=512, lora=lora)
        source = (name, str(file), 12, name == "direct")
        training.train_expert(training.ExpertJob(name, str(base), (source,), settings, 42, str(out / name)))
        folders[name] = out / name / "adapter"
    return folders


@pytest.fixture(scope="module", params=["mistral", "mixtral"])
def adapters(request, tiny_base, tiny_mixtral, rows, tmp_path_factory):
    base = {"mistral": tiny_base, "mixtral": tiny_mixtral}[request.param]
    return train(base, rows, tmp_path_factory.mktemp(request.param), LORAS[request.param])


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def whole(adapters, name) -> dict[str, torch.Tensor]:
    return peft.PeftModel.from_pretrained(load(adapters["base"]), adapters[name]).merge_and_unload().state_dict()


def by_weights(adapters, a, b) -> dict[str, torch.Tensor]:
    """Base plus a times the first change plus b times the second, on whole weights."""
    base, first, second = load(adapters["base"]).state_dict(), whole(adapters, "direct"), whole(adapters, "pairwise")
    return {name: base[name] + a * (first[name] - base[name]) + b * (second[name] - base[name]) for name in base}


def merged(adapters, merge, out):
    assert adapters_.merge_adapters(merge, adapters["direct"], adapters["pairwise"], out)
    return peft.PeftModel.from_pretrained(load(adapters["base"]), out)


# --- exactness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("merge", "a", "b"),
    [
        (Merge("m", "linear", alpha=0.3), 0.3, 0.7),
        (Merge.mergekit_default("m", "linear"), 0.5, 0.5),
        (Merge.mergekit_default("m", "task-arithmetic", scaling=0.8), 0.8, 0.8),
    ],
)
def test_one_adapter_is_the_merge_of_whole_weights(adapters, tmp_path, merge, a, b):
    wanted = by_weights(adapters, a, b)
    found = merged(adapters, merge, tmp_path / "m").merge_and_unload().state_dict()
    far = whole(adapters, "direct")
    assert max((far[name] - wanted[name]).abs().max() for name in wanted) > 1e-3  # the experts did move
    assert max((found[name] - wanted[name]).abs().max() for name in wanted) < 1e-5


def test_it_answers_beside_an_untouched_base(adapters, tmp_path):
    ids = torch.arange(30).reshape(3, 10)
    model, base = merged(adapters, Merge("m", "linear", alpha=0.4), tmp_path / "m"), load(adapters["base"])
    whole_model = load(adapters["base"])
    whole_model.load_state_dict(by_weights(adapters, 0.4, 0.6))
    with torch.inference_mode(), model.disable_adapter():
        assert torch.equal(model(input_ids=ids).logits, base(input_ids=ids).logits)
    with torch.inference_mode():
        assert torch.allclose(model(input_ids=ids).logits, whole_model(input_ids=ids).logits, atol=1e-4)


def test_ranks_add_up_and_an_unchanged_merge_is_skipped(adapters, tmp_path):
    merge, folders = Merge("m", "linear"), (adapters["direct"], adapters["pairwise"])
    assert adapters_.merge_adapters(merge, *folders, tmp_path / "m")
    assert not adapters_.merge_adapters(merge, *folders, tmp_path / "m")
    assert adapters_.merge_adapters(replace(merge, alpha=0.4), *folders, tmp_path / "m")
    layers = [adapters_.load_adapter(folder).layers for folder in (*folders, tmp_path / "m")]
    assert all(layers[0][name].rank + layers[1][name].rank == layer.rank for name, layer in layers[2].items())
    assert {layer.scaling for layer in layers[2].values()} == {1.0}


def test_rank_stabilised_scaling_and_patterns(tiny_base, tmp_path):
    """One adapter scales by alpha / sqrt(r), the other has ranks and alphas of its own for single layers."""
    configs = {
        "direct": peft.LoraConfig(r=4, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "v_proj"]),
        "pairwise": peft.LoraConfig(
            r=2, lora_alpha=2, target_modules=["q_proj", "v_proj"], rank_pattern={"v_proj": 5, "layers.1.*.q_proj": 3},
            alpha_pattern={"layers.0.self_attn.v_proj": 7},
        ),
    }  # fmt: skip
    adapters = {"base": tiny_base}
    for name, config in configs.items():
        model = peft.get_peft_model(load(tiny_base), config)
        torch.manual_seed(1)
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.2)
        model.save_pretrained(tmp_path / name)
        adapters[name] = tmp_path / name
    wanted, found = by_weights(adapters, 0.3, 0.7), merged(adapters, Merge("m", "linear", alpha=0.3), tmp_path / "m")
    assert max((t - wanted[n]).abs().max() for n, t in found.merge_and_unload().state_dict().items()) < 1e-5


def test_modules_trained_as_a_whole_are_averaged_or_refused(tiny_base, tmp_path):
    adapters = {"base": tiny_base}
    for seed, name in enumerate(("direct", "pairwise")):
        config = peft.LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"], task_type="CAUSAL_LM")
        model = peft.get_peft_model(load(tiny_base), config)
        torch.manual_seed(seed)
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data += 0.1 * torch.randn_like(parameter)
        model.save_pretrained(tmp_path / name)
        adapters[name] = tmp_path / name
    wanted, found = by_weights(adapters, 0.3, 0.7), merged(adapters, Merge("m", "linear", alpha=0.3), tmp_path / "m")
    assert max((t - wanted[n]).abs().max() for n, t in found.merge_and_unload().state_dict().items()) < 1e-5
    with pytest.raises(DataError, match=r"lm_head.*trained as a whole.*do not sum to 1"):
        merged(adapters, Merge.mergekit_default("m", "task-arithmetic"), tmp_path / "n")
    assert not (tmp_path / "n").exists()


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(tiny_base, tmp_path):
    """Two untrained adapters to be damaged: quick to make, and never merged."""
    folders = {}
    for name in ("direct", "pairwise"):
        model = peft.get_peft_model(load(tiny_base), peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
        model.save_pretrained(tmp_path / name)
        folders[name] = tmp_path / name
    return folders


def change(folder, **settings):
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, **settings}))


def refuse(pair, tmp_path, match, merge=Merge("m", "linear")):  # noqa: B008
    with pytest.raises(DataError, match=match):
        adapters_.merge_adapters(merge, pair["direct"], pair["pairwise"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_input_is_built_over(pair, tiny_base, tmp_path, monkeypatch):
    shutil.copytree(tiny_base, tmp_path / "base")
    artifacts.build_folder(  # a base that was built here, so that nothing else protects it
        tmp_path / "ours",
        artifacts.stamp_of({}, {}),
        lambda new: shutil.copytree(tiny_base, new, dirs_exist_ok=True),
        [],
    )
    for name in pair:
        change(pair[name], base_model_name_or_path=str(tmp_path / "ours"))
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for out in ("direct", "pairwise/", ".", tmp_path, "direct/m", "ours", "base"):
        with pytest.raises(DataError, match="input|working folder|not built here"):
            adapters_.merge_adapters(Merge("m", "linear"), pair["direct"], pair["pairwise"], out)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_base_that_is_gone_is_named(pair, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for gone in (str(tmp_path / "gone"), "./gone", "no-such-folder", "no-such/folder"):
        change(pair["pairwise"], base_model_name_or_path=gone)
        change(pair["direct"], base_model_name_or_path=gone)
        refuse(
            pair, tmp_path, rf"direct/adapter_config.json: the adapter's base model {re.escape(gone)} is not to be had"
        )
    change(pair["direct"], base_model_name_or_path=None)
    refuse(pair, tmp_path, "direct/adapter_config.json: base_model_name_or_path is empty")


@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_weights_that_are_not_finite_are_named(pair, tmp_path, bad):
    file = pair["pairwise"] / "adapter_model.safetensors"
    tensors = load_file(file)
    name = sorted(tensors)[-1]
    tensors[name][0, 0] = bad
    save_file(tensors, file)
    refuse(
        pair, tmp_path, rf"pairwise/adapter_model.safetensors: {re.escape(name)} holds 1 weights that are NaN or inf"
    )
    tensors[name][:] = 1e38
    save_file(tensors, file)
    change(pair["pairwise"], lora_alpha=1000)
    refuse(pair, tmp_path, "merge 'm': .*lora_B.weight holds .* too large for float32")


def test_a_damaged_adapter_is_named(pair, tmp_path):
    file = pair["pairwise"] / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    refuse(pair, tmp_path, "pairwise/adapter_model.safetensors: not a whole safetensors file")
    (pair["direct"] / "adapter_config.json").write_text("{")
    refuse(pair, tmp_path, "direct/adapter_config.json: not valid JSON")


def test_other_methods_are_refused(pair, tmp_path):
    refuse(pair, tmp_path, "ties of two adapters is no adapter", Merge("m", "ties", density=0.2))


def test_other_bases_are_refused(pair, tiny_mixtral, tmp_path):
    change(pair["pairwise"], base_model_name_or_path=str(tiny_mixtral))
    refuse(pair, tmp_path, "pairwise adapts .*mixtral; adapters need one base")


def test_a_moved_copy_of_the_base_is_the_same_base(pair, tiny_base, tmp_path):
    shutil.copytree(tiny_base, tmp_path / "moved")
    change(pair["pairwise"], base_model_name_or_path=str(tmp_path / "moved"))
    assert adapters_.merge_adapters(Merge("m", "linear"), pair["direct"], pair["pairwise"], tmp_path / "out")


def test_other_targets_are_refused(pair, tiny_base, tmp_path):
    model = peft.get_peft_model(load(tiny_base), peft.LoraConfig(r=2, target_modules=["q_proj", "k_proj"]))
    model.save_pretrained(pair["pairwise"])
    refuse(pair, tmp_path, r"different modules: only the first has .*v_proj.*only the second .*k_proj")


@pytest.mark.parametrize(("setting", "value"), [("use_dora", True), ("bias", "all"), ("init_lora_weights", "pissa")])
def test_adapters_of_another_kind_are_refused(pair, tmp_path, setting, value):
    change(pair["direct"], **{setting: value})
    refuse(pair, tmp_path, f"direct/adapter_config.json: {setting} is .*more than two thin matrices")


def test_missing_files_and_missing_tensors_are_named(pair, tmp_path):
    file = pair["pairwise"] / "adapter_model.safetensors"
    tensors = load_file(file)
    lost = sorted(tensors)[0]
    save_file({name: tensor for name, tensor in tensors.items() if name != lost}, file)
    refuse(pair, tmp_path, f"pairwise/adapter_model.safetensors: .*{lost}.* do not fit")
    file.unlink()
    refuse(pair, tmp_path, "pairwise/adapter_model.safetensors: file not found")
