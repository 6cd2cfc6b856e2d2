"""What a scale trains on: the miniature world's rows, the published collections, or GPT-4's judgments on Vicuna Bench.

The published collections are looked for in the folder of real data (`feedback_collection`, `preference_collection`: a
file or a folder of files as on the hub), then fetched from the hub.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ...records import DataError, DirectItem, PairItem, few
from ..collections import feedback_rows, preference_rows
from ..counting import counted_row
from ..download import data_folder
from .hashing import digest
from .leakage import plain
from .loading import SUFFIXES, fetch, load_collection, reachable
from .schema import Collection, Rejects, Row
from .vicuna import vicuna_rows

VICUNA = "vicuna"  # the value of a scale's `without_hub`
FORMATS: dict[Collection, str] = {"feedback": "direct", "preference": "pairwise"}
MAKERS: dict[Collection, Callable[[int, int], list[Row]]] = {"feedback": feedback_rows, "preference": preference_rows}


def load_feedback_rows(scale: Any, rejects: Rejects | None = None, data_dir: str | Path | None = None) -> list[Row]:
    """Return the scale's rows of direct assessment, checked; rows that fail go to `rejects`.

    >>> from types import SimpleNamespace
    >>> scale = SimpleNamespace(miniature=True, counted_feedback=False, seed=1, collection_instructions=2)
    >>> len(load_feedback_rows(scale))
    10
    """
    return _rows("feedback", scale, rejects, data_dir)


def load_preference_rows(scale: Any, rejects: Rejects | None = None, data_dir: str | Path | None = None) -> list[Row]:
    """Return the scale's rows of pairwise ranking, checked; rows that fail go to `rejects`.

    >>> from types import SimpleNamespace
    >>> scale = SimpleNamespace(miniature=True, counted_feedback=False, seed=1, collection_instructions=2)
    >>> len(load_preference_rows(scale))
    20
    """
    return _rows("preference", scale, rejects, data_dir)


def _rows(collection: Collection, scale: Any, rejects: Rejects | None, data_dir: str | Path | None) -> list[Row]:
    if scale.miniature:
        return made_rows(scale, collection, scale.seed, scale.collection_instructions)
    wanted, source = rows_learned(scale, collection), published(scale, collection, data_dir)
    if source is None:
        return vicuna_rows(collection, wanted, scale.seed, data_dir, rejects)
    # Twice as many as are learned, by whole instructions: the rest is there to measure on.
    return load_collection(collection, source, rejects=rejects, rows=wanted and 2 * wanted + 20, seed=scale.seed)


def made_rows(scale: Any, collection: Collection, seed: int, instructions: int) -> list[Row]:
    """Return rows of the miniature world, as the scale's teacher writes them.

    >>> from types import SimpleNamespace
    >>> made_rows(SimpleNamespace(counted_feedback=True), "feedback", 1, 1)[4]["orig_feedback"][-8:]
    ' so far.'
    """
    rows = MAKERS[collection](seed, instructions)
    return list(map(counted_row, rows)) if scale.counted_feedback else rows


def rows_learned(scale: Any, collection: Collection) -> int | None:
    """Return how many rows of a collection the scale's experts learn at most; None for all, and for shares of all.

    >>> from prometheus_lib.scale import load_scale  # doctest: +SKIP
    >>> rows_learned(load_scale("mini"), "feedback")  # doctest: +SKIP
    4000
    """
    counts = [expert.examples for expert in scale.experts if FORMATS[collection] in expert.formats]
    return max(counts) if counts and all(type(count) is int for count in counts) else None


def published(scale: Any, collection: Collection, data_dir: str | Path | None = None) -> Path | None:
    """Return the file or folder of a published collection; None where it is not to be had and the scale knows others.

    Raises DataError where it is not to be had and the scale knows no others.
    """
    if (found := _local(collection, data_dir)) is not None:
        return found
    try:
        # Where other rows will do, a hub out of reach is not waited for.
        return fetch(collection, cached_only=bool(scale.without_hub) and not reachable(collection))
    except DataError:
        if scale.without_hub != VICUNA:
            raise
    print(f"the hub does not give the {collection} collection: GPT-4's judgments on Vicuna's questions are used.",
          file=sys.stderr)  # fmt: skip
    return None


def at_hand(collection: Collection, data_dir: str | Path | None = None) -> Path | None:
    """Return the place of a published collection on this machine, None where it would have to be fetched.

    >>> at_hand("feedback", "no/such/folder") is None  # doctest: +SKIP
    True
    """
    if (found := _local(collection, data_dir)) is not None:
        return found
    with contextlib.suppress(DataError):
        return fetch(collection, cached_only=True)
    return None


def _local(collection: Collection, data_dir: str | Path | None) -> Path | None:
    local = data_folder(data_dir) / f"{collection}_collection"
    return next((place for place in (local, *map(local.with_suffix, SUFFIXES)) if place.exists()), None)


def held_out_rows(scale: Any, collection: Collection, count: int, data_dir: str | Path | None = None) -> list[Row]:
    """Return rows of the scale's kind that no expert learns, to measure losses on.

    >>> from types import SimpleNamespace
    >>> len(held_out_rows(SimpleNamespace(miniature=True, counted_feedback=False, seed=1), "preference", 12))
    12
    """
    if scale.miniature:
        return made_rows(scale, collection, scale.seed + 1, -(-count // 5))[:count]
    source, learned = published(scale, collection, data_dir), rows_learned(scale, collection)
    if source is None:
        return vicuna_rows(collection, count, scale.seed, data_dir, after=learned or 0)[:count]
    # Another seed takes other instructions, and the few that it shares are left out.
    taken = {row["orig_instruction"] for row in _rows(collection, scale, None, data_dir)} if learned else set()
    more = load_collection(collection, source, rows=count + 20, seed=scale.seed + 1)
    return [row for row in more if row["orig_instruction"] not in taken][:count]


def seen_items(rows: Iterable[Row], items: Iterable[DirectItem | PairItem]) -> list[str]:
    """Return the ids of the items whose instruction stands in the rows, whatever its case and spacing.

    >>> from prometheus_lib.data import minibench
    >>> items = minibench.build("mini_flask", 1, 0.1)
    >>> seen_items([{"orig_instruction": items[0].instruction.upper()}], items[:2]) == [items[0].id]
    True
    """
    trained = {digest(plain(text)) for text in {row["orig_instruction"] for row in rows}}
    return [item.id for item in items if digest(plain(item.instruction)) in trained]


def check_unseen(rows: Sequence[Row], benchmarks: dict[str, list[DirectItem] | list[PairItem]]) -> None:
    """Raise DataError that names the items of benchmarks whose instruction is trained on.

    >>> from prometheus_lib.data import minibench
    >>> items = minibench.build("mini_flask", 1, 0.1)
    >>> check_unseen([{"orig_instruction": items[0].instruction}], {"mini_flask": items})
    ... # doctest: +ELLIPSIS
    Traceback (most recent call last):
    prometheus_lib.records.DataError: 1 items of benchmarks have an instruction that is trained on: mini_flask/...
    """
    if seen := [name for items in benchmarks.values() for name in seen_items(rows, items)]:
        raise DataError(
            f"{len(seen)} items of benchmarks have an instruction that is trained on: {few(seen)}; leave these items, "
            "or the rows with their instructions, out."
        )
