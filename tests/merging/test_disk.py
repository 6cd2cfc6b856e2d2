"""Our merge on disk: the same bits as the functions on tensors, whatever the files look like."""

from __future__ import annotations

import json
import resource
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, MixtralConfig, MixtralForCausalLM

from prometheus_lib import merging
from prometheus_lib.merging import disk, methods
from prometheus_lib.merging.layout import INDEX, read_layout
from prometheus_lib.merging.spec import Merge
from prometheus_lib.records import DataError

SPARSE = {"density": 0.4, "scaling": 1.3}
MERGES = [
    *[Merge("m", method, alpha=0.3) for method in ("linear", "slerp", "task-arithmetic")],
    *[Merge("m", method, alpha=0.3, **SPARSE) for method in merging.SPARSE],
    Merge.paper_8x7b("m"),
    Merge.paper_8x7b_script("m"),
]


def load(folder) -> dict[str, torch.Tensor]:
    """Read all weight files of a folder."""
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


def saved_as(folder, out, dtype="float32", shard="1GB"):
    """Save a model again in another dtype, or in several files, with its tokenizer."""
    shutil.copytree(folder, out, ignore=shutil.ignore_patterns("*.safetensors", "*.index.json"))
    AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).save_pretrained(out, max_shard_size=shard)
    return out


@pytest.fixture(scope="module")
def folders(tiny_base, tiny_experts):
    """Return the folders of base, direct and pairwise expert."""
    return tiny_base, tiny_experts / "direct", tiny_experts / "pairwise"


@pytest.fixture(scope="module")
def bfloat16_folders(folders, tmp_path_factory):
    """Return the same models in bfloat16 and in several files each."""
    root = tmp_path_factory.mktemp("bfloat16")
    return [saved_as(folder, root / folder.name, "bfloat16", "150KB") for folder in folders]


@pytest.mark.parametrize("merge", MERGES, ids=lambda merge: f"{merge.method}-{merge.variant}")
def test_the_same_bits_as_in_memory(folders, bfloat16_folders, tmp_path, merge):
    for parents, dtype in ((folders, "float32"), (bfloat16_folders, "bfloat16")):
        out = tmp_path / dtype
        merging.merge_folders(merge, *parents, out, dtype, "prometheus")
        wanted = methods.merge_state(merge, *map(load, parents))
        result = load(out)
        assert set(result) == set(wanted)
        assert all(torch.equal(result[name], wanted[name].to(getattr(torch, dtype))) for name in wanted)
        assert any(tensor.numel() > methods.SUM_BLOCK for tensor in result.values())


def test_files_are_cut_as_the_first_models_and_load_as_one_model(bfloat16_folders, tmp_path):
    first = bfloat16_folders[1]
    merging.merge_folders(Merge("m", "linear"), *bfloat16_folders, tmp_path / "m", "float16", "prometheus")
    assert {file.name for file in first.glob("*.safetensors")} == {f.name for f in tmp_path.glob("m/*.safetensors")}
    index = json.loads((tmp_path / "m" / INDEX).read_text())
    assert index["weight_map"] == json.loads((first / INDEX).read_text())["weight_map"]
    result = load(tmp_path / "m")
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in result.values())
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype="auto")
    assert model.dtype == torch.float16
    state = model.state_dict()
    assert all(torch.equal(state[name], result[name]) for name in result)


def test_odd_shapes_are_merged(tmp_path):
    shapes = {"scalar": (), "empty": (0, 3), "one": (1,), "odd": (3, 5, 7), "wide": (1, 70_001)}
    for seed, name in enumerate(("base", "first", "second")):
        torch.manual_seed(seed)
        (tmp_path / name).mkdir()
        save_file({key: torch.randn(shape) for key, shape in shapes.items()}, tmp_path / name / "model.safetensors")
        (tmp_path / name / "config.json").write_text("{}")
    for number, merge in enumerate(MERGES):
        out = tmp_path / str(number)
        out.mkdir()
        parents = [tmp_path / name for name in ("base", "first", "second")]
        disk.merge_to_disk(merge, *parents, out)
        wanted = methods.merge_state(merge, *map(load, parents))
        assert all(torch.equal(load(out)[name], wanted[name]) for name in shapes)


def test_linear_and_slerp_need_no_base(folders, tmp_path):
    for method in ("linear", "slerp"):
        (tmp_path / method).mkdir()
        disk.merge_to_disk(Merge("m", method), None, *folders[1:], tmp_path / method)
        assert set(load(tmp_path / method)) == set(load(folders[1]))


