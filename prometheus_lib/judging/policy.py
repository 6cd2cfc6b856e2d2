"""What shall be done about answers without a decision, and the names under which that is stored."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from ..records import DataError


@dataclass(frozen=True)
class Policy:
    """What is done about an answer without a decision.

    `once`: nothing, it is recorded and counted. `redraw`: draw again, up to `limit` times; that conditions the sample
    on answers that happen to parse. `finish`: keep the feedback and let the judge write "[RESULT]" and a decision from
    the menu. The first answer is always kept, and with it first-draw validity.

    >>> Policy("redraw").label, Policy("finish").label
    ('redraw-5', 'finish')
    """

    name: Literal["once", "redraw", "finish"] = "once"
    limit: int = 5

    def __post_init__(self) -> None:
        if self.name not in ("once", "redraw", "finish"):
            raise DataError(f"unknown policy {self.name!r}; choose once, redraw or finish.")
        if self.limit < 1:
            raise DataError(f"policy {self.name!r}: a limit of {self.limit} new draws; give 1 or more.")

    @property
    def label(self) -> str:
        """Return the name under which its judgments are stored."""
        return f"redraw-{self.limit}" if self.name == "redraw" else self.name


ONCE = Policy()
_LABEL = re.compile(r"once|finish|redraw(-\d+)?")


def label_of(policy: str | Policy, stored: Collection[str]) -> str:
    """Return the name under which a policy's judgments are stored; "redraw" is the one limit that is stored.

    DataError for another name, and for redrawn answers with another limit than the one asked for.

    >>> label_of("redraw", {"once", "redraw-5"}), label_of(Policy("finish"), {"once"})
    ('redraw-5', 'finish')
    """
    name = policy.label if isinstance(policy, Policy) else policy
    if not _LABEL.fullmatch(name):
        raise DataError(f'unknown policy {name!r}; write "once", "finish" or "redraw", which is "redraw-5" in files.')
    known = sorted(label for label in stored if label.startswith("redraw"))
    if name == "redraw":
        name = known[0] if len(known) == 1 else name if known else Policy("redraw").label
    if name.startswith("redraw") and known and name not in known:
        raise DataError(
            f"policy {name!r}: these judgments were drawn again as {' and '.join(known)}; name one of them."
        )
    return name
