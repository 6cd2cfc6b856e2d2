"""A judge of many engines on a Ray cluster: each engine is an actor, and all judgments go to the one usual file.

    pip install ray; ray start --head                    on the first machine
    ray start --address=<first machine>:6379             on every other one
    python -m prometheus_lib.judging --scale 7b --replicas 8 --gpus 1

The model folders must lie under the same path on every machine (or be names on the hub). Answers travel to this process
as they are ready and it alone writes, so a run can be stopped and started again like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from ..records import DataError
from .answers import Completion
from .engines import engine_named
from .jobs import JudgingJob, job_fingerprint, start_judge
from .judge import Found, Judge
from .sharing import shares
from .tasks import Decoding, Task


class Replica:
    """One engine, in a process of its own on some machine of the cluster."""

    def __init__(self, job: JudgingJob, fingerprint: str):
        found = job_fingerprint(job)
        if found != fingerprint:
            raise DataError(f"{job.folder}: this machine has another model there ({found}, not {fingerprint}).")
        self.judge = start_judge(job)

    def check(self, tasks: Sequence[Task], decoding: Decoding) -> None:
        """Raise DataError that names the items that do not fit."""
        self.judge.check(tasks, decoding)

    def finish(self, tasks: Sequence[Task], texts: Sequence[str], decoding: Decoding, seed: int) -> list[Completion]:
        """Finish given feedback (see `judge.Judge`)."""
        return self.judge.finish(tasks, texts, decoding, seed)

    def stream(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> Iterator[Found]:
        """Yield answers as they become ready, one by one or batch by batch."""
        yield from self.judge.stream(tasks, decoding, seed)


class RayJudge(Judge):
    """A judge whose engines are `replicas` Ray actors with `gpus` GPUs each; they start when they are first needed.

    An engine may use several GPUs of its machine (tensor parallelism): give it that many.

    >>> job = JudgingJob("linear", "path/to/linear", (), "judgments/linear.jsonl", Decoding(), "vllm")  # doctest: +SKIP
    >>> judge = RayJudge(job, replicas=8)  # doctest: +SKIP
    """

    in_batches, stored_together = False, 32

    def __init__(self, job: JudgingJob, replicas: int, gpus: float = 1):
        self.name, self.batch_size = job.name, job.batch_size * replicas
        self.fingerprint = job_fingerprint(job)
        self.finishes = engine_named(job.engine).finishes
        self._job, self._count, self._gpus = replace(job, tasks=()), replicas, gpus

    @cached_property
    def _replicas(self) -> list[Any]:
        try:
            import ray
        except ImportError as error:
            raise DataError(f"Ray cannot be imported ({error}); pip install ray on every machine.") from error

        if not ray.is_initialized():
            ray.init()
        actor = ray.remote(num_gpus=self._gpus, num_cpus=1)(Replica)
        return [actor.remote(self._job, self.fingerprint) for _ in range(self._count)]

    def check(self, tasks: Sequence[Task], decoding: Decoding) -> None:
        """Raise DataError that names all items that do not fit, before anything is generated."""
        _get(self._replicas[0].check.remote(list(tasks), decoding))

    def generate(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> list[list[Completion]]:
        """Return every task's draws, in the order of the tasks."""
        return self.in_order(self.stream(tasks, decoding, seed), len(tasks))

    def stream(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> Iterator[Found]:
        """Yield answers as any of the engines has them ready."""
        import ray

        def start(replica: Any, places: list[int]) -> Any:
            mine = [tasks[place] for place in places]
            return replica.stream.options(num_returns="streaming").remote(mine, decoding, seed)

        arriving = self._spread(tasks, start)
        while arriving:
            ready, _ = ray.wait(list(arriving), num_returns=1)
            for stream in ready:
                try:
                    found = _get(next(stream))
                except StopIteration:
                    del arriving[stream]
                    continue
                yield [(arriving[stream][place], draws) for place, draws in found]

    def finish(self, tasks: Sequence[Task], texts: Sequence[str], decoding: Decoding, seed: int) -> list[Completion]:
        """Finish given feedback (see `judge.Judge`), each engine its share."""

        def start(replica: Any, places: list[int]) -> Any:
            mine, own = [tasks[place] for place in places], [texts[place] for place in places]
            return replica.finish.remote(mine, own, decoding, seed)

        asked = self._spread(tasks, start)
        found = {place: each for ref, own in asked.items() for place, each in zip(own, _get(ref), strict=True)}
        return [found[place] for place in range(len(tasks))]

    def close(self) -> None:
        """Stop the engines that were started."""
        import ray

        for replica in self.__dict__.pop("_replicas", []):
            ray.kill(replica)

    def _spread(self, tasks: Sequence[Task], start: Callable[[Any, list[int]], Any]) -> dict[Any, list[int]]:
        """Start every engine on the places of its share; return what it answers with, and these places."""
        own = shares(tasks, self._count)
        return {start(one, places): places for one, places in zip(self._replicas, own, strict=True) if places}


def _get(ref: Any) -> Any:
    """Wait for an engine's answer; DataError when the engine has died."""
    import ray

    try:
        return ray.get(ref)
    except ray.exceptions.RayActorError as error:
        raise DataError(
            f"an engine of the cluster stopped ({error}); start again: every stored judgment is kept."
        ) from error
