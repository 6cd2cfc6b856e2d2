"""The six merge methods as functions on tensors (paper, equations 3 to 5 and appendix G; rules of mergekit 0.1.5).

All take tensors of one shape and compute in float32. Every formula works entry by entry, so a result does not depend
on how tensors are cut into pieces or spread over threads. `merge_tensor` and `merge_state` apply a
`Merge`; `disk` does the same to files.

The sparse methods first decide which entries of the two changes (expert minus base) they keep: TIES the largest ones,
DARE random ones. `keeps` are these two masks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..records import DataError
from .finite import TOO_LARGE, check_tensors
from .spec import NEEDS_BASE, SPARSE, Merge

if TYPE_CHECKING:
    from torch import Tensor

    Pair = tuple[Any, Any]

PARALLEL = 0.9995  # above this cosine mergekit's SLERP is a plain average
SUM_BLOCK = 2**15  # sums over fixed blocks do not depend on the number of threads
NOTHING = 1e-8  # a shorter tensor has no direction
TINY = 1e-30  # instead of zero voters


# --- the methods -----------------------------------------------------------------------------------------------------


def linear(first: Tensor, second: Tensor, weights: Pair) -> Tensor:
    """Return the weighted average of two tensors (equation 3): a point on the straight line between them.

    >>> linear(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), weights=(0.25, 0.75))
    tensor([0.2500, 0.7500])
    """
    return torch.lerp(second, first, weights[0] / sum(weights))


def mix(first: Tensor, second: Tensor, a: float, b: float) -> Tensor:
    """Return a times the first plus b times the second tensor."""
    return torch.add(first * a, second, alpha=b)


def slerp(first: Tensor, second: Tensor, alpha: float) -> Tensor:
    """Walk along the arc from the second tensor (alpha 0) to the first (alpha 1).

    >>> slerp(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0]), alpha=0.5)  # the length stays 2
    tensor([1.4142, 1.4142])
    """
    return mix(first, second, *slerp_weights(first, second, alpha))


def slerp_weights(first: Tensor, second: Tensor, alpha: float) -> tuple[float, float]:
    """Return what SLERP multiplies two tensors by."""
    return arc_weights(dot(first, first), dot(second, second), dot(first, second), alpha)


def arc_weights(first2: float, second2: float, product: float, alpha: float) -> tuple[float, float]:
    """Return SLERP's weights from squared lengths and inner product; nearly parallel tensors are averaged."""
    lengths = [math.sqrt(square) for square in (first2, second2)]
    cosine = product / math.prod(length if length > NOTHING else 1 for length in lengths)
    if abs(cosine) > PARALLEL:
        return alpha, 1 - alpha
    angle = math.acos(cosine)
    return math.sin(alpha * angle) / math.sin(angle), math.sin((1 - alpha) * angle) / math.sin(angle)


def task_arithmetic(base: Tensor, first: Tensor, second: Tensor, weights: Pair, scaling: float = 1.0) -> Tensor:
    """Add both weighted changes to the base (equation 5).

    Written as a sum of three models: where the weights sum to 1 the base cancels, and alpha 0 and 1 are the experts.

    >>> base, first, second = torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([4.0])
    >>> task_arithmetic(base, first, second, weights=(1.0, 1.0))  # 1 + (2 - 1) + (4 - 1)
    tensor([5.])
    """
    a, b = (scaling * weight for weight in weights)
    return torch.add(mix(first, second, a, b), base, alpha=1 - a - b)


def ties(base: Tensor, first: Tensor, second: Tensor, keeps: Pair, weights: Pair, scaling: float = 1.0) -> Tensor:
    """Average the kept changes that have the elected sign; with weights (1, 0) base plus the first's kept change.

    >>> base, first, second = torch.zeros(3), torch.tensor([4.0, -2.0, 3.0]), torch.tensor([2.0, 1.0, 0.0])
    >>> ties(base, first, second, keeps=(1.0, 1.0), weights=(0.5, 0.5))  # agreed, outvoted, alone
    tensor([ 3., -2.,  3.])
    """
    a, b, sign = elect(*changes(base, first, second, keeps, weights))
    voters = mix(a.sign(), b.sign(), *weights)
    return torch.add(base, (a + b) / voters.clamp(min=TINY) * sign, alpha=scaling)


def dare_ties(base: Tensor, first: Tensor, second: Tensor, keeps: Pair, weights: Pair, scaling: float = 1.0) -> Tensor:
    """Add the kept changes that have the elected sign; `weights` include DARE's rescaling.

    >>> base, first, second = torch.zeros(3), torch.tensor([4.0, -2.0, 3.0]), torch.tensor([2.0, 1.0, 0.0])
    >>> dare_ties(base, first, second, keeps=(1.0, 1.0), weights=(0.5, 0.5))
    tensor([ 3.0000, -1.0000,  1.5000])
    """
    a, b, sign = elect(*changes(base, first, second, keeps, weights))
    return torch.add(base, (a + b) * sign, alpha=scaling)


