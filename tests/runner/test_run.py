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

from prometheus_lib.__main__ import main
from prometheus_lib.records import DataError
from prometheus_lib.report import LIMIT, report_state
from prometheus_lib.runner import needs, notebooks, run_notebooks

NUMBERS = [path.stem[:2] for path in notebooks.notebook_files()]


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
    assert run_notebooks("smoke", outputs=str(smoke.parent)) == {}
    assert capsys.readouterr().err.count("unchanged, skipped") == len(NUMBERS)
    (smoke / "metrics" / "10.json").unlink()
    again = run_notebooks("smoke", outputs=str(smoke.parent))  # its stage: files are recorded by stage
    assert sorted(name[:2] for name in again) == ["10", "11", "12"]
    assert (smoke / "metrics" / "10.json").is_file()


def test_every_table_and_figure_is_there(smoke):
    for number in (1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16, 17):
        for ending in ("csv", "md", "tex"):
            file = smoke / "tables" / f"table_{number:02d}.{ending}"
            assert file.is_file() and file.stat().st_size > 100, file
    for number in (1, 2, 3):
        for ending in ("png", "svg"):
            assert list((smoke / "figures").glob(f"figure_{number}*.{ending}")), (number, ending)


def test_the_run_leaves_its_page_and_a_lost_one_comes_back(smoke, capsys):
    (smoke / "report.html").unlink()
    assert run_notebooks("smoke", outputs=str(smoke.parent)) == {}
    assert "report.html" in capsys.readouterr().out and report_state(smoke) == ""
    page = (smoke / "report.html").read_text()
    assert len(page.encode()) <= LIMIT and 'id="C03"' in page and 'id="table_17"' in page and "<figcaption>" in page
    assert str(smoke) not in page and str(notebooks.notebook_files()[0].parent) not in page


def test_a_second_run_generates_and_trains_nothing(smoke):
    before = {path: path.read_bytes() for path in sorted((smoke / "judgments").glob("*.jsonl"))}
    stamps = {path: path.stat().st_mtime for path in smoke.glob("*/*/model.safetensors")}
    assert len(before) > 30 and len(stamps) > 15
    for number in ("03", "04", "05"):
        run_notebooks("smoke", only=number, outputs=str(smoke.parent))
    assert {path: path.read_bytes() for path in before} == before
    assert {path: path.stat().st_mtime for path in stamps} == stamps


def test_the_manifest_tells_how_it_was_made(smoke):
    manifest = json.loads((smoke / "manifest.json").read_text())
    assert set(manifest) == {"scale", "settings", "versions", "machine", "commits", "seconds", "longest"}
    assert sorted(name[:2] for name in manifest["seconds"]) == NUMBERS
    assert str(smoke) not in json.dumps(manifest)


def test_executed_notebooks_name_no_folder_of_this_machine(smoke):
    for path in (smoke / "notebooks").glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert str(Path.home()) not in text and str(smoke.parent) not in text, path.name


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a single notebook, `notebooks/00_only.ipynb`, whose last cell fails on request."""
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
    monkeypatch.delenv("PROMETHEUS_DATA_DIR", raising=False)
    return tmp_path


def run_in(project: Path, *arguments: str) -> int:
    """Run a project's notebooks at smoke; results go to its folder `outputs`."""
    given = ["--notebooks", str(project / "notebooks"), "--outputs", str(project / "outputs"), "--scale", "smoke"]
    return main(["run", *given, *arguments])


def add_cell(project: Path, source: str, name: str = "00_only") -> None:
    """Write the project's notebook with one more cell, under its own name or another."""
    notebook = nbformat.read(project / "notebooks" / "00_only.ipynb", 4)
    notebook.cells.append(nbformat.v4.new_code_cell(source))
    nbformat.write(notebook, project / "notebooks" / f"{name}.ipynb")


def test_a_failing_cell_is_named_and_the_notebook_kept(project, capsys):
    assert run_in(project, "--parameter", "FAIL=yes") == 1
    message = capsys.readouterr().err
    assert "00_only.ipynb, cell 3 failed: AssertionError: as asked" in message
    folder = project / "outputs" / "smoke" / "notebooks"
    assert [path.name for path in folder.iterdir()] == ["00_only.failed.ipynb"]
    assert "fine" in (folder / "00_only.failed.ipynb").read_text()
    assert run_in(project) == 0
    assert [path.name for path in folder.iterdir()] == ["00_only.ipynb"]


