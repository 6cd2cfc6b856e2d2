"""Where models lie in the space of weights: lengths, angles and sign conflicts of experts' changes (paper, section 6).

A *change* is a model minus its base. Everything here is a sum over tensors, which are read a piece at a time from files
that stay mapped: forty models of any size need a few hundred megabytes (TIES and sign conflicts: one tensor more). A
model is a `Weights`: a folder on disk (`stored`), or a merge that is computed as it is read (`merged`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..parallel import Report, silent
from ..records import DataError, few
from .layout import Layout, read_layout
from .spec import Merge
from .writer import local_folder

if TYPE_CHECKING:
    from torch import Tensor

LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.(.*)$")
SIDE = re.compile(r"(?:^|\.)(vision|audio|multi_modal)")  # towers beside the language model, with layers of their own
ROUTERS = ("moe.gate", "mlp.router", "mlp.gate", "shared_expert_gate")


@dataclass(frozen=True)
class Weights:
    """A model's tensors by name, read when they are asked for: `read(name)` returns one in float32.

    `cut(name)`, where it is known, yields the same flat and in pieces; `layout` tells where a stored model's lie.
    """

    names: tuple[str, ...]
    read: Callable[[str], Tensor]
    cut: Callable[[str], Iterator[Tensor]] | None = None
    layout: Layout | None = None

    def pieces(self, name: str) -> Iterator[Tensor]:
        """Yield a tensor in float32, flat, in pieces of one size for all models."""
        from . import disk

        return self.cut(name) if self.cut else iter(self.read(name).flatten().split(disk.PIECE))


def stored(folder: str | Path) -> Weights:
    """Return the weights of a model folder, or of a model on the hub; DataError for missing or damaged files.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> base = stored(EMBEDDED_BASE)
    >>> tuple(base.read("model.norm.weight").shape)
    (128,)
    """
    layout = read_layout(local_folder(str(folder)))

    def cut(name: str) -> Iterator[Tensor]:
        from . import disk

        return disk.pieces(layout[name])

    return Weights(tuple(layout), lambda name: layout[name].read().float(), cut, layout)


def merged(merge: Merge, base: Weights, first: Weights, second: Weights, dtype: str = "float32") -> Weights:
    """Return the weights of a merge of two stored experts, computed as they are read and rounded once to `dtype`."""
    from . import disk

    parents = [model.layout for model in (base, first, second)]

    def cut(name: str) -> Iterator[Tensor]:
        kind = disk.DTYPES[disk.STORED_AS[dtype]]
        return (each.float() for each in disk.merged_pieces(merge, name, *(parent[name] for parent in parents), kind))

    def read(name: str) -> Tensor:
        import torch

        return torch.cat([torch.empty(0), *cut(name)]).reshape(first.layout[name].shape)

    return Weights(first.names, read, cut)


def inner_products(base: Weights, models: Mapping[str, Weights], report: Report = silent) -> pd.DataFrame:
    """Return the inner products of the models' changes from the base, summed over all tensors (models x models).

    Lengths, distances and angles all follow from them: the distance of models a and b is
    sqrt(products[a, a] - 2 products[a, b] + products[b, b]).
    """
    total = np.zeros((len(models), len(models)))
    for name in shared(base, *models.values()):
        for _, changes in _changes(name, base, models.values()):
            total += changes @ changes.T
        report(1)
    return pd.DataFrame(total, index=list(models), columns=list(models))


def shared(base: Weights, *models: Weights) -> list[str]:
    """Return the names of the tensors that base and models have; DataError for a model with one that the base lacks.

    A base may have more (buffers, a head that is tied to the embeddings), which no training moves.
    """
    known = set(base.names)
    if foreign := [name for model in models for name in model.names if name not in known]:
        raise DataError(
            f"the base has no tensor {few(dict.fromkeys(foreign), 3)}; compare models of one base, with names as "
            "save_pretrained writes them."
        )
    held = [set(model.names) for model in models]
    return [name for name in base.names if all(name in names for names in held)]


def _changes(name: str, base: Weights, models: Iterable[Weights]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the base's entries (entries,) and the changes (models, entries) of one tensor, in double precision."""
    for origin, *others in zip(base.pieces(name), *(model.pieces(name) for model in models), strict=True):
        start = origin.double()
        yield start.numpy(), np.stack([(piece.double() - start).numpy() for piece in others])


def distance(products: pd.DataFrame, one: str, other: str) -> float:
    """Return the distance of two models from their inner products.

    >>> products = pd.DataFrame([[4.0, 0.0], [0.0, 9.0]], index=["d", "p"], columns=["d", "p"])
    >>> round(distance(products, "d", "p") ** 2, 6)
    13.0
    """
    square = products.loc[one, one] - 2 * products.loc[one, other] + products.loc[other, other]
    return math.sqrt(max(0.0, square))


def cosines(products: pd.DataFrame) -> pd.DataFrame:
    """Return the cosines between the models' changes (models x models); NaN for a model that is the base itself."""
    lengths = np.sqrt(np.diag(products))
    with np.errstate(invalid="ignore"):
        return products / np.outer(lengths, lengths)


