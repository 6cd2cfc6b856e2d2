"""The six methods as functions: against mergekit on really trained experts, by hand, and by what must hold."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from prometheus_lib import merging
from prometheus_lib.merging import methods
from prometheus_lib.merging.spec import Merge
from prometheus_lib.parallel import run_jobs
from prometheus_lib.records import DataError

KEY = "model.layers.0.mlp.up_proj.weight"
DENSE = [
    Merge("m", method, alpha=alpha, variant=variant)
    for method in ("linear", "slerp", "task-arithmetic")
    for alpha in (0.0, 0.3, 0.5, 1.0)
    for variant in ("matched", "mergekit-default")
]
TIES = [
    Merge("m", "ties", alpha=alpha, variant=variant, density=density)
    for alpha, variant in ((0.0, "matched"), (0.3, "matched"), (1.0, "matched"), (0.5, "mergekit-default"))
    for density in (0.05, 0.2, 1.0)
]
NOTHING_DROPPED = [
    Merge("m", method, alpha=0.3, variant=variant, scaling=1.3)
    for method in merging.DARE
    for variant in ("matched", "mergekit-default")
]


@pytest.fixture(scope="module")
def states(tiny_base, tiny_experts):
    """Return base, direct and pairwise expert as tensors by name."""
    folders = (tiny_base, tiny_experts / "direct", tiny_experts / "pairwise")
    return [load_file(folder / "model.safetensors") for folder in folders]


def through_mergekit(merge, base, experts, out) -> dict[str, torch.Tensor]:
    """Return mergekit's merge as tensors by name."""
    merging.merge_experts(merge, base, experts, out)
    return load_file(out / "model.safetensors")


@pytest.mark.parametrize("merge", [*DENSE, *TIES, *NOTHING_DROPPED], ids=str)
def test_agrees_with_mergekit(states, tiny_base, tiny_experts, tmp_path, merge):
    theirs = through_mergekit(merge, tiny_base, tiny_experts, tmp_path / "m")
    ours = methods.merge_state(merge, *states)
    assert set(ours) == set(theirs)
    assert max((ours[name] - theirs[name]).abs().max().item() for name in theirs) <= 1e-6


# --- what holds at the ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["linear", "slerp", "task-arithmetic"])
def test_alpha_0_and_1_are_the_experts_bit_for_bit(states, method):
    for alpha, expert in ((1.0, states[1]), (0.0, states[2])):
        merged = methods.merge_state(Merge("m", method, alpha=alpha), *states)
        assert all(torch.equal(merged[name], expert[name]) for name in expert)


def test_ties_at_the_ends_is_base_plus_one_trimmed_change(states):
    base, first, _ = (state[KEY] for state in states)
    for density in (0.2, 1.0):
        merged = methods.merge_tensor(Merge("m", "ties", alpha=1.0, density=density), KEY, *(s[KEY] for s in states))
        change = first - base
        kept = change * methods.largest(change, density)
        assert torch.equal(merged, base + kept)
    # With nothing trimmed that is the expert, up to the rounding of one subtraction and one addition.
    assert (merged - first).abs().max() <= 2**-23 * first.abs().max()


def test_task_arithmetic_with_matched_weights_is_linear(states):
    for alpha in (0.1, 0.3, 0.7):
        linear, arithmetic = (
            methods.merge_state(Merge("m", m, alpha=alpha), *states) for m in ("linear", "task-arithmetic")
        )
        assert all(torch.allclose(linear[name], arithmetic[name], atol=1e-6) for name in linear)


def test_dare_without_dropping_is_task_arithmetic_bit_for_bit(states):
    dare, arithmetic = (
        methods.merge_state(Merge("m", m, alpha=0.3, scaling=1.3), *states) for m in ("dare-linear", "task-arithmetic")
    )
    assert all(torch.equal(dare[name], arithmetic[name]) for name in dare)


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_slerp_keeps_the_length_where_linear_loses_it():
    east, north = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    assert methods.slerp(east, north, 0.5).norm().item() == pytest.approx(2.0)
    assert methods.linear(east, north, (1, 1)).norm().item() == pytest.approx(math.sqrt(2))
    third = methods.slerp(east, north, 2 / 3)  # two thirds of the way from north to east: 60 of 90 degrees
    assert third.tolist() == pytest.approx([2 * math.cos(math.radians(30)), 2 * math.sin(math.radians(30))])


def test_slerp_averages_parallel_tensors_and_knows_nothing():
    line = torch.tensor([1.0, 2.0, 3.0])
    assert torch.allclose(methods.slerp(line, 3 * line, 0.25), 2.5 * line)
    assert torch.equal(methods.slerp(0 * line, 0 * line, 0.5), 0 * line)


