"""Scores against the true ones, by hand and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from prometheus_lib import metrics
from prometheus_lib.records import DataError


def test_exact_and_error_by_hand():
    scores, truth = [[1, 2, math.nan], [5, 5, 5], [math.nan] * 3, [3, 3, 3]], [1, 4, 2, math.nan]
    np.testing.assert_allclose(metrics.exact_credits(scores, truth), [1 / 3, 0, 0, math.nan])
    np.testing.assert_allclose(metrics.absolute_errors(scores, truth), [0.5, 1, math.nan, math.nan])


def test_a_single_column_is_one_draw():
    np.testing.assert_array_equal(metrics.exact_credits([1, 2], [1, 1]), [1, 0])
    np.testing.assert_array_equal(metrics.absolute_errors([1, 2], [1, 1]), [0, 1])


@pytest.mark.parametrize("scores", ([1, 2, 3], [[1, 2], [1, 2], [2, 2]], [[[1]], [[2]]]))
def test_other_items_than_the_truth_are_refused(scores):
    with pytest.raises(DataError, match="lengths differ|must be two-dimensional"):
        metrics.exact_credits(scores, [1, 2])


def test_text_is_no_score_and_missing_is_missing_in_any_form():
    with pytest.raises(DataError, match=r"scores\[0, 0\] is '1'"):
        metrics.exact_credits(["1", "2"], [1, 2])
    found = metrics.exact_credits(pd.Series([1, None, 3], dtype="Int64"), pd.Series([1, 2, None], dtype="Int64"))
    np.testing.assert_array_equal(found, [1, 0, math.nan])


@pytest.mark.parametrize(("noise", "draws"), [(0.3, 3), (1.0, 3), (1.0, 5), (0.7, 1)])
def test_the_noise_ceiling_is_what_a_judge_without_noise_reaches(noise, draws):
    rng = np.random.default_rng(0)
    quality = rng.normal(size=100_000)
    drawn = quality[:, None] + rng.normal(scale=noise, size=(len(quality), max(draws, 2)))
    between = np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]
    reached = np.corrcoef(quality, drawn[:, :draws].mean(axis=1))[0, 1]
    assert metrics.noise_ceiling(between, draws) == pytest.approx(reached, abs=0.005)


def test_the_noise_ceiling_at_its_limits():
    assert metrics.noise_ceiling(0.0, 3) == 0 and math.isnan(metrics.noise_ceiling(-0.1, 3))
    with pytest.raises(DataError, match="draws"):
        metrics.noise_ceiling(0.5, 0)
