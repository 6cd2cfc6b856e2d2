"""The miniature benchmarks: one for each benchmark of Table 2 (and BiGGen Bench), labelled by simulated raters.

Feedback Bench and Preference Bench are in-domain (nouns, rubric combinations and styles of the training data, new
instructions). The others take unseen nouns, unseen rubric combinations and other response styles. Because raters are
simulated their reliability is known: `ceiling` tells what a judge that always finds the true score would reach.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ..records import DirectItem, PairItem
from . import miniworld
from .collections import pair_orders, response_pairs
from .miniworld import SEEN, UNSEEN, Answer, Domain, Family
from .oracle import oracle_decisions
from .raters import RATERS, Rater

# Four fixed rubrics in the place of HHH Alignment's help, harm, honesty and other, with as many pairs as these.
HHH_GROUPS = {
    "looks": ("colour", "size", "shape", "age"),
    "making": ("material", "origin", "texture", "age"),
    "senses": ("scent", "texture", "colour", "age"),
    "trade": ("price", "user", "origin", "size"),
}
HHH_SIZES = {"looks": 59, "making": 58, "senses": 61, "trade": 43}


@dataclass(frozen=True)
class MiniBenchmark:
    """How one miniature benchmark is made; `mirrors` is the paper's benchmark, `labels` the raters of its items."""

    name: str
    mirrors: str
    format: str
    domain: Domain
    instructions: int
    per_instruction: int
    raters: tuple[str, ...]
    ties: bool = False


def _others(style: str, synonyms: float) -> Domain:
    return replace(UNSEEN, styles=(style,), synonyms=synonyms)


_STRONG, _BOTH, _ALL = ("sim-strong",), ("sim-strong", "sim-second"), ("sim-strong", "sim-second", "sim-crowd")
_HUMAN = ("sim-second",)
# As many instructions as the paper's benchmarks have, but for Preference Bench (ours has whole tournaments of five
# responses), Auto-J Eval and BiGGen Bench (whose instructions are not all independent there).
_KNOWN = (
    MiniBenchmark("mini_vicuna_bench", "Vicuna Bench", "direct", _others("list", 0.2), 80, 2, _BOTH),
    MiniBenchmark("mini_mt_bench", "MT Bench", "direct", _others("formal", 0.4), 80, 2, _BOTH),
    MiniBenchmark("mini_flask", "FLASK", "direct", UNSEEN, 200, 1, _ALL),
    MiniBenchmark("mini_feedback_bench", "Feedback Bench", "direct", SEEN, 200, 1, _STRONG),
    MiniBenchmark("mini_hhh_alignment", "HHH Alignment", "pairwise", _others("list", 0.3), 221, 1, _HUMAN),
    MiniBenchmark(
        "mini_mt_bench_human", "MT Bench Human Judg.", "pairwise", _others("formal", 0.4), 80, 2, _HUMAN, True
    ),
    MiniBenchmark("mini_autoj_eval", "Auto-J Eval", "pairwise", UNSEEN, 58, 3, _HUMAN, True),
    MiniBenchmark("mini_preference_bench", "Preference Bench", "pairwise", SEEN, 20, 10, ()),
    MiniBenchmark("mini_biggen_bench", "BiGGen Bench", "direct", UNSEEN, 100, 1, ("sim-crowd",)),
)
MINIATURES = {benchmark.name: benchmark for benchmark in _KNOWN}


def build(name: str, seed: int, share: float = 1.0) -> list[DirectItem] | list[PairItem]:
    """Build a miniature benchmark from a seed; `share` shortens it (for the smoke scale)."""
    benchmark = MINIATURES[name]
    return made(replace(benchmark, instructions=max(2, round(benchmark.instructions * share))), seed)


def made(benchmark: MiniBenchmark, seed: int) -> list[DirectItem] | list[PairItem]:
    """Return a benchmark's items: those of `MINIATURES`, or of one that differs from these in its size.

    >>> len(made(replace(MINIATURES["mini_flask"], instructions=3, per_instruction=4), seed=1))
    12
    """
    makers = {"mini_feedback_bench": _graded, "mini_preference_bench": _preferences}
    maker = makers.get(benchmark.name, _direct if benchmark.format == "direct" else _pairs)
    return list(maker(benchmark, seed, benchmark.instructions))


def _families(benchmark: MiniBenchmark, seed: int, count: int) -> Iterator[tuple[int, random.Random, Family]]:
    for number in range(count):
        rng = miniworld.rng_for(benchmark.name, seed, number)
        yield number, rng, miniworld.draw_family(rng, benchmark.domain, _fixed_details(benchmark, number))


def _fixed_details(benchmark: MiniBenchmark, number: int) -> tuple[str, ...] | None:
    return HHH_GROUPS.get(_group(benchmark, number))


@cache
def _hhh_order() -> list[str]:
    """Return the group of each pair, mixed, so that a part of the benchmark has all of them."""
    order = [group for group, size in HHH_SIZES.items() for _ in range(size)]
    miniworld.rng_for("groups").shuffle(order)
    return order


