"""Run the notebooks in order with papermill: `python -m prometheus_lib.run --scale mini [--from 05] [--only 06]`.

Executed notebooks are kept in outputs/<scale>/notebooks; one that fails is kept as `<name>.failed.ipynb`. A notebook is
skipped when nothing it depends on has changed since it ran: the notebook, the library, its parameters, the real data,
what earlier notebooks wrote, and its own files. Training, merging and judging skip what is there in the same way.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from . import artifacts, records, scale
from .records import DataError

PROGRESS_FILE = "PROMETHEUS_PROGRESS_FILE"
PACKAGES = ("torch", "transformers", "trl", "peft", "mergekit", "datasets", "papermill", "numpy", "pandas", "scipy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 1 after one clear message."""
    options = _parse(arguments)
    try:
        run(options.scale, options.first, options.only, options.data, options.outputs, options.parameter, options.force)
    except (DataError, NotebookFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
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
    seconds: dict[str, float] = {}
    for number, notebook in enumerate(notebooks, start=1):
        title = f"[{number}/{len(notebooks)}] {notebook.stem}"
        record = RunRecord(settings.paths.root, notebook, values, real_data)
        if not (force or only) and record.is_current():
            print(f"{title}: unchanged, skipped", file=sys.stderr)
            continue
        start = time.perf_counter()
        before = record.files()
        execute(notebook, settings.paths.notebooks, values, title, real_data)
        record.write(before)
        seconds[notebook.stem] = round(time.perf_counter() - start, 1)
        write_manifest(settings, seconds)
    print(timing_table(seconds))
    return seconds


class RunRecord:
    """What a notebook was run from and which files it wrote, so that an unchanged notebook can be skipped."""

    def __init__(self, root: Path, notebook: Path, values: dict[str, Any], real_data: str = ""):
        self.root, self.folder = root, root / ".runs"
        self.path = self.folder / f"{notebook.stem}.json"
        library = sorted(path for path in Path(__file__).parent.rglob("*") if path.suffix != ".pyc" and path.is_file())
        content = [(path.name, artifacts.file_hash(path)) for path in [notebook, *library]]
        self.inputs = artifacts.text_hash(content, values, _listing(real_data))

    def files(self) -> dict[str, list[int]]:
        """Return size and time of every file below the outputs folder, except executed notebooks and records."""
        left_out = {"notebooks", ".runs", "manifest.json"}
        paths = [path for path in self.root.rglob("*") if path.is_file()]
        kept = [path for path in paths if path.relative_to(self.root).parts[0] not in left_out]
        return {path.relative_to(self.root).as_posix(): _size_and_time(path) for path in kept}

    def earlier(self) -> str:
        """Identify what the notebooks before this one recorded."""
        records_before = [path for path in sorted(self.folder.glob("*.json")) if path.name < self.path.name]
        return artifacts.text_hash([json.loads(path.read_text(encoding="utf-8"))["files"] for path in records_before])

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
        """Record the run: the files that were written or changed since `before`, and those recorded earlier."""
        known = json.loads(self.path.read_text(encoding="utf-8"))["files"] if self.path.exists() else {}
        now = self.files()
        files = {name: seen for name, seen in now.items() if before.get(name) != seen or name in known}
        record = {"inputs": self.inputs, "earlier": self.earlier(), "files": files}
        records.write_text_atomic(self.path, json.dumps(record, indent=1) + "\n")


def _size_and_time(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _listing(folder: str) -> list[Any]:
    """Describe a folder of real data by names, sizes and times."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file()) if folder else []
    return [(path.name, *_size_and_time(path)) for path in paths]


def notebook_files() -> list[Path]:
    """Return the project's notebooks in order."""
    return sorted((scale.project_folder() / "notebooks").glob("[0-9][0-9]_*.ipynb"))


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


def execute(notebook: Path, folder: Path, values: dict[str, Any], title: str, real_data: str = "") -> Path:
    """Execute one notebook into `folder`; on failure keep it as `<name>.failed.ipynb` and raise NotebookFailed.

    The folder of real data goes to the notebook by the environment, so that the executed notebook does not name it.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    folder.mkdir(parents=True, exist_ok=True)
    running, done, failed = (folder / f"{notebook.stem}{ending}.ipynb" for ending in (".running", "", ".failed"))
    try:
        with _environment(PROMETHEUS_DATA_DIR=real_data), live_progress(title):
            papermill.execute_notebook(
                str(notebook), str(running), values, kernel_name="python3", cwd=str(notebook.parent),
                progress_bar={"desc": title, "unit": "cell"}, request_save_on_cell_execute=True,
            )  # fmt: skip
    except PapermillExecutionError as error:
        os.replace(running, failed)
        raise NotebookFailed(
            f"{notebook.name}, cell {error.cell_index} failed: {error.ename}: {error.evalue} "
            f"(the executed notebook is kept: {failed})"
        ) from error
    failed.unlink(missing_ok=True)
    write_without_machine_paths(running)
    os.replace(running, done)
    return done


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


def write_without_machine_paths(notebook: Path) -> None:
    """Drop what papermill notes about this machine's paths, so executed notebooks can be shared."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    for key in ("input_path", "output_path", "environment_variables"):
        content["metadata"].get("papermill", {}).pop(key, None)
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


def timing_table(seconds: dict[str, float]) -> str:
    """Return seconds per notebook as text."""
    lines = [f"{name:<28}{value:>8.1f} s" for name, value in seconds.items()]
    return "\n".join(["", *lines, f"{'total':<28}{sum(seconds.values()):>8.1f} s"])


if __name__ == "__main__":
    sys.exit(main())
