"""Folders that appear only when whole, and are built again only when their inputs or settings have changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .records import DataError, write_text_atomic

STAMP = "stamp.json"
# Files that decide what a model says, and what its configuration holds that does not.
MODEL_FILES = ("*.safetensors", "*.bin", "tokenizer.json", "tokenizer.model", "chat_template.jinja")
DESCRIPTIONS = ("transformers_version", "_name_or_path", "dtype", "torch_dtype", "use_cache", "architectures")


def project_folder() -> Path:
    """Return the folder that holds the notebooks: the checkout this library was installed from."""
    return Path(__file__).resolve().parent.parent


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_hash(*parts: Any) -> str:
    """Return 16 hexadecimal digits that identify the parts, in order."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def model_fingerprint(folder: str | Path) -> str:
    """Return 16 hexadecimal digits that identify a model folder's weights, configuration, tokenizer and chat template.

    A name that is no folder (a hub id) identifies itself.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return text_hash(str(folder))
    files = sorted(file for pattern in MODEL_FILES for file in folder.glob(pattern))
    settings = (folder / f"{name}.json" for name in ("config", "tokenizer_config", "generation_config"))
    config, tokenizer, generation = (read_json(file) if file.is_file() else {} for file in settings)
    config = {name: value for name, value in config.items() if name not in DESCRIPTIONS}
    template, ends = tokenizer.get("chat_template"), generation.get("eos_token_id")
    return text_hash(*[(file.name, file_hash(file)) for file in files], config, template, ends)


def judge_fingerprint(folder: str | Path, bf16: bool = False, quantization: str | None = None) -> str:
    """Return 16 hexadecimal digits that identify a model folder as it is judged with: in which number format."""
    found, formats = model_fingerprint(folder), [*(["bfloat16"] if bf16 else []), *filter(None, [quantization])]
    return text_hash(found, *formats) if formats else found


def read_json(file: Path) -> dict[str, Any]:
    """Read a model's JSON file; DataError when it is none."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file}: not valid JSON ({error}); copy it or build it again.") from error


def check_model_folder(folder: str | Path) -> Path:
    """Raise DataError unless the folder holds a configuration, weights and a tokenizer; return it as a Path."""
    folder = Path(folder)
    wanted = {"config.json": ["config.json"], "weights": ["*.safetensors", "*.bin"], "a tokenizer": ["tokenizer*"]}
    missing = [what for what, patterns in wanted.items() if not any(any(folder.glob(p)) for p in patterns)]
    if missing:
        raise DataError(
            f"{folder}: this model folder lacks {' and '.join(missing)}; "
            "give a folder written by save_pretrained for both model and tokenizer, or build it again."
        )
    return folder


def check_base_model(base: str | Path) -> None:
    """Check a model that is a folder; the name of a model on the hub ("owner/name") is left to the hub."""
    if Path(base).is_dir():
        check_model_folder(base)
    elif str(base).startswith((".", "~", "/")) or str(base).count("/") > 1 or Path(base).is_absolute():
        raise DataError(f"{base}: there is no such model folder; correct the path, or give a model's name on the hub.")


def stamp_of(inputs: Iterable[str | Path], settings: dict[str, Any]) -> dict[str, Any]:
    """Describe what a folder is built from: the hash of each input (file or model folder) and the settings."""
    hashes = {}
    for path in map(Path, inputs):
        hashes[path.name] = file_hash(path) if path.is_file() else model_fingerprint(path)
    return json.loads(json.dumps({"inputs": hashes, "settings": settings}, default=str))


def is_current(folder: str | Path, stamp: dict[str, Any]) -> bool:
    """Tell whether the folder was built whole from exactly these inputs and settings."""
    try:
        return json.loads((Path(folder) / STAMP).read_text(encoding="utf-8")) == stamp
    except (OSError, json.JSONDecodeError):
        return False


def build_folder(folder: str | Path, stamp: dict[str, Any], build: Callable[[Path], None]) -> bool:
    """Build a folder under a temporary name and rename it when whole; return False when it was current already."""
    folder = Path(folder)
    if is_current(folder, stamp):
        return False
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        build(temporary)
        write_text_atomic(temporary / STAMP, json.dumps(stamp, indent=1, sort_keys=True))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return True
