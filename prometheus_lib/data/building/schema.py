"""What a row of the two collections must hold, as the published rows do, and what becomes of a row that does not.

A row that fails is not mended in silence: it is set aside in a file, with the reason, and counted.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from ...prompts.parsing import MARKER
from ...records import DataError
from ..collections import FEEDBACK_FIELDS, PREFERENCE_FIELDS

Row = dict[str, Any]
Collection = Literal["feedback", "preference"]
FIELDS: Mapping[Collection, tuple[str, ...]] = {"feedback": FEEDBACK_FIELDS, "preference": PREFERENCE_FIELDS}
# The published Preference Collection has these as well, and so have the rows that `pairing` makes; with them the
# concatenation of the two single pieces of feedback can be put beside the comparing one (appendix A).
SIDE_FIELDS = ("orig_score_A", "orig_score_B", "orig_feedback_A", "orig_feedback_B")
OPTIONAL: Mapping[Collection, tuple[str, ...]] = {"feedback": (), "preference": ("id", *SIDE_FIELDS)}
SCORES = ("1", "2", "3", "4", "5")
SET_ASIDE = b'{"where": '  # how a file of rows set aside begins
_UNSEEN = ("Cc", "Cf", "Cn", "Mn", "Me", "Zl", "Zp", "Zs")


def is_blank(text: str) -> bool:
    """Tell whether a text shows nothing: it is empty, or holds white space and invisible characters only.

    >>> is_blank("\\u200b \\n"), is_blank("no")
    (True, False)
    """
    return not text[:1].isalnum() and all(unicodedata.category(char) in _UNSEEN for char in text)


def half_character(text: str) -> int | None:
    """Return where a text holds half a character (a lone surrogate, as of a cut emoji), which UTF-8 cannot write.

    >>> half_character("smile \\ud83d"), half_character("smile \\U0001f600")
    (6, None)
    """
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None


def text_problem(row: Mapping[str, Any], field: str, may_be_blank: bool = False) -> str | None:
    """Return what is wrong with a text field, or None; the sentence begins with the field's name."""
    if field not in row:
        return f"{field} is missing"
    value = row[field]
    if not isinstance(value, str):
        return f"{field} is {_shown(value)} ({type(value).__name__}), wanted text"
    if (place := half_character(value)) is not None:
        return f"{field} holds half a character at position {place}"
    return None if may_be_blank or not is_blank(value) else f"{field} shows nothing"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def problem(
    row: Mapping[str, Any], collection: Collection, written: bool = True, referenced: bool = True
) -> str | None:
    """Return why a row does not belong into a collection, or None.

    All fields are texts that show something, and the score is the *text* "1" to "5" (paper, section 3.3; published
    rows). Pairs whose feedback is not written yet pass with `written=False`; rows without a reference answer, which
    can only be used reference-free, with `referenced=False`.

    >>> problem({"orig_instruction": 7}, "feedback")
    'orig_instruction is 7 (int), wanted text'
    """
    may_be_blank = {*([] if written else ["orig_feedback"]), *([] if referenced else ["orig_reference_answer"])}
    texts = (text_problem(row, field, field in may_be_blank) for field in FIELDS[collection])
    found = next(filter(None, texts), None)
    if found is None and MARKER in row["orig_feedback"]:
        found = f"orig_feedback holds a verdict of its own ({MARKER})"
    decide = _score_problem if collection == "feedback" else _preference_problem
    return found or decide(row)


def _score_problem(row: Mapping[str, Any]) -> str | None:
    score = row["orig_score"]
    return None if score in SCORES else f'orig_score is {_shown(score)}, wanted one of "1" to "5"'


def _preference_problem(row: Mapping[str, Any]) -> str | None:
    preference = row["orig_preference"]
    if preference not in ("A", "B"):
        return f'orig_preference is {_shown(preference)}, wanted "A" or "B"'
    if row["orig_response_A"] == row["orig_response_B"]:
        return "orig_response_A and orig_response_B are the same text"
    if row.get("orig_score_A") is None or row.get("orig_score_B") is None:
        return None
    return _contradiction(row, preference)


def _contradiction(row: Mapping[str, Any], preference: str) -> str | None:
    try:
        lead = float(row["orig_score_A"]) - float(row["orig_score_B"])
    except (TypeError, ValueError):
        return f"orig_score_A and orig_score_B are {_shown(row['orig_score_A'])} and {_shown(row['orig_score_B'])}"
    if (lead > 0) == (preference == "A") and lead != 0:
        return None
    return f"orig_preference is {preference!r}, but the scores are {row['orig_score_A']} and {row['orig_score_B']}"


class Rejects:
    """Rows that were set aside: counted by reason, and written to `file` (JSON Lines) where one is given.

    A context manager, which opens the file and removes it again when nothing was set aside. A line holds `where` (file
    and row), `reason` and `row`; half characters are written as escapes.

    >>> with Rejects() as rejects:
    ...     rejects.add("rows.json, row 3", "orig_score is '6', wanted one of ...", {"orig_score": "6"})
    >>> rejects.count, rejects.reasons
    (1, Counter({'orig_score is': 1}))
    """

    def __init__(self, file: str | Path | None = None):
        self.file = Path(file) if file else None
        self.reasons: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self._out: Any = None
        self._open = ExitStack()

    @property
    def count(self) -> int:
        """Return how many rows were set aside."""
        return self.reasons.total()

    def add(self, where: str, reason: str, row: Any) -> None:
        """Set one row aside; the first words of the reason (field and verb) are what it is counted under."""
        kind = " ".join(reason.split()[:2])
        self.reasons[kind] += 1
        self.examples.setdefault(kind, f"{where}: {reason}")
        if self._out is not None:
            self._out.write(json.dumps({"where": where, "reason": reason, "row": row}, default=str) + "\n")

    def summary(self) -> str:
        """Return one sentence for people: how many, why, and where to look."""
        if not self.count:
            return "no row was set aside"
        kinds = "; ".join(f"{count:,} x {self.examples[kind]}" for kind, count in self.reasons.most_common())
        return (
            f"{self.count:,} rows were set aside{f' in {self.file}' if self.file else ''} (first of each kind: {kinds})"
        )

    def __enter__(self) -> Rejects:
        if self.file is not None:
            _check_replaceable(self.file)
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._out = self._open.enter_context(open(self.file, "w", encoding="ascii"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        if self.file is not None and not self.count:
            self.file.unlink()


def _check_replaceable(file: Path) -> None:
    """Raise DataError for a file that holds anything but rows set aside earlier."""
    if file.is_file() and file.stat().st_size:
        with open(file, "rb") as content:
            if not content.read(len(SET_ASIDE)).startswith(SET_ASIDE):
                raise DataError(f"{file}: this file holds something else, which would be lost; give another name.")


def checked(
    rows: Iterable[tuple[str, Row]], collection: Collection, rejects: Rejects, written: bool = True
) -> Iterator[tuple[str, Row]]:
    """Yield (where, row) for the rows that belong into the collection, with its fields only; set the others aside."""
    kept = (*FIELDS[collection], *OPTIONAL[collection])
    for where, row in rows:
        found = problem(row, collection, written)
        if found:
            rejects.add(where, found, row)
        else:
            yield where, {field: row[field] for field in kept if row.get(field) is not None}
