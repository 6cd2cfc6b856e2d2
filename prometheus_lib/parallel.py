"""Independent jobs in worker processes, one thread each, under one progress bar with an ETA.

One thread per worker makes results repeatable bit for bit and keeps two workers at full speed on two cores. Workers
never outlive the process that started them: each holds one end of a pipe whose other end only that process has, so it
sees at once when that end is closed, by an interrupt or by the process's death.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tqdm import tqdm
from tqdm.auto import tqdm as shown_bar

from .records import DataError

PROGRESS_FILE = "PROMETHEUS_PROGRESS_FILE"  # set by the runner: where a notebook's progress line goes
THREADS = "OMP_NUM_THREADS"  # read by torch and by numpy's linear algebra when they are loaded
TRACKER = "multiprocessing.resource_tracker"
CPU_INFO = Path("/proc/cpuinfo")
BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")  # of processors that compute in it, rather than by way of float32
Item = TypeVar("Item")


class Report(Protocol):
    """What a job calls to say how far it is: units of work done, and tokens generated for them."""

    def __call__(self, done: int, tokens: int = 0) -> None: ...


def silent(done: int, tokens: int = 0) -> None:
    """Report to nobody.

    >>> silent(3)
    """


# --- threads and cores -----------------------------------------------------------------------------------------------


def available_workers(limit: int | None = None) -> int:
    """Return how many worker processes fit: one per usable core, at most `limit`.

    >>> available_workers(1)
    1
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, limit or cores))


def processor_has_bfloat16(info: Path = CPU_INFO) -> bool:
    """Tell whether the processor computes in bfloat16; False where it does not say so.

    >>> processor_has_bfloat16(Path("no/such/file"))
    False
    """
    return info.is_file() and any(flag in info.read_text(encoding="utf-8") for flag in BFLOAT16_FLAGS)


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


def use_one_thread() -> None:
    """Let this process, and those that it starts, compute on one thread each from now on.

    Notebooks call it first. As many threads as cores wait for each other at every step: where another process takes
    one of the cores they are ten times slower than one thread, on an idle machine hardly faster for small models.

    >>> use_one_thread()
    >>> os.environ["OMP_NUM_THREADS"]
    '1'
    """
    from threadpoolctl import threadpool_limits

    os.environ[THREADS] = "1"  # for what is loaded later
    threadpool_limits(1)  # numpy's linear algebra, if it is loaded
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


DEVICES = "CUDA_VISIBLE_DEVICES"  # read by CUDA when a process first uses it: the GPUs that it sees


def visible_gpus() -> list[tuple[str, float]]:
    """Return the name and the memory in GB of each GPU that CUDA sees.

    >>> all(memory > 0 for name, memory in visible_gpus())
    True
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found = [torch.cuda.get_device_properties(number) for number in range(count)]
    return [(gpu.name, gpu.total_memory / 1e9) for gpu in found]


# --- progress --------------------------------------------------------------------------------------------------------


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


def progress(items: Iterable[Item], title: str, total: int | None = None, unit: str = "step") -> Iterator[Item]:
    """Yield the items under a progress bar, which the runner shows on the terminal while a notebook runs.

    >>> list(progress("ab", "letters"))
    ['a', 'b']
    """
    with progress_bar(desc=title, total=total, iterable=items, unit=unit) as bar:
        yield from bar


@contextlib.contextmanager
def progress_bar(**options: Any) -> Iterator[tqdm]:
    """Give tqdm's bar: a widget in a notebook, a line on a terminal or in the file that the notebook runner follows.

    >>> with progress_bar(total=2, unit="step", disable=True) as bar:
    ...     bar.update(2)
    """
    file = os.environ.get(PROGRESS_FILE)
    if not file:
        with shown_bar(**options) as bar:
            yield bar
        return
    with open(file, "w", encoding="utf-8") as stream, tqdm(file=stream, **options) as bar:
        yield bar


# --- worker processes ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set environment variables for the processes started meanwhile (an empty value removes one), then as before.

    >>> with environment(PROMETHEUS_EXAMPLE="1"):
    ...     os.environ["PROMETHEUS_EXAMPLE"]
    '1'
    >>> "PROMETHEUS_EXAMPLE" in os.environ
    False
    """
    before = {name: os.environ.pop(name, None) for name in values}
    os.environ.update({name: value for name, value in values.items() if value})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextlib.contextmanager
