"""Running the jobs of many judges: in this process, in workers, or in one process for each GPU, fed from one queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..parallel import Report, run_jobs
from .engines import engine_named
from .jobs import JudgingJob, run_judge
from .judge import Judge
from .sharing import pieces
from .sweeps import SweepJob, run_sweep

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["judge", "needed", "added", "seconds"]  # of what is returned


def run_judging(
    jobs: Iterable[JudgingJob | SweepJob],
    workers: int = 1,
    start: Callable[[JudgingJob], Judge] | None = None,
    devices: Sequence[str] = (),
) -> pd.DataFrame:
    """Run judging jobs, the longest first so that workers end together; one row per judge, with COLUMNS.

    `start` makes a job's judge (default: its engine, here or in a worker; vLLM's gets a process of its own). With
    `devices` (see `engine_devices`) one process for each takes from a queue of judges, the long ones cut into shares.

    >>> run_judging([])["added"].sum()
    0
    """
    import pandas as pd

    jobs = list(jobs)
    longest = sum(needed(part) for job in jobs for part in parts(job)) // (2 * len(devices) or 1)
    cut = [piece for job in jobs for piece in (_pieces(job, longest) if devices else [job])]
    cut.sort(key=lambda job: -sum(map(needed, parts(job))))
    single = [part for job in cut for part in parts(job)]
    isolated = start is None and any(engine_named(part.engine).isolated for part in single)
    total = sum(map(needed, single))
    done = run_jobs(partial(_judge, start=start), cut, total, "judgment", workers, "judging", isolated, devices)
    rows: dict[str, dict[str, Any]] = {}
    for part, (added, seconds) in zip(single, [each for found in done for each in found], strict=True):
        row = rows.setdefault(part.name, {"judge": part.name, "needed": 0, "added": 0, "seconds": 0.0})
        row["needed"], row["added"] = row["needed"] + needed(part), row["added"] + added
        row["seconds"] = round(row["seconds"] + seconds, 1)
    return pd.DataFrame(list(rows.values()), columns=COLUMNS)


def _pieces(job: JudgingJob | SweepJob, longest: int) -> Sequence[JudgingJob | SweepJob]:
    return [job] if isinstance(job, SweepJob) else pieces(job, longest)


def parts(job: JudgingJob | SweepJob) -> tuple[JudgingJob, ...]:
    """Return a job's judging jobs, one per judge.

    >>> from prometheus_lib.judging import Decoding
    >>> job = JudgingJob("mine", "path/to/a/model", (), "judgments/mine.jsonl", Decoding())
    >>> parts(job) == (job,)
    True
    """
    return job.jobs if isinstance(job, SweepJob) else (job,)


def needed(job: JudgingJob) -> int:
    """Return how many judgments a job asks for, stored or not.

    >>> from prometheus_lib.judging import Decoding
    >>> needed(JudgingJob("mine", "path/to/a/model", (), "judgments/mine.jsonl", Decoding()))
    0
    """
    return sum(task.draws for task in job.tasks)


def _judge(
    job: JudgingJob | SweepJob, report: Report, start: Callable[[JudgingJob], Judge] | None
) -> list[tuple[int, float]]:
    """Return judgments added and seconds for each judge of the job."""
    if isinstance(job, SweepJob):
        return run_sweep(job, report)
    began = time.perf_counter()
    added = run_judge(job, report, start)
    return [(added, time.perf_counter() - began)]
