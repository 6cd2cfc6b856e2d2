"""The house: floors whose imports go downward only, no circles, small files, faces without torch, examples that run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from prometheus_lib.artifacts import project_folder

ROOT = project_folder()
LIBRARY = ROOT / "prometheus_lib"
ROOMS = sorted(path.parent.name for path in LIBRARY.glob("*/__init__.py"))
# The short old paths and the commands: they lead into the house and nothing leads back to them.
DOORS = {"__init__", "__main__", "benchmarks", "parsing", "run", "verify"}
NEED_AN_ENGINE = {"prometheus_lib.judging.engines.vllm_judge", "prometheus_lib.judging.ray_judging"}


@cache
def modules() -> dict[str, Path]:
    found = {}
    for path in LIBRARY.rglob("*.py"):
        found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


def imported(name: str) -> set[str]:
    """Return the modules of the library that a module imports, inside functions as well; not those for types only."""
    path = modules()[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guards = [each for each in ast.walk(tree) if isinstance(each, ast.If) and "TYPE_CHECKING" in ast.dump(each.test)]
    for_types = {id(each) for guard in guards for each in ast.walk(guard)}
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {full if full in modules() else base for full in (f"{base}.{each.name}" for each in node.names)}
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
    return {each for each in found if each in modules() and each != name}


def room(name: str) -> str:
    return (name.split(".") + ["__init__"])[1]


def floors() -> dict[str, int]:
    """Return the floor of each room, from the line in CONTRIBUTING.md."""
    (line,) = re.findall(r"^Floors: (.*?)\.$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL)
    return {name: floor for floor, names in enumerate(line.split("|")) for name in re.findall(r"\w+", names)}


def test_every_room_and_module_of_the_root_has_a_floor():
    assert set(floors()) == {room(name) for name in modules()} - DOORS


def test_imports_go_downward_only():
    floor = floors()
    upward = [
        f"{name} imports {other}"
        for name in modules()
        for other in imported(name)
        if room(name) not in DOORS and room(name) != room(other) and floor.get(room(other), 99) > floor[room(name)]
    ]
    assert upward == []


def test_rooms_of_one_floor_go_one_way():
    """Two rooms of a floor may know each other in one direction, so the rooms have an order."""
    below: dict[str, set[str]] = {}
    for name in modules():
        below.setdefault(room(name), set()).update(room(other) for other in imported(name))
    TopologicalSorter({name: others - {name} for name, others in below.items()}).prepare()


def test_no_circle_of_modules():
    # A package's own parts are no circle: its face imports them, and they must not import their face (below).
    TopologicalSorter({name: imported(name) for name in modules()}).prepare()


def test_no_part_of_a_room_imports_its_face():
    wrong = [(n, o) for n in modules() for o in imported(n) if n.startswith(f"{o}.") and o != "prometheus_lib"]
    assert wrong == []


def test_files_are_small_and_the_root_is_bare():
    assert max((len(path.read_text().splitlines()), str(path)) for path in modules().values())[0] <= 500
    assert len([path for path in LIBRARY.glob("*.py") if path.name != "__init__.py"]) <= 12


# --- faces and examples ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROOMS)
def test_a_face_says_what_it_shows(name):
    tree = ast.parse((LIBRARY / name / "__init__.py").read_text())
    defined = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    assert "__getattr__" not in defined
    face = importlib.import_module(f"prometheus_lib.{name}")
    assert face.__all__ and all(hasattr(face, each) for each in face.__all__)


def exported(name: str) -> list[tuple[str, object]]:
    face = importlib.import_module(f"prometheus_lib.{name}")
    return [(each, getattr(face, each)) for each in face.__all__ if inspect.isroutine(getattr(face, each))
            or inspect.isclass(getattr(face, each))]  # fmt: skip


@pytest.mark.parametrize("name", ROOMS)
def test_everything_a_room_exports_has_a_docstring_with_an_example(name):
    """Errors need none."""
    bare = {
        f"{name}.{each}"
        for each, value in exported(name)
        if ">>>" not in (inspect.getdoc(value) or "") and not (inspect.isclass(value) and issubclass(value, Exception))
    }
    assert bare == set()


@pytest.mark.parametrize("name", sorted(modules()))
def test_examples_run(name):
    if name in NEED_AN_ENGINE or name.endswith("__main__"):
        pytest.skip("needs an engine that this environment lacks, or is a command")
    assert doctest.testmod(importlib.import_module(name)).failed == 0
