"""What a newcomer relies on: requirement files that agree, no paths of a machine, a small repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from prometheus_lib.artifacts import project_folder
from prometheus_lib.training import EMBEDDED_BASE

ROOT = project_folder()


def names(file: str) -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    return {re.split(r"[=<>~ ]", line)[0]: line for line in lines if line and not line.startswith("-")}


def tracked() -> list[Path]:
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.decode().split("\0") if name and (ROOT / name).is_file()]


def test_requirement_files_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    dynamic = project["tool"]["setuptools"]["dynamic"]
    assert dynamic["dependencies"]["file"] == ["requirements.txt"]
    assert dynamic["optional-dependencies"]["gpu"]["file"] == ["requirements-gpu.txt"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert "-r requirements.txt" in pip and "-e ." in pip
    assert project["project"]["requires-python"].split(",")[0] in environment["dependencies"][0]
    assert set(names("requirements-gpu.txt")) == {"vllm"} and not set(names("requirements.txt")) & {"vllm"}


def test_every_requirement_is_explained():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for file in ("requirements.txt", "requirements-gpu.txt", "requirements-dev.txt"):
        for name in names(file):
            assert f"`{name}`" in text, f"CONTRIBUTING.md does not say why {name} is there"


def test_the_repository_is_small_and_names_no_machine():
    files = tracked()
    assert sum(path.stat().st_size for path in files) < 40e6
    pattern = re.compile(rb"(^|[^A-Za-z0-9_.:/-])/(work|opt|root|tmp|home)/[A-Za-z]")
    for path in files:
        if path.suffix in {".py", ".md", ".ipynb", ".toml", ".yml", ".txt", ".json", ".csv", ""}:
            assert not pattern.search(path.read_bytes()), f"{path.relative_to(ROOT)} names a path of a machine"


def test_the_embedded_base_model_is_whole_and_small():
    from prometheus_lib import artifacts

    artifacts.check_model_folder(EMBEDDED_BASE)
    assert sum(path.stat().st_size for path in EMBEDDED_BASE.iterdir()) < 10e6


@pytest.mark.filterwarnings("ignore:.*same model")
def test_the_readmes_code_runs_as_it_stands(tmp_path, monkeypatch):
    """The two blocks of Python, with an untrained judge and experts in place of the folders that they name."""
    first, second = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    rows = ["id,instruction,response,human", "2,Say hello.,Hello!,5", '10,Say hello.,"No, never.",1', "1,Say hello.,,2"]
    (tmp_path / "mine.csv").write_text("\n".join(rows))
    for name in ("a/model", "base", "experts/direct", "experts/pairwise"):
        folder = tmp_path / "path" / "to" / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(EMBEDDED_BASE, folder.parent.parent / "a" / "model" if name == "a/model" else folder)
    monkeypatch.chdir(tmp_path)
    known: dict = {}
    with pytest.warns(UserWarning, match="1 row with an empty response is judged as it stands"):
        exec(first, known)
    table, scores = known["table"].astype({"decision": float}), known["scores"]
    assert len(table) == 9 and list(scores.index) == ["2", "10", "1"] and list(scores["human"]) == [5, 1, 2]
    means = table.groupby("item_id")["decision"].mean()
    assert all(scores.loc[id, "score"] == mean or mean != mean for id, mean in means.items())
    exec(second, known)
    assert known["judge"].name == known["merge"].name