def test_a_mixture_of_experts_keeps_its_names(folders, tmp_path):
    parents = []
    for seed, name in enumerate(("base", "first", "second")):
        torch.manual_seed(seed)
        config = MixtralConfig(
            vocab_size=1230, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=1, num_local_experts=3,
        )  # fmt: skip
        shutil.copytree(folders[0], tmp_path / name, ignore=shutil.ignore_patterns("*.safetensors", "*config.json"))
        MixtralForCausalLM(config).save_pretrained(tmp_path / name)
        parents.append(tmp_path / name)
    merging.merge_folders(Merge("m", "task-arithmetic"), *parents, tmp_path / "m", engine="prometheus")
    assert set(read_layout(tmp_path / "m")) == set(read_layout(parents[1]))
    states = [AutoModelForCausalLM.from_pretrained(folder).state_dict() for folder in (*parents, tmp_path / "m")]
    for name, merged in states[3].items():
        assert torch.allclose(merged, (states[1][name] + states[2][name]) / 2, atol=1e-6), name


@pytest.mark.parametrize("engine", merging.ENGINES)
@pytest.mark.parametrize(("method", "bad"), [("linear", float("inf")), ("ties", float("nan"))])
def test_weights_that_are_not_finite_are_named_and_nothing_is_written(folders, tmp_path, engine, method, bad):
    experts = tmp_path / "experts"
    shutil.copytree(folders[1].parent, experts)
    state = load(experts / "pairwise")
    state["model.norm.weight"][3] = bad
    save_file(state, experts / "pairwise" / "model.safetensors", {"format": "pt"})
    merge = Merge("m", method, density=0.5)
    with pytest.raises(DataError, match=r"pairwise/model\.safetensors: model\.norm\.weight holds 1 weights"):
        merging.merge_experts(merge, folders[0], experts, tmp_path / "out" / "m", engine=engine)
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("engine", merging.ENGINES)
@pytest.mark.parametrize(("dtype", "huge"), [("float16", 8e4), ("float16", -6.6e4), ("bfloat16", 3.4e38)])
def test_weights_that_overflow_when_rounded_are_named_and_nothing_is_written(folders, tmp_path, engine, dtype, huge):
    experts = tmp_path / "experts"
    shutil.copytree(folders[1].parent, experts)
    for name in ("direct", "pairwise"):
        state = load(experts / name)
        state["model.norm.weight"][3] = huge
        save_file(state, experts / name / "model.safetensors", {"format": "pt"})
    merge = Merge("m", "linear")
    with pytest.raises(DataError, match=f"merge 'm': model.norm.weight holds 1 weights .*too large for {dtype}"):
        merging.merge_experts(merge, folders[0], experts, tmp_path / "out" / "m", dtype, engine)
    assert not list(tmp_path.glob("out/*"))
    assert merging.merge_experts(merge, folders[0], experts, tmp_path / "out" / "m", "float32", engine)
    assert load(tmp_path / "out" / "m")["model.norm.weight"][3] == torch.tensor(huge)


def test_a_sum_that_overflows_is_named(folders, tmp_path):
    experts = tmp_path / "experts"
    shutil.copytree(folders[1].parent, experts)
    for name in ("direct", "pairwise"):
        state = load(experts / name)
        state["model.norm.weight"][3] = 3e38
        save_file(state, experts / name / "model.safetensors", {"format": "pt"})
    for engine in merging.ENGINES:
        with pytest.raises(DataError, match="merge 'm': model.norm.weight holds 1 weights .*too large for float32"):
            merge = Merge.mergekit_default("m", "task-arithmetic")
            merging.merge_experts(merge, folders[0], experts, tmp_path / "out" / "m", engine=engine)
    with pytest.raises(DataError, match="merge 'm' of direct and pairwise: model.norm.weight holds 1 weights"):
        methods.merge_rounded(merge, *map(load, (folders[0], experts / "direct", experts / "pairwise")), torch.float32)


def test_a_full_disk_is_said_and_nothing_is_left(folders, tmp_path):
    out = tmp_path / "out"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))  # the weights need more
    try:
        with pytest.raises(DataError, match="could not be written"):
            merging.merge_folders(Merge("m", "linear"), *folders, out / "m", engine="prometheus")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(out.iterdir()) == []
