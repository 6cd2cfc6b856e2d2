"""Merging through mergekit on two really trained two-layer experts, against the formulas written out."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from prometheus_lib import artifacts, merging
from prometheus_lib.merging.spec import Merge
from prometheus_lib.records import DataError


def weights(folder) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def merged(merge: Merge, base, experts, tmp_path) -> dict[str, torch.Tensor]:
    assert merging.merge_experts(merge, base, experts, tmp_path / merge.name)
    return weights(tmp_path / merge.name)


def expected(merge: Merge, base, first, second) -> dict[str, torch.Tensor]:
    a, b = merge.weights
    if merge.method == "linear":
        return {k: (a * first[k] + b * second[k]) / (a + b) for k in first}
    return {k: base[k] + a * (first[k] - base[k]) + b * (second[k] - base[k]) for k in first}


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_linear_is_equation_3(tiny_base, tiny_experts, tmp_path, alpha):
    merge = Merge("m", "linear", alpha=alpha)
    result = merged(merge, tiny_base, tiny_experts, tmp_path)
    first, second = weights(tiny_experts / "direct"), weights(tiny_experts / "pairwise")
    wanted = expected(merge, None, first, second)
    assert set(result) == set(first)
    assert all(torch.allclose(result[k], wanted[k], atol=1e-6) for k in result)
    if alpha in (0.0, 1.0):
        assert all(torch.equal(result[k], (first if alpha else second)[k]) for k in result)


@pytest.mark.parametrize("method", ["task-arithmetic", "dare-linear"])
@pytest.mark.parametrize("variant", ["matched", "mergekit-default"])
def test_task_arithmetic_is_equation_5_and_dare_without_dropping_equals_it(
    tiny_base, tiny_experts, tmp_path, method, variant
):
    merge = Merge("m", method, variant=variant)
    result = merged(merge, tiny_base, tiny_experts, tmp_path)
    parts = [weights(f) for f in (tiny_base, tiny_experts / "direct", tiny_experts / "pairwise")]
    wanted = expected(merge, *parts)
    assert all(torch.allclose(result[k], wanted[k], atol=1e-6) for k in result)


def test_equation_5_as_printed_is_equation_3(tiny_base, tiny_experts, tmp_path):
    linear = merged(Merge("l", "linear", alpha=0.3), tiny_base, tiny_experts, tmp_path)
    arithmetic = merged(Merge("t", "task-arithmetic", alpha=0.3), tiny_base, tiny_experts, tmp_path)
    assert all(torch.allclose(linear[k], arithmetic[k], atol=1e-6) for k in linear)


def test_slerp_runs_from_the_second_to_the_first_expert(tiny_base, tiny_experts, tmp_path):
    first, second = weights(tiny_experts / "direct"), weights(tiny_experts / "pairwise")
    for alpha, wanted in ((0.0, second), (1.0, first)):
        result = merged(Merge(f"s{alpha}", "slerp", alpha=alpha), tiny_base, tiny_experts, tmp_path)
        assert all(torch.allclose(result[k], wanted[k], atol=1e-6) for k in result)


def test_sparse_methods_keep_the_expected_share(tiny_base, tiny_experts, tmp_path):
    base = weights(tiny_base)
    ties = merged(Merge("t", "ties", density=0.2), tiny_base, tiny_experts, tmp_path)
    key = "model.layers.0.mlp.up_proj.weight"
    changed = (ties[key] != base[key]).float().mean().item()
    assert 0.2 <= changed <= 0.4  # each expert keeps a fifth; the two fifths overlap or not
    dare = merged(Merge("d", "dare-linear", density=0.5), tiny_base, tiny_experts, tmp_path)
    unchanged = (dare[key] == base[key]).float().mean().item()
    assert abs(unchanged - 0.25) < 0.05  # both experts dropped here


def test_dare_depends_on_the_seed_only(tiny_base, tiny_experts, tmp_path):
    prints = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        merged(Merge(name, "dare-ties", density=0.5, seed=seed), tiny_base, tiny_experts, tmp_path)
        prints.append(artifacts.file_hash(tmp_path / name / "model.safetensors"))
    assert prints[0] == prints[1] != prints[2]


def test_a_merged_judge_travels_with_tokenizer_recipe_and_card(tiny_base, tiny_experts, tmp_path):
    merged(Merge("m", "linear"), tiny_base, tiny_experts, tmp_path)
    folder = tmp_path / "m"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(tiny_base).chat_template
    AutoModelForCausalLM.from_pretrained(folder)
    recipe = yaml.safe_load((folder / merging.CONFIG).read_text())
    assert [m["model"] for m in recipe["models"]] == ["direct", "pairwise"]
    card = (folder / "README.md").read_text()
    assert artifacts.model_fingerprint(tiny_experts / "direct") in card and str(tmp_path) not in card


@pytest.mark.parametrize("engine", merging.ENGINES)
@pytest.mark.parametrize("method", ["linear", "ties"])
def test_all_that_makes_a_judge_travels_along(tiny_base, tiny_experts, tmp_path, engine, method):
    out = tmp_path / "m"
    assert merging.merge_experts(Merge("m", method, density=0.5), tiny_base, tiny_experts, out, engine=engine)
    expert = tiny_experts / "direct"
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        assert (out / name).read_bytes() == (expert / name).read_bytes(), name
    assert AutoModelForCausalLM.from_pretrained(out).generation_config.eos_token_id is not None
    assert artifacts.model_fingerprint(expert) in (out / "README.md").read_text()
    assert not merging.merge_experts(
        Merge("m", method, density=0.5), tiny_base, tiny_experts, out, engine=engine
    )  # current


@pytest.mark.parametrize("engine", merging.ENGINES)
def test_a_merge_is_rounded_once(tiny_base, tiny_experts, tmp_path, engine):
    merge = Merge("m", "linear", alpha=0.3)
    merging.merge_experts(merge, tiny_base, tiny_experts, tmp_path / "m", "bfloat16", engine)
    first, second = weights(tiny_experts / "direct"), weights(tiny_experts / "pairwise")
    wanted = {k: (0.3 * first[k].double() + 0.7 * second[k].double()).bfloat16() for k in first}
    result = weights(tmp_path / "m")
    # float32 against float64 before rounding: another bfloat16 only where a number lies on the border of two.
    same = sum((result[k] == wanted[k]).sum().item() for k in wanted) / sum(v.numel() for v in wanted.values())
    assert all(value.dtype == torch.bfloat16 for value in result.values()) and same > 0.9999
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype="auto").dtype == torch.bfloat16


def test_engines_agree_and_are_told_apart(tiny_base, tiny_experts, tmp_path):
    merge = Merge("m", "ties", alpha=0.3, density=0.2)
    results = []
    for engine in merging.ENGINES:
        assert merging.merge_experts(merge, tiny_base, tiny_experts, tmp_path / "m", engine=engine)
        results.append(weights(tmp_path / "m"))
    assert all(torch.allclose(results[0][k], results[1][k], atol=1e-6) for k in results[0])


def test_the_text_of_settings_stays_as_it_was():
    """Stamps, and the fingerprints of judgments that lie in `outputs`, hold this text."""
    plain = {
        "name": "m", "method": "linear", "first": "direct", "second": "pairwise", "alpha": 0.5, "variant": "matched",
        "density": 1.0, "scaling": 1.0, "seed": 42,
    }  # fmt: skip
    dare = {**plain, "method": "dare-linear"}
    table_10 = {**dare, "variant": "paper-8x7b", "scaling": 1.95}
    known = {
        Merge("m", "linear"): plain,
        Merge("m", "dare-linear", density=0.9): {**dare, "density": 0.9},
        Merge.mergekit_default("m", "dare-linear"): {**dare, "variant": "mergekit-default"},
        Merge.paper_8x7b("m"): {**table_10, "density": 0.9, "reading": "published"},
        Merge.paper_8x7b_script("m"): {**table_10, "density": 0.1, "reading": "supermario-script"},
    }
    for merge, settings in known.items():
        assert json.dumps(merge.settings(), sort_keys=True) == json.dumps(settings, sort_keys=True)


def test_the_paper_8x7b_variant_in_mergekits_words():
    published = merging.mergekit_config(Merge.paper_8x7b("m"), "b", "d", "p")
    assert published["parameters"] == {"lambda": 1.95}
    assert [m["parameters"] for m in published["models"]] == 2 * [{"weight": 0.5, "density": 0.9}]
    merge = Merge.paper_8x7b_script("m")
    script = merging.mergekit_config(merge, "b", "d", "p")
    assert [m["parameters"]["density"] for m in script["models"]] == [0.1, 0.1]
    # mergekit makes up for the density, so the weights carry what the script lets arrive: p/(1-p), the first one
    # multiplied by 1 - lambda p/(1-p) when the second is added.
    share = 0.1 / 0.9
    expected = [share * (1 - 1.95 * share), share]
    assert [m["parameters"]["weight"] for m in script["models"]] == pytest.approx(expected)


def test_unchanged_merges_are_skipped(tiny_base, tiny_experts, tmp_path):
    merge = Merge("m", "linear")
    assert merging.merge_experts(merge, tiny_base, tiny_experts, tmp_path / "m")
    assert not merging.merge_experts(merge, tiny_base, tiny_experts, tmp_path / "m")
    assert merging.merge_experts(Merge("m", "linear", alpha=0.4), tiny_base, tiny_experts, tmp_path / "m")


def everything(root) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("engine", merging.ENGINES)
@pytest.mark.parametrize(
    "out", ["models", "models/direct", "models/base", "models/pairwise/", "models/direct/m", "notes", "."]
)
def test_merging_removes_no_model_and_nothing_else(tiny_base, tiny_experts, tmp_path, monkeypatch, engine, out):
    for folder in (tiny_experts / "direct", tiny_experts / "pairwise"):
        shutil.copytree(folder, tmp_path / "models" / folder.name)
    shutil.copytree(tiny_base, tmp_path / "models" / "base")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    monkeypatch.chdir(tmp_path)
    before = everything(tmp_path)
    for folders in (["models/direct", "models/pairwise"], [tmp_path / "models/direct", tmp_path / "models/pairwise"]):
        with pytest.raises(DataError, match="input|working folder|not built here"):
            merging.merge_folders(Merge("m", "linear"), "models/base", *folders, out, engine=engine)
    assert everything(tmp_path) == before


def test_experts_of_one_name_and_exchanged_experts_are_other_merges(tiny_base, tiny_experts, tmp_path):
    for run, name in (("run1", "direct"), ("run2", "pairwise")):
        shutil.copytree(tiny_experts / name, tmp_path / run / "final")
    experts = [tmp_path / "run1" / "final", tmp_path / "run2" / "final"]

    def merge(first, second):
        return merging.merge_folders(
            Merge("m", "linear", alpha=0.3), tiny_base, first, second, tmp_path / "m", engine="prometheus"
        )

    assert merge(*experts) and not merge(*experts)
    card = (tmp_path / "m" / "README.md").read_text()
    assert all(artifacts.model_fingerprint(folder) in card for folder in (*experts, tiny_base))
    assert merge(*reversed(experts)) and merge(*experts)
    shutil.copytree(tiny_base, experts[0], dirs_exist_ok=True)  # run 1 is trained again
    assert merge(*experts)


def test_a_copy_of_the_same_expert_is_warned_about(tiny_base, tiny_experts, tmp_path):
    for name in ("direct", "copy"):
        shutil.copytree(tiny_experts / "direct", tmp_path / "experts" / name)
    with pytest.warns(UserWarning, match="are the same model"):
        merging.merge_experts(Merge("m", "linear", "direct", "copy"), tiny_base, tmp_path / "experts", tmp_path / "m")


def test_incomplete_experts_are_named_and_nothing_is_written(tiny_base, tiny_experts, tmp_path):
    experts = tmp_path / "experts"
    shutil.copytree(tiny_experts, experts)
    (experts / "pairwise" / "model.safetensors").unlink()
    with pytest.raises(DataError, match="pairwise.*lacks weights"):
        merging.merge_experts(Merge("m", "linear"), tiny_base, experts, tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "average"},
        {"variant": "best"},
        {"alpha": 1.5},
        {"alpha": float("nan")},
        {"second": "direct"},
        {"density": 0.0},
        {"density": 1.1},
        {"scaling": float("nan")},
        {"scaling": float("inf")},
        {"variant": "paper-8x7b"},
        {"method": "dare-linear", "variant": "paper-8x7b"},
        {"method": "dare-linear", "variant": "paper-8x7b", "density": 0.9, "scaling": 2.0},
        {"method": "dare-ties", "variant": "paper-8x7b-script", "density": 0.1, "scaling": 1.95},
        {"method": "dare-linear", "variant": "paper-8x7b-script", "density": 0.1, "scaling": 1.95, "alpha": 0.3},
    ],
    ids=str,
)
def test_unknown_settings_are_refused(wrong):
    with pytest.raises(DataError, match="merge 'm'"):
        Merge(**{"name": "m", "method": "linear", **wrong})


def test_the_papers_recipes_have_constructors_of_their_own():
    assert Merge.mergekit_default("m", "ties", density=0.2).weights == (1.0, 1.0)
    assert Merge.paper_8x7b("m", "dare-ties", alpha=0.3, seed=7).weights == (0.3, 0.7)
    assert Merge.paper_8x7b_script("m", first="a", second="b").density == pytest.approx(0.1)
    assert replace(Merge.paper_8x7b("m"), seed=43).scaling == 1.95
    with pytest.raises(DataError, match="Table 10 is for dare-ties and dare-linear"):
        Merge.paper_8x7b("m", "ties")
    for wrong in ({"alpha": 0.3}, {"method": "dare-ties"}):
        with pytest.raises((DataError, TypeError)):
            Merge.paper_8x7b_script("m", **wrong)


def test_the_card_names_the_reading():
    merge = Merge.paper_8x7b_script("m")
    card = merging.model_card(merge, {"engine": "prometheus"}, {"inputs": {"first": "abc"}})
    assert "(paper-8x7b, supermario-script)" in card and "`direct`: fingerprint `abc`" in card


def test_an_unknown_engine_or_dtype_is_refused(tiny_base, tiny_experts, tmp_path):
    merge = Merge("m", "linear")
    with pytest.raises(DataError, match="unknown engine 'mine'"):
        merging.merge_experts(merge, tiny_base, tiny_experts, tmp_path / "m", engine="mine")
    with pytest.raises(DataError, match="unknown dtype 'int8'"):
        merging.merge_experts(merge, tiny_base, tiny_experts, tmp_path / "m", "int8")
    assert list(tmp_path.iterdir()) == []
