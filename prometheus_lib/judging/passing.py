"""Merges that pass: written, judged, and their weights removed, so that of many only a few lie on the disk at a time.

The 33 merges of the 8x7B scale would take 3 TB. What stays of each is its folder without the weights: recipe, card,
tokenizer, and the fingerprint under which its judgments are stored.
"""

from __future__ import annotations

import contextlib
import os
import re
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
    mark = folder.with_name(f".{folder.name}.{os.getpid()}.judging")
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"))
    try:
        with lock:
            mark.touch()
            merging.merge_folders(recipe.merge, recipe.base, *recipe.parents, folder, recipe.dtype)
        yield
        with lock:
            mark.unlink()
            if not any(map(_in_use, folder.parent.glob(f".{folder.name}.*.judging"))):
                artifacts.remove_weights(folder)
    finally:
        mark.unlink(missing_ok=True)


def _in_use(mark: Path) -> bool:
    """Tell whether the process that left a mark still runs."""
    found = re.search(r"\.(\d+)\.judging$", mark.name)
    return found is not None and psutil.pid_exists(int(found[1]))
