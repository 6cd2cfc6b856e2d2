"""What the notebooks run at every scale: train the experts, merge them, build the benchmarks, collect judgments.

Each function returns a table of what was done and what was skipped because its inputs and settings are unchanged.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from . import artifacts, cards, merging, training
from .data import benchmarks, check_unseen, minibench, seen_items
from .data.attacks import first_by_hash
from .judging.devices import engine_devices
from .judging.formats import has_bfloat16
from .judging.jobs import JudgingJob, start_judge
from .judging.judge import Judge
from .judging.passing import Recipe
from .judging.policy import Policy
from .judging.reading import current_judgments
from .judging.running import needed, run_judging
from .judging.store import judgment_files
from .judging.sweeps import SweepJob
from .judging.tasks import Task
from .merging.spec import Merge
from .parallel import Report, available_workers, run_jobs, visible_gpus
from .records import (
    DataError,
    DirectItem,
    MissingFile,
    PairItem,
    few,
    read_jsonl,
    write_bytes_atomic,
    write_items,
)
from .scale import Expert, Paths, Scale, committed_outputs
from .scale.asked import asked_alike, judging_tasks
from .scale.checks import AUTO, NO_LAUNCHER
from .training import sizing
from .training.experts import ExpertJob
from .training.room import check_room

if TYPE_CHECKING:
    import pandas as pd

Items = list[DirectItem] | list[PairItem]
WORTH_WORKERS = 1e8  # steps times parameters: starting a worker takes as long as a hundred steps of a toy


# --- the committed run -----------------------------------------------------------------------------------------------


def start_from_committed(scale: Scale) -> bool:
    """Copy the committed run into a run of this scale that has no judgments, and say so; tell whether it was done.

    So every table can be made again without a model, and beside judgments of one's own. Models are not committed, and
    what the run has already is kept. False where the run has judgments, or none are committed for its scale.
    """
    own, committed = scale.paths, Paths.below(committed_outputs() / scale.name)
    if judgment_files(own.judgments) or not judgment_files(committed.judgments):
        return False
    own.root.mkdir(parents=True, exist_ok=True)
    with FileLock(own.root / ".start.lock"):
        if judgment_files(own.judgments):  # another notebook was quicker
            return False
        shutil.copytree(committed.root, own.root, ignore=_NOT_COPIED, copy_function=_copy_new, dirs_exist_ok=True)
        _copy_judgments(committed.judgments, own.judgments)
    print(f"This run has no judgments yet: it starts from the committed run of scale {scale.name}.")
    return True


_NOT_COPIED = shutil.ignore_patterns(
    "experts",
    "merged",
    "judgments",
    "notebooks",
    "*_collection.jsonl",
    "manifest.json",
    "REPORT.md",
    "report.html",
    ".*",
)


def _copy_new(source: str, target: str) -> None:
    if not Path(target).exists():
        write_bytes_atomic(target, Path(source).read_bytes())


def _copy_judgments(source: Path, target: Path) -> None:
    """Copy the files beside their place first: a run with some of them would be taken for one that has its own."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".judgments") as beside:
        files = [*judgment_files(source), *source.glob("*.asked.json")]
        copies = [shutil.copy(file, beside) for file in files]
        target.mkdir(exist_ok=True)
        for copy in map(Path, copies):
            os.replace(copy, target / copy.name)


def with_base(scale: Scale) -> Scale:
    """Return the scale with its base model at hand: fetched from the hub or converted from GGUF where that is needed.

    >>> from prometheus_lib.scale import load_scale
    >>> with_base(load_scale("mini")) == load_scale("mini")
    True
    """
    return replace(scale, base_model=training.local_base(scale.base_model))


# --- training --------------------------------------------------------------------------------------------------------


def expert_jobs(scale: Scale) -> list[ExpertJob]:
    """Return one training job per expert of the scale.

    >>> from prometheus_lib.scale import load_scale
    >>> [job.name for job in expert_jobs(load_scale("mini"))][:5]
    ['direct', 'pairwise', 'direct-seed2', 'pairwise-seed2', 'direct-seed3']
    """
    return [_expert_job(scale, expert) for expert in scale.experts]


