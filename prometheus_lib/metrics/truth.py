"""Scores against the true ones, where these are known: how often a score is exact, and how far off it is.

Both look at single draws, as a user of a judge meets them; a correlation of means looks at neither.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..records import DataError
from .columns import Floats, aligned, cells, labelled, matrix, vector


def exact_credits(scores: ArrayLike, truth: ArrayLike) -> Floats | pd.Series:
    """Return the share of an item's draws that are its true score, (items,); a draw without a score is not exact.

    scores: (items, draws) or (items,), NaN for unparsed; truth: (items,). An item without a true score has none (NaN).
    Two pandas objects are matched by their index (see `columns`).

    >>> exact_credits([[3, 3, 4], [5, math.nan, 5]], [3, 5]).round(2).tolist()
    [0.67, 0.67]
    """
    draws, true, index = _against_truth(scores, truth)
    return labelled(np.where(np.isnan(true), np.nan, (draws == true[:, None]).mean(axis=1)), index)


def absolute_errors(scores: ArrayLike, truth: ArrayLike) -> Floats | pd.Series:
    """Return the mean distance of an item's draws from its true score, (items,), in score points.

    Draws without a score are left out, and an item without any draw or without a true score is NaN: read the number of
    unparsed judgments beside it. scores: (items, draws) or (items,); truth: (items,).

    >>> absolute_errors([[3, 3, 4], [1, math.nan, 5]], [3, 5]).round(2).tolist()
    [0.33, 2.0]
    """
    draws, true, index = _against_truth(scores, truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an item without any score
        return labelled(np.nanmean(np.abs(draws - true[:, None]), axis=1), index)


def noise_ceiling(reliability: float, draws: int) -> float:
    """Return the Pearson that a judge without noise reaches with the mean of several draws of a rater.

    reliability: Pearson between two draws of the rater. By Spearman and Brown the mean of k draws has the reliability
    k r / (1 + (k - 1) r), and its square root is the correlation with what all draws have in common. NaN where the
    draws do not agree at all (r below 0).

    >>> round(noise_ceiling(0.81, draws=3), 2), noise_ceiling(1.0, draws=3)
    (0.96, 1.0)
    """
    if draws < 1:
        raise DataError(f"draws must be at least 1, not {draws}")
    shared = draws * reliability / (1 + (draws - 1) * reliability) if reliability >= 0 else math.nan
    return math.sqrt(shared)


def _against_truth(scores: ArrayLike, truth: ArrayLike) -> tuple[Floats, Floats, pd.Index | None]:
    """Scores as (items, draws), truth as (items,) and the items' labels; DataError where their numbers differ."""
    (scores, truth), index = aligned(scores=scores, truth=truth)
    found, true = cells(scores, "scores"), vector(truth, "truth")
    draws = matrix(found[:, None] if found.ndim == 1 else found, "scores", "one row per item and one column per draw")
    return draws, true, index
