"""One cell of the grid with one seed: train its experts, merge them in place, judge the test items, keep the outcomes.

A result is one small file that is written whole or not at all. It holds, for every arm and measure, one character for
each test instruction: "1" right, "0" wrong, "-" unreadable.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .. import artifacts
from ..judging.answers import read_answer
from ..judging.judge import Judge
from ..judging.sweeps import Sweep
from ..judging.tasks import Decoding, Task, direct_tasks, pairwise_tasks
from ..merging import merge_folders
from ..parallel import Report, silent
from ..prompts import CHECKLIST, parse_checklist, render_checklist, render_pairwise
from ..records import write_text_atomic
from ..scale import load_scale
from ..training.experts import ExpertJob, train_expert
from ..training.settings import TrainingSettings
from .design import Arm, Design, Settings, without_later
from .world import (
    base_folder,
    base_identity,
    build_base,
    items_hash,
    unseen_items,
    with_marks,
    write_training_rows,
)

RULES = 1  # part of every stamp: raise it when a cell's result would come out otherwise from the same settings
LATER = {"four_bit": False, "share_prompts": False}  # training settings that came after results: only where set
BATCH = 100  # tasks that are generated together
ANSWERS_PER_STEP = 45  # answers that take as long as one training step, for progress and estimates
GREEDY = Decoding(temperature=0.0, top_p=1.0, max_new_tokens=64, repetition_penalty=1.0)


@dataclass(frozen=True)
class CellJob:
    """One cell and seed of a design: `results` is the folder of its result file, `work` that of bases and experts.

    >>> from .design import read_design
    >>> CellJob(read_design("map"), "paper", 1, Path("results"), Path("work")).file.as_posix()
    'results/paper-seed1.json'
    """

    design: Design
    cell: str
    seed: int
    results: Path
    work: Path

    @property
    def settings(self) -> Settings:
        """Return the settings of the cell."""
        return self.design.cells[self.cell]

    @property
    def settings_of_base(self) -> tuple[int, float]:
        """Return what decides the cell's base model: cells with the same share it."""
        return self.settings.width, self.settings.schooling

    @property
    def file(self) -> Path:
        """Return the file of the result."""
        return self.results / f"{self.cell}-seed{self.seed}.json"

    @property
    def training(self) -> TrainingSettings:
        """Return how experts are trained: as at the scale `mini`, at the cell's learning rate."""
        return replace(load_scale("mini").training, learning_rate=self.settings.learning_rate)

    def stamp(self) -> str:
        """Return what identifies all that decides the result; results with another stamp are not read."""
        arms = [arm.identity() for arm in self.design.arms.values()]
        training = without_later(asdict(self.training), LATER)
        given = (asdict(self.settings), self.seed, arms, training, asdict(GREEDY))
        return artifacts.text_hash(RULES, base_identity(self.settings), *given, items_hash(self.design.instructions))

    def units(self) -> int:
        """Return the cost in training steps, answers counted as the steps that take as long."""
        shares = [share for arm in self.design.arms.values() for share in arm.trains.values()]
        steps = sum(shares) * self.settings.examples / self.training.batch_size
        return round(
            steps + len(self.design.arms) * len(self.design.measures) * self.design.instructions / ANSWERS_PER_STEP
        )


def run_cell(job: CellJob, report: Report = silent) -> dict[str, Any]:
    """Train, merge and judge one cell with one seed, write its result file and return what stands in it.

    A run that was stopped goes on with the expert that it was training. The base model must have been built.

    >>> result = run_cell(job)  # doctest: +SKIP
    """
    start = time.perf_counter()
    scratch = job.work / f"{job.design.name}-{job.cell}-seed{job.seed}-{job.stamp()[:8]}"
    scratch.mkdir(parents=True, exist_ok=True)
    base = base_folder(job.settings, job.work)
    for arm in job.design.arms.values():
        if arm.trains:
            train_expert(_expert(job, arm, base, scratch), report)
    trained = time.perf_counter()
    result = {
        "design": job.design.name, "cell": job.cell, "seed": job.seed, "stamp": job.stamp(),
        "settings": asdict(job.settings), "units": job.units(), "arms": _judged(job, base, scratch, report),
        "seconds": {"training": round(trained - start, 1), "judging": round(time.perf_counter() - trained, 1)},
    }  # fmt: skip
    write_text_atomic(job.file, json.dumps(result, indent=1) + "\n")
    shutil.rmtree(scratch)
    return result


