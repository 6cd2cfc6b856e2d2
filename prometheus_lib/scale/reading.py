"""Reading scales from their files: TOML with one key for each field of `Scale`.

Two keys are the files' own: `like` starts from another scale, and `rows` (with each expert's `share` of them) says how
many training rows of each format are learned.
"""

from __future__ import annotations

import argparse
import re
import tomllib
from pathlib import Path
from typing import Any

from ..artifacts import may_be_on_hub, project_folder
from ..records import DataError
from ..training.settings import EMBEDDED_BASE
from .checks import check_scale
from .settings import Paths, Scale
from .typed import record

COMMITTED_OUTPUTS, OWN_OUTPUTS = "outputs", "my-outputs"
HERE = Path(__file__).parent
SCALES = ("smoke", "mini", "bridge", "small", "7b", "8x7b")  # each is a file here
READ = "where the run lies (default: the committed one)"  # what --outputs is for where a run is only read
EMBEDDED = "embedded"  # how a file names the base model that comes with the library

Table = dict[str, Any]


def load_scale(
    name: str | Path = "mini", outputs: str | Path | None = None, base_model: str = "", rows: int = 0
) -> Scale:
    """Return the settings of a scale whose run lies in `outputs`/<name>; the default is the project's `my-outputs`.

    `name` is one of SCALES, or the path of a file of your own, after which the run is named. The committed runs lie in
    `outputs`, where nothing is written unless that folder is named. `base_model` (a hub id, also as id@revision, a
    model folder or a GGUF file) and `rows` (training rows per format) stand in for the file's; such a run has a name
    and a folder of its own. Raises DataError, naming file and key, for an unknown scale and for what a file may not
    hold.

    >>> load_scale("smoke", "elsewhere").paths.tables.relative_to(Path.cwd()).as_posix()
    'elsewhere/smoke/tables'
    >>> load_scale("smoke", base_model="HuggingFaceTB/SmolLM2-360M-Instruct", rows=50).name
    'smoke-SmolLM2-360M-Instruct-50-rows'
    """
    file = scale_file(name)
    table = _read(file)
    if isinstance(table.get("base_model"), str):
        table["base_model"] = _base(table["base_model"], file.parent)
    instead = {"base_model": _base(base_model, file.parent) if base_model else "", "rows": rows}
    changed = {key: value for key, value in instead.items() if value and value != table.get(key)}
    table = _with_examples(table | changed, str(file))
    called = "-".join([file.stem, *(_in_a_name(key, value) for key, value in changed.items())])
    root = Path(outputs).expanduser() if outputs else project_folder() / OWN_OUTPUTS
    scale = record(Scale, table, str(file), name=called, paths=Paths.below(root.resolve() / called))
    check_scale(scale, str(file))
    return scale


def _base(given: str, folder: Path) -> str:
    """Return a base model's name: files and folders in full, from the working folder or the scale's file on."""
    if given == EMBEDDED:
        return str(EMBEDDED_BASE)
    places = (Path(given).expanduser(), folder / given)
    found = next((place for place in places if place.is_dir() or (place.is_file() and place.suffix == ".gguf")), None)
    if found is not None:
        return str(found.resolve())
    if given.endswith(".gguf") or not may_be_on_hub(given.partition("@")[0]):
        raise DataError(f"{given}: there is no such base model; correct its path, or give its name on the hub.")
    return given


def _in_a_name(key: str, value: str | int) -> str:
    if key == "rows":
        return f"{value}-rows"
    name = str(value).removesuffix(".gguf").rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^\w.]+", "-", name)


def add_scale_options(parser: argparse.ArgumentParser, outputs: str = "where results go (default: my-outputs)") -> None:
    """Give a command the options that choose a scale and the folder of its runs; `outputs` says what that is for.

    >>> parser = argparse.ArgumentParser()
    >>> add_scale_options(parser)
    >>> parser.parse_args(["--scale", "smoke"]).rows, parser.parse_args(["--outputs", "here"]).outputs
    (0, 'here')
    """
    known = f"one of {', '.join(SCALES)}, or a file of your own that ends in .toml (default: mini)"
    parser.add_argument("--scale", default="mini", help=known)
    base = "another than the scale's: a name on the hub (name@revision pins it), a model folder, or a GGUF file"
    parser.add_argument("--base-model", default="", metavar="MODEL", help=base)
    parser.add_argument("--rows", type=int, default=0, metavar="N", help="training rows per format, not the scale's")
    parser.add_argument("--outputs", default=None, metavar="DIR", help=outputs)


