"""The form that all notebooks share: titles, headings, what was learned, sources, and where to read on."""

from __future__ import annotations

import ast
import json
import re

import pytest

from prometheus_lib.runner import notebooks

FILES = {path.stem[:2]: path for path in notebooks.notebook_files()}


def cells(number: str, kind: str) -> list[str]:
    found = json.loads(FILES[number].read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def headings(number: str) -> list[str]:
    return re.findall(r"^## (.*)$", "\n".join(cells(number, "markdown")), re.MULTILINE)


@pytest.mark.parametrize("number", FILES)
def test_title_and_headings_are_numbered_in_one_style(number):
    assert cells(number, "markdown")[0].startswith(f"# {number} · ")
    counted = [heading.split(" ")[0] for heading in headings(number)]
    assert counted == [f"{int(number)}.{place}" for place in range(1, len(counted) + 1)]


@pytest.mark.parametrize("number", FILES)
def test_it_says_what_was_learned_in_at_most_six_lines_that_are_computed(number):
    source = FILES[number].read_text(encoding="utf-8")
    content = [("".join(cell["source"]), cell["cell_type"]) for cell in json.loads(source)["cells"]]
    (place,) = (n for n, (text, _) in enumerate(content) if re.search(r"^## \S+ What we learned$", text, re.MULTILINE))
    text = next(text for text, kind in content[place:] if kind == "code")
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    assert 1 <= sum(ast.unparse(call.func) == "print" for call in calls) <= 6 and "JoinedStr" in ast.dump(
        ast.parse(text)
    )


@pytest.mark.parametrize("number", FILES)
def test_it_names_its_sources_and_leads_on(number):
    text = "\n".join(cells(number, "markdown"))
    assert len(set(re.findall(r"(\w+)(?: et al\.| and \w+)?,? \(?(?:19|20)\d\d", text))) >= 2
    links = re.findall(r"Next:\*{0,2} \[\d\d · [^\]]+\]\(([^)]+)\)", text)
    last = number == max(FILES)
    assert len(links) == (0 if last else 1) and all((FILES[number].parent / link).is_file() for link in links)


@pytest.mark.parametrize("number", FILES)
def test_code_cells_hold_code_and_bars_fit_notebooks(number):
    code = cells(number, "code")
    assert all(ast.parse(source).body for source in code)
    assert not re.search(r"^(from tqdm import|import tqdm\b)", "\n".join(code), re.MULTILINE)


@pytest.mark.parametrize("number", FILES)
def test_whoever_asks_a_judge_has_its_base_model_at_hand(number):
    code = "\n".join(cells(number, "code"))
    asks = re.search(r"scale\.model_folder|pipeline\.(load_judge|train|merge|collect)_?", code)
    assert "pipeline.with_base(load_scale(" in code or not asks
