"""Execute notebooks with papermill, in kernels of the running Python, and keep them in a form that can be shared."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from functools import partial
from pathlib import Path
from typing import Any

from .. import records
from ..data import DATA_VARIABLE
from ..parallel import PROGRESS_FILE, available_workers, environment, submit_all, worker_pool
from ..tables import images
from .withholding import known_runs, withhold

# A kernel that is killed while it has workers leaves semaphores, which Python's tracker removes and reports.
QUIET = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker"]))

RUNNING, FAILED = ".running", ".failed"  # in the name of a notebook that is executed, or was in vain
BEAT = 1.0  # seconds between two looks at the clock
PLACES = ("OUTPUTS", "SCALE", "BASE_MODEL")  # parameters that may name a place on this machine


class NotebookFailed(RuntimeError):
    """A cell of a notebook raised an error, or its kernel died."""


def execute_all(
    notebooks: Sequence[Path], folder: Path, values: dict[str, Any], real_data: str, withheld: Sequence[Path] = ()
) -> Iterator[tuple[Path, float]]:
    """Execute a stage's notebooks and yield each with its seconds as it ends; the first failure is raised last.

    Each is executed in a process of its own, which ends with its kernel when this one is interrupted or dies.
    Outputs that show texts of the files `withheld` are not kept: this process takes them out, which reads these files
    once for all notebooks.
    """
    if len(notebooks) > 1:
        print(f"side by side: {', '.join(notebook.stem for notebook in notebooks)}", file=sys.stderr)
    failure = None
    with environment(PYTHONWARNINGS=QUIET), worker_pool(min(available_workers(), len(notebooks))) as pool:
        call = partial(execute, folder=folder, values=values, real_data=real_data, bar=len(notebooks) == 1)
        running = dict(zip(submit_all(pool, call, notebooks), notebooks, strict=True))
        for done in as_completed(running):
            if error := done.exception():
                failure = failure or error
            else:
                _keep(running[done].stem, folder, withheld)
                print(f"{running[done].stem}: done in {done.result():.0f} s", file=sys.stderr)
                yield running[done], done.result()
    if failure:
        raise failure


def execute(notebook: Path, folder: Path, values: dict[str, Any], real_data: str = "", bar: bool = True) -> float:
    """Execute one notebook into `<name>.running.ipynb` and return the seconds; a failed one is `<name>.failed.ipynb`.

    The seconds of earlier attempts that were stopped or failed count too, as what they finished is kept.
    `bar` shows a line that counts cells. The folder of real data goes to the notebook by the environment, so that the
    executed notebook does not name it. Raises NotebookFailed when a cell fails or the kernel dies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    running, failed = (_place(notebook.stem, folder, ending) for ending in (RUNNING, FAILED))
    running.unlink(missing_ok=True)
    clock = folder.parent / ".runs" / f"{notebook.stem}.seconds"
    with environment(**{DATA_VARIABLE: real_data}), live_progress(notebook.stem), _counting(clock) as spent:
        what = _papermill(notebook, running, values, bar)
    if what:
        kept = ""
        if running.exists():
            os.replace(running, failed)
            kept = f" (the executed notebook is kept: {failed})"
        raise NotebookFailed(f"{notebook.name}, {what}{kept}")
    failed.unlink(missing_ok=True)
    clock.unlink(missing_ok=True)
    return spent()


