"""README says what the committed run found: the block between the marks is the run's own."""

from __future__ import annotations

import json

import pytest

from prometheus_lib.artifacts import project_folder
from prometheus_lib.records import DataError, MissingFile
from prometheus_lib.runner import readme
from prometheus_lib.scale import committed_outputs


def test_readme_says_what_the_committed_run_found():
    text = (project_folder() / "README.md").read_text(encoding="utf-8")
    try:
        block = readme.what_came_out(committed_outputs() / "mini")
    except MissingFile:
        pytest.skip("the committed run is of before this block")
    assert readme.with_block(text, block) == text, "run: python -m prometheus_lib readme"


def test_the_block_is_replaced_and_the_rest_stays(tmp_path):
    (tmp_path / "metrics").mkdir()
    (tmp_path / readme.SOURCE).write_text(json.dumps({readme.ENTRY: "two\nlines"}), encoding="utf-8")
    text = f"Above.\n\n{readme.START}\nold\n{readme.END}\n\nBelow.\n"
    written = readme.with_block(text, readme.what_came_out(tmp_path))
    assert written == f"Above.\n\n{readme.START}\ntwo\nlines\n{readme.END}\n\nBelow.\n"
    assert readme.with_block(written, "two\nlines") == written


@pytest.mark.parametrize("text", ["no marks", f"{readme.END} {readme.START}", f"{readme.START}{readme.START}"])
def test_a_readme_without_its_marks_is_refused(text):
    with pytest.raises(DataError, match="once each"):
        readme.with_block(text, "new")
