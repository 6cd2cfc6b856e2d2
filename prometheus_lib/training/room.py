"""Is there room for a training, in memory and on the disk? Asked before it starts, so that nothing is lost."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import psutil

from ..records import DataError
from .checkpoints import KEPT
from .settings import TrainingSettings
from .sizing import GB, Shape, state_memory

SAVED, CHECKPOINT = 4, 12  # bytes per parameter of an expert, and per trained one of a checkpoint with its moments
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_room(shape: Shape, settings: TrainingSettings, experts: int, together: int, folder: Path) -> None:
    """Raise DataError where training cannot fit: weights, gradients and moments in memory, experts on the disk.

    `experts` are still to be trained, `together` of them at a time on a CPU. Activations come on top and depend on
    much, so that what passes here may still be tight: `python -m prometheus_lib plan` estimates them.

    >>> check_room(Shape("tiny", 10, 10, 10, 1, 1, 1, 1, None), TrainingSettings(1e-5, 4, 64), 2, 2, Path.cwd())
    """
    wanted = together * state_memory(shape, bool(settings.lora)) if settings.use_cpu else 0.0
    free = psutil.virtual_memory().available / GB
    if wanted > free:
        raise DataError(
            f"training needs at least {wanted:.1f} GB of memory and {free:.1f} GB are free; nothing was started. Close "
            "other programs, train one expert at a time (workers = 1), or take a smaller base model or [training.lora]."
        )
    wanted = (SAVED * shape.parameters * experts + KEPT * CHECKPOINT * shape.trained * together) / GB
    above, free = free_disk(folder)
    if wanted > free:
        raise DataError(
            f"{above}: {experts} experts and their checkpoints take {wanted:.1f} GB and {free:.1f} GB are free; "
            "nothing was started. Make room there, or name a folder on another disk (OUTPUTS)."
        )


def free_disk(place: Path) -> tuple[Path, float]:
    """Return the nearest folder above a place that there is, and the GB that are free on its disk.

    >>> free_disk(Path.cwd() / "not" / "there")[0] == Path.cwd()
    True
    """
    above = next(folder for folder in (place, *place.parents) if folder.is_dir())
    return above, shutil.disk_usage(above).free / GB


def is_full(error: BaseException) -> bool:
    """Tell whether an error, or what caused it, comes from a disk that takes no more.

    >>> is_full(OSError(errno.ENOSPC, "No space left on device")), is_full(ValueError("wrong"))
    (True, False)
    """
    if isinstance(error, OSError) and error.errno in FULL:
        return True
    if any(words in str(error) for words in ("No space left", "File too large", "quota exceeded")):
        return True
    before = error.__cause__ or error.__context__
    return before is not None and is_full(before)
