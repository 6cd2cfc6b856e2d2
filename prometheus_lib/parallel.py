"""Independent jobs in worker processes, one thread each, under one progress bar with an ETA.

One thread per worker makes results repeatable bit for bit and keeps two workers at full speed on two cores.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any

from tqdm import tqdm

Report = Callable[[int], None]

_progress: Any = None


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Run torch with one thread, then as before: the same bits whatever the machine, and however jobs are spread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _start_worker(progress: Any) -> None:
    global _progress
    _progress = progress
    import torch

    torch.set_num_threads(1)


def _call(function: Callable[[Any, Report], Any], job: Any) -> Any:
    return function(job, lambda done: _progress.put(done))


def run_jobs(
    function: Callable[[Any, Report], Any],
    jobs: Sequence[Any],
    total: int,
    unit: str,
    workers: int = 1,
    title: str = "",
) -> list[Any]:
    """Call function(job, report) for each job and return the results in order; `report(n)` adds n units of progress.

    With one worker the jobs run in this process, one after the other. The first failure stops what has not begun and
    is raised as it is.
    """
    with _progress_stream() as stream, tqdm(total=total, unit=unit, desc=title, file=stream, disable=not jobs) as bar:
        if workers <= 1 or len(jobs) <= 1:
            with one_thread():
                return [function(job, bar.update) for job in jobs]
        return _run_in_processes(function, jobs, workers, bar)


@contextlib.contextmanager
def _progress_stream() -> Iterator[Any]:
    """Yield where the bar goes: the file that the notebook runner follows, if it named one, else standard error."""
    file = os.environ.get("PROMETHEUS_PROGRESS_FILE")
    if not file:
        yield None
        return
    with open(file, "w", encoding="utf-8") as stream:
        yield stream


def _run_in_processes(function: Callable, jobs: Sequence[Any], workers: int, bar: tqdm) -> list[Any]:
    context = multiprocessing.get_context("spawn")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        with context.Manager() as manager:
            progress = manager.Queue()
            with ProcessPoolExecutor(workers, context, _start_worker, (progress,)) as pool:
                futures = [pool.submit(_call, function, job) for job in jobs]
                _follow(futures, progress, bar)
                return [future.result() for future in futures]
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


def _follow(futures: list[Future], progress: Any, bar: tqdm) -> None:
    """Move the bar until all futures are done; cancel the rest when one has failed."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
        if any(future.exception() for future in done):
            for future in pending:
                future.cancel()
            break
        try:
            while True:
                bar.update(progress.get_nowait())
        except queue.Empty:
            pass


def available_workers(limit: int | None = None) -> int:
    """Return how many worker processes fit: one per usable core, at most `limit`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, limit or cores))
