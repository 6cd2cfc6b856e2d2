"""What makes a notebook run again."""

from __future__ import annotations

from pathlib import Path

from prometheus_lib.runner.skipping import read_besides


def test_a_new_result_of_an_experiment_concerns_the_notebook_that_reads_them_alone(tmp_path):
    reader, other = Path("11_when_does_merging_help.ipynb"), Path("10_paper_report.ipynb")
    assert read_besides(reader, tmp_path) == []
    for place, name in (("outputs", "paper-seed1.json"), ("my-outputs", "paper-seed2.json")):
        folder = tmp_path / place / "experiments" / "map"
        folder.mkdir(parents=True)
        (folder / name).write_text("{}")
    assert [row[0] for row in read_besides(reader, tmp_path)] == ["paper-seed1.json", "paper-seed2.json"]
    assert read_besides(other, tmp_path) == []
