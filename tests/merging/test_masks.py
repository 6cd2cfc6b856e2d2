"""DARE's masks, recovered from a merge that our own engine made with known ones."""

import pytest
import torch

from prometheus_lib.merging import Merge, masks, methods


@pytest.mark.parametrize("method", ["dare-linear", "dare-ties"])
def test_nothing_is_left_over_and_the_shares_are_those_of_the_masks(method):
    draw = torch.Generator().manual_seed(3)
    base, first, second = torch.randn(3, 60, 40, generator=draw)
    merge = Merge("m", method, density=0.8, seed=5)
    merged = methods.merge_tensor(merge, "layer.weight", base, first, second)
    found = masks.recovered(merge, (base, first, second), merged)
    assert found["unexplained"] < 1e-4 * found["largest change"]
    assert found["factor d"] == pytest.approx(0.5 / 0.8, rel=1e-3)
    if method == "dare-linear":
        assert found["kept d"] == pytest.approx(0.8, abs=0.03) and found["kept p"] == pytest.approx(0.8, abs=0.03)
    else:
        assert found["kept d"] < 0.8  # what lost the election looks dropped


def test_a_merge_of_another_kind_is_not_explained():
    base, first, second = torch.randn(3, 60, 40, generator=torch.Generator().manual_seed(3))
    merged = methods.slerp(first, second, 0.5)
    found = masks.recovered(Merge("m", "dare-linear", density=0.8), (base, first, second), merged)
    assert found["unexplained"] > 0.01 * found["largest change"]
