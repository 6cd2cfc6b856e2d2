"""README's generated blocks are those of the committed run, the notebooks and the scales."""

from __future__ import annotations

import json
import shutil

import pytest

from prometheus_lib.artifacts import project_folder
from prometheus_lib.records import DataError
from prometheus_lib.runner import notebooks, overview, readme
from prometheus_lib.scale import SCALES, committed_outputs

RUN = committed_outputs() / "mini"
START, END = readme.MARK.format("", "some"), readme.MARK.format("end of ", "some")


@pytest.mark.parametrize("name", readme.blocks(RUN))
def test_readme_says_what_the_committed_run_the_notebooks_and_the_scales_say(name):
    text = (project_folder() / "README.md").read_text(encoding="utf-8")
    assert readme.with_block(text, name, readme.blocks(RUN)[name]) == text, "run: python -m prometheus_lib readme"


def test_the_blocks_follow_the_run(tmp_path):
    (tmp_path / "metrics").mkdir()
    (tmp_path / readme.SOURCE).write_text(json.dumps({readme.WHOLE: "two\nlines"}), encoding="utf-8")
    seconds = dict.fromkeys((path.stem for path in notebooks.notebook_files()), 90)
    (tmp_path / "manifest.json").write_text(json.dumps({"longest": seconds}), encoding="utf-8")
    found = readme.blocks(tmp_path)
    assert found["what came out"] == "two\nlines"
    assert found["notebooks"].count("| 1.5 |") == len(seconds)
    assert f"together {1.5 * len(seconds):.0f}," in found["notebooks"]
    assert [line.split("`")[1] for line in found["scales"].splitlines()[2:]] == list(SCALES)


def test_the_designed_experiment_is_told_where_it_has_results(tmp_path):
    row = {"says": "It helps.", "difference": 3.04, "low": 1.0, "high": 5.0, "seeds": 5}
    hypotheses = {"M1": row | {"verdict": "reproduced"}, "M2": row | {"verdict": "undecided"}}
    (tmp_path / "metrics").mkdir()
    path = tmp_path / readme.MAP
    path.write_text(json.dumps({"hypotheses": hypotheses}), encoding="utf-8")
    told = readme.of_the_map(tmp_path)
    assert told.startswith(
        "- **When does merging help?** It helps: **reproduced** (+3.0 [+1.0, +5.0] over 5 seeds). 1 of 2 "
    )
    path.write_text(json.dumps({"hypotheses": {"M1": row | {"verdict": "not run yet"}}}), encoding="utf-8")
    assert readme.of_the_map(tmp_path) == ""


def test_other_committed_runs_are_told_in_short(tmp_path):
    said = "| judge | exact |\n|---|---|\n| base | 20.0 |\n\nOf 24 claims put to a test: all."
    for name, entry, text in (("mini", readme.WHOLE, "two\nlines"), ("bridge", readme.SHORT, said)):
        (tmp_path / name / "metrics").mkdir(parents=True)
        (tmp_path / name / readme.SOURCE).write_text(json.dumps({entry: text}), encoding="utf-8")
        manifest = json.dumps({"longest": {"03_train_experts": 3600}})
        (tmp_path / name / "manifest.json").write_text(manifest, encoding="utf-8")
    found = readme.blocks(tmp_path / "mini")
    told = found["real models"]
    assert told.startswith("**`bridge`**: generated stand-ins") and "outputs/bridge/REPORT.md" in told
    assert told.splitlines()[-1] == "Of 24 claims put to a test: all."
    assert "| base | 20.0 |" in told.splitlines()
    assert found["scales"].count("| 60 minutes |") == 2
    shutil.rmtree(tmp_path / "bridge")
    assert readme.blocks(tmp_path / "mini")["real models"].startswith("No run of a real model")


def test_a_block_is_replaced_and_the_rest_stays():
    text = f"Above.\n\n{START}\nold\n{END}\n\nBelow.\n"
    written = readme.with_block(text, "some", "two\nlines")
    assert written == f"Above.\n\n{START}\ntwo\nlines\n{END}\n\nBelow.\n"
    assert readme.with_block(written, "some", "two\nlines") == written


@pytest.mark.parametrize("text", ["no marks", f"{END} {START}", f"{START}{START}"])
def test_a_readme_without_its_marks_is_refused(text):
    with pytest.raises(DataError, match="once each"):
        readme.with_block(text, "some", "new")


def test_a_notebook_that_does_not_say_what_it_is_about_is_named(tmp_path):
    shutil.copy(notebooks.notebook_files()[0], tmp_path)
    content = json.loads((tmp_path / "00_start_here.ipynb").read_text(encoding="utf-8"))
    del content["metadata"]["about"]["question"]
    (tmp_path / "00_start_here.ipynb").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match="00_start_here.ipynb: its metadata need `about`"):
        overview.about(notebooks.notebook_files(tmp_path)[0])


def test_parts_of_the_paper_are_those_that_cells_save():
    cells = ['tables.save_table(cells, 3, folder)\nsave_table(cells, "16", folder)', 'plots.save_figure(f, d, "08_x")']
    assert overview.paper_parts(cells) == "Tables 3 and 16"
    assert overview.paper_parts(['save_table(x, "figure_1", d)', 'save_figure(x, d, "figure_1")']) == "Figure 1"
