"""One of the processes that `launch` starts: `torchrun ... -m prometheus_lib.training.worker job.json`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from ..records import DataError, write_text_atomic
from .experts import train_expert
from .launching import FAILURE, PROGRESS, read_job
from .processes import rank, world

OFTEN = 0.5  # seconds between two writings of the progress


def main(file: Path) -> int:
    """Train the job of a file; a DataError is left beside it as one message, and the exit status is 1."""
    job, processes = read_job(file)
    try:
        if world() != processes:
            raise DataError(
                f"{job.name}: {processes} processes were asked for and {world()} started; use the launcher for this "
                "kind of machine (accelerate starts one process only on CPUs: take 'cpu')."
            )
        train_expert(job, callbacks=[] if rank() else [progress_writer(file.with_name(PROGRESS))])
    except DataError as error:
        if rank() == 0:
            write_text_atomic(file.with_name(FAILURE), str(error))
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def progress_writer(file: Path) -> Any:
    """Return a callback of transformers' Trainer that writes step, loss, tokens per second and seconds left."""
    from transformers import TrainerCallback

    class Writer(TrainerCallback):
        per_step, loss, began, first, written = 0.0, None, 0.0, 0, 0.0

        def on_train_begin(self, args, state, control, train_dataloader=None, **kwargs):
            rows = train_dataloader.dataset
            tokens = sum(map(len, rows["input_ids"])) * args.num_train_epochs
            self.per_step, self.began, self.first = tokens / state.max_steps, time.monotonic(), state.global_step
            self.write(state)

        def on_log(self, args, state, control, logs=None, **kwargs):
            self.loss = (logs or {}).get("loss", self.loss)

        def on_step_end(self, args, state, control, **kwargs):
            if time.monotonic() - self.written >= OFTEN:
                self.write(state)

        def on_train_end(self, args, state, control, **kwargs):
            self.write(state)

        def write(self, state):
            self.written = time.monotonic()
            taken, done = self.written - self.began, state.global_step - self.first
            pace = taken / done if done else None
            write_text_atomic(file, json.dumps({
                "step": state.global_step, "steps": state.max_steps, "loss": self.loss,
                "tokens": round(self.per_step * state.global_step),
                "tokens_per_second": round(self.per_step / pace, 1) if pace else None,
                "seconds_left": round(pace * (state.max_steps - state.global_step), 1) if pace else None,
            }))  # fmt: skip

    return Writer()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