def _expert_job(scale: Scale, expert: Expert) -> ExpertJob:
    sources = {
        "direct": ("direct", str(scale.paths.rows("feedback")), expert.examples, True),
        "pairwise": ("pairwise", str(scale.paths.rows("preference")), expert.examples, scale.pairwise_with_reference),
    }
    chosen = tuple(sources[format] for format in expert.formats)
    out = str(scale.paths.experts / expert.name)
    return ExpertJob(expert.name, scale.base_model, chosen, scale.training, expert.seed, out)


def train_experts(scale: Scale) -> pd.DataFrame:
    """Train every expert whose data, base model or settings have changed; one row per expert.

    With a `launcher` each is trained by processes of its own, one expert after the other; they outlive this process,
    and the next call finds them.
    """
    jobs = expert_jobs(scale)
    steps_of = {job.name: job.steps() for job in jobs}  # counted once: rows are read for it
    longest_first = sorted(jobs, key=lambda job: -steps_of[job.name])
    waiting = [job for job in longest_first if not artifacts.is_current(job.out, job.stamp())]
    if waiting:
        training.probe(scale.base_model, scale.training.max_length).check()
    steps = sum(steps_of[job.name] for job in waiting)
    workers = 1
    if waiting:
        shape = sizing.shape_of(scale.base_model, scale.training.lora)
        worth = steps * shape.parameters > WORTH_WORKERS and scale.launcher == NO_LAUNCHER
        workers = available_workers(min(scale.workers, len(waiting))) if worth else 1
        check_room(shape, scale.training, len(waiting), workers, scale.paths.experts)
    train = partial(_timed_training, start=starter(scale) if waiting else None)
    seconds = dict(zip((j.name for j in waiting), run_jobs(train, waiting, steps, "step", workers, "training")))
    return _table([_training_row(job, seconds.get(job.name)) for job in jobs])


def _timed_training(job: ExpertJob, report: Report, start: Callable[[ExpertJob], training.Launched] | None) -> float:
    began = time.perf_counter()
    if start is None:
        training.train_expert(job, report)
    else:
        started = start(job)
        try:
            started.wait(report)
        except KeyboardInterrupt:
            goes_on = (
                f"{job.name}: training goes on in its own processes (log: {started.folder}); the next start finds it."
            )
            print(goes_on, file=sys.stderr)
            raise
    return time.perf_counter() - began


def starter(scale: Scale) -> Callable[[ExpertJob], training.Launched] | None:
    """Return what starts a training of the scale in processes of its own; None where workers of this one train.

    The launcher "auto" is chosen from the model's size and the machine's GPUs; DataError where it fits none.

    >>> from prometheus_lib.scale import load_scale
    >>> starter(load_scale("mini")) is None
    True
    """
    launcher, processes = scale.launcher, scale.processes
    if launcher == AUTO:
        launcher, processes = _chosen(scale)
    if launcher == NO_LAUNCHER:
        return None
    return partial(training.launch, launcher=launcher, processes=processes or 1)


def _chosen(scale: Scale) -> tuple[str, int]:
    if scale.training.use_cpu:
        return NO_LAUNCHER, 1
    cards = [memory for _, memory in visible_gpus()]
    shape = sizing.shape_of(scale.base_model, scale.training.lora)
    count, launcher = sizing.choose_launcher(shape, scale.training, min(cards, default=0.0), len(cards))
    if not launcher:
        raise DataError(
            f"scale {scale.name}: training does not fit {len(cards)} GPUs; what would: "
            f"python -m prometheus_lib plan --scale {scale.name}"
        )
    if launcher == "qlora" and not scale.training.four_bit:
        raise DataError(f"scale {scale.name}: training fits these GPUs with `four_bit = true` in [training] only.")
    return ("qlora" if scale.training.four_bit else launcher), count


def _training_row(job: ExpertJob, seconds: float | None) -> dict[str, Any]:
    log = training.read_log(job.out)
    last = log["log"][-1]["loss"] if log["log"] else float("nan")
    return {
        "expert": job.name, "rows": log["rows"], "too long": log["too_long"], "seed": job.seed, "final loss": last,
        "seconds": round(seconds or 0.0, 1), "skipped": seconds is None,
    }  # fmt: skip


# --- publishing ------------------------------------------------------------------------------------------------------


def publish(scale: Scale, judge: str, target: str | Path, private: bool = True) -> str:
    """Push a judge of the scale with its card and its results (see `cards.push`); return where it is.

    >>> publish(load_scale("mini"), "linear", "owner/my-judge")  # doctest: +SKIP
    'https://huggingface.co/owner/my-judge'
    """
    return cards.push(scale.model_folder(judge), target, cards.judge_results(scale.paths.tables, judge), private)


