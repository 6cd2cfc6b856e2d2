"""Exercises of the first notebook: one item, its prompt, and the decision behind the marker."""

from __future__ import annotations

from ..data import miniworld
from .checking import Case, Function, Value

WARM_UP = Value(
    0.008,
    "all three draws have to fail",
    {
        0.512: "That is the share in which all three parse.",
        0.2: "That is one draw; all three have to fail.",
        0.992: "That is the share that has a decision.",
        0.6: "Chances of failing three times are multiplied, not added.",
    },
)

BUILD = Function(
    [
        Case(("Three details are right. [RESULT] 4",), 4, "The score stands behind the marker, as a whole number."),
        Case(("A 5 needs all four. One is wrong. [RESULT] 4",), 4, "A number in the feedback is no decision."),
        Case(("It claims [RESULT] 5. Not so. [RESULT] 1",), 1, "The last marker decides: a response may quote one."),
        Case(("Good. [RESULT] 4/5",), 4, "4 of 5 leaves no doubt."),
        Case(("Good. [RESULT] 8/10",), None, "Another scale: no decision, and no 8 or 1 either."),
        Case(("Good. [RESULT] 7",), None, "7 is not on the scale from 1 to 5."),
        Case(("Good. [RESULT] 3 or 4",), None, "Two scores are no decision."),
        Case(("Good, so the score is 4.",), None, "Without a marker there is no decision."),
        Case(("Good. [RESULT]",), None, "Nothing stands behind the marker."),
        Case(("",), None, "An empty text has no decision."),
    ]
)


def _judged() -> list[Case]:
    """Return responses to be scored, those that tell likely mistakes apart first."""
    found = []
    for family in miniworld.families(seed=11, count=12):
        for score, answer in enumerate(family.answers, 1):
            asked = (family.rubric.criteria, family.reference, answer.text)
            everyday = [answer.words[d] for d in family.details if answer.words[d] != answer.values[d]]
            all_right = 1 + sum(answer.values[d] == fact for d, fact in family.task.facts.items())
            why = "Only the details that the criteria name count, and a score begins at 1."
            if everyday:
                why = (
                    f"A response may use an everyday word (here {everyday[0]!r}): VALUES of data.miniworld lists them."
                )
            found.append((bool(everyday), all_right == score, Case(asked, score, why)))
    return [case for *_, case in sorted(found, key=lambda row: row[:2])]


PROJECT = Function(_judged())
