"""Fetch the released benchmark files: `python -m prometheus_lib data` (or `make data`).

They go to the folder that PROMETHEUS_DATA_DIR names, else to the download cache, where notebooks look for them. What is
there already is left as it is. Auto-J's recorded decisions and the human votes have no single file to fetch: README's
"Real data" says where they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..records import DataError
from .benchmarks import SOURCES, download_benchmark
from .download import data_folder, places


def get_benchmark(name: str, folder: Path) -> str:
    """Fetch a benchmark into a folder's `benchmarks/` unless it is there; return what came of it, as one line.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = (Path(folder) / "benchmarks").mkdir()
    ...     file = Path(folder) / "benchmarks" / SOURCES["vicuna_bench"].files[0]
    ...     written = file.write_text("[]")
    ...     get_benchmark("vicuna_bench", Path(folder))
    'there already'
    """
    if any(place.exists() for place in places(SOURCES[name], folder)):
        return "there already"
    return f"fetched, {download_benchmark(name, folder).stat().st_size / 1e6:.1f} MB"


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m prometheus_lib data", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--folder", default=None, metavar="DIR", help="where the files go")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch every file, say in one line each what came of it, and return 1 when one could not be had, else 0."""
    folder, missing = data_folder(parser().parse_args(arguments).folder), 0
    print(f"released benchmark files, in {folder / 'benchmarks'}:")
    for name in SOURCES:
        try:
            line = get_benchmark(name, folder)
        except DataError as error:
            line, missing = f"not to be had: {error}", missing + 1
        print(f"  {name}: {line}", flush=True)
    return int(missing > 0)
