"""Folders that appear only when whole, and are built again only when their inputs or settings have changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from .records import DataError, few, write_text_atomic

STAMP, FILES = "stamp.json", "files"
REMOVED = "weights_removed.json"  # stands for the weights of a model that was judged and is not kept
FIRST_NOTEBOOK = "notebooks/00_start_here.ipynb"  # by which a checkout of the project is known
ELSE = "give an empty folder, or one that is not there yet."
JUNK = (".DS_Store", ".ipynb_checkpoints", "__pycache__", "desktop.ini")  # what looking at a folder leaves in it
LARGE = 32 << 20  # bytes from which a file's hash is kept
CLOCK_TICK = 2  # seconds within which a file may change without a change of its times
CLOCKS_DIFFER = 60  # seconds between this machine's clock and that of a disk elsewhere
# Files that decide what a model says, and what its configuration holds that does not.
MODEL_FILES = ("*.safetensors", "*.bin", "tokenizer.json", "tokenizer.model", "chat_template.jinja")
VOCABULARIES = ("vocab.json", "merges.txt", "vocab.txt", "added_tokens.json", "tekken.json", "*.model")
DESCRIPTIONS = ("transformers_version", "_name_or_path", "dtype", "torch_dtype", "use_cache", "architectures")


def project_folder() -> Path:
    """Return the folder of the project: the checkout that this library lies in, or that the current folder lies in.

    Where there is neither (the library was installed, the repository is not at hand) it is the current folder, so that
    nothing is ever written beside an installed library.

    >>> (project_folder() / "prometheus_lib").is_dir()
    True
    """
    here = Path.cwd().resolve()
    candidates = (Path(__file__).resolve().parent.parent, here, *here.parents)
    return next((folder for folder in candidates if (folder / FIRST_NOTEBOOK).is_file()), here)


def numbered_notebooks(folder: Path) -> list[Path]:
    """Return the notebooks of a folder whose names begin with a number, in order.

    >>> numbered_notebooks(Path("no/such/folder"))
    []
    """
    return sorted(folder.glob("[0-9][0-9]_*.ipynb"))


def cache_folder() -> Path:
    """Return the project's folder in the user's cache: prometheus2-notebooks."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "prometheus2-notebooks"


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal; a large file is read again only when it has changed.

    >>> file_hash(os.devnull)[:12]
    'e3b0c44298fc'
    """
    if os.stat(path).st_size < LARGE:
        return _hash_now(path)
    state = _state(path)
    note = cache_folder() / "hashes" / f"{text_hash(state[0])}.json"
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["state"] == state:
            return known["sha256"]
    found = _hash_now(path)
    # A file that is just being written may change again within one tick of its clock.
    if _state(path) == state and time.time() - max(state[2:]) / 1e9 > CLOCK_TICK:
        with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
            note.parent.mkdir(parents=True, exist_ok=True)
            write_text_atomic(note, json.dumps({"state": state, "sha256": found}))
    return found


def _hash_now(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _state(path: str | Path) -> list[Any]:
    """Return what tells that a file is unchanged: its place, size, and times of its content and of its entry."""
    found = os.stat(path)
    return [str(Path(path).resolve()), found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def text_hash(*parts: Any) -> str:
    """Return 16 hexadecimal digits that identify the parts, in order.

    >>> text_hash("direct", {"seed": 42}) == text_hash("direct", {"seed": 42}) != text_hash({"seed": 42}, "direct")
    True
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def model_fingerprint(folder: str | Path) -> str:
    """Return 16 hexadecimal digits that identify a model folder's weights, configuration, tokenizer and chat template.

    A name that is no folder (a hub id) identifies itself.

    >>> model_fingerprint("mistralai/Mistral-7B-Instruct-v0.2")
    'd0886c3372d6f1ab'
    """
    folder = Path(folder)
    if not folder.is_dir():
        return text_hash(str(folder))
    if (folder / REMOVED).is_file():
        return read_json(folder / REMOVED)["fingerprint"]
    more = () if (folder / "tokenizer.json").is_file() else vocabulary_files(folder)
    files = sorted({file for pattern in (*MODEL_FILES, *more) for file in folder.glob(pattern)})
    settings = (folder / f"{name}.json" for name in ("config", "tokenizer_config", "generation_config"))
    config, tokenizer, generation = (read_json(file) if file.is_file() else {} for file in settings)
    config = {name: value for name, value in config.items() if name not in DESCRIPTIONS}
    template, ends = tokenizer.get("chat_template"), generation.get("eos_token_id")
    return text_hash(*[(file.name, file_hash(file)) for file in files], config, template, ends)