# --- merging ---------------------------------------------------------------------------------------------------------


def merge_all(scale: Scale) -> pd.DataFrame:
    """Write every merge that is judged from a model folder; one row per merge."""
    dtype = _stored_as(scale)
    _check_made(
        scale, (scale.paths.experts / name for merge in scale.merge_folders for name in (merge.first, merge.second))
    )

    def merge_one(merge: Merge, report: Report) -> dict[str, Any]:
        start = time.perf_counter()
        out = scale.paths.merged / merge.name
        engine = "prometheus" if merge.in_turn else "mergekit"  # which knows no such merge
        built = merging.merge_experts(merge, scale.base_model, scale.paths.experts, out, dtype, engine)
        report(1)
        row = {"merge": merge.name, "method": merge.method, "alpha": merge.alpha, "variant": merge.variant}
        return {**row, "seconds": round(time.perf_counter() - start, 2), "skipped": not built}

    return _table(run_jobs(merge_one, scale.merge_folders, len(scale.merge_folders), "merge", title="merging"))


def _stored_as(scale: Scale) -> str:
    return "bfloat16" if scale.training.bf16 else "float32"


def _check_made(scale: Scale, folders: Iterable[str | Path]) -> None:
    """Raise MissingFile, with the command that makes it, where a model of this run is not there yet."""
    for folder in map(Path, folders):
        if folder.is_relative_to(scale.paths.root) and not folder.is_dir():
            raise MissingFile(
                f"{folder}: this model is not there yet; run the notebooks before this one: "
                "`make reproduce`, or `python -m prometheus_lib run`, at this scale makes what is missing."
            )


# --- benchmarks and judgments ----------------------------------------------------------------------------------------


def build_benchmarks(scale: Scale, data_dir: str | Path | None = None) -> dict[str, Items]:
    """Write every benchmark's items to its file and return them by the scale's benchmark name.

    Real items whose instruction the scale trains on are left out, and that is said; DataError where none stays.
    """
    items = {}
    trained = [] if scale.miniature else _training_rows(scale)
    for name in scale.benchmarks:
        known = scale.benchmark_name(name)
        if scale.miniature:
            items[known] = minibench.build(known, scale.seed, scale.benchmark_share)
        else:
            found = benchmarks.load_benchmark(name, data_dir, download=True)
            items[known], seen = asked_items(scale, found, trained)
            if seen:
                print(f"{len(seen)} items are left out, as their instruction is trained on: {few(seen)}")
            if not items[known]:
                raise DataError(
                    f"{name}: the instruction of every item is trained on; leave it out of the scale's `benchmarks`."
                )
        write_items(scale.paths.benchmark(known), items[known])
    return items


def asked_items(scale: Scale, items: Items, trained: Sequence[dict[str, Any]]) -> tuple[Items, list[str]]:
    """Return the items to ask about, and the ids of those that are left out as their instruction is trained on.

    Of more items than the scale takes, those that a hash of their ids chooses are asked about, in file order.
    """
    seen = set(seen_items(trained, items))
    rest = [item for item in items if item.id not in seen]
    chosen = {item.id for item in first_by_hash(rest, scale.benchmark_items or len(rest))}
    return [item for item in rest if item.id in chosen], sorted(seen)


def _training_rows(scale: Scale) -> list[dict[str, Any]]:
    """Return the rows of the run's collections that there are."""
    files = [scale.paths.rows(name) for name in ("feedback", "preference")]
    return [row for file in files if file.is_file() for row in read_jsonl(file)]


def judging_jobs(scale: Scale, items: dict[str, Items]) -> list[JudgingJob]:
    """Return one job per judge that has a model folder, if only while it is judged."""
    in_place = {merge.name for merge in scale.sweep} if scale.in_place else set()
    jobs = _jobs(scale, {name: scale.model_folder(name) for name in scale.judges if name not in in_place}, items)
    experts, dtype = str(scale.paths.experts), _stored_as(scale)
    recipes = {merge.name: Recipe(merge, scale.base_model, experts, dtype) for merge in scale.passing}
    return [replace(job, recipe=recipes.get(job.name)) for job in jobs]


