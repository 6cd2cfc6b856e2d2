"""Collecting: what the store does not hold yet is asked, read and stored.

An answer that holds no decision is recorded as such, so first-draw validity is what the tables report; what else may be
done about it is a `Policy`, recorded beside it.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import groupby

from ..parallel import Report, silent
from ..records import DataError, few
from .judge import Found, Judge, judgments, not_asked
from .policy import ONCE, Policy
from .repairing import check_policy, repair
from .store import JudgmentStore
from .tasks import (
    Decoding,
    Task,
    batches,
    check_texts,
    note_asked,
    places_of,
    task_keys,
    task_question,
    temperature_of,
)


def collect(
    judge: Judge,
    tasks: Iterable[Task],
    store: JudgmentStore,
    decoding: Decoding,
    report: Report = silent,
    policy: Policy | str = ONCE,
    skip_long: bool = False,
) -> int:
    """Judge what the store does not hold yet; return the number of judgments added.

    With `skip_long`, prompts that do not fit are recorded as such, counted and named; without it they are a DataError.
    Those recorded so are asked once the judge has room for them.

    Batches are cut from the full list of tasks and seeded by their prompts, so a run that was killed and started again
    ends with the same judgments as one that was not, and two equal models give equal judgments.

    Raises DataError when two tasks ask for the same item in the same way, and what the judge's own check raises. Warns
    of draws that can only repeat the first one.

    >>> import tempfile
    >>> from prometheus_lib import judging
    >>> from prometheus_lib.data import minibench
    >>> tasks = judging.pairwise_tasks("mini_autoj_eval", minibench.build("mini_autoj_eval", 1, 0.1)[:4])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = judging.JudgmentStore(f"{folder}/longer.jsonl")
    ...     [judging.collect(judging.TrivialJudge("longer"), tasks, store, judging.Decoding()) for _ in range(2)]
    [4, 0]
    """
    if not isinstance(judge, Judge):
        raise TypeError(f"{type(judge).__name__} is no judge: make it a subclass of judging.Judge.")
    tasks, policy = list(tasks), policy if isinstance(policy, Policy) else Policy(policy)
    _check_distinct(tasks)
    check_texts(tasks)
    check_policy(judge, tasks, decoding, policy)
    _warn_of_equal_draws(judge, tasks, decoding)
    judge.settle(store.fingerprints)
    keys = [task_keys(task, judge.fingerprint, decoding) for task in tasks]
    note_asked(judge.name, judge.fingerprint, tasks, store, decoding, keys)
    missing = _missing(judge, tasks, keys, store, decoding)
    report(sum(task.draws for task in tasks) - sum(task.draws for task in missing))
    added, asked_as = 0, judge.fingerprint
    if missing:
        long = set(judge.too_long(tasks, decoding)) if skip_long else set()
        added = _leave_out(judge, [task for task in missing if task in long], store, decoding)
        report(added)
        missing = [task for task in missing if task not in long]
        judge.check(missing, decoding)
        added += _ask(judge, [task for task in tasks if task not in long], set(missing), store, decoding, report)
    if judge.fingerprint != asked_as:  # an API judge that had to ask in another form
        note_asked(judge.name, judge.fingerprint, tasks, store, decoding)
    return added + repair(judge, tasks, store, decoding, policy)


def _missing(
    judge: Judge, tasks: Sequence[Task], keys: Sequence[Sequence[str]], store: JudgmentStore, decoding: Decoding
) -> list[Task]:
    """The tasks with draws to come: not recorded, or recorded as too long by a judge that had less room."""
    places = {id(task): places_of(task, own) for task, own in zip(tasks, keys)}
    unasked = [task for task in tasks if not store.unasked.isdisjoint(places[id(task)])]
    fitting = {id(task) for task in unasked} - {id(task) for task in judge.too_long(unasked, decoding)}
    return [task for task in tasks if id(task) in fitting or not store.places.issuperset(places[id(task)])]


def _leave_out(judge: Judge, tasks: Sequence[Task], store: JudgmentStore, decoding: Decoding) -> int:
    """Record tasks whose prompts do not fit and say which; return the judgments added."""
    if not tasks:
        return 0
    names = [f"{task.benchmark}/{task.item_id}" for task in tasks]
    warnings.warn(
        f"judge {judge.name!r}: {len(tasks)} prompts leave no room for an answer and are not asked: {few(names)}; "
        'they are recorded as "too long".',
        stacklevel=3,
    )
    return store.append(
        [row for task in tasks for row in not_asked(judge, task, task_keys(task, judge.fingerprint, decoding))]
    )


def _check_distinct(tasks: Sequence[Task]) -> None:
    seen = Counter((*task_question(task), task.temperature) for task in tasks)
    if twice := [f"{place[0]}/{place[1]}" for place, count in seen.items() if count > 1]:
        raise DataError(f"{len(twice)} items are asked for more than once: {few(twice)}; give every item its own id.")


def _warn_of_equal_draws(judge: Judge, tasks: Sequence[Task], decoding: Decoding) -> None:
    equal = [task for task in tasks if task.draws > 1 and task.settings(decoding).greedy]
    if equal and judge.samples:
        warnings.warn(
            f"judge {judge.name!r}: {len(equal)} tasks are drawn {equal[0].draws} times at temperature 0, where every "
            "draw is the first one again; draw once, or choose a higher temperature.",
            stacklevel=3,
        )


def _ask(
    judge: Judge, tasks: Sequence[Task], missing: set[Task], store: JudgmentStore, decoding: Decoding, report: Report
) -> int:
    """Ask for what is missing; prompts with a shared opening one after the other. Return the judgments added."""
    added = 0
    ordered = sorted(_together(judge, tasks, missing), key=lambda t: (temperature_of(t), t.format, t.prompt))
    for _, alike in groupby(ordered, temperature_of):
        asked = list(alike)
        # Closed at once when something stops the run: an API judge then sends nothing more.
        with closing(judge.stream(asked, asked[0].settings(decoding), decoding.seed)) as arriving:
            for found in _whatever_stops(arriving, judge.stored_together):
                added += _store(judge, asked, found, store, decoding)
                report(*_progress(asked, found, missing))
    return added


def _together(judge: Judge, tasks: Sequence[Task], missing: set[Task]) -> list[Task]:
    """Return the missing tasks, and what shares a batch with them where that decides what is drawn."""
    if not judge.in_batches:
        return [task for task in tasks if task in missing]
    return [task for batch in batches(tasks, judge.batch_size) if not missing.isdisjoint(batch) for task in batch]


def _whatever_stops(arriving: Iterator[Found], count: int) -> Iterator[Found]:
    """Gather answers of at least `count` tasks; what has arrived when a judge fails or is stopped is yielded first."""
    waiting: Found = []
    stopped: BaseException | None = None
    while stopped is None:
        try:
            waiting += next(arriving)
        except BaseException as error:
            stopped = error
        if waiting and (stopped or len(waiting) >= count):
            yield waiting
            waiting = []
    if not isinstance(stopped, StopIteration):
        raise stopped


def _store(judge: Judge, asked: Sequence[Task], found: Found, store: JudgmentStore, decoding: Decoding) -> int:
    rows = []
    for place, draws in found:
        task = asked[place]
        rows += judgments(judge, task, task_keys(task, judge.fingerprint, decoding), draws)
    return store.append(rows)


def _progress(asked: Sequence[Task], found: Found, missing: set[Task]) -> tuple[int, int]:
    """Return how many judgments that were missing have arrived, and how many tokens were generated."""
    done = sum(len(draws) for place, draws in found if asked[place] in missing)
    return done, sum(completion.tokens for _, draws in found for completion in draws)
