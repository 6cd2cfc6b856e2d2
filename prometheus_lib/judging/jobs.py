"""One judge's work as a value: which model, which tasks, where the judgments go. A worker process needs no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..parallel import Report, silent
from .collecting import collect
from .engines import engine_named
from .judge import Judge
from .policies import ONCE, Policy, repair_place
from .store import JudgmentStore
from .tasks import Decoding, Task, note_asked, task_places


@dataclass(frozen=True)
class JudgingJob:
    """Everything a worker needs to run one judge: the model folder, its tasks, where judgments go, and how.

    For the engine "api", `folder` is the file of its settings (see `api_settings`).
    """

    name: str
    folder: str
    tasks: tuple[Task, ...]
    out: str
    decoding: Decoding
    engine: str = "transformers"
    batch_size: int = 192
    bf16: bool = False
    policy: Policy = ONCE


def run_judge(job: JudgingJob, report: Report = silent, start: Callable[[JudgingJob], Judge] | None = None) -> int:
    """Collect one judge's judgments and return how many were added; a model is loaded only if something is missing.

    `start` makes the judge (default: the job's engine); it is closed at the end.
    """
    store, fingerprint = JudgmentStore(job.out), job_fingerprint(job)
    if is_complete(job, fingerprint, store):
        note_asked(job.name, fingerprint, job.tasks, store, job.decoding)
        report(sum(task.draws for task in job.tasks))
        return 0
    judge = (start or start_judge)(job)
    try:
        return collect(judge, job.tasks, store, job.decoding, report, job.policy)
    finally:
        judge.close()


def start_judge(job: JudgingJob) -> Judge:
    """Start a job's judge; DataError for an engine that does not exist."""
    return engine_named(job.engine).start(job.name, job.folder, job.batch_size, job.bf16)


def job_fingerprint(job: JudgingJob) -> str:
    """Return the fingerprint of a job's judge, without starting it."""
    return engine_named(job.engine).identify(job.folder, job.bf16)


def is_complete(job: JudgingJob, fingerprint: str, store: JudgmentStore) -> bool:
    """Tell whether the store holds all judgments of a job, and what its policy adds."""
    places = [place for task in job.tasks for place in task_places(task, fingerprint, job.decoding)]
    if job.policy.name != "once":
        places += [repair_place(place, job.policy) for place in places if place in store.failed]
    return store.places.issuperset(places)
