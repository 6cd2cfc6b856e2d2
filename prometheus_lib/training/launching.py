"""Training in processes of its own, started by torchrun or accelerate, which outlive the notebook that started them.

`launch` writes the job to a file and starts the processes in a session of their own, with a log, a process id and a
file of progress beside the expert's folder. What it returns shows loss, tokens per second and remaining time, stops the
training, and is found again by the next `launch` of the same job: after a notebook was closed, training goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from .. import artifacts
from ..parallel import Report, silent
from ..records import DataError, write_text_atomic
from .experts import ExpertJob
from .settings import Lora, TrainingSettings

HERE = Path(__file__).parent / "launch"  # accelerate's configurations
CPU, PACKED = "cpu", "qlora"
LAUNCHERS = (CPU, *sorted(file.stem for file in HERE.glob("*.yaml")))
JOB, PID, OUTPUT, PROGRESS, FAILURE = "job.json", "process.json", "log.txt", "progress.json", "failure.txt"
POLL = 0.5  # seconds
TAIL = 15  # lines of the log in a message
GRACE = 20.0  # seconds that a training has to end by itself


@dataclass(frozen=True)
class Node:
    """One of two machines: its rank, and the address and port of the first.

    >>> Node(1, "10.0.0.1").port
    29500
    """

    rank: int
    first: str
    port: int = 29500


class Launched:
    """A training in processes of its own: how far it is, its log, and its end.

    >>> training = launch(job, "fsdp2", processes=8)  # doctest: +SKIP
    >>> training.progress()["seconds_left"], training.log[-200:]  # doctest: +SKIP
    """

    def __init__(self, job: ExpertJob, folder: Path):
        self.job, self.folder = job, folder

    @property
    def running(self) -> bool:
        """Tell whether its processes are still there."""
        return _process(self.folder / PID) is not None

    @property
    def log(self) -> str:
        """Return what its processes have printed."""
        file = self.folder / OUTPUT
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""

    def progress(self) -> dict[str, Any]:
        """Return step, steps, loss, tokens, tokens_per_second and seconds_left; {} before the first step."""
        try:
            return json.loads((self.folder / PROGRESS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def wait(self, report: Report = silent, seen: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Follow the training to its end; DataError, with the end of its log, when it failed.

        `report` gets steps and tokens as they are done, `seen` the progress whenever it has moved. An interrupt ends
        the waiting only: see `stop`.
        """
        done, tokens = 0, 0
        while True:
            running, found = self.running, self.progress()
            if found and found["step"] != done:
                report(found["step"] - done, found["tokens"] - tokens)
                done, tokens = found["step"], found["tokens"]
                if seen:
                    seen(found)
            if not running:
                break
            time.sleep(POLL)
        if not artifacts.is_current(self.job.out, self.job.stamp()):
            raise DataError(self._failure())
        for folder in self.folder.parent.glob(f"{self.folder.name.partition('.launch-')[0]}.launch-*"):
            shutil.rmtree(folder, ignore_errors=True)  # also what other settings left

    def _failure(self) -> str:
        file = self.folder / FAILURE
        if file.is_file():  # bad input, in one message
            return file.read_text(encoding="utf-8")
        tail = "\n".join(self.log.strip().splitlines()[-TAIL:])
        return (
            f"{self.job.name}: training ended before it was done (a GPU or memory may have been lost, or it was "
            f"stopped); the same command goes on from its last checkpoint. The end of {self.folder / OUTPUT}:\n{tail}"
        )

    def stop(self) -> None:
        """End its processes; checkpoints are kept, and the next `launch` goes on from the last one."""
        leader = _process(self.folder / PID)
        if leader is None:
            return
        family = [*leader.children(recursive=True), leader]
        for signalled in (signal.SIGTERM, signal.SIGKILL):
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signalled)
            _, family = psutil.wait_procs(family, timeout=GRACE)