def dare_linear(
    base: Tensor, first: Tensor, second: Tensor, keeps: Pair, weights: Pair, scaling: float = 1.0
) -> Tensor:
    """Add the kept changes; `weights` include DARE's rescaling.

    >>> base, first, second = torch.zeros(2), torch.tensor([4.0, -2.0]), torch.tensor([2.0, 1.0])
    >>> dare_linear(base, first, second, keeps=(torch.tensor([1, 0]), torch.tensor([1, 1])), weights=(0.5, 0.5))
    tensor([3.0000, 0.5000])
    """
    a, b = changes(base, first, second, keeps, weights)
    return torch.add(base, a + b, alpha=scaling)


def dare_in_turn(base: Tensor, first: Tensor, second: Tensor, keeps: Pair, factor: float) -> Tensor:
    """Add one expert after the other, each as its kept difference from the result so far times `factor`.

    >>> one = torch.ones(1)
    >>> dare_in_turn(0 * one, 10 * one, one, keeps=(1.0, 1.0), factor=0.5)  # half-way to 10, then half-way to 1
    tensor([3.])
    """
    result = base
    for expert, keep in zip((first, second), keeps, strict=True):
        result = torch.add(result, (expert - result) * keep, alpha=factor)
    return result


def changes(base: Tensor, first: Tensor, second: Tensor, keeps: Pair, weights: Pair) -> tuple[Tensor, Tensor]:
    """Return what is kept of both experts' changes, times their weights."""
    return (first - base) * keeps[0] * weights[0], (second - base) * keeps[1] * weights[1]


