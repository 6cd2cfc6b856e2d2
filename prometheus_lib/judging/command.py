"""Judging from the command line, on one machine or many: a scale's judges, or one process's share of their work.

    python -m prometheus_lib.judging --scale 7b                               all judges, one after the other
    python -m prometheus_lib.judging --scale 7b --judge linear --share 0/4    the first of four processes
    python -m prometheus_lib.judging --scale 7b --replicas 8                  eight engines on a Ray cluster
    python -m prometheus_lib.judging --scale 7b --gather other/outputs        take over another machine's judgments
    python -m prometheus_lib.judging --scale 7b --judge gpt-4 --api gpt.json  a judge behind an API (see api_settings)

Everything lands in the same judgment files as a notebook's run, and what is there is not generated again. Processes
that see one disk may write to one file at once; judgments from machines with disks of their own are gathered. Merges
that have no model folder are judged in place by one engine; with --replicas they are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from .. import pipeline, scale
from ..data.catalogue import BENCHMARKS
from ..records import DataError, Judgment, few, read_items, read_jsonl
from ..scale import Scale, load_scale
from .engines.api_settings import load_settings
from .judges import Judge, JudgingJob, Policy, Task
from .store import JudgmentStore, judgment_files, start_from_recorded
from .sweeps import SweepJob


def shares(tasks: Sequence[Task], count: int) -> list[list[int]]:
    """Cut tasks into `count` lists of places with about equally many draws.

    Prompts that begin alike stay together, and equal prompts always do: an engine computes a shared opening once.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for place, task in enumerate(tasks):
        groups.setdefault((task.format, task.prompt), []).append(place)
    result: list[list[int]] = [[] for _ in range(count)]
    total, before = sum(task.draws for task in tasks), 0
    for _, places in sorted(groups.items()):
        result[before * count // total] += places
        before += sum(tasks[place].draws for place in places)
    return result


def share_of(job: JudgingJob, number: int, count: int) -> JudgingJob:
    """Return a job with the tasks of process `number` of `count`.

    vLLM draws each task with a seed of its own, so shares give the judgments of one process; transformers draws whole
    batches, and other batches give other draws.
    """
    return replace(job, tasks=tuple(job.tasks[place] for place in shares(job.tasks, count)[number]))


def parse_share(text: str) -> tuple[int, int]:
    """Read "0/4" as process 0 of 4; DataError when it is no such thing."""
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit() and int(number) < int(count)):
        raise DataError(f"{text!r} is no share; write 0/4, 1/4, 2/4 and 3/4 for four processes.")
    return int(number), int(count)


def gather(folder: str | Path, other: str | Path) -> dict[str, int]:
    """Add another folder's judgment files to this one's and return how many judgments each judge gained."""
    files = judgment_files(other)
    if not files:
        raise DataError(f"{other}: no judgment files (*.jsonl or *.jsonl.gz) to gather.")
    gained = {}
    for path in files:
        name = path.name.partition(".jsonl")[0]
        start_from_recorded(Path(folder) / f"{name}.jsonl")
        rows = [Judgment(**row) for row in read_jsonl(path)]
        gained[name] = JudgmentStore(Path(folder) / f"{name}.jsonl").append(rows)
    return gained


def selected(
    chosen: Scale, items: dict[str, pipeline.Items], names: Sequence[str], in_place: bool = True
) -> list[JudgingJob | SweepJob]:
    """Return the jobs of the named judges (all when none is named); DataError for what cannot be judged yet.

    Without `in_place` only judges that have a model folder are known, not the merges that one engine takes in turn.
    """
    folders = {job.name: job for job in pipeline.judging_jobs(chosen, items)}
    swept = pipeline.sweep_jobs(chosen, items, 1) if in_place else []
    known = [*folders, *(part.name for job in swept for part in job.jobs)]
    wanted = names or known
    if unknown := [name for name in wanted if name not in known]:
        raise DataError(f"{', '.join(unknown)}: no judge has this name; choose from {known}.")
    jobs = [job.only(wanted) for job in swept]
    found = [*(job for name, job in folders.items() if name in wanted), *(job for job in jobs if job.jobs)]
    models = [folder for job in found for folder in _model_folders(job)]
    if missing := [folder for folder in models if folder != chosen.base_model and not Path(folder).is_dir()]:
        raise DataError(f"{few(missing)}: these models are not there; run notebooks 03 and 04 first.")
    return found