def positions(products: pd.DataFrame, first: str = "direct", second: str = "pairwise") -> pd.DataFrame:
    """Describe where models lie in the plane of two experts' changes, in units of the first expert's change.

    `products` are the models' inner products with both experts among them. Columns: distances to the base and to both
    experts; the effective coefficients `a` (of the first change) and `b` (of the second); `out of plane`, the share of
    a change's length that is a combination of neither.

    >>> names = ["direct", "pairwise", "average"]
    >>> products = pd.DataFrame([[1, 0, 0.5], [0, 1, 0.5], [0.5, 0.5, 0.5]], index=names, columns=names)
    >>> positions(products).loc["average", ["a", "b", "out of plane"]].tolist()
    [0.5, 0.5, 0.0]
    """
    experts = [first, second]
    unit = math.sqrt(products.loc[first, first])
    coefficients = np.linalg.solve(products.loc[experts, experts], products.loc[experts]).T
    square = np.diag(products)
    rest = np.clip(square - (coefficients * products[experts]).sum(axis=1), 0, None)
    table = pd.DataFrame({"to base": np.sqrt(square) / unit}, index=products.index)
    for expert in experts:
        table[f"to {expert}"] = [distance(products, name, expert) / unit for name in products.index]
    table["a"], table["b"] = coefficients.T
    table["out of plane"] = np.sqrt(rest / np.maximum(square, 1e-30))
    return table


def in_plane(products: pd.DataFrame, a: float, b: float, first: str = "direct", second: str = "pairwise"):
    """Return the coordinates (x, y) of a times the first plus b times the second change: x along the first one.

    Units are the length of the first change.
    """
    unit2 = products.loc[first, first]
    cross = products.loc[first, second] / unit2
    height = math.sqrt(max(0.0, products.loc[second, second] / unit2 - cross**2))
    return a + b * cross, b * height


def changes_by_module(base: Weights, first: Weights, second: Weights) -> pd.DataFrame:
    """Return one row per layer and kind of module: relative change of both models, and the cosine of their changes.

    `layer` is -1 outside the layers. The experts of a mixture count together. Columns `first` and `second` are lengths
    of the change divided by the length of the base's weights.
    """
    sums: dict[tuple[int, str], np.ndarray] = {}
    for name in shared(base, first, second):
        sums[place_of(name)] = sums.get(place_of(name), 0) + _scalar_products(name, base, first, second)
    rows = []
    for (layer, module), (start, one, two, cross) in sums.items():
        cosine = cross / math.sqrt(one * two) if one and two else math.nan
        relative = [math.sqrt(square / start) if start else math.nan for square in (one, two)]
        rows.append({"layer": layer, "module": module, "first": relative[0], "second": relative[1], "cosine": cosine})
    return pd.DataFrame(rows)


def _scalar_products(name: str, base: Weights, first: Weights, second: Weights) -> np.ndarray:
    """Return the squared lengths of base and both changes, and the changes' inner product, of one tensor."""
    total = np.zeros(4)
    for start, changes in _changes(name, base, (first, second)):
        products = changes @ changes.T
        total += [start @ start, products[0, 0], products[1, 1], products[0, 1]]
    return total


def place_of(name: str) -> tuple[int, str]:
    """Return the layer (-1 outside) and the kind of module of a tensor's name, whatever the architecture.

    The experts of a mixture are one module, its shared expert another; a tower for images or sound counts as outside.

    >>> place_of("model.layers.3.self_attn.q_proj.weight"), place_of("model.layers.3.self_attn.q_proj.bias")
    ((3, 'q'), (3, 'q bias'))
    >>> place_of("model.layers.0.block_sparse_moe.experts.7.w1.weight"), place_of("layers.0.mlp.experts.down_proj")
    ((0, 'w1'), (0, 'down'))
    >>> place_of("model.layers.0.block_sparse_moe.gate.weight")
    (0, 'router')
    >>> place_of("language_model.model.layers.2.mlp.up_proj.weight"), place_of("model.embed_tokens.weight")
    ((2, 'up'), (-1, 'embed_tokens'))
    """
    if side := SIDE.search(name):
        return -1, side[1]
    path = name.removesuffix(".weight")
    bias = " bias" if path.endswith(".bias") else ""
    path = path.removesuffix(".bias")
    found = LAYER.search(path)
    if not found:
        return -1, path.rpartition(".")[2] + bias
    router = found[2].endswith(ROUTERS)
    module = "router" if router else found[2].rpartition(".")[2].removesuffix("_proj")
    apart = "shared " if not router and ".shared_expert" in found[2] else ""
    return int(found[1]), f"{apart}{module}{bias}"


