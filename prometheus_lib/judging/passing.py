"""Merges that pass: written, judged, and their weights removed, so that of many only a few lie on the disk at a time.

The 33 merges of the 8x7B scale would take 3 TB. What stays of each is its folder without the weights: recipe, card,
tokenizer, and the fingerprint under which its judgments are stored.
"""

from __future__ import annotations

import contextlib
import glob
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock

from .. import artifacts, merging
from ..merging.spec import Merge


@dataclass(frozen=True)
class Recipe:
    """A merge to be written when it is judged: of experts below the folder `experts`, rounded to `dtype`.

    >>> Recipe(Merge("m", "linear"), "base", "experts", "bfloat16").parents
    ('experts/direct', 'experts/pairwise')
    """

    merge: Merge
    base: str
    experts: str
    dtype: str

    @property
    def parents(self) -> tuple[str, str]:
        """Return the folders of the two experts."""
        return tuple((Path(self.experts) / name).as_posix() for name in (self.merge.first, self.merge.second))

    def was_made(self, folder: str | Path) -> bool:
        """Tell whether a folder is this merge of these experts, its weights removed since or not."""
        stamp = merging.merge_stamp(self.merge, self.base, *self.parents, self.dtype)
        return artifacts.was_built(folder, stamp)


@contextlib.contextmanager
def passing(recipe: Recipe, folder: str | Path) -> Iterator[None]:
    """Have a merge in its folder during the block; the last process that uses it removes the weights.

    After an error they stay, for the next start goes on with them.
    """
    folder = Path(folder)
    mark = _mark(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        with lock:
            mark.touch()
            merging.merge_folders(recipe.merge, recipe.base, *recipe.parents, folder, recipe.dtype)
        yield
        with lock:
            mark.unlink()
            if not _in_use(folder):
                artifacts.remove_weights(folder)
    finally:
        mark.unlink(missing_ok=True)


def _mark(folder: Path) -> Path:
    """Return the file that says that this process uses a merge; the folder's disk may be that of several machines."""
    return folder.with_name(f".{folder.name}.judging-{os.getpid()}@{platform.node()}")


def _in_use(folder: Path) -> bool:
    """Tell whether a process uses a merge, as far as one can know; the marks of those that were killed go."""
    used = False
    for mark in folder.parent.glob(f".{glob.escape(folder.name)}.judging-*"):
        process, _, machine = mark.name.rpartition(".judging-")[2].partition("@")
        if machine == platform.node() and not psutil.pid_exists(int(process)):
            mark.unlink(missing_ok=True)
        else:
            used = True
    return used
