"""Cells that copy: one tagged `copy` runs alone, and shows something.

Alone means: with the notebook's imports cell (the first code cell that is not tagged `parameters`), the parameters and
at most one cell tagged `setup`, in a fresh namespace. What is read of a run is the committed one.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import io
import json
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from prometheus_lib import data, records
from prometheus_lib.runner import notebooks
from prometheus_lib.scale import load_scale

FILES = {path.stem[:2]: path for path in notebooks.notebook_files()}
# The share of code cells that each notebook promises at least, in per cent. It may rise, and does not fall.
FLOORS = {
    "00": 66, "01": 82, "02": 78, "03": 47, "04": 46, "05": 38,
    "06": 55, "07": 48, "08": 48, "09": 48, "10": 50, "11": 41, "12": 35,
}  # fmt: skip


def code_cells(number: str, tag: str = "") -> list[str]:
    """Return the sources of a notebook's code cells, all or those with a tag."""
    cells = json.loads(FILES[number].read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    return ["".join(cell["source"]) for cell in code if not tag or tag in cell["metadata"].get("tags", [])]


def imports_cell(number: str) -> str:
    return next(source for source in code_cells(number) if source not in code_cells(number, "parameters"))


def run(source: str, names: dict) -> bool:
    """Execute a cell in a namespace; tell whether it shows something: a last value, print or a figure."""
    *body, last = ast.parse(source).body or [ast.Pass()]
    shown, value = io.StringIO(), None
    with contextlib.redirect_stdout(shown):
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        else:
            exec(compile(ast.Module([last], []), "cell", "exec"), names)
    return value is not None or bool(shown.getvalue()) or bool(plt.get_fignums())


def fresh(names: dict, source: str) -> dict:
    """Return a namespace for one cell: what it changes in place, the next one does not see."""
    used = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    kinds = (list, dict, set, pd.DataFrame)
    return {n: copy.deepcopy(v) if n in used and isinstance(v, kinds) else v for n, v in names.items()}


def namespace(number: str, outputs: Path) -> dict:
    """Return what a tagged cell finds: parameters, imports and set-up, with the files of earlier notebooks there."""
    names: dict = {"__name__": "__main__"}
    smallest = number <= "05"  # the others read judgments, and those of `mini` are committed
    place = f"OUTPUTS = {str(outputs)!r}" + ("; SCALE = 'smoke'" if smallest else "")
    scale = load_scale("smoke", str(outputs))
    records.write_jsonl(scale.paths.rows("feedback"), data.load_feedback_rows(scale))
    records.write_jsonl(scale.paths.rows("preference"), data.load_preference_rows(scale))
    setup = code_cells(number, "setup")
    assert len(setup) <= 1
    for source in (*code_cells(number, "parameters"), place, imports_cell(number), *setup):
        run(source, names)
    return names


@pytest.fixture
def place(tmp_path_factory, monkeypatch):
    """A folder for what cells write, without real data; settings that cells make are taken back."""
    folder = tmp_path_factory.mktemp("cells")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PROMETHEUS_DATA_DIR", raising=False)
    with warnings.catch_warnings(), plt.rc_context(), pd.option_context("display.max_colwidth", None):
        warnings.simplefilter("ignore")
        yield folder
    plt.close("all")


@pytest.mark.parametrize("number", [number for number in FILES if FLOORS.get(number)])
def test_tagged_cells_run_alone(number, place):
    before = namespace(number, place)
    failed = {}
    for source in code_cells(number, "copy"):
        plt.close("all")
        try:
            found = None if run(source, fresh(before, source)) else "shows nothing"
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        if found:
            failed[source.splitlines()[0]] = found
    assert failed == {}


@pytest.mark.parametrize("number", FILES)
def test_enough_cells_are_tagged(number):
    share = 100 * len(code_cells(number, "copy")) / len(code_cells(number))
    assert share >= FLOORS[number], f"{share:.0f} % of the code cells run alone"


@pytest.mark.parametrize("number", [number for number in FILES if FLOORS.get(number)])
def test_the_first_code_cell_imports_all(number):
    late = [source for source in code_cells(number) if source not in (imports_cell(number),)]
    found = [
        node
        for source in late
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert found == []
