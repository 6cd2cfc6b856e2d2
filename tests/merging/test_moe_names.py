"""Merged mixtures of experts get the names that vLLM reads, and every value stays as it was."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import tiny_mixtral
from transformers import MixtralForCausalLM

from prometheus_lib import merging
from prometheus_lib.merging import moe_names
from prometheus_lib.merging.spec import Merge
from prometheus_lib.records import DataError


def logits(folder):
    with torch.inference_mode():
        return MixtralForCausalLM.from_pretrained(folder)(input_ids=torch.arange(5, 25)[None]).logits


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    """A linear merge of two Mixtrals, straight from mergekit where that leaves the fused names."""
    root = tmp_path_factory.mktemp("mixtral")
    for seed, name in enumerate(("base", "direct", "pairwise")):
        tiny_mixtral(root / name, seed)
    assert merging.merge_experts(Merge("linear", "linear"), root / "base", root, root / "linear")
    return root


def test_a_merge_of_mixtrals_has_the_names_of_its_inputs(merged):
    before = logits(merged / "linear")
    moe_names.split_fused_experts(merged / "linear")
    ours = load_file(merged / "linear" / "model.safetensors")
    direct, pairwise = (load_file(merged / name / "model.safetensors") for name in ("direct", "pairwise"))
    assert ours.keys() == direct.keys()
    for name, tensor in ours.items():
        assert torch.allclose(tensor, (direct[name] + pairwise[name]) / 2, atol=1e-7), name
    assert torch.equal(logits(merged / "linear"), before)


def test_fused_files_are_split_bit_for_bit(tmp_path):
    """Fused weights as a model holds them in memory, in two files with an index, against transformers' own export."""
    model = tiny_mixtral(tmp_path / "published", 3)
    state = {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}
    names = sorted(state)
    files = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    folder = tmp_path / "fused"
    folder.mkdir()
    for file, own in files.items():
        save_file({name: state[name] for name in own}, folder / file, metadata={"format": "pt"})
    index = {name: file for file, own in files.items() for name in own}
    (folder / moe_names.INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": index}))
    assert any("gate_up_proj" in name for name in names)

    assert moe_names.split_fused_experts(folder)
    published = load_file(tmp_path / "published" / "model.safetensors")
    ours = {name: tensor for file in files for name, tensor in load_file(folder / file).items()}
    assert ours.keys() == published.keys() and all(torch.equal(ours[name], published[name]) for name in ours)
    index = json.loads((folder / moe_names.INDEX).read_text())
    assert set(index["weight_map"]) == set(published) and index["metadata"] == {"total_size": 1}
    assert not moe_names.split_fused_experts(folder)
    assert not list(folder.glob(".*"))


def test_other_models_are_left_alone(tiny_base):
    before = (tiny_base / "model.safetensors").read_bytes()
    assert not moe_names.split_fused_experts(tiny_base)
    assert (tiny_base / "model.safetensors").read_bytes() == before


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(DataError, match="model.safetensors.*not a whole"):
        moe_names.split_fused_experts(tmp_path)