def launch(
    job: ExpertJob, launcher: str = CPU, processes: int = 1, node: Node | None = None, threads: int = 1
) -> Launched:
    """Start training an expert in processes of its own, or find the training of it that still runs.

    `launcher` is "cpu" (torchrun) or one of the configurations in `training/launch` (accelerate): single, fsdp2, zero3,
    lora, qlora, two-nodes (with `node`). `processes` counts GPUs, over all nodes. DataError for a batch that is not cut
    evenly and for an unknown launcher.

    >>> training = launch(job, "fsdp2", processes=8)  # doctest: +SKIP
    >>> training.progress()["loss"], training.wait()  # doctest: +SKIP
    """
    _check(job, launcher, processes)
    folder = launch_folder(job, node)
    found = Launched(job, folder)
    if artifacts.is_current(job.out, job.stamp()):
        return found
    artifacts.check_output(job.out, job.inputs())
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not found.running:
            _start(job, folder, command(folder / JOB, launcher, processes, node), processes, threads)
    return found


def _check(job: ExpertJob, launcher: str, processes: int) -> None:
    if launcher not in LAUNCHERS:
        raise DataError(f"there is no launcher {launcher!r}; choose one of {', '.join(LAUNCHERS)}.")
    if (launcher == CPU) != job.settings.use_cpu:
        wanted = "'cpu'" if job.settings.use_cpu else "one for GPUs"
        raise DataError(f"use_cpu is {job.settings.use_cpu} and the launcher {launcher!r}; choose {wanted}.")
    if (launcher == PACKED) != job.settings.four_bit:
        raise DataError(f"four_bit is {job.settings.four_bit} and the launcher {launcher!r}; {PACKED!r} goes with it.")
    job.settings.shared_by(processes)


def launch_folder(job: ExpertJob, node: Node | None = None) -> Path:
    """Return where a training keeps its job, log and progress: named after all that decides the weights.

    >>> job = ExpertJob("direct", "owner/base", (), TrainingSettings(1e-5, 32, 4096), 42, "experts/direct")
    >>> launch_folder(job).name[:15]
    '.direct.launch-'
    """
    out = Path(job.out).resolve()
    second = f"-node{node.rank}" if node and node.rank else ""
    return out.with_name(f".{out.name}.launch-{artifacts.text_hash(job.stamp())[:12]}{second}")


def command(job: Path, launcher: str, processes: int, node: Node | None = None) -> list[str]:
    """Return the command that trains a job's file; on two nodes it is run on both.

    >>> command(Path("job.json"), "fsdp2", 8)[4].endswith("launch/fsdp2.yaml")
    True
    """
    module = ["-m", f"{__package__}.worker", str(job)]
    if launcher == CPU:
        # `accelerate launch --cpu` starts one process whatever it is told.
        start = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        return [sys.executable, "-m", *start, *module]
    start = ["--config_file", str(HERE / f"{launcher}.yaml"), "--num_processes", str(processes)]
    if node:
        start += ["--machine_rank", str(node.rank), "--main_process_ip", node.first]
        start += ["--main_process_port", str(node.port)]
    return [sys.executable, "-m", "accelerate.commands.launch", *start, *module]


def _start(job: ExpertJob, folder: Path, words: list[str], processes: int, threads: int) -> None:
    for name in (PROGRESS, FAILURE):
        (folder / name).unlink(missing_ok=True)
    write_text_atomic(folder / JOB, json.dumps({"job": asdict(job), "processes": processes}, indent=1))
    places = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
    more = {"PYTHONPATH": places, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    with open(folder / OUTPUT, "w", encoding="utf-8") as output:
        started = subprocess.Popen(
            words, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env={**os.environ, **more},
            start_new_session=True,
        )  # fmt: skip
    born = psutil.Process(started.pid).create_time()
    write_text_atomic(folder / PID, json.dumps({"pid": started.pid, "created": born}))


def _process(file: Path) -> psutil.Process | None:
    """Return the process that a file names, None when it has ended; its number may have gone to another."""
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        process = psutil.Process(known["pid"])
        alive = process.create_time() == known["created"] and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.Error):
        return None
    return process if alive else None


def read_job(file: Path) -> tuple[ExpertJob, int]:
    """Return the job of a file that `launch` wrote, and how many processes it asked for."""
    found = json.loads(file.read_text(encoding="utf-8"))
    values, settings = found["job"], found["job"]["settings"]
    lora = settings["lora"]
    settings["lora"] = Lora(**{**lora, "targets": tuple(lora["targets"])}) if lora else None
    values["settings"] = TrainingSettings(**settings)
    values["sources"] = tuple(map(tuple, values["sources"]))
    return ExpertJob(**values), found["processes"]
