"""What a run left for its report; whatever is missing is named, whatever is damaged is an error."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from .. import artifacts
from ..records import DataError, MissingFile
from ..scale import Scale
from ..tables.files import load_table
from ..tables.registry import ENTRIES, file_name
from ..tables.worlds import REPORT, read_claims

JUDGMENTS, EXPERIMENT = "05", "11"


@dataclass(frozen=True)
class Stored:
    """A run as it lies in its folder: `metrics` by notebook, `cells` by table, figures by name, the manifest.

    `ledger` and `evidence` are those of the report's notebook, None before it has run; `missing` has a line for each
    part that is not there.

    >>> Stored(Path("outputs/mini"), "mini", {}, {}, {}, {}, {}).ledger is None
    True
    """

    root: Path
    name: str
    metrics: dict[str, dict[str, Any]]
    cells: dict[str, pd.DataFrame]
    figures: dict[str, Path]
    notebooks: dict[str, dict[str, Any]]
    manifest: dict[str, Any]
    ledger: pd.DataFrame | None = None
    evidence: pd.DataFrame | None = None
    missing: list[str] = field(default_factory=list)


def read_stored(scale: Scale) -> Stored:
    """Read what a scale's run left; MissingFile where there is no run at all, DataError for a damaged file.

    >>> from prometheus_lib.scale import load_scale
    >>> read_stored(load_scale("smoke", "no such folder"))  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    prometheus_lib.records.MissingFile: no such folder/smoke: there is no run here ...
    """
    paths = scale.paths
    if not paths.root.is_dir():
        raise MissingFile(
            f"{paths.root}: there is no run here; make one with `python -m prometheus_lib run --scale {scale.name}`."
        )
    metrics = {path.stem: _json(path) for path in sorted(paths.metrics.glob("[0-9][0-9].json"))}
    cells = {number: load_table(number, paths.tables) for number in ENTRIES if _table(paths.tables, number).is_file()}
    figures = {path.stem: path for path in sorted(paths.figures.glob("*.svg"))}
    notebooks = {path.name: _json(path) for path in _executed(paths.notebooks)}
    manifest = _json(paths.root / "manifest.json") if (paths.root / "manifest.json").is_file() else {}
    claims = read_claims(paths.metrics / f"{REPORT}.json") if REPORT in metrics else (None, None)
    stored = Stored(paths.root, scale.name, metrics, cells, figures, notebooks, manifest, *claims)
    return _with_missing(stored)


def source_files(root: Path) -> list[Path]:
    """Return the files of a run that its report is made from, in a fixed order."""
    patterns = (
        "manifest.json",
        "metrics/[0-9][0-9].json",
        "tables/*.csv",
        "figures/*.svg",
        "notebooks/[0-9][0-9]_*.ipynb",
    )
    found = [path for pattern in patterns for path in sorted(root.glob(pattern))]
    return [path for path in found if not path.name.endswith((".running.ipynb", ".failed.ipynb"))]


def source_stamp(root: Path) -> str:
    """Return a hash of what a report is made from: it says whether a report is that of these files."""
    return artifacts.text_hash(
        [(path.relative_to(root).as_posix(), artifacts.file_hash(path)) for path in source_files(root)]
    )


def _table(folder: Path, number: str) -> Path:
    return folder / f"{file_name(number)}.csv"


def _executed(folder: Path) -> list[Path]:
    return [path for path in source_files(folder.parent) if path.suffix == ".ipynb"]


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); run the notebook that writes it again.") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: not an object of JSON; run the notebook that writes it again.")
    return found


def _with_missing(found: Stored) -> Stored:
    lines = found.missing
    if found.ledger is None:
        lines.append("claims: the notebook of the report has not run")
    lines += [str(line) for line in found.metrics.get(REPORT, {}).get("left_out", [])]
    if absent := [file_name(number) for number in ENTRIES if number not in found.cells]:
        lines.append(f"tables: {', '.join(absent)}")
    lines += [f"{name}: none" for name in ("figures", "notebooks") if not getattr(found, name)]
    if not found.manifest:
        lines.append("manifest.json: settings, machine and time are not known (the notebooks were run by hand)")
    return found
