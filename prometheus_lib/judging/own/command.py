"""Judging your own responses from the command line: a table, a page, and the summary on the terminal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ...data.files import named_columns, read_table
from ...data.own import DIRECT_COLUMNS, PAIR_COLUMNS
from ...data.table import canonical
from ...records import DataError, write_text_atomic
from ..engines.api_usage import Prices
from .comparing import compare
from .named import MINIATURE
from .ranking import PLAYERS, rank
from .result import Result
from .scoring import DRAWS, score

KINDS = ("score", "compare", "rank")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `judge FILE` takes beside the judge's name."""
    own = parser.add_argument_group("your own responses")
    own.add_argument("responses", nargs="?", help="a CSV, JSON Lines, .xlsx or Parquet file with your own responses")
    own.add_argument("--rubric", help="a rubric's name, file (YAML) or text; left out where the rows bring their own")
    own.add_argument("--kind", choices=KINDS, help="what to do (default: what the columns are for)")
    own.add_argument("--on", dest="scale_of_scores", help="a scale of scores, such as 1-10 or pass/fail")
    own.add_argument("--draws", type=int, help=f"answers per response (default: {DRAWS})")
    own.add_argument("--by", help="a column whose values get a summary each")
    own.add_argument("--columns", help='your names of columns, as JSON: \'{"output": "response"}\'')
    own.add_argument("--opponents", type=int, help="in a ranking, how many others each answer meets")
    own.add_argument("--results", help="the folder for table, page and judgments (default: beside the file)")
    own.add_argument("--expected", action="store_true", help="beside each score that of the token probabilities")
    own.add_argument("--at-least", type=float, metavar="X", help="fail (exit status 1) where the result is below")
    own.add_argument("--at-most", type=float, metavar="X", help="fail where it is above")
    own.add_argument("--of", help="whose result is checked: in a ranking, a player's")
    own.add_argument("--measure", help="another row of the summary that is checked, such as a criterion's name")
    own.add_argument("--surely", action="store_true", help="check the whole 95 %% interval, not the value alone")
    own.add_argument("--prices", help="what a million tokens of prompt and of answer cost: 2.5,10")


def flag_of(name: str) -> str:
    """Return the flag that sets an option.

    >>> flag_of("at_least"), flag_of("scale_of_scores")
    ('--at-least', '--on')
    """
    return "--on" if name == "scale_of_scores" else f"--{name.replace('_', '-')}"


def judge_own(options: argparse.Namespace) -> int:
    """Judge the file, write table and page, print the summary; return 1 where the result is beyond a threshold.

    DataError for what does not go together.
    """
    checked = options.at_least is not None or options.at_most is not None
    if not checked and (options.of or options.measure or options.surely):
        raise DataError("--of, --measure and --surely say what is checked; add --at-least or --at-most.")
    if len(options.judge) > 1:
        raise DataError("your own responses are judged by one --judge at a time; its judgments are kept.")
    source = Path(options.responses).expanduser()
    folder = Path(options.results) if options.results else source.with_name(f"{source.name}-judged")
    result = _judged(options, source, folder)
    table, page = folder / f"{result.kind}.csv", folder / f"{result.kind}.html"
    write_text_atomic(table, result.table.to_csv(index=False))
    result.to_html(page)
    print(result.summary.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    if result.labels:
        print(result.trust().to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    print(f"{result.sentence()}\nwritten: {table}, {page}")
    return _checked(result, options) if checked else 0


def _checked(result: Result, options: argparse.Namespace) -> int:
    try:
        result.check(options.at_least, options.at_most, of=options.of, measure=options.measure, surely=options.surely)
    except AssertionError as beyond:
        print(f"failed: {beyond}", file=sys.stderr)
        return 1
    print("the result is within its threshold.")
    return 0


def _judged(options: argparse.Namespace, source: Path, folder: Path) -> Result:
    table = read_table(source, {*DIRECT_COLUMNS, *PAIR_COLUMNS})
    columns = named_columns(options.columns)
    names = {columns.get(raw) or canonical(raw) for raw in table.columns}
    kind = options.kind or ("compare" if {"response_a", "response_b"} & names else "score")
    judge = options.judge[0] if options.judge else MINIATURE
    common = {"columns": columns, "out": folder / "judgments", "prices": _prices(options.prices)}
    given = {name: getattr(options, name) for name in ("scale_of_scores", "draws", "by", "opponents")}
    given["expected"] = options.expected or None
    fitting = {"score": ("scale_of_scores", "draws", "by", "expected"), "compare": (), "rank": ("opponents",)}[kind]
    if wrong := [name for name, value in given.items() if value is not None and name not in fitting]:
        raise DataError(f"{flag_of(wrong[0])} has no meaning for {kind}; leave it out.")
    if kind == "rank":
        if not names & set(PLAYERS):
            raise DataError(
                f"{source}: a ranking needs a column that says whose answer a row is: {', '.join(PLAYERS)}."
            )
        return rank(table, options.rubric, judge, opponents=options.opponents, **common)
    if kind == "compare":
        return compare(table, options.rubric, judge, **common)
    more = {"scale": options.scale_of_scores, "by": options.by, "draws": options.draws or DRAWS}
    more["expected"] = options.expected
    return score(table, options.rubric, judge, **more, **common)


def _prices(text: str | None) -> Prices | None:
    if not text:
        return None
    try:
        prompt, completion = map(float, text.split(","))
    except ValueError as error:
        raise DataError(f"--prices {text}: write two numbers, such as 2.5,10.") from error
    return Prices(prompt, completion)
