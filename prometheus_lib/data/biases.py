"""What a study of judges' biases asks beyond the benchmarks: pairs in the other order, responses under another rubric.

A judge that looks at the responses decides alike in both orders. A judge that reads the rubric changes its score with
it: the miniature world knows the true score under any rubric; elsewhere, responses that were rated under several
rubrics serve (FLASK's skills). `table_biases` has the results, and those on length, which need no further judgments.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

from ..records import DataError, DirectItem, Rubric
from . import miniworld
from .attacks import first_by_hash

Couple = tuple[DirectItem, DirectItem]  # one response under two rubrics
POSITION_SOURCE, RUBRIC_SOURCE = "hhh_alignment", "flask"
RUBRICS = "rubrics"  # the benchmark name of judgments under a rubric that is in no benchmark
RESPONSES = 30  # judged under another rubric


def rubric_couples(items: Sequence[DirectItem], share: float = 1.0) -> list[Couple]:
    """Choose responses and return each under its own and under another rubric; none where no other is known.

    `share` is that of the benchmarks that is judged; four responses at least.
    """
    count = max(4, round(RESPONSES * share))
    if items and "true_score" in items[0].meta:
        return [(item, other_rubric(item)) for item in first_by_hash(items, count)]
    groups: dict[tuple[str, str], list[DirectItem]] = {}
    for item in items:
        groups.setdefault((item.instruction, item.response), []).append(item)
    several = {group[0].id: group for group in groups.values() if len({item.rubric for item in group}) > 1}
    return [_two_rubrics(several[item.id]) for item in first_by_hash([group[0] for group in several.values()], count)]


def _two_rubrics(group: Sequence[DirectItem]) -> Couple:
    return group[0], next(item for item in group if item.rubric != group[0].rubric)


# --- another rubric in the miniature world ---------------------------------------------------------------------------


def other_rubric(item: DirectItem) -> DirectItem:
    """Return a miniature item under another rubric of its task, with the true score there.

    The other rubric asks about both facts that the own one leaves out, and about two of its four: those that change the
    true score the most (the choice is made from the texts, before any judge). Raises DataError for another item's text.
    """
    asked, stated = facts(item.reference_answer or ""), facts(item.response)
    right = {attribute: stated.get(attribute) == value for attribute, value in asked.items()}
    own = miniworld.details_of(item.rubric)
    outside = [attribute for attribute in asked if attribute not in own]
    before = sum(right[a] for a in own)
    choices = [(*outside, *kept) for kept in itertools.combinations(own, len(own) - len(outside))]
    details = max(choices, key=lambda choice: abs(sum(right[a] for a in choice) - before))
    opening = item.rubric.criteria[: item.rubric.criteria.index(own[0])]
    rubric = Rubric(f"{opening}{', '.join(details)}?", item.rubric.descriptions)
    meta = {"true_score": 1 + sum(right[a] for a in details)}
    return replace(item, id=f"{RUBRICS}/{item.id}", rubric=rubric, scores={}, meta=meta)


def facts(response: str) -> dict[str, str]:
    """Read the plain value that a miniature response states for each attribute; DataError for any other text."""
    for opening, leads in miniworld.STYLES.values():
        if response.startswith(opening):
            found = {name: re.search(rf"{re.escape(lead)} (\w+)", response) for name, lead in leads.items()}
            return {name: _plain_value(name, match[1]) for name, match in found.items() if match}
    raise DataError(f"not a response of the miniature world: {response[:60]!r}; give items of a miniature benchmark.")


def _plain_value(attribute: str, word: str) -> str:
    """Return the plain word for a word; one that the world does not know stands for itself, and is wrong."""
    return next((value for value, words in miniworld.VALUES[attribute].items() if word in (value, *words)), word)
