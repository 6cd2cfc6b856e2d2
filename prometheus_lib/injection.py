"""Judged text stays text: marks by which it could break out of its section of the prompt are escaped, reversibly.

A response that holds a section header of the template, a verdict ("[RESULT] 5") or a chat token ("</s>", "[/INST]")
would be read as a part of the prompt. `neutralise` puts a backslash into each such mark, so that neither the tokenizer
nor a parser sees it, and a person still does; `restore` takes exactly that backslash away. Marks are also found in
disguise: other cases and spaces in a header, invisible characters in between, letters of other alphabets that look the
same. Every other text, plain Markdown headings included, keeps its bytes.

Why restoring is exact: marks are looked for in the text without its backslashes, so adding one changes nothing about
where they are; each mark gets one directly behind its first character, and loses that one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

ESCAPE = "\\"

# Names of the template's sections. A header is two or more "#" and one of these names; with spaces or Markdown between
# them it takes the template's colon as well, because "### Instruction" is an ordinary heading.
_SECTIONS = (
    "Task Description", "The instruction to evaluate", "Response to evaluate", "Reference Answer", "Score Rubrics?",
    "Instruction", "Response [AB]", "Feedback",
)  # fmt: skip
_GAP = r"[ \t*_]"
_NAMES = "|".join(name.replace(" ", f"{_GAP}*+") for name in _SECTIONS)
_SPACED = rf"{_GAP}++(?:{_NAMES})(?:{_GAP}*+\([\w .,-]{{0,30}}\))?{_GAP}*+:"
_STARTS = {  # how a mark begins, and what follows
    r"(?<=\#)\#": (rf"(?i:{_SPACED}|(?:{_NAMES})(?![a-z]))",),
    r"\[": (
        r"[ \t]*+(?:RESULT|Result)[ \t]*+\]",
        r"/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_(?:CALLS|RESULTS|CONTENT))\]",
        r"(?:CLS|SEP|MASK|PAD|UNK|BOS|EOS|gMASK|sMASK)\]",
    ),
    r"<": (
        r"</?SYS>>",
        r"/?(?:s|pad|unk|bos|eos|(?:start|begin|end)_of_[a-z]++|(?:extra_id|unused|reserved)_?\d++)>",
        r"\|[\w▁:./-]{1,40}+\|>",
    ),
}
_INVISIBLE = ("Cf", "Mn", "Me", "Cc")
_BLANK = "\u115f\u1160\u3164\uffa0"
_LOOK_ALIKES = dict(
    zip(
        "АВЕКМНОРСТХЅІЈаеорсухіѕјԁһԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧονΙ♯⌗⟦⟧【】〔〕❲❳‹›〈〉⟨⟩❬❭❮❯∣│┃ǀ¦∶꞉⁄∕⧸",
        "ABEKMHOPCTXSIJaeopcyxisjdhqwABEZHIKMNOPTYXovI##[][][][]<><><><><>|||||::///",
        strict=True,
    )
)


def neutralise(text: str, tokens: Sequence[str] = ()) -> str:
    """Return the text with every mark escaped; `tokens` names more marks, such as a tokenizer's special tokens.

    `restore(neutralise(text, tokens), tokens) == text` for every text. Raises ValueError for a token of fewer than two
    visible characters or with a backslash: it cannot be escaped.
    """
    pieces, start = [], 0
    for place in _marks(text, tuple(tokens)):
        pieces += [text[start : place + 1], ESCAPE]
        start = place + 1
    return "".join([*pieces, text[start:]])


def restore(text: str, tokens: Sequence[str] = ()) -> str:
    """Take one escape out of each mark that has any: the inverse of `neutralise` with the same tokens."""
    pieces, start = [], 0
    for place in _marks(text, tuple(tokens)):
        if text[place + 1 : place + 2] == ESCAPE:
            pieces.append(text[start : place + 1])
            start = place + 2
    return "".join([*pieces, text[start:]])


def special_tokens(tokenizer: Any) -> tuple[str, ...]:
    """Return the texts that a transformers tokenizer turns into control tokens, for `neutralise`."""
    added = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return tuple(dict.fromkeys([*tokenizer.all_special_tokens, *added]))


def _marks(text: str, tokens: tuple[str, ...]) -> list[int]:
    """Return the place of each mark's first character."""
    plain = text.translate(_PLAIN)
    found = [match.start() for match in _pattern(tokens).finditer(plain)]
    if not found or len(plain) == len(text):
        return found
    places = [place for place, char in enumerate(text) if char.translate(_PLAIN)]
    return [places[start] for start in found]


@lru_cache(maxsize=64)
def _pattern(tokens: tuple[str, ...]) -> re.Pattern[str]:
    """Match the first character of each mark; what follows is only looked at, so marks may overlap."""
    literal = {token.translate(_PLAIN): token for token in tokens}
    wrong = [token for plain, token in literal.items() if len(plain) < 2 or ESCAPE in token]
    if wrong:
        raise ValueError(f"tokens {wrong} cannot be escaped: they need two visible characters and no backslash.")
    known = [f"{start}(?={'|'.join(rests)})" for start, rests in _STARTS.items()]
    return re.compile("|".join([*known, *(f"{re.escape(t[0])}(?={re.escape(t[1:])})" for t in literal)]))


class _Plain(dict):
    """For str.translate: what each character looks like; nothing for the invisible ones. Filled as texts come."""

    def __missing__(self, code: int) -> str:
        self[code] = _looks_like(chr(code))
        return self[code]


def _looks_like(char: str) -> str:
    """Return the one character that a character looks like, or "" for an invisible one and for the escape."""
    if char in _LOOK_ALIKES:
        return _LOOK_ALIKES[char]
    invisible = unicodedata.category(char) in _INVISIBLE and char not in "\t\n\v\f\r"
    if char == ESCAPE or char in _BLANK or invisible:
        return ""
    compatible = unicodedata.normalize("NFKC", char)
    return compatible if len(compatible) == 1 else char


_PLAIN = _Plain()