def test_a_killed_kernel_is_reported_in_one_message(project, capsys):
    add_cell(project, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert run_in(project) == 1
    error = capsys.readouterr().err
    assert "the kernel was killed" in error and "Traceback" not in error


def test_the_kernel_is_the_running_python_whatever_is_registered(project, monkeypatch):
    """Kernels named python3 that belong to another Python, or to one that is gone, stand first in Jupyter's path."""
    for place in ("JUPYTER_PATH", "JUPYTER_DATA_DIR"):
        folder = project / place / "kernels" / "python3"
        folder.mkdir(parents=True)
        foreign = {"argv": [str(project / "gone" / "python"), "{connection_file}"], "display_name": "x"}
        (folder / "kernel.json").write_text(json.dumps({**foreign, "language": "python"}))
        monkeypatch.setenv(place, str(project / place))
    add_cell(project, f"import sys\nassert sys.executable == {sys.executable!r}, sys.executable")
    assert run_in(project) == 0


def test_a_notebook_saved_with_another_kernel_runs_all_the_same(project):
    file = project / "notebooks" / "00_only.ipynb"
    notebook = nbformat.read(file, 4)
    notebook.metadata = {"kernelspec": {"name": "my-env", "display_name": "My environment"}}
    nbformat.write(notebook, file)
    assert run_in(project) == 0


def test_folders_with_braces_and_spaces(project):
    odd = project / "an {odd} folder"
    shutil.copytree(project / "notebooks", odd / "notebooks")
    assert run_in(odd) == 0
    assert (odd / "outputs" / "smoke" / "notebooks" / "00_only.ipynb").is_file()


def test_notebooks_of_a_stage_run_side_by_side_and_a_failure_stops_none_of_them(project, capsys):
    add_cell(project, "1", "06_fine")
    add_cell(project, "1 / 0", "07_broken")
    files = notebooks.notebook_files(project / "notebooks")
    assert [[p.stem for p in stage] for stage in notebooks.stages(files)] == [["00_only"], ["06_fine", "07_broken"]]
    assert run_in(project) == 1
    error = capsys.readouterr().err
    assert "07_broken.ipynb, cell 4 failed: ZeroDivisionError" in error
    done = {path.name for path in (project / "outputs" / "smoke" / "notebooks").iterdir()}
    assert done == {"00_only.ipynb", "06_fine.ipynb", "07_broken.failed.ipynb"}
    run_in(project)
    assert capsys.readouterr().err.count("unchanged, skipped") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale", "huge"], "unknown scale 'huge'; choose one of"),
        (["--only", "42"], "unknown notebook '42'"),
        (["--parameter", "SCALLE=x"], "unknown parameters ['SCALLE']"),
        (["--parameter", "SCALE"], "write it as NAME=VALUE"),
        (["--parameter", "SCALE=mini"], "set this with --scale"),
        (["--parameter", "SCALE=smoke"], "set this with --scale"),
        (["--parameter", "OUTPUTS=elsewhere"], "set this with --outputs"),
        (["--parameter", "DATA_DIR=elsewhere"], "set this with --data"),
        (["--parameter", "scale=mini"], "unknown parameters ['scale']"),
        (["--parameter", "FAIL=", "--parameter", "FAIL=yes"], "FAIL is given twice"),
        (["--data", "no/such/folder"], "no/such/folder: this data folder does not exist"),
        (["--notebooks", "no/such/folder"], "no/such/folder: no notebooks here"),
    ],
)
def test_bad_arguments_get_one_clear_message_and_write_nothing(project, capsys, arguments, message):
    assert run_in(project, *arguments) == 1
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not (project / "outputs").exists()


def test_a_changed_parameter_runs_a_notebook_again_and_the_same_one_does_not(project, capsys):
    add_cell(project, "print(SCALE, OUTPUTS)")
    for arguments, skipped in (((), 0), ((), 1), (("--parameter", "DATA=1"), 0)):
        if arguments:
            file = project / "notebooks" / "00_only.ipynb"
            file.write_text(file.read_text().replace("DATA_DIR =", "DATA ="))
        assert run_in(project, *arguments) == 0
        assert capsys.readouterr().err.count("unchanged, skipped") == skipped


def test_one_command_line_leads_to_all_others(capsys):
    from prometheus_lib.__main__ import COMMANDS, main

    for name in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        shown = capsys.readouterr().out
        assert stop.value.code == 0 and shown.startswith(f"usage: python -m prometheus_lib {name}")
        assert ("--scale" in shown) == (name not in ("lab", "data", "map"))
    assert main(["run", "--scale", "huge"]) == 1
    with pytest.raises(SystemExit):
        main(["walk"])


def test_from_and_only_choose_notebooks():
    files = [Path(f"{number}_x.ipynb") for number in NUMBERS]
    assert [p.stem[:2] for p in notebooks.choose(files, "08", None)] == [number for number in NUMBERS if number >= "08"]
    assert [p.stem[:2] for p in notebooks.choose(files, None, "06")] == ["06"]
    assert [p.stem[:2] for p in notebooks.choose(files, None, "6")] == ["06"]
    with pytest.raises(DataError):
        notebooks.choose(files, "99", None)


