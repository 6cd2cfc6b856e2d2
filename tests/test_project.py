"""What a newcomer relies on: requirement files that agree, no paths of a machine, a small repository."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import prometheus_lib
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
    assert sum(path.stat().st_size for path in files) < 60e6  # three committed runs are 45 of them
    pattern = re.compile(rb"(^|[^A-Za-z0-9_.:/-])/(work|opt|root|tmp|home)/[A-Za-z]")
    for path in files:
        if path.suffix in {".py", ".md", ".ipynb", ".toml", ".yml", ".txt", ".json", ".csv", ""}:
            assert not pattern.search(path.read_bytes()), f"{path.relative_to(ROOT)} names a path of a machine"


def test_the_embedded_base_model_is_whole_and_small():
    from prometheus_lib import artifacts

    artifacts.check_model_folder(EMBEDDED_BASE)
    assert sum(path.stat().st_size for path in EMBEDDED_BASE.iterdir()) < 10e6


def test_version_changelog_and_citation_agree():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    released = re.findall(r"^## \[([0-9.]+)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert (cited["version"], str(cited["date-released"])) == released[0]
    assert released[0][0] == prometheus_lib.__version__
    assert [date for _, date in released] == sorted((date for _, date in released), reverse=True)


def test_the_citation_has_what_its_format_asks_for():
    """Keys of the Citation File Format 1.2.0; its own checker needs an older jsonschema than JupyterLab."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0" and {"message", "title", "authors"} <= set(cited)
    assert cited["license"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]
    for reference in cited["references"]:
        assert {"type", "title", "authors"} <= set(reference)
        assert all(set(author) == {"family-names", "given-names"} for author in reference["authors"])
