"""`python -m prometheus_lib map`: run a designed experiment, all of it or a part, and say what is there.

A stopped run goes on with the same command. Results are small files, one for each cell and seed, in
my-outputs/experiments/<design>/; the committed ones lie in outputs/experiments/ and are written when --outputs names
that folder. Base models and half-trained experts are kept beside your own results, in the folder `work`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..artifacts import project_folder
from ..scale.reading import OWN_OUTPUTS
from .cells import CellJob
from .design import read_design
from .results import coverage, known_results, result_folders
from .running import estimate, jobs_of, run_design, waiting


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m prometheus_lib map", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--design", default="map", help="a design of the library or a TOML file (default: map)")
    found.add_argument("--cells", default="", help="cells to run, with commas between them (default: all)")
    found.add_argument("--seeds", default="", help="seeds to run, with commas between them (default: all)")
    found.add_argument("--limit-minutes", type=float, help="begin no further cell after so long")
    found.add_argument("--workers", type=int, default=2, help="processes, one core each (default: 2)")
    found.add_argument("--outputs", type=Path, help="where results go (default: my-outputs)")
    found.add_argument("--plan", action="store_true", help="say what is there and how long the rest takes, run nothing")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when nothing of what was asked for is missing, 3 when the time was up before."""
    given = parser().parse_args(arguments)
    design = read_design(given.design)
    folder = result_folders(design, given.outputs)[0]
    work = project_folder() / OWN_OUTPUTS / "experiments" / "work"
    jobs = jobs_of(design, folder, work, _list(given.cells), map(int, _list(given.seeds)))
    todo = waiting(jobs)
    _say(jobs, todo, estimate(todo, known_results(design, given.outputs), given.workers), given.workers)
    if given.plan:
        return 0
    left = run_design(jobs, given.workers, given.limit_minutes)
    print(coverage(design, known_results(design, given.outputs)).to_string())
    if left:
        print(f"time is up: {len(left)} of {len(jobs)} still to do; the same command goes on from here.")
    return 3 if left else 0


def _say(jobs: Sequence[CellJob], todo: Sequence[CellJob], seconds: float, workers: int) -> None:
    print(
        f"{jobs[0].design.title} {len(jobs)} results wanted, {len(jobs) - len(todo)} there, {len(todo)} to do: "
        f"about {seconds / 60:.0f} minutes with {workers} processes, beside the base models that some cells need.",
        file=sys.stderr,
    )


def _list(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]