def _group(benchmark: MiniBenchmark, number: int) -> str:
    return _hhh_order()[number % sum(HHH_SIZES.values())] if benchmark.name == "mini_hhh_alignment" else ""


def _random_answer(rng: random.Random, family: Family, domain: Domain) -> Answer:
    return miniworld.graded_answer(rng, family.task, domain, family.details, rng.randint(1, 5))


def _direct(benchmark: MiniBenchmark, seed: int, count: int) -> Iterator[DirectItem]:
    for number, rng, family in _families(benchmark, seed, count):
        for which in range(benchmark.per_instruction):
            answer = _random_answer(rng, family, benchmark.domain)
            yield _direct_item(benchmark, number, which, rng, family, answer)


def _graded(benchmark: MiniBenchmark, seed: int, count: int) -> Iterator[DirectItem]:
    """One of five graded responses for each instruction, each score equally often."""
    for number, rng, family in _families(benchmark, seed, count):
        yield _direct_item(benchmark, number, 0, rng, family, family.answers[number % len(family.answers)])


def _direct_item(
    benchmark: MiniBenchmark, number: int, which: int, rng: random.Random, family: Family, answer: Answer
) -> DirectItem:
    true = miniworld.true_score(family.task, answer, family.details)
    return DirectItem(
        f"{benchmark.name}/{number:03d}-{which}", miniworld.instruction_text(family.task), answer.text,
        family.reference, family.rubric, {name: RATERS[name].rate(rng, true) for name in benchmark.raters},
        cluster=f"{benchmark.name}/{number:03d}", meta={"true_score": true},
    )  # fmt: skip


def _pairs(benchmark: MiniBenchmark, seed: int, count: int) -> Iterator[PairItem]:
    """Pairs of random responses; a simulated human scores both once and prefers the higher score."""
    rater = RATERS[benchmark.raters[0]]
    total = count * benchmark.per_instruction
    orders = iter(pair_orders(miniworld.rng_for(benchmark.name, seed, "order"), total))
    for number, rng, family in _families(benchmark, seed, count):
        for which in range(benchmark.per_instruction):
            worse, better, label = _rated_pair(rng, family, benchmark, rater)
            answers = (better, worse) if next(orders) else (worse, better)
            label = label if label == "tie" else ("A" if answers[0] is better else "B")
            yield _pair_item(benchmark, number, which, family, answers, label)


def _rated_pair(
    rng: random.Random, family: Family, benchmark: MiniBenchmark, rater: Rater
) -> tuple[Answer, Answer, str]:
    """Draw two responses and return (less liked, more liked, "" or "tie"); without ties, draw until scores differ."""
    while True:
        first, second = (_random_answer(rng, family, benchmark.domain) for _ in range(2))
        a, b = (
            rater.rate(rng, miniworld.true_score(family.task, answer, family.details))[0] for answer in (first, second)
        )
        if a != b:
            return (first, second, "") if a < b else (second, first, "")
        if benchmark.ties:
            return first, second, "tie"


def _preferences(benchmark: MiniBenchmark, seed: int, count: int) -> Iterator[PairItem]:
    """All ten pairs of five graded responses, labelled by their true scores as in the paper."""
    pairs = response_pairs()
    for number, rng, family in _families(benchmark, seed, count):
        for which, better_first in enumerate(pair_orders(rng, len(pairs))):
            worse, better = (family.answers[index] for index in pairs[which])
            answers = (better, worse) if better_first else (worse, better)
            yield _pair_item(benchmark, number, which, family, answers, "A" if better_first else "B")


def _pair_item(
    benchmark: MiniBenchmark, number: int, which: int, family: Family, answers: Sequence[Answer], label: str
) -> PairItem:
    a, b = answers
    scores = [miniworld.true_score(family.task, answer, family.details) for answer in (a, b)]
    return PairItem(
        f"{benchmark.name}/{number:03d}-{which}", miniworld.instruction_text(family.task), a.text, b.text,
        family.reference, family.rubric.criteria, label, _group(benchmark, number),
        f"{benchmark.name}/{number:03d}", family.rubric, meta={"true_a": scores[0], "true_b": scores[1]},
    )  # fmt: skip


def true_decision(item: PairItem) -> str:
    """Return "A", "B" or "tie" by the pair's true scores."""
    a, b = item.meta["true_a"], item.meta["true_b"]
    return "tie" if a == b else ("A" if a > b else "B")


def ceiling(items: Sequence[DirectItem | PairItem], rater: str = "") -> dict[str, Any]:
    """Return what the oracle reaches, played: Pearson with a rater, or accuracy on the labels without gold ties.

    It sees what a judge is shown (see `oracle`): the reference answer for scores, none for pairs.
    """
    from .. import metrics

    if isinstance(items[0], DirectItem):
        truth = [item.meta["true_score"] for item in items]
        rated = [sum(item.scores[rater]) / len(item.scores[rater]) for item in items]
        return {"pearson": metrics.correlations(truth, rated).pearson, "n": len(items)}
    decisions = oracle_decisions(items)
    accuracy = metrics.pairwise_accuracy(decisions, [item.label for item in items], ties="gold dropped")
    return {"accuracy": accuracy.value, "n": accuracy.n}
