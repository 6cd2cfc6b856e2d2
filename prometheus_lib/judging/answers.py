"""From what a judge wrote to its decision: what it thinks aloud decides nothing, and neither does half a verdict.

How a verdict is spelled is up to the parsers (`prompts.parsing`), and where thoughts end to `prompts.thoughts`; here it
is decided what an answer says as a whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ..prompts.parsing import Parsed, Parser
from ..prompts.thoughts import answer_start

# What shows that a verdict at the end of a cut answer is whole: "1" may have become 10, and "4." 4.5.
_WHOLE = re.compile(r"\n\s*\Z|[)\]*_`\"'!][ \t]*\Z|[A-Za-z]\.[ \t]*\Z")


@dataclass(frozen=True)
class Completion:
    """A generated text, its number of tokens, and whether it ended by itself.

    `decision` is set by judges that write no text (reward models, trivial judges); it is read instead of the text.

    >>> Completion("Good. [RESULT] 4", tokens=7, finished=True).decision is None  # it is in the text
    True
    """

    text: str
    tokens: int
    finished: bool
    decision: int | str | None = None


def read_answer(completion: Completion, parse: Parser) -> Parsed:
    r"""Return what a completion says: its decision, its feedback, and the status "ok", "unparsed" or "truncated".

    What is thought aloud is part of the feedback and holds no verdict; a model that stops before it has closed its
    thoughts has not decided. An answer that was cut decides only when its last line is a whole verdict: more text, or
    more of the number, may have been to come.

    >>> from prometheus_lib.prompts import parse_direct
    >>> read_answer(Completion("<think>Is it [RESULT] 2?</think> Good. [RESULT] 4", 9, True), parse_direct).decision
    4
    >>> read_answer(Completion("<think>The draft verdict would be [RESULT] 2", 9, False), parse_direct).status
    'truncated'
    >>> [read_answer(Completion(text, 9, False), parse_direct).decision for text in ("[RESULT] 1", "[RESULT] 1\n")]
    [None, 1]
    """
    if completion.decision is not None:
        return Parsed(completion.decision, completion.text, "ok")
    failed = Parsed(None, completion.text, "unparsed" if completion.finished else "truncated")
    start = answer_start(completion.text, completion.finished)
    if start is None:
        return failed
    answer = completion.text[start:]
    parsed = parse(answer)
    if parsed.status != "ok" or not (completion.finished or _is_whole(answer, parsed, parse)):
        return failed
    return replace(parsed, feedback=f"{completion.text[:start]}\n{parsed.feedback}") if start else parsed


def _is_whole(answer: str, parsed: Parsed, parse: Parser) -> bool:
    """Tell whether a cut answer ends in a verdict to which nothing can be added."""
    last = answer.rstrip().rpartition("\n")[2]
    return bool(_WHOLE.search(answer)) and parse(last).decision == parsed.decision
