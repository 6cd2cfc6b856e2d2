"""Several processes that train one model together, as torchrun or accelerate start them: the first one writes files."""

from __future__ import annotations

import os
from datetime import timedelta

PATIENCE = timedelta(hours=6)  # what the others wait while the first one tokenises or writes


def rank() -> int:
    """Return this process's number among those that train together; 0 is the first, or the only one.

    >>> rank()
    0
    """
    return int(os.environ.get("RANK", 0))


def world() -> int:
    """Return how many processes train together.

    >>> world()
    1
    """
    return int(os.environ.get("WORLD_SIZE", 1))


def meet(cpu: bool) -> None:
    """Wait until all processes have come here; nothing to wait for where there is one.

    >>> meet(cpu=True)
    """
    if world() > 1:
        from accelerate import PartialState

        PartialState(cpu=cpu, timeout=PATIENCE).wait_for_everyone()


def agreed(decision: bool) -> bool:
    """Return what the first process decided, in all of them.

    >>> agreed(True)
    True
    """
    if world() == 1:
        return decision
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([decision])[0]
