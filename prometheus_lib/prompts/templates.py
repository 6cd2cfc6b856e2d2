"""Prompt templates of judge families: what a judge is asked, in whose voice, and how its verdict is read.

Most judges of Tables 3 and 4 read the paper's prompts (`prompts`, `parsing`). Two families have their own: Prometheus 1
says another sentence as the system, and Auto-J compares and rates in another form (appendix B).
A template is data: a function from an item to a prompt, an optional system message, and a parser per format.

Auto-J's wording was released without a licence, so it is not kept here. `auto_j` reads it from the file in which its
authors publish it, and tells when the wording is another.
"""

from __future__ import annotations

import ast
import hashlib
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from string import Formatter

from ..records import DataError, DirectItem, PairItem
from .injection import neutralise
from .parsing import PARSERS, Parsed, Parser
from .wording import chat_messages, render_direct, render_pairwise, shown


@dataclass(frozen=True)
class Template:
    """How a family of judges is asked and read.

    `direct(item, with_reference)` and `pairwise(item, with_reference, order)` render the user prompt; None where the
    family does not know the format. `system` is the family's own system message: None for the paper's two, "" for none
    at all.

    >>> PROMETHEUS.formats, PROMETHEUS.parsers["direct"]("Good. [RESULT] 4").decision
    (('direct', 'pairwise'), 4)
    """

    name: str
    direct: Callable[[DirectItem, bool], str] | None
    pairwise: Callable[[PairItem, bool, str], str] | None
    parsers: Mapping[str, Parser]
    system: str | None = None

    @property
    def formats(self) -> tuple[str, ...]:
        """Return the formats this template can ask for."""
        return tuple(format for format in ("direct", "pairwise") if getattr(self, format) is not None)

    def render(self, item: DirectItem | PairItem, format: str, with_reference: bool = False, order: str = "ab") -> str:
        """Return the user prompt for an item; DataError when the family does not know the format.

        A family whose prompt shows no reference answer (Auto-J) takes no notice of `with_reference`.
        """
        if format not in self.formats:
            raise DataError(f"template {self.name!r} has no {format} prompt; it knows {', '.join(self.formats)}.")
        if format == "direct":
            return self.direct(item, with_reference)
        return self.pairwise(item, with_reference, order)

    def messages(self, prompt: str, format: str) -> list[dict[str, str]]:
        """Return the chat messages of a rendered prompt."""
        if self.system is None:
            return chat_messages(prompt, format)
        opening = [{"role": "system", "content": self.system}] if self.system else []
        return [*opening, {"role": "user", "content": prompt}]


# --- the paper's, and Prometheus 1's ---------------------------------------------------------------------------------


PROMETHEUS = Template("prometheus", render_direct, render_pairwise, PARSERS)
# The first Prometheus reads the same direct assessment prompt under a sentence of its own, and does not rank pairs.
PROMETHEUS_1 = Template("prometheus-1", render_direct, None, PARSERS, "You are a fair evaluator language model.")


# --- Auto-J ----------------------------------------------------------------------------------------------------------

AUTO_J_SOURCE = "codes/usage/constants_prompt.py of github.com/GAIR-NLP/auto-j"
# SHA-256 of the released `single` and `pairwise_tie`, joined by a zero character.
_RELEASED_AUTO_J = "a2f3b118b920ac33e68cfb0d26403853060d392d91cf7bae45e91d812bf45d4a"
_BLANKS = {"single": {"prompt", "response"}, "pairwise_tie": {"prompt", "response", "response_another"}}
# The marks of its sections: judged text must not close its own (see `injection`).
_AUTO_J_MARKS = ("[BEGIN DATA]", "[END DATA]", "[Query]", "[Response]", "[Response 1]", "[Response 2]")
_DECISION = re.compile(
    r"final decision is[\s:*\"']*+(response\s++[12]|tie)\b(?!\s*+(?:/|or\b|and\b|&))[^\n]*", re.IGNORECASE
)
_RATING = re.compile(r"Rating:\s*+\[\[\s*+(\d++)(?:\.0++)?\s*+\]\]")
_SAID = {"1": "A", "2": "B", "e": "tie"}


