"""Where models lie in the space of weights: lengths, angles and sign conflicts of experts' changes (paper, section 6).

A *change* is a model minus its base. Everything here reads one tensor at a time and sums over them, so a model of any
size needs the memory of its largest tensor only. A model is a `Weights`: a folder on disk (`stored`), or a merge that
is computed as it is read and never written (`merged`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..parallel import Report, silent
from ..records import DataError, few
from .layout import read_layout
from .spec import Merge

PIECE = 2**22  # entries of a tensor that are compared at once, in double precision
LAYER = re.compile(r"layers\.(\d+)\.(.*)\.weight$|layers\.(\d+)\.(.*)$")


@dataclass(frozen=True)
class Weights:
    """A model's tensors by name, read when they are asked for: `read(name)` returns one in float32."""

    names: tuple[str, ...]
    read: Callable


def stored(folder: str | Path) -> Weights:
    """Return the weights of a model folder; DataError when its files are missing or damaged.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> base = stored(EMBEDDED_BASE)
    >>> tuple(base.read("model.norm.weight").shape)
    (128,)
    """
    layout = read_layout(folder)
    return Weights(tuple(layout), lambda name: layout[name].read().float())


def merged(merge: Merge, base: Weights, first: Weights, second: Weights) -> Weights:
    """Return the weights of a merge of two experts, computed tensor by tensor as they are read."""
    from .methods import merge_tensor

    def read(name: str):
        return merge_tensor(merge, name, base.read(name), first.read(name), second.read(name))

    return Weights(first.names, read)


def inner_products(base: Weights, models: Mapping[str, Weights], report: Report = silent) -> pd.DataFrame:
    """Return the inner products of the models' changes from the base, summed over all tensors (models x models).

    Lengths, distances and angles all follow from them: the distance of models a and b is
    sqrt(products[a, a] - 2 products[a, b] + products[b, b]).
    """
    total = np.zeros((len(models), len(models)))
    for name in base.names:
        for changes in _pieces(name, base, models.values()):
            total += changes @ changes.T
        report(1)
    return pd.DataFrame(total, index=list(models), columns=list(models))


def _pieces(name: str, base: Weights, models: Iterable[Weights]) -> Iterator[np.ndarray]:
    """Yield the changes of one tensor (models, entries) in double precision, a piece at a time."""
    start, tensors = base.read(name).flatten(), [model.read(name).flatten() for model in models]
    for low in range(0, len(start), PIECE):
        piece = slice(low, low + PIECE)
        origin = start[piece].double()
        yield np.stack([(tensor[piece].double() - origin).numpy() for tensor in tensors])


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
    for name in base.names:
        found = _scalar_products(name, base, first, second)
        sums[place_of(name)] = sums.get(place_of(name), 0) + found
    rows = []
    for (layer, module), (start, one, two, cross) in sums.items():
        cosine = cross / math.sqrt(one * two) if one and two else math.nan
        relative = [math.sqrt(square / start) if start else math.nan for square in (one, two)]
        rows.append({"layer": layer, "module": module, "first": relative[0], "second": relative[1], "cosine": cosine})
    return pd.DataFrame(rows)


def _scalar_products(name: str, base: Weights, first: Weights, second: Weights) -> np.ndarray:
    """Return the squared lengths of base and both changes, and the changes' inner product, of one tensor."""
    start = base.read(name).double()
    one, two = (model.read(name).double() - start for model in (first, second))
    return np.array([(x * y).sum().item() for x, y in ((start, start), (one, one), (two, two), (one, two))])


def place_of(name: str) -> tuple[int, str]:
    """Return the layer (-1 outside) and the kind of module of a tensor's name.

    >>> place_of("model.layers.3.self_attn.q_proj.weight")
    (3, 'q')
    >>> place_of("model.layers.0.block_sparse_moe.experts.7.w1.weight")
    (0, 'w1')
    >>> place_of("model.layers.0.block_sparse_moe.gate.weight")
    (0, 'router')
    >>> place_of("model.embed_tokens.weight")
    (-1, 'embed_tokens')
    """
    found = LAYER.search(name)
    if not found:
        return -1, name.removesuffix(".weight").rpartition(".")[2]
    layer, path = (found[1], found[2]) if found[1] else (found[3], found[4])
    router = path.endswith(("moe.gate", "mlp.router", "mlp.gate"))
    return int(layer), "router" if router else path.rpartition(".")[2].removesuffix("_proj")


