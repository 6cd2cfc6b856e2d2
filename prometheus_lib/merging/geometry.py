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
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..parallel import Report, silent
from ..records import DataError, few
from .checks import check_floats
from .finite import PARENT, finite, not_finite, refuse
from .layout import Layout, read_layout
from .spec import NEEDS_BASE, Merge
from .writer import local_folder

if TYPE_CHECKING:
    from torch import Tensor

LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.(.*)$")
# Towers beside the language model, with layers of their own.
SIDE = re.compile(r"(?:^|\.)(vision|visual|audio|multi_modal)")
SAME = 1e-12  # of the squared lengths of two changes: what rounding leaves between two that are one and the same
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

    @property
    def where(self) -> str:
        """Return the folder of a stored model; others are called weights in memory."""
        return str(next(iter(self.layout.values())).file.parent) if self.layout else "weights in memory"

    def pieces(self, name: str) -> Iterator[Tensor]:
        """Yield a tensor in float32, flat, in pieces of one size for all models; DataError for NaN and infinity."""
        from . import disk

        for piece in self.cut(name) if self.cut else self.read(name).flatten().split(disk.PIECE):
            if not finite(piece):
                raise refuse(self.where, name, not_finite(piece), PARENT)
            yield piece


def stored(folder: str | Path) -> Weights:
    """Return the weights of a model folder, or of a model on the hub; DataError for damaged or quantised ones.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> base = stored(EMBEDDED_BASE)
    >>> tuple(base.read("model.norm.weight").shape)
    (128,)
    """
    layout = read_layout(local_folder(str(folder)))
    check_floats(folder, layout)

    def cut(name: str) -> Iterator[Tensor]:
        from . import disk

        return disk.pieces(layout[name])

    return Weights(tuple(layout), lambda name: layout[name].read().float(), cut, layout)


def merged(merge: Merge, base: Weights, first: Weights, second: Weights, dtype: str = "float32") -> Weights:
    """Return the weights of a merge of two stored experts, computed as they are read and rounded once to `dtype`.

    DataError where models do not fit each other, or do not lie in folders.
    """
    from . import disk

    used = [base if merge.method in NEEDS_BASE else None, first, second]
    if not all(model.layout for model in used if model):
        raise DataError(f"merge {merge.name!r}: it is computed from models in folders; give what `stored` returns.")
    alike(first, second)
    if used[0]:
        shared(base, first, second)
    parents = [model and model.layout for model in used]

    def cut(name: str) -> Iterator[Tensor]:
        kind = disk.DTYPES[disk.STORED_AS[dtype]]
        return (each.float() for each in disk.merged_pieces(merge, name, *(p and p[name] for p in parents), kind))

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
    """Return the names of the tensors that base and models have, in the base's order.

    The base may have more (buffers, a head that is tied to the embeddings), which no training moves. DataError for
    models with a tensor that it lacks, with other tensors than each other, or with other shapes.
    """
    others, known = [model for model in models if model is not base], set(base.names)
    for model in others:
        if foreign := [name for name in model.names if name not in known]:
            raise DataError(
                f"{model.where}: the base has no tensor {few(foreign, 3)}; compare models of one base, with names as "
                "save_pretrained writes them."
            )
        alike(others[0], model)
        _check_shapes(base, model)
    held = set(others[0].names) if others else known
    return [name for name in base.names if name in held]


def alike(one: Weights, other: Weights) -> tuple[str, ...]:
    """Return the names of the tensors of two models; DataError where one has a tensor that the other lacks.

    >>> import torch
    >>> model = Weights(("norm",), lambda name: torch.ones(2))
    >>> alike(model, model)
    ('norm',)
    """
    if odd := set(one.names) ^ set(other.names):
        raise DataError(
            f"{one.where} and {other.where}: only one of them has {few(sorted(odd), 3)}; save both whole, with the "
            "same version of transformers."
        )
    _check_shapes(one, other)
    return one.names


def _check_shapes(one: Weights, other: Weights) -> None:
    """Raise DataError for a tensor that two stored models hold in different shapes."""
    ours, theirs = one.layout or {}, other.layout or {}
    for name in (name for name in ours if name in theirs):
        shapes = ours[name].shape, theirs[name].shape
        if shapes[0] != shapes[1]:
            raise DataError(
                f"{one.where} and {other.where}: {name} is {shapes[0]} against {shapes[1]}; compare models of one base."
            )


def _together(name: str, *models: Weights) -> Iterator[tuple[Tensor, ...]]:
    """Yield the pieces of one tensor of several models; DataError where they have not as many entries."""
    for pieces in zip_longest(*(model.pieces(name) for model in models)):
        if len({None if piece is None else len(piece) for piece in pieces}) > 1:
            raise DataError(f"{name}: it has not the same size in all models; compare models of one base.")
        yield pieces


