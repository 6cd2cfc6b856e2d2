"""Where results go: never over the committed run or beside an installed library without being asked to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from prometheus_lib import artifacts, pipeline, scale
from prometheus_lib.__main__ import COMMANDS
from prometheus_lib.data import DATA_VARIABLE
from prometheus_lib.judging.store import judgment_files, load_judgments

ROOT = artifacts.project_folder()


def listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if "__pycache__" not in path.parts}


def test_a_run_goes_to_a_folder_of_its_own_which_is_not_committed():
    own, committed = scale.load_scale("mini").paths, scale.stored_scale("mini").paths
    assert (own.root, committed.root) == (ROOT / "my-outputs" / "mini", ROOT / "outputs" / "mini")
    assert scale.load_scale("mini", "~/x").paths.root == Path.home() / "x" / "mini"
    ignored = subprocess.run(
        ["git", "check-ignore", own.root / "x", "build/x"], cwd=ROOT, capture_output=True, text=True
    )
    if ignored.returncode == 128:
        pytest.skip("not a git checkout")
    assert len(ignored.stdout.splitlines()) == 2


def test_what_is_read_is_the_committed_run_where_there_is_one(tmp_path):
    assert scale.stored_scale("smoke").paths.root == ROOT / "my-outputs" / "smoke"
    assert scale.stored_scale("mini", tmp_path).paths.root == tmp_path / "mini"


def test_a_run_without_judgments_starts_from_the_committed_ones(tmp_path, capsys):
    own, committed = scale.load_scale("mini", tmp_path), scale.stored_scale("mini").paths
    own.paths.metrics.mkdir(parents=True)
    (own.paths.metrics / "00.json").write_text("mine")
    assert pipeline.start_from_committed(own)
    assert "starts from the committed run of scale mini" in capsys.readouterr().out
    names = [file.name for file in judgment_files(committed.judgments)]
    assert [file.name for file in judgment_files(own.paths.judgments)] == names and len(names) > 30
    assert (own.paths.metrics / "00.json").read_text() == "mine"
    assert listing(committed.tables) == listing(own.paths.tables)
    assert len(load_judgments(own.paths.judgments, ["base"])) > 100
    left_out = {"notebooks", "experts", "merged", "manifest.json", "REPORT.md", "report.html"}
    assert not left_out & {path.name for path in own.paths.root.iterdir()}
    before = {file: file.stat().st_mtime_ns for file in own.paths.root.rglob("*")}
    assert not pipeline.start_from_committed(own)
    assert {file: file.stat().st_mtime_ns for file in own.paths.root.rglob("*")} == before
    assert capsys.readouterr().out == ""


def test_a_run_with_judgments_and_a_scale_without_committed_ones_start_from_nothing(tmp_path):
    own = scale.load_scale("mini", tmp_path)
    own.paths.judgments.mkdir(parents=True)
    (own.paths.judgments / "mine.jsonl").touch()
    small = scale.load_scale("smoke", tmp_path)
    assert not pipeline.start_from_committed(own) and not pipeline.start_from_committed(small)
    assert listing(tmp_path) == {"mini", "mini/judgments", "mini/judgments/mine.jsonl"}


# --- the installed library -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The library as `pip install .` leaves it, in a folder of its own."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in ("pyproject.toml", "README.md", "LICENSE", "requirements.txt", "requirements-gpu.txt"):
        shutil.copy(ROOT / name, source)
    shutil.copy(ROOT / "requirements-dev.txt", source)
    shutil.copytree(ROOT / "prometheus_lib", source / "prometheus_lib", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True)
    assert not (ROOT / "build").exists()  # the copy was built, not the checkout
    return target


def call(installed: Path, folder: Path, *arguments: str, option: str = "-m") -> subprocess.CompletedProcess:
    """Run a command of the installed library, or code, in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, option, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_every_file_of_the_library_is_installed(installed):
    assert listing(installed / "prometheus_lib") == listing(ROOT / "prometheus_lib")


