"""From a judge's text to a decision: the only parser in the project.

The rule: the text behind the *last* "[RESULT]" decides, and only if it leaves no doubt.

- The marker is written "[RESULT]" or "[Result]", spaces inside allowed: the forms that `injection` escapes in judged
  texts. "[result]" is an ordinary piece of code and no marker.
- Read are a whole number from 1 to 5 in digits ("4.0", "4,0" and "４" are), or A or B in either case. They may be
  decorated ("**4**", "(4)", "= 4"), labelled ("Score: 4", "The final score is 4", "Response A"), and a score may name
  its scale, 1 to 5 ("4/5", "4 out of 5", "4 points").
- Behind the verdict, in a paragraph of its own, may stand a closing remark. It is passed over, unless it names another
  verdict ("Actually, 3.") or a mark of the prompt (the judge went on to another task).
- Everything else is unparsed, and no earlier verdict stands in for it: other numbers ("7", "-4", "3.5", "4%"), other
  scales ("8/10", "5/4"), two numbers or letters ("3-4", "4 or 5", "A/B"), words ("four", "tie"), and text behind the
  verdict in the same paragraph.
- What stands inside a model's thoughts ("<think>...</think>") is no verdict, and while they are open there is none
  (`thoughts`).

`parse_released` follows the rules of the two parsers that were released with the paper, for comparison only: both take
the *first* thing that looks like a verdict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .injection import neutralise
from .thoughts import answer_start

MARKER = "[RESULT]"
_MARKERS = re.compile(r"\[\s*+(?:RESULT|Result)\s*+\]")
# Full-width forms, as East Asian keyboards type them, are read like the plain ones.
_PLAIN = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: " ", ord("。"): "."}

# Possessive quantifiers (*+): reading stays linear in the length of whatever a judge wrote.
_OPENING = r"[\s:=*_`\"'“”‘’(\[{]*+(?:is\s++)?"
_END = r"(?:(?:\[/(?:RESULT|Result)\]|</s>|<\|\w++\|>)\s*+)*+"  # a closing tag, or the end of a turn
_CLOSING = rf"[\s*_`\"'“”‘’)\]}}.!]*+{_END}"
_LABEL = r"(?:(?:the|my)\s++)?(?:(?:overall|final)\s++)?"
_SCORE = rf"(?:{_LABEL}(?:score|rating|grade)\s*+(?:is|of|:|=)?[\s*_`:(\[]*+)?"
_WHOLE = r"(?:[.,]0{1,2}(?!\d))?"
_SCALE = rf"(?:[\s*_`\"')\](]*+(?:/|(?:out\s++)?of\b)[\s*_`]*+5{_WHOLE})?(?:\s*+(?:points?|stars?)\b)?"
_RESPONSE = r"(?:response|answer|assistant|option)"
_CHOICE = rf"(?:{_LABEL}(?:choice|verdict|winner|better\s++{_RESPONSE})\s*+(?:is|:|=)?[\s*_`:(\[]*+)?"
_BETTER = r"(?:\s++is\s++(?:the\s++)?better(?:\s++(?:one|response))?)?"
_DIRECT = re.compile(rf"{_OPENING}{_SCORE}([1-5]){_WHOLE}{_SCALE}{_CLOSING}", re.IGNORECASE)
_PAIRWISE = re.compile(rf"{_OPENING}{_CHOICE}(?:{_RESPONSE}[\s:*_`(\[]++)?([AB]){_BETTER}{_CLOSING}", re.IGNORECASE)
_NEW_PARAGRAPH = re.compile(r"\n\s*\n")

# Where a closing remark names a verdict: behind such a word, as a score on a scale, or alone in a line.
_SAYING = (
    r"(?:(?:score|rating|grade|result|verdict|actually|correction|rather|instead|revised|revision|make (?:it|that)"
    r"|(?:chang|rais|lower|adjust|updat|correct)(?:e|ed|ing)? (?:(?:it|this|that|(?:the|my) \w++) )?to)"
    r"\b[^\n.!?]{0,30}?"
    r"|(?:should|would|deserves?)(?: (?:be|have been|get))? an? "
    r"|(?:answer(?: is| ?[:=])|(?:go|going|went|settled?|settling) (?:with|for|on))(?: an?)?[ *_`(]{1,4})"
)
_NUMBER = r"(?<![\w.,])(\d++(?:[.,]\d++)?)"
_SCORES = re.compile(rf"(?im){_SAYING}{_NUMBER}|{_NUMBER}\s*+(?:/|out\s++of\b)|^[^\w\n]*+{_NUMBER}[^\w\n]*+$")
_CHOSEN = re.compile(
    r"(?m)(?i:choice|winner|verdict|prefer\w*+|actually|correction|rather|instead"
    r"|(?:answer|one|response|option)(?= ?is\b| ?[:=])|(?:go|going|went) (?:with|for)"
    r"|(?:chose|choos|pick|select|settl)(?:e|ed|ing)?)\b[^\n.!?]{0,30}?\b([AB])\b"
    r"|\b([AB])(?: is| was| would be)?(?: the)? (?:better|best|stronger|wins|winner)\b"
    rf"|^[^\w\n]*+(?:(?i:{_RESPONSE}) )?([AB]|(?i:tie|both|neither|equal|draw))[^\w\n]*+$"
)


@dataclass(frozen=True)
class Parsed:
    """A parsed judgment: `decision` (1-5, "A"/"B" or None), `feedback` and `status` ("ok" or "unparsed").

    >>> Parsed(4, "Clear, but terse.", "ok").decision
    4
    """

    decision: int | str | None
    feedback: str
    status: str


def parse_direct(text: str) -> Parsed:
    """Parse a direct assessment: an integer from 1 to 5 behind the last "[RESULT]" (paper, appendix I).

    >>> parse_direct("Feedback: Clear, but terse. [RESULT] 4")
    Parsed(decision=4, feedback='Clear, but terse.', status='ok')
    >>> [parse_direct(f"Good. [RESULT] {end}").decision for end in ("4/5", "Score: 4.", "8/10", "3.5", "4 or 5")]
    [4, 4, None, None, None]
    """
    return _parse(text, _DIRECT, int, _SCORES)


def parse_pairwise(text: str) -> Parsed:
    """Parse a pairwise ranking: "A" or "B" behind the last "[RESULT]" (paper, appendix J).

    >>> parse_pairwise("A is off the point. [RESULT] Response B is better.")
    Parsed(decision='B', feedback='A is off the point.', status='ok')
    >>> [parse_pairwise(f"[RESULT] {end}").decision for end in ("A", "**a**", "A or B", "tie")]
    ['A', 'A', None, None]
    """
    return _parse(text, _PAIRWISE, str.upper, _CHOSEN)


def _parse(text: str, verdict: re.Pattern[str], convert: Callable, others: re.Pattern[str]) -> Parsed:
    marker = last_marker(text)
    if marker is None:
        return Parsed(None, _clean(text), "unparsed")
    decision = _decision(text[marker.end() :].translate(_PLAIN), verdict, convert, others)
    return Parsed(decision, _clean(text[: marker.start()]), "unparsed" if decision is None else "ok")


def last_marker(text: str) -> re.Match[str] | None:
    """Return the marker behind which the verdict of an answer stands, or None; a marker inside thoughts is none.

    >>> last_marker("<think>[RESULT] 2?</think>Good. [Result] 4")
    <re.Match object; span=(32, 40), match='[Result]'>
    """
    start = answer_start(text)
    *_, marker = [None, *(_MARKERS.finditer(text, start) if start is not None else ())]
    return marker


def _decision(ending: str, verdict: re.Pattern[str], convert: Callable, others: re.Pattern[str]) -> int | str | None:
    """Return the decision at the start of what stands behind the marker, or None."""
    found = verdict.match(ending)
    if found is None:
        return None
    decision, remark = convert(found.group(1)), ending[found.end() :]
    if remark and not _NEW_PARAGRAPH.search(ending, found.end(1), found.end()):
        return None
    said = {word for each in others.findall(remark) for word in each if word}
    doubted = any(word.removesuffix(".0") != str(decision) for word in said) or neutralise(remark) != remark
    return None if doubted else decision


def _clean(feedback: str) -> str:
    return re.sub(r"^\s*+(?:###)?\s*+Feedback:\s*+", "", feedback).strip()


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
    is a 5; the strict one wants an end behind it and 1 to 5. Neither needs the marker.

    >>> [parse_released("Score 5. Weak. [RESULT] 2", "direct", variant) for variant in RELEASED]
    [5, 2]
    """
    flags = re.IGNORECASE | (re.MULTILINE if format == "pairwise" else 0)
    found = re.search(_RELEASED[format, variant], text, flags)
    if found is None:
        return None
    if format == "pairwise":
        return found.group(1).upper()
    score = int(found.group(1))
    return score if variant == "lenient" or 1 <= score <= 5 else None
