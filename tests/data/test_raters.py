"""Simulated raters: the counts are those of the real file, and draws differ as GPT-4's do."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter

import numpy as np
import pytest

from prometheus_lib.data.raters import GPT4_DRAWS, RATERS, Rater, error_chances
from prometheus_lib.records import SCORES


def test_the_counts_are_those_of_gpt4s_own_draws(data_dir):
    counts: Counter[tuple[int, int]] = Counter()
    for name in ("vicuna_eval", "mt_bench_eval"):
        for row in json.loads((data_dir / "benchmarks" / f"{name}.json").read_text(encoding="utf-8")):
            counts.update(itertools.permutations(row["gpt4_score"], 2))
    assert tuple(tuple(counts[a, b] for b in SCORES) for a in SCORES) == GPT4_DRAWS


def test_two_draws_differ_as_two_draws_of_gpt4():
    counts = np.array(GPT4_DRAWS)
    shares, rng = counts / counts.sum(axis=1, keepdims=True), random.Random(1)
    assert np.allclose(error_chances(2.0), shares, atol=0.01)
    opinions = rng.choices(SCORES, counts.sum(axis=1), k=30_000)  # as often as GPT-4 holds them
    drawn = [Rater(1.0, draws=2).rate(rng, opinion) for opinion in opinions]
    for a in SCORES:
        second = [b for first, b in drawn if first == a]
        assert [second.count(b) / len(second) for b in SCORES] == pytest.approx(shares[a - 1].tolist(), abs=0.04)


def test_raters_disagree_mostly_with_neighbours():
    rng = random.Random(2)
    drawn = [RATERS["sim-strong"].rate(rng, 1 + n % 5) for n in range(5000)]
    gaps = Counter(abs(a - b) for a, b, _ in drawn)
    assert gaps[1] > 5 * sum(gaps[far] for far in (2, 3, 4)) and gaps[0] > gaps[1]


def test_more_errors_make_a_worse_rater_and_none_a_perfect_one():
    exact = [np.mean([error_chances(errors)[n][n] for n in range(5)]) for errors in (0.0, 1.0, 2.0, 4.0)]
    assert exact[0] == pytest.approx(1) and exact == sorted(exact, reverse=True)
    for chances in error_chances(1.0):
        assert sum(chances) == pytest.approx(1) and min(chances) >= 0
