"""Fetch the released benchmark files, or build a training collection.

    python -m prometheus_lib data                                                fetch (or: make data)
    python -m prometheus_lib data --build preference --from graded.csv --rubric helpfulness --scores 1-10
    python -m prometheus_lib data --build feedback --folder my-feedback          the miniature world's

Released files go to the folder that PROMETHEUS_DATA_DIR names, else to the download cache, where notebooks look for
them. What is there already is left as it is. Auto-J's recorded decisions and the human votes have no single file to
fetch: README's "Real data" says where they are.

A collection is built from a file (CSV, JSON, JSON Lines, Parquet) with the columns instruction, response and score, and
perhaps feedback, reference_answer (both are needed for scores with feedback) and a rubric of the row's own. It is
written as Parquet files with a data card.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..records import DataError
from .benchmarks import SOURCES, download_benchmark
from .building.command import add_options, build_collection
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
    add_options(found)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Build a collection, or fetch every file and say in one line each what came of it; 1 when one could not be had."""
    given = parser().parse_args(arguments)
    if given.build:
        build_collection(given)
        return 0
    if given.source:
        raise DataError("--from names graded responses to build from; add --build feedback or --build preference.")
    folder, missing = data_folder(given.folder), 0
    print(f"released benchmark files, in {folder / 'benchmarks'}:")
    for name in SOURCES:
        try:
            line = get_benchmark(name, folder)
        except DataError as error:
            line, missing = f"not to be had: {error}", missing + 1
        print(f"  {name}: {line}", flush=True)
    return int(missing > 0)
