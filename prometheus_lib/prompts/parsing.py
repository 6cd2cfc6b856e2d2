"""From a judge's text to a decision: the only parser in the project.

The rule: the text after the *last* "[RESULT]" decides. A decision outside the menu (7, "4/5", "both") is no
decision. Common decorations that leave no doubt are read ("Score: 4", "Response A", "**B**", "(3)"); anything
else is unparsed.

`parse_released` follows the rules of the two parsers that were released with the paper, for comparison only: both take
the *first* thing that looks like a verdict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MARKER = "[RESULT]"
# Possessive quantifiers (*+): reading stays linear in the length of whatever a judge wrote.
_OPENING = r"[\s:*_`\"'(\[]*+"
_CLOSING = r"[\s*_`\"')\].!]*+"
_SCORE = r"(?:(?:the\s++)?(?:overall\s++)?score\s*+(?:is|of|:|=)?[\s*:(\[]*+)?"
_BETTER = r"(?:\s++is\s++(?:the\s++)?better(?:\s++response)?)?"
_DIRECT = re.compile(rf"{_OPENING}{_SCORE}([1-5]){_CLOSING}", re.IGNORECASE)
_PAIRWISE = re.compile(rf"{_OPENING}(?:response\s++)?([AB]){_BETTER}{_CLOSING}", re.IGNORECASE)


@dataclass(frozen=True)
class Parsed:
    """A parsed judgment: `decision` (1-5, "A"/"B" or None), `feedback` and `status` ("ok" or "unparsed")."""

    decision: int | str | None
    feedback: str
    status: str


def parse_direct(text: str) -> Parsed:
    """Parse a direct assessment: an integer from 1 to 5 after the last "[RESULT]" (paper, appendix I)."""
    return _parse(text, _DIRECT, int)


def parse_pairwise(text: str) -> Parsed:
    """Parse a pairwise ranking: "A" or "B" after the last "[RESULT]" (paper, appendix J)."""
    return _parse(text, _PAIRWISE, str.upper)


def _parse(text: str, pattern: re.Pattern[str], convert) -> Parsed:
    feedback, marker, verdict = text.rpartition(MARKER)
    found = pattern.fullmatch(verdict.strip()) if marker else None
    if found is None:
        return Parsed(None, _clean(feedback if marker else text), "unparsed")
    return Parsed(convert(found.group(1)), _clean(feedback), "ok")


def _clean(feedback: str) -> str:
    return re.sub(r"^\s*(?:###)?\s*Feedback:\s*", "", feedback).strip()


Parser = Callable[[str], Parsed]
PARSERS: Mapping[str, Parser] = {"direct": parse_direct, "pairwise": parse_pairwise}
# A decision about the responses as shown in order "ba" -> the same in the item's own A and B; a tie stays one.
SWAPPED = {"A": "B", "B": "A"}


# --- the released parsers' rules, for comparison ---------------------------------------------------------------------

RELEASED = ("lenient", "strict")
_RELEASED_MARKS = {
    "lenient": r"(?:\[result\]:?|\[score\]|score:?|result:|scoreof)\s*[(\[]?\s*",
    "strict": r"(?:\[result\]:?|\[score\]|score:?|result:?|score\s+of)[\s(\[]*",
}
_RELEASED = {
    ("direct", "lenient"): _RELEASED_MARKS["lenient"] + r"(\d+)",
    ("direct", "strict"): _RELEASED_MARKS["strict"] + r"(\d+)(?=[)\]\s]|$|\s*/\s*5|\s*out\s*of\s*5)",
    ("pairwise", "lenient"): r"(?:\[result\](?:\s+response\s+|\s*)|\[result:\s*(?=[ab]\])|\[response\s+(?=[ab]\]))"
    r"([ab])",
    ("pairwise", "strict"): r"(?:\[result\](?:\s+response)?|\[result:|\[response\s|^result:?)\s*([ab])(?=[\]\s]|$)",
}


def parse_released(text: str, format: str, variant: str) -> int | str | None:
    """Return the decision by the rules of a released parser: `lenient` (evaluation code) or `strict` (library).

    The lenient one takes the first number behind "Score" or a marker, so 7 is a score and "Score 5. Weak. [RESULT] 2"
    is a 5; the strict one wants an end behind it and 1 to 5, but reads "4/5" as 4. Neither needs the marker.
    """
    flags = re.IGNORECASE | (re.MULTILINE if format == "pairwise" else 0)
    found = re.search(_RELEASED[format, variant], text, flags)
    if found is None:
        return None
    if format == "pairwise":
        return found.group(1).upper()
    score = int(found.group(1))
    return score if variant == "lenient" or 1 <= score <= 5 else None
