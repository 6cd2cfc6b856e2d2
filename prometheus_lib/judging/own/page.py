"""One page of a result: summary, figure, and a table whose feedback can be read, filtered and sorted."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from ... import artifacts
from ...records import write_text_atomic
from .outcome import Outcome
from .trust import sentence, trust

LONG = 120  # characters from which a text is folded


def write_page(result: Outcome, path: str | Path) -> Path:
    """Write the page, self-contained and with every text escaped; return its path."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    frames = {"Summary": result.summary} | ({"Trust": trust(result)} if result.labels else {})
    text = environment.get_template("page.html").render(
        title=f"{len(result.table)} judged by {result.judge}", toy=result.toy, sentence=sentence(result),
        criteria=result.criteria, frames={name: _cells(frame) for name, frame in frames.items()},
        table=_cells(result.table), svg=_svg(result), stamp=artifacts.text_hash(result.table.to_json()), long=LONG,
    )  # fmt: skip
    return write_text_atomic(path, text)


def _cells(frame: pd.DataFrame) -> dict[str, Any]:
    return {"names": [str(name) for name in frame], "rows": [[_cell(v) for v in row] for row in frame.values.tolist()]}


def _cell(value: Any) -> dict[str, Any]:
    """What is shown, and the number by which it is sorted, if it is one."""
    if isinstance(value, (list, tuple, dict)):
        return {"text": ", ".join("–" if each is None else str(each) for each in value), "number": None}
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return {"text": {True: "yes", False: "no", None: ""}.get(value, value), "number": None}
    if isinstance(value, (int, float)):
        nothing = isinstance(value, float) and math.isnan(value)
        return {"text": "" if nothing else f"{value:.4g}", "number": None if nothing else value}
    return {"text": "" if pd.isna(value) else str(value), "number": None}


def _svg(result: Outcome) -> str:
    """The figure as SVG; it is ours, and matplotlib escapes the texts in it."""
    stream = io.StringIO()
    result.figure().savefig(stream, format="svg", metadata={"Date": None})
    return f"<svg{stream.getvalue().partition('<svg')[2]}"
