"""Where real data lies: the folder that a user names, the download cache, and the addresses of the released files."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..artifacts import cache_folder
from ..records import DataError, write_bytes_atomic, write_jsonl

Row = dict[str, Any]

DATA_VARIABLE = "PROMETHEUS_DATA_DIR"
RAW_HOST = "https://raw.githubusercontent.com"
LFS_HOST = "https://media.githubusercontent.com/media"  # where a file is if RAW_HOST only has a pointer to it
RAW_FILES = f"{RAW_HOST}/prometheus-eval/prometheus-eval/dcfb442/eval/benchmark/data"
OLDER_FILES = f"{RAW_HOST}/prometheus-eval/prometheus/f165242/evaluation/benchmark/data"  # the first Prometheus

_LFS_POINTER = re.compile(rb"version https://git-lfs.*?oid sha256:([0-9a-f]{64})", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """How rows become items, the accepted file names (first: the download's), where they come from."""

    build: Callable[[str, list[Row], Path], list]
    files: tuple[str, ...]
    hub: tuple[str, str] | None = None
    sha256: str | None = None
    older_sha256: str | None = None


def data_folder(data_dir: str | Path | None = None) -> Path:
    """Return the folder of real data: the argument, else PROMETHEUS_DATA_DIR, else the download cache.

    >>> data_folder("my/files").as_posix()
    'my/files'
    """
    chosen = data_dir or os.environ.get(DATA_VARIABLE) or cache_folder()
    return Path(chosen).expanduser()


def places(source: Source, data_dir: str | Path | None = None, with_cache: bool = False) -> list[Path]:
    """Return where a benchmark's file may lie, in the order of looking; the cache where no folder is given."""
    folders = [data_folder(data_dir)] + ([cache_folder()] if with_cache or data_dir is None else [])
    files = [name for file in source.files for name in (file, f"{file}.gz")]
    return [folder / "benchmarks" / file for folder in dict.fromkeys(folders) for file in files]


def origin(source: Source) -> str:
    """Return the address at which a person gets the file."""
    return f"https://huggingface.co/datasets/{source.hub[0]}" if source.hub else _raw_url(source)


def fetch(name: str, source: Source, path: Path) -> Path:
    """Fetch a benchmark's file to `path`; DataError, and nothing written, when no source has the right one."""
    if source.hub:
        return write_jsonl(path, hub_rows(*source.hub))
    return write_bytes_atomic(path, _released_file(name, source))


def _released_file(name: str, source: Source) -> bytes:
    try:
        return _checked(name, _raw_url(source), source.sha256)
    except DataError:
        if source.older_sha256 is None:
            raise
        return _checked(name, f"{OLDER_FILES}/{source.files[0]}", source.older_sha256)


def _raw_url(source: Source) -> str:
    return f"{RAW_FILES}/{source.files[0]}"


def _checked(name: str, url: str, sha256: str | None) -> bytes:
    """The file behind a URL, through a Git LFS pointer if need be, with its sha256 checked where one is known."""
    found = _answer(name, url)
    if pointer := _LFS_POINTER.match(found):
        url, sha256 = url.replace(RAW_HOST, LFS_HOST, 1), sha256 or pointer[1].decode()
        found = _answer(name, url)
    if sha256 and hashlib.sha256(found).hexdigest() != sha256:
        raise DataError(
            f"{name}: the sha256 of {url} differs from the released file's; nothing was written. "
            "Try again, or get the file by hand and put it into the folder of real data."
        )
    return found


def _answer(name: str, url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise DataError(
            f"{name}: {url} could not be fetched ({error}); check the network, or get it by hand."
        ) from error


def hub_rows(dataset: str, split: str = "train") -> list[Row]:
    """Return the rows of a hub data set, or of a local folder of the same format; DataError when it cannot be had."""
    from datasets import load_dataset  # heavy, and only needed for a download

    try:
        return list(load_dataset(dataset, split=split))
    except Exception as error:  # the hub client raises many unrelated types
        raise DataError(
            f"{dataset} ({split}): could not be loaded ({type(error).__name__}: {error}); it needs the Hugging Face "
            "hub, or a local folder of the same data."
        ) from error
