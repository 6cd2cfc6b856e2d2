"""What a scale learns from and asks about, as far as it is on this machine: nothing is fetched to plan a run.

Rows and items are those that the run itself would take. A benchmark that is not at hand is stood in for by items
of the miniature world, each for so many of its own: their number counts, their texts do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from math import ceil
from typing import Any

from .. import pipeline
from ..data import benchmarks, minibench
from ..data.building.loading import reachable, read_rows
from ..data.building.of_scale import FORMATS, at_hand, made_rows, rows_learned
from ..data.building.schema import Collection
from ..data.building.vicuna import vicuna_rows
from ..records import DirectItem, MissingFile, PairItem
from ..scale import Scale

# Rows of the published collections, and items of the paper's benchmarks (Table 2; BiGGen Bench: rows of `human_eval`).
COLLECTIONS = {"direct": 99_952, "pairwise": 199_760}
SIZES = {
    "vicuna_bench": 320, "mt_bench": 320, "flask": 2000, "feedback_bench": 1000, "hhh_alignment": 221,
    "mt_bench_human": 3360, "autoj_eval": 1392, "preference_bench": 2000, "biggen_bench": 2780,
}  # fmt: skip
ROWS = 40  # of a collection, to count tokens on
STAND_INS = 60  # items at most for a benchmark that is not at hand: more than any study takes of one
JOINED = 400  # of a collection whose rows share prompts: how many do shows in all that are learned

Row = dict[str, Any]


@dataclass(frozen=True)
class Learned:
    """Rows of one format to learn from (none where they are not at hand), how many there are, and what they are.

    `made` says that the run itself makes just these, so that there are never more.

    >>> Learned([], 99_952, "typical lengths").whole
    99952
    """

    rows: Sequence[Row]
    whole: int
    source: str
    made: bool = False


@dataclass(frozen=True)
class Material:
    """What is learned, by format; the items asked about, by the scale's name for a benchmark.

    `stand_ins` tells of the benchmarks that are not at hand for how many items each of theirs stands.

    >>> from prometheus_lib.scale import load_scale
    >>> found = material_of(load_scale("smoke"))
    >>> found.learned["direct"].source, found.stand_ins
    ('40 made rows', {})
    """

    learned: dict[str, Learned]
    items: dict[str, list[DirectItem] | list[PairItem]]
    stand_ins: dict[str, float]


def material_of(scale: Scale, look: bool = True) -> Material:
    """Return what a scale takes; without `look` real rows and items are taken to be nowhere at hand."""
    learned = {format: _learned(scale, collection, look) for collection, format in FORMATS.items()}
    if scale.miniature:
        names = map(scale.benchmark_name, scale.benchmarks)
        items = {name: minibench.build(name, scale.seed, scale.benchmark_share) for name in names}
        return Material(learned, items, {})
    trained = [row for each in learned.values() for row in each.rows]
    items, stand_ins = {}, {}
    for name in scale.benchmarks:
        if look and (found := _real_items(name)):
            items[name], _ = pipeline.asked_items(scale, found, trained)
        else:
            items[name], stand_ins[name] = _stand_in(scale, name)
    return Material(learned, items, stand_ins)


def _learned(scale: Scale, collection: Collection, look: bool) -> Learned:
    if scale.miniature:
        rows = made_rows(scale, collection, scale.seed, 1)
        whole = len(rows) * scale.collection_instructions
        rows = made_rows(scale, collection, scale.seed, max(1, ROWS // len(rows)))
        return Learned(rows, whole, f"{len(rows)} made rows", made=True)
    return (look and (_collected(scale, collection) or _without_hub(scale, collection))) or Learned(
        [], COLLECTIONS[FORMATS[collection]], ""
    )


def _collected(scale: Scale, collection: Collection) -> Learned | None:
    """Return the first rows that the run has collected, or those of the published collection that is at hand."""
    own, whole = scale.paths.rows(collection), COLLECTIONS[FORMATS[collection]]
    source = own if own.is_file() else at_hand(collection)
    if source is None:
        return None
    most = JOINED if scale.training.share_prompts else ROWS
    rows = [row for _, row in islice(read_rows(source), most)]
    if source == own:
        with own.open("rb") as lines:
            whole = sum(1 for _ in lines)
    return Learned(rows, len(rows) if len(rows) < most else whole, f"{len(rows)} collected rows")


def _without_hub(scale: Scale, collection: Collection) -> Learned | None:
    """Return the rows that take the collection's place where the hub cannot be reached, if they are at hand."""
    if not scale.without_hub or reachable(collection):
        return None
    with suppress(MissingFile):
        benchmarks.load_benchmark("vicuna_bench")  # which is not fetched for this
        rows = vicuna_rows(collection, rows_learned(scale, collection), scale.seed)
        return Learned(rows, len(rows), f"{len(rows)} rows of GPT-4's judgments", made=True)
    return None


def _real_items(name: str) -> list[DirectItem] | list[PairItem] | None:
    with suppress(MissingFile):
        return benchmarks.load_benchmark(name)
    return None


def _stand_in(scale: Scale, name: str) -> tuple[list[DirectItem] | list[PairItem], float]:
    """Return items of the miniature world for a benchmark, and for how many of those that the scale takes each is."""
    made, wanted = minibench.MINIATURES[f"mini_{name}"], min(SIZES[name], scale.benchmark_items or SIZES[name])
    count = min(wanted, STAND_INS)
    items = minibench.made(replace(made, instructions=ceil(count / made.per_instruction)), scale.seed)[:count]
    return items, wanted / count
