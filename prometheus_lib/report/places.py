"""Where a number comes from: the cell of an executed notebook, and the function of the library that measures it."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..artifacts import project_folder
from ..tables import claim_measures
from .stored import Stored


class Place(NamedTuple):
    """A piece of code: what it is called, its address from the report on ("" where it has none), and its text.

    >>> Place("cell", "", "1 + 1").address
    ''
    """

    name: str
    address: str
    text: str


class Cell(NamedTuple):
    """A code cell of an executed notebook, with the heading that it stands under."""

    notebook: str
    heading: str
    id: str
    source: str
    shown: str

    @property
    def place(self) -> Place:
        """Return the cell as a place; JupyterLab goes to the cell that an address names."""
        return Place(f"{self.notebook}, {self.heading}", f"notebooks/{self.notebook}#cell-id={self.id}", self.source)


def code_cells(stored: Stored) -> Iterator[Cell]:
    """Yield the code cells of a run's executed notebooks in order."""
    for name, notebook in stored.notebooks.items():
        heading = ""
        for cell in notebook.get("cells", []):
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                titles = re.findall(r"^#+ (.+)$", source, re.MULTILINE)
                heading = titles[-1].strip() if titles else heading
            elif cell["cell_type"] == "code":
                yield Cell(name, heading, cell.get("id", ""), source, _output_text(cell))


def _output_text(cell: dict[str, Any]) -> str:
    parts = []
    for output in cell.get("outputs", []):
        parts += [output.get("text", ""), output.get("data", {}).get("text/plain", "")]
    return "\n".join("".join(part) for part in parts)


def cells_of_claims(stored: Stored) -> dict[str, Place]:
    """Return for each claim the first cell that shows it."""
    found: dict[str, Place] = {}
    ids = set() if stored.ledger is None else set(stored.ledger.index)
    for cell in code_cells(stored):
        for id in ids.intersection(re.findall(r"\b[A-Z]\d\d\b", cell.shown)):
            found.setdefault(id, cell.place)
    return found


def cells_of_figures(stored: Stored) -> dict[str, Place]:
    """Return for each figure the cell that saves it: the one that names it, or whose pattern its name fits."""
    found: dict[str, Place] = {}
    for cell in code_cells(stored):
        for prefix, name in re.findall(r'save\w*\([^\n]*?(f?)"([\w{][^"\n]*?)"\)', cell.source):
            pattern = re.sub(r"\\\{.*?\\\}|\{.*?\}", ".+", re.escape(name) if not prefix else name)
            for figure in stored.figures:
                if re.fullmatch(pattern, figure):
                    found.setdefault(figure, cell.place)
    return found


def measure_place(measure: str, root: Path) -> Place:
    """Return the function that measures a claim; what a function returned, by the function that returned it."""
    name = claim_measures.MEASURED[measure].__qualname__.partition(".")[0]
    function = getattr(claim_measures, name)
    lines, first = inspect.getsourcelines(function)
    file = Path(inspect.getsourcefile(function))
    return Place(f"{name}, {_in_project(file)}, line {first}", _address(file, root, first), "".join(lines))


def _in_project(file: Path) -> str:
    return "/".join(file.parts[file.parts.index("prometheus_lib") :])


def _address(file: Path, root: Path, line: int) -> str:
    """A file's address from the report on: only inside the project, which moves as one."""
    project = project_folder().resolve()
    if not (file.resolve().is_relative_to(project) and root.resolve().is_relative_to(project)):
        return ""
    return f"{Path(os.path.relpath(file.resolve(), root.resolve())).as_posix()}#L{line}"
