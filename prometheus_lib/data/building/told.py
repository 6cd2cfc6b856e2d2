"""What the rule "the writer is told the decision" does, in the miniature world, where the truth is known.

Appendix H tells the writer which response is better. Where the grades are wrong, the writer argues for a wrong
decision: in the miniature its feedback then swaps the verdicts of A and B on every detail, as fluently as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import miniworld
from ..collections import feedback_row
from ..miniworld import Domain, Family
from .pairing import pair_up
from .schema import Row

SWAPPED = {"A": "B", "B": "A"}


@dataclass(frozen=True)
class WrongDecisions:
    """How often the decision told is wrong, and whether the feedback argues for it or says what is there."""

    share: float = 0.0
    argued: bool = True


def told_rows(seed: int, instructions: int, wrong: WrongDecisions, domain: Domain = miniworld.SEEN) -> list[Row]:
    """Return ten pairs per instruction, some with a wrong decision; the same pairs are wrong at every larger share.

    >>> rows = told_rows(1, 2, WrongDecisions(0.5))
    >>> len(rows), len(told_rows(1, 2, WrongDecisions(0.0)))
    (20, 20)
    """
    families = list(miniworld.families(seed, instructions, domain))
    rows, _ = pair_up([row for family in families for row in _graded(family)], seed)
    known = {miniworld.instruction_text(family.task): family for family in families}
    return [_told(row, known[row["orig_instruction"]], wrong, seed) for row in rows]


def _graded(family: Family) -> list[Row]:
    return [feedback_row(family, answer.text, "graded", score) for score, answer in enumerate(family.answers, start=1)]


def _told(row: Row, family: Family, wrong: WrongDecisions, seed: int) -> Row:
    answers = {answer.text: answer for answer in family.answers}
    a, b = (answers[row[f"orig_response_{side}"]] for side in "AB")
    right = {d: tuple(x.values[d] == family.task.facts[d] for x in (a, b)) for d in family.details}
    is_wrong = miniworld.rng_for("told", seed, row["id"]).random() < wrong.share
    if is_wrong and wrong.argued:
        right = {detail: verdicts[::-1] for detail, verdicts in right.items()}
    preference = SWAPPED[row["orig_preference"]] if is_wrong else row["orig_preference"]
    feedback = miniworld.pair_feedback(family.task, a, b, right)
    return {**row, "orig_feedback": feedback, "orig_preference": preference}


def miniature_conclusion(feedback: str) -> str | None:
    """Return what a feedback of the miniature argues for: its sentences count details, and none names a winner.

    >>> miniature_conclusion("On the size, A says big and B says tiny; asked for is large, so only A is right.")
    'A'
    """
    lead = feedback.count("only A is right") - feedback.count("only B is right")
    return None if not lead else "A" if lead > 0 else "B"


def right_decisions(decisions: Sequence[Any], rows: Sequence[Row]) -> list[float]:
    """Return 1.0 for every decision that follows the grades of its row, else 0.0 (also for one that is missing)."""
    return [
        float(decision == ("A" if float(row["orig_score_A"]) > float(row["orig_score_B"]) else "B"))
        for decision, row in zip(decisions, rows, strict=True)
    ]
