"""Weights put into live models: names in files, names in transformers' models, and what does not fit."""

from __future__ import annotations

import pytest
import torch
from tiny_models import tiny_gemma, tiny_mixtral
from transformers import AutoConfig, AutoModelForCausalLM

from prometheus_lib.merging import geometry, live
from prometheus_lib.records import DataError


@pytest.fixture(params=["mistral", "mixtral", "gemma"])
def pair(request, tiny_base, tiny_experts, tmp_path):
    """Two model folders of one architecture with different weights."""
    if request.param == "mistral":
        return tiny_base, tiny_experts / "direct"
    make = tiny_mixtral if request.param == "mixtral" else tiny_gemma
    folders = tmp_path / "one", tmp_path / "other"
    for seed, folder in enumerate(folders):
        make(folder, seed)
    return folders


def test_a_live_model_becomes_the_other_one(pair):
    model = live.live_model(pair[0])
    live.load_into(model, geometry.stored(pair[1]))
    wanted = AutoModelForCausalLM.from_pretrained(pair[1], dtype=torch.float32).state_dict()
    state = model.state_dict()
    assert set(state) == set(wanted) and all(torch.equal(state[name], wanted[name]) for name in wanted)


def test_points_of_the_plane_of_two_changes(tiny_base, tiny_experts):
    parents = [geometry.stored(folder) for folder in (tiny_base, tiny_experts / "direct", tiny_experts / "pairwise")]
    model = live.live_model(tiny_base)
    live.load_into(model, geometry.combined(*parents, 0.0, 1.0))
    name = "model.layers.1.mlp.down_proj.weight"
    assert torch.allclose(model.state_dict()[name], parents[2].read(name), atol=1e-6)


def test_what_does_not_fit_is_named(tiny_base):
    model, base = live.live_model(tiny_base, bf16=True), geometry.stored(tiny_base)
    assert model.dtype == torch.bfloat16
    with pytest.raises(DataError, match="model.nothing.weight"):
        live.load_into(model, geometry.Weights(("model.nothing.weight",), base.read))
    with pytest.raises(DataError, match="experts.0.w1"):
        live.load_into(model, geometry.Weights(("model.layers.0.block_sparse_moe.experts.0.w1.weight",), base.read))
    with pytest.raises(DataError, match=r"norm.weight: \(1,\), but \(64,\)"):
        live.load_into(
            model, geometry.Weights(base.names, lambda name: torch.ones(1) if "norm" in name else base.read(name))
        )


def test_nothing_of_the_earlier_weights_stays(pair):
    """A tensor less, of whatever kind, and the model is not touched; a tied head may be left out."""
    model, weights = live.live_model(pair[0]), geometry.stored(pair[1])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for lost in (weights.names[0], weights.names[-1], next(name for name in weights.names if ".0." in name)):
        part = geometry.Weights(tuple(name for name in weights.names if name != lost), weights.read)
        with pytest.raises(DataError, match="the weights do not hold .* of the model; give a whole model's"):
            live.load_into(model, part)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_tied_head_is_filled_with_the_embeddings(tiny_base, tmp_path):
    config = AutoConfig.from_pretrained(tiny_base, tie_word_embeddings=True)
    for seed, name in enumerate(("one", "other")):
        torch.manual_seed(seed)
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / name)
    model, other = live.live_model(tmp_path / "one"), geometry.stored(tmp_path / "other")
    assert "lm_head.weight" not in other.names
    live.load_into(model, other)
    assert torch.equal(model.lm_head.weight, other.read("model.embed_tokens.weight"))


def test_the_router_has_the_name_that_the_model_gives_it():
    held = {"layers.0.mlp.router.weight": torch.zeros(2)}
    name = "model.layers.0.block_sparse_moe.gate.weight"
    assert live.place_in(held, name) is held["layers.0.mlp.router.weight"]
    assert live.place_in({}, name) is None