def test_ties_by_hand():
    base = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    first = base + torch.tensor([0.4, -0.4, 0.5, 0.0, 0.1, 0.25])
    second = base + torch.tensor([0.2, 0.3, 0.0, -0.6, 0.1, -0.25])
    merged = methods.ties(base, first, second, (1.0, 1.0), (1.0, 1.0)) - base
    # agree: mean; disagree: the larger; one alone: in full; equal and opposite: plus wins.
    assert torch.allclose(merged, torch.tensor([0.3, -0.4, 0.5, -0.6, 0.1, 0.25]))
    merged = methods.ties(base, first, second, (1.0, 1.0), (0.75, 0.25), scaling=2.0) - base
    assert torch.allclose(merged, 2 * torch.tensor([0.35, -0.4, 0.5, -0.6, 0.1, 0.25]))


def test_dare_ties_adds_where_ties_averages():
    base, first, second = torch.zeros(3), torch.tensor([0.4, -0.4, 0.5]), torch.tensor([0.2, 0.3, 0.0])
    merged = methods.dare_ties(base, first, second, (1.0, 1.0), (1.0, 1.0))
    assert torch.allclose(merged, torch.tensor([0.6, -0.4, 0.5]))


def test_the_script_adds_one_expert_after_the_other():
    base, first, second = torch.zeros(4), torch.full((4,), 10.0), torch.full((4,), 1.0)
    keeps = (torch.tensor([False, True, False, True]), torch.tensor([False, False, True, True]))
    merged = methods.dare_in_turn(base, first, second, keeps, 0.5)
    assert merged.tolist() == [0.0, 5.0, 0.5, 5.0 + 0.5 * (1 - 5)]


def test_the_readings_of_table_10_have_these_coefficients():
    published, script = Merge.paper_8x7b("m"), Merge.paper_8x7b_script("m")
    assert (published.density, script.density) == pytest.approx((0.9, 0.1))
    assert published.rescale == script.rescale == pytest.approx(1 / 0.9)
    assert [1.95 * weight for weight in published.weights] == pytest.approx([0.975, 0.975])
    arriving = 1.95 * 0.1 / 0.9
    assert [1.95 * weight for weight in script.weights] == pytest.approx([arriving * (1 - arriving), arriving])
    assert [round(1.95 * weight, 2) for weight in script.weights] == [0.17, 0.22]


# --- trimming --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.5, -0.5, 1.0, -1.0, 2.0]) | st.floats(-4, 4, width=32), min_size=1, max_size=40),
    st.sampled_from([0.01, 0.2, 0.5, 0.99]),
)
def test_largest_keeps_just_so_many_and_none_smaller_than_what_it_drops(values, density):
    change = torch.tensor(values)
    keep = methods.largest(change, density)
    assert keep.sum() == max(1, int(density * len(values)))
    if not keep.all():
        assert change[keep].abs().min() >= change[~keep].abs().max()
    by_sorting = sorted(range(len(values)), key=lambda i: (-abs(change[i].item()), i))[: int(keep.sum())]
    assert keep.nonzero().flatten().tolist() == sorted(by_sorting)  # of equal ones the earlier


def test_largest_keeps_the_shape_and_its_input(states):
    change = states[1][KEY] - states[0][KEY]
    before = change.clone()
    assert methods.largest(change, 0.3).shape == change.shape
    assert torch.equal(change, before)


# --- chance ----------------------------------------------------------------------------------------------------------


def sampled(merge, states, seeds) -> torch.Tensor:
    """Return one tensor of a merge for many seeds, (seeds, entries)."""
    parts = [state[KEY] for state in states]
    return torch.stack([methods.merge_tensor(replace(merge, seed=s), KEY, *parts).flatten() for s in seeds])


def standardised_gap(many: torch.Tensor, few: torch.Tensor) -> float:
    """Return the mean square of the difference of means in standard errors, over entries: near 1 for equal means."""
    error = many.var(0).clamp(min=1e-20) * (1 / len(many) + 1 / len(few))
    return ((many.mean(0) - few.mean(0)) ** 2 / error).mean().item()


@pytest.mark.parametrize(
    "merge",
    [
        Merge("m", "dare-linear", density=0.5),
        Merge.mergekit_default("m", "dare-ties", density=0.5),
        Merge.paper_8x7b("m"),
    ],
    ids=lambda merge: f"{merge.method}-{merge.variant}",
)
def test_dare_agrees_with_mergekit_in_distribution(states, tiny_base, tiny_experts, tmp_path, merge):
    theirs = torch.stack([
        through_mergekit(replace(merge, seed=seed), tiny_base, tiny_experts, tmp_path / str(seed))[KEY].flatten()
        for seed in range(12)
    ])  # fmt: skip
    ours = sampled(merge, states, range(400))
    # mergekit rescales by sums of magnitudes (about 1/density), which is no difference at this size.
    spread = (ours.var(0).sum() / theirs.var(0).sum()).item()
    assert spread == pytest.approx(1, abs=0.05)
    assert standardised_gap(ours, theirs) == pytest.approx(1, abs=0.15)


def test_dare_gives_the_changes_on_average_and_the_variance_of_the_formula(states):
    base, first, second = (state[KEY].flatten() for state in states)
    merge = Merge("m", "dare-linear", alpha=0.3, density=0.8, scaling=1.5)
    draws = sampled(merge, states, range(600))
    a, b = 1.5 * 0.3 * (first - base), 1.5 * 0.7 * (second - base)
    variance = (a**2 + b**2) * 0.2 / 0.8
    z = (draws.mean(0) - (base + a + b)) / (variance / len(draws)).clamp(min=1e-20).sqrt()
    assert (z**2).mean().item() == pytest.approx(1, abs=0.1)
    assert (draws.var(0).sum() / variance.sum()).item() == pytest.approx(1, abs=0.02)


