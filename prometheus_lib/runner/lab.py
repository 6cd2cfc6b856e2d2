"""Open the notebooks in JupyterLab as copies to work in: `python -m prometheus_lib lab` (or `make lab`).

JupyterLab saves outputs into the notebook that is open, so the project's own, which are kept without outputs, are not
opened. The copies lie in `my-outputs/lab` and run in this Python, whatever kernels are registered on the machine. A
copy whose cells you have changed stays yours; any other follows the project's notebook.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import artifacts
from ..records import write_text_atomic
from .kernel import ENCRYPTION
from .notebooks import notebook_files
from .run import shown

FOLDER = "my-outputs/lab"
ORIGINS = ".origins.json"  # what the copies were taken from, beside them


def working_copies(folder: str | Path | None = None, notebooks: str | Path | None = None) -> tuple[Path, list[str]]:
    """Copy the project's notebooks into a folder; return it, and the names of copies that were changed and are kept.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     copies, kept = working_copies(folder)
    ...     (copies / "00_start_here.ipynb").is_file(), kept
    (True, [])
    """
    place, sources = Path(folder) if folder else artifacts.project_folder() / FOLDER, notebook_files(notebooks)
    place.mkdir(parents=True, exist_ok=True)
    origins = _origins(place)
    kept = []
    for source in sources:
        copy, new = place / source.name, _cells_hash(source)
        if copy.is_file() and origins.get(source.name) == new:
            continue  # with what it shows, and with changes
        if copy.is_file() and _cells_hash(copy) not in (new, origins.get(source.name)):
            kept.append(source.name)
            continue
        write_text_atomic(copy, source.read_text(encoding="utf-8"))
        origins[source.name] = new
    write_text_atomic(place / ORIGINS, json.dumps(origins, indent=1))
    return place, kept


def _origins(place: Path) -> dict[str, str]:
    try:
        return json.loads((place / ORIGINS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _cells_hash(notebook: Path) -> str:
    """Return what stands for a notebook's cells without their outputs; "" for a file that is no notebook."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return artifacts.text_hash(*((cell["cell_type"], "".join(cell["source"])) for cell in cells))
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def lab_command(folder: Path, arguments: Sequence[str] = ()) -> list[str]:
    """Return the command that starts JupyterLab in a folder, with this Python as its only kernel.

    >>> "--no-browser" in lab_command(Path("copies"), ["--no-browser"])
    True
    """
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return [
        sys.executable, "-m", "jupyterlab", str(folder),
        "--ServerApp.kernel_spec_manager_class=prometheus_lib.runner.kernel.OwnKernels",
        f"--KernelManager.transport_encryption={ENCRYPTION}", *as_root, *arguments,
    ]  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m prometheus_lib lab", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Other options go to JupyterLab, such as --no-browser or --port 8889.",
    )  # fmt: skip
    found.add_argument("--folder", default=None, metavar="DIR", help=f"where the copies lie (default: {FOLDER})")
    found.add_argument("--notebooks", default=None, metavar="DIR", help="the notebooks (default: the project's)")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Copy what is not there yet, start JupyterLab, and return its exit status."""
    options, others = parser().parse_known_args(arguments)
    folder, kept = working_copies(options.folder, options.notebooks)
    print(f"copies to work in: {shown(folder)}")
    for name in kept:
        print(f"kept as you changed it, though the project's has changed too: {name} (delete it to get the new one)")
    return subprocess.call(lab_command(folder, others))
