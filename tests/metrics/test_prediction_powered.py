"""Corrected means: the interval covers the truth and is shorter than the labels' own; a useless judge costs nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_lib.metrics import corrected_mean
from prometheus_lib.records import DataError


def judged(rng, n=400, labelled=50, bias=0.6, noise=0.8):
    truth = rng.integers(1, 6, n).astype(float)
    scores = np.clip(truth + rng.normal(bias, noise, n), 1, 5)
    return scores, np.where(np.arange(n) < labelled, truth, np.nan)


def test_the_interval_covers_a_mean_that_the_judge_alone_misses():
    rng, inside, alone, shorter = np.random.default_rng(0), 0, 0, []
    for _ in range(500):
        scores, labels = judged(rng)
        found = corrected_mean(scores, labels)
        inside += found.low <= 3 <= found.high
        alone += abs(scores.mean() - 3) < 1.96 * scores.std() / 20
        shorter.append((found.high - found.low) / (found.labels_high - found.labels_low))
    assert 0.93 <= inside / 500 <= 0.97 and alone < 25 and np.mean(shorter) < 0.65


def test_items_of_one_instruction_count_as_dependent():
    rng, inside, naive = np.random.default_rng(1), 0, 0
    group = np.repeat(np.arange(100), 4)
    for _ in range(300):
        truth = rng.normal(0, 1, 100)[group] + rng.normal(0, 0.5, 400)
        scores = truth + 0.7 * rng.normal(0, 1, 100)[group] + rng.normal(0.5, 0.5, 400)
        labels = np.where(group < 25, truth, np.nan)
        found, wrong = corrected_mean(scores, labels, clusters=group), corrected_mean(scores, labels)
        inside += found.low <= 0 <= found.high
        naive += wrong.low <= 0 <= wrong.high
    assert 0.91 <= inside / 300 <= 0.985 and naive < inside - 25


def test_a_win_rate_is_covered_too():
    """A judge that errs in one direction only: without a look at skewness it is 93 of 100."""
    rng, inside = np.random.default_rng(2), 0
    for _ in range(1500):
        truth = (rng.random(600) < 0.62).astype(float)
        scores = np.where(rng.random(600) < 0.8, truth, 1.0)  # prefers one side
        found = corrected_mean(scores, np.where(np.arange(600) < 60, truth, np.nan))
        inside += found.low <= 0.62 <= found.high
    assert 0.938 <= inside / 1500 <= 0.965


def test_an_interval_of_a_skewed_estimate_is_not_symmetric():
    """Errors on one side only: the estimate may be much too small, and hardly too large."""
    scores, labels = np.ones(300), np.where(np.arange(300) < 60, 1.0, np.nan)
    labels[:6] = 0.0
    found = corrected_mean(scores, labels)
    assert found.labels_only == pytest.approx(0.9)
    assert found.labels_only - found.labels_low > 1.2 * (found.labels_high - found.labels_only) > 0


def test_a_judge_that_knows_nothing_leaves_the_labels_alone():
    rng = np.random.default_rng(3)
    scores, labels = judged(rng)
    found = corrected_mean(rng.permutation(scores), labels)
    assert found.high - found.low < 1.05 * (found.labels_high - found.labels_low)


def test_all_labelled_is_the_mean_of_the_labels():
    rng = np.random.default_rng(4)
    scores, labels = judged(rng, n=50)
    found = corrected_mean(scores, labels)
    assert found.estimate == pytest.approx(labels.mean()) and found.trust == 0
    assert found.high - found.low == pytest.approx(found.labels_high - found.labels_low)


def test_few_labels_have_no_interval_and_none_is_refused():
    scores, labels = judged(np.random.default_rng(5), labelled=9)
    assert np.isnan(corrected_mean(scores, labels).low)
    with pytest.raises(DataError, match="no item has both"):
        corrected_mean([1, None], [None, 2])
    for missing in (None, float("nan")):
        with pytest.raises(DataError, match="cluster name is missing"):
            corrected_mean([1, 2, 3], [1, 2, 3], clusters=["q", missing, "r"])


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(1, 5), st.one_of(st.none(), st.floats(1, 5))), min_size=1, max_size=40))
def test_whatever_comes_the_order_of_items_changes_nothing(rows):
    scores, labels = zip(*rows)
    if all(label is None for label in labels):
        return
    one, two = corrected_mean(scores, labels), corrected_mean(scores[::-1], labels[::-1])
    assert one.estimate == pytest.approx(two.estimate, abs=1e-9) and 0 <= one.trust <= 1
