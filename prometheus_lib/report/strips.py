"""The picture of a claim: its differences with their intervals, the zone that counts as none, the paper's number."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

WIDTH, SIDE, AXIS = 340.0, 8.0, 20.0  # of the picture: whole, free on both sides, below for the numbers
_REACH = ["difference", "low", "high", "two-way low", "two-way high", "printed"]


class Line(NamedTuple):
    """One difference: heights and places from left to right; None where something was not measured."""

    y: float
    at: float
    low: float | None
    high: float | None
    two_low: float | None
    two_high: float | None
    paper: float | None


class Strip(NamedTuple):
    """Everything that is drawn: places of the zone, of zero and of the axis' numbers, and one line per difference."""

    height: float
    zone: tuple[float, float]
    zero: float
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...]
    words: str


def strip(parts: pd.DataFrame, words: str) -> Strip | None:
    """Return the picture of a claim's parts (rows of the evidence); None where nothing was measured.

    >>> row = {"difference": 3.0, "low": 1.0, "high": 5.0, "margin": 2.0, "printed": 4.0}
    >>> row |= {"two-way low": float("nan"), "two-way high": float("nan")}
    >>> drawn = strip(pd.DataFrame([row]), "ours +3.0")
    >>> drawn.zone[0] < drawn.zero < drawn.zone[1] < drawn.lines[0].at, drawn.lines[0].two_low
    (True, None)
    """
    from matplotlib.ticker import MaxNLocator

    known = parts[parts["difference"].notna()]
    if known.empty:
        return None
    margin = float(known["margin"].max())
    values = [*known[_REACH].astype(float).stack().dropna(), -margin, margin]
    least, most = min(values), max(values)
    scale = (WIDTH - 2 * SIDE) / (most - least)

    def place(value: float) -> float | None:
        return None if value is None or not math.isfinite(value) else round(SIDE + (value - least) * scale, 1)

    step = 22.0 if len(known) == 1 else 11.0
    rows = known[_REACH].astype(float).itertuples(index=False)
    lines = tuple(Line(round(step * (n + 0.5) + 3, 1), *map(place, row)) for n, row in enumerate(rows))
    inside = [tick for tick in MaxNLocator(5).tick_values(least, most) if least <= tick <= most]
    ticks = tuple((place(tick), f"{tick:+z.4g}" if round(tick, 9) else "0") for tick in inside)
    return Strip(step * len(known) + 6 + AXIS, (place(-margin), place(margin)), place(0), lines, ticks, words)
