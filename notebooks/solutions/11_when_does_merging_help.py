"""Solutions of the exercises of notebook 11; look after you have tried."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

warm_up = stats.t.ppf(0.975, 4) * 0.5


def build(results: Mapping[str, Mapping[int, float]], one: str, other: str) -> tuple[float, float, float]:
    """Return the mean difference of two arms over the seeds that both have, with its 95 % interval."""
    seeds = sorted(results[one].keys() & results[other].keys())
    gaps = np.array([results[one][seed] - results[other][seed] for seed in seeds])
    if len(gaps) < 2:
        return (float(gaps[0]) if len(gaps) else math.nan), math.nan, math.nan
    half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / math.sqrt(len(gaps))
    return float(gaps.mean()), float(gaps.mean() - half), float(gaps.mean() + half)


def project(point: Mapping[str, Any], knobs: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the cells of a design that turns one knob at a time: the point, then each other value of each knob."""
    if unknown := knobs.keys() - point.keys():
        raise ValueError(f"the point has no {sorted(unknown)}")
    turned = [{**point, knob: value} for knob, values in knobs.items() for value in values if value != point[knob]]
    return [dict(point), *turned]
