"""README's generated blocks, written from the committed run, the notebooks and the scales' files.

`python -m prometheus_lib readme` copies each block between its two marks. What came out is made by notebook and
registry (`tables.report.summary`) and stored with the run's other numbers; minutes stand in the run's manifest.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import scale
from ..artifacts import notebook_seconds, project_folder
from ..planning import make_plan, this_machine, work_of
from ..records import DataError, MissingFile, write_text_atomic
from ..training.sizing import shape_of
from .notebooks import notebook_files
from .overview import notebooks_table

SOURCE, WHOLE, SHORT, MAP = "metrics/10.json", "what_came_out", "in_short", "metrics/11.json"
MARK = "<!-- {}{}: python -m prometheus_lib readme -->"
FORMATS = {"direct": 5, "pairwise": 10}  # rows that an instruction gives


def blocks(run: Path) -> dict[str, str]:
    """Return README's blocks by name, from a committed run's folder; MissingFile where the run says nothing.

    >>> list(blocks(scale.committed_outputs() / "mini"))
    ['what came out', 'real models', 'notebooks', 'scales']
    """
    others = [run.parent / name for name in scale.SCALES if name != run.name]
    others = [each for each in others if (each / SOURCE).is_file()]
    seconds = {each.name: notebook_seconds(_read(each / "manifest.json")) for each in (run, *others)}
    own = seconds[run.name]
    return {
        "what came out": "\n".join(filter(None, (what_came_out(run), of_the_map(run)))),
        "real models": "\n\n".join(map(_in_short, others)) or "No run of a real model is committed yet.",
        "notebooks": f"{notebooks_table(notebook_files(), own)}\n\n{_in_all(run.name, own)}",
        "scales": scales_table({name: sum(each.values()) / 60 for name, each in seconds.items()}),
    }


def what_came_out(run: Path, entry: str = WHOLE) -> str:
    """Return the text that a run's report left, whole or in short; MissingFile where there is none.

    >>> what_came_out(Path("no such run"))
    Traceback (most recent call last):
        ...
    prometheus_lib.records.MissingFile: no such run/metrics/10.json: no summary there; run the notebook of the report.
    """
    path = run / SOURCE
    found = _read(path) if path.is_file() else {}
    if entry not in found:
        raise MissingFile(f"{path}: no summary there; run the notebook of the report.")
    return found[entry]


def of_the_map(run: Path) -> str:
    """Return as an item of a list how the designed experiment's hypotheses came out; "" where the run has none.

    >>> of_the_map(Path("no such run"))
    ''
    """
    path = run / MAP
    known = list(_read(path)["hypotheses"].values()) if path.is_file() else []
    open_ = [each for each in known if each["verdict"] in ("undecided", "not run yet")]
    told = [
        f"{each['says'].rstrip('.')}: **{each['verdict']}** ({each['difference']:+.1f} [{each['low']:+.1f}, "
        f"{each['high']:+.1f}] over {each['seeds']:.0f} seeds)."
        for each in known if each not in open_
    ]  # fmt: skip
    if not told:
        return ""
    return (
        f"- **When does merging help?** {' '.join(told)} {len(open_)} of {len(known)} hypotheses are open "
        "(notebook 11; verdicts are corrected together, intervals stand for one comparison each)."
    )


def _in_short(run: Path) -> str:
    """Say what a run measured and where it lies, then its judges, and how the claims came out."""
    settings, place = scale.load_scale(run.name), f"outputs/{run.name}"
    told = f"**`{run.name}`**: {settings.measurement}; base {settings.base_name} ([REPORT.md]({place}/REPORT.md),"
    told += f" [executed notebooks]({place}/notebooks))."
    return f"{told}\n\n{what_came_out(run, SHORT)}"


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _in_all(name: str, seconds: Mapping[str, float]) -> str:
    return (
        f"Minutes are those of the committed run of `{name}` from nothing; together {sum(seconds.values()) / 60:.0f}, "
        "less where notebooks run side by side."
    )


def scales_table(minutes: Mapping[str, float]) -> str:
    """Return the scales with what each one needs and does, as Markdown; `minutes` are those of committed runs.

    >>> scales_table({"mini": 28.4}).splitlines()[3].split(" | ")[-1]
    '28 minutes |'
    """
    lines = ["| SCALE | what | hardware | base model | trains | time |", "|---|---|---|---|---|---|"]
    for name in scale.SCALES:
        settings = scale.load_scale(name)
        time = f"{minutes[name]:.0f} minutes" if name in minutes else _estimated(settings)
        what = scale.scale_file(name).read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        cells = (f"`{name}`", what, settings.hardware, settings.base_name, _trains(settings), time)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _estimated(settings: scale.Scale) -> str:
    """Say what a scale for GPUs would take on the first that hold it; "-" for a CPU, whose speed must be measured."""
    if settings.training.use_cpu:
        return "-"
    shape = shape_of(settings.base_model, settings.training.lora)
    work = work_of(settings, look=False)  # the same wherever this is written
    offer = make_plan(settings, this_machine(settings.paths.root), None, shape, work).offers[0]
    return f"estimated: {offer.hours:.0f} hours and {offer.dollars:.0f} dollars on {offer.count} {offer.gpu.name}"


def _trains(settings: scale.Scale) -> str:
    """Say how many models a scale trains, and from how many rows the first expert of each format learns."""
    rows = {}
    for expert in reversed(settings.experts):
        if len(expert.formats) == 1:
            (form,) = expert.formats
            rows[form] = expert.examples or FORMATS[form] * settings.collection_instructions
    told = " and ".join(f"{count:,}" for count in sorted(set(rows.values())))
    return f"{len(settings.experts)} models; an expert from {told} rows"


def with_block(text: str, name: str, block: str) -> str:
    """Return a document with a block between its marks; DataError where they are not there once, in order.

    >>> start, end = MARK.format("", "some"), MARK.format("end of ", "some")
    >>> with_block(f"Before.\\n{start}\\nold\\n{end}\\nAfter.", "some", "new").splitlines()[2]
    'new'
    """
    start, end = MARK.format("", name), MARK.format("end of ", name)
    if not (text.count(start) == text.count(end) == 1 and text.index(start) < text.index(end)):
        raise DataError(f"README.md needs the lines {start!r} and {end!r} once each, in this order")
    before, rest = text.split(start)
    return f"{before}{start}\n{block}\n{end}{rest.split(end)[1]}"


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    found = argparse.ArgumentParser(prog="python -m prometheus_lib readme", description=__doc__)
    found.add_argument("--scale", default="mini", help="whose committed run (default: mini)")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the blocks of README.md from the committed run of a scale; return 0."""
    given, path = parser().parse_args(arguments), project_folder() / "README.md"
    if not path.is_file():
        raise MissingFile(f"{path}: file not found; run this command in a clone of the repository.")
    text = path.read_text(encoding="utf-8")
    for name, block in blocks(scale.committed_outputs() / given.scale).items():
        text = with_block(text, name, block)
        print(f"{path.name}: {name}, {len(block.splitlines())} lines")
    write_text_atomic(path, text)
    return 0
