"""README's section "What came out", written from the committed run: `python -m prometheus_lib readme`.

The text is made by notebook and registry (`tables.report.summary`) and stored with the run's other numbers; this
command only copies it between two marks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from ..artifacts import project_folder
from ..records import DataError, MissingFile, write_text_atomic
from ..scale import committed_outputs

START, END = "<!-- what came out: python -m prometheus_lib readme -->", "<!-- end of what came out -->"
SOURCE, ENTRY = "metrics/10.json", "what_came_out"


def what_came_out(root: Path) -> str:
    """Return the text that a run's report left; MissingFile where there is none.

    >>> what_came_out(Path("no such run"))
    Traceback (most recent call last):
        ...
    prometheus_lib.records.MissingFile: no such run/metrics/10.json: no summary there; run the notebook of the report.
    """
    path = root / SOURCE
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if ENTRY not in found:
        raise MissingFile(f"{path}: no summary there; run the notebook of the report.")
    return found[ENTRY]


def with_block(text: str, block: str) -> str:
    """Return a document with the block between the marks; DataError where the marks are not there once, in order.

    >>> with_block(f"Before.\\n{START}\\nold\\n{END}\\nAfter.", "new").splitlines()[2]
    'new'
    """
    if not (text.count(START) == text.count(END) == 1 and text.index(START) < text.index(END)):
        raise DataError(f"README.md needs the lines {START!r} and {END!r} once each, in this order")
    before, rest = text.split(START)
    return f"{before}{START}\n{block}\n{END}{rest.split(END)[1]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the block of README.md from the committed run of a scale; return 0."""
    parser = argparse.ArgumentParser(prog="python -m prometheus_lib readme", description=__doc__)
    parser.add_argument("--scale", default="mini", help="whose committed run (default: mini)")
    path = project_folder() / "README.md"
    block = what_came_out(committed_outputs() / parser.parse_args(arguments).scale)
    write_text_atomic(path, with_block(path.read_text(encoding="utf-8"), block))
    print(f"{path.name}: what came out, {len(block.splitlines())} lines")
    return 0
