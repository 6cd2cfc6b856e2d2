"""DARE's masks recovered from a merge: which entries were dropped, from the weights alone.

mergekit draws the masks of all tensors one after the other, so they cannot be drawn again. But each entry was dropped
or kept in each change, four cases, and the case that comes nearest to the merged number tells which. If the method is
understood, nothing is left over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .methods import elect
from .spec import Merge

if TYPE_CHECKING:
    from torch import Tensor

_CASES = ((0, 0), (0, 1), (1, 0), (1, 1))
_ROUNDS = 3  # the exact factors follow from the masks, so they are refined


def recovered(merge: Merge, parents: tuple[Tensor, Tensor, Tensor], merged: Tensor) -> dict[str, float]:
    """Return how a DARE merge of base, first and second came about, for one tensor.

    Keys: factor d, factor p (what a kept entry was multiplied by), kept d, kept p (shares, among the larger half of the
    entries), unexplained and largest change (absolute). A DARE-TIES entry that lost the election looks dropped.

    >>> import torch
    >>> d, p, chance_d, chance_p = torch.rand(4, 8, 8, generator=torch.Generator().manual_seed(1))
    >>> kept_d, kept_p = chance_d < 0.75, chance_p < 0.75
    >>> found = recovered(Merge("m", "dare-linear", density=0.75), (0 * d, d, p), (kept_d * d + kept_p * p) / 2 / 0.75)
    >>> round(found["factor d"], 4), found["unexplained"] < 1e-6
    (0.6667, True)
    """
    import torch

    base, *experts = parents
    moved, found = torch.stack([each - base for each in experts]), merged.float() - base
    factor = merge.scaling / merge.density * torch.tensor(merge.weights)
    for _ in range(_ROUNDS):
        chosen = _nearest(merge, factor.reshape(2, 1, 1) * moved, found)
        refined = torch.linalg.lstsq(chosen.flatten(1).T, found.flatten()[:, None]).solution
        factor = factor * refined.flatten()
    kept = [(x[c.abs() > c.abs().median()] != 0).float().mean().item() for x, c in zip(chosen, moved, strict=True)]
    rest, largest = (chosen.sum(0) - found).abs().max().item(), found.abs().max().item()
    names = ("factor d", "factor p", "kept d", "kept p", "unexplained", "largest change")
    return dict(zip(names, [*factor.tolist(), *kept, rest, largest], strict=True))


def _nearest(merge: Merge, changes: Tensor, found: Tensor) -> Tensor:
    """Return what counts of both changes (2, rows, columns) in the case that comes nearest to what was found."""
    import torch

    parts = torch.stack([_counted(merge, *(torch.tensor(case).reshape(2, 1, 1) * changes)) for case in _CASES])
    nearest = (parts.sum(1) - found).abs().argmin(0)
    return parts.take_along_dim(nearest[None, None], 0)[0]


def _counted(merge: Merge, first: Tensor, second: Tensor) -> Tensor:
    import torch

    if merge.method != "dare-ties":
        return torch.stack([first, second])
    one, two, sign = elect(first, second)
    return torch.stack([one * sign, two * sign])
