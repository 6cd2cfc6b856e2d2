"""A win rate as it would be were both responses equally long.

Judges like long responses. AlpacaEval 2 (Dubois and others, Length-Controlled AlpacaEval, 2024) therefore fits a
logistic regression of who wins on the difference in length and reads it where that difference is zero. Here are their
two terms that belong to one pair of systems, the strength and tanh of the difference in standard deviations; how hard
an instruction is, a third term there, needs many systems.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from ..records import DataError
from .bootstrap import Interval, bootstrap_interval
from .columns import Floats, aligned, vector

PRIOR = 0.1  # weight of a win and a loss that are added at three lengths: where all are won, the strength stays finite
STEPS, ENOUGH = 50, 1e-9  # of Newton's method
RESAMPLES = 500


def length_controlled_win_rate(
    wins: ArrayLike, longer_by: ArrayLike, clusters: ArrayLike | None = None, n_resamples: int = RESAMPLES
) -> Interval:
    """Return the share of wins at equal length, with a 95 % interval over whole instructions.

    wins: (pairs,), 1 where this side won, 0 where it lost, 0.5 for a tie, None or NaN where nothing was read (left
    out); longer_by: (pairs,), the length of this side's response less that of the other's, in whatever unit. A
    correlation is no cause: where the longer response is longer because it is better, this takes merit away too.

    >>> wins, longer_by = [1, 1, 1, 0, 0, 0], [9, 8, 7, -9, -8, -7]
    >>> found = length_controlled_win_rate([*wins, 1, 0], [*longer_by, 0, 0], n_resamples=50)
    >>> round(found.estimate, 2)
    0.5
    """
    (won, by, clusters), _ = aligned(wins=wins, longer_by=longer_by, clusters=clusters)
    won, by = vector(won, "wins"), vector(by, "longer_by")
    if len(won) != len(by):
        raise DataError(f"{len(won)} wins and {len(by)} differences in length: give one of each for every pair.")
    kept = np.isfinite(won) & np.isfinite(by)
    groups = None if clusters is None else np.asarray(clusters, dtype=object)[kept].tolist()
    found = bootstrap_interval(at_equal_length, won[kept], by[kept], clusters=groups, n_resamples=n_resamples)
    return found.with_unparsed(int((~np.isfinite(won)).sum()))


def at_equal_length(won: Floats, by: Floats) -> float:
    """Return the fitted share of wins where the difference in length is zero; NaN without pairs.

    >>> at_equal_length(np.array([1.0, 0.0]), np.array([0.0, 0.0]))
    0.5
    """
    won, by = np.asarray(won, dtype=float), np.asarray(by, dtype=float)
    if not len(won):
        return float("nan")
    spread = by.std()
    terms = np.column_stack([np.ones(len(by)), np.tanh(by / spread) if spread > 0 else np.zeros(len(by))])
    # As many wins as losses, of little weight, at no difference and at both ends: they keep the fit finite.
    terms = np.vstack([terms, [[1, 0]] * 2, [[1, 1]] * 2, [[1, -1]] * 2])
    target = np.concatenate([won, [1, 0] * 3])
    weight = np.concatenate([np.ones(len(won)), np.full(6, PRIOR)])
    return float(expit(_fit(terms, target, weight)[0]))


def _fit(terms: Floats, target: Floats, weight: Floats) -> Floats:
    """A weighted logistic regression by Newton's method: the coefficients, (terms,)."""
    found = np.zeros(terms.shape[1])
    for _ in range(STEPS):
        share = expit(terms @ found)
        slope = terms.T @ (weight * (target - share))
        curve = (terms * (weight * share * (1 - share))[:, None]).T @ terms
        step = np.linalg.solve(curve, slope)
        found = found + step
        if np.abs(step).max() < ENOUGH:
            break
    return found
