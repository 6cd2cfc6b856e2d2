"""What a policy does about answers without a decision: they are drawn again, or the judge finishes them.

The first answers stay as they are, so that all policies can be read from the same file.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ..prompts.parsing import PARSERS
from ..records import DataError, Judgment
from .answers import Completion
from .judge import Judge, judgments
from .policy import Policy
from .store import JudgmentStore, Place
from .tasks import Decoding, Task, kind_of, seed_from, task_places


@dataclass(frozen=True)
class _Failure:
    """An answer without a decision: its task, draw, key and text."""

    task: Task
    draw: int
    key: str
    text: str


def check_policy(judge: Judge, tasks: Sequence[Task], decoding: Decoding, policy: Policy) -> None:
    """Raise DataError for a policy that can change nothing about this judge's answers, before anything is generated."""
    if policy.name == "finish" and not (judge.finishes and judge.parsers is PARSERS):
        raise DataError(f"judge {judge.name!r} cannot finish a given feedback; choose the policy once or redraw.")
    if policy.name == "redraw" and not judge.samples:
        raise DataError(f"judge {judge.name!r} answers the same question in the same way; choose the policy once.")
    if policy.name == "redraw" and tasks and not repaired_tasks(tasks, decoding, policy):
        raise DataError(
            f"judge {judge.name!r}: at temperature {decoding.temperature:g} (top_p {decoding.top_p:g}) a new draw is "
            "the old one; choose the policy once or finish, or a higher temperature."
        )


def repaired_tasks(tasks: Sequence[Task], decoding: Decoding, policy: Policy) -> list[Task]:
    """Return the tasks whose failures a policy can change: drawn again is only what is drawn at all."""
    return [task for task in tasks if policy.name != "redraw" or not task.settings(decoding).greedy]


def repair(judge: Judge, tasks: Sequence[Task], store: JudgmentStore, decoding: Decoding, policy: Policy) -> int:
    """Do what the policy says about answers without a decision; the first answers stay as they are."""
    if policy.name == "once":
        return 0
    chosen = repaired_tasks(tasks, decoding, policy)
    _warn_of_greedy(judge, len(tasks) - len(chosen), policy)
    failures = [
        _Failure(replace(task, draws=1), draw, place[0], store.failed[place])
        for task in chosen
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


def _warn_of_greedy(judge: Judge, count: int, policy: Policy) -> None:
    if count:
        warnings.warn(
            f"judge {judge.name!r}: {count} tasks are decoded at temperature 0, where a new draw is the old one; their "
            f"failures are not repaired by {policy.label!r}.",
            stacklevel=4,
        )


def repair_place(place: Place, policy: Policy) -> Place:
    """Return where the store keeps what a policy made of the answer at `place`."""
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
