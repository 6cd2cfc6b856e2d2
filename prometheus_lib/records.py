"""The records that flow between the notebooks, and the JSON Lines files that hold them.

Three records are enough for the whole paper: a *direct item* (section 3.1), a *pair item* (section 3.2) and a
*judgment*. Files are written under a temporary name and renamed, so a half-written file is never taken for a whole one.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

SCORES = (1, 2, 3, 4, 5)  # what a direct assessment gives


class DataError(ValueError):
    """Bad input: the message names the file, the line and what to do."""


class MissingFile(DataError):
    """A file that is not there, where a damaged one would be another error: who can do without it may go on."""


def few(names: Collection[str], shown: int = 5) -> str:
    """Return the first names for a message, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(list(names)[:shown]) + more


@dataclass(frozen=True)
class Rubric:
    """A score rubric: the criteria sentence and the descriptions of scores 1 to 5, in that order.

    DataError for any other number of descriptions, and for what is no text.

    >>> Rubric("Is it kind?", ["rude", "cold", "neutral", "warm", "very kind"]).descriptions[4]
    'very kind'
    """

    criteria: str
    descriptions: tuple[str, ...]

    def __post_init__(self) -> None:
        if isinstance(self.descriptions, (str, Mapping)) or not isinstance(self.descriptions, Iterable):
            raise DataError(
                f"rubric {self.criteria!r}: the descriptions are no list of texts; give one for each score."
            )
        vars(self)["descriptions"] = tuple(self.descriptions)  # a list from JSON, so that equal rubrics are equal
        if len(self.descriptions) != len(SCORES):
            raise DataError(
                f"rubric {self.criteria!r}: {len(self.descriptions)} score descriptions, wanted {len(SCORES)}, "
                "one for each score from 1 to 5."
            )
        for name, text in zip(("criteria", *(f"score {n}" for n in SCORES)), (self.criteria, *self.descriptions)):
            check_text(f"rubric {self.criteria!r}", name, text)


@dataclass(frozen=True)
class DirectItem:
    """One response to score from 1 to 5 (paper, equation 1).

    `scores` maps a rater's name to that rater's draws, for example {"gpt-4-1106": [5, 5, 4]}; `cluster` names the
    instruction, so that intervals can resample whole instructions; `prompt` keeps a file's original prompt string.
    """

    id: str
    instruction: str
    response: str
    reference_answer: str | None
    rubric: Rubric
    scores: dict[str, list[float]] = field(default_factory=dict)
    group: str = ""
    cluster: str = ""
    prompt: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_texts(self, ("id", "instruction", "response"))
        if not isinstance(self.rubric, Rubric):
            raise DataError(f"item {self.id!r}: rubric is {self.rubric!r}; give a Rubric.")
        for rater, draws in self.scores.items():
            if isinstance(draws, str) or not all(isinstance(score, Real) for score in draws):
                raise DataError(f"item {self.id!r}: the scores of {rater!r} are {draws!r}; give a list of numbers.")


@dataclass(frozen=True)
class PairItem:
    """Two responses to rank (paper, equation 2).

    `label` is "A", "B" or "tie", or "" where nobody has said; `rubric` serves direct-for-pairs.
    """

    id: str
    instruction: str
    response_a: str
    response_b: str
    reference_answer: str | None
    criteria: str
    label: str = ""
    group: str = ""
    cluster: str = ""
    rubric: Rubric | None = None
    prompts: dict[str, str] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_texts(self, ("id", "instruction", "response_a", "response_b", "criteria"))
        if self.label not in ("A", "B", "tie", ""):
            raise DataError(f'item {self.id!r}: label is {self.label!r}; give "A", "B" or "tie", or "" for none.')


def _check_texts(item: DirectItem | PairItem, names: tuple[str, ...]) -> None:
    for name in (*names, *(["reference_answer"] if item.reference_answer is not None else [])):
        check_text(f"item {item.id!r}", name, getattr(item, name))


def check_text(where: str, name: str, value: Any) -> None:
    """Raise DataError, naming place and field, for a value that is no text or that no file can hold.

    A lone surrogate, half of a character outside the basic plane, can be written neither to a file nor to a server.

    >>> check_text("item 'a'", "response", "half an emoji: \\ud83d")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    prometheus_lib.records.DataError: item 'a': response holds a lone surrogate (half of a character) at position 15...
    """
    if not isinstance(value, str):
        raise DataError(f"{where}: {name} is {value!r}, which is no text; correct it or leave the item out.")
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: {name} holds a lone surrogate (half of a character) at position {error.start}; "
            'mend it, for example by text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").'
        ) from error


@dataclass(frozen=True)
class Judgment:
    """What one judge said about one item, once.

    `decision` is 1-5, "A", "B", "tie" (of judges whose format has it) or None (unparsed), and a pairwise decision is
    already mapped back to the item's own A and B: `order` "ba" only records that the prompt showed response B first.
    `key` identifies model, prompt, decoding and draw, so equal keys never need a second generation. `policy` says what
    was done about an answer that could not be read ("once": nothing; see judging.Policy), and `attempts` how many
    answers were generated for it. `prompt_hash` identifies the prompt's text alone ("" in files written before it was
    recorded), so that answers to different prompts about one item can be told apart.
    """

    judge: str
    fingerprint: str
    benchmark: str
    item_id: str
    format: str
    with_reference: bool
    order: str
    draw: int
    decision: int | str | None
    feedback: str
    status: str
    attempts: int
    tokens: int
    key: str
    policy: str = "once"
    prompt_hash: str = ""


