"""Trivial judges: the floor under every table, and one row above it.

Each is a pure function from items to one decision per item, in item order, and none of them reads a label: a
judge that does not beat them shows nothing that length, position or word overlap would not give. `None` is
"no decision". Only `other_answers_mean` reads scores, of *other* items, and so is no judge (see there).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from statistics import mean

from ..records import DirectItem, PairItem, Rubric


def constant_score(items: list[DirectItem], score: int = 3) -> list[int]:
    """Give every response the same score: its agreement comes from the distribution of the labels alone."""
    return [score] * len(items)


def random_score(items: list[DirectItem], seed: int = 0) -> list[int]:
    """Give each response a score from 1 to 5 drawn from a hash of its id, so a subset keeps its draws."""
    return [1 + _draw(item.id, seed) % 5 for item in items]


def length_score(items: list[DirectItem]) -> list[int]:
    """Score each response by its length (see `text_length`); not a 1-5 score, so for correlations only."""
    return [text_length(item.response) for item in items]


def reference_similarity(items: list[DirectItem]) -> list[float | None]:
    """Score a response by its word overlap with the reference answer, 0 to 1; None where there is none."""
    return [_overlap_or_none(item.response, item.reference_answer) for item in items]


def always_a(items: list[PairItem]) -> list[str]:
    """Prefer the first response of every pair: on a balanced benchmark, one half."""
    return ["A"] * len(items)


def random_pair(items: list[PairItem], seed: int = 0) -> list[str]:
    """Prefer A or B by a hash of the item's id."""
    return ["AB"[_draw(item.id, seed) % 2] for item in items]


def longer_wins(items: list[PairItem]) -> list[str]:
    """Prefer the longer response (see `text_length`); equal lengths give "tie", wrong where no label is."""
    return [_larger(text_length(item.response_a), text_length(item.response_b)) for item in items]


def more_similar_to_reference(items: list[PairItem]) -> list[str | None]:
    """Prefer the response with more word overlap with the reference answer; None where there is none."""
    decisions = []
    for item in items:
        overlaps = [_overlap_or_none(text, item.reference_answer) for text in (item.response_a, item.response_b)]
        decisions.append(None if None in overlaps else _larger(*overlaps))
    return decisions


def other_answers_mean(items: list[DirectItem], rater: str) -> list[float | None]:
    """Return the mean score `rater` gave to the *other* answers to an item's prompt (its cluster), per item.

    Not a judge: it never sees the response and still correlates about 0.65 (Pearson) with GPT-4 on MT-Bench,
    because some prompts are hard for everyone: so much of a correlation is the prompt, not the answer.
    None where the prompt has no other scored answer.
    """
    means = [mean(item.scores[rater]) if item.scores.get(rater) else None for item in items]
    scored = [(item.cluster, value) for item, value in zip(items, means, strict=True) if value is not None]
    totals, counts = Counter(), Counter(cluster for cluster, _ in scored)
    for cluster, value in scored:
        totals[cluster] += value
    result = []
    for item, own in zip(items, means, strict=True):
        others = counts[item.cluster] - (own is not None)
        result.append((totals[item.cluster] - (own or 0)) / others if others else None)
    return result


def pair_sides(items: list[PairItem], rules: Sequence[Callable[[list[DirectItem]], list]]) -> tuple[list, list]:
    """Score both responses of each pair by direct rules, one rule per draw: two lists (items, draws), A and B.

    The responses have the ids "<id>#a" and "<id>#b", as in judgment files.
    """
    a, b = ([_side(item, side) for item in items] for side in "ab")
    return tuple([list(draws) for draws in zip(*(rule(side) for rule in rules))] for side in (a, b))


def _side(item: PairItem, side: str) -> DirectItem:
    rubric = item.rubric or Rubric(item.criteria, ("",) * 5)  # no trivial judge reads it
    response = item.response_a if side == "a" else item.response_b
    return DirectItem(f"{item.id}#{side}", item.instruction, response, item.reference_answer, rubric)


def text_length(text: str) -> int:
    """Return the number of characters of a text without the white space around it."""
    return len(text.strip())


def word_overlap(text: str, reference: str) -> float:
    """Return the F1 of the words (with their counts) two texts share: 0 for none, 1 for the same words."""
    words, reference_words = (Counter(re.findall(r"\w+", part.lower())) for part in (text, reference))
    shared = (words & reference_words).total()
    return 2 * shared / (words.total() + reference_words.total()) if shared else 0.0


def _overlap_or_none(text: str, reference: str | None) -> float | None:
    return word_overlap(text, reference) if reference else None


def _larger(a: float, b: float) -> str:
    return "tie" if a == b else ("A" if a > b else "B")


def _draw(item_id: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{item_id}".encode()).digest()[:8], "big")


DIRECT_BASELINES: dict[str, Callable[[list[DirectItem]], list]] = {
    "constant score": constant_score,
    "random score": random_score,
    "response length": length_score,
    "similarity to reference": reference_similarity,
}
PAIR_BASELINES: dict[str, Callable[[list[PairItem]], list]] = {
    "always A": always_a,
    "random": random_pair,
    "longer wins": longer_wins,
    "closer to reference": more_similar_to_reference,
}
# What each trivial judge of pairs says when it scores the two responses one by one; one rule per draw.
SCORING_TWINS: dict[str, tuple[Callable[[list[DirectItem]], list], ...]] = {
    "always A": (constant_score,),
    "random": tuple(partial(random_score, seed=seed) for seed in range(3)),
    "longer wins": (length_score,),
    "closer to reference": (reference_similarity,),
}