def elect(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sizes of two changes where they have the sign of their sum, else 0, and that sign; a tie elects +1."""
    sign = torch.ones_like(first).copysign_(first + second)
    return (first * sign).relu_(), (second * sign).relu_(), sign


# --- which entries the sparse methods keep ---------------------------------------------------------------------------


def largest(change: Tensor, density: float) -> Tensor:
    """Mark the entries that are largest by magnitude: int(density * n) of them, at least one.

    Of entries with the same magnitude at the border the earlier ones are kept (mergekit's choice there is arbitrary).

    >>> largest(torch.tensor([0.1, -3.0, 2.0, 0.5]), density=0.5)
    tensor([False,  True,  True, False])
    """
    size = change.abs().flatten()
    return above(size, *border(size.clone(), density))[0].reshape(change.shape)


def border(size: Tensor, density: float) -> tuple[float, int]:
    """Return the smallest magnitude that TIES keeps, and how many entries of just that magnitude; reorders `size`."""
    count = max(1, int(density * size.numel()))
    place = size.numel() - count
    if size.is_cpu:  # sorts nothing, and ten times faster than torch.kthvalue
        size.numpy().partition(place)
        top, value = size[place:], size[place].item()
    else:
        top, value = size, size.kthvalue(place + 1).values.item()
    return value, count - int((top > value).sum())


def above(size: Tensor, value: float, how_many: int) -> tuple[Tensor, int]:
    """Mark what is larger than `value`, and the first `how_many` equal to it; return also how many are still wanted."""
    keep = size > value
    if how_many:
        equal = (size == value).nonzero().flatten()[:how_many]
        keep[equal] = True
        how_many -= len(equal)
    return keep, how_many


def chance(seed: int, name: str, which: int) -> np.random.Generator:
    """Return the random numbers that decide one tensor of one expert (0 or 1), and nothing else."""
    return np.random.default_rng([seed, which, *name.encode()])


def drawn(count: int, density: float, random: np.random.Generator) -> Tensor:
    """Mark each of the next `count` entries with probability `density`."""
    return torch.from_numpy(random.random(count, dtype=np.float32) < density)


def masks(merge: Merge, name: str, base: Tensor, first: Tensor, second: Tensor) -> Pair:
    """Return which entries of the two changes of one tensor a sparse method keeps."""
    if merge.density >= 1 or base.numel() == 0:
        return 1.0, 1.0
    if merge.method == "ties":
        return largest(first - base, merge.density), largest(second - base, merge.density)
    found = (drawn(base.numel(), merge.density, chance(merge.seed, name, which)) for which in (0, 1))
    return tuple(mask.reshape(base.shape).to(base.device) for mask in found)


# --- one Merge on tensors --------------------------------------------------------------------------------------------


def merge_tensor(merge: Merge, name: str, base: Tensor | None, first: Tensor, second: Tensor) -> Tensor:
    """Return one tensor of a merge in float32; `name` seeds DARE's masks together with `merge.seed`.

    `base` may be None for linear and slerp.

    >>> merge = Merge("m", "linear", alpha=0.25)
    >>> merge_tensor(merge, "model.norm.weight", None, torch.tensor([4.0]), torch.tensor([8.0]))
    tensor([7.])
    """
    first, second = first.float(), second.float()
    base = None if base is None else base.float()
    weights = slerp_weights(first, second, merge.alpha) if merge.method == "slerp" else merge.weights
    keeps = masks(merge, name, base, first, second) if merge.method in SPARSE else None
    return combine(merge, base, first, second, weights, keeps)


def merge_rounded(
    merge: Merge,
    base: Mapping[str, Tensor | None],
    first: Mapping[str, Tensor],
    second: Mapping[str, Tensor],
    dtype: Any,
) -> dict[str, Tensor]:
    """Return the tensors of a merge rounded to `dtype`; DataError names one that is then not finite.

    >>> first, second = {"norm": torch.tensor([1e5])}, {"norm": torch.tensor([3e5])}
    >>> merge_rounded(Merge("m", "linear"), {"norm": None}, first, second, torch.bfloat16)
    {'norm': tensor([199680.], dtype=torch.bfloat16)}
    """
    merged = {name: merge_tensor(merge, name, base[name], first[name], second[name]).to(dtype) for name in first}
    why = TOO_LARGE.format(dtype=str(dtype).removeprefix("torch."))
    check_tensors(
        merged, f"merge {merge.name!r} of {merge.first} and {merge.second}", f"an expert is damaged, or {why}"
    )
    return merged


def check_base(merge: Merge, base: Any) -> None:
    """Raise DataError when a method that merges changes from a base is given none."""
    if base is None and merge.method in NEEDS_BASE:
        raise DataError(f"merge {merge.name!r}: {merge.method} needs the base model of both experts; give it.")


def combine(merge: Merge, base: Any, first: Tensor, second: Tensor, weights: Pair, keeps: Pair | None) -> Tensor:
    """Apply a merge entry by entry, given SLERP's weights or the masks; tensors may be pieces of whole ones."""
    if merge.method == "slerp":
        return mix(first, second, *weights)
    if merge.method == "linear":
        return linear(first, second, weights)
    if merge.method == "task-arithmetic" or (merge.method == "dare-linear" and merge.density >= 1):
        return task_arithmetic(base, first, second, weights, merge.scaling)
    if merge.method == "ties":
        return ties(base, first, second, keeps, weights, merge.scaling)
    if merge.in_turn:
        return dare_in_turn(base, first, second, keeps, merge.scaling * merge.rescale)
    method = dare_ties if merge.method == "dare-ties" else dare_linear
    return method(base, first, second, keeps, tuple(weight * merge.rescale for weight in weights), merge.scaling)


def merge_state(
    merge: Merge, base: Mapping[str, Tensor] | None, first: Mapping[str, Tensor], second: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the merge of whole models given as tensors by name, in float32.

    A tensor that `first` holds under two names (tied embeddings) is merged once, under the first name, and stays tied.
    Raises DataError when the models do not have the same names and shapes.

    >>> merge_state(Merge("m", "linear"), None, {"norm": torch.tensor([4.0])}, {"norm": torch.tensor([8.0])})
    {'norm': tensor([6.])}
    """
    check_base(merge, base)
    shapes = {name: tuple(tensor.shape) for name, tensor in first.items()}
    for other in (second, *([] if base is None else [base])):
        different = {name for name, _ in shapes.items() ^ {name: tuple(x.shape) for name, x in other.items()}.items()}
        if different:
            raise DataError(
                f"merge {merge.name!r}: the models do not have the same tensors: {', '.join(sorted(different)[:5])} "
                "are missing in one of them or differ in shape; merge experts of one base model."
            )
    merged: dict[str, Tensor] = {}
    names: dict[Any, str] = {}
    for name, tensor in first.items():
        same = names.setdefault((tensor.data_ptr(), tensor.shape, tensor.stride()), name)
        if same != name:
            merged[name] = merged[same]
        else:
            merged[name] = merge_tensor(merge, name, None if base is None else base[name], tensor, second[name])
    return merged


def dot(x: Tensor, y: Tensor, so_far: float = 0.0) -> float:
    """Return the inner product of two tensors: float32 products summed in float64, block after block.

    >>> dot(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    11.0
    """
    for a, b in zip(x.flatten().split(SUM_BLOCK), y.flatten().split(SUM_BLOCK), strict=True):
        so_far += (a * b).sum(dtype=torch.float64).item()
    return so_far
