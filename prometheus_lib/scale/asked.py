"""What each judge of a scale is asked: its benchmarks, and for the main judges the studies beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..data.attacks import sources, victims_at
from ..data.biases import POSITION_SOURCE, RUBRIC_SOURCE
from ..data.catalogue import CONSISTENCY_BENCHMARKS, DIRECT_BENCHMARKS, REFERENCE_BENCHMARKS
from ..judging import studies
from ..judging.tasks import Task, direct_for_pairs_tasks, direct_tasks, pairwise_tasks
from ..records import DirectItem, PairItem, first_instructions
from .settings import Scale

Items = list[DirectItem] | list[PairItem]


def judging_tasks(scale: Scale, judge: str, items: dict[str, Items]) -> list[Task]:
    """Return everything a judge is asked: both formats for all; consistency, biases and attacks for the main judges.

    The scale's `sampled` judges are asked a part of each benchmark, and experts of one format are not compared across
    formats.
    """
    if judge in scale.sampled:
        parts = {name: first_instructions(each, scale.sample_share) for name, each in items.items()}
        return list(_main_tasks(scale, scale.main_benchmarks(judge), parts, scale.sample_draws or scale.draws))
    tasks = list(_main_tasks(scale, scale.main_benchmarks(judge), items, scale.draws))
    if judge in scale.main_judges:
        for study in scale.studies:
            if study != "formats" or not scale.of_one_format(judge):
                tasks += STUDY_TASKS[study](scale, items)
    return tasks


def asked_alike(scale: Scale, judge: str) -> tuple[Any, ...]:
    """Return what is equal for judges that are asked the same: see `judging_tasks`."""
    main = judge in scale.main_judges
    return scale.main_benchmarks(judge), main, main and scale.of_one_format(judge), judge in scale.sampled


def _items_of(scale: Scale, items: dict[str, Items], names: Iterable[str]) -> Iterator[tuple[str, Items]]:
    """Yield the scale's name and the items of those of the paper's benchmarks that there are."""
    known = map(scale.benchmark_name, names)
    return ((name, items[name]) for name in known if name in items)


def _position_tasks(scale: Scale, items: dict[str, Items]) -> Iterator[Task]:
    """The other order; the benchmark's own judgments are one half of this bias."""
    for name, pairs in _items_of(scale, items, [POSITION_SOURCE]):
        yield from studies.position_tasks(name, pairs)


def _rubric_tasks(scale: Scale, items: dict[str, Items]) -> Iterator[Task]:
    for _, found in _items_of(scale, items, [RUBRIC_SOURCE]):
        yield from studies.rubric_tasks(found, scale.benchmark_share, scale.draws)


def _attack_tasks(scale: Scale, items: dict[str, Items]) -> Iterator[Task]:
    attacked = _items_of(scale, items, sources(scale.benchmarks))
    yield from studies.attack_suite(victims_at(scale.benchmark_share, *(found for _, found in attacked)))


def _main_tasks(scale: Scale, names: Sequence[str], items: dict[str, Items], draws: int) -> Iterator[Task]:
    for name in names:
        known = scale.benchmark_name(name)
        if name in DIRECT_BENCHMARKS:
            yield from direct_tasks(known, items[known], True, draws)
        else:
            yield from pairwise_tasks(known, items[known])


def _format_tasks(scale: Scale, items: dict[str, Items]) -> Iterator[Task]:
    for name, pairs in _items_of(scale, items, CONSISTENCY_BENCHMARKS):
        yield from direct_for_pairs_tasks(name, pairs, scale.draws)


def _reference_tasks(scale: Scale, items: dict[str, Items]) -> Iterator[Task]:
    main = set(map(scale.benchmark_name, DIRECT_BENCHMARKS))
    for name, found in _items_of(scale, items, REFERENCE_BENCHMARKS):
        yield from direct_tasks(name, found, False, scale.draws)
        if name not in main:
            yield from direct_tasks(name, found, True, scale.draws)


STUDY_TASKS = {
    "formats": _format_tasks,
    "reference": _reference_tasks,
    "position": _position_tasks,
    "rubric": _rubric_tasks,
    "attacks": _attack_tasks,
}