def _changes(name: str, base: Weights, models: Iterable[Weights]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the base's entries (entries,) and the changes (models, entries) of one tensor, in double precision."""
    for origin, *others in _together(name, base, *models):
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
    a change's length that is a combination of neither. DataError where the two changes are none, or one and the same.

    >>> names = ["direct", "pairwise", "average"]
    >>> products = pd.DataFrame([[1, 0, 0.5], [0, 1, 0.5], [0.5, 0.5, 0.5]], index=names, columns=names)
    >>> positions(products).loc["average", ["a", "b", "out of plane"]].tolist()
    [0.5, 0.5, 0.0]
    """
    experts = [first, second]
    unit, gram = math.sqrt(products.loc[first, first]), products.loc[experts, experts].to_numpy()
    if not gram[0, 0] * gram[1, 1] - gram[0, 1] ** 2 > SAME * gram[0, 0] * gram[1, 1]:
        raise DataError(
            f"{first} and {second}: their changes from the base span no plane (one is none, or both are the same); "
            "train both, on different data."
        )
    coefficients = np.linalg.solve(gram, products.loc[experts]).T
    square = np.diag(products)
    rest = np.clip(square - (coefficients * products[experts]).sum(axis=1), 0, None)
    table = pd.DataFrame({"to base": np.sqrt(square) / unit}, index=products.index)
    for expert in experts:
        table[f"to {expert}"] = [distance(products, name, expert) / unit for name in products.index]
    table["a"], table["b"] = coefficients.T
    table["out of plane"] = np.sqrt(rest / np.maximum(square, 1e-30))
    return table


def in_plane(
    products: pd.DataFrame, a: float, b: float, first: str = "direct", second: str = "pairwise"
) -> tuple[float, float]:
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

    Each change keeps its largest entries, tensor by tensor, as TIES does (appendix G); entries that did not change
    count as not kept. DataError for a density outside of 0 to 1.
    """
    if odd := [density for density in densities if not 0 < density <= 1]:
        raise DataError(f"density is {odd[0]}; it must be above 0 and at most 1.")
    counts = {density: np.zeros(2) for density in densities}
    entries = 0
    for name in shared(base, first, second):
        ends = [dict(zip(densities, _borders(name, base, model, densities), strict=True)) for model in (first, second)]
        for start, *pair in _together(name, base, first, second):
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

    sizes = torch.cat([torch.empty(0), *((x - b).abs() for x, b in _together(name, model, base))])
    return [list(border(sizes, density)) if len(sizes) else [0.0, 0] for density in densities]


def _both_kept(changes: Sequence[Tensor], ends: Sequence[list[float]]) -> list[int]:
    """Count the entries of a piece that are kept and not zero in both changes, and those of opposite signs.

    `ends` are `_borders` of both changes, from which what this piece used up is taken.
    """
    from .methods import above

    product = changes[0].sign() * changes[1].sign()
    for change, end in zip(changes, ends, strict=True):
        keep, end[1] = above(change.abs(), *end)
        product = product * keep
    return [int((product != 0).sum()), int((product < 0).sum())]


def slerp_angles(first: Weights, second: Weights) -> pd.DataFrame:
    """Return, tensor by tensor, the angle of two experts' weights and the sum of SLERP's two weights at one half.

    A sum of exactly 1 is mergekit's fall-back to linear merging for nearly parallel tensors. Most parallel first, and
    last those with an angle of NaN: one of the two is all zeros.
    """
    from .methods import arc_weights, dot

    rows = {}
    for name in alike(first, second):
        products = (0.0, 0.0, 0.0)
        for one, two in _together(name, first, second):
            pairs = ((one, one), (two, two), (one, two))
            products = tuple(dot(x, y, so_far) for (x, y), so_far in zip(pairs, products, strict=True))
        cosine = products[2] / (math.sqrt(products[0]) * math.sqrt(products[1]) or math.nan)
        degrees = math.degrees(math.acos(min(max(cosine, -1.0), 1.0)))  # in this order NaN stays
        rows[name] = {"degrees": degrees, "weights sum to": sum(arc_weights(*products, 0.5))}
    return pd.DataFrame(rows).T.sort_values("degrees")


def largest_difference(one: Weights, other: Weights) -> float:
    """Return the largest difference of any entry of two models; DataError unless they have the same tensors.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> largest_difference(stored(EMBEDDED_BASE), stored(EMBEDDED_BASE))
    0.0
    """
    pairs = (pair for name in alike(one, other) for pair in _together(name, one, other))
    return max(((a - b).abs().max().item() for a, b in pairs if len(a)), default=0.0)


def combined(base: Weights, first: Weights, second: Weights, a: float, b: float) -> Weights:
    """Return the base plus a times the first and b times the second change, computed as it is read.

    It has the tensors that all three have (see `shared`).
    """
    from .methods import task_arithmetic

    def read(name: str) -> Tensor:
        return task_arithmetic(base.read(name), first.read(name), second.read(name), (a, b))

    return Weights(tuple(shared(base, first, second)), read)


def bfloat16_errors(first: Weights, second: Weights, alphas: Iterable[float]) -> pd.DataFrame:
    """Return what two ways of merging bfloat16 weights add to the exact linear merge, by alpha.

    Columns `in bfloat16` (multiplied and added in bfloat16) and `rounded once` (in float32, rounded at the end) are
    lengths of the error; `gain in %` is the first way's error along the weights themselves.
    """
    sums = {alpha: np.zeros(4) for alpha in alphas}
    for name in alike(first, second):
        for pair in _together(name, first, second):
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