def remove_weights(folder: str | Path) -> None:
    """Remove a model's weights and leave the rest of its folder, with the fingerprint that it had.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("model.safetensors", "config.json"):
    ...     _ = (folder / name).write_text("{}")
    >>> before = model_fingerprint(folder)
    >>> remove_weights(folder)
    >>> model_fingerprint(folder) == before, sorted(os.listdir(folder))
    (True, ['config.json', 'weights_removed.json'])
    """
    folder = Path(folder)
    write_text_atomic(folder / REMOVED, json.dumps({"fingerprint": model_fingerprint(folder)}))
    for pattern in ("*.safetensors", "*.safetensors.index.json"):
        for file in folder.glob(pattern):
            file.unlink()


def vocabulary_files(folder: Path) -> list[str]:
    """Return the names of the files that hold a tokenizer's vocabulary, beside or instead of tokenizer.json."""
    return sorted({file.name for pattern in VOCABULARIES for file in folder.glob(pattern)})


def judge_fingerprint(folder: str | Path, dtype: str = "float32", quantization: str | None = None) -> str:
    """Return 16 hexadecimal digits that identify a model folder as it is judged with: in which number format.

    >>> judge_fingerprint("owner/name", "bfloat16") == judge_fingerprint("owner/name")
    False
    """
    told = "" if dtype == "float32" else dtype
    found, formats = model_fingerprint(folder), list(filter(None, [told, quantization]))
    return text_hash(found, *formats) if formats else found


def read_json(file: Path) -> dict[str, Any]:
    """Read a model's JSON file, an object; DataError when it is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file}: not valid JSON ({error}); copy it or build it again.") from error
    if not isinstance(found, dict):
        raise DataError(f"{file}: a {type(found).__name__}, not an object; copy it or build it again.")
    return found


def check_model_folder(folder: str | Path) -> Path:
    """Raise DataError unless the folder holds a configuration, weights and a tokenizer; return it as a Path."""
    folder = Path(folder)
    wanted = {
        "config.json": ["config.json"],
        "weights": ["*.safetensors", "*.bin"],
        "a tokenizer": ["tokenizer*", *VOCABULARIES],
    }
    missing = [what for what, patterns in wanted.items() if not any(any(folder.glob(p)) for p in patterns)]
    if missing:
        raise DataError(
            f"{folder}: this model folder lacks {' and '.join(missing)}; "
            "give a folder written by save_pretrained for both model and tokenizer, or build it again."
        )
    return folder


def check_base_model(base: str | Path) -> None:
    """Check a model that is a folder; the name of a model on the hub ("owner/name") is left to the hub.

    >>> check_base_model("./models/base")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    prometheus_lib.records.DataError: ./models/base: there is no such model folder; ...
    """
    if Path(base).is_dir():
        check_model_folder(base)
    elif not may_be_on_hub(base):
        raise DataError(f"{base}: there is no such model folder; correct the path, or give a model's name on the hub.")


def may_be_on_hub(name: str | Path) -> bool:
    """Tell whether a name can be that of a model on the hub ("owner/name"), not a path alone.

    >>> may_be_on_hub("mistralai/Mistral-7B-Instruct-v0.2"), may_be_on_hub("./models/base")
    (True, False)
    """
    return not (str(name).startswith((".", "~", "/")) or str(name).count("/") > 1 or Path(name).is_absolute())


def hub_name(base: str | Path) -> str:
    """Return the hub's name of a model that was fetched, or that is named with a revision; anything else as it is.

    >>> hub_name("cache/models--owner--name/snapshots/0123abcd"), hub_name("owner/name@v1.0"), hub_name("a/folder")
    ('owner/name', 'owner/name', 'a/folder')
    """
    fetched, (name, pinned, _) = Path(base).parent, str(base).partition("@")
    if fetched.name == "snapshots" and fetched.parent.name.startswith("models--"):
        return fetched.parent.name.removeprefix("models--").replace("--", "/", 1)
    return name if pinned and may_be_on_hub(name) else str(base)


# --- stamps ----------------------------------------------------------------------------------------------------------


def stamp_of(inputs: Mapping[str, str | Path], settings: dict[str, Any]) -> dict[str, Any]:
    """Describe what a folder is built from: the hash of each input (file or model folder) by its role, and settings.

    Roles, because two inputs may have one name ("run1/final", "run2/final") and an exchange of two is another build.

    >>> stamp_of({"base": "owner/name"}, {"seed": 42})
    {'inputs': {'base': 'd16dad39354324d9'}, 'settings': {'seed': 42}}
    """
    hashes = {
        role: file_hash(path) if Path(path).is_file() else model_fingerprint(path) for role, path in inputs.items()
    }
    return json.loads(json.dumps({"inputs": hashes, "settings": settings}, default=str))


def is_current(folder: str | Path, stamp: dict[str, Any]) -> bool:
    """Tell whether the folder was built whole from exactly these inputs and settings.

    >>> is_current("no/such/folder", {})
    False
    """
    return was_built(folder, stamp) and not (Path(folder) / REMOVED).exists()


def was_built(folder: str | Path, stamp: dict[str, Any]) -> bool:
    """Tell whether the folder was built from exactly these inputs and settings, its weights removed since or not."""
    found = _read_stamp(Path(folder))
    return found is not None and {name: value for name, value in found.items() if name != FILES} == stamp


def _read_stamp(folder: Path) -> dict[str, Any] | None:
    """Return the stamp of a folder that this project built, with the files it then held; None for any other folder."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) and {"inputs", "settings"} <= stamp.keys() else None