def sweep_jobs(scale: Scale, items: dict[str, Items], parts: int) -> list[SweepJob]:
    """Return jobs of about equal length that judge the scale's sweep in place; none where that cannot be done."""
    if not scale.in_place:
        return []
    jobs = zip(scale.sweep, _jobs(scale, {merge.name: "" for merge in scale.sweep}, items), strict=True)
    dealt = sorted(jobs, key=lambda each: -needed(each[1]))
    return [
        SweepJob(scale.base_model, str(scale.paths.experts), *map(tuple, zip(*dealt[part::parts], strict=True)))
        for part in range(min(parts, len(dealt)))
    ]


def _jobs(scale: Scale, folders: dict[str, str], items: dict[str, Items]) -> list[JudgingJob]:
    """Return one job per judge; judges that are asked the same share their tasks."""
    asked: dict[Any, tuple[Task, ...]] = {}
    jobs = []
    for judge, folder in folders.items():
        kind = asked_alike(scale, judge)
        if kind not in asked:
            asked[kind] = tuple(judging_tasks(scale, judge, items))
        jobs.append(_job(scale, judge, folder, asked[kind]))
    return jobs


def _job(scale: Scale, judge: str, folder: str, tasks: tuple[Task, ...]) -> JudgingJob:
    out = str(scale.paths.judgments / f"{judge}.jsonl")
    bf16 = judges_bf16(scale)
    return JudgingJob(judge, folder, tasks, out, scale.decoding, scale.engine, scale.batch_size, bf16, skip_long=True)


def judges_bf16(scale: Scale) -> bool:
    """Tell whether judges have 16 bits: as in training, unless the scale says otherwise.

    >>> from prometheus_lib.scale import load_scale
    >>> judges_bf16(load_scale("mini")), judges_bf16(load_scale("7b"))
    (False, True)
    """
    if scale.judging_dtype == AUTO:
        return has_bfloat16()
    return scale.judging_dtype == "bfloat16" if scale.judging_dtype else scale.training.bf16


def load_judge(scale: Scale, name: str) -> Judge:
    """Start a judge of the scale, to be asked directly; its model folder must be there."""
    return start_judge(_job(scale, name, scale.model_folder(name), ()))


def collect_judgments(scale: Scale, items: dict[str, Items]) -> pd.DataFrame:
    """Collect every judgment that is not stored yet; one row per judge with what was needed and what was added.

    Raises DataError where real items have an instruction that the run trains on.
    """
    if not scale.miniature:
        check_unseen(_training_rows(scale), items)
    jobs, devices = judging_jobs(scale, items), _devices(scale)
    workers = len(devices) or available_workers(scale.workers)
    _check_made(scale, (folder for job in jobs for folder in job.models))
    return run_judging([*jobs, *sweep_jobs(scale, items, workers)], workers, devices=devices)


def _devices(scale: Scale) -> list[str]:
    return engine_devices(scale.engine, scale.base_model, judges_bf16(scale))


def repair_judgments(
    scale: Scale, items: dict[str, Items], policies: Iterable[Policy], names: Sequence[str]
) -> pd.DataFrame:
    """Apply policies to the main judges' answers without a decision on the named benchmarks of the paper.

    One row per judge and policy. The first answers stay as they are, and a judge without failures is not loaded. Who
    has never once been readable in a format is not asked again in it: that costs the most and repairs nothing.
    """
    import pandas as pd

    known = [scale.benchmark_name(name) for name in names]
    main = [
        replace(job, tasks=tuple(task for task in job.tasks if task.benchmark in known))
        for job in judging_jobs(scale, items)
        if job.name in scale.main_judges
    ]
    readable = _readable_formats(scale)
    again = [replace(job, tasks=tuple(t for t in job.tasks if (job.name, t.format) in readable)) for job in main]
    workers, devices = available_workers(scale.workers), _devices(scale)
    found = [
        run_judging(
            [replace(job, policy=policy) for job in (again if policy.name == "redraw" else main)],
            workers,
            devices=devices,
        ).assign(policy=policy.label)
        for policy in policies
    ]
    return pd.concat(found, ignore_index=True)[["judge", "policy", "added", "seconds"]]


def _readable_formats(scale: Scale) -> set[tuple[str, str]]:
    """Return (main judge, format) where at least one stored answer gave a decision."""
    stored = current_judgments(scale.paths.judgments, scale.main_judges, policy="once")
    kept = stored[stored["status"] == "ok"]
    return set(zip(kept["judge"], kept["format"], strict=True))


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)
