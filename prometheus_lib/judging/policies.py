"""What is done about answers without a decision: nothing, draw again, or let the judge finish them.

The first answers stay as they are, so that all policies can be read from the same file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from ..prompts.parsing import PARSERS
from ..records import DataError, Judgment
from .judge import Completion, Judge, judgments
from .store import JudgmentStore, Place
from .tasks import Decoding, Task, kind_of, seed_from, task_places


@dataclass(frozen=True)
class Policy:
    """What is done about an answer without a decision.

    `once`: nothing, it is recorded and counted. `redraw`: draw again, up to `limit` times; that conditions the sample
    on answers that happen to parse. `finish`: keep the feedback and let the judge write "[RESULT]" and a decision from
    the menu. The first answer is always kept, and with it first-draw validity.
    """

    name: Literal["once", "redraw", "finish"] = "once"
    limit: int = 5

    def __post_init__(self) -> None:
        if self.name not in ("once", "redraw", "finish"):
            raise DataError(f"unknown policy {self.name!r}; choose once, redraw or finish.")

    @property
    def label(self) -> str:
        """Return the name under which its judgments are stored."""
        return f"redraw-{self.limit}" if self.name == "redraw" else self.name


ONCE = Policy()


@dataclass(frozen=True)
class _Failure:
    """An answer without a decision: its task, draw, key and text."""

    task: Task
    draw: int
    key: str
    text: str


def repair(judge: Judge, tasks: Sequence[Task], store: JudgmentStore, decoding: Decoding, policy: Policy) -> int:
    """Do what the policy says about answers without a decision; the first answers stay as they are."""
    if policy.name == "once":
        return 0
    if policy.name == "finish" and judge.parsers is not PARSERS:
        raise DataError(f"judge {judge.name!r} cannot finish a given feedback; choose the policy once or redraw.")
    failures = [
        _Failure(replace(task, draws=1), draw, place[0], store.failed[place])
        for task in tasks
        for draw, place in enumerate(task_places(task, judge.fingerprint, decoding))
        if place in store.failed and repair_place(place, policy) not in store.places
    ]
    failures.sort(key=lambda failure: (kind_of(failure.task), len(failure.task.prompt), failure.key))
    again = _redraw if policy.name == "redraw" else _finish
    added = 0
    for _, alike in groupby(failures, lambda failure: kind_of(failure.task)):
        group = list(alike)
        for start in range(0, len(group), judge.batch_size):
            added += store.append(again(judge, group[start : start + judge.batch_size], decoding, policy))
    return added


def repair_place(place: Place, policy: Policy) -> Place:
    return f"{place[0]}:{policy.label}", *place[1:]


def _redraw(judge: Judge, failures: list[_Failure], decoding: Decoding, policy: Policy) -> list[Judgment]:
    """Draw again until an answer holds a decision, `policy.limit` times at most."""
    result: dict[int, Judgment] = {}
    for attempt in range(1, policy.limit + 1):
        waiting = [n for n in range(len(failures)) if n not in result or result[n].status != "ok"]
        if not waiting:
            break
        seed = seed_from(decoding.seed, [attempt, *[failures[n].key for n in waiting]])
        again = [failures[n].task for n in waiting]
        found = judge.generate(again, again[0].settings(decoding), seed)
        for n, (completion,) in zip(waiting, found, strict=True):
            tokens = completion.tokens + (result[n].tokens if n in result else 0)
            result[n] = _repaired(judge, failures[n], completion, policy, attempt, tokens)
    return list(result.values())


def _finish(judge: Judge, failures: list[_Failure], decoding: Decoding, policy: Policy) -> list[Judgment]:
    """Let the judge add a decision from the menu to the feedback it gave."""
    seed = seed_from(decoding.seed, [failure.key for failure in failures])
    texts = [failure.text for failure in failures]
    tasks = [failure.task for failure in failures]
    found = judge.finish(tasks, texts, tasks[0].settings(decoding), seed)
    return [_repaired(judge, f, c, policy, 1, c.tokens) for f, c in zip(failures, found, strict=True)]


def _repaired(
    judge: Judge, failure: _Failure, completion: Completion, policy: Policy, attempts: int, tokens: int
) -> Judgment:
    key = f"{failure.key}:{policy.label}"
    row = judgments(judge, failure.task, [key], [completion])[0]
    return replace(row, draw=failure.draw, policy=policy.label, attempts=attempts, tokens=tokens)
