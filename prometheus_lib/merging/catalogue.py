"""The paper's merges by name (Tables 5, 6, 10 and 17, Figure 3), the second runs beside them, and grids of any size."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from .spec import DARE, EXPERTS, SPARSE, Merge

ALPHAS = tuple(round(step / 10, 1) for step in range(11))
ALPHA_JUDGES = {0.0: EXPERTS[1], 0.5: "linear", 1.0: EXPERTS[0]}
# Second runs of the merging experiments: which alphas and methods are judged again.
SEED_ALPHAS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
SEED_METHODS = ("ties", "task-arithmetic-default", "dare-linear")
SECOND_RUN, THIRD_RUN, SECOND_MASK = "-seed2", "-seed3", "-mask2"
RUNS = ("", SECOND_RUN, THIRD_RUN)  # a judge's replicas: the same from other seeds of training
THIRD_METHODS = ("linear", "task-arithmetic-default", "dare-linear")  # also merged from the third pair of experts
TABLE_10_MERGES = ("dare-linear-8x7b", "dare-linear-8x7b-script")
KEPT_SEED = 42


def alpha_judge(alpha: float, run: str = "") -> str:
    """Return the judge that is the linear merge at alpha: alpha 0 and 1 are the experts themselves.

    `run` SECOND_RUN or THIRD_RUN means that pair of experts.

    >>> [alpha_judge(alpha) for alpha in (0.0, 0.3, 0.5, 1.0)]
    ['pairwise', 'linear-0.3', 'linear', 'direct']
    """
    return ALPHA_JUDGES.get(alpha, f"linear-{alpha}") + run


def paper_merges(density: float, scaling: float, seed: int) -> Iterator[Merge]:
    """Yield the merges of Tables 5, 6 and 17: six methods, three of them with both changes in full, and pairs of seeds.

    `density`, `scaling` and `seed` are DARE's; TIES keeps a fifth.

    >>> [merge.name for merge in paper_merges(0.9, 1.0, 42)][:3]
    ['linear', 'slerp', 'task-arithmetic']
    """
    sparse = {"density": density, "scaling": scaling, "seed": seed}
    yield Merge("linear", "linear")
    yield Merge("slerp", "slerp")
    yield Merge("task-arithmetic", "task-arithmetic")
    yield Merge("ties", "ties", density=0.2, seed=seed)
    yield Merge("dare-ties", "dare-ties", **sparse)
    yield Merge("dare-linear", "dare-linear", **sparse)
    for method in ("task-arithmetic", "dare-ties", "dare-linear"):
        more = {} if method == "task-arithmetic" else {"density": density, "seed": seed}
        yield Merge.mergekit_default(f"{method}-default", method, **more)
    for expert in EXPERTS:
        yield Merge(f"{expert}+{expert}", "linear", expert, f"{expert}{SECOND_RUN}")


def further_merges(named: Iterable[Merge]) -> Iterator[Merge]:
    """Yield what is judged beside them: Figure 3's alphas, further pairs of experts, a second mask, Table 10.

    >>> [merge.name for merge in further_merges(paper_merges(0.9, 1.0, 42))][-3:]
    ['dare-linear-mask2', 'dare-linear-8x7b', 'dare-linear-8x7b-script']
    """
    for alpha in ALPHAS:
        if alpha not in ALPHA_JUDGES:
            yield Merge(alpha_judge(alpha), "linear", alpha=alpha)
    for alpha in SEED_ALPHAS[1:-1]:
        yield of_run(Merge(alpha_judge(alpha), "linear", alpha=alpha), SECOND_RUN)
    known = {merge.name: merge for merge in named}
    for name in SEED_METHODS:
        yield of_run(known[name], SECOND_RUN)
    for name in THIRD_METHODS:
        yield of_run(known[name], THIRD_RUN)
    mask = known["dare-linear"]
    yield replace(mask, name=f"{mask.name}{SECOND_MASK}", seed=mask.seed + 1)
    for name, make in zip(TABLE_10_MERGES, (Merge.paper_8x7b, Merge.paper_8x7b_script), strict=True):
        yield make(name, seed=mask.seed)


def all_merges(density: float, scaling: float, seed: int) -> Iterator[Merge]:
    """Yield the paper's merges and the further ones.

    >>> len({merge.name for merge in all_merges(0.9, 1.0, 42)})
    33
    """
    named = tuple(paper_merges(density, scaling, seed))
    yield from named
    yield from further_merges(named)


def of_run(merge: Merge, run: str) -> Merge:
    """Return the same merge of the experts that were trained with the seed of another run.

    >>> of_run(Merge("ties", "ties", density=0.2), SECOND_RUN).second
    'pairwise-seed2'
    """
    first, second = (f"{expert}{run}" for expert in (merge.first, merge.second))
    return replace(merge, name=f"{merge.name}{run}", first=first, second=second)


# --- grids -----------------------------------------------------------------------------------------------------------


def grid(
    methods: Sequence[str],
    alphas: Sequence[float] = (0.5,),
    variants: Sequence[str] = ("matched",),
    seeds: Sequence[int] = (KEPT_SEED,),
    pairs: Sequence[tuple[str, str]] = (EXPERTS,),
    **sparse: float,
) -> tuple[Merge, ...]:
    """Return one merge for each combination, without those that equal an earlier one.

    `sparse` (density, scaling) goes to TIES and DARE. Names say what differs: "ties-0.3", "dare-linear-default",
    "dare-linear-0.3-mask7" (a seed other than 42), "linear-0.3-direct-seed2+pairwise-seed2" (another pair of experts).
    Seeds draw DARE's masks, alpha counts where weights depend on it, and Table 10's variants are for DARE and bring
    their own density and scaling.

    >>> [merge.name for merge in grid(["linear", "ties"], alphas=(0.3, 0.5), density=0.2)]
    ['linear-0.3', 'linear-0.5', 'ties-0.3', 'ties-0.5']
    """
    found: dict[Any, Merge] = {}
    for pair, method, variant, alpha, seed in itertools.product(pairs, methods, variants, alphas, seeds):
        variant = "matched" if method == "slerp" else variant  # it takes no weights
        settings = {"first": pair[0], "second": pair[1], "alpha": alpha, "seed": seed}
        merge = _grid_merge(_grid_name(pair, method, alpha, variant, seed), method, variant, settings, sparse)
        if merge is not None:
            found.setdefault(_effect(merge), merge)
    return tuple(found.values())


def _grid_merge(
    name: str, method: str, variant: str, settings: dict[str, Any], sparse: dict[str, float]
) -> Merge | None:
    """Return one point of a grid; None where the variant is for other methods."""
    if variant == "paper-8x7b":
        return Merge.paper_8x7b(name, method, **settings) if method in DARE else None
    if variant == "paper-8x7b-script":
        settings = {**settings, "alpha": 0.5}  # it knows none
        return Merge.paper_8x7b_script(name, **settings) if method == "dare-linear" else None
    return Merge(name, method, variant=variant, **settings, **(sparse if method in SPARSE else {}))


def _grid_name(pair: tuple[str, str], method: str, alpha: float, variant: str, seed: int) -> str:
    known = {"matched": [f"{alpha:g}"], "mergekit-default": ["default"], "paper-8x7b-script": [variant]}
    parts = known.get(variant, [f"{alpha:g}", variant])
    mask = [f"mask{seed}"] if method in DARE and seed != KEPT_SEED else []
    return "-".join([method, *parts, *mask]) + ("" if pair == EXPERTS else f"-{pair[0]}+{pair[1]}")


def _effect(merge: Merge) -> tuple:
    """Return what a merge's weights depend on, the same for two merges that differ in name only."""
    weights = merge.weights
    if merge.method in ("linear", "ties"):
        weights = tuple(weight / sum(weights) for weight in weights)
    if merge.method == "slerp":
        weights = (merge.alpha, 1 - merge.alpha)
    mask = merge.seed if merge.method in DARE else None
    return merge.method, weights, mask, merge.density, merge.scaling, merge.in_turn, merge.first, merge.second
