"""Run the notebooks in order with papermill: `python -m prometheus_lib.run --scale mini [--from 05] [--only 06]`.

Executed notebooks are kept in outputs/<scale>/notebooks; one that fails is kept as `<name>.failed.ipynb`. A notebook is
skipped when nothing it depends on has changed since it ran: the notebook, the library, its parameters, the real data,
what earlier notebooks wrote, and its own files. Training, merging and judging skip what is there in the same way.
Notebooks that do not need each other's files (`TOGETHER`) run side by side, one for each core.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import platform
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import artifacts, records, scale
from ..parallel import available_workers
from ..records import DataError
from ..tables import images

PROGRESS_FILE = "PROMETHEUS_PROGRESS_FILE"
TOGETHER = (("00", "01"), ("06", "07", "08", "09"))
PACKAGES = ("torch", "transformers", "trl", "peft", "mergekit", "datasets", "papermill", "numpy", "pandas", "scipy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 1 after one clear message."""
    options = _parse(arguments)
    try:
        run(options.scale, options.first, options.only, options.data, options.outputs, options.parameter, options.force)
    except (DataError, NotebookFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename or 'a file'}: {error.strerror}; everything finished is kept.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m prometheus_lib.run", description=__doc__.split("\n")[0])
    parser.add_argument("--scale", default="mini", help=f"one of {', '.join(scale.SCALES)} (default: mini)")
    parser.add_argument("--from", dest="first", default=None, metavar="NN", help="start at this notebook, e.g. 05")
    parser.add_argument("--only", default=None, metavar="NN", help="run this notebook alone")
    parser.add_argument("--data", default=None, metavar="DIR", help="real data (default: PROMETHEUS_DATA_DIR)")
    parser.add_argument("--outputs", default=None, metavar="DIR", help="where results go (default: outputs)")
    parser.add_argument("--force", action="store_true", help="run notebooks that are unchanged, too")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE", help="another parameter")
    return parser.parse_args(arguments)


class NotebookFailed(RuntimeError):
    """A cell of a notebook raised an error."""


def run(
    name: str,
    first: str | None = None,
    only: str | None = None,
    data: str | None = None,
    outputs: str | None = None,
    parameters: Sequence[str] = (),
    force: bool = False,
) -> dict[str, float]:
    """Run the chosen notebooks (a notebook named by `only` always), write the manifest, return seconds per notebook.

    Raises DataError for an unknown scale, notebook, parameter or data folder, NotebookFailed when a cell fails.
    """
    settings = scale.load_scale(name, outputs)
    notebooks = choose(notebook_files(), first, only)
    values = {"SCALE": name, "OUTPUTS": str(Path(outputs).resolve()) if outputs else "", **_pairs(parameters)}
    real_data = data_folder(data)
    for notebook in notebooks:
        check_parameters(notebook, values)
    inputs = artifacts.text_hash(library_files(), values, _listing(real_data))
    start, seconds = time.perf_counter(), {}
    for stage in stages(notebooks):
        records_of = {notebook: RunRecord(settings.paths.root, notebook, inputs) for notebook in stage}
        waiting = [notebook for notebook in stage if force or only or not records_of[notebook].is_current()]
        for notebook in sorted(set(stage) - set(waiting)):
            print(f"{notebook.stem}: unchanged, skipped", file=sys.stderr)
        before = files_below(settings.paths.root)
        try:
            for notebook, took in execute_all(waiting, settings.paths.notebooks, values, real_data):
                seconds[notebook.stem] = round(took, 1)
        finally:
            for notebook in waiting:
                if notebook.stem in seconds:
                    records_of[notebook].write(before)
        if waiting:
            write_manifest(settings, seconds)
    print(timing_table(seconds, time.perf_counter() - start))
    return seconds


def stages(notebooks: Sequence[Path]) -> list[list[Path]]:
    """Cut the notebooks, in order, into stages; those of one stage may run side by side."""
    result: list[list[Path]] = []
    for notebook in notebooks:
        together = next((group for group in TOGETHER if notebook.stem[:2] in group), ())
        if result and result[-1][0].stem[:2] in together:
            result[-1].append(notebook)
        else:
            result.append([notebook])
    return result


def execute_all(
    notebooks: Sequence[Path], folder: Path, values: dict[str, Any], real_data: str
) -> Iterator[tuple[Path, float]]:
    """Execute a stage's notebooks and yield each with its seconds as it ends; the first failure is raised last."""
    if len(notebooks) < 2:
        yield from ((notebook, execute(notebook, folder, values, real_data)) for notebook in notebooks)
        return
    context = multiprocessing.get_context("spawn")
    failure = None
    with _environment(OMP_NUM_THREADS="1"), ProcessPoolExecutor(available_workers(), context) as pool:
        print(f"side by side: {', '.join(notebook.stem for notebook in notebooks)}", file=sys.stderr)
        running = {pool.submit(execute, notebook, folder, values, real_data, False): notebook for notebook in notebooks}
        for done in as_completed(running):
            if error := done.exception():
                failure = failure or error
            else:
                print(f"{running[done].stem}: done in {done.result():.0f} s", file=sys.stderr)
                yield running[done], done.result()
    if failure:
        raise failure


