"""Sphinx settings. The pages on rooms, commands and notebooks are written here, from the library, before each build."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))
os.environ["COLUMNS"] = "100"  # the width of the commands' help

import prometheus_lib  # noqa: E402
from prometheus_lib.__main__ import COMMANDS  # noqa: E402
from prometheus_lib.runner import notebooks, overview  # noqa: E402
from prometheus_lib.scale import committed_outputs  # noqa: E402

project, author = "Prometheus 2 as runnable notebooks", "its contributors"
version = release = prometheus_lib.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser"]
exclude_patterns = ["_build"]
html_theme, html_title = "furo", f"{project} {version}"
html_copy_source = False
default_role = "literal"  # docstrings set names between single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 100
myst_heading_anchors = 3

WRITTEN = HERE / "written"  # git ignores it
ALONE = ("records", "artifacts", "parallel", "pipeline")  # modules outside the rooms


def write(name: str, text: str) -> None:
    """Write a page, but leave one alone that says the same, so that it is not built again."""
    file = WRITTEN / f"{name}.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")


def rooms() -> list[str]:
    """The library's rooms in the order of their floors, as CONTRIBUTING gives it."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    line = re.search(r"^Floors: (.*?)\.$", text, re.MULTILINE | re.DOTALL)[1]
    return [name for name in re.findall(r"\w+", line) if (ROOT / "prometheus_lib" / name).is_dir()]


def members(module: str) -> str:
    """What a module says of itself, which is Markdown, and what it shows, from its docstrings."""
    text = importlib.import_module(module).__doc__ or ""
    text = re.sub(r"^(>>> .*?)(?=\n\n|\Z)", r"```pycon\n\1\n```", text.strip(), flags=re.DOTALL | re.MULTILINE)
    return f"{text}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```\n"


def without_module_text(app, what, name, obj, options, lines) -> None:
    """Leave out a module's own docstring: the page has it already."""
    if what == "module":
        lines.clear()


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", without_module_text)


def room_page(room: str) -> str:
    """A room's face with what it exports, then its parts, one line each."""
    name = f"prometheus_lib.{room}"
    found = pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}.")
    lines = [f"- `{part.name}`: {headline(part.name)}" for part in found if not part.name.endswith("__main__")]
    return f"# {room}\n\n{members(name)}\n## Its parts\n\n" + "\n".join(lines) + "\n"


def headline(module: str) -> str:
    """The first sentence of a module's docstring."""
    text = " ".join((importlib.import_module(module).__doc__ or "").split())
    return text.partition(". ")[0].rstrip(".:") + "."


def commands_page() -> str:
    """The help of every command."""
    pages = [f"# Commands\n\n{prometheus_lib.__main__.__doc__}\n"]
    for name, (module, text) in COMMANDS.items():
        shown = importlib.import_module(module).parser().format_help()
        pages.append(f"## {name}\n\n{text[0].upper()}{text[1:]}.\n\n```text\n{shown}```\n")
    return "\n".join(pages)


def notebooks_page() -> str:
    """The notebooks with question, outcome and minutes."""
    manifest = committed_outputs() / "mini" / "manifest.json"
    seconds = json.loads(manifest.read_text(encoding="utf-8"))["seconds"]
    table = overview.notebooks_table(notebooks.notebook_files(), seconds)
    plain = re.sub(r"\]\(notebooks/[^)]*\)", "", table).replace("| [", "| ")  # files there are no pages here
    return f"# Notebooks\n\nMinutes are those of the committed run of `mini`.\n\n{plain}\n"


def alone_page() -> str:
    """The modules that belong to no room."""
    parts = (f"## {each}\n\n{members(f'prometheus_lib.{each}')}" for each in ALONE)
    return "\n".join(["# Modules outside the rooms\n", *parts])


for stale in set(WRITTEN.rglob("*.md")) - {WRITTEN / "rooms" / f"{room}.md" for room in rooms()}:
    stale.unlink()  # the page of a room that has gone
for room in rooms():
    write(f"rooms/{room}", room_page(room))
write("alone", alone_page())
write("commands", commands_page())
write("notebooks", notebooks_page())
