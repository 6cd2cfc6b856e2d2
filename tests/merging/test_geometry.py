"""Geometry of experts' changes, against sums over whole models held in memory."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from prometheus_lib.merging import Merge, disk, geometry, methods
from prometheus_lib.records import DataError

LINEAR = Merge("half", "linear")


@pytest.fixture(scope="module")
def folders(tiny_base, tiny_experts):
    return {"base": tiny_base, "direct": tiny_experts / "direct", "pairwise": tiny_experts / "pairwise"}


@pytest.fixture(scope="module")
def weights(folders):
    return {name: geometry.stored(folder) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def whole(folders):
    """All weights of each model as one long vector, in double precision and the same order."""
    states = {n: AutoModelForCausalLM.from_pretrained(f, dtype=torch.float32).state_dict() for n, f in folders.items()}
    names = sorted(states["base"])
    return {n: torch.cat([state[k].flatten() for k in names]).double().numpy() for n, state in states.items()}


@pytest.fixture(scope="module")
def products(weights):
    half = geometry.merged(LINEAR, *weights.values())
    return geometry.inner_products(weights["base"], {**weights, "half": half})


def test_inner_products_are_those_of_whole_models(products, whole, monkeypatch, weights):
    d, p = (whole[name] - whole["base"] for name in ("direct", "pairwise"))
    assert products.loc["direct", "pairwise"] == pytest.approx(d @ p, rel=1e-9)
    assert products.loc["direct", "direct"] == pytest.approx(d @ d, rel=1e-9)
    assert products.loc["base"].abs().max() == 0
    monkeypatch.setattr(disk, "PIECE", 1000)  # tensors cut into many pieces
    monkeypatch.setattr(disk, "WINDOW", 3000)
    again = geometry.inner_products(weights["base"], {"direct": weights["direct"], "pairwise": weights["pairwise"]})
    assert np.allclose(again, products.loc[again.index, again.columns], rtol=1e-12)


def test_positions_find_effective_coefficients(products, whole):
    table = geometry.positions(products)
    assert table.loc["direct", ["a", "b"]].tolist() == pytest.approx([1, 0])
    assert table.loc["half", ["a", "b"]].tolist() == pytest.approx([0.5, 0.5], abs=1e-5)
    assert table.loc["half", "out of plane"] < 1e-3
    d, p = (whole[name] - whole["base"] for name in ("direct", "pairwise"))
    apart = np.linalg.norm(d - p) / np.linalg.norm(d)
    assert table.loc["direct", "to pairwise"] == pytest.approx(apart, rel=1e-6)
    assert table.loc["half", "to direct"] == pytest.approx(apart / 2, rel=1e-4)
    x, y = geometry.in_plane(products, 0.0, 1.0)
    assert math.hypot(x, y) == pytest.approx(table.loc["pairwise", "to base"])


def test_cosines_have_ones_on_the_diagonal(products):
    found = geometry.cosines(products)
    assert found.loc["direct", "direct"] == pytest.approx(1) and math.isnan(found.loc["base", "direct"])
    assert -1 <= found.loc["direct", "pairwise"] <= 1


def test_changes_by_module_sum_to_the_whole_change(weights, whole):
    table = geometry.changes_by_module(*weights.values())
    assert set(table["layer"]) == {-1, 0, 1} and {"q", "down", "embed_tokens", "lm_head"} <= set(table["module"])
    one = table[(table["layer"] == 0) & (table["module"] == "q")].iloc[0]
    name = "model.layers.0.self_attn.q_proj.weight"
    base, direct, pairwise = (model.read(name).flatten() for model in weights.values())
    assert one["first"] == pytest.approx(((direct - base).norm() / base.norm()).item(), rel=1e-5)
    cosine = torch.cosine_similarity(direct - base, pairwise - base, dim=0).item()
    assert one["cosine"] == pytest.approx(cosine, abs=1e-5)


def test_the_experts_of_a_mixture_count_together():
    tensors = {f"model.layers.0.block_sparse_moe.experts.{n}.w1.weight": torch.full((2, 2), n + 1.0) for n in range(2)}
    base = geometry.Weights(tuple(tensors), lambda name: tensors[name])
    moved = geometry.Weights(tuple(tensors), lambda name: tensors[name] + 1)
    table = geometry.changes_by_module(base, moved, moved)
    assert len(table) == 1 and table.loc[0, "module"] == "w1"
    assert table.loc[0, "first"] == pytest.approx(math.sqrt(8 / (4 * 1 + 4 * 4)))


def test_sign_conflicts_by_hand():
    base = geometry.Weights(("w",), lambda name: torch.zeros(4))
    one = geometry.Weights(("w",), lambda name: torch.tensor([4.0, 3.0, 1.0, 0.5]))
    two = geometry.Weights(("w",), lambda name: torch.tensor([-4.0, 1.0, 3.0, 0.5]))
    table = geometry.sign_conflicts(base, one, two, [1.0, 0.5, 0.25])
    assert table.loc[1.0].tolist() == [1.0, 0.25]
    assert table.loc[0.5].tolist() == [0.25, 1.0]  # kept: entries 0, 1 and 0, 2
    assert table.loc[0.25].tolist() == [0.25, 1.0]


def test_slerp_angles_agree_with_the_methods_weights(weights):
    table = geometry.slerp_angles(weights["direct"], weights["pairwise"])
    assert table["degrees"].is_monotonic_increasing and len(table) == len(weights["base"].names)
    name = table.index[-1]
    pair = methods.slerp_weights(weights["direct"].read(name), weights["pairwise"].read(name), 0.5)
    assert table.loc[name, "weights sum to"] == pytest.approx(sum(pair))


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("model.layers.11.mlp.experts.gate_up_proj", (11, "gate_up")),
        ("model.layers.1.mlp.experts.63.gate_proj.weight", (1, "gate")),
        ("model.layers.1.mlp.shared_expert.gate_proj.weight", (1, "shared gate")),
        ("model.layers.1.mlp.shared_experts.down_proj.weight", (1, "shared down")),
        ("model.layers.1.mlp.shared_expert_gate.weight", (1, "router")),
        ("model.layers.7.self_attn.qkv_proj.weight", (7, "qkv")),
        ("model.layers.7.self_attn.k_proj.bias", (7, "k bias")),
        ("transformer.h.9.attn.c_attn.weight", (9, "c_attn")),
        ("model.language_model.layers.2.pre_feedforward_layernorm.weight", (2, "pre_feedforward_layernorm")),
        ("language_model.model.layers.2.self_attn.q_proj.weight", (2, "q")),
        ("language_model.model.norm.weight", (-1, "norm")),
        ("vision_tower.vision_model.encoder.layers.2.self_attn.q_proj.weight", (-1, "vision")),
        ("model.vision_tower.encoder.layers.0.mlp.fc1.bias", (-1, "vision")),
        ("visual.blocks.0.attn.qkv.weight", (-1, "visual")),
        ("multi_modal_projector.mm_input_projection_weight", (-1, "multi_modal")),
        ("model.layers.5.self_attn.q_norm.weight", (5, "q_norm")),
        ("model.layers.4.mlp.gate.weight", (4, "router")),
        ("lm_head.weight", (-1, "lm_head")),
    ],
)
def test_names_of_other_architectures(name, place):
    assert geometry.place_of(name) == place


@pytest.mark.parametrize("method", ["slerp", "ties", "dare-linear"])
def test_a_merge_is_computed_in_pieces_as_in_memory(method, weights, monkeypatch):
    monkeypatch.setattr(disk, "PIECE", methods.SUM_BLOCK)
    merge = Merge("m", method, density=0.2) if method in ("ties", "dare-linear") else Merge("m", method)
    computed, name = geometry.merged(merge, *weights.values()), "model.embed_tokens.weight"
    expected = methods.merge_tensor(merge, name, *(model.read(name) for model in weights.values()))
    assert expected.numel() > disk.PIECE and torch.allclose(computed.read(name), expected, atol=1e-7)
    rounded = geometry.merged(merge, *weights.values(), dtype="bfloat16").read(name)
    assert torch.equal(rounded, rounded.bfloat16().float()) and not torch.equal(rounded, expected)
    assert geometry.largest_difference(computed, computed) == 0 < geometry.largest_difference(computed, weights["base"])


def test_sign_conflicts_in_pieces_are_those_of_whole_tensors(weights, monkeypatch):
    whole = geometry.sign_conflicts(*weights.values(), [1.0, 0.3, 0.05])
    monkeypatch.setattr(disk, "PIECE", 1000)
    monkeypatch.setattr(disk, "WINDOW", 3000)
    assert geometry.sign_conflicts(*weights.values(), [1.0, 0.3, 0.05]).equals(whole)
    both = against = 0
    for name in weights["base"].names:
        base, direct, pairwise = (model.read(name) for model in weights.values())
        kept = methods.largest(direct - base, 0.3) & methods.largest(pairwise - base, 0.3)
        product = (direct - base) * (pairwise - base) * kept
        both, against = both + (product != 0).sum().item(), against + (product < 0).sum().item()
    assert whole.loc[0.3, "opposite signs"] == pytest.approx(against / both)


def test_a_base_may_hold_more_tensors_than_its_experts_and_not_fewer():
    ones = geometry.Weights(("w", "buffer"), lambda name: torch.ones(4))
    expert = geometry.Weights(("w",), lambda name: torch.full((4,), 2.0))
    assert geometry.inner_products(ones, {"expert": expert}).loc["expert", "expert"] == 4
    assert geometry.changes_by_module(ones, expert, expert)["module"].tolist() == ["w"]
    with pytest.raises(DataError, match="no tensor buffer"):
        geometry.inner_products(expert, {"base": ones})


# --- what does not fit together --------------------------------------------------------------------------------------


def held(**tensors) -> geometry.Weights:
    return geometry.Weights(tuple(tensors), lambda name: torch.tensor(tensors[name], dtype=torch.float32))


def saved(folder, **tensors) -> geometry.Weights:
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    return geometry.stored(folder)


COMPARING = {
    "inner products": lambda base, one, two: geometry.inner_products(base, {"one": one, "two": two}),
    "modules": geometry.changes_by_module,
    "signs": lambda base, one, two: geometry.sign_conflicts(base, one, two, [0.5]),
    "angles": lambda base, one, two: geometry.slerp_angles(one, two),
    "difference": lambda base, one, two: geometry.largest_difference(one, two),
    "rounding": lambda base, one, two: geometry.bfloat16_errors(one, two, [0.5]),
}


@pytest.mark.parametrize("compare", COMPARING.values(), ids=COMPARING)
@pytest.mark.parametrize(
    ("two", "message"),
    [
        ({"w": [1.0], "v": [1.0, 2.0]}, "w: it has not the same size"),  # of one entry: torch would stretch it
        ({"w": [[1.0, 2.0, 3.0, 4.0, 5.0]], "v": [1.0, 2.0]}, "w: it has not the same size"),
        ({"w": [1.0, 2.0, 3.0, 4.0]}, "only one of them has v"),
        ({"w": [1.0, math.nan, math.inf, 4.0], "v": [1.0, 2.0]}, "w holds 2 weights that are NaN or infinite"),
    ],
)
def test_models_that_do_not_fit_give_an_error_and_no_number(compare, two, message):
    base = held(w=[1.0, 2.0, 3.0, 4.0], v=[1.0, 2.0], buffer=[7.0])
    one = held(w=[2.0, 2.0, 3.0, 4.0], v=[1.0, 1.0])
    compare(base, one, one)
    with pytest.raises(DataError, match=message):
        compare(base, one, held(**two))


def test_shapes_are_compared_with_the_entries_and_folders_are_named(tmp_path):
    wide = saved(tmp_path / "wide", w=torch.ones(2, 3))
    high = saved(tmp_path / "high", w=torch.zeros(3, 2))
    for compare in COMPARING.values():
        with pytest.raises(DataError, match=r"w is \([23], [23]\) against \([23], [23]\)"):
            compare(wide, wide, high)
    with pytest.raises(DataError, match="high.*against"):
        geometry.merged(LINEAR, wide, wide, high)
    with pytest.raises(DataError, match="packed: 1 tensors are not plain floating point: w .U8."):
        saved(tmp_path / "packed", w=torch.ones(4, dtype=torch.uint8))


def test_a_linear_merge_asks_nothing_of_its_base_and_others_do(tmp_path):
    first = saved(tmp_path / "first", w=torch.ones(3), head=torch.ones(2))
    second = saved(tmp_path / "second", w=torch.full((3,), 3.0), head=torch.zeros(2))
    bare = saved(tmp_path / "bare", w=torch.zeros(3))
    assert geometry.merged(LINEAR, bare, first, second).read("head").tolist() == [0.5, 0.5]
    with pytest.raises(DataError, match="the base has no tensor head"):
        geometry.merged(Merge("t", "ties", density=0.5), bare, first, second)
    with pytest.raises(DataError, match="computed from models in folders"):
        geometry.merged(LINEAR, bare, first, geometry.merged(LINEAR, bare, first, second))


def test_points_of_the_plane_have_the_tensors_that_all_have():
    base = held(w=[1.0, 1.0], tied=[9.0])
    point = geometry.combined(base, held(w=[3.0, 1.0]), held(w=[1.0, 5.0]), 0.5, 2.0)
    assert point.names == ("w",) and point.read("w").tolist() == [2.0, 9.0]


def test_changes_that_span_no_plane_are_named():
    for gram in ([[1.0, 2.0], [2.0, 4.0]], [[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]):
        with pytest.raises(DataError, match="direct and pairwise: .* span no plane"):
            geometry.positions(pd.DataFrame(gram, index=["direct", "pairwise"], columns=["direct", "pairwise"]))


def test_densities_are_shares():
    model = held(w=[1.0, 2.0, 3.0, 4.0])
    for density in (0.0, 1.5, 20):
        with pytest.raises(DataError, match=f"density is {density}; it must be above 0"):
            geometry.sign_conflicts(held(w=[0.0] * 4), model, model, [1.0, density])


def test_tiny_changes_have_signs_and_zeros_no_angle():
    """The product of two changes of 1e-25 is zero in float32."""
    one, two = held(w=[1e-25, 1e-25], bias=[0.0, 0.0]), held(w=[1e-25, -1e-25], bias=[1.0, 0.0])
    table = geometry.sign_conflicts(held(w=[0.0, 0.0], bias=[0.0, 0.0]), one, two, [1.0])
    assert table.loc[1.0].tolist() == [0.5, 0.5]
    angles = geometry.slerp_angles(held(w=[1.0, 0.0], bias=[0.0, 0.0]), held(w=[0.0, 1.0], bias=[1.0, 0.0]))
    assert angles.loc["w", "degrees"] == pytest.approx(90) and math.isnan(angles.loc["bias", "degrees"])
    assert angles.index.tolist() == ["w", "bias"]


def test_a_model_that_is_nowhere_is_named(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name, message in (("./no/model", "there is no such model folder"), ("owner/none@main", "hub does not give")):
        with pytest.raises(DataError, match=message):
            geometry.stored(name)


def test_rounding_once_beats_merging_in_bfloat16(weights):
    table = geometry.bfloat16_errors(weights["direct"], weights["pairwise"], (0.0, 0.1, 0.5))
    assert table.loc[0.0].abs().max() == 0
    assert table.loc[0.1, "rounded once"] < table.loc[0.1, "in bfloat16"]
    assert table.loc[0.5, "rounded once"] == pytest.approx(table.loc[0.5, "in bfloat16"])  # one half is exact


def test_the_gain_in_bfloat16_is_what_the_two_weights_lack():
    values = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    model = geometry.Weights(("w",), lambda name: values)
    lacking = torch.tensor([0.1, 0.9]).bfloat16().double().sum().item() - 1
    assert abs(lacking) > 1e-3
    assert geometry.bfloat16_errors(model, model, [0.1]).loc[0.1, "gain in %"] == pytest.approx(100 * lacking, rel=0.2)