class RunRecord:
    """What a notebook was run from and which files it wrote, so that an unchanged notebook can be skipped."""

    def __init__(self, root: Path, notebook: Path, inputs: str):
        self.root, self.folder = root, root / ".runs"
        self.path = self.folder / f"{notebook.stem}.json"
        self.inputs = artifacts.text_hash(inputs, artifacts.file_hash(notebook))
        number = notebook.stem[:2]
        self.stage = next((group for group in TOGETHER if number in group), (number,))

    def earlier(self) -> str:
        """Identify what the notebooks of earlier stages recorded."""
        found = [path for path in sorted(self.folder.glob("*.json")) if path.name[:2] < self.stage[0]]
        return artifacts.text_hash([json.loads(path.read_text(encoding="utf-8"))["files"] for path in found])

    def is_current(self) -> bool:
        """Tell whether the notebook ran from these inputs and everything it wrote is still there as it left it."""
        if not self.path.exists():
            return False
        record = json.loads(self.path.read_text(encoding="utf-8"))
        if (record["inputs"], record["earlier"]) != (self.inputs, self.earlier()):
            return False
        return all(
            (self.root / name).exists() and _size_and_time(self.root / name) == seen
            for name, seen in record["files"].items()
        )

    def write(self, before: dict[str, list[int]]) -> None:
        """Record the run: the files written or changed since `before` (by its stage), and those recorded earlier."""
        known = json.loads(self.path.read_text(encoding="utf-8"))["files"] if self.path.exists() else {}
        now = files_below(self.root)
        files = {name: seen for name, seen in now.items() if before.get(name) != seen or name in known}
        record = {"inputs": self.inputs, "earlier": self.earlier(), "files": files}
        records.write_text_atomic(self.path, json.dumps(record, indent=1) + "\n")


def files_below(root: Path) -> dict[str, list[int]]:
    """Return size and time of every file below the outputs folder, except executed notebooks, records and locks."""
    left_out = {"notebooks", ".runs", "manifest.json"}
    paths = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".lock"]
    kept = [path for path in paths if path.relative_to(root).parts[0] not in left_out]
    return {path.relative_to(root).as_posix(): _size_and_time(path) for path in kept}


def library_files() -> list[tuple[str, str]]:
    """Return name and hash of every file of the library."""
    found = sorted(path for path in Path(__file__).parent.rglob("*") if path.suffix != ".pyc" and path.is_file())
    return [(path.name, artifacts.file_hash(path)) for path in found]


