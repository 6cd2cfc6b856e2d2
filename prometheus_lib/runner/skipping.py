"""Which notebooks need not run: what each was run from, which files it wrote, and whether both are as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .. import artifacts, records
from ..report import NAME as REPORT_PAGE
from ..scale.reading import COMMITTED_OUTPUTS, OWN_OUTPUTS
from .notebooks import READS, stage_of

OUTPUT_FOLDERS = (COMMITTED_OUTPUTS, OWN_OUTPUTS)


class RunRecord:
    """What a notebook was run from and which files it wrote, so that an unchanged notebook can be skipped."""

    def __init__(self, root: Path, notebook: Path, inputs: str):
        self.root, self.folder = root, root / ".runs"
        self.path = self.folder / f"{notebook.stem}.json"
        self.inputs = artifacts.text_hash(
            inputs, artifacts.file_hash(notebook), *read_besides(notebook, artifacts.project_folder())
        )
        self.stage = stage_of(notebook)

    def earlier(self) -> str:
        """Identify what the notebooks of earlier stages recorded."""
        found = [path for path in sorted(self.folder.glob("*.json")) if path.name[:2] < self.stage[0]]
        return artifacts.text_hash([json.loads(path.read_text(encoding="utf-8"))["files"] for path in found])

    def is_current(self) -> bool:
        """Tell whether the notebook ran from these inputs and everything it wrote is still there as it left it."""
        if not self.path.exists():
            return False
        record = json.loads(self.path.read_text(encoding="utf-8"))
        if (record["inputs"], record["earlier"]) != (self.inputs, self.earlier()):
            return False
        return all(
            (self.root / name).exists() and _size_and_time(self.root / name) == seen
            for name, seen in record["files"].items()
        )

    def write(self, before: dict[str, list[int]]) -> None:
        """Record the run: the files written or changed since `before` (by its stage), and those recorded earlier."""
        known = json.loads(self.path.read_text(encoding="utf-8"))["files"] if self.path.exists() else {}
        now = files_below(self.root)
        files = {name: seen for name, seen in now.items() if before.get(name) != seen or name in known}
        record = {"inputs": self.inputs, "earlier": self.earlier(), "files": files}
        records.write_text_atomic(self.path, json.dumps(record, indent=1) + "\n")


def read_besides(notebook: Path, root: Path) -> list[list[Any]]:
    """Describe what a notebook reads of a project beside its run: the results of experiments."""
    pattern = READS.get(notebook.stem[:2])
    files = [file for place in OUTPUT_FOLDERS for file in sorted((root / place).glob(pattern))] if pattern else []
    return [[file.name, *_size_and_time(file)] for file in files]


def files_below(root: Path) -> dict[str, list[int]]:
    """Return size and time of every file of a run, except executed notebooks, records, locks and the page."""
    left_out = {"notebooks", ".runs", "manifest.json", REPORT_PAGE}  # the page is written anew by every run
    paths = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".lock"]
    kept = [path for path in paths if path.relative_to(root).parts[0] not in left_out]
    return {path.relative_to(root).as_posix(): _size_and_time(path) for path in kept}


def inputs_hash(settings: dict[str, Any], parameters: dict[str, str], *folders: str) -> str:
    """Identify what every notebook of a run depends on: library, scale, parameters, real data and the base model."""
    return artifacts.text_hash(library_files(), settings, parameters, *map(_listing, folders))


def library_files() -> list[tuple[str, str]]:
    """Return name (below the library's folder) and hash of every file of the library."""
    root = Path(__file__).parent.parent
    found = sorted(path for path in root.rglob("*") if path.suffix != ".pyc" and path.is_file())
    return [(path.relative_to(root).as_posix(), artifacts.file_hash(path)) for path in found]


def _size_and_time(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _listing(folder: str) -> list[Any]:
    """Describe a folder (none: nothing) by names, sizes and times."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file()) if folder else []
    return [(path.name, *_size_and_time(path)) for path in paths]
