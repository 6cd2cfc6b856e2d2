"""The command that runs the notebooks: `python -m prometheus_lib run`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import scale
from . import run
from .executing import NotebookFailed


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m prometheus_lib run",
        description=run.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    scale.add_scale_options(found)
    found.add_argument("--from", dest="first", default=None, metavar="NN", help="start at this notebook, e.g. 05")
    found.add_argument("--only", default=None, metavar="NN", help="run this notebook alone")
    found.add_argument("--data", default=None, metavar="DIR", help=f"real data (default: {run.DATA_VARIABLE})")
    found.add_argument("--notebooks", default=None, metavar="DIR", help="the notebooks (default: the project's)")
    found.add_argument("--force", action="store_true", help="run notebooks that are unchanged, too")
    found.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE", help="another parameter")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the notebooks; return 0, or 1 after one clear message where a notebook or a disk failed."""
    options = parser().parse_args(arguments)
    try:
        run.run_notebooks(
            options.scale, options.first, options.only, options.data, options.outputs, options.parameter,
            options.force, options.notebooks, options.base_model, options.rows,
        )  # fmt: skip
    except NotebookFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename or 'a file'}: {error.strerror}; everything finished is kept.", file=sys.stderr)
        return 1
    return 0