def worker_pool(
    workers: int,
    start: Callable[..., None] | None = None,
    given: Sequence[Any] = (),
    tasks_per_child: int | None = None,
) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of worker processes, in each of which `start(*given)` is called first.

    An error in the block leaves what has not begun undone and lets what runs end. An interrupt, and the death of this
    process, end the workers at once, with all processes that they have started.
    """
    context = multiprocessing.get_context("spawn")
    watched, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, _begin, (watched, start, given), max_tasks_per_child=tasks_per_child)
    try:
        yield pool
    except Exception:
        raise
    except BaseException:  # an interrupt
        held.close()
        raise
    finally:
        try:
            pool.shutdown(cancel_futures=True)
        finally:
            held.close()
            watched.close()


def submit_all(pool: ProcessPoolExecutor, function: Callable, *arguments: Sequence[Any]) -> list[Future]:
    """Submit the calls of `map`. The workers are started without interrupts: only this process decides when to stop.

    An interrupt from a keyboard or a notebook goes to all processes of a group; this one then ends the others.
    """
    with _interrupts_blocked():
        return [pool.submit(function, *each) for each in zip(*arguments, strict=True)]


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Keep interrupts waiting; processes started meanwhile are born so (on Windows `_begin` must do)."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(watched: Connection, start: Callable | None, given: Sequence[Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(watched,), daemon=True).start()
    if start:
        start(*given)


def _end_with_parent(watched: Connection) -> None:
    """Wait until the other end of the pipe is closed, then end this process and all that it has started."""
    import psutil

    with contextlib.suppress(EOFError, OSError):
        watched.recv_bytes()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if TRACKER not in " ".join(child.cmdline()):  # it ends by itself, after cleaning up
                child.kill()
    os._exit(1)


# --- jobs ------------------------------------------------------------------------------------------------------------


Results = dict[int, Any]  # by the job's place in the list
_progress: Any = None  # in a worker: the queue of what it has done
_free: Any = None  # in a worker: the queue of devices that nobody uses


def _start_worker(done: Any, free: Any) -> None:
    global _progress, _free
    _progress, _free = done, free
    done.cancel_join_thread()  # a bar that nobody reads any more must not keep a worker
    import torch

    torch.set_num_threads(1)


def _call(function: Callable[[Any, Report], Any], job: Any) -> Any:
    def report(done: int, tokens: int = 0) -> None:
        _progress.put((done, tokens))

    if _free is None:
        return function(job, report)
    device = _free.get()
    try:
        with environment(**{DEVICES: device}):
            return function(job, report)
    finally:
        _free.put(device)


def run_jobs(
    function: Callable[[Any, Report], Any],
    jobs: Sequence[Any],
    total: int,
    unit: str,
    workers: int = 1,
    title: str = "jobs",
    isolated: bool = False,
    devices: Sequence[str] = (),
) -> list[Any]:
    """Call function(job, report) for each job and return the results in order; `report(n)` adds n units of progress.

    With one worker the jobs run in this process, one after the other; `isolated` jobs get a process each, so that
    nothing of one (an engine, GPU memory) is left for the next. With `devices` (each one or several GPUs, as CUDA
    counts them: "0", "2,3") every job has a process of its own that sees the first one that is free. The first failure
    stops what has not begun and is raised as it is. An interrupt stops everything at once. DataError when a worker
    process is killed.

    >>> run_jobs(lambda job, report: job * 2, [1, 2, 3], 3, "job")
    [2, 4, 6]
    """
    results: Results = {}
    with progress_bar(total=total, unit=unit, desc=title, disable=not jobs) as bar:
        try:
            if devices or isolated or (workers > 1 and len(jobs) > 1):
                _run_in_processes(function, jobs, workers, _Bar(bar), isolated, devices, results)
            else:
                _run_here(function, jobs, _Bar(bar), results)
        except KeyboardInterrupt:
            print(f"\n{title}: stopped; {len(results)} of {len(jobs)} had ended, and what they wrote is kept. "
                  "Start again to go on.", file=sys.stderr)  # fmt: skip
            raise
    return [results[number] for number in range(len(jobs))]


def _run_here(function: Callable, jobs: Sequence[Any], report: Report, results: Results) -> None:
    with one_thread():
        for number, job in enumerate(jobs):
            results[number] = function(job, report)


def _run_in_processes(
    function: Callable,
    jobs: Sequence[Any],
    workers: int,
    report: Report,
    isolated: bool,
    devices: Sequence[str],
    results: dict[int, Any],
) -> None:
    context = multiprocessing.get_context("spawn")
    done, free = context.Queue(), context.SimpleQueue() if devices else None
    for device in devices:
        free.put(device)
    workers, per_child = len(devices) or workers, 1 if isolated or devices else None
    variables = {THREADS: "1", "TOKENIZERS_PARALLELISM": os.environ.get("TOKENIZERS_PARALLELISM", "false")}
    try:
        with environment(**variables), worker_pool(workers, _start_worker, (done, free), per_child) as pool:
            futures = submit_all(pool, _call, [function] * len(jobs), jobs)
            _follow({future: number for number, future in enumerate(futures)}, done, report, results)
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process was killed (memory?); start again, with fewer workers if it was memory: "
            "what is finished and every stored judgment is kept."
        ) from error


def _follow(pending: dict[Future, int], done: Any, report: Report, results: Results) -> None:
    """Move the bar and take in results until all futures are done; raise the first failure."""
    waiting = set(pending)
    while waiting:
        ended, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
        for future in sorted(ended, key=pending.__getitem__):
            results[pending[future]] = future.result()
        with contextlib.suppress(queue.Empty):
            while True:
                report(*done.get(timeout=0 if waiting else 0.1))
