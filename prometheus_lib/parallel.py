"""Independent jobs in worker processes, one thread each, under one progress bar with an ETA.

One thread per worker makes results repeatable bit for bit and keeps two workers at full speed on two cores.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol

from tqdm import tqdm

from .records import DataError

PROGRESS_FILE = "PROMETHEUS_PROGRESS_FILE"  # set by the runner: where a notebook's progress line goes


class Report(Protocol):
    """What a job calls to say how far it is: units of work done, and tokens generated for them."""

    def __call__(self, done: int, tokens: int = 0) -> None: ...


def silent(done: int, tokens: int = 0) -> None:
    """Report to nobody."""


_progress: Any = None


class _Bar:
    """A progress bar with remaining time and, where tokens are generated, tokens per second."""

    def __init__(self, bar: tqdm):
        self.bar, self.tokens, self.start = bar, 0, time.perf_counter()

    def __call__(self, done: int, tokens: int = 0) -> None:
        self.tokens += tokens
        if self.tokens:
            rate = self.tokens / (time.perf_counter() - self.start)
            self.bar.set_postfix_str(f"{rate:,.0f} tokens/s", refresh=False)
        self.bar.update(done)


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
    return function(job, lambda done, tokens=0: _progress.put((done, tokens)))


def run_jobs(
    function: Callable[[Any, Report], Any],
    jobs: Sequence[Any],
    total: int,
    unit: str,
    workers: int = 1,
    title: str = "",
    isolated: bool = False,
) -> list[Any]:
    """Call function(job, report) for each job and return the results in order; `report(n)` adds n units of progress.

    With one worker the jobs run in this process, one after the other; `isolated` jobs get a process each, so that
    nothing of one (an engine, GPU memory) is left for the next. The first failure stops what has not begun and is
    raised as it is; DataError when a worker process is killed.
    """
    with _progress_stream() as stream, tqdm(total=total, unit=unit, desc=title, file=stream, disable=not jobs) as bar:
        if not isolated and (workers <= 1 or len(jobs) <= 1):
            with one_thread():
                report = _Bar(bar)
                return [function(job, report) for job in jobs]
        return _run_in_processes(function, jobs, workers, bar, 1 if isolated else None)


@contextlib.contextmanager
def _progress_stream() -> Iterator[Any]:
    """Yield where the bar goes: the file that the notebook runner follows, if it named one, else standard error."""
    file = os.environ.get(PROGRESS_FILE)
    if not file:
        yield None
        return
    with open(file, "w", encoding="utf-8") as stream:
        yield stream


def _run_in_processes(
    function: Callable, jobs: Sequence[Any], workers: int, bar: tqdm, jobs_per_process: int | None
) -> list[Any]:
    context = multiprocessing.get_context("spawn")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        with context.Manager() as manager:
            progress = manager.Queue()
            pool = ProcessPoolExecutor(
                workers, context, _start_worker, (progress,), max_tasks_per_child=jobs_per_process
            )
            with pool:
                futures = [pool.submit(_call, function, job) for job in jobs]
                _follow(futures, progress, _Bar(bar))
                return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process was killed (memory?); start again, with fewer workers if it was memory: "
            "what is finished and every stored judgment is kept."
        ) from error
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before


def _follow(futures: list[Future], progress: Any, report: Report) -> None:
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
                report(*progress.get_nowait())
        except queue.Empty:
            pass


def available_workers(limit: int | None = None) -> int:
    """Return how many worker processes fit: one per usable core, at most `limit`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, limit or cores))
