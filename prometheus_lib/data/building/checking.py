"""An automatic check of comparing feedback, over all rows (appendix A has 200 rows read by people).

It asks what a program can see: whether the feedback argues for the response that the row prefers, whether what it
quotes stands in the texts, and whether it keeps the rules of appendix H. It does not see whether an argument is true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ...prompts import concluded
from ...prompts.injection import neutralise
from ...prompts.parsing import MARKER

Conclude = Callable[[str], str | None]
QUOTED_WORDS = 3  # shorter quotes are single terms, which a writer may set in quotes without quoting
TEXTS = ("orig_instruction", "orig_response_A", "orig_response_B", "orig_reference_answer", "orig_criteria")
_QUOTE = re.compile('"([^"\n]{8,400})"|\u201c([^\u201d\n]{8,400})\u201d')
_REFERENCE = re.compile(r"\breference answer\b", re.IGNORECASE)
_ELLIPSIS = re.compile(r"\s*(?:\.{3,}|\u2026|\[\.\.\.\])\s*")
# What is checked, in the words of the table.
CHECKS = {
    "fits": "argues for the preferred response",
    "contradicts": "argues for the other response",
    "unclear": "argues for neither, as far as can be read",
    "quotes": "quotes three words or more",
    "quotes_missing": "quotes something that stands in none of the texts",
    "names_both": "names both responses",
    "names_reference": "mentions the reference answer (against rule 4)",
    "opens_with_decision": "begins with the decision (against rule 3)",
    "strange": "holds a verdict or a section of a prompt",
}


@dataclass(frozen=True)
class FeedbackCheck:
    """What was seen in one feedback; the fields are those of CHECKS."""

    fits: bool
    contradicts: bool
    unclear: bool
    quotes: bool
    quotes_missing: bool
    names_both: bool
    names_reference: bool
    opens_with_decision: bool
    strange: bool


def check_feedback(row: Mapping[str, Any], conclude: Conclude = concluded) -> FeedbackCheck:
    """Check a Preference Collection row's feedback; `conclude` reads what it argues for.

    >>> row = dict.fromkeys(TEXTS, "") | {"orig_response_A": "Good morning to you all.", "orig_preference": "A"}
    >>> row["orig_feedback"] = 'Response B is short. Response A says "good morning to you", so Response A is better.'
    >>> found = check_feedback(row)
    >>> found.fits, found.quotes, found.quotes_missing, found.names_reference
    (True, True, False, False)
    """
    feedback = row["orig_feedback"]
    said, quotes = conclude(feedback), quoted(feedback)
    texts = [_plain(row.get(name) or "") for name in TEXTS]
    opening = re.split(r"(?<=[.!?])\s", feedback.strip(), maxsplit=1)[0]
    return FeedbackCheck(
        fits=said == row["orig_preference"],
        contradicts=said is not None and said != row["orig_preference"],
        unclear=said is None,
        quotes=bool(quotes),
        quotes_missing=any(not _stands(quote, texts) for quote in quotes),
        names_both=all(re.search(rf"\b{side}\b", feedback) for side in "AB"),
        names_reference=bool(_REFERENCE.search(feedback)),
        opens_with_decision=bool(re.search(r"\bresponse [ab] is better\b", opening, re.IGNORECASE)),
        strange=MARKER in feedback or neutralise(feedback) != feedback,
    )


def quoted(text: str) -> list[str]:
    """Return what a text sets in double quotes, where it is three words or more.

    >>> quoted('It says "one two three", and "one" again.')
    ['one two three']
    """
    found = [first or second for first, second in _QUOTE.findall(text)]
    return [quote for quote in found if len(quote.split()) >= QUOTED_WORDS]


def _stands(quote: str, texts: Sequence[str]) -> bool:
    """Tell whether each part of a quote (an ellipsis leaves words out) stands in one of the texts."""
    parts = [_plain(part) for part in _ELLIPSIS.split(quote)]
    return all(any(part in text for text in texts) for part in parts if part)


def _plain(text: str) -> str:
    """Return a text in lower case, with one kind of quotes and spaces, and without punctuation at its ends."""
    text = text.translate({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'})
    return " ".join(text.lower().split()).strip(" .,;:!?-'\"")


def check_table(
    rows: Iterable[Mapping[str, Any]], conclude: Conclude = concluded, resamples: int = 2000
) -> pd.DataFrame:
    """Return one line per check: how many rows, of how many, and the share with its interval over instructions.

    Columns: check, rows, n, share, low, high. Rows whose feedback is empty are not checked; their number is the line
    "no feedback".
    """
    from ...metrics import bootstrap_mean  # scipy, which writing feedback does not need

    rows = list(rows)
    written = [row for row in rows if row["orig_feedback"]]
    checks = [check_feedback(row, conclude) for row in written]
    clusters = [row["orig_instruction"] for row in written]
    lines = [{"check": "no feedback", "rows": len(rows) - len(written), "n": len(rows)}]
    for name, words in CHECKS.items() if written else ():
        values = [float(getattr(check, name)) for check in checks]
        share = bootstrap_mean(values, clusters=clusters, n_resamples=resamples)
        lines.append({
            "check": words, "rows": int(sum(values)), "n": len(values),
            "share": share.estimate, "low": share.low, "high": share.high,
        })  # fmt: skip
    return pd.DataFrame(lines, columns=["check", "rows", "n", "share", "low", "high"])
