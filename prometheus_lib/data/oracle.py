"""The oracle of the miniature world: what a judge could reach at best with what it is shown.

It knows every word of the world and reads the rubric, and it sees a judge's prompt and nothing else. With the reference
answer every fact is plain, so it finds the true score. Without it an instruction may name a fact by a vague word that
fits two values: what a response says then is wrong for certain, or right with the chance `FITTING_IS_RIGHT`, which the
oracle knows. It takes responses for independent of each other and of what stands outside the rubric: a judge that
exploits how responses were made up could do a little better.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..records import DirectItem, PairItem
from . import baselines, miniworld
from .miniworld import CONFUSION_SHARE, VAGUE, VALUES

_MEANS = {
    attribute: {value: {value} for value in values}
    | {word: {value} for value, words in values.items() for word in words}
    | {word: set(pair) for word, pair in VAGUE[attribute].items()}
    for attribute, values in VALUES.items()
}  # attribute -> word -> the plain values it can mean


def _fitting_is_right() -> float:
    """The chance that a statement that fits a vague word is right, where right and wrong are as frequent at first."""
    others = len(next(iter(VALUES.values()))) - 1
    wrong_and_fits = CONFUSION_SHARE + (1 - CONFUSION_SHARE) / others
    return 1 / (1 + wrong_and_fits)


FITTING_IS_RIGHT = _fitting_is_right()


def oracle_scores(items: Sequence[DirectItem], with_reference: bool = True) -> list[float]:
    """Return the score that the oracle expects for each response: the true one where the reference answer is shown.

    >>> from prometheus_lib.data import minibench
    >>> items = minibench.build("mini_flask", seed=1, share=0.2)
    >>> oracle_scores(items) == [item.meta["true_score"] for item in items]
    True
    """
    return [1.0 + sum(chances for _, chances in _beliefs(item, item.response, with_reference)) for item in items]


def oracle_chances(item: PairItem, with_reference: bool = False) -> tuple[float, float]:
    """Return how likely the oracle takes it that response A is truly better, and that B is.

    >>> from prometheus_lib.data import minibench
    >>> pair = minibench.build("mini_autoj_eval", seed=1, share=0.2)[0]
    >>> oracle_chances(pair, with_reference=True) in [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)]
    True
    """
    sides = (_beliefs(item, text, with_reference) for text in (item.response_a, item.response_b))
    leads = np.ones(1)  # the chances of each lead of A, from -d to d after d details
    for a, b in zip(*sides, strict=True):
        leads = np.convolve(leads, _lead(*a, *b))
    middle = len(leads) // 2
    return float(leads[middle + 1 :].sum()), float(leads[:middle].sum())


def oracle_decisions(items: Sequence[PairItem], with_reference: bool = False) -> list[str]:
    """Return the oracle's choice for each pair: the response that is likelier better; where both are alike, a coin.

    >>> from prometheus_lib.data import minibench
    >>> pairs = minibench.build("mini_preference_bench", seed=1, share=0.2)
    >>> oracle_decisions(pairs, with_reference=True) == [minibench.true_decision(pair) for pair in pairs]
    True
    """
    coins = baselines.random_pair(list(items))
    chances = (oracle_chances(item, with_reference) for item in items)
    return [coin if abs(a - b) < 1e-9 else "AB"[b > a] for (a, b), coin in zip(chances, coins)]


def oracle_accuracy(items: Sequence[PairItem], with_reference: bool = False) -> float:
    """Return by calculation how often the oracle is right on those pairs that have a truly better response.

    >>> from prometheus_lib.data import minibench
    >>> oracle_accuracy(minibench.build("mini_preference_bench", seed=1, share=0.2), with_reference=True)
    1.0
    """
    decided = [item for item in items if item.meta["true_a"] != item.meta["true_b"]]
    chances = [oracle_chances(item, with_reference) for item in decided]
    return float(np.mean([max(pair) / sum(pair) if sum(pair) else 0.5 for pair in chances]))


# --- reading ---------------------------------------------------------------------------------------------------------


def _beliefs(item: DirectItem | PairItem, response: str, with_reference: bool) -> list[tuple[str, float]]:
    """For each detail of the rubric: the value that the response states, and the chance that it is right."""
    criteria = item.criteria if isinstance(item, PairItem) else item.rubric
    shown = item.reference_answer if with_reference and item.reference_answer else item.instruction
    return [
        _belief(detail, _means(shown, detail), _means(response, detail)) for detail in miniworld.details_of(criteria)
    ]


def _belief(detail: str, asked: set[str], given: set[str]) -> tuple[str, float]:
    value = next(iter(given), "")
    if value not in asked:
        return value, 0.0
    return value, 1.0 if len(asked) == 1 else FITTING_IS_RIGHT


def _means(text: str, attribute: str) -> set[str]:
    """The plain values that the attribute's word in a text can mean; empty where it has none."""
    means = _MEANS[attribute]
    return next((means[word] for word in re.findall(r"\w+", text) if word in means), set())


def _lead(value_a: str, chance_a: float, value_b: str, chance_b: float) -> NDArray[np.float64]:
    """The chances that B alone is right on a detail, that both or neither are, and that A alone is."""
    if value_a == value_b:
        return np.array([0.0, 1.0, 0.0])
    if 0 < chance_a < 1 and 0 < chance_b < 1:  # a vague word fits two values, and each response states another
        return np.array([0.5, 0.0, 0.5])
    both = chance_a * chance_b + (1 - chance_a) * (1 - chance_b)
    return np.array([(1 - chance_a) * chance_b, both, chance_a * (1 - chance_b)])
