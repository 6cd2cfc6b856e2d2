"""One page of a result: summary, figure, and a table whose feedback can be read, filtered, sorted and saved."""

from __future__ import annotations

from pathlib import Path

from ... import artifacts
from ...pages import frame_view, markup, render, svg_address, svg_text, told
from ...records import write_text_atomic
from .outcome import Outcome
from .trust import sentence, trust

LONG = 120  # characters from which a text is folded
TEMPLATE = Path(__file__).with_name("own.html.j2")


def write_page(result: Outcome, path: str | Path) -> Path:
    """Write the page, self-contained and with every text escaped; return its path."""
    intervals = "With 95 % intervals, resampled by instruction"
    summaries = {"Summary": frame_view(result.summary, "summary", intervals, csv=True)}
    if result.labels:
        summaries["How far to trust the judge here"] = frame_view(trust(result), "trust", intervals, csv=True)
    svg = svg_text(result.figure())
    text = render(
        TEMPLATE, title=f"{len(result.table)} judged by {result.judge}", toy=result.toy, sentence=sentence(result),
        criteria=result.criteria, summaries=summaries, figure=markup(svg_address(svg)), figure_text=told(svg)[1],
        judgments=frame_view(result.table, "judgments", f"{len(result.table)} rows", csv=True),
        stamp=artifacts.text_hash(result.table.to_json()), long=LONG,
    )  # fmt: skip
    return write_text_atomic(path, text)
