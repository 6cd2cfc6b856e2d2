"""Judging from the command line: your own responses, or a scale's judges on one machine or many.

    python -m prometheus_lib judge mine.csv --rubric helpfulness --judge prometheus-eval/prometheus-7b-v2.0
    python -m prometheus_lib judge pairs.xlsx --rubric rubric.yaml --judge gpt-4.1 --prices 2,8
    python -m prometheus_lib judge answers.jsonl --kind rank --rubric style --judge miniature
    python -m prometheus_lib judge mine.csv --rubric tone --at-least 3.5    fails where the mean score is lower

Your own file has the columns instruction and response, or response_a and response_b (see judging.score, compare and
rank); a table and a page land beside it. Without a file:

    python -m prometheus_lib judge --scale 7b                               all judges, one after the other
    python -m prometheus_lib judge --scale 7b --judge linear --share 0/4    the first of four processes
    python -m prometheus_lib judge --scale 7b --replicas 8                  eight engines on a Ray cluster
    python -m prometheus_lib judge --scale 7b --gather other/outputs        take over another machine's judgments
    python -m prometheus_lib judge --scale 7b --judge gpt-4 --api gpt.json  a judge behind an API (see api_settings)

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

from . import pipeline
from .data.catalogue import BENCHMARKS
from .judging.devices import engine_devices
from .judging.engines import LOCAL_ENGINES
from .judging.engines.api_settings import load_settings
from .judging.jobs import JudgingJob
from .judging.own.command import add_options, flag_of, judge_own
from .judging.policy import Policy
from .judging.ray_judging import RayJudge
from .judging.running import run_judging
from .judging.sharing import gather, parse_share, share_of
from .judging.sweeps import SweepJob
from .records import DataError, few, read_items
from .scale import Scale, add_scale_options, load_scale


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
        raise DataError(f"{few(missing)}: these models are not there; train and merge first.")
    return found


def _model_folders(job: JudgingJob | SweepJob) -> list[str]:
    if isinstance(job, JudgingJob):
        return list(job.models)
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


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m prometheus_lib judge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_scale_options(found)
    found.add_argument("--data", default=None, help="a folder with the original benchmark files")
    found.add_argument("--judge", action="append", default=[], help="a judge's name; a scale may have several")
    found.add_argument("--engine", default=None, choices=LOCAL_ENGINES, help="another than the scale's")
    found.add_argument("--policy", default="once", help="for answers without a decision: once, redraw or finish")
    found.add_argument("--share", default="0/1", help="0/4: the first of four processes")
    found.add_argument("--replicas", type=int, default=0, help="so many engines, as actors of a Ray cluster")
    found.add_argument("--gpus", type=float, default=1, help="GPUs for each of these engines")
    found.add_argument("--api", default=None, help="a JSON file with the settings of an API (api_settings)")
    found.add_argument("--gather", default=None, help="an outputs folder whose judgments are taken over; no judging")
    add_options(found)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge what is asked for and not stored yet, and print one line per judge, or the summary of your own."""
    options = parser().parse_args(arguments)
    _refuse_idle(options)
    if options.responses:
        return judge_own(options)
    changes = {"base_model": options.base_model, "rows": options.rows}
    chosen = load_scale(options.scale, options.outputs, **changes)
    if options.gather:
        done = gather(chosen.paths.judgments, load_scale(options.scale, options.gather, **changes).paths.judgments)
    else:
        done = _judge(chosen if options.api else pipeline.with_base(chosen), options)
    for name, added in done.items():
        print(f"{name:<28}{added:>8} judgments added")
    return 0


def _refuse_idle(options: argparse.Namespace) -> None:
    """Raise DataError for an option that is for the other use of the command: it would be left out in silence."""
    only_own = argparse.ArgumentParser(add_help=False)
    add_options(only_own)
    own, defaults = vars(only_own.parse_args([])), vars(parser().parse_args([]))
    given = [name for name, default in defaults.items() if name != "judge" and getattr(options, name) != default]
    if idle := [name for name in given if (name in own) != bool(options.responses)]:
        flags = few([flag_of(name) for name in idle])
        raise DataError(
            f"{options.responses}: {flags} is for a scale's judges; leave it out to judge a file of your own."
            if options.responses
            else f"{flags} is for your own responses; name their file: judge FILE {flags} ..."
        )


def _judge(chosen: Scale, options: argparse.Namespace) -> dict[str, int]:
    items = stored_items(chosen, options.data)
    if options.api and len(options.judge) != 1:
        raise DataError("--api needs one --judge: the name under which its judgments are stored.")
    if options.api:
        pipeline.start_from_committed(chosen)  # so that its tables show the committed judges beside it
        jobs = [api_job(chosen, items, options.judge[0], options.api)]
    else:
        jobs = selected(chosen, items, options.judge, in_place=not options.replicas)
    share = parse_share(options.share)
    changes = {"policy": Policy(options.policy), "engine": "api" if options.api else options.engine or chosen.engine}

    def adapted(job: JudgingJob) -> JudgingJob:
        return share_of(replace(job, **changes), *share)

    jobs = [job.changed(adapted) if isinstance(job, SweepJob) else adapted(job) for job in jobs]
    on_ray = partial(RayJudge, replicas=options.replicas, gpus=options.gpus)
    alone = not (options.api or options.replicas) and share == (0, 1)  # else others have the GPUs
    devices = engine_devices(changes["engine"], chosen.base_model, pipeline.judges_bf16(chosen)) if alone else []
    done = run_judging(jobs, start=on_ray if options.replicas else None, devices=devices)
    return dict(zip(done["judge"], done["added"], strict=True))
