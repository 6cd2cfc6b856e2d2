"""A job that begins and then waits, in a module of its own: workers import nothing else for it."""

from __future__ import annotations

import time
from pathlib import Path


def pause(job: Path, report) -> None:
    """Say that a job has begun, and wait ten minutes."""
    job.touch()
    time.sleep(600)
