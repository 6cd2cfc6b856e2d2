"""Solutions of the exercises of notebook 00; look after you have tried."""

from __future__ import annotations

import re

from prometheus_lib.data import miniworld

warm_up = 0.2**3  # all three draws fail


def build(text: str) -> int | None:
    """Return the score behind the last marker, None where no single score from 1 to 5 stands there."""
    before, marker, ending = text.rpartition("[RESULT]")
    found = re.fullmatch(r"\s*([1-5])(/5)?\s*", ending) if marker else None
    return int(found.group(1)) if found else None


PLAIN = {
    word: (attribute, plain)
    for attribute, values in miniworld.VALUES.items()
    for plain, everyday in values.items()
    for word in (plain, *everyday)
}


def facts_of(text: str) -> dict[str, str]:
    """Return the plain value that a text states for each attribute."""
    return dict(PLAIN[word] for word in re.findall(r"\w+", text) if word in PLAIN)


def project(criteria: str, reference: str, response: str) -> int:
    """Score a response as a judge without a model: compare the details that the criteria name."""
    wanted, said = facts_of(reference), facts_of(response)
    return 1 + sum(said.get(detail) == wanted[detail] for detail in miniworld.details_of(criteria))