def _model_folders(job: JudgingJob | SweepJob) -> list[str]:
    if isinstance(job, JudgingJob):
        return [job.folder]
    experts = dict.fromkeys(name for merge in job.merges for name in (merge.first, merge.second))
    return [str(Path(job.experts) / name) for name in experts]


def api_job(chosen: Scale, items: dict[str, pipeline.Items], name: str, settings: str) -> JudgingJob:
    """Return the job of a judge behind an API: all benchmarks, decoding as its server takes it."""
    tasks, out = pipeline.judging_tasks(chosen, name, items), chosen.paths.judgments / f"{name}.jsonl"
    decoding = load_settings(settings).adapted(chosen.decoding)
    return JudgingJob(name, settings, tuple(tasks), str(out), decoding, "api", batch_size=32)


def stored_items(chosen: Scale, data: str | None) -> dict[str, pipeline.Items]:
    """Read the benchmarks that a run has written, or build them."""
    files = {name: chosen.paths.benchmark(name) for name in map(chosen.benchmark_name, BENCHMARKS)}
    if all(file.is_file() for file in files.values()):
        return {name: read_items(file) for name, file in files.items()}
    return pipeline.build_benchmarks(chosen, data)


def _start_on_ray(job: JudgingJob, replicas: int, gpus: float) -> Judge:
    from .ray_judging import RayJudge

    return RayJudge(job, replicas, gpus)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="mini", choices=list(scale.SCALES))
    parser.add_argument("--outputs", default=None, help="the outputs folder (default: the project's)")
    parser.add_argument("--data", default=None, help="a folder with the original benchmark files")
    parser.add_argument("--judge", action="append", default=[], help="a judge's name; several may be given")
    parser.add_argument("--engine", default=None, choices=["transformers", "vllm"], help="another than the scale's")
    parser.add_argument("--policy", default="once", help="for answers without a decision: once, redraw or finish")
    parser.add_argument("--share", default="0/1", help="0/4: the first of four processes")
    parser.add_argument("--replicas", type=int, default=0, help="so many engines, as actors of a Ray cluster")
    parser.add_argument("--gpus", type=float, default=1, help="GPUs for each of these engines")
    parser.add_argument("--api", default=None, help="a JSON file with the settings of an API (api_settings)")
    parser.add_argument("--gather", default=None, help="an outputs folder whose judgments are taken over; no judging")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge what is asked for and not stored yet, and print one line per judge."""
    options = _options(arguments)
    chosen = load_scale(options.scale, options.outputs)
    if options.gather:
        done = gather(chosen.paths.judgments, load_scale(options.scale, options.gather).paths.judgments)
    else:
        done = _judge(chosen, options)
    for name, added in done.items():
        print(f"{name:<28}{added:>8} judgments added")


def _judge(chosen: Scale, options: argparse.Namespace) -> dict[str, int]:
    items = stored_items(chosen, options.data)
    if options.api and len(options.judge) != 1:
        raise DataError("--api needs one --judge: the name under which its judgments are stored.")
    if options.api:
        jobs = [api_job(chosen, items, options.judge[0], options.api)]
    else:
        jobs = selected(chosen, items, options.judge, in_place=not options.replicas)
    share = parse_share(options.share)
    changes = {"policy": Policy(options.policy), "engine": "api" if options.api else options.engine or chosen.engine}

    def adapted(job: JudgingJob) -> JudgingJob:
        return share_of(replace(job, **changes), *share)

    jobs = [job.changed(adapted) if isinstance(job, SweepJob) else adapted(job) for job in jobs]
    on_ray = partial(_start_on_ray, replicas=options.replicas, gpus=options.gpus)
    done = pipeline.run_judging(jobs, start=on_ray if options.replicas else None)
    return dict(zip(done["judge"], done["added"], strict=True))