def sign_conflicts(base: Weights, first: Weights, second: Weights, densities: Sequence[float]) -> pd.DataFrame:
    """Return, by density, the share of entries kept in both trimmed changes, and of opposite signs among them.

    Each change keeps its largest entries, tensor by tensor, as TIES does (appendix G).
    """
    counts = {density: np.zeros(2) for density in densities}
    entries = 0
    for name in shared(base, first, second):
        ends = [dict(zip(densities, _borders(name, base, model, densities), strict=True)) for model in (first, second)]
        for start, *pair in zip(*(model.pieces(name) for model in (base, first, second)), strict=True):
            entries += start.numel()
            for density, count in counts.items():
                count += _both_kept([piece - start for piece in pair], [end[density] for end in ends])
    rows = {d: {"kept in both": both / max(entries, 1), "opposite signs": against / max(both, 1)}
            for d, (both, against) in counts.items()}  # fmt: skip
    return pd.DataFrame(rows).T.rename_axis("density")


def _borders(name: str, base: Weights, model: Weights, densities: Sequence[float]) -> list[list[float]]:
    """Return, by density, the smallest magnitude of one tensor's change that is kept, and how many of just that one."""
    import torch

    from .methods import border

    pairs = zip(model.pieces(name), base.pieces(name), strict=True)
    sizes = torch.cat([torch.empty(0), *((x - b).abs() for x, b in pairs)])
    return [list(border(sizes, density)) if len(sizes) else [0.0, 0] for density in densities]


def _both_kept(changes: Sequence[Tensor], ends: Sequence[list[float]]) -> list[int]:
    """Count the entries of a piece that are kept and not zero in both changes, and those of opposite signs.

    `ends` are `_borders` of both changes, from which what this piece used up is taken.
    """
    from .methods import above

    product = changes[0] * changes[1]
    for change, end in zip(changes, ends, strict=True):
        keep, end[1] = above(change.abs(), *end)
        product = product * keep
    return [int((product != 0).sum()), int((product < 0).sum())]


def slerp_angles(first: Weights, second: Weights) -> pd.DataFrame:
    """Return, tensor by tensor, the angle of two experts' weights and the sum of SLERP's two weights at one half.

    A sum of exactly 1 is mergekit's fall-back to linear merging for nearly parallel tensors. Most parallel first.
    """
    from .methods import arc_weights, dot

    rows = {}
    for name in first.names:
        products = (0.0, 0.0, 0.0)
        for one, two in zip(first.pieces(name), second.pieces(name), strict=True):
            pairs = ((one, one), (two, two), (one, two))
            products = tuple(dot(x, y, so_far) for (x, y), so_far in zip(pairs, products, strict=True))
        cosine = products[2] / (math.sqrt(products[0] * products[1]) or 1)
        degrees = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
        rows[name] = {"degrees": degrees, "weights sum to": sum(arc_weights(*products, 0.5))}
    return pd.DataFrame(rows).T.sort_values("degrees")


def largest_difference(one: Weights, other: Weights) -> float:
    """Return the largest difference of any entry of two models with the same tensors.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> largest_difference(stored(EMBEDDED_BASE), stored(EMBEDDED_BASE))
    0.0
    """
    pairs = (zip(one.pieces(name), other.pieces(name), strict=True) for name in shared(one, other))
    return max((a - b).abs().max().item() for pair in pairs for a, b in pair if a.numel())


def combined(base: Weights, first: Weights, second: Weights, a: float, b: float) -> Weights:
    """Return the base plus a times the first and b times the second change, computed as it is read."""
    from .methods import task_arithmetic

    def read(name: str):
        return task_arithmetic(base.read(name), first.read(name), second.read(name), (a, b))

    return Weights(base.names, read)


def bfloat16_errors(first: Weights, second: Weights, alphas: Iterable[float]) -> pd.DataFrame:
    """Return what two ways of merging bfloat16 weights add to the exact linear merge, by alpha.

    Columns `in bfloat16` (multiplied and added in bfloat16) and `rounded once` (in float32, rounded at the end) are
    lengths of the error; `gain in %` is the first way's error along the weights themselves.
    """
    sums = {alpha: np.zeros(4) for alpha in alphas}
    for name in first.names:
        for pair in zip(first.pieces(name), second.pieces(name), strict=True):
            one, two = (piece.bfloat16() for piece in pair)
            for alpha, total in sums.items():
                total += _bfloat16_error(one, two, alpha)
    rows = {
        alpha: {"in bfloat16": math.sqrt(low2), "rounded once": math.sqrt(once2), "gain in %": 100 * along / exact2}
        for alpha, (low2, once2, along, exact2) in sums.items()
    }
    return pd.DataFrame(rows).T.rename_axis("alpha")


def _bfloat16_error(one: Tensor, two: Tensor, alpha: float) -> list[float]:
    """Return the squared errors of both ways, the first one's inner product with the exact merge, and its square."""
    import torch

    a, b = torch.tensor([alpha, 1 - alpha]).bfloat16()
    exact = alpha * one.double() + (1 - alpha) * two.double()
    low, once = (a * one + b * two).double() - exact, exact.float().bfloat16().double() - exact
    return [(x * y).sum().item() for x, y in ((low, low), (once, once), (low, exact), (exact, exact))]