def as_row(record: Any) -> dict[str, Any]:
    """Return a record as a plain dictionary that JSON can hold."""
    return asdict(record)


def item_from_row(row: dict[str, Any], where: str = "row") -> DirectItem | PairItem:
    """Rebuild a DirectItem or PairItem from its dictionary; DataError names missing or unknown fields."""
    kind = PairItem if "response_a" in row else DirectItem
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(row) - known)
    if unknown:
        raise DataError(f"{where}: unknown fields {unknown} for a {kind.__name__}; remove or rename them.")
    values = dict(row)
    try:
        if values.get("rubric") is not None:
            values["rubric"] = Rubric(**values["rubric"])
        return kind(**values)
    except TypeError as error:
        raise DataError(f"{where}: not a complete {kind.__name__} ({error}).") from error
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def open_text(path: Path):
    """Open a UTF-8 text file for reading, through gzip where the name ends in .gz; lines end at newlines only."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="\n")
    return open(path, encoding="utf-8", newline="\n")


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """Read a JSON Lines file (optionally .gz); DataError names the file, the line and what to do."""
    path = Path(path)
    if not path.is_file():
        raise MissingFile(f"{path}: file not found; run the notebook that writes it, or check the folder's name.")
    rows: list[dict[str, Any]] = []
    try:
        with open_text(path) as lines:
            for number, line in enumerate(lines, start=1):
                text = line.removeprefix("\ufeff") if number == 1 else line  # a mark that some editors write
                if text.strip():
                    rows.append(parse_line(path, number, text))
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}, after line {len(rows)}: damaged ({type(error).__name__}); get or build the file again."
        ) from error
    return rows


def parse_line(path: Path, number: int, line: str | bytes) -> dict[str, Any]:
    """Return the object on one line of a JSON Lines file; DataError names the file, the line and what to do."""
    try:
        row = json.loads(line)
    except ValueError as error:
        what = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else "not UTF-8"
        raise DataError(
            f"{path}, line {number}: not valid JSON ({what}); "
            "repair or delete this line, or delete the file and build it again."
        ) from error
    if not isinstance(row, dict):
        raise DataError(f"{path}, line {number}: expected one JSON object, found {type(row).__name__}.")
    return row


def write_text_atomic(path: str | Path, text: str) -> Path:
    """Write text under a temporary name and rename it, so readers see the old file or the whole new one."""
    try:
        return write_bytes_atomic(path, text.encode("utf-8"))
    except UnicodeEncodeError as error:
        around = text[max(0, error.start - 40) : error.start]
        raise DataError(
            f"{path}: not written, for there is a lone surrogate (half of a character) after {around!r}."
        ) from error


def write_bytes_atomic(path: str | Path, data: bytes) -> Path:
    """Write bytes under a temporary name and rename; on failure (a full disk) the old file stays untouched."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataError(f"{path}: could not be written ({error.strerror}); free space or check the folder.") from error
    return path


def write_jsonl(path: str | Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write rows as JSON Lines, atomically."""
    return write_text_atomic(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def write_items(path: str | Path, items: Iterable[DirectItem | PairItem]) -> Path:
    """Write items as JSON Lines, atomically."""
    return write_jsonl(path, (as_row(item) for item in items))


def read_items(path: str | Path) -> list[DirectItem | PairItem]:
    """Read items written by `write_items`; DataError names file and line."""
    return [item_from_row(row, f"{path}, line {n}") for n, row in enumerate(read_jsonl(path), start=1)]


Item = TypeVar("Item", DirectItem, PairItem)


def first_instructions(items: Sequence[Item], share: float) -> list[Item]:
    """Return the items of the first instructions: this share of them, but ten at least, for intervals.

    >>> pairs = [PairItem(f"{n}", "?", "yes", "no", None, "Right?", cluster=f"asked {n // 2}") for n in range(80)]
    >>> [len(first_instructions(pairs, share)) for share in (0.5, 0.1)]
    [40, 20]
    """
    instructions = list(dict.fromkeys(item.cluster or item.id for item in items))
    chosen = set(instructions[: max(10, round(share * len(instructions)))])
    return [item for item in items if (item.cluster or item.id) in chosen]


def write_metrics(folder: str | Path, notebook: str, metrics: dict[str, Any]) -> Path:
    """Write a notebook's results as `<folder>/<notebook>.json`: plain numbers and strings, nan as null."""
    return write_text_atomic(Path(folder) / f"{notebook}.json", json.dumps(_plain(metrics), indent=1) + "\n")


def _plain(value: Any) -> Any:
    """Turn numpy numbers, tuples and nan into what JSON knows."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and value != value else value
