"""Merging model folders on disk, piece by piece, with the very results of `methods`.

Tensors are read and written in pieces that fit into a core's cache, two tensors at once where there are two cores. A
linear merge is then bound by reading and writing, in the memory of a few pieces. TIES holds one more tensor, in which
it finds the smallest entry to keep without sorting.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..parallel import available_workers, one_thread
from ..records import DataError
from . import methods
from .finite import PARENT, TOO_LARGE, check_tensors, finite, not_finite, refuse
from .layout import INDEX, WEIGHTS, Layout, Stored, read_layout
from .spec import SPARSE, Merge

if TYPE_CHECKING:
    from torch import Tensor

    Keep = Callable[[Tensor, Tensor], Any]

PIECE = 4 * methods.SUM_BLOCK  # entries
WINDOW = 32 * PIECE
WORKERS = 2  # tensors at once; more would wait for memory
STORED_AS = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}
DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}


def merge_to_disk(
    merge: Merge, base: str | Path | None, first: str | Path, second: str | Path, folder: Path, dtype: str = "float32"
) -> None:
    """Write weights and config.json of a merge of model folders into `folder`, split into files as the first model.

    `base` may be None for linear and slerp. `merging.merge_folders` adds what else belongs to a judge and lets the
    folder appear only when whole. Raises DataError for weights that are not finite, and when the disk is full.
    """
    methods.check_base(merge, base)
    parents = [None if model is None else read_layout(model) for model in (base, first, second)]
    files: dict[str, list[str]] = {}
    for name, stored in parents[1].items():
        files.setdefault(stored.file.name, []).append(name)
    try:
        for file, names in files.items():
            _write_weights(folder / file, names, merge, parents, dtype)
        _write_settings(folder, files, parents[1], Path(first), dtype)
    except OSError as error:
        raise DataError(f"{folder}: could not be written ({error.strerror}); free space or check it.") from error


def _write_weights(path: Path, names: list[str], merge: Merge, parents: list[Layout | None], dtype: str) -> None:
    """Write one safetensors file: the header's length in 8 bytes, the header as JSON, the tensors one after another."""
    kind = DTYPES[STORED_AS[dtype]]
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        shape = parents[1][name].shape
        start, end = end, end + math.prod(shape) * kind.itemsize
        header[name] = {"dtype": STORED_AS[dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of eight bytes
    path.write_bytes(len(text).to_bytes(8, "little") + text)

    def write(name: str) -> None:
        with open(path, "r+b", buffering=0) as out:
            out.seek(8 + len(text) + header[name]["data_offsets"][0])
            for piece in merged_pieces(merge, name, *(p and p[name] for p in parents), kind):
                data = memoryview(piece.view(torch.uint8).numpy())
                while data:  # a disk that runs full takes a part first
                    data = data[out.write(data) :]

    with one_thread(), ThreadPoolExecutor(available_workers(WORKERS)) as pool:
        for _ in pool.map(write, names):
            pass


def _write_settings(folder: Path, files: dict[str, list[str]], layout: Layout, first: Path, dtype: str) -> None:
    config = json.loads((first / "config.json").read_text(encoding="utf-8"))
    config.pop("torch_dtype", None)
    (folder / "config.json").write_text(json.dumps({**config, "dtype": dtype}, indent=2) + "\n", encoding="utf-8")
    if set(files) != {WEIGHTS}:
        size = sum(stored.entries for stored in layout.values()) * DTYPES[STORED_AS[dtype]].itemsize
        places = {name: file for file, names in files.items() for name in names}
        index = {"metadata": {"total_size": size}, "weight_map": places}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def merged_pieces(
    merge: Merge, name: str, base: Stored | None, first: Stored, second: Stored, dtype: Any = torch.float32
) -> Iterator[Tensor]:
    """Yield one tensor of a merge, computed in float32 and rounded to `dtype`, flat, piece by piece.

    Raises DataError when a parent's weight is not finite, or one of the merge once it is rounded.
    """
    weights = _slerp_weights(first, second, merge.alpha) if merge.method == "slerp" else merge.weights
    keeps = [_keep(merge, name, which, base, expert) for which, expert in enumerate((first, second))]
    bases = repeat(None) if base is None else pieces(base)
    for b, *experts in zip(bases, pieces(first), pieces(second)):
        masks = [keep(b, expert) for keep, expert in zip(keeps, experts, strict=True)]
        piece = methods.combine(merge, b, *experts, weights, masks).to(dtype)
        if not all(map(finite, (piece, *experts) if merge.method in SPARSE else (piece,))):  # which may hide some
            for stored in filter(None, (base, first, second)):
                check_finite({name: stored})
            check_tensors({name: piece}, f"merge {merge.name!r}", TOO_LARGE.format(dtype=_name(dtype)))
        yield piece


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _slerp_weights(first: Stored, second: Stored, alpha: float) -> tuple[float, float]:
    products = (0.0, 0.0, 0.0)
    for f, s in zip(pieces(first), pieces(second), strict=True):
        products = tuple(methods.dot(x, y, so_far) for x, y, so_far in zip((f, s, f), (f, s, s), products))
    return methods.arc_weights(*products, alpha)


def _keep(merge: Merge, name: str, which: int, base: Stored | None, expert: Stored) -> Keep:
    """Return what tells, piece by piece in order, which entries of a change are kept."""
    if merge.method not in SPARSE or merge.density >= 1 or not expert.entries:
        return lambda base, expert: 1.0
    if merge.method == "ties":
        return _keep_largest(base, expert, merge.density)
    random = methods.chance(merge.seed, name, which)
    return lambda base, expert: methods.drawn(expert.numel(), merge.density, random)


def _keep_largest(base: Stored, expert: Stored, density: float) -> Keep:
    sizes = torch.empty(expert.entries)
    for place, b, x in zip(sizes.split(PIECE), pieces(base), pieces(expert), strict=True):
        torch.sub(x, b, out=place).abs_()
    value, left = methods.border(sizes, density)

    def keep(base: Tensor, expert: Tensor) -> Tensor:
        nonlocal left
        mask, left = methods.above((expert - base).abs_(), value, left)
        return mask

    return keep


def pieces(stored: Stored) -> Iterator[Tensor]:
    """Yield a stored tensor in float32, flat, piece by piece; none may be changed.

    The file is mapped anew for each window, so that what was read does not stay in memory.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> sum(len(piece) for piece in pieces(read_layout(EMBEDDED_BASE)["model.embed_tokens.weight"]))  # 1292 x 128
    165376
    """
    for start in range(0, stored.entries, WINDOW):
        for piece in stored.read().flatten()[start : start + WINDOW].split(PIECE):
            yield piece.float()


def check_finite(layout: Layout) -> None:
    """Raise DataError naming the first tensor that holds a weight that is NaN or infinite.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> check_finite(read_layout(EMBEDDED_BASE))
    """
    for name, stored in layout.items():
        if bad := sum(not_finite(piece) for piece in pieces(stored)):
            raise refuse(str(stored.file), name, bad, PARENT)
