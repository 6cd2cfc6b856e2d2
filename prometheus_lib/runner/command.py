"""The command line that runs the notebooks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import scale
from ..records import DataError
from . import run
from .executing import NotebookFailed


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give a parser the options of `run`."""
    scale.add_scale_options(parser)
    parser.add_argument("--from", dest="first", default=None, metavar="NN", help="start at this notebook, e.g. 05")
    parser.add_argument("--only", default=None, metavar="NN", help="run this notebook alone")
    parser.add_argument("--data", default=None, metavar="DIR", help=f"real data (default: {run.DATA_VARIABLE})")
    parser.add_argument("--outputs", default=None, metavar="DIR", help="where results go (default: my-outputs)")
    parser.add_argument("--notebooks", default=None, metavar="DIR", help="the notebooks (default: the project's)")
    parser.add_argument("--force", action="store_true", help="run notebooks that are unchanged, too")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE", help="another parameter")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 1 after one clear message."""
    parser = argparse.ArgumentParser(
        prog="python -m prometheus_lib run",
        description=run.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    options = parser.parse_args(arguments)
    try:
        run.run_notebooks(
            options.scale, options.first, options.only, options.data, options.outputs, options.parameter,
            options.force, options.notebooks, options.base_model, options.rows,
        )  # fmt: skip
    except (DataError, NotebookFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename or 'a file'}: {error.strerror}; everything finished is kept.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    return 0
