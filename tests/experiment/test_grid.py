"""A tiny grid really run: trained, merged in place, judged, killed and gone on with; what is read from its files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import prometheus_lib.experiment as experiment
from prometheus_lib import judging
from prometheus_lib.experiment.cells import GREEDY, outcomes
from prometheus_lib.experiment.world import unseen_items
from prometheus_lib.records import DataError

DESIGN = """
title = "Tiny"
seeds = [1, 2]
instructions = 10
margin = 2.0
[point]
examples = 64
[knobs]
conflict = [0.5]
[arms.base]
[arms.direct]
direct = 1.0
[arms.pairwise]
pairwise = 1.0
[arms.linear]
merges = ["direct", "pairwise"]
method = "linear"
[arms.dare-linear]
merges = ["direct", "pairwise"]
method = "dare-linear"
density = 0.9
[arms.checklist]
checklist = 1.0
[arms.three]
merges = ["linear", "checklist"]
method = "linear"
alpha = 0.667
"""


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    file = tmp_path_factory.mktemp("design") / "tiny.toml"
    file.write_text(DESIGN)
    return experiment.read_design(file)


@pytest.fixture(scope="module")
def place(design, tmp_path_factory) -> Path:
    """A folder in which the whole tiny grid has been run."""
    folder = tmp_path_factory.mktemp("grid")
    assert experiment.run_design(jobs(design, folder), workers=1) == []
    return folder


def jobs(design, folder: Path, **chosen):
    return experiment.jobs_of(design, folder / "results", folder / "work", **chosen)


def test_every_cell_and_seed_has_one_small_file_with_all_outcomes(design, place):
    files = sorted(file.name for file in (place / "results").iterdir())
    assert files == [f"{cell}-seed{seed}.json" for cell in ("conflict=0.5", "paper") for seed in (1, 2)]
    for file in (place / "results").iterdir():
        result = json.loads(file.read_text())
        assert file.stat().st_size < 5000 and set(result["arms"]) == set(design.arms)
        for arm in result["arms"].values():
            assert tuple(arm) == ("exact", "pair", "list")
            assert all(len(text) == design.instructions and set(text) <= set("01-") for text in arm.values())
    assert list((place / "work").iterdir()) == [], "experts are removed when their cell is done"


def test_arms_that_share_nothing_with_the_knob_come_out_alike(design, place):
    """Direct assessment knows no pair labels: the direct expert of both cells is the same model."""
    results = experiment.read_results(jobs(design, place))
    for seed in design.seeds:
        one, two = (results[cell, seed]["arms"] for cell in design.cells)
        assert one["base"] == two["base"] and one["direct"] == two["direct"]


def test_a_grid_that_is_there_is_not_run_again(design, place):
    before = {file: file.stat().st_mtime_ns for file in (place / "results").iterdir()}
    assert experiment.run_design(jobs(design, place), workers=1) == []
    assert before == {file: file.stat().st_mtime_ns for file in (place / "results").iterdir()}


@pytest.mark.parametrize("change", ({"instructions": 11}, {"arms": {}}, {"point": experiment.Settings(65)}))
def test_results_of_another_design_are_not_read(design, place, change):
    other = replace(design, **change)
    assert experiment.read_results(jobs(other, place)) == {}
    assert len(experiment.waiting(jobs(other, place))) == 4


def test_when_the_time_is_up_nothing_is_begun(design, tmp_path):
    left = experiment.run_design(jobs(design, tmp_path), workers=1, limit_minutes=0)
    assert len(left) == 4 and not (tmp_path / "results").exists()


def test_a_killed_run_goes_on_and_gives_the_same_results(design, place, tmp_path):
    """Killed while it trains; the second run must end, and nothing half-written may be taken for a result."""
    script = (
        "import sys, prometheus_lib.experiment as e; from pathlib import Path\n"
        "design, folder = e.read_design(sys.argv[1]), Path(sys.argv[2])\n"
        "e.run_design(e.jobs_of(design, folder / 'results', folder / 'work', ['paper'], [1]), 1)\n"
    )
    file = tmp_path / "tiny.toml"
    file.write_text(DESIGN)
    process = subprocess.Popen([sys.executable, "-c", script, str(file), str(tmp_path)], stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(tmp_path.glob("work/*/experts/direct")):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    chosen = jobs(design, tmp_path, cells=["paper"], seeds=[1])
    assert experiment.waiting(chosen) == chosen
    assert experiment.run_design(chosen, workers=1) == []
    expected = experiment.read_results(jobs(design, place))["paper", 1]["arms"]
    assert experiment.read_results(chosen)["paper", 1]["arms"] == expected


def test_a_damaged_result_is_named(design, place, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "paper-seed1.json").write_text('{"design": "ti')
    with pytest.raises(DataError, match=r"paper-seed1.json: not valid JSON .* delete it"):
        experiment.read_results(jobs(design, tmp_path))


def test_unknown_cells_and_seeds_are_refused(design, tmp_path):
    with pytest.raises(DataError, match="unknown cell 'conflict=0.7'; choose from"):
        jobs(design, tmp_path, cells=["conflict=0.7"])
    with pytest.raises(DataError, match="unknown seed 9"):
        jobs(design, tmp_path, seeds=[9])


class Oracle(judging.Judge):
    """Knows the truth; answers every third task with no decision."""

    name, fingerprint = "oracle", "oracle"

    def generate(self, tasks, decoding, seed):
        assert decoding == GREEDY
        return [[judging.Completion(self.text(task), 1, True)] for task in tasks]

    def text(self, task):
        if int(task.item_id[-3:]) % 3 == 2:
            return "I cannot say."
        truth = task.item.meta["true_score"] if task.format == "direct" else task.item.label
        return f"So it is. [RESULT] {truth}"


def test_outcomes_are_judged_against_the_truth():
    direct, pairs = unseen_items(130)  # more than one batch
    wanted = "".join("11-"[n % 3] for n in range(130))
    assert outcomes(Oracle(), judging.direct_tasks("map", direct, with_reference=True, draws=1)) == wanted
    assert outcomes(Oracle(), judging.pairwise_tasks("map", pairs)) == wanted


def test_the_command_plans_without_running(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "prometheus_lib", "map", "--plan", "--cells", "paper,width=32", "--seeds", "1",
         "--outputs", str(tmp_path)], capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and "2 results wanted" in done.stderr and "minutes" in done.stderr
    assert list(tmp_path.iterdir()) == []
