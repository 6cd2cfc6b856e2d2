"""The page itself: built at the end of a run, self-contained, at most three megabytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..pages import markup, render, svg_address
from ..paper.findings import audit_findings
from ..records import write_text_atomic
from ..scale import Scale
from ..tables.report import LIMITS, counted
from . import contents
from .cards import groups_of_cards
from .stored import Stored, read_stored, source_stamp

NAME = "report.html"
LIMIT = 3_000_000  # bytes
STALE = "not of these files: write it again with `python -m prometheus_lib report`"
TEMPLATE = Path(__file__).with_name("report.html.j2")
_STAMP = re.compile(r'<meta name="sources" content="(\w+)">')


def write_report(scale: Scale) -> Path:
    """Write the report of a scale's run into its folder and return its path; MissingFile where there is no run.

    >>> from prometheus_lib.scale import load_scale
    >>> write_report(load_scale("smoke", "no such folder"))  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    prometheus_lib.records.MissingFile: no such folder/smoke: there is no run here ...
    """
    stored = read_stored(scale)
    return write_text_atomic(stored.root / NAME, report_page(stored))


def report_state(root: Path) -> str:
    """Return "" where a run's report is that of its files, else what is to be said about it.

    >>> report_state(Path("no such run"))
    'not there'
    """
    path = root / NAME
    if not path.is_file():
        return "not there"
    found = _STAMP.search(path.read_text(encoding="utf-8", errors="replace")[:4000])
    return "" if found and found.group(1) == source_stamp(root) else STALE


def report_page(stored: Stored) -> str:
    """Return the whole page; figures that would make it larger than `LIMIT` are left out and named.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     text = report_page(Stored(Path(folder), "smoke", {}, {}, {}, {}, {}, missing=["everything"]))
    >>> "<li>everything</li>" in text
    True
    """
    values = _values(stored)
    room = LIMIT - len(render(TEMPLATE, **values, figures=[], left_out=[]).encode())
    shown, left_out = [], []
    for figure in contents.figures(stored):
        address = svg_address(figure.svg)
        size = len(address) + len(figure.text.encode()) + 1000  # and what stands around it
        if size <= room:
            room -= size
            shown.append((figure, markup(address)))
        else:
            left_out.append(figure.name)
    return render(TEMPLATE, **values, figures=shown, left_out=left_out)


def _values(stored: Stored) -> dict[str, Any]:
    known = stored.ledger is not None
    return {
        "title": f"Prometheus 2 at scale {stored.name}: ours beside the paper's",
        "sources": source_stamp(stored.root), "counts": contents.counts(stored),
        "counted": counted(stored.ledger, stored.evidence) if known else "",
        "findings": contents.findings(stored), "judges": contents.judges_view(stored),
        "groups": groups_of_cards(stored), "hypotheses": contents.experiment_view(stored),
        "worlds": contents.worlds(stored),
        "tables": contents.tables(stored), "audit": audit_findings(), "limits": LIMITS, "not_here": contents.not_here(),
        "missing": stored.missing, "stamp": contents.stamp(stored), "seconds": contents.seconds_view(stored),
        "settings": contents.settings_text(stored),
    }  # fmt: skip
