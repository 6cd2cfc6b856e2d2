"""Notebook 12: its solutions pass its checks, and it runs unchanged with a model behind a real server."""

from __future__ import annotations

import ast
import json
import math
import runpy

import nbformat
from openai_server import OpenAIServer, completion

from prometheus_lib import data
from prometheus_lib.__main__ import main
from prometheus_lib.artifacts import project_folder

NOTEBOOKS = project_folder() / "notebooks"
SOLUTIONS = runpy.run_path(str(NOTEBOOKS / "solutions" / "12_judge_your_own.py"))


def test_the_solutions_are_right_and_at_the_limits_too(tmp_path):
    assert data.read_scale("0-10").value_of(4) == SOLUTIONS["WARM_UP"]
    share = SOLUTIONS["share_of_b"]
    assert [share(each) for each in (["A", "B", "tie", None], ["tie"], ["B", None])] == [0.5, 0.5, 1.0]
    assert math.isnan(share([])) and math.isnan(share([None]))
    assert SOLUTIONS["project"]("constant", str(tmp_path)).trust().loc[0, "n"] == 36


def test_the_answers_are_not_in_the_notebook():
    cells = nbformat.read(NOTEBOOKS / "12_judge_your_own.ipynb", 4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    defined = {node.name for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef)}
    assert "share_of_b" not in defined and not any(cell.get("outputs") for cell in cells)


def script(body, number):
    pair = "compares" in body["messages"][0]["content"]
    return completion("Feedback: to the point. [RESULT] " + ("AB"[number % 2] if pair else str(1 + number % 5)))


def test_it_runs_unchanged_with_a_model_behind_a_server(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with OpenAIServer(script) as server:
        judge = f"JUDGE=some-model@{server.url}"
        assert main(["run", "--scale", "smoke", "--only", "12", "--outputs", str(tmp_path), "--parameter", judge]) == 0
        assert len(server.bodies) == 108 + 54 + 24 + 72  # nothing is asked twice
    found = json.loads((tmp_path / "smoke" / "metrics" / "12.json").read_text())
    assert found["judge"] == "some-model" and not found["toy"] and found["readable"] == found["asked"] == 108
    assert (tmp_path / "smoke" / "own.html").is_file()
    executed = nbformat.read(tmp_path / "smoke" / "notebooks" / "12_judge_your_own.ipynb", 4)
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.get("name") == "stderr"]
