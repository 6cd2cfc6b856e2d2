"""A rendered prompt back into its sections: what the released benchmark files hold in one string.

Sections are found by the template's own headers, in their order, so "###" inside a response stays text.
"""

from __future__ import annotations

import re

from ..prompts.headers import DIRECT_HEADERS, FEEDBACK_HEADER
from ..prompts.injection import restore
from ..records import Rubric

_TAIL = re.compile(rf'{re.escape(FEEDBACK_HEADER.rstrip())} *(?:",)?\s*\Z')


def split_prompt(prompt: str) -> tuple[str, str, str | None, str]:
    """Return instruction, response, reference answer (or None) and rubric text of a direct assessment prompt.

    The instruction ends at the first response header; rubric and reference answer are searched from the end,
    so a response may contain any header. A prompt has a reference answer if its task description speaks of one.
    Marks that were neutralised on rendering (see `injection`) come back as they were written. Accepted from older
    encodings: a stray `",` and newline at the end, and line ends of Windows.
    Raises ValueError naming the section that is missing.
    """
    instruction_header, response_header, reference_header, rubric_header = DIRECT_HEADERS
    body = canonical(prompt)
    if not body.endswith(FEEDBACK_HEADER):
        raise ValueError(f"the prompt does not end with {FEEDBACK_HEADER.rstrip()!r}")
    task, rest = _cut(body.removesuffix(FEEDBACK_HEADER), instruction_header)
    instruction, rest = _cut(rest, response_header)
    rest, rubric = _cut(rest, rubric_header, last=True)
    response, reference = _cut(rest, reference_header, last=True) if "a reference answer" in task else (rest, None)
    reference = reference and restore(reference)
    return restore(instruction), restore(response), reference, restore(rubric.removesuffix("\n\n"))


def canonical(prompt: str) -> str:
    """The prompt as the template writes it: its own line ends, nothing after the last header."""
    if f"{DIRECT_HEADERS[0]}\r\n" in prompt:
        prompt = prompt.replace("\r\n", "\n")
    return _TAIL.sub(lambda _: FEEDBACK_HEADER, prompt)


def _cut(text: str, header: str, last: bool = False) -> tuple[str, str]:
    divider = f"\n\n{header}\n"
    before, found, after = text.rpartition(divider) if last else text.partition(divider)
    if not found:
        raise ValueError(f"the prompt has no section {header!r} where the template has it")
    return before, after


def parse_rubric(text: str) -> Rubric:
    """Parse "[criteria]" and five "Score n:" lines, as a prompt shows a rubric; else ValueError."""
    parts, rest = [], text
    for mark in ("[", "]\nScore 1: ", "\nScore 2: ", "\nScore 3: ", "\nScore 4: ", "\nScore 5: "):
        part, found, rest = rest.partition(mark)
        if not found:
            raise ValueError(f"the rubric has no {mark.strip()!r} where the template has it")
        parts.append(part)
    return Rubric(parts[1], (*parts[2:], rest))
