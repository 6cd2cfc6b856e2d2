"""What a reasoning model thinks before it answers: a verdict in there is none, and while it lasts there is none.

One rule for parsing, for cut answers and for finishing them. Thoughts open at the start of a line (a feedback may quote
the marks of a response in a sentence), and the last mark that closes them ends them, also where it was the prompt that
had opened them.
"""

from __future__ import annotations

import re

_WORDS = r"(?:\w++:)?(?:(?:ant)?think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad|inner_monologue)"
_OPEN = (
    rf"(?:<\s*+(?P<tag>{_WORDS})(?:\s[^<>\n]{{0,80}}+)?\s*+>|\[THINK\]|\u25c1think\u25b7"
    r"|<\|(?:begin_of_thought|START_THINKING|channel\|>analysis<\|message)\|>)"
)
_OPENING = re.compile(_OPEN, re.IGNORECASE)
_LINE_OPENS = re.compile(rf"^[ \t]*+(?:#*+[ \t]*+Feedback:\s*+)?{_OPEN}", re.IGNORECASE | re.MULTILINE)
_CLOSING = re.compile(
    rf"<\s*+/\s*+{_WORDS}\s*+>|\[/THINK\]|\u25c1/think\u25b7"
    r"|<\|(?:end_of_thought|END_THINKING|channel\|>final<\|message)\|>",
    re.IGNORECASE,
)
_ENDS_OPEN = re.compile(rf"{_OPEN}\s*+\Z", re.IGNORECASE)
_CLOSED_BY = (
    ("[THINK", "[/THINK"),
    ("begin_of", "end_of"),
    ("START_", "END_"),
    (">analysis<", ">final<"),
    ("\u25c1think", "\u25c1/think"),
)


def answer_start(text: str, finished: bool = True) -> int | None:
    """Return where the answer begins, behind the last thoughts; None while they are open: no verdict stands then.

    In an answer that was cut (not `finished`), a mark inside a line may open thoughts as well.

    >>> text = "<think>A draft: [RESULT] 2</think>Good. [RESULT] 4"
    >>> text[answer_start(text) :]
    'Good. [RESULT] 4'
    >>> answer_start("<think>A draft: [RESULT] 2") is None, answer_start("It quotes a <think> tag. [RESULT] 4")
    (True, 0)
    """
    start = max((mark.end() for mark in _CLOSING.finditer(text)), default=0)
    opened = (_LINE_OPENS if finished else _OPENING).search(text[start:])
    return None if opened else start


def with_thoughts_closed(text: str) -> str:
    r"""Return an answer that was cut while its thoughts were open with these closed, any other as it is.

    >>> with_thoughts_closed("<think>Let me see")
    '<think>Let me see\n</think>\n\n'
    """
    if answer_start(text, finished=False) is not None:
        return text
    opened = list(_OPENING.finditer(text))[-1]
    mark = f"</{opened['tag']}>" if opened["tag"] else opened[0]
    for opening, closing in _CLOSED_BY:
        mark = re.sub(re.escape(opening), closing, mark, flags=re.IGNORECASE)
    return f"{text.rstrip()}\n{mark}\n\n"


def opened_thoughts(chat: str) -> str:
    r"""Return the mark with which a rendered chat ends inside open thoughts, so that an answer begins there; or "".

    >>> opened_thoughts("<|im_start|>assistant\n<think>\n"), opened_thoughts("<|im_start|>assistant\n")
    ('<think>\n', '')
    """
    found = _ENDS_OPEN.search(chat)
    return found[0] if found else ""
