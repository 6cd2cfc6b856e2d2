"""The score that token probabilities expect behind a judge's feedback, beside the one that was drawn."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ..tasks import Task
from .named import Named


def decision_probabilities(named: Named, tasks: Sequence[Task], judged: pd.DataFrame) -> list[list[float] | None]:
    """Return for each judgment how probable 1 to 5 are behind its feedback; None where it could not be read.

    The model reads prompt and feedback once more, which costs no token. DataError from engines that tell no
    probabilities.
    """
    by_place = {(task.benchmark, task.item_id): task for task in tasks}
    places = [place for place, status in enumerate(judged["status"]) if status == "ok"]
    found: list[list[float] | None] = [None] * len(judged)
    rows = list(zip(judged["benchmark"], judged["item_id"], judged["feedback"]))
    size = named.judge.batch_size
    for some in (places[start : start + size] for start in range(0, len(places), size)):
        asked = [by_place[rows[place][:2]] for place in some]
        for place, shares in zip(some, named.judge.probabilities(asked, [rows[place][2] for place in some])):
            found[place] = shares
    return found
