"""A teacher who counts aloud: the miniature's feedback with what is right so far after each detail.

A pretrained model that has seen a few hundred judgments reads the details rightly and does not add them up. Counted
aloud, each step is a small one from the step before. World, responses, scores and benchmarks stay what they are.
"""

from __future__ import annotations

import re
from typing import Any

from .miniworld import PAIR_VERDICTS, VERDICTS

_MARKS = {text: (int(right),) for right, text in VERDICTS.items()}
_MARKS |= {text: tuple(map(int, both)) for both, text in PAIR_VERDICTS.items()}
_ANY = re.compile("|".join(map(re.escape, _MARKS)))


def counted(feedback: str) -> str:
    """Return feedback with the number of right details after each: of one response, or of A and of B.

    >>> counted("The size given is big and the one asked for is huge, which is right.")
    'The size given is big and the one asked for is huge, which is right: 1 so far.'
    >>> counted("A says red and B says blue; asked for is blue, so only B is right.")
    'A says red and B says blue; asked for is blue, so only B is right: 0 to 1.'
    """
    so_far = [0, 0]

    def count(found: re.Match[str]) -> str:
        marks = _MARKS[found[0]]
        for side, right in enumerate(marks):
            so_far[side] += right
        told = f"{so_far[0]} so far" if len(marks) == 1 else f"{so_far[0]} to {so_far[1]}"
        return f"{found[0].removesuffix('.')}: {told}."

    return _ANY.sub(count, feedback)


def counted_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of either collection with counted feedback.

    >>> counted_row({"orig_feedback": "It is so, which is wrong.", "orig_score": "1"})["orig_feedback"]
    'It is so, which is wrong: 0 so far.'
    """
    return {**row, "orig_feedback": counted(row["orig_feedback"])}
