"""`python -m prometheus_lib report`: one page of a run, self-contained, to read, to print and to send."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ..scale import READ, add_scale_options, stored_scale
from .page import write_report


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    found = argparse.ArgumentParser(prog="python -m prometheus_lib report", description=__doc__)
    add_scale_options(found, READ)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page of a scale's run and say where it lies; return 0. DataError where there is no run."""
    given = parser().parse_args(arguments)
    path = write_report(stored_scale(given.scale, given.outputs, given.base_model, given.rows))
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0
