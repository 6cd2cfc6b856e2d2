"""The merges of the paper by name, and grids of merges."""

from __future__ import annotations

from prometheus_lib import merging
from prometheus_lib.merging.catalogue import ALPHAS, alpha_judge, grid
from prometheus_lib.scale import load_scale


def test_a_grid_names_what_differs_and_holds_no_merge_twice():
    names = [m.name for m in grid(["linear", "dare-linear"], [0.3, 0.5], ["matched", "mergekit-default"], [7])]
    assert names == [
        "linear-0.3", "linear-0.5", "dare-linear-0.3-mask7", "dare-linear-0.5-mask7", "dare-linear-default-mask7",
    ]  # fmt: skip
    others = grid(["linear"], [0.3], pairs=[("direct", "pairwise"), ("direct-seed2", "pairwise-seed2")])
    assert [m.name for m in others] == ["linear-0.3", "linear-0.3-direct-seed2+pairwise-seed2"]
    assert (others[1].first, others[1].second) == ("direct-seed2", "pairwise-seed2")
    assert len(grid(["linear", "slerp", "ties"], [0.5], ["matched", "mergekit-default"], [1, 2])) == 3
    many = grid(list(merging.METHODS), [a / 10 for a in range(11)], merging.VARIANTS, [1, 2], density=0.9)
    assert len({m.name for m in many}) == len(many) == 4 * 11 + 1 + 2 * 2 * (11 + 1 + 11) + 2
    assert all(m.density == (0.9 if m.method in merging.SPARSE else 1.0) for m in many if m.variant == "matched")


def test_every_merge_of_the_paper_is_planned():
    scale = load_scale("mini")
    names = [merge.name for merge in scale.merges]
    assert len(names) == len(set(names))
    assert {merge.method for merge in scale.merges if merge.variant == "matched"} == set(merging.METHODS)
    assert {alpha_judge(alpha) for alpha in ALPHAS} <= set(scale.judges)
    assert {"direct+direct", "pairwise+pairwise"} <= set(names)
