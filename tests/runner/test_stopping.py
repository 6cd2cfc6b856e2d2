"""Stopping a notebook or a run: no process is left, whoever is stopped and how."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from jupyter_client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from prometheus_lib.runner.executing import execute
from prometheus_lib.runner.kernel import OwnKernels

# A cell with two workers that take ten minutes; each leaves a file when it begins.
WORK = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from pausing import pause
from prometheus_lib.parallel import run_jobs
run_jobs(pause, [Path({folder!r}) / f"{name}-{{n}}" for n in range(4)], 4, "job", workers=2, title="work")
"""


def work(folder: Path, name: str = "job") -> str:
    return WORK.format(tests=str(Path(__file__).parent), folder=str(folder), name=name)


def wait_for(what, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def below(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def nobody_lives(processes: list[psutil.Process]) -> bool:
    return not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def kernel(tmp_path):
    """A kernel that is busy with two workers: its manager, its client, its workers."""
    manager = KernelManager(kernel_spec_manager=OwnKernels())
    manager.start_kernel()
    client: BlockingKernelClient = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    client.allow_stdin = False
    asked = client.execute(work(tmp_path))
    try:
        wait_for(lambda: len(list(tmp_path.glob("job-*"))) == 2)
        workers = [process for process in below(manager.provisioner.pid) if "spawn_main" in " ".join(process.cmdline())]
        assert len(workers) == 2
        yield manager, client, workers, asked
    finally:
        client.stop_channels()
        if manager.is_alive():
            manager.shutdown_kernel(now=True)


def test_interrupting_a_kernel_stops_its_workers_and_it_goes_on(kernel, tmp_path):
    """The button of Jupyter: at once, with one true sentence, and the kernel is there for the next cell."""
    manager, client, workers, asked = kernel
    manager.interrupt_kernel()
    while (reply := client.get_shell_msg(timeout=20))["parent_header"]["msg_id"] != asked:
        pass
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    wait_for(lambda: nobody_lives(workers), 10)
    assert len(list(tmp_path.glob("job-*"))) == 2
    said = ""
    while "Start again to go on." not in said:
        message = client.get_iopub_msg(timeout=20)
        said += message["content"].get("text", "")
    assert "work: stopped; 0 of 4 had ended" in said
    assert client.execute_interactive("1 + 1", timeout=20)["content"]["status"] == "ok"


def test_workers_die_with_a_killed_kernel(kernel):
    manager, _, workers, _ = kernel
    os.kill(manager.provisioner.pid, signal.SIGKILL)
    wait_for(lambda: nobody_lives(workers), 10)


ONE, SIDE_BY_SIDE = ("03_one",), ("06_one", "07_two")
STOPPED = {
    "ctrl-c, side by side": (SIDE_BY_SIDE, signal.SIGINT),
    "term, one notebook": (ONE, signal.SIGTERM),
    "kill, side by side": (SIDE_BY_SIDE, signal.SIGKILL),
}


@pytest.fixture
def run(names, tmp_path):
    """A run of the notebooks, started as from a shell, whose kernels are busy with workers."""
    (tmp_path / "notebooks").mkdir()
    for name in names:
        parameters = nbformat.v4.new_code_cell('SCALE = "mini"\nOUTPUTS = ""', metadata={"tags": ["parameters"]})
        cells = [parameters, nbformat.v4.new_code_cell(work(tmp_path, f"job-{name}"))]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / f"{name}.ipynb")
    command = [sys.executable, "-m", "prometheus_lib", "run", "--scale", "smoke"]
    command += ["--notebooks", str(tmp_path / "notebooks"), "--outputs", str(tmp_path / "outputs")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        wait_for(lambda: len(list(tmp_path.glob("job-*"))) == 2 * len(names))
        yield process, below(process.pid)
    finally:
        for member in below(process.pid) if process.poll() is None else []:
            member.kill()
        process.kill()
        process.wait()


@pytest.mark.parametrize(("names", "number"), STOPPED.values(), ids=STOPPED)
def test_a_stopped_run_leaves_no_process(run, number):
    process, members = run
    os.killpg(process.pid, number)
    wait_for(lambda: process.poll() is not None and nobody_lives(members), 20)
    if number == signal.SIGINT:
        assert process.returncode == 130
        error = process.stderr.read()
        assert error.rstrip().endswith("stopped; the same command goes on from here.") and "Traceback" not in error


# --- the seconds of stopped attempts ---------------------------------------------------------------------------------


def notebook_of(folder: Path, source: str) -> Path:
    path = folder / "00_only.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), path)
    return path


def test_what_a_killed_attempt_took_counts(tmp_path):
    """Costs in a manifest are those of the whole work: a run that is killed at night and goes on is no cheaper."""
    folder, clock = tmp_path / "run" / "notebooks", tmp_path / "run" / ".runs" / "00_only.seconds"
    notebook = notebook_of(tmp_path, "import time; time.sleep(600)")
    code = f"""
from pathlib import Path
from prometheus_lib.runner.executing import execute
execute(Path({str(notebook)!r}), Path({str(folder)!r}), {{}}, bar=False)
"""
    attempt = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stderr=subprocess.DEVNULL)
    wait_for(lambda: clock.is_file() and float(clock.read_text()) > 3)
    with_kernel = below(attempt.pid)
    os.killpg(attempt.pid, signal.SIGKILL)
    attempt.wait()
    wait_for(lambda: nobody_lives(with_kernel))
    before = float(clock.read_text())
    notebook_of(tmp_path, "1 + 1")
    begun = time.perf_counter()
    found = execute(notebook, folder, {}, bar=False)
    assert before < found <= before + time.perf_counter() - begun + 0.1 and not clock.exists()
    again = execute(notebook, folder, {}, bar=False)
    assert again < found - 2, "a whole run is counted by itself"


def test_a_damaged_clock_counts_nothing(tmp_path):
    clock = tmp_path / ".runs" / "00_only.seconds"
    clock.parent.mkdir()
    clock.write_text("three")
    assert execute(notebook_of(tmp_path, "1"), tmp_path / "notebooks", {}, bar=False) < 120