@contextlib.contextmanager
def _counting(file: Path) -> Iterator[Callable[[], float]]:
    """Count seconds, from those on that `file` holds of an attempt that was stopped; the file follows, so none is lost.

    Gives a function that tells the seconds so far.
    """
    try:
        earlier = float(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        earlier = 0.0
    start, ended = time.perf_counter(), threading.Event()

    def spent() -> float:
        return earlier + time.perf_counter() - start

    def write() -> None:
        while not ended.wait(BEAT):
            records.write_text_atomic(file, f"{spent():.1f}")

    file.parent.mkdir(parents=True, exist_ok=True)
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield spent
    finally:
        ended.set()
        writer.join()


def _place(stem: str, folder: Path, ending: str = "") -> Path:
    return folder / f"{stem}{ending}.ipynb"


def _keep(stem: str, folder: Path, withheld: Sequence[Path]) -> None:
    """Bring an executed notebook into a form that can be shared, and to its place."""
    running = _place(stem, folder, RUNNING)
    make_shareable(running, withheld)
    os.replace(running, _place(stem, folder))


def _papermill(notebook: Path, running: Path, values: dict[str, Any], bar: bool) -> str:
    """Execute the notebook into the file `running`; return "", or what went wrong."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from .kernel import KERNEL_NAME, OwnKernelManager

    source, target = (str(path).replace("{", "{{").replace("}", "}}") for path in (notebook, running))
    try:
        papermill.execute_notebook(  # which formats braces in paths
            source, target, values, kernel_name=KERNEL_NAME, language="python", cwd=str(notebook.parent),
            progress_bar={"desc": notebook.stem, "unit": "cell"} if bar else False,
            request_save_on_cell_execute=True, kernel_manager_class=OwnKernelManager,
        )  # fmt: skip
    except PapermillExecutionError as error:
        return f"cell {error.cell_index} failed: {error.ename}: {error.evalue}"
    except DeadKernelError:
        return "the kernel was killed (memory?); start again, what is finished is kept"
    except RuntimeError as error:
        return f"the kernel did not start ({error}); try `{sys.executable} -m ipykernel_launcher --version`"
    return ""


def make_shareable(notebook: Path, withheld: Sequence[Path] = ()) -> None:
    """Drop what papermill notes about this machine's paths and texts of files `withheld`; make pictures smaller."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    noted = content["metadata"].get("papermill", {})
    for key in ("input_path", "output_path", "environment_variables"):
        noted.pop(key, None)
    parameters = noted.get("parameters", {})
    kept = {name: _without_place(name, parameters[name]) for name in PLACES if name in parameters}
    parameters.update(kept)
    for cell in content["cells"]:
        if "injected-parameters" in cell["metadata"].get("tags", []):
            source = "".join(cell["source"])
            for name, value in kept.items():
                line = f"{name} = {json.dumps(value)}"
                source = re.sub(rf"^{name} = .*$", lambda _, line=line: line, source, flags=re.MULTILINE)
            cell["source"] = source
    if withheld and (count := withhold(content, known_runs(withheld))):
        told = f"{count} outputs are not kept, as they show texts of the real data"
        print(f"{notebook.stem.removesuffix(RUNNING)}: {told}", file=sys.stderr)
    images.shrink_outputs(content)
    records.write_text_atomic(notebook, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def _without_place(name: str, value: str) -> str:
    """Return a parameter that names a place as it may be shared: scale files and models by their names alone."""
    return "" if name == "OUTPUTS" else Path(value).name if Path(value).is_absolute() else value


@contextlib.contextmanager
def live_progress(title: str, every: float = 5.0) -> Iterator[None]:
    """While a notebook runs, show the progress line of its long work (with its ETA) on the terminal."""
    with tempfile.TemporaryDirectory() as folder:
        file, stop = Path(folder) / "progress", threading.Event()
        thread = threading.Thread(target=_follow, args=(title, file, stop, every), daemon=True)
        thread.start()
        try:
            with environment(**{PROGRESS_FILE: str(file)}):
                yield
        finally:
            stop.set()
            thread.join()


def _follow(title: str, file: Path, stop: threading.Event, every: float) -> None:
    from tqdm.auto import tqdm

    shown = ""
    while not stop.wait(every):
        text = file.read_bytes().decode("utf-8", "ignore") if file.exists() else ""
        line = text.rsplit("\r", 1)[-1].strip()
        if line and line != shown:
            tqdm.write(f"{title}: {line}", file=sys.stderr)
            shown = line