def files_of(folder: Path) -> list[str]:
    """Return the files below a folder, less those that looking at it leaves there.

    >>> files_of(Path("no/such/folder"))
    []
    """
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.as_posix() for path in found if not set(path.parts) & set(JUNK))


# --- building --------------------------------------------------------------------------------------------------------


def build_folder(
    folder: str | Path, stamp: dict[str, Any], build: Callable[[Path], None], inputs: Iterable[str | Path]
) -> bool:
    """Build a folder under a temporary name and rename it when whole; return False when it was current already.

    An earlier result is moved aside, and removed when the new one is in its place; a build that was killed in between
    is made good by the next one. Raises DataError, before anything is written, where `check_output` does.

    >>> import tempfile
    >>> out, stamp = Path(tempfile.mkdtemp()) / "result", stamp_of({}, {"text": "merged"})
    >>> def build(new):
    ...     _ = (new / "model.txt").write_text("merged")
    >>> build_folder(out, stamp, build, inputs=[]), build_folder(out, stamp, build, inputs=[])
    (True, False)
    """
    folder = check_output(folder, inputs)
    if is_current(folder, stamp):
        return False
    _check_nothing_added(folder)
    temporary = beside(folder, "part")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    except OSError as error:
        raise _not_written(folder, error) from error
    try:
        build(temporary)
        whole = {**stamp, FILES: files_of(temporary)}
        write_text_atomic(temporary / STAMP, json.dumps(whole, indent=1, sort_keys=True))
        put_in_place(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return True


def has_stamp(folder: Path) -> bool:
    """Tell whether this project built a folder from inputs and settings that it noted there.

    >>> has_stamp(Path("no/such/folder"))
    False
    """
    return _read_stamp(folder) is not None


def check_output(folder: str | Path, inputs: Iterable[str | Path], ours: Callable[[Path], bool] = has_stamp) -> Path:
    """Return where a folder will be built (links followed), with what killed builds left there put in order.

    `ours` tells whether what is there may be replaced. Raises DataError where building could destroy something: in or
    around an input or the working folder, and over files that were not built here.

    >>> check_output(".", [])
    Traceback (most recent call last):
        ...
    prometheus_lib.records.DataError: .: this folder is the working folder or holds it; give a folder of its own.
    """
    try:
        place = Path(folder).resolve()
        if place.exists() and not place.is_dir():
            raise DataError(f"{folder}: this is a file; give the name of a folder.")
        _keep_away(folder, place, inputs)
        clear_leftovers(place)
        if place.is_dir() and any(place.iterdir()) and not ours(place):
            raise DataError(f"{folder}: this folder is not empty, and what it holds was not built here; {ELSE}")
    except (OSError, RuntimeError) as error:  # a loop of links, a folder that may not be read
        raise DataError(f"{folder}: cannot be used ({error}); give another folder.") from error
    return place


def _keep_away(folder: str | Path, place: Path, inputs: Iterable[str | Path]) -> None:
    """Raise DataError when building at `place` would remove an input or the working folder, or write into an input."""
    if _holds(place, Path.cwd()):
        raise DataError(f"{folder}: this folder is the working folder or holds it; give a folder of its own.")
    for given in filter(os.path.exists, inputs):
        for input in _places(Path(given).resolve()):
            if _holds(place, input):
                raise DataError(f"{folder}: this folder is or holds the input {given}, which would be lost; {ELSE}")
            if _holds(input, place):
                raise DataError(f"{folder}: this folder lies inside the input {given}; {ELSE}")


def _places(input: Path) -> list[Path]:
    """Return an input and the files that its links point to."""
    inner = input.iterdir() if input.is_dir() else ()
    return [input, *(path.resolve() for path in inner if path.is_symlink())]


def _holds(outer: Path, inner: Path) -> bool:
    """Tell whether `outer` is `inner` or a folder above it, whatever their names look like."""
    return outer.exists() and any(path.exists() and outer.samefile(path) for path in (inner, *inner.parents))


def _check_nothing_added(folder: Path) -> None:
    """Raise DataError when an earlier result holds files that somebody added."""
    stamp = _read_stamp(folder) or {}
    added = sorted(set(files_of(folder)) - {*stamp[FILES], STAMP, REMOVED}) if FILES in stamp else []
    if added:
        raise DataError(f"{folder}: {few(added)} would be lost, which was not built here; move it away first.")


def put_in_place(new: Path, folder: Path) -> None:
    """Rename a whole new folder to its place; an earlier one is there or aside at every moment until it is done."""
    aside = beside(folder, "old")
    try:
        if folder.exists():
            os.rename(folder, aside)
        os.rename(new, folder)
    except OSError as error:
        raise _not_written(folder, error) from error
    finally:
        if aside.exists() and not folder.exists():
            os.rename(aside, folder)
    shutil.rmtree(aside, ignore_errors=True)


def _not_written(folder: Path, error: OSError) -> DataError:
    return DataError(f"{folder}: could not be written ({error.strerror}); free space or check the folder above it.")


def beside(path: Path, kind: str) -> Path:
    """Return where this process keeps a folder while it is built ("part") or moved aside ("old").

    >>> beside(Path("models/merged"), "part").name.startswith(".merged.")
    True
    """
    return path.with_name(f".{path.name}.{os.getpid()}.{kind}")


def clear_leftovers(path: Path) -> None:
    """Remove what killed processes left of building `path`; an earlier result that one had moved aside comes back."""
    name = re.compile(rf"\.{re.escape(path.name)}\.(\d+)\.(part|old)")
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    found = [(place.lstat(), match, place) for place in beside if (match := name.fullmatch(place.name))]
    for state, match, place in sorted(found, key=lambda each: -each[0].st_ctime):
        if _at_work(int(match[1]), state.st_mtime if match[2] == "part" else state.st_ctime):
            continue
        if match[2] == "old" and not path.exists():
            os.rename(place, path)
        elif place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def _at_work(pid: int, when: float) -> bool:
    """Tell whether the process that left something at a time still runs; its number may have gone to a later one."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= when + CLOCKS_DIFFER
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def notebook_seconds(manifest: dict[str, Any]) -> dict[str, float]:
    """Return the most seconds that each notebook of a run took, from its manifest (an older one has the last only).

    >>> notebook_seconds({"seconds": {"03": 4.0, "06": 2.0}, "longest": {"03": 90.0}})
    {'03': 90.0, '06': 2.0}
    """
    return {**manifest.get("seconds", {}), **manifest.get("longest", {})}
