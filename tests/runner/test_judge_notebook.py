"""Notebook 12 runs unchanged with a model behind a real server."""

from __future__ import annotations

import json

import nbformat
from openai_server import OpenAIServer, completion

from prometheus_lib.__main__ import main


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
