"""Tensor names of a mixture of experts: merged Mixtrals come with all experts of a layer in one tensor, vLLM wants them
one by one.

The experts of a fused tensor lie one after the other in the file, so only the file's header is written anew and the
bytes behind it are copied as they are: no tensor is loaded, and every value stays bit for bit.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..records import DataError, write_text_atomic

FUSED = re.compile(r"(?P<layer>.*\.layers\.\d+)\.mlp\.(?P<what>experts\.gate_up_proj|experts\.down_proj|gate\.weight)")
INDEX = "model.safetensors.index.json"
COPY_BYTES = 1 << 24


def split_fused_experts(folder: str | Path) -> bool:
    """Give a Mixtral folder the published per-expert names, file by file; return False when it has them already.

    A run that was stopped half-way is finished by the next one. DataError when a file is no safetensors file.
    """
    folder = Path(folder)
    changed = [path for path in sorted(folder.glob("*.safetensors")) if _split_file(path)]
    if (folder / INDEX).is_file():
        _write_index(folder)
    return bool(changed)


def _split_file(path: Path) -> bool:
    with open(path, "rb") as source:
        old = read_header(path, source)
        new = dict(_split_entries(old))
        if list(new) == list(old):
            return False
        text = json.dumps(new, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight bytes
        temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        with open(temporary, "wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            shutil.copyfileobj(source, out, COPY_BYTES)
            out.flush()
            os.fsync(out.fileno())
    os.replace(temporary, path)
    return True


def read_header(path: Path, file: Any) -> dict[str, Any]:
    """Read the header of an open safetensors file: name -> dtype, shape, data_offsets; leave the file behind it."""
    try:
        return json.loads(file.read(int.from_bytes(file.read(8), "little")))
    except (ValueError, MemoryError, OverflowError) as error:
        raise DataError(f"{path}: not a whole safetensors file; merge or download this model again.") from error


def _split_entries(header: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, entry in header.items():
        found = FUSED.fullmatch(name)
        if found is None:
            yield name, entry
        elif found["what"] == "gate.weight":
            yield f"{found['layer']}.block_sparse_moe.gate.weight", entry
        else:
            yield from _split_tensor(f"{found['layer']}.block_sparse_moe.experts", found["what"], entry)


def _split_tensor(prefix: str, what: str, entry: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Split shape (experts, rows, columns): `gate_up_proj` holds w1 and w3 below each other, `down_proj` holds w2."""
    parts = ("w1", "w3") if what.endswith("gate_up_proj") else ("w2",)
    experts, rows, columns = entry["shape"]
    start, end = entry["data_offsets"]
    size = (end - start) // (experts * len(parts))
    for expert in range(experts):
        for part in parts:
            piece = {"dtype": entry["dtype"], "shape": [rows // len(parts), columns]}
            yield f"{prefix}.{expert}.{part}.weight", {**piece, "data_offsets": [start, start + size]}
            start += size


def _write_index(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    files = {}
    for path in sorted(folder.glob("*.safetensors")):
        with open(path, "rb") as file:
            files.update({name: path.name for name in read_header(path, file) if name != "__metadata__"})
    write_text_atomic(folder / INDEX, json.dumps({**index, "weight_map": files}, indent=2, sort_keys=True))
