"""The project's notebooks: where they are, which to run, which parameters they know, which may run side by side."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from .. import artifacts
from ..records import DataError

OPTIONS = {
    "SCALE": "--scale",
    "OUTPUTS": "--outputs",
    "DATA_DIR": "--data",
    "BASE_MODEL": "--base-model",
    "ROWS": "--rows",
}
READERS = ("06", "07", "08", "09", "10")  # need nothing but judgments
READS = {"11": "experiments/*/*.json"}  # what a notebook reads beside its run, below both folders of outputs
TOGETHER = (("00", "01"), ("06", "07", "08", "09"), ("10", "11", "12"))


def notebook_files(folder: str | Path | None = None) -> list[Path]:
    """Return the notebooks of a folder (default: the project's) in order; DataError when there are none."""
    place = Path(folder) if folder else artifacts.project_folder() / "notebooks"
    found = artifacts.numbered_notebooks(place.resolve())
    if not found:
        raise DataError(
            f"{place}: no notebooks here (00_*.ipynb and so on). They are not installed with the library: run this "
            "command in a clone of the repository, or name their folder with --notebooks."
        )
    return found


def choose(notebooks: Sequence[Path], first: str | None, only: str | None) -> list[Path]:
    """Return the notebooks from number `first` on, or the one with number `only`; DataError for an unknown number.

    >>> [path.name for path in choose([Path("05_a"), Path("06_b"), Path("07_c")], "06", None)]
    ['06_b', '07_c']
    >>> [path.name for path in choose([Path("05_a"), Path("06_b")], None, "6")]
    ['06_b']
    """
    known = [path.stem[:2] for path in notebooks]
    for number in filter(None, (first, only)):
        if _two_digits(number) not in known:
            raise DataError(f"unknown notebook {number!r}; choose one of {', '.join(known)}.")
    if only:
        return [path for path in notebooks if path.stem[:2] == _two_digits(only)]
    return [path for path in notebooks if path.stem[:2] >= _two_digits(first or "")]


def _two_digits(number: str) -> str:
    """Return how a notebook's name begins: "06" for "6", "06" and "06_direct_assessment"."""
    digits = re.match(r"\d*", number).group()
    return digits.zfill(2) if digits else number[:2]


def given_parameters(notebooks: Sequence[Path], pairs: Sequence[str]) -> dict[str, str]:
    """Return the parameters of `--parameter NAME=VALUE`; DataError for one that a notebook lacks or an option sets.

    papermill would take an unknown one in silence. SCALE, OUTPUTS and DATA_DIR decide where results go and are read
    from, so the options that also choose the folders are the one way to set them.

    >>> given_parameters([], ["SCALE=mini"])
    Traceback (most recent call last):
    ...
    prometheus_lib.records.DataError: --parameter SCALE=mini: set this with --scale.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise DataError(f"--parameter {pair!r}: write it as NAME=VALUE.")
        if name in OPTIONS:
            raise DataError(f"--parameter {pair}: set this with {OPTIONS[name]}.")
        if name in values:
            raise DataError(f"--parameter {name} is given twice: {values[name]!r} and {value!r}.")
        values[name] = value
    for notebook in notebooks:
        check_parameters(notebook, [*values, "SCALE", "OUTPUTS"])
    return values


def check_parameters(notebook: Path, names: Iterable[str]) -> None:
    """Raise DataError when the notebook's parameters cell does not know one of the names."""
    known = known_parameters(notebook)
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise DataError(f"{notebook.name}: unknown parameters {unknown}; it knows {known}.")


def known_parameters(notebook: Path) -> list[str]:
    """Return the names that the notebook's cell tagged `parameters` assigns (papermill asks for the kernel's name)."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    statements = [statement for source in sources for statement in ast.parse(source).body]
    targets = [target for statement in statements for target in getattr(statement, "targets", [])]
    return sorted(target.id for target in targets if isinstance(target, ast.Name))


def stage_of(notebook: Path) -> tuple[str, ...]:
    """Return the numbers of the notebooks that may run beside this one, its own among them.

    >>> stage_of(Path("07_pairwise_ranking.ipynb"))
    ('06', '07', '08', '09')
    """
    number = notebook.stem[:2]
    return next((group for group in TOGETHER if number in group), (number,))


def stages(notebooks: Sequence[Path]) -> list[list[Path]]:
    """Cut the notebooks, in order, into stages; those of one stage may run side by side.

    >>> [[path.name for path in stage] for stage in stages([Path("05_a"), Path("06_b"), Path("07_c"), Path("10_d")])]
    [['05_a'], ['06_b', '07_c'], ['10_d']]
    """
    result: list[list[Path]] = []
    for notebook in notebooks:
        together = stage_of(notebook)
        if result and result[-1][0].stem[:2] in together:
            result[-1].append(notebook)
        else:
            result.append([notebook])
    return result
