"""README, CONTRIBUTING and docs/: commands exist, links lead somewhere, code runs, and numbers hold."""

from __future__ import annotations

import importlib
import math
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from safetensors import safe_open

from prometheus_lib.__main__ import COMMANDS
from prometheus_lib.artifacts import project_folder
from prometheus_lib.data.minibench import MINIATURES
from prometheus_lib.planning.estimate import PAPER_HOURS
from prometheus_lib.runner.notebooks import notebook_files
from prometheus_lib.scale import load_scale
from prometheus_lib.training import EMBEDDED_BASE

ROOT = project_folder()
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
README = TEXTS["README.md"]


# --- commands --------------------------------------------------------------------------------------------------------


def commands(text: str) -> Iterator[str]:
    """Yield what a document tells a reader to type: lines of shell blocks, and code between backticks."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    for language, block in fenced:
        if language in ("", "bash"):
            yield from block.replace("\\\n", " ").splitlines()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from (span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", prose))


def words(line: str) -> list[str]:
    """Return a command's words up to its comment or its end, without what is set in its environment."""
    try:
        found = shlex.split(line.partition(" #")[0].replace(";", " ; "))
    except ValueError:
        return []
    found = [
        word for number, word in enumerate(found) if not re.fullmatch(r"[A-Z_]+=.*", word) or "make" in found[:number]
    ]
    end = next((number for number, word in enumerate(found) if word in ("&", ";", "|")), len(found))
    return found[:end]


def all_commands(program: str) -> list[tuple[str, list[str]]]:
    found = [(name, words(line)) for name, text in TEXTS.items() for line in commands(text)]
    return [(name, line) for name, line in found if line[:1] == [program] and len(line) > 1]


def test_commands_are_found():
    assert len(all_commands("make")) > 15 and len(all_commands("python")) > 15


@pytest.mark.parametrize("page,line", all_commands("make"), ids=lambda value: " ".join(value))
def test_a_make_command_names_a_target_and_variables_of_the_makefile(page, line):
    targets = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split()
    for word in line[1:]:
        name, sign, _ = word.partition("=")
        assert f"$({name})" in MAKEFILE if sign else name in targets, f"{page}: {' '.join(line)}"


@pytest.mark.parametrize("page,line", all_commands("python"), ids=lambda value: " ".join(value))
def test_a_python_command_is_understood(page, line):
    """By the real parser of the command; a script or another module must be there."""
    if line[1] != "-m":
        assert (ROOT / line[1]).is_file(), f"{page}: {line}"
    elif line[2] != "prometheus_lib":
        assert (ROOT / line[2].replace(".", "/")).with_suffix(".py").is_file(), f"{page}: {line}"
    elif line[3] != "COMMAND":
        parser = importlib.import_module(COMMANDS[line[3]][0]).parser()
        parser.parse_args(line[4:])


def test_a_wrong_option_would_be_found():
    with pytest.raises(SystemExit):
        importlib.import_module(COMMANDS["run"][0]).parser().parse_args(["--onyl", "06"])


def test_the_first_screen_has_the_two_commands_and_one_convention_for_python():
    first, *_ = re.findall(r"^```bash\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert [words(line) for line in first.splitlines()] == [["make", "reproduce"], ["make", "test"]]
    assert README[: README.index(first)].count("\n") < 15
    assert all("bin/python" not in text for text in TEXTS.values())
    name = yaml.safe_load((ROOT / "environment.yml").read_text())["name"]
    assert f"conda activate {name}`" in README


# --- links and code --------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if target.startswith(("http://", "https://")):
            continue
        place, _, anchor = target.partition("#")
        file = (ROOT / page).parent / place if place else ROOT / page
        assert file.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{page} links to {target}"


def python_blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", TEXTS[page], re.DOTALL | re.MULTILINE)


def test_all_python_code_is_run_by_a_test():
    """CONTRIBUTING's by test_worked_examples, the others below."""
    assert {page for page in TEXTS if python_blocks(page)} == {
        "CONTRIBUTING.md", "docs/building.md", "docs/judging.md", "docs/merging.md",
    }  # fmt: skip


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """A working folder in which an untrained judge lies wherever the documents name a model."""
    for name in ("path/to/a/model", "path/to/base", "path/to/experts/direct", "path/to/experts/pairwise"):
        shutil.copytree(EMBEDDED_BASE, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*same model")
def test_the_code_of_merging_runs_as_it_stands(models):
    known: dict = {}
    for block in python_blocks("docs/merging.md"):
        exec(block, known)
    assert known["judge"].name == known["merge"].name


def test_the_code_of_judging_runs_as_it_stands(models):
    rows = ["id,instruction,response,human", "2,Say hello.,Hello!,5", '10,Say hello.,"No, never.",1', "1,Say hello.,,2"]
    (models / "mine.csv").write_text("\n".join(rows))
    known: dict = {}
    with pytest.warns(UserWarning, match="1 row with an empty response is judged as it stands"):
        for block in python_blocks("docs/judging.md"):
            exec(block, known)
    assert known["gap"].between(-4, 4).sum() == known["gap"].notna().sum() and len(known["gap"]) == 3
    table, scores = known["table"].astype({"decision": float}), known["scores"]
    assert len(table) == 9 and list(scores.index) == ["2", "10", "1"] and list(scores["human"]) == [5, 1, 2]
    means = table.groupby("item_id")["decision"].mean()
    assert all(scores.loc[id, "score"] == mean or mean != mean for id, mean in means.items())


def test_the_code_of_building_runs_as_it_stands(models, capsys):
    rows = [f"Say hello to guest {n // 5}.,hello{'!' * (n % 5)},{n % 5 + 1}" for n in range(10)]
    (models / "graded.csv").write_text("\n".join(["instruction,response,score", *rows]))
    exec("\n".join(python_blocks("docs/building.md")), {})
    assert capsys.readouterr().out == "{'A': 10, 'B': 10}\n" and list((models / "my-pairs").rglob("*.parquet"))


# --- numbers ---------------------------------------------------------------------------------------------------------


def parameters() -> int:
    with safe_open(EMBEDDED_BASE / "model.safetensors", "np") as weights:
        return sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118


def test_numbers_in_the_prose_hold():
    """Those outside the generated blocks; the figures on real benchmarks are tested on the real files."""
    small = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
             "thirteen", "fourteen", "fifteen")  # fmt: skip
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"{small[len(notebook_files())]} notebooks" in README
    assert f"{parameters() / 1e6:.1f}-million-parameter" in README
    assert f"{small[len(MINIATURES)]} miniature benchmarks" in README
    assert f"Python {re.match(r'>=([0-9.]+)', project['requires-python'])[1]} or newer" in README
    seeds = {expert.seed for expert in load_scale("mini").experts}
    assert f"{small[len(seeds)]} seeds each" in README
    assert f"about {PAPER_HOURS} A100 hours" in README


def test_every_room_has_its_line():
    rooms = {path.parent.name for path in (ROOT / "prometheus_lib").glob("*/__init__.py")}
    block = README[README.index("prometheus_lib/\n") : README.index("tests/  ")]
    assert rooms == set(re.findall(r"^  (\w+)/ ", block, re.MULTILINE))