EVERY_COMMAND = """
import contextlib, io, json, sys
from prometheus_lib.__main__ import main
found = {}
for line in sys.argv[1:]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(line.split())
        except SystemExit as end:
            status = end.code or 0
    found[line] = [status, out.getvalue(), err.getvalue()]
print(json.dumps(found))
"""
NEEDS_A_CLONE = {
    "run": "--notebooks",
    "lab": "--notebooks",
    "verify": "no judgment files",
    "compare": "nothing to compare with",
    "readme": "in a clone of the repository",
}


def test_outside_a_checkout_a_command_works_or_says_in_one_line_what_is_missing(installed, tmp_path):
    """In one process, which imports the library once."""
    before = listing(installed)
    lines = [*NEEDS_A_CLONE, "map --plan", *(f"{name} --help" for name in COMMANDS)]
    done = call(installed, tmp_path, EVERY_COMMAND, *lines, option="-c")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for name, message in NEEDS_A_CLONE.items():
        status, out, error = found[name]
        said = [line for line in error.splitlines() if DATA_VARIABLE not in line]
        assert status and len(said) == 1 and message in said[0] and "total" not in out, (name, error)
    assert found["map --plan"][0] == 0 and "results wanted" in found["map --plan"][2]
    for name in COMMANDS:
        status, out, _ = found[f"{name} --help"]
        assert status == 0 and out.startswith(f"usage: python -m prometheus_lib {name} ["), name
    assert listing(installed) == before and listing(tmp_path) == set()


def test_outside_a_checkout_the_old_place_of_run_and_the_judge_of_ones_own_work(installed, tmp_path):
    done = call(installed, tmp_path, "prometheus_lib.run")
    assert done.returncode == 1 and "--notebooks" in done.stderr and "Traceback" not in done.stderr
    (tmp_path / "mine.csv").write_text("instruction,response\nSay hello.,Hello!\n")
    arguments = ("judge", "mine.csv", "--rubric", "helpfulness", "--judge", "miniature", "--draws", "1")
    done = call(installed, tmp_path, "prometheus_lib", *arguments)
    assert done.returncode == 0 and (tmp_path / "mine.csv-judged" / "score.html").is_file(), done.stderr
    assert "warning: these items are not of the world" in done.stderr and "return score(" not in done.stderr


def write_notebook(folder: Path, name: str) -> None:
    """Write a notebook that says where its scale has its results."""
    folder.mkdir(exist_ok=True)
    parameters = nbformat.v4.new_code_cell('SCALE = "mini"\nOUTPUTS = ""', metadata={"tags": ["parameters"]})
    source = (
        "from prometheus_lib.scale import load_scale\n"
        "root = load_scale(SCALE, OUTPUTS or None).paths.root\n"
        "root.mkdir(parents=True, exist_ok=True)\n"
        "(root / 'here').touch()"
    )
    cells = [parameters, nbformat.v4.new_code_cell(source)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")


def test_outside_a_checkout_notebooks_and_outputs_are_named(installed, tmp_path):
    write_notebook(tmp_path / "books", "00_some")
    done = call(installed, tmp_path, "prometheus_lib", "run", "--scale", "smoke", "--notebooks", "books")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "my-outputs" / "smoke" / "here").is_file() and "results in my-outputs/smoke" in done.stdout
    arguments = ("run", "--scale", "smoke", "--notebooks", "books", "--outputs", "elsewhere", "--only", "00")
    assert call(installed, tmp_path, "prometheus_lib", *arguments).returncode == 0
    assert (tmp_path / "elsewhere" / "smoke" / "here").is_file()


def test_in_a_checkout_the_installed_library_works_from_any_folder_of_it(installed, tmp_path):
    write_notebook(tmp_path / "notebooks", "00_start_here")
    committed = tmp_path / "outputs" / "smoke"
    committed.mkdir(parents=True)
    done = call(installed, tmp_path / "notebooks", "prometheus_lib", "run", "--scale", "smoke")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "my-outputs" / "smoke" / "here").is_file() and not list(committed.iterdir())
    done = call(installed, tmp_path, "prometheus_lib", "run", "--scale", "smoke", "--outputs", "outputs")
    assert "written over the committed one in outputs/smoke" in done.stderr and (committed / "here").is_file()
