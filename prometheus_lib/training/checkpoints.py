"""Checkpoints of a training run: every so many minutes, whole or not at all, the last two kept, gone when it is done.

They lie beside the expert's folder, in one that is named after everything that decides its weights: a run with other
settings never goes on from them.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from .. import artifacts
from ..records import write_text_atomic

WHOLE = "whole"  # the file that is written into a checkpoint last
KEPT = 2


def work_folder(out: str | Path, stamp: dict[str, Any]) -> Path:
    """Return where an expert with this stamp keeps its rows and checkpoints until it is trained.

    >>> work_folder("experts/direct", {"settings": {}}).name[:13]
    '.direct.work-'
    """
    out = Path(out)
    return out.with_name(f".{out.name}.work-{artifacts.text_hash(stamp)[:12]}")


def remove_work(out: str | Path) -> None:
    """Remove what training an expert left beside its folder, with whatever settings it was trained."""
    out = Path(out)
    for folder in out.parent.glob(f".{out.name}.work-*"):
        shutil.rmtree(folder, ignore_errors=True)


def last_checkpoint(work: Path) -> str | None:
    """Return the newest whole checkpoint, None where there is none; what a kill left half-written is removed."""
    found = {int(place.name.rpartition("-")[2]): place for place in work.glob("checkpoint-*")}
    for place in found.values():
        if not (place / WHOLE).is_file():
            shutil.rmtree(place)
    whole = [step for step, place in found.items() if place.is_dir()]
    return str(found[max(whole)]) if whole else None


def saver(minutes: float) -> Any:
    """Return a callback of transformers' Trainer that saves after so many minutes and marks what is whole."""
    from transformers import TrainerCallback

    class Saver(TrainerCallback):
        last = time.monotonic()

        def on_step_end(self, args, state, control, **kwargs):
            if time.monotonic() - self.last >= 60 * minutes and state.global_step < state.max_steps:
                control.should_save = True

        def on_save(self, args, state, control, **kwargs):
            self.last = time.monotonic()
            if state.is_world_process_zero:
                write_text_atomic(Path(args.output_dir) / f"checkpoint-{state.global_step}" / WHOLE, "")

    return Saver()
