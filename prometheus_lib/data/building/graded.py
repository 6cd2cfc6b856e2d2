"""Any graded responses become both collections: rows of direct assessment, and grades from which pairs are made.

The rule for scores of another range than 1 to 5: a score's *grade* is its place in the range, stretched to 1 to 5
without rounding, grade = 1 + 4 (score - low) / (high - low). Pairs are made from grades, so nothing is lost there. The
`orig_score` of a direct row is the nearest whole number, halves up: on a scale of 1 to 10 the scores 1 and 2 become 1,
and 10 becomes 5. A score outside its range, or one that is no number, sets its row aside.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ...records import DataError, DirectItem, Rubric
from ..table import check_twice
from .loading import read_rows
from .schema import SCORES, Rejects, Row, problem

LONGEST_CELL = 1 << 30  # characters of a CSV cell; Python's own limit of 131,072 is less than a long response

_RAGGED = (
    "not as many cells as there are columns; mend the row (a carriage return outside quotes ends a row, and pandas "
    "writes it so unless to_csv has quoting=csv.QUOTE_ALL)."
)


@dataclass(frozen=True)
class Columns:
    """The names of the columns that hold what a graded response needs; "" where there is none.

    Without `criteria` and the five `descriptions` a rubric must be given, the same for all rows. Without a reference
    answer rows serve reference-free formats only; without feedback they serve pairing only.

    >>> Columns(instruction="question", response="answer").score
    'score'
    """

    instruction: str = "instruction"
    response: str = "response"
    score: str = "score"
    feedback: str = "feedback"
    reference: str = "reference_answer"
    criteria: str = "criteria"
    descriptions: str = "score{}_description"

    def of_collection(self) -> dict[str, str]:
        """Return the field of the Feedback Collection for every column that is named."""
        names = {
            self.instruction: "orig_instruction", self.response: "orig_response", self.feedback: "orig_feedback",
            self.reference: "orig_reference_answer", self.criteria: "orig_criteria",
        }  # fmt: skip
        if self.descriptions:
            names |= {self.descriptions.format(n): f"orig_score{n}_description" for n in SCORES}
        return {column: field for column, field in names.items() if column}


ORIG_COLUMNS = Columns(
    "orig_instruction", "orig_response", "orig_score", "orig_feedback", "orig_reference_answer", "orig_criteria",
    "orig_score{}_description",
)  # fmt: skip


@dataclass(frozen=True)
class Range:
    """The lowest and the highest score that could have been given.

    >>> scale = Range(1, 10)
    >>> [(score, round(scale.grade(score), 2), scale.whole(score)) for score in (1, 2, 5.5, 10)]
    [(1, 1.0, '1'), (2, 1.44, '1'), (5.5, 3.0, '3'), (10, 5.0, '5')]
    """

    low: float = 1
    high: float = 5

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise DataError(f"scores from {self.low} to {self.high}: the lowest must be below the highest.")

    def grade(self, score: float) -> float:
        """Return a score's place in the range, stretched to 1 to 5."""
        return 1 + 4 * (score - self.low) / (self.high - self.low)

    def whole(self, score: float) -> str:
        """Return the nearest whole grade as the text that `orig_score` holds; halves go up."""
        return str(math.floor(self.grade(score) + 0.5))

    def number(self, value: Any) -> float | str:
        """Return a score as a number, or a sentence that says why it is none of this range."""
        try:
            score = float(value) if not isinstance(value, bool) else math.nan
        except (TypeError, ValueError):
            score = math.nan
        if math.isnan(score):
            return f"score is {value!r}, which is no number"
        return score if self.low <= score <= self.high else f"score is {value!r}, outside {self.low} to {self.high}"


def graded_rows(
    rows: Iterable[tuple[str, Mapping[str, Any]]], columns: Columns = Columns(), scores: Range = Range(),
    rubric: Rubric | None = None, rejects: Rejects | None = None,
) -> Iterator[Row]:  # fmt: skip
    """Yield rows of the Feedback Collection, each with its exact `grade`, from (where, row) pairs of any graded data.

    Empty feedback and an empty reference answer pass (see `Columns`); every other fault sets the row aside.

    >>> row = {"instruction": "Say hello.", "response": "hi", "score": 7, "criteria": "Is it polite?"}
    >>> row |= {f"score{n}_description": "..." for n in range(1, 6)}
    >>> [(found["orig_score"], found["grade"]) for found in graded_rows([("row 1", row)], scores=Range(0, 10))]
    [('4', 3.8)]
    """
    rejects = rejects if rejects is not None else Rejects()
    fixed = _rubric_fields(rubric)
    for where, row in rows:
        found = _graded(row, columns, scores, fixed)
        wrong = found if isinstance(found, str) else problem(found, "feedback", written=False, referenced=False)
        if wrong:
            rejects.add(where, wrong, dict(row))
        else:
            yield found


