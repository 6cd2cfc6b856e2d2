"""Judges without a model: constant, random, longer wins, closer to the reference answer.

They go through `collect` like any other, so every table and analysis that reads judgments treats them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ... import artifacts
from ...data import baselines
from ...prompts.wording import shown
from ...records import DataError, DirectItem, PairItem
from ..answers import Completion
from ..judge import Judge
from ..tasks import Decoding, Task

# name: (direct assessment, pairwise ranking), from `baselines`; None where it would give no score from 1 to 5.
TRIVIAL: dict[str, tuple[str | None, str]] = {
    "constant": ("constant score", "always A"),
    "random": ("random score", "random"),
    "longer": (None, "longer wins"),
    "closer": (None, "closer to reference"),
}


class TrivialJudge(Judge):
    """One of the trivial judges of `baselines` (constant, random, longer, closer); it reads no label and no rubric.

    It decides on the responses as they are shown, so "constant" always prefers the first. Only "random" draws: its
    draws depend on the item's id, the order and the number of the draw, and the first in item order is the one that
    `baselines` gives.

    >>> from prometheus_lib import judging
    >>> from prometheus_lib.records import PairItem
    >>> tasks = judging.pairwise_tasks("mine", [PairItem("x", "Greet.", "Hi.", "Good morning.", None, "Is it kind?")])
    >>> TrivialJudge("longer").generate(tasks, judging.Decoding(), 0)[0][0].decision
    'B'
    """

    engine, in_batches, samples, batch_size = "trivial", False, False, 10_000

    def __init__(self, kind: str, name: str | None = None, seed: int = 0):
        if kind not in TRIVIAL:
            raise DataError(f"unknown trivial judge {kind!r}; choose one of {', '.join(TRIVIAL)}.")
        self.kind, self.seed, self.name = kind, seed, name or kind
        self.fingerprint = artifacts.text_hash("trivial", kind, seed)

    @classmethod
    def start(cls, name: str, source: str | Path, batch_size: int, bf16: bool = False) -> Judge:
        """Make the trivial judge whose kind is `source`."""
        return cls(str(source), name)

    @classmethod
    def identify(cls, source: str | Path, bf16: bool = False) -> tuple[str, ...]:
        """Return the fingerprint of the trivial judge whose kind is `source`."""
        return (cls(str(source)).fingerprint,)

    def check(self, tasks: Sequence[Task], decoding: Decoding) -> None:
        """Raise DataError for a format that this judge cannot answer."""
        if any(task.format == "direct" for task in tasks) and TRIVIAL[self.kind][0] is None:
            raise DataError(
                f"trivial judge {self.kind!r} gives no score from 1 to 5; ask it for pairwise ranking only."
            )

    def generate(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> list[list[Completion]]:
        """Decide every task; `decoding` and `seed` change nothing."""
        self.check(tasks, decoding)
        return [[self._completion(task, draw) for draw in range(task.draws)] for task in tasks]

    def _completion(self, task: Task, draw: int) -> Completion:
        direct, pairwise = TRIVIAL[self.kind]
        known: Mapping[str, Callable[..., list]] = (
            baselines.DIRECT_BASELINES if task.format == "direct" else baselines.PAIR_BASELINES
        )
        decide = known[direct if task.format == "direct" else pairwise]
        seeded = {"seed": self.seed + 2 * draw + (task.order == "ba")} if self.kind == "random" else {}
        decision = decide([_as_shown(task)], **seeded)[0]
        text = "no reference answer to compare with" if decision is None else f"{self.kind}: {decision}"
        return Completion(text, 0, True, decision)


def _as_shown(task: Task) -> DirectItem | PairItem:
    """Return the item with its responses in the order shown; DataError when the task does not carry its item."""
    if task.item is None:
        raise DataError(f"task {task.benchmark}/{task.item_id} does not carry its item; make tasks with `tasks_for`.")
    if task.format == "direct":
        return task.item
    first, second = shown(task.item, task.order)
    return replace(task.item, response_a=first, response_b=second)