def test_the_script_on_average_is_what_mergekit_is_told(states, tiny_base, tiny_experts, tmp_path):
    script = Merge.paper_8x7b_script("m")
    base, first, second = (state[KEY].flatten() for state in states)
    a, b = (script.scaling * weight for weight in script.weights)
    wanted = base + a * (first - base) + b * (second - base)
    draws = sampled(script, states, range(800))
    error = (draws.var(0) / len(draws)).clamp(min=1e-20).sqrt()
    assert (((draws.mean(0) - wanted) / error) ** 2).mean().item() == pytest.approx(1, abs=0.15)
    theirs = through_mergekit(script, tiny_base, tiny_experts, tmp_path / "m")[KEY].flatten() - base
    directions = torch.stack([first - base, second - base])
    found = np.linalg.lstsq(directions.T.numpy(), theirs.numpy(), rcond=None)[0]
    assert found == pytest.approx([a, b], abs=0.03)


def some_masks(job, report) -> dict[str, torch.Tensor]:
    """Return a merge of small tensors, merged in the order of `job`'s names; runs in worker processes too."""
    names, threads = job
    torch.set_num_threads(threads)
    base, first, second = ({n: torch.full((300, 400), value) for n in names} for value in (0.0, 1.0, 1.0))
    return methods.merge_state(Merge("m", "dare-linear", density=0.5), base, first, second)


def test_masks_depend_on_seed_name_expert_and_position_only():
    names = ["a.weight", "b.weight", "c.weight"]
    jobs = [(names, 1), (names[::-1], 1), (names, 2), (names[1:], 2)]
    here = [some_masks(job, None) for job in jobs]
    elsewhere = run_jobs(some_masks, jobs, 0, "merge", workers=2)
    for merged in [*here, *elsewhere]:
        assert all(torch.equal(merged[name], here[0][name]) for name in merged)
    assert not torch.equal(here[0]["a.weight"], here[0]["b.weight"])
    masks = [methods.drawn(1000, 0.5, methods.chance(s, n, w)) for s, n, w in ((1, "a", 0), (1, "a", 1), (2, "a", 0))]
    assert len({tuple(mask.tolist()) for mask in masks}) == 3
    longer = methods.drawn(2000, 0.5, methods.chance(1, "a", 0))
    assert torch.equal(longer[:1000], masks[0])


# --- whole models ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", list(merging.METHODS))
def test_results_do_not_depend_on_threads_or_on_how_tensors_are_cut(method):
    merge = Merge("m", method, alpha=0.3, density=0.4 if method in merging.SPARSE else 1.0)
    torch.manual_seed(1)
    base, first, second = torch.randn(3, 70_001)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(methods.merge_tensor(merge, "w", base, first, second))
    torch.set_num_threads(before)
    assert all(torch.equal(result, results[0]) for result in results)
    weights = methods.slerp_weights(first, second, 0.3) if method == "slerp" else merge.weights
    keeps = methods.masks(merge, "w", base, first, second) if method in merging.SPARSE else (None, None)
    cut = []
    for c in (slice(start, start + 777) for start in range(0, 70_001, 777)):
        masks = [None if keep is None else keep[c] for keep in keeps]
        cut.append(methods.combine(merge, base[c], first[c], second[c], weights, masks))
    assert torch.equal(torch.cat(cut), results[0])


def test_tied_tensors_are_merged_once_and_stay_tied():
    state = [{"embed": torch.randn(50, 8)} for _ in range(3)]
    tied = [{**s, "lm_head": s["embed"]} for s in state]
    merge = Merge("m", "dare-linear", density=0.5)
    merged = methods.merge_state(merge, *tied)
    assert merged["lm_head"].data_ptr() == merged["embed"].data_ptr()
    assert torch.equal(merged["embed"], methods.merge_state(merge, *state)["embed"])


def test_bfloat16_experts_are_merged_in_float32():
    torch.manual_seed(0)
    first, second = torch.randn(2, 1000).bfloat16()
    merged = methods.merge_tensor(Merge("m", "linear", alpha=0.3), "w", None, first, second)
    assert merged.dtype == torch.float32
    assert torch.allclose(merged.double(), 0.3 * first.double() + 0.7 * second.double(), atol=1e-6)


def test_models_with_other_tensors_are_refused():
    one = {"a": torch.ones(2)}
    with pytest.raises(DataError, match="ties needs the base model"):
        methods.merge_state(Merge("m", "ties"), None, one, one)
    with pytest.raises(DataError, match="same tensors: b"):
        methods.merge_state(Merge("m", "linear"), None, one, {**one, "b": torch.ones(2)})
    with pytest.raises(DataError, match="same tensors: a .* differ in shape"):
        methods.merge_state(Merge("m", "linear"), None, one, {"a": torch.ones(1)})