def sign_conflicts(base: Weights, first: Weights, second: Weights, densities: Sequence[float]) -> pd.DataFrame:
    """Return, by density, the share of entries kept in both trimmed changes, and of opposite signs among them.

    Each change keeps its largest entries, tensor by tensor, as TIES does (appendix G).
    """
    from .methods import largest

    counts = {density: np.zeros(2) for density in densities}
    entries = 0
    for name in base.names:
        start = base.read(name)
        one, two = (model.read(name) - start for model in (first, second))
        entries += start.numel()
        for density in densities:
            product = one * largest(one, density) * two * largest(two, density)
            counts[density] += [(product != 0).sum().item(), (product < 0).sum().item()]
    rows = {d: {"kept in both": both / entries, "opposite signs": against / max(both, 1)}
            for d, (both, against) in counts.items()}  # fmt: skip
    return pd.DataFrame(rows).T.rename_axis("density")


def slerp_angles(first: Weights, second: Weights) -> pd.DataFrame:
    """Return, tensor by tensor, the angle of two experts' weights and the sum of SLERP's two weights at one half.

    A sum of exactly 1 is mergekit's fall-back to linear merging for nearly parallel tensors. Most parallel first.
    """
    from .methods import dot, slerp_weights

    rows = {}
    for name in first.names:
        one, two = first.read(name), second.read(name)
        cosine = dot(one, two) / math.sqrt(dot(one, one) * dot(two, two))
        degrees = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
        rows[name] = {"degrees": degrees, "weights sum to": sum(slerp_weights(one, two, 0.5))}
    return pd.DataFrame(rows).T.sort_values("degrees")


def combined(base: Weights, first: Weights, second: Weights, a: float, b: float) -> Weights:
    """Return the base plus a times the first and b times the second change, computed as it is read."""
    from .methods import task_arithmetic

    def read(name: str):
        return task_arithmetic(base.read(name), first.read(name), second.read(name), (a, b))

    return Weights(base.names, read)


def load_into(model, weights: Weights) -> None:
    """Put weights into a live model of the same architecture, tensor by tensor; DataError when it lacks a name.

    Names that the model has and the weights do not (tied embeddings) are left alone.
    """
    import torch

    places = model.state_dict()
    if unknown := [name for name in weights.names if name not in places]:
        raise DataError(f"the model has no tensor {few(unknown, 3)}; give weights of the same architecture.")
    with torch.no_grad():
        for name in weights.names:
            places[name].copy_(weights.read(name))


def bfloat16_errors(first: Weights, second: Weights, alphas: Iterable[float]) -> pd.DataFrame:
    """Return what two ways of merging bfloat16 weights add to the exact linear merge, by alpha.

    Columns `in bfloat16` (multiplied and added in bfloat16) and `rounded once` (in float32, rounded at the end) are
    lengths of the error; `gain in %` is the first way's error along the weights themselves.
    """
    rows = {alpha: _bfloat16_error(first, second, alpha) for alpha in alphas}
    return pd.DataFrame(rows).T.rename_axis("alpha")


def _bfloat16_error(first: Weights, second: Weights, alpha: float) -> dict[str, float]:
    import torch

    a, b = torch.tensor([alpha, 1 - alpha]).bfloat16()
    low2 = once2 = along = exact2 = 0.0
    for name in first.names:
        one, two = (model.read(name).bfloat16() for model in (first, second))
        exact = alpha * one.double() + (1 - alpha) * two.double()
        low, once = (a * one + b * two).double() - exact, exact.float().bfloat16().double() - exact
        low2, once2 = low2 + low.square().sum().item(), once2 + once.square().sum().item()
        along, exact2 = along + (low * exact).sum().item(), exact2 + exact.square().sum().item()
    return {"in bfloat16": math.sqrt(low2), "rounded once": math.sqrt(once2), "gain in %": 100 * along / exact2}
