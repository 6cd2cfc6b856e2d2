"""Solutions of the exercises of notebook 10; look after you have tried."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

warm_up = round(100 * 165 / 221, 2)


def build(percentages: Sequence[float], smallest: int, largest: int) -> list[int]:
    """Return the sizes of which every percentage (two decimals) is a whole count."""

    def fits(percent: float, size: int) -> bool:
        return abs(100 * round(percent * size / 100) / size - percent) <= 0.005 + 1e-9

    return [size for size in range(smallest, largest + 1) if all(fits(percent, size) for percent in percentages)]


def project(table: pd.DataFrame, decimals: int) -> list[str]:
    """Return the rows whose column "Average" is not the mean of the other columns, with room for rounding."""
    whole = table.dropna()
    beside = whole.drop(columns="Average").mean(axis=1)
    room = 2 * 0.5 * 10.0**-decimals  # the average is rounded, and so are the numbers beside it
    return list(whole.index[(whole["Average"] - beside).abs() > room + 1e-9])
