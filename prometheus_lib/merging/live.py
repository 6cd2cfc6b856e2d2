"""Weights that are exchanged in a live model of transformers: names in files and names in the model need not agree.

Files have the published names; transformers nests a language model beside its vision tower in another order, and holds
the experts of a mixture in one tensor for each layer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..records import DataError, few
from .geometry import Weights

if TYPE_CHECKING:
    from torch import Tensor

NESTING = ("model", "language_model", "text_model", "vision_model")  # parts of a name that only say what holds what
EXPERT = re.compile(r"(?P<layer>.*)\.(?:block_sparse_moe|mlp)\.experts\.(?P<expert>\d+)\.(?P<matrix>\w+)\.weight")
FUSED = {  # the tensor that holds a matrix of each expert, which part of it, of how many
    "w1": ("gate_up_proj", 0, 2), "gate_proj": ("gate_up_proj", 0, 2),
    "w3": ("gate_up_proj", 1, 2), "up_proj": ("gate_up_proj", 1, 2),
    "w2": ("down_proj", 0, 1), "down_proj": ("down_proj", 0, 1),
}  # fmt: skip


def live_model(folder: str | Path, bf16: bool = False) -> Any:
    """Load a model whose weights are to be exchanged, spread over the GPUs where there are any.

    DataError where they are too small for it: what transformers then leaves on the disk cannot be exchanged.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> model = live_model(EMBEDDED_BASE)  # doctest: +SKIP
    """
    import torch
    from transformers import AutoModelForCausalLM

    spread = {"device_map": "auto"} if torch.cuda.is_available() else {}
    dtype = torch.bfloat16 if bf16 else torch.float32
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **spread).eval()
    if any(value.is_meta for value in model.parameters()):
        raise DataError(f"{folder}: the GPUs and the memory of this machine do not hold it; use a larger one.")
    return model


def load_into(model: Any, weights: Weights) -> None:
    """Put weights into a live model of the same architecture, tensor by tensor.

    DataError, before anything is changed, for a tensor that the model lacks and for a parameter that would keep its
    old value. Tied parameters are one; buffers that the weights do not hold are left alone.
    """
    import torch

    held = {plain(name): tensor for name, tensor in model.state_dict().items()}
    places = {name: place_in(held, name) for name in weights.names}
    if unknown := [name for name, place in places.items() if place is None]:
        raise DataError(f"the model has no tensor {few(unknown, 3)}; give weights of the same architecture.")
    filled: Counter[int] = Counter()
    for place in places.values():
        filled[_memory(place)] += place.numel()
    if kept := [name for name, value in model.named_parameters() if filled[_memory(value)] < value.numel()]:
        raise DataError(f"the weights do not hold {few(kept, 3)} of the model; give a whole model's.")
    with torch.no_grad():
        for name, place in places.items():
            tensor = weights.read(name)
            if tensor.shape != place.shape:
                raise DataError(f"{name}: {tuple(tensor.shape)}, but {tuple(place.shape)} in the model; give its like.")
            place.copy_(tensor)


def _memory(tensor: Tensor) -> int:
    """Return what is equal for tied tensors and for parts of one."""
    return tensor.untyped_storage().data_ptr()


def plain(name: str) -> str:
    """Return a tensor's name without the parts that only say what holds what.

    >>> plain("language_model.model.layers.0.mlp.up_proj.weight")
    'layers.0.mlp.up_proj.weight'
    """
    return ".".join(part for part in name.split(".") if part not in NESTING)


def place_in(held: Mapping[str, Tensor], name: str) -> Tensor | None:
    """Return the tensor, or the part of one, in which a live model holds what files call `name`; None where nowhere.

    `held` are the model's tensors by their `plain` names.
    """
    name = plain(name)
    if name in held:
        return held[name]
    found = EXPERT.fullmatch(name)
    if found is None:
        routers = (name.replace(".block_sparse_moe.gate.", f".mlp.{router}.") for router in ("gate", "router"))
        return next((held[each] for each in routers if each in held), None)
    fused, part, parts = FUSED.get(found["matrix"], ("", 0, 1))
    whole, expert = held.get(f"{found['layer']}.mlp.experts.{fused}"), int(found["expert"])
    return None if whole is None or expert >= len(whole) else whole[expert].chunk(parts)[part]
