"""Run the notebooks in order: `python -m prometheus_lib run --scale mini [--from 05] [--only 06]`.

Executed notebooks are kept in the run's folder `notebooks`; one that fails is kept as `<name>.failed.ipynb`. A notebook
is skipped when nothing it depends on has changed since it ran: the notebook, the library, its parameters, the real
data, what earlier notebooks wrote, and its own files. Training, merging and judging skip what is there in the same way.
Notebooks that do not need each other's files run side by side, one for each core. At the end the run's results are
written as one page, `report.html`, whatever part of them is there.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import scale
from ..data import DATA_VARIABLE
from ..pipeline import start_from_committed
from ..planning import check_ready
from ..records import DataError
from ..report import write_report
from .executing import execute_all
from .manifest import describe_settings, timing_table, write_manifest
from .needs import check_needs
from .notebooks import READERS, check_parameters, choose, given_parameters, notebook_files, stages
from .skipping import RunRecord, files_below, inputs_hash
from .withholding import withheld_files


def run_notebooks(
    name: str,
    first: str | None = None,
    only: str | None = None,
    data: str | None = None,
    outputs: str | None = None,
    parameters: Sequence[str] = (),
    force: bool = False,
    notebooks: str | None = None,
    base_model: str = "",
    rows: int = 0,
) -> dict[str, float]:
    """Run the chosen notebooks (one named by `only` always), write manifest and page, return seconds per notebook.

    `name` may be the path of a scale file. Raises DataError for an unknown scale, notebook, parameter or folder, and
    NotebookFailed when a cell fails.

    >>> run_notebooks("no-such-scale")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    ...
    prometheus_lib.records.DataError: the scale is unknown
    >>> seconds = run_notebooks("smoke", first="06")  # doctest: +SKIP
    """
    settings = scale.load_scale(name, outputs, base_model, rows)
    chosen = choose(notebook_files(notebooks), first, only)
    given, real_data = given_parameters(chosen, parameters), data_folder(data)
    named = name if name in scale.SCALES else str(scale.scale_file(name))  # notebooks run in a folder of their own
    values = {**given, "SCALE": named, "OUTPUTS": str(settings.paths.root.parent)}
    # Only where one is given, so that notebooks of one's own need not know them.
    values |= {"BASE_MODEL": settings.base_model} if base_model else {}
    values |= {"ROWS": rows} if rows else {}
    check_ready(settings, [notebook.stem[:2] for notebook in chosen])
    for notebook in chosen:
        check_parameters(notebook, values)
    inputs = inputs_hash(describe_settings(settings), given, real_data, settings.base_model)
    _say_where(settings.paths.root)
    if chosen[0].stem[:2] in READERS:
        start_from_committed(settings)
    check_needs(chosen, settings.paths.root, named)
    start, seconds = time.perf_counter(), {}
    for stage in stages(chosen):
        waiting = _waiting(stage, settings.paths.root, inputs, everything=bool(force or only))
        _run_stage(waiting, settings, values, real_data, seconds)
    print(timing_table(seconds, time.perf_counter() - start))
    print(f"results in {shown(settings.paths.root)}; to read and to send: {shown(write_report(settings))}")
    return seconds


def _say_where(root: Path) -> None:
    """Say that results are written over the committed ones where that is what was asked for."""
    if root.parent == scale.committed_outputs() and root.is_dir():
        print(f"note: this run is written over the committed one in {shown(root)}.", file=sys.stderr)


def shown(path: Path) -> str:
    """Return a path as a reader knows it: from the current folder on, where it lies below that.

    >>> shown(Path.cwd() / "my-outputs")
    'my-outputs'
    """
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _waiting(stage: Sequence[Path], root: Path, inputs: str, everything: bool) -> dict[Path, RunRecord]:
    """Return the notebooks of a stage that must run, each with its record, and say which are skipped."""
    found = {notebook: RunRecord(root, notebook, inputs) for notebook in stage}
    waiting = {notebook: record for notebook, record in found.items() if everything or not record.is_current()}
    for notebook in sorted(set(found) - set(waiting)):
        print(f"{notebook.stem}: unchanged, skipped", file=sys.stderr)
    return waiting


def _run_stage(
    waiting: dict[Path, RunRecord],
    settings: scale.Scale,
    values: dict[str, Any],
    real_data: str,
    seconds: dict[str, float],
) -> None:
    """Run a stage's notebooks; add their seconds, record what each wrote (also where another failed)."""
    if not waiting:
        return
    before = files_below(settings.paths.root)
    try:
        hidden = withheld_files(settings, real_data)
        for notebook, took in execute_all(list(waiting), settings.paths.notebooks, values, real_data, hidden):
            seconds[notebook.stem] = round(took, 1)
    finally:
        for notebook, record in waiting.items():
            if notebook.stem in seconds:
                record.write(before)
    write_manifest(settings, seconds)


def data_folder(data: str | None) -> str:
    """Return the absolute folder of real data, or "" when none is named; DataError when it does not exist."""
    value = data or os.environ.get(DATA_VARIABLE, "")
    if value and not Path(value).expanduser().is_dir():
        raise DataError(f"{value}: this data folder does not exist; correct --data or {DATA_VARIABLE}.")
    return str(Path(value).expanduser().resolve()) if value else ""
