"""What comes out of judging your own: a table, a summary with intervals, a figure and a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from . import checking, figures, page, trust
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

    def check(
        self, at_least: float | None = None, at_most: float | None = None, *, of: str | None = None,
        measure: str | None = None, surely: bool = False,
    ) -> None:  # fmt: skip
        """Raise AssertionError where the result is beyond a threshold: a test for what your system writes.

        Checked is the mean score of all responses, the share of B, or of a ranking the wins of one player (`of`);
        `of` and `measure` choose another row of the summary ("tone" for "mean of tone"). With `surely` the whole 95 %
        interval has to be there, so that noise alone fails a test seldom. What could not be read at all fails.

        >>> from prometheus_lib import judging
        >>> rows = [{"instruction": "Greet.", "response": "Hello!"}]
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     result = judging.score(rows, "Is it kind?", judge="constant", out=folder, say=lambda text: None)
        >>> result.check(at_least=2.5)
        >>> result.check(at_least=3.5)
        Traceback (most recent call last):
            ...
        AssertionError: all responses, mean score by constant: 3 (no interval; n 1, 0 not readable), not at least 3.5.
        """
        checking.check(self, at_least, at_most, of, measure, surely)

    def figure(self) -> Any:
        """Return a matplotlib figure of the summary."""
        return figures.figure(self)

    def to_html(self, path: str | Path) -> Path:
        """Write one page in which the feedback can be read, filtered and sorted; return its path."""
        return page.write_page(self, path)