@pytest.mark.parametrize(
    ("number", "needed", "first"),
    [("2", "data/feedback_collection.jsonl", "01"), ("03", "data/feedback_collection.jsonl", "01"),
     ("04", "experts", "01"), ("5", "experts", "01"), ("08", "judgments", "01")],
)  # fmt: skip
def test_what_an_earlier_notebook_writes_is_asked_for_by_its_number(number, needed, first, tmp_path, capsys):
    assert main(["run", "--scale", "smoke", "--only", number, "--outputs", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    writer = needs.WRITERS[needed]
    assert f"needs {tmp_path / 'smoke' / needed}, which notebook {writer} writes" in error
    assert error.endswith(f"--scale smoke --from {first}\n") and not list(tmp_path.rglob("*.ipynb"))


def test_only_what_is_missing_is_asked_for(tmp_path):
    ours = {path.stem[:2]: path for path in notebooks.notebook_files()}
    for name in ("data/feedback_collection.jsonl", "data/preference_collection.jsonl", "experts/x"):
        (tmp_path / name).mkdir(parents=True)
    needs.check_needs([ours["03"], ours["04"], ours["05"]], tmp_path, "mini")
    assert needs.first_needed("05", tmp_path) == "04" and needs.first_needed("09", tmp_path) == "04"
    with pytest.raises(DataError, match="05_collect_judgments needs .*merged, which notebook 04 writes"):
        needs.check_needs([ours["05"]], tmp_path, "mini")


def test_missing_data_files_are_named_and_the_run_goes_on(smoke, tmp_path):
    """An empty data folder: the notebook says in one line what is missing and which command gets it."""
    outputs = tmp_path / "outputs"
    shutil.copytree(smoke, outputs / "smoke")
    (tmp_path / "empty").mkdir()
    run_notebooks("smoke", only="06", data=str(tmp_path / "empty"), outputs=str(outputs))
    text = next((outputs / "smoke" / "notebooks").glob("06_*.ipynb")).read_text()
    assert "vicuna_bench (real)" in text and "make data" in text


def test_house_form_of_the_notebooks():
    for path in notebooks.notebook_files():
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


def test_a_scale_file_of_ones_own_runs_and_its_place_is_not_told(project, tmp_path_factory, capsys):
    file = tmp_path_factory.mktemp("own") / "mine.toml"
    file.write_text('like = "smoke"\nrows = 8\n', encoding="utf-8")
    add_cell(project, "from prometheus_lib.scale import load_scale\nload_scale(SCALE, OUTPUTS).experts[0].examples")
    assert run_in(project, "--scale", str(file)) == 0
    executed = (project / "outputs" / "mine" / "notebooks" / "00_only.ipynb").read_text(encoding="utf-8")
    assert str(file.parent) not in executed and 'SCALE = \\"mine.toml\\"' in executed
    assert '"8"' in executed  # the cell's result
    manifest = json.loads((project / "outputs" / "mine" / "manifest.json").read_text())
    assert manifest["scale"] == "mine" and manifest["settings"]["experts"][0]["examples"] == 8
    file.write_text('like = "smoke"\nrows = 9\n', encoding="utf-8")
    capsys.readouterr()
    assert run_in(project, "--scale", str(file)) == 0
    assert "unchanged" not in capsys.readouterr().err
    assert run_in(project, "--scale", str(file)) == 0
    assert "unchanged, skipped" in capsys.readouterr().err


def test_another_base_model_and_other_rows_reach_the_notebooks_that_know_them(project, tiny_base, capsys):
    given = ("--base-model", str(tiny_base), "--rows", "12")
    assert run_in(project, *given) == 1
    assert "unknown parameters ['BASE_MODEL', 'ROWS']" in capsys.readouterr().err
    notebook = nbformat.read(project / "notebooks" / "00_only.ipynb", 4)
    notebook.cells[0].source += '\nBASE_MODEL = ""\nROWS = 0'
    source = "from prometheus_lib.scale import load_scale\nload_scale(SCALE, OUTPUTS, BASE_MODEL, ROWS).paths.root.name"
    notebook.cells.append(nbformat.v4.new_code_cell(source))
    nbformat.write(notebook, project / "notebooks" / "00_only.ipynb")
    assert run_in(project, *given) == 0
    name = f"smoke-{tiny_base.name}-12-rows"
    executed = (project / "outputs" / name / "notebooks" / "00_only.ipynb").read_text(encoding="utf-8")
    assert f"'{name}'" in executed and str(tiny_base) not in executed
