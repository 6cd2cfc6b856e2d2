"""Running a design: every cell and seed whose result is not there yet, on two cores, stopped and resumed at will."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from ..parallel import Report, available_workers, run_jobs, silent
from ..records import DataError
from .cells import CellJob, prepare_base, run_cell
from .design import Design
from .results import Results, read_results
from .world import is_shipped

# Measured on two quiet cores, for the shipped base model: what an estimate starts from before there are results.
SECONDS_PER_UNIT = 0.4


def jobs_of(
    design: Design, results: Path, work: Path, cells: Iterable[str] = (), seeds: Iterable[int] = ()
) -> list[CellJob]:
    """Return the chosen cells and seeds as jobs (default: all), seed by seed, so that a part is a grid of fewer seeds.

    DataError for a cell or seed that the design does not have.

    >>> from .design import read_design
    >>> [job.file.name for job in jobs_of(read_design("map"), Path("r"), Path("w"), ["paper"], [2, 1])]
    ['paper-seed2.json', 'paper-seed1.json']
    """
    cells, seeds = list(cells) or list(design.cells), list(seeds) or list(design.seeds)
    for kind, given, known in (("cell", cells, list(design.cells)), ("seed", seeds, list(design.seeds))):
        if unknown := [each for each in given if each not in known]:
            raise DataError(f"{design.name}: unknown {kind} {unknown[0]!r}; choose from {known}.")
    return [CellJob(design, cell, seed, results, work) for seed in seeds for cell in cells]


def waiting(jobs: Sequence[CellJob]) -> list[CellJob]:
    """Return the jobs whose result is not there, or was made from other settings, data or base model.

    >>> waiting([])
    []
    """
    return [job for job in jobs if not read_results([job])]


def estimate(jobs: Sequence[CellJob], known: Results, workers: int = 1) -> float:
    """Return how many seconds the jobs will take, from the median rate of the known results, else from a measured one.

    The median, since a cell may have been stopped for hours in its middle, or begun by a run before.

    The schooling of base models that some cells need is not counted.

    >>> from .design import read_design
    >>> round(estimate(jobs_of(read_design("map"), Path("r"), Path("w"), ["examples=125"], [1]), {}))
    70
    """
    rates = [sum(result["seconds"].values()) / result["units"] for result in known.values()]
    rate = median(rates) if rates else SECONDS_PER_UNIT
    return rate * sum(job.units() for job in jobs) / workers


def run_design(jobs: Sequence[CellJob], workers: int = 2, limit_minutes: float | None = None) -> list[CellJob]:
    """Run what is waiting among the jobs, and return what still waits when the time is up (default: nothing).

    Base models that cells need come first. After `limit_minutes` no further cell is begun.

    >>> left = run_design(jobs)  # doctest: +SKIP
    """
    todo = waiting(jobs)
    workers = available_workers(workers)
    deadline = time.time() + 60 * limit_minutes if limit_minutes is not None else None
    bases = list({job.settings_of_base: job for job in todo if not is_shipped(job.settings)}.values())
    run_jobs(partial(_in_time, prepare_base, deadline), bases, len(bases), "base model", workers, "base models")
    units = sum(job.units() for job in todo)
    run_jobs(partial(_in_time, run_cell, deadline), todo, units, "step", workers, "map")
    return waiting(todo)


def _in_time(function: Any, deadline: float | None, job: CellJob, report: Report = silent) -> None:
    if deadline is None or time.time() < deadline:
        function(job, report)
