"""Reading result files: which cells are there, and each arm's outcomes as arrays of seeds and instructions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..artifacts import project_folder
from ..metrics.columns import Floats
from ..metrics.runs import over_runs
from ..records import DataError
from ..scale.reading import COMMITTED_OUTPUTS, OWN_OUTPUTS
from .cells import CellJob
from .design import Design

# Two seeds that agree by accident give an interval of no width: a single comparison is read from three seeds on.
FEWEST_SEEDS = 3

Results = Mapping[tuple[str, int], Mapping[str, Any]]  # by cell and seed


def result_folders(design: Design, outputs: str | Path | None = None) -> list[Path]:
    """Return the folders in which a design's results are looked for: your own, then the committed ones.

    >>> from .design import read_design
    >>> [folder.parent.parent.name for folder in result_folders(read_design("map"))]
    ['my-outputs', 'outputs']
    """
    root = project_folder()
    places = dict.fromkeys([Path(outputs) if outputs else root / OWN_OUTPUTS, root / COMMITTED_OUTPUTS])
    return [place / "experiments" / design.name for place in places]


def read_results(jobs: Iterable[CellJob]) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the results that are there by cell and seed; one of other settings, data or base model is left out.

    DataError for a damaged file.

    >>> read_results([])
    {}
    """
    found = {}
    for job in jobs:
        if job.file.is_file():
            result = _read(job.file)
            if result.get("stamp") == job.stamp():
                found[job.cell, job.seed] = result
    return found


def _read(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file}: not valid JSON ({error}); delete it, and its cell is run again.") from error


def known_results(design: Design, outputs: str | Path | None = None) -> dict[tuple[str, int], dict[str, Any]]:
    """Return a design's results from all its folders, your own before the committed ones.

    >>> from .design import read_design
    >>> all(cell in read_design("map").cells for cell, _ in known_results(read_design("map")))
    True
    """
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for folder in reversed(result_folders(design, outputs)):
        jobs = (CellJob(design, cell, seed, folder, folder) for cell in design.cells for seed in design.seeds)
        found |= read_results(jobs)
    return found


def coverage(design: Design, results: Results) -> pd.DataFrame:
    """Return how many seeds of every cell are there: one row per cell in the order of the design.

    >>> from .design import read_design
    >>> coverage(read_design("map"), {("paper", 1): {}}).loc["paper"].tolist()
    [1, 5]
    """
    rows = {cell: sum((cell, seed) in results for seed in design.seeds) for cell in design.cells}
    return pd.DataFrame({"seeds there": rows, "of": len(design.seeds)}).rename_axis("cell")


def missing(design: Design, results: Results) -> str:
    """Return one sentence: how much of the grid is there, and which cells are not, or not with all seeds.

    >>> from .design import read_design
    >>> missing(read_design("map"), {})
    'Nothing of the grid is there yet: 16 cells of 5 seeds are to be run.'
    """
    there = coverage(design, results)["seeds there"]
    wanted = len(there) * len(design.seeds)
    if not there.sum():
        return f"Nothing of the grid is there yet: {len(there)} cells of {len(design.seeds)} seeds are to be run."
    few = [f"{cell} ({seeds})" for cell, seeds in there.items() if seeds < len(design.seeds)]
    rest = f"; not all seeds, or none, of: {', '.join(few)}" if few else ""
    return f"{there.sum()} of {wanted} results are there{rest}."


def outcome_table(results: Results, cell: str, arm: str, measure: str, seeds: Sequence[int]) -> Floats:
    """Return an arm's outcomes in percent, shaped (seeds that are there, instructions); an unreadable answer is wrong.

    >>> results = {("paper", 1): {"arms": {"linear": {"exact": "10-1"}}}}
    >>> outcome_table(results, "paper", "linear", "exact", [1, 2]).tolist()
    [[100.0, 0.0, 0.0, 100.0]]
    """
    rows = [results[cell, seed]["arms"][arm][measure] for seed in seeds if (cell, seed) in results]
    return np.array([[100.0 * (each == "1") for each in row] for row in rows])


def arm_table(design: Design, results: Results) -> pd.DataFrame:
    """Return every arm of every cell that is there: mean and 95 % interval over seeds, and the unreadable answers.

    Columns: cell, arm, measure, mean, low, high (percent), seeds, unreadable (percent).

    >>> from .design import read_design
    >>> arm_table(read_design("map"), {}).empty
    True
    """
    return pd.DataFrame([
        _arm_row(design, results, cell, arm, measure)
        for cell in design.cells if any((cell, seed) in results for seed in design.seeds)
        for arm in design.arms for measure in design.measures
    ])  # fmt: skip


def _arm_row(design: Design, results: Results, cell: str, arm: str, measure: str) -> dict[str, Any]:
    table = outcome_table(results, cell, arm, measure, design.seeds)
    texts = "".join(results[cell, seed]["arms"][arm][measure] for seed in design.seeds if (cell, seed) in results)
    found = over_runs(table)
    low, high = found.interval()
    return {
        "cell": cell, "arm": arm, "measure": measure, "mean": found.mean, "low": low, "high": high,
        "seeds": found.runs, "unreadable": 100 * texts.count("-") / len(texts),
    }  # fmt: skip


def grid_table(design: Design, results: Results, measure: str) -> pd.DataFrame:
    """Return every arm's mean and half the width of its 95 % interval over seeds, as text: one row for every cell.

    Fewer than three seeds have no interval; cells that have not been run say so. Unreadable answers are wrong ones.

    >>> from .design import read_design
    >>> grid_table(read_design("map"), {}, "exact").loc["paper", "linear"]
    'not run'
    """
    rows = {
        cell: {arm: _cell_text(outcome_table(results, cell, arm, measure, design.seeds)) for arm in design.arms}
        for cell in design.cells
    }
    return pd.DataFrame(rows).T.rename_axis("cell")


def _cell_text(table: Floats) -> str:
    if not table.size:
        return "not run"
    found = over_runs(table)
    return f"{found.mean:.1f}" + (f" ± {found.interval()[1] - found.mean:.1f}" if found.runs >= FEWEST_SEEDS else "")
