"""Statistics worked out for many resamples at once, from how often each cluster was drawn.

A resample is a row of counts (clusters,). A statistic that needs only sums over items needs only those sums per
cluster, times the counts: a matrix product in place of a loop over resamples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .columns import Floats, divide

Codes = NDArray[np.intp]
Resampled = Callable[[Floats], Floats]  # counts (resamples, clusters) -> (resamples,) or (resamples, statistics)

_SLICE_CELLS = 20_000_000  # numbers held at a time while resamples are worked out
_DENSE_CELLS = 200_000


def ratios_of_sums(tops: Floats, bottom: Floats, codes: Codes, k: int) -> Resampled:
    """sum(top) / sum(bottom) for each column of `tops` (items, statistics); NaN where the sum of `bottom` is 0.

    `codes` (items,) is each item's cluster of `k`. Means, accuracies and shares are all of this form.
    """
    sums, sizes = np.zeros((k, tops.shape[1])), np.bincount(codes, bottom, k)
    np.add.at(sums, codes, tops)
    return lambda counts: divide(counts @ sums, (counts @ sizes)[:, None])


def centred_midranks(counts: Floats) -> Floats:
    """Mean rank of each value's copies, less the mean rank; counts (resamples, values in ascending order)."""
    return counts.cumsum(axis=1) - counts / 2 - counts.sum(axis=1, keepdims=True) / 2


def incidence(codes: Codes, k: int, columns: Codes, width: int, weights: Floats | None = None) -> Any:
    """(clusters, columns) sums of weights; dense while small, because dense products are faster there."""
    data = np.ones(len(codes)) if weights is None else weights
    table = sparse.coo_array((data, (codes, columns)), shape=(k, width)).tocsr()
    return table.toarray() if k * width <= _DENSE_CELLS else table


def sliced(function: Resampled, width: int) -> Resampled:
    """The same function, given few enough resamples at a time that `width` numbers for each fit in memory."""
    rows = max(1, _SLICE_CELLS // max(width, 1))

    def in_slices(counts: Floats) -> Floats:
        parts = [function(counts[start : start + rows]) for start in range(0, len(counts), rows)]
        return np.concatenate(parts) if parts else np.zeros(0)

    return in_slices
