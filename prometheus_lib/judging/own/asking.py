"""Asking: what will be asked and at what cost is said first, then what is not stored yet is collected."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from ... import artifacts
from ...prompts.templates import PROMETHEUS
from ..collecting import collect
from ..engines import LOCAL_ENGINES, APIJudge
from ..engines.api_usage import Prices
from ..reading import judgments_of
from ..store import JudgmentStore
from ..tasks import Task, task_places, tasks_for
from .named import Named
from .reading import Own

Say = Callable[[str], None]
FOLDER = Path("my-outputs", "own", "judgments")
ANSWER_TOKENS = 300  # about as long as feedback is, for the cost of an API
PROBE = 8  # tokens that are generated to see how fast a model is


def direct_tasks_of(named: Named, own: Own, draws: int) -> list[Task]:
    """Return one task per item and criterion; a reference answer is shown where an item has one."""
    template = getattr(named.judge, "template", PROMETHEUS)
    return [
        task
        for criterion in own.criteria
        for task in tasks_for(
            template, criterion.name, own.items_for(criterion), "direct", with_reference="available", draws=draws
        )
    ]


def pair_tasks_of(named: Named, own: Own, draws: int) -> list[Task]:
    """Return two tasks per pair and criterion, one for each order of the responses."""
    template = getattr(named.judge, "template", PROMETHEUS)
    return [
        task
        for criterion in own.criteria
        for order in ("ab", "ba")
        for task in tasks_for(template, criterion.name, own.items_for(criterion), "pairwise", order=order, draws=draws)
    ]


def ask(
    named: Named, tasks: Sequence[Task], folder: str | Path | None, say: Say, prices: Prices | None = None
) -> pd.DataFrame:
    """Return all judgments of the tasks; asked is only what the judge's file in the folder does not hold yet.

    A run that was stopped goes on from there, and what was judged once is never judged again.
    """
    place = Path(folder) if folder else artifacts.project_folder() / FOLDER
    store = JudgmentStore(place / f"{named.judge.name.replace('/', '-').replace(':', '-')}.jsonl")
    named.judge.settle(store.fingerprints)
    missing = [task for task in tasks if not store.places.issuperset(_places(named, task))]
    say(_announcement(named, tasks, missing, prices))
    with tqdm(total=sum(task.draws for task in tasks), unit="judgment", disable=None if missing else True) as bar:
        collect(named.judge, tasks, store, named.decoding, lambda done, tokens=0: bar.update(done) and None)
    return judgments_of(named.judge, tasks, store, named.decoding)


def _places(named: Named, task: Task) -> list[tuple[str, str, str]]:
    return task_places(task, named.judge.fingerprint, named.decoding)


def _announcement(named: Named, tasks: Sequence[Task], missing: Sequence[Task], prices: Prices | None) -> str:
    count, left = (sum(task.draws for task in some) for some in (tasks, missing))
    start = f"{named.label}: {count:,} judgments, of which {count - left:,} are stored already"
    if not missing:
        return f"{start}; nothing is asked."
    if isinstance(named.judge, APIJudge):
        return f"{start}; {_price(named.judge, named, missing, prices)}"
    if named.judge.engine in LOCAL_ENGINES:
        return f"{start}; at most about {_duration(_seconds(named, missing))}."
    return f"{start}."


def _price(judge: APIJudge, named: Named, missing: Sequence[Task], prices: Prices | None) -> str:
    found = judge.estimate(missing, named.decoding, prices, ANSWER_TOKENS)
    cost = (
        f"about {found.cost:.2f} in the currency of the prices" if prices else "give prices=Prices(...) to see the cost"
    )
    return (
        f"about {found.requests:,} requests with {found.prompt_tokens:,} tokens, and {found.completion_tokens:,} "
        f"tokens of answers ({cost}), {judge.settings.requests_at_once} at a time."
    )


def _seconds(named: Named, missing: Sequence[Task]) -> float:
    """How long it takes at most: every answer as long as may be, one after the other, at the speed of a short one."""
    (probe,) = [replace(max(missing, key=lambda task: len(task.prompt)), draws=1)]
    named.judge.check(missing, named.decoding)
    seconds = []
    for tokens in (1, 1 + PROBE):  # the first call also warms up
        start = time.perf_counter()
        named.judge.generate([probe], replace(named.decoding, max_new_tokens=tokens), 0)
        seconds.append(time.perf_counter() - start)
    # Sequences of a batch share each step of the model, in part: half of what they would take one by one.
    each = seconds[1] * (1 + named.decoding.max_new_tokens) / (1 + PROBE)
    return each * sum(task.draws for task in missing) / 2


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds))} seconds" if seconds < 90 else f"{round(seconds / 60)} minutes"