def auto_j(file: str | Path) -> Template:
    """Return Auto-J's template with the wording in `file` (see AUTO_J_SOURCE); the file is read, never run.

    The wording is two strings, `single` and `pairwise_tie`. DataError names what is missing; wording that differs from
    the released one is used, with a warning.

    >>> template = auto_j("constants_prompt.py")  # doctest: +SKIP
    """
    wording = _strings(Path(file), tuple(_BLANKS))
    for name, blanks in _BLANKS.items():
        found = {field for _, field, _, _ in Formatter().parse(wording[name]) if field is not None}
        if found != blanks:
            raise DataError(f"{file}: {name} has the blanks {sorted(found)}, wanted {sorted(blanks)}; {_GET_AUTO_J}.")
    digest = hashlib.sha256("\0".join(wording.values()).encode()).hexdigest()
    if digest != _RELEASED_AUTO_J:
        warnings.warn(f"{file}: this is not Auto-J's released wording, so its rows are a variant.", stacklevel=2)
    direct = partial(_auto_j_direct, wording["single"])
    pairwise = partial(_auto_j_pairwise, wording["pairwise_tie"])
    parsers = {"direct": parse_auto_j_direct, "pairwise": parse_auto_j_pairwise}
    return Template("auto-j", direct, pairwise, parsers, system="")


_GET_AUTO_J = f"get {AUTO_J_SOURCE}"


def _strings(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Return the string constants assigned to `names` in a Python file, without running it."""
    if not path.is_file():
        raise DataError(f"{path}: file not found; {_GET_AUTO_J}.")
    try:
        statements = ast.parse(path.read_text(encoding="utf-8")).body
    except (SyntaxError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a Python file ({error}); {_GET_AUTO_J}.") from error
    assigned = {
        target.id: statement.value.value
        for statement in statements
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name) and isinstance(statement.value.value, str)
    }
    missing = [name for name in names if name not in assigned]
    if missing:
        raise DataError(f"{path}: no string named {' or '.join(missing)}; {_GET_AUTO_J}.")
    return {name: assigned[name] for name in names}


def _auto_j_direct(wording: str, item: DirectItem, with_reference: bool) -> str:
    return _filled(wording, prompt=item.instruction, response=item.response)


def _auto_j_pairwise(wording: str, item: PairItem, with_reference: bool, order: str) -> str:
    first, second = shown(item, order)
    return _filled(wording, prompt=item.instruction, response=first, response_another=second)


def _filled(wording: str, **texts: str) -> str:
    return wording.format(**{name: neutralise(text, _AUTO_J_MARKS) for name, text in texts.items()})


def parse_auto_j_pairwise(text: str) -> Parsed:
    """Read Auto-J's comparison: "A", "B" or "tie" after the last "final decision is", else unparsed.

    The instruction's own "Response 1 / Response 2 / Tie", repeated, is no decision (the released reader takes it for a
    vote for Response 1).

    >>> parse_auto_j_pairwise("1 is vague. So, the final decision is Response 2.").decision
    'B'
    """
    starts = [match.start() for match in re.finditer("final decision is", text, re.IGNORECASE)]
    found = _DECISION.match(text, starts[-1]) if starts else None
    if found is None:
        return Parsed(None, text.strip(), "unparsed")
    feedback = re.sub(r"\s*So, the\s*$", "", text[: found.start()]) + text[found.end() :]
    return Parsed(_SAID[found.group(1).lower()[-1]], feedback.strip(), "ok")


def parse_auto_j_direct(text: str) -> Parsed:
    """Read Auto-J's rating: a whole number from 1 to 10 in the last "Rating: [[...]]", else unparsed.

    The released reader counts an answer without a rating as 0.

    >>> parse_auto_j_direct("Short, but right. Rating: [[7]]")
    Parsed(decision=7, feedback='Short, but right.', status='ok')
    """
    start = text.rfind("Rating: [[")
    found = _RATING.match(text, start) if start >= 0 else None
    if found is None or not 1 <= int(found.group(1)) <= 10:
        return Parsed(None, text.strip(), "unparsed")
    return Parsed(int(found.group(1)), (text[:start] + text[found.end() :]).strip(), "ok")


# --- by name ---------------------------------------------------------------------------------------------------------

TEMPLATES: dict[str, Template] = {template.name: template for template in (PROMETHEUS, PROMETHEUS_1)}


def template_named(name: str, wording: str | Path | None = None) -> Template:
    """Return a template by its name; "auto-j" needs the file with its wording. DataError says what is missing.

    >>> template_named("prometheus-1").system
    'You are a fair evaluator language model.'
    """
    if name == "auto-j":
        if wording is None:
            raise DataError(f"Auto-J's wording is not part of this project (no licence); {_GET_AUTO_J} and name it.")
        return auto_j(wording)
    if name not in TEMPLATES:
        raise DataError(f"unknown template {name!r}; choose one of {[*TEMPLATES, 'auto-j']}.")
    return TEMPLATES[name]