def _expert(job: CellJob, arm: Arm, base: Path, scratch: Path) -> ExpertJob:
    seed = job.seed + arm.seed
    sources = tuple(
        (
            format,
            str(write_training_rows(job.settings, format, seed, scratch)),
            round(share * job.settings.examples),
            job.settings.pair_reference if format == "pairwise" else job.settings.reference,
        )
        for format, share in arm.trains.items()
    )
    return ExpertJob(arm.name, str(base), sources, job.training, seed, str(scratch / "experts" / arm.name))


def _judged(job: CellJob, base: Path, scratch: Path, report: Report) -> dict[str, dict[str, str]]:
    """Return the outcomes of every arm in both measures."""
    tasks = _tasks(job.settings, job.design.instructions)
    tasks = {measure: tasks[measure] for measure in job.design.measures}
    answers = len(tasks) * job.design.instructions
    found = {}
    for name, judge in _judges(job, base, scratch):
        found[name] = {measure: outcomes(judge, asked) for measure, asked in tasks.items()}
        report(answers // ANSWERS_PER_STEP)
    return found


def _tasks(settings: Settings, instructions: int) -> dict[str, list[Task]]:
    """Return what the judges are asked in both measures, shown as the cell's experts were trained."""
    direct, pairs = unseen_items(instructions, settings.rubric)
    ranking = pairwise_tasks("map", pairs)
    if settings.pair_reference:
        ranking = [replace(task, with_reference=True, prompt=render_pairwise(task.item, True)) for task in ranking]
    scoring = direct_tasks("map", direct, settings.reference, draws=1)
    listing = [
        replace(task, format=CHECKLIST, prompt=render_checklist(task.item, settings.reference), item=item)
        for task, item in zip(scoring, with_marks(direct), strict=True)
    ]
    return {"exact": scoring, "pair": ranking, "list": listing}


def _judges(job: CellJob, base: Path, scratch: Path) -> Iterator[tuple[str, Judge]]:
    """Yield each arm's judge: models from their folders, then the merges, one after the other in one engine."""
    from ..judging.engines.transformers_judge import TransformersJudge

    arms = job.design.arms.values()
    for arm in arms:
        if not arm.merges:
            yield arm.name, TransformersJudge(arm.name, scratch / "experts" / arm.name if arm.trains else base)
    parents = {name for arm in arms for name in arm.merges}
    for arm in arms:
        if arm.merges and arm.name in parents:
            parts = (scratch / "experts" / name for name in arm.merges)
            merge_folders(arm.merge(job.seed), base, *parts, scratch / "experts" / arm.name)
    with Sweep(base, scratch / "experts") as sweep:
        for arm in arms:
            if arm.merges:
                yield arm.name, sweep.set(arm.merge(job.seed))


def outcomes(judge: Judge, tasks: Sequence[Task]) -> str:
    """Return one character for each task: "1" where the decision is the truth, "0" where not, "-" where there is none.

    >>> from ..judging.engines.trivial import TrivialJudge
    >>> direct, _ = unseen_items(10)
    >>> outcomes(TrivialJudge("constant"), direct_tasks("map", direct, with_reference=True, draws=1))
    '0010000100'
    """
    found, parsers = [], {**judge.parsers, CHECKLIST: parse_checklist}
    for start in range(0, len(tasks), BATCH):
        batch = tasks[start : start + BATCH]
        for task, draws in zip(batch, judge.generate(batch, GREEDY, GREEDY.seed), strict=True):
            decision = read_answer(draws[0], parsers[task.format]).decision
            found.append("-" if decision is None else str(int(decision == _truth(task))))
    return "".join(found)


def _truth(task: Task) -> int | str:
    if task.format == CHECKLIST:
        return task.item.meta["marks"]
    return task.item.meta["true_score"] if task.format == "direct" else task.item.label


def prepare_base(job: CellJob, report: Report = silent) -> Path:
    """Build the base model of a job's cell, unless it is there."""
    return build_base(job.settings, job.work)
