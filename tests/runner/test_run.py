"""The runner: every notebook at SCALE=smoke, run twice, and what it says when something is wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from prometheus_lib.records import DataError
from prometheus_lib.runner import run

NUMBERS = [f"{number:02d}" for number in range(11)]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory) -> Path:
    """The outputs folder of a whole smoke run, with real data where PROMETHEUS_DATA_DIR is set."""
    outputs = tmp_path_factory.mktemp("outputs")
    command = [sys.executable, "-m", "prometheus_lib.run", "--scale", "smoke", "--outputs", str(outputs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "10_paper_report" in done.stdout and "total" in done.stdout
    return outputs / "smoke"


def test_every_notebook_ran_and_left_its_metrics(smoke):
    for number in NUMBERS:
        assert list((smoke / "notebooks").glob(f"{number}_*.ipynb")), number
        assert json.loads((smoke / "metrics" / f"{number}.json").read_text())
    assert not list((smoke / "notebooks").glob("*.running.ipynb"))


def test_an_unchanged_run_skips_every_notebook_and_a_lost_file_brings_one_back(smoke, capsys):
    assert run.run("smoke", outputs=str(smoke.parent)) == {}
    assert capsys.readouterr().err.count("unchanged, skipped") == len(NUMBERS)
    (smoke / "metrics" / "10.json").unlink()
    assert list(run.run("smoke", outputs=str(smoke.parent))) == ["10_paper_report"]
    assert (smoke / "metrics" / "10.json").is_file()


def test_every_table_and_figure_is_there(smoke):
    for number in (1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16, 17):
        for ending in ("csv", "md", "tex"):
            file = smoke / "tables" / f"table_{number:02d}.{ending}"
            assert file.is_file() and file.stat().st_size > 100, file
    for number in (1, 2, 3):
        for ending in ("png", "svg"):
            assert list((smoke / "figures").glob(f"figure_{number}*.{ending}")), (number, ending)


def test_a_second_run_generates_and_trains_nothing(smoke):
    before = {path: path.read_bytes() for path in sorted((smoke / "judgments").glob("*.jsonl"))}
    stamps = {path: path.stat().st_mtime for path in smoke.glob("*/*/model.safetensors")}
    assert len(before) > 30 and len(stamps) > 15
    for number in ("03", "04", "05"):
        run.run("smoke", only=number, outputs=str(smoke.parent))
    assert {path: path.read_bytes() for path in before} == before
    assert {path: path.stat().st_mtime for path in stamps} == stamps


def test_the_manifest_tells_how_it_was_made(smoke):
    manifest = json.loads((smoke / "manifest.json").read_text())
    assert set(manifest) == {"scale", "settings", "versions", "machine", "seconds"}
    assert sorted(name[:2] for name in manifest["seconds"]) == NUMBERS
    assert str(smoke) not in json.dumps(manifest)


def test_executed_notebooks_name_no_folder_of_this_machine(smoke):
    for path in (smoke / "notebooks").glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert str(Path.home()) not in text and str(smoke.parent) not in text, path.name


@pytest.fixture
def one_notebook(tmp_path, monkeypatch):
    """A project folder with a single notebook, `00_only.ipynb`, whose last cell fails on request."""
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )
    parameters = nbformat.v4.new_code_cell('SCALE = "mini"\nOUTPUTS = ""\nDATA_DIR = ""\nFAIL = ""')
    parameters.metadata["tags"] = ["parameters"]
    notebook.cells = [
        parameters,
        nbformat.v4.new_code_cell("print('fine')"),
        nbformat.v4.new_code_cell("assert not FAIL, 'as asked'"),
    ]
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook, tmp_path / "notebooks" / "00_only.ipynb")
    monkeypatch.setattr(run.scale, "project_folder", lambda: tmp_path)
    monkeypatch.delenv("PROMETHEUS_DATA_DIR", raising=False)
    return tmp_path


def test_a_failing_cell_is_named_and_the_notebook_kept(one_notebook, capsys):
    assert run.main(["--scale", "smoke", "--parameter", "FAIL=yes"]) == 1
    message = capsys.readouterr().err
    assert "00_only.ipynb, cell 3 failed: AssertionError: as asked" in message
    folder = one_notebook / "outputs" / "smoke" / "notebooks"
    assert [path.name for path in folder.iterdir()] == ["00_only.failed.ipynb"]
    assert "fine" in (folder / "00_only.failed.ipynb").read_text()
    assert run.main(["--scale", "smoke"]) == 0
    assert [path.name for path in folder.iterdir()] == ["00_only.ipynb"]


def test_a_killed_kernel_is_reported_in_one_message(one_notebook, capsys):
    notebook = nbformat.read(one_notebook / "notebooks" / "00_only.ipynb", 4)
    notebook.cells.append(nbformat.v4.new_code_cell("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"))
    nbformat.write(notebook, one_notebook / "notebooks" / "00_only.ipynb")
    assert run.main(["--scale", "smoke"]) == 1
    error = capsys.readouterr().err
    assert "the kernel was killed" in error and "Traceback" not in error


def test_notebooks_of_a_stage_run_side_by_side_and_a_failure_stops_none_of_them(one_notebook, capsys):
    folder = one_notebook / "notebooks"
    notebook = nbformat.read(folder / "00_only.ipynb", 4)
    nbformat.write(notebook, folder / "06_fine.ipynb")
    notebook.cells.append(nbformat.v4.new_code_cell("1 / 0"))
    nbformat.write(notebook, folder / "07_broken.ipynb")
    assert [[p.stem for p in stage] for stage in run.stages(run.notebook_files())] == [
        ["00_only"], ["06_fine", "07_broken"]]  # fmt: skip
    assert run.main(["--scale", "smoke"]) == 1
    error = capsys.readouterr().err
    assert "07_broken.ipynb, cell 4 failed: ZeroDivisionError" in error
    done = {path.name for path in (one_notebook / "outputs" / "smoke" / "notebooks").iterdir()}
    assert done == {"00_only.ipynb", "06_fine.ipynb", "07_broken.failed.ipynb"}
    run.main(["--scale", "smoke"])
    assert capsys.readouterr().err.count("unchanged, skipped") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale", "huge"], "unknown scale 'huge'; choose one of"),
        (["--scale", "smoke", "--only", "42"], "unknown notebook '42'"),
        (["--scale", "smoke", "--parameter", "SCALLE=x"], "unknown parameters ['SCALLE']"),
        (["--scale", "smoke", "--parameter", "SCALE"], "write it as NAME=VALUE"),
        (["--scale", "smoke", "--data", "no/such/folder"], "no/such/folder: this data folder does not exist"),
    ],
)
def test_bad_arguments_get_one_clear_message(one_notebook, capsys, arguments, message):
    assert run.main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_from_and_only_choose_notebooks():
    files = [Path(f"{number}_x.ipynb") for number in NUMBERS]
    assert [p.stem[:2] for p in run.choose(files, "08", None)] == ["08", "09", "10"]
    assert [p.stem[:2] for p in run.choose(files, None, "06")] == ["06"]
    with pytest.raises(DataError):
        run.choose(files, "11", None)


def test_missing_data_files_are_named_and_the_run_goes_on(smoke, tmp_path):
    """An empty data folder: the notebook says which file is missing and where to get it."""
    outputs = tmp_path / "outputs"
    shutil.copytree(smoke, outputs / "smoke")
    (tmp_path / "empty").mkdir()
    run.run("smoke", only="06", data=str(tmp_path / "empty"), outputs=str(outputs))
    text = next((outputs / "smoke" / "notebooks").glob("06_*.ipynb")).read_text()
    assert "vicuna_eval.json" in text and "prometheus-eval" in text


def test_house_form_of_the_notebooks():
    for path in run.notebook_files():
        notebook = nbformat.read(path, 4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        lines = sorted(sum(1 for line in cell.source.splitlines() if line.strip()) for cell in code)
        source = "\n".join(cell.source for cell in code)
        assert 30 <= len(notebook.cells) <= 110, path.name
        assert lines[len(lines) // 2] <= 6 and lines[-1] <= 40, path.name
        assert not any(cell.get("outputs") for cell in code), f"{path.name} holds outputs"
        assert any("parameters" in cell.metadata.get("tags", []) for cell in code), path.name
        for forbidden in ("!pip", "%cd", "sys.path", "os.chdir", "if SCALE"):
            assert forbidden not in source, (path.name, forbidden)
        for word in (os.sep + "home" + os.sep, os.sep + "tmp" + os.sep):
            assert word not in source, path.name
