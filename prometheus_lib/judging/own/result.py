"""What comes out of judging your own: a table, a summary with intervals, a figure and a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from . import figures, page, trust
from .outcome import Outcome


@dataclass(frozen=True)
class Result(Outcome):
    """The outcome of `score`, `compare` or `rank`.

    `table`: one row per response (of a ranking: per pair), with its own columns first. `summary`: one row per measure,
    with its 95 % interval, the number of items and of answers that could not be read. `labels`: what people said, by
    rater, (items,). `kind` is "score", "compare" or "rank"; `toy` says why a judge is no real one ("" for others);
    `ranking` holds the strengths of a ranking.

    >>> from prometheus_lib import judging
    >>> rows = [{"instruction": "Greet.", "response": "Hello!"}]
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = judging.score(rows, "Is it kind?", judge="constant", out=folder, say=lambda text: None)
    >>> result.kind, result.table["score"].tolist(), list(result.summary)[:4]
    ('score', [3.0], ['of', 'measure', 'value', 'low'])
    """

    def trust(self) -> pd.DataFrame:
        """Return how far to trust the judge here, from people's labels: see `trust.trust`."""
        return trust.trust(self)

    def sentence(self) -> str:
        """Return a sentence about judge, agreement and corrected result, to paste into a paper."""
        return trust.sentence(self)

    def figure(self) -> Any:
        """Return a matplotlib figure of the summary."""
        return figures.figure(self)

    def to_html(self, path: str | Path) -> Path:
        """Write one page in which the feedback can be read, filtered and sorted; return its path."""
        return page.write_page(self, path)
