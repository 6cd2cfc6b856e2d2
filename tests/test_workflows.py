"""What the code host runs: workflows, hooks and templates that can be read and name what there is."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from prometheus_lib.artifacts import project_folder

ROOT = project_folder()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEMPLATES = [path for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")) if path.stem != "config"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split()


def read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs() -> dict[str, dict]:
    return {f"{path.stem}/{name}": job for path in WORKFLOWS for name, job in read(path)["jobs"].items()}


def commands(job: dict) -> list[list[str]]:
    return [shlex.split(step["run"]) for step in job["steps"] if "run" in step]


def supported() -> list[str]:
    found = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line) for line in PROJECT["classifiers"]]
    return [match[1] for match in found if match]


def test_classifiers_are_the_versions_that_are_required():
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups()
    assert supported() == [f"3.{minor}" for minor in range(int(low), int(high))]


def test_every_version_is_tested_on_linux_and_macos():
    matrix = jobs()["test/test"]["strategy"]["matrix"]
    assert matrix["python"] == supported()
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos"}


def test_both_ends_of_the_ranges_are_tested_on_the_oldest_and_the_newest_python():
    ends = {each["resolution"]: each["python"] for each in jobs()["test/ranges"]["strategy"]["matrix"]["include"]}
    assert ends == {"lowest-direct": supported()[0], "highest": supported()[-1]}


@pytest.mark.parametrize("name", jobs())
def test_a_job_checks_out_sets_python_up_and_calls_make(name):
    job = jobs()[name]
    used = [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]
    assert used[:2] == ["actions/checkout", "actions/setup-python"] and job["timeout-minutes"]
    made = [line for line in commands(job) if line[0] == "make"]
    assert made and all(line[1] in TARGETS for line in made)
    assert all(f"$({word.partition('=')[0]})" in MAKEFILE for line in made for word in line[2:] if "=" in word)
    assert all(line[0] in ("make", "echo") for line in commands(job))


def test_workflows_run_on_pushes_and_pull_requests_and_may_only_read():
    for path in WORKFLOWS:
        found = read(path)
        assert {"push", "pull_request"} <= set(found[True])  # YAML reads the key `on` as true
        assert found["permissions"] == {"contents": "read"}


def test_the_hook_is_the_lint_of_make_test():
    (repository,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    hooks = {hook["id"]: hook for hook in repository["hooks"]}
    assert hooks["lint"]["entry"] == "make lint" and "lint" in TARGETS and "test: env lint" in MAKEFILE
    files = [word for word in shlex.split(hooks["documents"]["entry"]) if word.startswith("tests/")]
    assert files and all((ROOT / file).is_file() for file in files)
    assert all(hook["language"] == "system" and {"name", "entry"} <= set(hook) for hook in hooks.values())


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_an_issue_template_has_what_the_form_asks_for(path):
    form = read(path)
    assert {"name", "description", "body"} <= set(form)
    fields = [each for each in form["body"] if each["type"] != "markdown"]
    assert len({each["id"] for each in fields}) == len(fields) > 0
    assert all(each["type"] in ("input", "textarea", "dropdown", "checkboxes") for each in fields)
    assert all(each["attributes"]["label"] for each in fields)
