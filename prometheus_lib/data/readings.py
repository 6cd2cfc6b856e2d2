"""One pair of responses under one rubric, as an expert of the miniature world would judge it in both formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from . import miniworld
from .miniworld import Answer, Task


class Reading(NamedTuple):
    """What both formats say of one pair under one rubric: feedback and score of each response, feedback and choice.

    `better` is "A", "B" or "tie".
    """

    details: tuple[str, ...]
    feedback_a: str
    score_a: int
    feedback_b: str
    score_b: int
    comparison: str
    better: str


def true_reading(task: Task, a: Answer, b: Answer, details: Sequence[str]) -> Reading:
    """Return what an expert writes and decides who errs nowhere, when the rubric asks for `details`.

    >>> family = next(miniworld.families(seed=1, count=1))
    >>> reading = true_reading(family.task, family.answers[1], family.answers[3], family.details)
    >>> reading.score_a, reading.score_b, reading.better
    (2, 4, 'B')
    """
    verdicts = {
        detail: tuple(answer.values[detail] == task.facts[detail] for answer in (a, b)) for detail in details
    }  # fmt: skip
    feedback = [
        miniworld.direct_feedback(task, answer, {detail: right[side] for detail, right in verdicts.items()})
        for side, answer in enumerate((a, b))
    ]
    scores = [miniworld.true_score(task, answer, details) for answer in (a, b)]
    better = "tie" if scores[0] == scores[1] else "AB"[scores[1] > scores[0]]
    comparison = miniworld.pair_feedback(task, a, b, verdicts)
    return Reading(tuple(details), feedback[0], scores[0], feedback[1], scores[1], comparison, better)
