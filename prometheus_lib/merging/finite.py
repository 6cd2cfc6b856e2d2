"""Weights that are NaN or infinite are named, and nothing is written: a judge with one of them answers nonsense."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..records import DataError

if TYPE_CHECKING:
    from torch import Tensor

PARENT = "this model's training went wrong (lower the learning rate), or its file is damaged"
TOO_LARGE = "the merge is too large for {dtype}: choose another dtype, smaller weights or a smaller scaling"


def finite(tensor: Tensor) -> bool:
    """Tell whether no entry is NaN or infinite, as fast as a sum of squares where none is huge.

    >>> import torch
    >>> finite(torch.tensor([1.0, -2.0])), finite(torch.tensor([1.0, float("nan")]))
    (True, False)
    """
    flat = tensor.flatten().float()
    return math.isfinite(flat.dot(flat).item()) or bool(flat.isfinite().all())


def not_finite(tensor: Tensor) -> int:
    """Count the entries that are NaN or infinite."""
    return int((~tensor.isfinite()).sum())


def refuse(where: str, name: str, count: int, why: str) -> DataError:
    """Return the error about `count` bad weights of one tensor; `where` is its file or its merge."""
    return DataError(f"{where}: {name} holds {count} weights that are NaN or infinite; {why}.")


def check_tensors(tensors: Mapping[str, Tensor], where: str, why: str) -> None:
    """Raise DataError naming the first tensor that holds a weight that is NaN or infinite.

    >>> import torch
    >>> check_tensors({"norm": torch.ones(2)}, "model.safetensors", PARENT)
    """
    for name, tensor in tensors.items():
        if not finite(tensor):
            raise refuse(where, name, not_finite(tensor), why)
