"""Where each tensor of a model folder lies, read from the headers of its files without reading a weight.

A folder is read as transformers reads it: `model.safetensors` where it is there, else the files that the index names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import artifacts
from ..records import DataError, few

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Stored:
    """A tensor in a safetensors file: its name, type ("F32", "BF16", ...) and shape."""

    file: Path
    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def entries(self) -> int:
        """Return the number of entries.

        >>> Stored(Path("model.safetensors"), "norm", "F32", (3, 5)).entries
        15
        """
        return math.prod(self.shape)

    def read(self) -> Tensor:
        """Return the tensor, mapped from the file: only what is looked at is read, and let go with the tensor."""
        from safetensors import safe_open

        with safe_open(self.file, framework="pt") as file:
            return file.get_tensor(self.name)


Layout = dict[str, Stored]


def read_layout(folder: str | Path) -> Layout:
    """Return where each tensor of a model folder lies; DataError names missing, damaged and contradicting files.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> stored = read_layout(EMBEDDED_BASE)["model.norm.weight"]
    >>> stored.file.name, stored.dtype, stored.shape
    ('model.safetensors', 'F32', (128,))
    """
    folder = Path(folder)
    if (folder / WEIGHTS).is_file():
        _check_one_model(folder)
        return read_header(folder / WEIGHTS)
    if (folder / INDEX).is_file():
        return _read_shards(folder)
    found = few(sorted(file.name for pattern in ("*.safetensors", "*.bin") for file in folder.glob(pattern)), 3)
    raise DataError(
        f"{folder}: neither {WEIGHTS} nor {INDEX} is there (only {found or 'no weights'}); "
        "copy the missing file, or load the model and save it with save_pretrained."
    )


def _check_one_model(folder: Path) -> None:
    """Raise DataError when shards lie beside `model.safetensors`: one of the two is out of date, nobody knows which."""
    shards = [file for file in indexed_files(folder) if file != WEIGHTS and (folder / file).is_file()]
    if shards:
        raise DataError(
            f"{folder}: both {WEIGHTS} and {INDEX} with {few(shards, 3)} are there, two models in one folder "
            "(transformers reads the former, mergekit and vLLM the latter); delete the one that is out of date."
        )


def indexed_files(folder: Path) -> list[str]:
    """Return the files that a folder's index names, none where it has no index."""
    index = folder / INDEX
    return sorted(set(_places(index).values())) if index.is_file() else []


def _places(index: Path) -> dict[str, str]:
    return artifacts.read_json(index).get("weight_map", {})


def _read_shards(folder: Path) -> Layout:
    index, files = folder / INDEX, indexed_files(folder)
    places = _places(index)
    if missing := [file for file in files if not (folder / file).is_file()]:
        lost = [name for name, file in places.items() if file in missing]
        raise DataError(
            f"{index}: it names {few(missing, 3)}, not in the folder, with {len(lost)} tensors ({few(lost, 3)}); "
            "copy the missing file there."
        )
    layout = {name: stored for file in files for name, stored in read_header(folder / file).items()}
    lost = [name for name, file in places.items() if name not in layout or layout[name].file.name != file]
    if lost or not places:
        raise DataError(
            f"{index}: {few([f'{name} ({places[name]})' for name in lost], 3) or 'no tensor'} is where it says; "
            "the index and the weight files do not belong together; copy the whole folder again."
        )
    return {name: stored for name, stored in layout.items() if name in places}


def read_header(path: Path) -> Layout:
    """Return the tensors of a safetensors file, in the file's order; DataError when it is damaged or cut short."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.offset_keys()}
            return {n: Stored(path, n, each.get_dtype(), tuple(each.get_shape())) for n, each in slices.items()}
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: not a whole safetensors file ({error}); copy it or build it again.") from error


def same_weights(a: Layout, b: Layout) -> bool:
    """Tell whether two models have the same weights, bit for bit; stops at the first tensor that differs."""
    if {n: (s.dtype, s.shape) for n, s in a.items()} != {n: (s.dtype, s.shape) for n, s in b.items()}:
        return False
    return all(_same_bits(a[name], b[name]) for name in sorted(a, key=lambda name: a[name].entries))


def _same_bits(a: Stored, b: Stored) -> bool:
    import torch

    return torch.equal(*(stored.read().flatten().view(torch.uint8) for stored in (a, b)))
