"""A small run in memory, for trying tables out without a file or a model."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import pandas as pd

from ..data import baselines, minibench
from ..data.catalogue import TITLES
from ..records import DirectItem, Judgment, PairItem, as_row
from .run import Run


@cache
def example_run() -> Run:
    """Return a run over small miniature benchmarks with two simulated judges under names that tables know.

    No model has judged here: "linear" gives every response its true score, "base" draws its answers by chance.

    >>> run = example_run()
    >>> run.choices("linear", "autoj_eval").shape, run.scores("base", "flask").shape
    ((32,), (32, 3))
    """
    from ..scale import load_scale

    items = {name: _few(f"mini_{name}") for name in TITLES}
    judges = itertools.product(("linear", "base"), items.items())
    judgments = [each for judge, (name, rows) in judges for each in _says(judge, name, rows)]
    scale = replace(load_scale("smoke"), main_judges=("base", "linear"), resamples=100)
    return Run(scale, pd.DataFrame(map(as_row, judgments)), items)


def _few(name: str) -> list[DirectItem] | list[PairItem]:
    """Eight instructions with up to four items each, or 26 single ones."""
    benchmark = minibench.MINIATURES[name]
    single = name == "mini_hhh_alignment"
    size = {"instructions": 26, "per_instruction": 1} if single else {"instructions": 8, "per_instruction": 4}
    return minibench.made(replace(benchmark, **size), seed=42)


def _says(judge: str, name: str, items: Sequence[DirectItem | PairItem]) -> Iterator[Judgment]:
    """All that a simulated judge says about one benchmark: pairs compared, and both responses of each scored."""
    known = judge == "linear"
    if isinstance(items[0], DirectItem):
        scores = [[item.meta["true_score"]] * 3 if known else _by_chance(item) for item in items]
        for with_reference in (True, False):
            yield from _scored(judge, name, [item.id for item in items], scores, with_reference)
        return
    sides = [tuple(pair.meta[side] for pair in items) for side in ("true_a", "true_b")]
    by_chance = baselines.pair_sides(list(items), baselines.SCORING_TWINS["random"])
    for side, true, drawn in zip("ab", sides, by_chance):
        scores = [[score] * 3 for score in true] if known else drawn
        yield from _scored(judge, name, [f"{pair.id}#{side}" for pair in items], scores, with_reference=False)
    compared = map(minibench.true_decision, items) if known else baselines.random_pair(list(items))
    for pair, decision in zip(items, compared):
        yield _judgment(judge, name, pair.id, "pairwise", False, 0, decision)


def _by_chance(item: DirectItem) -> list[int]:
    return [baselines.random_score([item], seed)[0] for seed in range(3)]


def _scored(
    judge: str, name: str, ids: Sequence[str], scores: Sequence[Sequence[int]], with_reference: bool
) -> Iterator[Judgment]:
    for (item_id, row), draw in itertools.product(zip(ids, scores), range(3)):
        yield _judgment(judge, name, item_id, "direct", with_reference, draw, row[draw])


def _judgment(
    judge: str, name: str, item_id: str, format: str, with_reference: bool, draw: int, decision: int | str
) -> Judgment:
    asked = (f"mini_{name}", item_id, format, with_reference, "ab", draw)
    return Judgment(judge, "simulated", *asked, decision, "", "ok", 1, 0, "-".join(map(str, (judge, *asked))))
