"""The two training collections: Feedback (direct assessment) and Preference (pairwise ranking), paper section 3.3.

Rows carry the field names of the published data sets (`orig_instruction`, `orig_criteria`, `orig_score`, ...). A row
becomes a training example through the same renderer that judges use, so a judge never sees a prompt it was not
trained on.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import prompts
from ..records import SCORES, DataError, DirectItem, PairItem, Rubric
from . import miniworld
from .miniworld import Domain, Family, Noise

FEEDBACK_FIELDS = (
    "orig_instruction", "orig_response", "orig_reference_answer", "orig_criteria",
    *(f"orig_score{score}_description" for score in SCORES), "orig_feedback", "orig_score",
)  # fmt: skip
PREFERENCE_FIELDS = (
    "orig_instruction", "orig_response_A", "orig_response_B", "orig_reference_answer", "orig_criteria",
    "orig_feedback", "orig_preference",
)  # fmt: skip
CHECKLIST_FIELDS = (*FEEDBACK_FIELDS, "orig_marks")


@dataclass(frozen=True)
class Example:
    """One training example: format ("direct", "pairwise" or "checklist"), rendered user prompt and the answer to learn.

    >>> pairwise_example(preference_rows(seed=1, instructions=1)[0]).format
    'pairwise'
    """

    format: str
    prompt: str
    completion: str


# --- the miniature Feedback Collection -------------------------------------------------------------------------------


def feedback_rows(seed: int, instructions: int, domain: Domain = miniworld.SEEN) -> list[dict[str, str]]:
    """Return five graded rows per instruction in the Feedback Collection's field names.

    >>> [row["orig_score"] for row in feedback_rows(seed=1, instructions=1)]
    ['1', '2', '3', '4', '5']
    """
    rng = miniworld.rng_for("feedback", seed)
    families = miniworld.families(seed, instructions, domain)
    return [row for family in families for row in _feedback_family(rng, family)]


def _feedback_family(rng: random.Random, family: Family) -> list[dict[str, str]]:
    rows = []
    for answer in family.answers:
        feedback, score = miniworld.judge_direct(rng, family.task, answer, family.details, Noise())
        rows.append(feedback_row(family, answer.text, feedback, score))
    return rows


def feedback_row(family: Family, response: str, feedback: str, score: int) -> dict[str, str]:
    """Assemble one Feedback Collection row (note that `orig_score` is a string there)."""
    descriptions = {f"orig_score{n}_description": text for n, text in enumerate(family.rubric.descriptions, start=1)}
    return {
        "orig_instruction": miniworld.instruction_text(family.task),
        "orig_response": response,
        "orig_reference_answer": family.reference,
        "orig_criteria": family.rubric.criteria,
        **descriptions,
        "orig_feedback": feedback,
        "orig_score": str(score),
    }


# --- the miniature Preference Collection -----------------------------------------------------------------------------


def preference_rows(seed: int, instructions: int, domain: Domain = miniworld.SEEN) -> list[dict[str, str]]:
    """Return ten rows per instruction: every pair of its five graded responses, half of them with B as the better.

    >>> rows = preference_rows(seed=1, instructions=1)
    >>> len(rows), sum(row["orig_preference"] == "A" for row in rows)
    (10, 5)
    """
    rng = miniworld.rng_for("preference", seed)
    families = miniworld.families(seed, instructions, domain)
    return [row for family in families for row in _preference_family(rng, family)]


def pair_orders(rng: random.Random, pairs: int) -> list[bool]:
    """Return, for each pair, whether the better response is shown as A: exactly half are (rounded down).

    >>> sum(pair_orders(random.Random(1), pairs=10))
    5
    """
    orders = [number % 2 == 0 for number in range(pairs)]
    rng.shuffle(orders)
    return orders


def response_pairs(count: int = 5) -> list[tuple[int, int]]:
    """Return the (worse, better) index pairs of responses graded 1..count: ten pairs for five responses.

    >>> response_pairs(3)
    [(0, 1), (0, 2), (1, 2)]
    """
    return [(worse, better) for better in range(count) for worse in range(better)]


def _preference_family(rng: random.Random, family: Family) -> list[dict[str, str]]:
    pairs = response_pairs(len(family.answers))
    rows = []
    for (worse, better), better_first in zip(pairs, pair_orders(rng, len(pairs)), strict=True):
        a, b = (better, worse) if better_first else (worse, better)
        rows.append(_preference_row(rng, family, family.answers[a], family.answers[b]))
    return rows


def _preference_row(rng: random.Random, family: Family, a: miniworld.Answer, b: miniworld.Answer) -> dict[str, str]:
    feedback, preference = miniworld.judge_pair(rng, family.task, a, b, family.details, Noise())
    return {
        "orig_instruction": miniworld.instruction_text(family.task),
        "orig_response_A": a.text,
        "orig_response_B": b.text,
        "orig_reference_answer": family.reference,
        "orig_criteria": family.rubric.criteria,
        "orig_feedback": feedback,
        "orig_preference": preference,
    }


# --- from rows to items and examples ---------------------------------------------------------------------------------


def check_rows(rows: Sequence[dict[str, Any]], fields: Sequence[str], where: str) -> None:
    """Raise DataError naming the file, the row and the missing fields.

    >>> check_rows([{"orig_score": "3"}], ["orig_score", "orig_feedback"], "rows.jsonl")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    prometheus_lib.records.DataError: rows.jsonl, row 1: fields ['orig_feedback'] are missing; ...
    """
    for number, row in enumerate(rows, start=1):
        missing = [field for field in fields if field not in row]
        if missing:
            raise DataError(f"{where}, row {number}: fields {missing} are missing; see the collection's data card.")


def direct_item(row: dict[str, Any], id: str = "", **more: Any) -> DirectItem:
    """Turn a Feedback Collection row into a direct item.

    >>> row = feedback_rows(seed=1, instructions=1)[0]
    >>> item = direct_item(row, id="first")
    >>> item.id, item.response == row["orig_response"], len(item.rubric.descriptions)
    ('first', True, 5)
    """
    rubric = Rubric(row["orig_criteria"], tuple(row[f"orig_score{score}_description"] for score in SCORES))
    return DirectItem(
        id, row["orig_instruction"], row["orig_response"], row.get("orig_reference_answer"), rubric, **more
    )


def pair_item(row: dict[str, Any], id: str = "", **more: Any) -> PairItem:
    """Turn a Preference Collection row into a pair item labelled with its preference.

    >>> row = preference_rows(seed=1, instructions=1)[0]
    >>> pair_item(row, id="first").label == row["orig_preference"]
    True
    """
    return PairItem(
        id,
        row["orig_instruction"],
        row["orig_response_A"],
        row["orig_response_B"],
        row.get("orig_reference_answer"),
        row["orig_criteria"],
        row["orig_preference"],
        **more,
    )


def answer_text(feedback: str, decision: str | int) -> str:
    """Return the text a judge learns to write: feedback, then the decision behind "[RESULT]"."""
    return f"{feedback} [RESULT] {decision}"


def checklist_example(row: dict[str, Any], with_reference: bool = True) -> Example:
    """Render a Feedback Collection row with marks (`orig_marks`: "yes no yes yes") for training in a third format.

    >>> row = feedback_rows(seed=1, instructions=1)[4] | {"orig_marks": "yes yes yes yes"}
    >>> checklist_example(row).completion.endswith("[RESULT] yes yes yes yes")
    True
    """
    prompt = prompts.render_checklist(direct_item(row), with_reference)
    return Example("checklist", prompt, answer_text(row["orig_feedback"], row["orig_marks"]))


def direct_example(row: dict[str, Any], with_reference: bool = True) -> Example:
    """Render a Feedback Collection row for training.

    >>> row = feedback_rows(seed=1, instructions=1)[4]
    >>> direct_example(row).completion.endswith("[RESULT] 5")
    True
    """
    prompt = prompts.render_direct(direct_item(row), with_reference)
    return Example("direct", prompt, answer_text(row["orig_feedback"], row["orig_score"]))


def pairwise_example(row: dict[str, Any], with_reference: bool = False) -> Example:
    """Render a Preference Collection row for training.

    >>> row = preference_rows(seed=1, instructions=1)[0]
    >>> pairwise_example(row).completion.endswith("[RESULT] " + row["orig_preference"])
    True
    """
    prompt = prompts.render_pairwise(pair_item(row), with_reference)
    return Example("pairwise", prompt, answer_text(row["orig_feedback"], row["orig_preference"]))


# --- the base model's schooling --------------------------------------------------------------------------------------


def school_examples(seed: int, count: int, noise: Noise, domain: Domain = miniworld.SCHOOL) -> list[Example]:
    """Return `count` judgments in both formats by writers who slip as `noise` says, about the school's own objects.

    They stand in for the judging that any instruction-tuned model has met: it knows both formats. Direct assessment
    comes with the reference answer four times out of five.
    """
    return [_school_example(miniworld.rng_for("base", seed, number), noise, domain) for number in range(count)]


def _school_example(rng: random.Random, noise: Noise, domain: Domain) -> Example:
    details = rng.sample(rng.choice(domain.combinations), miniworld.DETAILS_PER_RUBRIC)
    task = miniworld.draw_task(rng, domain, details)
    rubric = miniworld.draw_rubric(rng, details)
    family = Family(task, tuple(details), rubric, miniworld.statement(rng, task.noun, task.facts, "plain"))
    a, b = (miniworld.graded_answer(rng, task, domain, details, rng.randint(1, 5)) for _ in range(2))
    if rng.random() < 0.5:
        feedback, score = miniworld.judge_direct(rng, task, a, details, noise)
        return direct_example(feedback_row(family, a.text, feedback, score), rng.random() < 0.8)
    feedback, choice = miniworld.judge_pair(rng, task, a, b, details, noise)
    row = _preference_row(rng, family, a, b) | {"orig_feedback": feedback, "orig_preference": choice}
    return pairwise_example(row)


def shuffled(examples: Iterable[Example], seed: int) -> list[Example]:
    """Return the examples in a seeded random order."""
    examples = list(examples)
    random.Random(seed).shuffle(examples)
    return examples
