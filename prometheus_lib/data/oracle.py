"""The oracle of the miniature world: what a judge could reach at best with what it is shown, and without the rubric.

It knows every word of the world and reads the rubric, and it sees a judge's prompt and nothing else. With the reference
answer every fact is plain, so it finds the true score. Without it an instruction may name a fact by a vague word that
fits two values: what a response says then is wrong for certain, or right with the chance `FITTING_IS_RIGHT`, which the
oracle knows. It takes responses for independent of each other and of what stands outside the rubric: a judge that
exploits how responses were made up could do a little better.

Beside it stands whoever reads every fact as well and never looks at the rubric (`blind_scores`, `blind_decisions`). It
knows how responses are made up: each set of four facts may be the rubric's, and the two facts outside oppose the score.
A judge that does not pass it has not shown that it reads rubrics, however high it stands.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..records import SCORES, DirectItem, PairItem
from . import baselines, miniworld
from .miniworld import ATTRIBUTES, CONFUSION_SHARE, DETAILS_PER_RUBRIC, VAGUE, VALUES

_MEANS = {
    attribute: {value: {value} for value in values}
    | {word: {value} for value, words in values.items() for word in words}
    | {word: set(pair) for word, pair in VAGUE[attribute].items()}
    for attribute, values in VALUES.items()
}  # attribute -> word -> the plain values it can mean


WRONG_AND_FITS = CONFUSION_SHARE + (1 - CONFUSION_SHARE) / (len(next(iter(VALUES.values()))) - 1)
# The chance that a statement that fits a vague word is right, where right and wrong are as frequent at first.
FITTING_IS_RIGHT = 1 / (1 + WRONG_AND_FITS)


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


# --- without the rubric ----------------------------------------------------------------------------------------------


def blind_scores(items: Sequence[DirectItem], with_reference: bool = True) -> list[int]:
    """Return the likeliest score of each response for whoever reads every fact and no rubric; between equals a coin.

    >>> from prometheus_lib.data import minibench
    >>> items = minibench.build("mini_flask", seed=1)
    >>> right = [score == item.meta["true_score"] for score, item in zip(blind_scores(items), items)]
    >>> 0.55 < sum(right) / len(right) < 0.75  # 65 % by calculation
    True
    """
    return [_likeliest(item, with_reference) for item in items]


def _likeliest(item: DirectItem, with_reference: bool) -> int:
    shares = dict.fromkeys(SCORES, 0.0)
    for (score,), chance in _guesses(item, (item.response,), with_reference):
        shares[score] += chance
    best = [score for score, share in shares.items() if share > max(shares.values()) - 1e-9]
    return best[0] if len(best) == 1 else best[baselines.random_score([item])[0] % len(best)]


def blind_decisions(items: Sequence[PairItem], with_reference: bool = False) -> list[str]:
    """Return the response that is likelier better for whoever reads every fact and no rubric; between equals a coin.

    >>> from prometheus_lib.data import minibench
    >>> pairs = minibench.build("mini_preference_bench", seed=1)
    >>> found = blind_decisions(pairs, with_reference=True)
    >>> 0.7 < sum(said == pair.label for said, pair in zip(found, pairs)) / len(pairs) < 0.9
    True
    """
    coins = baselines.random_pair(list(items))
    return [_better(item, coin, with_reference) for item, coin in zip(items, coins)]


def _better(item: PairItem, coin: str, with_reference: bool) -> str:
    balance = 0.0
    for (a, b), chance in _guesses(item, (item.response_a, item.response_b), with_reference):
        balance += chance * ((b > a) - (a > b))
    return coin if abs(balance) < 1e-9 else "AB"[balance > 0]


def _guesses(
    item: DirectItem | PairItem, texts: Sequence[str], with_reference: bool
) -> Iterator[tuple[tuple[int, ...], float]]:
    """What the texts may score, under each rubric and each meaning of the vague words, and how likely that is."""
    shown = item.reference_answer if with_reference and item.reference_answer else item.instruction
    facts = [attribute for attribute in ATTRIBUTES if re.search(rf"\b{attribute}\b", item.instruction)]
    asked = [_means(shown, fact) for fact in facts]
    said = [[next(iter(_means(text, fact)), "") for fact in facts] for text in texts]
    found: list[tuple[tuple[int, ...], float]] = []
    for truth in itertools.product(*(sorted(values) for values in asked)):
        right = [{fact for fact, *both in zip(facts, values, truth) if both[0] == both[1]} for values in said]
        slips = sum(v in fitting and v != t for values in said for v, t, fitting in zip(values, truth, asked))
        for rubric in itertools.combinations(facts, DETAILS_PER_RUBRIC):
            inside = [len(each.intersection(rubric)) for each in right]
            made = [_chance(count, len(each) - count) for count, each in zip(inside, right)]
            found.append((tuple(1 + count for count in inside), WRONG_AND_FITS**slips * math.prod(made)))
    total = sum(chance for _, chance in found) or 1.0
    return ((scores, chance / total) for scores, chance in found)


@cache
def _chance(inside: int, outside: int) -> float:
    """How often a response has so many right facts under the rubric, and just these, and so many outside it."""
    if outside == 1:
        return 0.0  # `miniworld.graded_answer` makes both right or neither
    opposing = (DETAILS_PER_RUBRIC - inside) / DETAILS_PER_RUBRIC
    return (opposing if outside else 1 - opposing) / math.comb(DETAILS_PER_RUBRIC, inside)


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
