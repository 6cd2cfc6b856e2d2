"""Checkpoints of a training run: every so many minutes, whole or not at all, the last two kept, gone when it is done.

They lie beside the expert's folder, in one that is named after everything that decides its weights: a run with other
settings never goes on from them.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
import zlib
from pathlib import Path
from typing import Any

from .. import artifacts
from ..records import few, write_text_atomic
from .processes import agreed, meet

WHOLE = "whole"  # the file that is written into a checkpoint last
STAMP = "stamp.json"  # in the work folder: what decides the weights
KEPT = 2
ENDS = 64 * 2**20  # bytes that are read at each end of a file to see whether it is as it was


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
    """Return the newest whole checkpoint, None where there is none.

    What a kill left half-written is removed, and what was damaged later, which is said.
    """
    found = {int(place.name.rpartition("-")[2]): place for place in work.glob("checkpoint-*")}
    for step in sorted(found, reverse=True):
        if not (damage := _damage(found[step])):
            return str(found[step])
        if (found[step] / WHOLE).is_file():
            print(f"{found[step]} is damaged ({damage}); the one before it is taken.", file=sys.stderr)
        shutil.rmtree(found[step])
    return None


def seal(checkpoint: Path) -> None:
    """Mark a checkpoint as whole, with what its files hold.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     seal(Path(folder))
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['whole']
    """
    write_text_atomic(checkpoint / WHOLE, json.dumps(_contents(checkpoint)))


def _damage(checkpoint: Path) -> str:
    """Return the name of a file that is not as it was written, "" where all are."""
    try:
        text = (checkpoint / WHOLE).read_text(encoding="utf-8")
        expected = json.loads(text) if text else {}
    except (OSError, ValueError):
        return WHOLE
    found = _contents(checkpoint)
    return next((name for name, content in expected.items() if found.get(name) != content), "")


def _contents(checkpoint: Path) -> dict[str, str]:
    """Return size and checksum of each file; of a large one only its ends are read."""
    files = (path for path in checkpoint.rglob("*") if path.is_file() and path.name != WHOLE)
    return {path.relative_to(checkpoint).as_posix(): _content(path) for path in files}


def _content(path: Path) -> str:
    size = path.stat().st_size
    with open(path, "rb") as file:
        text = file.read(ENDS)
        if size > 2 * ENDS:
            file.seek(-ENDS, 2)
        text += file.read()
    return f"{size} {zlib.crc32(text):08x}"


def others(out: str | Path, stamp: dict[str, Any]) -> str:
    """Say which checkpoints of an expert belong to other settings or data, and what differs; "" where there are none.

    >>> others("no/such/expert", {"inputs": {}, "settings": {}})
    ''
    """
    out, mine = Path(out), work_folder(out, stamp)
    lines = []
    for folder in sorted(out.parent.glob(f".{out.name}.work-*")):
        if folder != mine and list(folder.glob("checkpoint-*")):
            lines.append(f"{folder} ({_difference(folder / STAMP, stamp)})")
    return (
        f"{out.name}: checkpoints of another training are not gone on from: {'; '.join(lines)}. This training begins "
        "anew, and they are removed when it is done; take back what differs to go on from them."
        if lines
        else ""
    )


def _difference(file: Path, stamp: dict[str, Any]) -> str:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "other settings or data"
    before, now = _flat(known), _flat(stamp)
    changed = sorted(name for name in before | now if before.get(name) != now.get(name))
    return "differs in " + few(changed)


def _flat(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{name} ") if isinstance(value, dict) else {f"{above}{name}": value}
    return found


def saver(minutes: float) -> Any:
    """Return a callback of transformers' Trainer that saves after so many minutes and marks what is whole."""
    from transformers import TrainerCallback

    class Saver(TrainerCallback):
        last = time.monotonic()

        def on_step_end(self, args, state, control, **kwargs):
            due = time.monotonic() - self.last >= 60 * minutes and state.global_step < state.max_steps
            if agreed(due):  # all processes write their part, or none
                control.should_save = True

        def on_save(self, args, state, control, **kwargs):
            self.last = time.monotonic()
            meet(args.use_cpu)  # each has written its part
            if state.is_world_process_zero:
                seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")

    return Saver()
