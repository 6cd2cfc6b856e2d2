"""A third format, beside the paper's two: a checklist. The judge says yes or no to each point of one response.

The paper knows scores and rankings, and names other formats as future work. This one is short on purpose: the
miniature's tokenizer knows the paper's prompts as single tokens and has to spell any other.
"""

from __future__ import annotations

import re

from ..records import DirectItem
from .injection import neutralise
from .parsing import Parsed, last_marker

CHECKLIST = "checklist"
CHECKLIST_TASK = (
    "###Task Description:\nCheck each point of the list. After the feedback, write yes or no for each point."
)
_MARKS = re.compile(r"\s*((?:yes|no)(?:[\s,]+(?:yes|no))*)[\s.]*")


def render_checklist(item: DirectItem, with_reference: bool = True) -> str:
    """Return the user prompt of a checklist; its points are those that the criteria of the item's rubric name.

    >>> from prometheus_lib.records import Rubric
    >>> item = DirectItem("1", "Say hello in French.", "Hello!", None, Rubric("Is it: kind, French?", [""] * 5))
    >>> render_checklist(item, with_reference=False).endswith("[Is it: kind, French?]\\n\\n###Feedback: ")
    True
    """
    parts = [CHECKLIST_TASK, f"###Instruction:\n{neutralise(item.instruction)}"]
    parts.append(f"###Response to evaluate:\n{neutralise(item.response)}")
    if with_reference:
        parts.append(f"###Reference Answer (Score 5):\n{neutralise(item.reference_answer or '')}")
    return "\n\n".join([*parts, f"###Checklist:\n[{neutralise(item.rubric.criteria)}]", "###Feedback: "])


def parse_checklist(text: str) -> Parsed:
    """Read the marks behind the last "[RESULT]": yes or no for each point, and nothing else.

    >>> parse_checklist("The colour is right. [RESULT] yes no yes").decision
    'yes no yes'
    >>> [parse_checklist(f"[RESULT] {end}").decision for end in ("yes, no.", "4", "yes maybe", "")]
    ['yes no', None, None, None]
    """
    marker = last_marker(text)
    found = _MARKS.fullmatch(text[marker.end() :]) if marker else None
    feedback = (text[: marker.start()] if marker else text).removeprefix("Feedback:").strip()
    return (
        Parsed(" ".join(re.findall("yes|no", found[1])), feedback, "ok")
        if found
        else Parsed(None, feedback, "unparsed")
    )
