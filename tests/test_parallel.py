"""Worker processes: real ones, stopped by an interrupt, by their own death and by that of the process they work for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from prometheus_lib import parallel
from prometheus_lib.records import DataError

# A process that trains: one short job and three that would take minutes, in two workers.
TRAINING = """
import sys
from pathlib import Path
from prometheus_lib import parallel, training
from prometheus_lib.data import feedback_rows
from prometheus_lib.records import write_jsonl

def train(job, report):
    (Path(job.out).parent / f"{job.name}.began").touch()
    training.train_expert(job, report)
    (Path(job.out).parent / f"{job.name}.ended").touch()

if __name__ == "__main__":
    base, folder = sys.argv[1], Path(sys.argv[2])
    rows = str(write_jsonl(folder / "rows.jsonl", feedback_rows(1, 8)))
    jobs = []
    for name, epochs in {"short": 1, "long": 10_000, "queued": 10_000, "last": 10_000}.items():
        settings = training.TrainingSettings(learning_rate=1e-3, batch_size=8, max_length=512, epochs=epochs)
        jobs.append(training.ExpertJob(name, base, (("direct", rows, 16, True),), settings, 42, str(folder / name)))
    parallel.run_jobs(train, jobs, 10, "step", workers=2, title="training")
"""


def wait_for(what, seconds: float = 120.0) -> None:
    """Wait until `what()` holds; fail after so many seconds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that still run."""
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def trained(tiny_base, tmp_path):
    """A process that trains, in a group of its own, when the short job has ended and the next one runs."""
    script = tmp_path / "train.py"
    script.write_text(TRAINING)
    command = [sys.executable, str(script), str(tiny_base), str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_for(lambda: (tmp_path / "short.ended").exists() and (tmp_path / "queued.began").exists())
        workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) >= 2
        yield process, workers
    finally:
        for member in [*psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []:
            member.kill()
        process.kill()
        process.wait()


def check_what_is_left(folder: Path) -> None:
    """What had ended is whole; what ran left nothing that looks whole; what was queued has not begun."""
    from prometheus_lib import training

    assert training.read_log(folder / "short")["rows"] == 16
    assert not (folder / "long").exists() and not (folder / "queued").exists()
    assert not (folder / "last.began").exists()


@pytest.mark.parametrize("group", [True, False], ids=["whole group", "parent alone"])
def test_an_interrupt_stops_training_at_once_and_keeps_what_has_ended(trained, tmp_path, group):
    """A notebook's interrupt and a keyboard's go to the whole group, `kill -INT` to the parent alone."""
    process, workers = trained
    os.killpg(process.pid, signal.SIGINT) if group else process.send_signal(signal.SIGINT)
    wait_for(lambda: process.poll() is not None and not alive(workers), 10)
    error = process.stderr.read()
    assert "training: stopped; 1 of 4 had ended, and what they wrote is kept." in error
    assert error.rstrip().endswith("KeyboardInterrupt") and "memory" not in error
    check_what_is_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "terminate"])
def test_workers_die_with_their_parent(trained, tmp_path, number):
    process, workers = trained
    process.send_signal(number)
    wait_for(lambda: process.poll() is not None and not alive(workers), 10)
    check_what_is_left(tmp_path)


def _pause(job: Path, report) -> None:
    """Start a process of one's own that would outlive everybody, and wait."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    job.write_text(str(child.pid))
    time.sleep(600)


NESTED = """
import sys
from pathlib import Path
from test_parallel import _pause
from prometheus_lib import parallel
if __name__ == "__main__":
    parallel.run_jobs(_pause, [Path(sys.argv[1]), Path(sys.argv[2])], 2, "job", workers=2, isolated=True)
"""


def test_what_a_worker_has_started_dies_with_it(tmp_path):
    """An engine that runs in a process of its own, for example."""
    (tmp_path / "nested.py").write_text(NESTED)
    files = [tmp_path / "one", tmp_path / "two"]
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, str(tmp_path / "nested.py"), *map(str, files)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})
    wait_for(lambda: all(file.exists() and file.read_text() for file in files))
    started = [*psutil.Process(process.pid).children(recursive=True)]
    assert {int(file.read_text()) for file in files} <= {member.pid for member in started}
    process.kill()
    process.wait()
    wait_for(lambda: not alive(started), 10)


def _fail_or_note(job: Path, report) -> str:
    if job.name == "broken":
        raise ValueError("as asked")
    time.sleep(0.5)
    job.touch()
    return job.name


def test_a_failure_lets_running_jobs_end_and_starts_no_more(tmp_path):
    names = ["broken", "running", *[f"queued-{number}" for number in range(8)]]
    with pytest.raises(ValueError, match="as asked"):
        parallel.run_jobs(_fail_or_note, [tmp_path / name for name in names], 10, "job", workers=2)
    assert not (tmp_path / "queued-7").exists()


def _die(job, report):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_reported_as_such():
    with pytest.raises(DataError, match="worker process was killed"):
        parallel.run_jobs(_die, [1, 2], 2, "job", workers=2)


def _double(job, report):
    report(1)
    return 2 * job


def test_results_come_in_order_and_the_bar_reaches_its_end(capsys):
    assert parallel.run_jobs(_double, list(range(5)), 5, "job", workers=2, title="doubling") == [0, 2, 4, 6, 8]
    assert "5/5" in capsys.readouterr().err


def _threads(job, report):
    import torch

    return torch.get_num_threads()


@pytest.mark.parametrize("workers", [1, 2])
def test_jobs_compute_on_one_thread(workers):
    assert parallel.run_jobs(_threads, [1, 2], 2, "job", workers=workers) == [1, 1]


def test_one_thread_for_what_is_loaded_before_and_after():
    for order in ("import torch; use_one_thread()", "use_one_thread(); import torch"):
        script = f"from prometheus_lib.parallel import use_one_thread; {order}; print(torch.get_num_threads())"
        environment = {name: value for name, value in os.environ.items() if name != parallel.THREADS}
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
        )
        assert done.stdout.strip() == "1"