def _size_and_time(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _listing(folder: str) -> list[Any]:
    """Describe a folder of real data by names, sizes and times."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file()) if folder else []
    return [(path.name, *_size_and_time(path)) for path in paths]


def notebook_files() -> list[Path]:
    """Return the project's notebooks in order."""
    return sorted((artifacts.project_folder() / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def choose(notebooks: Sequence[Path], first: str | None, only: str | None) -> list[Path]:
    """Return the notebooks from number `first` on, or the one with number `only`."""
    known = [path.stem[:2] for path in notebooks]
    for number in filter(None, (first, only)):
        if number[:2] not in known:
            raise DataError(f"unknown notebook {number!r}; choose one of {', '.join(known)}.")
    if only:
        return [path for path in notebooks if path.stem[:2] == only[:2]]
    return [path for path in notebooks if path.stem[:2] >= (first or "")[:2]]


def data_folder(data: str | None) -> str:
    """Return the absolute folder of real data, or "" when none is named; DataError when it does not exist."""
    value = data or os.environ.get("PROMETHEUS_DATA_DIR", "")
    if value and not Path(value).expanduser().is_dir():
        raise DataError(f"{value}: this data folder does not exist; correct --data or PROMETHEUS_DATA_DIR.")
    return str(Path(value).expanduser().resolve()) if value else ""


def _pairs(parameters: Sequence[str]) -> dict[str, str]:
    for pair in parameters:
        if "=" not in pair:
            raise DataError(f"--parameter {pair!r}: write it as NAME=VALUE.")
    return dict(pair.split("=", 1) for pair in parameters)


def check_parameters(notebook: Path, values: dict[str, Any]) -> None:
    """Raise DataError when the notebook's parameters cell does not know one of the values (papermill would not)."""
    import papermill

    known = papermill.inspect_notebook(str(notebook))
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise DataError(f"{notebook.name}: unknown parameters {unknown}; it knows {sorted(known)}.")


def execute(notebook: Path, folder: Path, values: dict[str, Any], real_data: str = "", bar: bool = True) -> float:
    """Execute one notebook into `folder` and return the seconds; a failed one is kept as `<name>.failed.ipynb`.

    `bar` shows a line that counts cells. The folder of real data goes to the notebook by the environment, so that the
    executed notebook does not name it. Raises NotebookFailed when a cell fails or the kernel is killed.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    folder.mkdir(parents=True, exist_ok=True)
    running, done, failed = (folder / f"{notebook.stem}{ending}.ipynb" for ending in (".running", "", ".failed"))
    start = time.perf_counter()
    try:
        with _environment(PROMETHEUS_DATA_DIR=real_data), live_progress(notebook.stem):
            papermill.execute_notebook(
                str(notebook), str(running), values, kernel_name="python3", cwd=str(notebook.parent),
                progress_bar={"desc": notebook.stem, "unit": "cell"} if bar else False,
                request_save_on_cell_execute=True,
            )  # fmt: skip
    except (PapermillExecutionError, DeadKernelError) as error:
        os.replace(running, failed)
        what = (
            f"cell {error.cell_index} failed: {error.ename}: {error.evalue}"
            if isinstance(error, PapermillExecutionError)
            else "the kernel was killed (memory?); start again, what is finished is kept"
        )
        raise NotebookFailed(f"{notebook.name}, {what} (the executed notebook is kept: {failed})") from error
    failed.unlink(missing_ok=True)
    make_shareable(running)
    os.replace(running, done)
    return time.perf_counter() - start


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Set environment variables for the notebooks' kernels (an empty value removes one), then put things back."""
    before = {name: os.environ.pop(name, None) for name in values}
    os.environ.update({name: value for name, value in values.items() if value})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def make_shareable(notebook: Path) -> None:
    """Drop what papermill notes about this machine's paths, and make the pictures smaller."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    noted = content["metadata"].get("papermill", {})
    for key in ("input_path", "output_path", "environment_variables"):
        noted.pop(key, None)
    if "OUTPUTS" in noted.get("parameters", {}):
        noted["parameters"]["OUTPUTS"] = ""
    for cell in content["cells"]:
        if "injected-parameters" in cell["metadata"].get("tags", []):
            cell["source"] = re.sub(r"^OUTPUTS = .*$", 'OUTPUTS = ""', "".join(cell["source"]), flags=re.MULTILINE)
    images.shrink_outputs(content)
    records.write_text_atomic(notebook, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def live_progress(title: str, every: float = 5.0) -> Iterator[None]:
    """While a notebook runs, show the progress line of its long work (with its ETA) on the terminal."""
    from tqdm.auto import tqdm

    with tempfile.TemporaryDirectory() as folder:
        file, stop = Path(folder) / "progress", threading.Event()
        os.environ[PROGRESS_FILE] = str(file)

        def follow() -> None:
            shown = ""
            while not stop.wait(every):
                text = file.read_bytes().decode("utf-8", "ignore") if file.exists() else ""
                line = text.rsplit("\r", 1)[-1].strip()
                if line and line != shown:
                    tqdm.write(f"{title}: {line}", file=sys.stderr)
                    shown = line

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            os.environ.pop(PROGRESS_FILE, None)


def write_manifest(settings: scale.Scale, seconds: dict[str, float]) -> Path:
    """Write outputs/<scale>/manifest.json: settings, versions, machine, seconds per notebook (kept for others)."""
    path = settings.paths.root / "manifest.json"
    earlier = json.loads(path.read_text(encoding="utf-8")).get("seconds", {}) if path.exists() else {}
    manifest = {
        "scale": settings.name,
        "settings": describe_settings(settings),
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        "machine": describe_machine(),
        "seconds": {**earlier, **seconds},
    }
    return records.write_text_atomic(path, json.dumps(manifest, indent=1, default=str) + "\n")


def describe_settings(settings: scale.Scale) -> dict[str, Any]:
    """Return the scale's settings without paths."""
    from dataclasses import asdict

    values = asdict(settings)
    values.pop("paths")
    values["base_model"] = Path(settings.base_model).name if settings.miniature else settings.base_model
    return values


def describe_machine() -> dict[str, Any]:
    """Return what matters for timings: system, processor, cores and memory."""
    import psutil

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def timing_table(seconds: dict[str, float], total: float) -> str:
    """Return seconds per notebook, and in all (less than their sum where notebooks ran side by side), as text."""
    lines = [f"{name:<28}{value:>8.1f} s" for name, value in seconds.items()]
    return "\n".join(["", *lines, f"{'total':<28}{total:>8.1f} s"])


if __name__ == "__main__":
    sys.exit(main())
