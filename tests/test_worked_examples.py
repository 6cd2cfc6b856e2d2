"""The four worked examples of CONTRIBUTING: run as they stand, in an empty folder, with tiny models in place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from prometheus_lib.artifacts import project_folder

TEXT = (project_folder() / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECTION = TEXT[TEXT.index("## How to add") : TEXT.index("### Other things")]
EXAMPLES = dict(re.findall(r"### An? (\w+) .*?```python\n(.*?)```", SECTION, re.DOTALL))
EXPECTED = {
    "judge": r"mini_flask/000-0 +[1-5] +\d+ words agree",
    "benchmark": r"^A \['A'\]$",
    "merge": r"^ties \d+ tensors$",
    "table": r"linear.*\d",
}


def test_there_are_four_of_under_forty_lines():
    assert list(EXAMPLES) == list(EXPECTED)
    assert all(code.count("\n") < 40 for code in EXAMPLES.values())


@pytest.mark.parametrize("name", EXPECTED)
def test_a_worked_example_runs_as_it_stands(name, tmp_path, tiny_base, tiny_experts):
    shutil.copytree(tiny_base, tmp_path / "path/to/base")
    for expert in ("direct", "pairwise"):
        shutil.copytree(tiny_experts / expert, tmp_path / "path/to" / expert)
    environment = {**os.environ, "PYTHONPATH": str(project_folder())}
    found = subprocess.run(
        [sys.executable, "-c", EXAMPLES[name]], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    assert re.search(EXPECTED[name], found.stdout, re.MULTILINE), found.stdout
