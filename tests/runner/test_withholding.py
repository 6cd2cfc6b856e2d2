"""Texts of real data stay where they were read: nothing that is committed shows them."""

from __future__ import annotations

import json
import os
import subprocess

from prometheus_lib.artifacts import project_folder
from prometheus_lib.data.building.leakage import GRAM, runs
from prometheus_lib.records import write_jsonl
from prometheus_lib.runner.withholding import (
    NOTE,
    REAL_TEXTS,
    known_runs,
    output_texts,
    shows,
    withheld_files,
    withhold,
)
from prometheus_lib.scale import committed_outputs, load_scale

SECRET = "The quick survey of nine small harbours says that seven of them are deeper than they were ten years ago."


def notebook(*texts: str) -> dict:
    outputs = [{"output_type": "stream", "name": "stdout", "text": [text]} for text in texts]
    return {"cells": [{"cell_type": "code", "outputs": outputs}, {"cell_type": "markdown"}]}


def test_an_output_with_a_real_text_becomes_a_note_and_others_stay(tmp_path):
    known = known_runs([write_jsonl(tmp_path / "rows.jsonl", [{"review": {"of": [SECRET]}}])])
    page = notebook(
        "n = 9", f"<td>{SECRET[4:95]}</td>", json.dumps(SECRET.replace(" says", "\nsays")), "nine small harbours"
    )
    assert withhold(page, known) == 2
    assert [output["text"] == [NOTE] for output in page["cells"][0]["outputs"]] == [False, True, True, False]


def test_a_file_is_read_again_when_it_has_changed(tmp_path):
    """Collections are written while the notebooks run."""
    file = tmp_path / "rows.jsonl"
    assert known_runs([file]) == set()
    write_jsonl(file, [{"text": "Another text."}])
    first = known_runs([file])
    write_jsonl(file, [{"text": SECRET}])
    os.utime(file, ns=(1, 1))
    assert not shows(SECRET, first) and shows(SECRET, known_runs([file]))


def test_a_table_of_numbers_is_no_text(tmp_path):
    numbers = " ".join(["5"] * 20)
    known = known_runs([write_jsonl(tmp_path / "rows.jsonl", [{"answer": f"{numbers} {SECRET}"}])])
    assert shows(SECRET, known) and not shows(numbers, known)


def test_what_every_prompt_says_is_ours_to_show(tmp_path):
    task = "An instruction (might include an Input inside it), a response to evaluate, a reference answer"
    known = known_runs(
        [write_jsonl(tmp_path / "rows.jsonl", [{"instruction": f"###Task Description:\n{task} {SECRET}"}])]
    )
    assert shows(SECRET, known) and not shows(task, known)


def test_a_run_of_ones_own_shows_everything_and_a_committed_one_nothing(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    write_jsonl(tmp_path / "benchmarks" / "rows.jsonl", [{"text": SECRET}])
    own, committed = load_scale("small", tmp_path), load_scale("small", committed_outputs())
    assert withheld_files(own, str(tmp_path)) == []
    names = [file.name for file in withheld_files(committed, str(tmp_path))]
    assert names == ["rows.jsonl", "feedback_collection.jsonl", "preference_collection.jsonl"]


def test_nothing_that_is_committed_shows_real_texts(data_dir):
    """Judgments apart: there a judge's own words may repeat what it read."""
    listed = subprocess.run(["git", "ls-files", "outputs"], cwd=project_folder(), capture_output=True, text=True)
    files = [
        project_folder() / name for name in listed.stdout.split() if name.endswith((".md", ".csv", ".json", ".ipynb"))
    ]
    known = known_runs([file for name in REAL_TEXTS for file in (data_dir / name).rglob("*.json*")])
    assert len(known) > 100_000 and files
    assert [file.name for file in files if any(shows(text, known) for text in texts_of(file))] == []


def texts_of(file) -> list[str]:
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".ipynb":
        return [text]
    cells = json.loads(text)["cells"]
    return ["".join(part) for cell in cells for output in cell.get("outputs", []) for part in output_texts(output)]


def test_the_length_of_a_run_is_that_of_the_overlap_analysis():
    assert all(run.count(" ") == GRAM - 1 for run in runs(SECRET, GRAM))