def _rubric_fields(rubric: Rubric | None) -> dict[str, str]:
    if rubric is None:
        return {}
    descriptions = zip(SCORES, rubric.descriptions, strict=True)
    return {"orig_criteria": rubric.criteria, **{f"orig_score{n}_description": text for n, text in descriptions}}


def _graded(row: Mapping[str, Any], columns: Columns, scores: Range, fixed: Mapping[str, str]) -> Row | str:
    if columns.score not in row:
        return f"{columns.score} is missing"
    score = scores.number(row[columns.score])
    if isinstance(score, str):
        return score
    optional = {"orig_feedback": "", "orig_reference_answer": ""}
    found = {field: _text(row[column]) for column, field in columns.of_collection().items() if column in row}
    whole = {"orig_score": scores.whole(score), "grade": scores.grade(score)}
    return {**optional, **found, **fixed, **whole}


def _text(value: Any) -> Any:
    """Return a cell as it is; a missing cell of a DataFrame (nan) or None is no text."""
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value


def read_graded(
    source: Any, columns: Columns = Columns(), scores: Range = Range(), rubric: Rubric | None = None,
    rejects: Rejects | None = None,
) -> Iterator[Row]:  # fmt: skip
    """Yield graded rows from a CSV, JSON, JSON Lines, Parquet or Arrow file, or from a pandas DataFrame.

    Raises DataError for a missing or damaged file and for named columns that are not there.
    """
    rows = _table_rows(source) if hasattr(source, "columns") else _file_rows(Path(source))
    return graded_rows(_with_columns(rows, columns), columns, scores, rubric, rejects)


def _with_columns(rows: Iterable[tuple[str, Row]], columns: Columns) -> Iterator[tuple[str, Row]]:
    """Check the first row for the columns that nothing can replace."""
    for number, (where, row) in enumerate(rows):
        missing = [name for name in (columns.instruction, columns.response, columns.score) if name not in row]
        if missing and not number:
            known = ", ".join(field.name for field in fields(Columns))
            raise DataError(
                f"{where}: no column {' and no '.join(map(repr, missing))} among {', '.join(map(repr, row))}; "
                f"name yours with Columns({known})."
            )
        yield where, row


def _table_rows(table: Any) -> Iterator[tuple[str, Row]]:
    for number, row in enumerate(table.to_dict("records"), start=1):
        yield f"DataFrame, row {number}", row


def _file_rows(file: Path) -> Iterator[tuple[str, Row]]:
    return _csv_rows(file) if file.suffix.lower() == ".csv" else read_rows(file)


def _csv_rows(file: Path) -> Iterator[tuple[str, Row]]:
    if not file.is_file():
        raise DataError(f"{file}: there is no such file; correct the path.")
    csv.field_size_limit(LONGEST_CELL)
    try:
        with open(file, encoding="utf-8-sig", newline="") as text:
            table = csv.DictReader(text, strict=True)
            check_twice(str(file), list(table.fieldnames or []))
            for number, row in enumerate(table, start=1):
                if None in row or None in row.values():
                    raise DataError(f"{file}, row {number}: {_RAGGED}")
                yield f"{file}, row {number}", row
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 text (byte {error.start}); save the table as CSV UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"{file}: not valid CSV ({error}); quote cells with commas, quotes or line breaks.") from error


def graded_items(items: Iterable[DirectItem], rater: str, feedback: str = "") -> Iterator[tuple[str, Row]]:
    """Yield (where, row) for every draw of a rater: benchmark items with explained scores as graded data.

    `feedback` names the list in the items' `meta` that explains the draws. Read the rows with `ORIG_COLUMNS`.
    """
    for item in items:
        said = item.meta.get(feedback) or [""] * len(item.scores[rater])
        for draw, (score, text) in enumerate(zip(item.scores[rater], said, strict=True)):
            own = {
                "orig_instruction": item.instruction, "orig_response": item.response,
                "orig_reference_answer": item.reference_answer or "", "orig_score": score, "orig_feedback": text,
            }  # fmt: skip
            yield f"{item.id}, draw {draw}", own | _rubric_fields(item.rubric)


def direct_rows(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows that direct assessment can be learned from: those with feedback, without the exact grade."""
    for row in rows:
        if row["orig_feedback"]:
            yield {field: value for field, value in row.items() if field != "grade"}
