"""Solutions of the exercises of notebook 12; look after you have tried."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_lib import judging
from prometheus_lib.data import sample_file

WARM_UP = 7.5  # 4 is three quarters of the way from 1 to 5, so three quarters of the way from 0 to 10


def share_of_b(decisions: Sequence[str | None]) -> float:
    """Return the share of B in the decisions that were read, a tie counting half; NaN without any."""
    read = [{"A": 0.0, "tie": 0.5, "B": 1.0}[decision] for decision in decisions if decision is not None]
    return sum(read) / len(read) if read else float("nan")


def project(judge: str, folder: str) -> judging.Result:
    """Return twenty and more responses scored by a rubric of one's own; here the e-mails stand for yours."""
    return judging.score(sample_file("email_replies"), "Does the reply settle the matter?", judge=judge, out=folder)
