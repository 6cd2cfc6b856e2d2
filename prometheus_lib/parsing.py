"""From a judge's text to a decision: the only parser in the project.

The rule: the text after the *last* "[RESULT]" decides. A decision outside the menu (7, "4/5", "both") is no
decision. Common decorations that leave no doubt are read ("Score: 4", "Response A", "**B**", "(3)"); anything
else is unparsed.
"""

from __future__ import annotations

import re
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
