"""`python -m prometheus_lib COMMAND`: everything that is done from the command line."""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Sequence

from .records import DataError

# Each command's module is imported when it is asked for: help needs none of them.
COMMANDS = {
    "run": ("prometheus_lib.runner.command", "run the notebooks in order, or some of them"),
    "plan": ("prometheus_lib.planning.command", "tell what a run would take: tokens, memory, disk, hours, dollars"),
    "lab": ("prometheus_lib.runner.lab", "open the notebooks in JupyterLab, as copies to work in"),
    "data": ("prometheus_lib.data.getting", "fetch the released benchmark files, or build a training collection"),
    "map": ("prometheus_lib.experiment.command", "run a designed experiment: when does merging help?"),
    "judge": ("prometheus_lib.judge", "judge your own responses, or a scale's benchmarks on one machine or many"),
    "verify": ("prometheus_lib.runner.verify", "recompute every table from stored judgments and compare"),
    "report": ("prometheus_lib.report.command", "write a run's results as one page, report.html, to read and to send"),
    "readme": ("prometheus_lib.runner.readme", "write the generated parts of README from committed runs and notebooks"),
    "compare": (
        "prometheus_lib.runner.compare",
        "tell what differs between your run and the committed one beyond noise",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Pass the arguments on to the command that the first one names; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m prometheus_lib", description="Prometheus 2 as runnable notebooks.",
        epilog="`python -m prometheus_lib COMMAND --help` lists a command's options.",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, text) in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    given = list(sys.argv[1:] if arguments is None else arguments)
    module, _ = COMMANDS[parser.parse_args(given[:1]).command]
    try:
        return importlib.import_module(module).main(given[1:]) or 0
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"  # without the library's line of code
    sys.exit(main())
