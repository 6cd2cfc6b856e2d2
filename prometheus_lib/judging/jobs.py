"""One judge's work as a value: which model, which tasks, where the judgments go. A worker process needs no more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from ..parallel import Report, silent
from .collecting import collect
from .engines import engine_named
from .judge import Judge, settled
from .passing import Recipe, passing
from .policy import ONCE, Policy
from .repairing import repair_place, repaired_tasks
from .store import JudgmentStore, Place
from .tasks import Decoding, Task, note_asked, task_places


@dataclass(frozen=True)
class JudgingJob:
    """Everything a worker needs to run one judge: the model folder, its tasks, where judgments go, and how.

    For the engine "api", `folder` is the file of its settings (see `api_settings`).

    >>> JudgingJob("mine", "path/to/a/model", (), "judgments/mine.jsonl", Decoding()).engine
    'transformers'
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
    skip_long: bool = False  # prompts that do not fit are recorded as such and stop nothing
    recipe: Recipe | None = None  # a merge that is in `folder` only while it is judged

    @property
    def models(self) -> tuple[str, ...]:
        """Return the model folders that must be there before this judge can be started."""
        return self.recipe.parents if self.recipe else (self.folder,)


def run_judge(job: JudgingJob, report: Report = silent, start: Callable[[JudgingJob], Judge] | None = None) -> int:
    """Collect one judge's judgments and return how many were added; a model is loaded only if something is missing.

    `start` makes the judge (default: the job's engine); it is closed at the end.

    >>> import tempfile
    >>> from prometheus_lib import judging
    >>> from prometheus_lib.data import minibench
    >>> tasks = judging.direct_tasks("mini_flask", minibench.build("mini_flask", 1, 0.1)[:3], True, draws=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     job = JudgingJob("three", "constant", tuple(tasks), f"{folder}/three.jsonl", Decoding(), engine="trivial")
    ...     run_judge(job), run_judge(job)
    (3, 0)
    """
    store = JudgmentStore(job.out)
    fingerprint = job_fingerprint(job, store.fingerprints)
    if is_complete(job, fingerprint, store):
        note_asked(job.name, fingerprint, job.tasks, store, job.decoding)
        report(sum(task.draws for task in job.tasks))
        return 0
    with passing(job.recipe, job.folder) if job.recipe else contextlib.nullcontext():
        judge = (start or start_judge)(job)
        try:
            return collect(judge, job.tasks, store, job.decoding, report, job.policy, job.skip_long)
        finally:
            judge.close()


def start_judge(job: JudgingJob) -> Judge:
    """Start a job's judge; DataError for an engine that does not exist.

    >>> start_judge(JudgingJob("floor", "random", (), "judgments/floor.jsonl", Decoding(), engine="trivial")).name
    'floor'
    """
    kind = engine_named(job.engine)
    fitted = kind.fitted(job.folder, job.tasks, job.decoding) if job.tasks else {}
    return kind.start(job.name, job.folder, job.batch_size, job.bf16, **fitted)


def job_fingerprint(job: JudgingJob, stored: Collection[str] = ()) -> str:
    """Return the fingerprint of a job's judge, without starting it; a former one if its answers are stored so.

    "" for a merge that is not made yet, or of other experts.

    >>> job = JudgingJob("floor", "random", (), "judgments/floor.jsonl", Decoding(), engine="trivial")
    >>> job_fingerprint(job) == start_judge(job).fingerprint
    True
    """
    if job.recipe and not job.recipe.was_made(job.folder):
        return ""
    return settled(engine_named(job.engine).identify(job.folder, job.bf16), stored)


def is_complete(job: JudgingJob, fingerprint: str, store: JudgmentStore) -> bool:
    """Tell whether the store holds all judgments of a job, and what its policy adds.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     job = JudgingJob("floor", "random", (), f"{folder}/floor.jsonl", Decoding(), engine="trivial")
    ...     is_complete(job, job_fingerprint(job), JudgmentStore(job.out))  # it is asked nothing
    True
    """

    def places(tasks: Iterable[Task]) -> Iterator[Place]:
        return (place for task in tasks for place in task_places(task, fingerprint, job.decoding))

    if not store.places.issuperset(places(job.tasks)):
        return False
    unasked = [task for task in job.tasks if store.unasked and not store.unasked.isdisjoint(places([task]))]
    if unasked and engine_named(job.engine).has_room(job.folder, unasked, job.decoding):
        return False
    if job.policy.name == "once":
        return True
    failed = (p for p in places(repaired_tasks(job.tasks, job.decoding, job.policy)) if p in store.failed)
    return store.places.issuperset(repair_place(place, job.policy) for place in failed)
