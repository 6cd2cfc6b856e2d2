"""What each notebook asks, what comes out of it and what it costs, for README and the documentation.

Question and outcome stand in a notebook's metadata under `about`, the tables and figures of the paper in its calls of
`save_table` and `save_figure`, and the time in the manifest of a run.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..records import DataError


class About(NamedTuple):
    """A notebook's number, title, question, and what comes out of it."""

    number: str
    title: str
    question: str
    comes_out: str


def about(notebook: Path) -> About:
    """Return what a notebook says of itself; DataError where its metadata lack `about`.

    >>> from .notebooks import notebook_files
    >>> about(notebook_files()[9]).comes_out[-33:]
    '(Tables 5, 6 and 17 and Figure 3)'
    """
    content = json.loads(notebook.read_text(encoding="utf-8"))
    said = content["metadata"].get("about", {})
    if not {"question", "comes_out"} <= set(said):
        raise DataError(f"{notebook.name}: its metadata need `about` with `question` and `comes_out`.")
    parts = paper_parts("".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code")
    outcome = f"{said['comes_out']} ({parts})" if parts else said["comes_out"]
    return About(notebook.stem[:2], _title(content), said["question"], outcome)


def _title(content: Mapping[str, Any]) -> str:
    """Return a notebook's short title: "The report" from "# 10 · The report: ours beside the paper's"."""
    line = "".join(content["cells"][0]["source"]).splitlines()[0]
    return re.sub(r"^#\s*(\d+\s*[·.:]\s*)?", "", line).partition(":")[0].strip()


def paper_parts(sources: Iterable[str]) -> str:
    """Return which tables and figures of the paper some cells save.

    >>> paper_parts(['tables.save_table(cells, "11", folder)', 'save_figure(fig, folder, "figure_2_item")'])
    'Table 11 and Figure 2'
    """
    found: dict[str, set[int]] = {"Table": set(), "Figure": set()}
    for call in (node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        if getattr(call.func, "attr", getattr(call.func, "id", "")) in ("save_table", "save_figure"):
            for name in (str(each.value) for each in call.args if isinstance(each, ast.Constant)):
                kind = "Figure" if (match := re.match(r"figure_(\d+)", name)) else "Table"
                if match or name.isdigit():
                    found[kind].add(int(match[1] if match else name))
    return " and ".join(_counted(kind, sorted(numbers)) for kind, numbers in found.items() if numbers)


def _counted(kind: str, numbers: Sequence[int]) -> str:
    *most, last = map(str, numbers)
    return f"{kind}s {', '.join(most)} and {last}" if most else f"{kind} {last}"


def notebooks_table(notebooks: Iterable[Path], seconds: Mapping[str, float]) -> str:
    """Return notebook, question, what comes out and minutes as Markdown; "-" where no run is known.

    >>> from .notebooks import notebook_files
    >>> notebooks_table(notebook_files()[:1], {"00_start_here": 24.2}).splitlines()[-1][-7:]
    '| 0.4 |'
    """
    lines = ["| notebook | question | what comes out | minutes |", "|---|---|---|---|"]
    for notebook in notebooks:
        told, took = about(notebook), seconds.get(notebook.stem)
        link = f"[{told.number} {told.title}](notebooks/{notebook.name})"
        minutes = "-" if took is None else f"{took / 60:.1f}"
        lines.append(f"| {link} | {told.question} | {told.comes_out} | {minutes} |")
    return "\n".join(lines)
