"""One spelling of decisions: what people, papers and other tools write for a score, or for the better response."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..records import DataError
from .values import is_blank, text_of

Decision = int | str | None

MEANINGS = {"direct": "1, 2, 3, 4, 5", "pairwise": "A, B, tie"}
_WRAPPED = re.compile(r"""^[\s"'`*(\[]+|[\s"'`*)\].]+$""")
_SAID = re.compile(r"^(?:\[?(?:result|score|rating|grade|verdict|decision|winner|choice|preference)\]?)\s*[:=]?\s*")
_SCORE = re.compile(r"(\d+)(?:[.,]0+)?(?:\s*(?:/|out of)\s*(\d+))?")
_NOUNS = "model|response|assistant|answer|output|option|candidate|system"
_SIDE = re.compile(rf"(?:(?:{_NOUNS})[\s_-]*)?([ab])(?:\s+(?:wins?|is better|better))?")
_COMPARED = re.compile(r"([ab])\s*(>+|<+|=+|~=|≈|≻|≺)\s*([ab])")
_TIE = re.compile(r"(?:tied?|draw|equal|both[\s_-]*(?:bad|good))(?:\s*\([^)]*\)?)?")
_NOTHING = {"direct": ("nan", "null", "none", "n/a"), "pairwise": ("nan", "null")}


def read_decision(value: Any, format: str, mapping: Mapping[Any, Decision] | None = None, highest: int = 5) -> Decision:
    """Return a recorded decision in this project's words: a score from 1 to `highest`, or "A", "B", "tie"; else None.

    Read without regard to case, brackets and marks around it: scores as 4, "4", 4.0, "4/5", "4 out of 5", "[[4]]",
    "Score: 4"; sides as "a", "[[A]]", "model_a", "Response A", "A>B", "A >> B", "B < A", "A is better"; ties as "tie",
    "tie (bothbad)", "draw", "A=B", and "[[C]]", MT-Bench's. None for nothing: blank, NaN, "null".
    `mapping` says what any other spelling means ({"1": "A", "2": "B", 0: "tie", "error": None}) and goes first.

    Raises DataError for what is none of these; 4.5, "4-5" and true are none.

    >>> [read_decision(value, "direct") for value in (4, "4.0", "4/5", "[[4]]", None)]
    [4, 4, 4, 4, None]
    >>> [read_decision(value, "pairwise") for value in ("model_a", "A<B", "tie (bothbad)", "[[C]]")]
    ['A', 'B', 'tie', 'tie']
    >>> read_decision(2.0, "pairwise", {1: "A", 2: "B"})
    'B'
    """
    if is_blank(value):
        return None
    known = _checked(mapping or {}, format, highest)
    written = _key(value)
    if written in known:
        return known[written]
    found = _read(written, format, highest)
    if found is None and written not in _NOTHING[format]:
        menu = f"1 to {highest}" if format == "direct" and highest != 5 else MEANINGS[format]
        raise DataError(
            f"decision {value!r} is none of {menu}; say what it means with mapping={{{value!r}: ...}}, "
            "and leave it blank only where the judge gave none."
        )
    return found


def _key(value: Any) -> str:
    """A value as a mapping's keys are compared: whole numbers without decimals, texts in lower case."""
    text = str(value) if isinstance(value, bool) else text_of(value, "decision", "it")
    return re.sub(r"^(\d+)\.0+$", r"\1", text.strip().lower())


def _checked(mapping: Mapping[Any, Decision], format: str, highest: int) -> dict[str, Decision]:
    known: dict[str, Decision] = {}
    for theirs, meant in mapping.items():
        decision = None if is_blank(meant) else _read(_key(meant), format, highest)
        if decision is None and not is_blank(meant):
            raise DataError(
                f"mapping={{{theirs!r}: {meant!r}}}: {meant!r} is no {format} decision; use {MEANINGS[format]}."
            )
        if known.setdefault(_key(theirs), decision) != decision:
            raise DataError(f"mapping: {theirs!r} stands there with two meanings; keep one.")
    return known


def _read(written: str, format: str, highest: int) -> Decision:
    """The decision that a text in lower case spells; None for any other text."""
    text = _SAID.sub("", _WRAPPED.sub("", _SAID.sub("", written)))
    if format == "direct":
        found = _SCORE.fullmatch(text)
        fits = found and 1 <= int(found[1]) <= highest and int(found[2] or highest) == highest
        return int(found[1]) if found and fits else None
    if written == "[[c]]" or _TIE.fullmatch(text):
        return "tie"
    if side := _SIDE.fullmatch(text):
        return side[1].upper()
    return _compared(text)


def _compared(text: str) -> str | None:
    found = _COMPARED.fullmatch(text)
    if not found or found[1] == found[3]:
        return None
    if found[2][0] in "=~≈":
        return "tie"
    return (found[1] if found[2][0] in ">≻" else found[3]).upper()
