"""Tensor names of a mixture of experts: merged Mixtrals come with all experts of a layer in one tensor, vLLM wants them
one by one.

Tensors are mapped from the old file and written into the new one as they lie there, so every value stays bit for bit
and no file has to fit into memory.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .. import artifacts
from ..records import write_text_atomic
from .layout import INDEX, read_header

if TYPE_CHECKING:
    from torch import Tensor

FUSED = re.compile(r"(?P<layer>.*\.layers\.\d+)\.mlp\.(?P<what>experts\.gate_up_proj|experts\.down_proj|gate\.weight)")


def split_fused_experts(folder: str | Path) -> bool:
    """Give a Mixtral folder the published per-expert names, file by file; return False when it has them already.

    A run that was stopped half-way is finished by the next one. DataError when a file is no safetensors file.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> split_fused_experts(EMBEDDED_BASE)  # no mixture of experts
    False
    """
    folder = Path(folder)
    changed = [path for path in sorted(folder.glob("*.safetensors")) if _split_file(path)]
    if (folder / INDEX).is_file():
        _write_index(folder)
    return bool(changed)


def _split_file(path: Path) -> bool:
    from safetensors import safe_open
    from safetensors.torch import save_file

    if not any(map(FUSED.fullmatch, read_header(path))):
        return False
    artifacts.clear_leftovers(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with safe_open(path, framework="pt") as file:
        tensors = {new: part for name in file.keys() for new, part in _split(name, file.get_tensor(name))}  # noqa: SIM118
        save_file(tensors, temporary, file.metadata())
    os.replace(temporary, path)
    return True


def _split(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield a tensor under its published name, or the matrices of its experts.

    Of shape (experts, rows, columns) `gate_up_proj` holds w1 and w3 below each other, `down_proj` holds w2.
    """
    found = FUSED.fullmatch(name)
    if found is None:
        yield name, tensor
    elif found["what"] == "gate.weight":
        yield f"{found['layer']}.block_sparse_moe.gate.weight", tensor
    else:
        parts = ("w1", "w3") if found["what"] == "experts.gate_up_proj" else ("w2",)
        for expert, matrices in enumerate(tensor):
            for part, matrix in zip(parts, matrices.chunk(len(parts)), strict=True):
                yield f"{found['layer']}.block_sparse_moe.experts.{expert}.{part}.weight", matrix


def _write_index(folder: Path) -> None:
    index = artifacts.read_json(folder / INDEX)
    files = {name: path.name for path in sorted(folder.glob("*.safetensors")) for name in read_header(path)}
    write_text_atomic(folder / INDEX, json.dumps({**index, "weight_map": files}, indent=2, sort_keys=True))
