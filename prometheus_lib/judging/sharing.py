"""One judge's work in shares, for several processes or machines, and judgments of another machine taken over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

from ..records import DataError, Judgment, read_jsonl
from .engines import engine_named
from .jobs import JudgingJob
from .store import JudgmentStore, judgment_files, read_asked, start_from_recorded
from .tasks import Task


def shares(tasks: Sequence[Task], count: int) -> list[list[int]]:
    """Cut tasks into `count` lists of places with about equally many draws.

    Prompts that begin alike stay together, and equal prompts always do: an engine computes a shared opening once.

    >>> tasks = [Task("b", f"{n}", "direct", False, "ab", 1, f"prompt {n % 2}") for n in range(4)]
    >>> shares(tasks, 2)
    [[0, 2], [1, 3]]
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for place, task in enumerate(tasks):
        groups.setdefault((task.format, task.prompt), []).append(place)
    result: list[list[int]] = [[] for _ in range(count)]
    total, before = sum(task.draws for task in tasks), 0
    for _, places in sorted(groups.items()):
        result[before * count // total] += places
        before += sum(tasks[place].draws for place in places)
    return result


def share_of(job: JudgingJob, number: int, count: int) -> JudgingJob:
    """Return a job with the tasks of process `number` of `count`.

    vLLM draws each task with a seed of its own, so shares give the judgments of one process; transformers draws whole
    batches, and other batches give other draws.

    >>> from prometheus_lib.judging import Decoding
    >>> tasks = tuple(Task("b", f"{n}", "direct", False, "ab", 1, f"prompt {n}") for n in range(4))
    >>> job = JudgingJob("mine", "path/to/a/model", tasks, "judgments/mine.jsonl", Decoding())
    >>> [len(share_of(job, number, 4).tasks) for number in range(4)]
    [1, 1, 1, 1]
    """
    return replace(job, tasks=tuple(job.tasks[place] for place in shares(job.tasks, count)[number]))


def pieces(job: JudgingJob, longest: int) -> list[JudgingJob]:
    """Cut a job into as few shares as have at most about `longest` draws each, where shares give the same judgments.

    >>> from prometheus_lib.judging import Decoding
    >>> tasks = tuple(Task("b", f"{n}", "direct", False, "ab", 1, f"prompt {n}") for n in range(6))
    >>> job = JudgingJob("mine", "path/to/a/model", tasks, "judgments/mine.jsonl", Decoding(), engine="vllm")
    >>> [len(piece.tasks) for piece in pieces(job, 2)]
    [2, 2, 2]
    >>> [len(piece.tasks) for piece in pieces(replace(job, engine="transformers"), 2)]
    [6]
    """
    if engine_named(job.engine).in_batches or not job.tasks or job.recipe:  # else several would build one merge
        return [job]
    count = min(len(job.tasks), ceil(sum(task.draws for task in job.tasks) / max(1, longest)))
    return [replace(job, tasks=tuple(job.tasks[n] for n in places)) for places in shares(job.tasks, count) if places]


def parse_share(text: str) -> tuple[int, int]:
    """Read "0/4" as process 0 of 4; DataError when it is no such thing.

    >>> parse_share("0/4")
    (0, 4)
    """
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit() and int(number) < int(count)):
        raise DataError(f"{text!r} is no share; write 0/4, 1/4, 2/4 and 3/4 for four processes.")
    return int(number), int(count)


def gather(folder: str | Path, other: str | Path) -> dict[str, int]:
    """Add another folder's judgment files to this one's and return how many judgments each judge gained.

    What was asked last there comes along for the questions that had no answer here; for the others, what was asked here
    stays the last.

    >>> import tempfile
    >>> said = Judgment("j", "f", "b", "1", "direct", True, "ab", 0, 4, "Good.", "ok", 1, 9, "key")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     added = JudgmentStore(f"{folder}/there/j.jsonl").append([said])
    ...     gather(f"{folder}/here", f"{folder}/there"), gather(f"{folder}/here", f"{folder}/there")
    ({'j': 1}, {'j': 0})
    """
    files = judgment_files(other)
    if not files:
        raise DataError(f"{other}: no judgment files (*.jsonl or *.jsonl.gz) to gather.")
    gained = {}
    for path in files:
        name = path.name.partition(".jsonl")[0]
        start_from_recorded(Path(folder) / f"{name}.jsonl")
        store = JudgmentStore(Path(folder) / f"{name}.jsonl")
        asked = {question: kind for question, kind in read_asked(path).items() if question not in store.answers}
        gained[name] = store.append([Judgment(**row) for row in read_jsonl(path)])
        store.ask(asked)
    return gained