def scale_file(name: str | Path) -> Path:
    """Return the file of a scale: one of ours by its name, or a path, from the current or the project's folder on.

    >>> scale_file("mini").name
    'mini.toml'
    """
    if str(name) in SCALES:
        return HERE / f"{name}.toml"
    if Path(name).suffix != ".toml":
        raise DataError(
            f"unknown scale {str(name)!r}; choose one of {list(SCALES)}, or name a file that ends in .toml."
        )
    given = Path(name).expanduser()
    file = next((place.resolve() for place in (given, project_folder() / given) if place.is_file()), None)
    if file is None:
        raise DataError(f"{name}: there is no such scale file; correct its path, or choose one of {list(SCALES)}.")
    if file.stem in SCALES and file.parent != HERE:
        raise DataError(f"{file}: a scale of the library is called {file.stem}; give the file another name.")
    return file


def committed_outputs() -> Path:
    """Return the folder of the committed runs: `outputs` in a checkout of the project.

    >>> committed_outputs().name
    'outputs'
    """
    return project_folder() / COMMITTED_OUTPUTS


def stored_scale(
    name: str | Path = "mini", outputs: str | Path | None = None, base_model: str = "", rows: int = 0
) -> Scale:
    """Return a scale whose run is only read: the committed one, else your own, or that of the folder named.

    >>> stored_scale("mini").paths.root == committed_outputs() / "mini"
    True
    """
    committed = load_scale(name, committed_outputs(), base_model, rows)
    is_there = committed.paths.root.is_dir()
    return committed if is_there and not outputs else load_scale(name, outputs, base_model, rows)


# --- a file's table --------------------------------------------------------------------------------------------------


def _read(file: Path, above: tuple[Path, ...] = ()) -> Table:
    """Return a file's table, on top of that of the scale named by `like`."""
    if file in above:
        raise DataError(f"{file}: its `like` leads back to itself; let one of the files stand alone.")
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as TOML ({error}); correct it there.") from error
    like = table.pop("like", None)
    if like is None:
        return table
    if not isinstance(like, str):
        raise DataError(f"{file}: like is {like!r}; give the name of a scale, or of another file, in quotes.")
    beside = file.parent / like
    below = scale_file(beside if beside.is_file() else like)
    return _on_top(_read(below, (*above, file)), table)


def _on_top(below: Table, above: Table) -> Table:
    """Return one table's values on top of another's; tables in them are joined, lists are replaced."""
    both = [key for key in above if isinstance(above[key], dict) and isinstance(below.get(key), dict)]
    return below | above | {key: _on_top(below[key], above[key]) for key in both}


def _with_examples(table: Table, where: str) -> Table:
    """Turn `rows` (all, where it is not given) and each expert's share of them into numbers of examples."""
    rows, experts = table.pop("rows", None), table.get("experts")
    if rows is not None and (type(rows) is not int or rows < 1):
        raise DataError(f"{where}: rows is {rows!r}; give a whole number, or leave it out to train on all rows.")
    if not isinstance(experts, list) or not all(isinstance(each, dict) for each in experts):
        raise DataError(
            f'{where}: experts is {experts!r}; give a list of tables as {{ name = "direct", formats = [...] }}.'
        )
    return table | {"experts": [_expert(each, rows, where) for each in experts]}


def _expert(expert: Table, rows: int | None, where: str) -> Table:
    name, share = expert.get("name"), expert.get("share", 1)
    if "examples" in expert:
        raise DataError(f"{where}: unknown key 'examples' of expert {name!r}; give `rows` for all, and a `share` here.")
    if type(share) not in (int, float) or not 0 < share <= 1:
        raise DataError(f"{where}: the share of expert {name!r} is {share!r}; give a number above 0 and at most 1.")
    of_all = None if share == 1 else float(share)
    examples = of_all if rows is None else max(1, round(rows * share))
    return {key: value for key, value in expert.items() if key != "share"} | {"examples": examples}
