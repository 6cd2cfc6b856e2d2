"""A user's own responses become items to judge, and their judgments a table in the order of the items."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..prompts.conversation import is_conversation, render_conversation
from ..records import SCORES, DataError, DirectItem, PairItem, Rubric, few
from .decisions import Decision, read_decision
from .files import Source, read_table
from .prompt_sections import parse_rubric
from .released_rows import digest
from .table import Table, canonical, pick, sentence
from .values import is_blank, text_of

RUBRIC_COLUMNS = ("rubric", "criteria", *(f"score_{score}" for score in SCORES))
COMMON = ("id", "instruction", "reference_answer", *RUBRIC_COLUMNS, "group", "cluster")
SAID = ("human", "human_score", "label")  # one of them: what people said
DIRECT_COLUMNS = (*COMMON, "response", *SAID)
PAIR_COLUMNS = (*COMMON, "response_a", "response_b", "label", "human")
FRACTION = re.compile(r"\d+\.\d+")
DESCRIPTION = re.compile(r"score_?([1-5])(?:_description)?")
PAIR_NAMES = re.compile(r"response_?[ab12]")  # of pairs, if misspelt
RATERS = r"human_\w+"  # columns of further raters
DIGESTED = "\0"  # before an id that is a digest, while ids are compared
Row = Mapping[str, Any]
Items = list[DirectItem] | list[PairItem]


def read_own_items(
    source: Source,
    rubric: Rubric | str | None = None,
    columns: Mapping[str, str] | None = None,
    mapping: Mapping[Any, Decision] | None = None,
) -> Items:
    """Return the responses of a file, data frame or list of dictionaries as items to judge, one per row, in order.

    source: CSV, TSV, JSON Lines, JSON, .xlsx, Parquet (see `files.read_table`). Columns: `instruction`, and `response`
    (direct assessment) or `response_a` and `response_b` (pairwise ranking). Case, spaces and hyphens of names do not
    matter; `columns` renames others ({"output": "response"}). Optional:

    - `id`, one for each row. Without it an item's id is a digest of what the judge reads of the row, so a row keeps its
      judgments wherever it stands and whatever other rows come and go. Equal rows ask a judge the same; they get the
      digest, the digest with "-2", "-3", ... in their order.
    - `reference_answer`; `group`; `cluster` (whose rows intervals resample together; without it the same instruction).
    - what people said: `human` (or `human_score`, `label`) and `human_<name>` for more raters, numbers from 1 to 5,
      which become the item's `scores`; of pairs `label` (or `human`): A, B, tie, in any spelling that
      `decisions.read_decision` knows. `mapping` says what others mean ({1: "A", 2: "B"}).
    - a rubric of the row's own: `criteria` and `score_1` to `score_5` (or `score1_description`, as the Feedback
      Collection says), or `rubric` with all of it (a prompt's text, or an object with `criteria` and `descriptions`).
      Other rows are judged by the argument `rubric`. A pair needs the criteria only, and a text may stand for them.

    An instruction may be a conversation, a list of messages with role and content (see `prompts.render_conversation`).
    Empty responses are judged, since leaving them out would flatter a mean. Numbers become texts (`values.text_of`).

    Warns once of columns that are not read, of blank rows (left out) and of empty responses. Raises DataError, with
    file and line or row, for missing, doubled and misspelt columns, a blank instruction, a value that is no text, a row
    without a rubric, and an id that is there twice.

    >>> rows = [{"instruction": "Name a prime.", "response": "7", "human": 5}]
    >>> (item,) = read_own_items(rows, Rubric("Is it right?", ("no", "hardly", "half", "mostly", "yes")))
    >>> item.response, item.scores, item.id
    ('7', {'human': [5]}, 'ed11f1e2362c')
    """
    pairs, table = _chosen(read_table(source, {*DIRECT_COLUMNS, *PAIR_COLUMNS, *(columns or {})}), columns or {})
    rubric = _whole_rubric("the rubric", rubric) if isinstance(rubric, Mapping) else rubric
    make = _pair if pairs else _direct
    items = [make(place, row, rubric, mapping or {}) for place, row in zip(table.places, table.rows, strict=True)]
    _check_ids(table, items)
    responses = [name for name in ("response", "response_a", "response_b") if name in table.columns]
    empty = [
        place for place, row in zip(table.places, table.rows, strict=True) if any(is_blank(row[r]) for r in responses)
    ]
    for note in (*table.notes, *sentence(table, empty, "row with an empty response", "judged as it stands")):
        warnings.warn(note, stacklevel=2)
    return _with_ids(items)


def _chosen(table: Table, columns: Mapping[str, str]) -> tuple[bool, Table]:
    """Whether the rows are pairs, and the table with the columns that are read; DataError for a missing one."""
    described = {raw: found[1] for raw in table.columns if (found := DESCRIPTION.fullmatch(canonical(raw)))}
    columns = {raw: f"score_{score}" for raw, score in described.items()} | dict(columns)
    names = {columns.get(raw) or canonical(raw) for raw in table.columns}
    pairs = bool(names & {"response_a", "response_b"})
    pairs = pairs or ("response" not in names and any(map(PAIR_NAMES.fullmatch, names)))
    if pairs and "response" in names:
        raise DataError(f"{table.name}: response stands beside response_a or response_b; rename or drop it.")
    picked = pick(table, PAIR_COLUMNS if pairs else DIRECT_COLUMNS, columns, "(?!)" if pairs else RATERS)
    needed = ("instruction", *(("response_a", "response_b") if pairs else ("response",)))
    if missing := [name for name in needed if name not in picked.columns]:
        raise DataError(
            f"{table.name}: the columns {', '.join(missing)} are missing; found {', '.join(table.columns)}. "
            f'Rename them, or say columns={{"their name": {missing[0]!r}}}.'
        )
    said = [name for name in SAID if name in picked.columns]
    if len(said) > 1:
        raise DataError(f"{table.name}: {' and '.join(said)} mean the same; keep one.")
    return pairs, picked


def _direct(where: str, row: Row, rubric: Rubric | str | None, mapping: Mapping[Any, Decision]) -> DirectItem:
    criteria, own = _own_rubric(where, row)
    shared = _shared(where, row, ("response",), own)
    scores = {_rater(name): _scores(where, name, row[name], mapping) for name in row if name in SAID or _is_rater(name)}
    chosen = own if criteria is not None else rubric
    if criteria is not None and own is None:
        raise DataError(
            f"{where}: no rubric, for criteria is filled in and score_1 to score_5 are not; fill them in, or blank "
            "criteria to judge the row by a Rubric for all rows."
        )
    if not isinstance(chosen, Rubric):
        raise DataError(f"{where}: no rubric; fill in criteria and score_1 to score_5, or give a Rubric for all rows.")
    return DirectItem(**shared, rubric=chosen, scores={rater: draws for rater, draws in scores.items() if draws})


def _pair(where: str, row: Row, rubric: Rubric | str | None, mapping: Mapping[Any, Decision]) -> PairItem:
    criteria, own = _own_rubric(where, row)
    if criteria is None and rubric is not None:
        criteria, chosen = (rubric.criteria, rubric) if isinstance(rubric, Rubric) else (rubric, None)
    else:
        chosen = own
    if criteria is None:
        raise DataError(f"{where}: no criteria; fill them in, or give a rubric for all rows.")
    label = next((_label(where, name, row[name], mapping) for name in ("label", "human") if name in row), "")
    return PairItem(
        **_shared(where, row, ("response_a", "response_b"), own), criteria=criteria, rubric=chosen, label=label
    )


def _shared(where: str, row: Row, responses: Sequence[str], own: Rubric | None) -> dict[str, Any]:
    """The fields of both kinds of items; the id is the row's own, or a digest of what a judge reads of it."""
    if missing := [name for name in ("instruction", *responses) if name not in row]:
        raise DataError(f"{where}: no field {missing[0]!r}; add it, null where a response is empty.")
    instruction = _instruction(where, row["instruction"])
    texts = {name: text_of(row[name], where, name) for name in responses}
    reference = text_of(row.get("reference_answer"), where, "reference_answer") or None
    rubric = (own.criteria, *own.descriptions) if own else (text_of(row.get("criteria"), where, "criteria"),)
    given = text_of(row.get("id"), where, "id").strip()
    return {
        "id": given or DIGESTED + digest(instruction, *texts.values(), reference or "", *rubric),
        "instruction": instruction,
        **texts,
        "reference_answer": reference if reference and reference.strip() else None,
        "group": text_of(row.get("group"), where, "group"),
        "cluster": text_of(row.get("cluster"), where, "cluster") or digest(instruction),
    }


# --- what cells mean -------------------------------------------------------------------------------------------------


def _instruction(where: str, value: Any) -> str:
    messages = _loaded(value) if isinstance(value, str) else value
    try:
        text = render_conversation(messages) if is_conversation(messages) else text_of(value, where, "instruction")
    except DataError as error:
        raise DataError(str(error) if str(error).startswith(where) else f"{where}: instruction: {error}") from error
    if is_blank(text):
        raise DataError(f"{where}: instruction is blank; fill it in or leave the row out.")
    return text


def _loaded(text: str) -> Any:
    """The value that a cell holds as JSON, or as Python writes it; None for any other text."""
    if text.lstrip()[:1] not in ("[", "{"):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


def _own_rubric(where: str, row: Row) -> tuple[str | None, Rubric | None]:
    """The row's criteria and, if it has all descriptions, its rubric; None where it has none."""
    given = {name: row[name] for name in RUBRIC_COLUMNS if not is_blank(row.get(name))}
    if not given:
        return None, None
    if "rubric" in given:
        if len(given) > 1:
            raise DataError(f"{where}: rubric stands beside {few(list(given)[1:])}; keep one of them.")
        rubric = _whole_rubric(where, given["rubric"])
        return rubric.criteria, rubric
    if "criteria" not in given:
        raise DataError(f"{where}: {next(iter(given))} is filled in and criteria is blank; fill it in.")
    texts = {name: text_of(value, where, name) for name, value in given.items()}
    if len(texts) == 1:
        return texts["criteria"], None
    if missing := [name for name in RUBRIC_COLUMNS[1:] if name not in texts]:
        raise DataError(f"{where}: {', '.join(missing)} is blank; a rubric describes every score from 1 to 5.")
    return texts["criteria"], Rubric(texts["criteria"], [texts[name] for name in RUBRIC_COLUMNS[2:]])


def _whole_rubric(where: str, value: Any) -> Rubric:
    """A rubric in one cell: an object, the same as JSON, or the text that a prompt shows."""
    value = _loaded(value) or value if isinstance(value, str) else value
    try:
        if isinstance(value, Rubric):
            return value
        if isinstance(value, str):
            return parse_rubric(value)
        if isinstance(value, Mapping) and "criteria" in value:
            return _rubric_of_object(value)
    except (KeyError, ValueError) as error:  # a DataError is a ValueError
        raise DataError(
            f"{where}: not a whole rubric ({error}); use the columns criteria and score_1 to score_5."
        ) from error
    raise DataError(f"{where}: rubric is {type(value).__name__}; use the columns criteria and score_1 to score_5.")


def _rubric_of_object(value: Mapping[str, Any]) -> Rubric:
    """The rubric of an object that holds nothing else: what is not read (a sixth score) may be meant."""
    listed = value.get("descriptions")
    found = [name for score in SCORES for name in _score_names(score) if listed is None and name in value]
    others = [str(name) for name in value if name not in ("criteria", "descriptions", *found)]
    if others:
        raise DataError(f"{few(others)} in it is not read; leave it out")
    if listed is None and len(found) != len(SCORES):
        raise DataError(f"it describes {len(found)} scores")
    return Rubric(value["criteria"], listed if listed is not None else [value[name] for name in found])


def _score_names(score: int) -> tuple[str, ...]:
    return f"score{score}_description", f"score_{score}", f"score{score}", str(score)


def _is_rater(name: str) -> bool:
    return re.fullmatch(RATERS, name) is not None


def _rater(name: str) -> str:
    return "human" if name in SAID else name


def _scores(where: str, name: str, value: Any, mapping: Mapping[Any, Decision]) -> list[float]:
    """A rater's scores: numbers from 1 to 5, several in a list; none where the cell is blank."""
    values = value if isinstance(value, list) else [value]
    scores = [_score(where, name, each, mapping) for each in values if not is_blank(each)]
    return [score for score in scores if score is not None]


def _score(where: str, name: str, value: Any, mapping: Mapping[Any, Decision]) -> float | None:
    """A mean of several people is no whole number, so fractions count; any other text is read as a decision."""
    try:
        return read_decision(value, "direct", mapping)
    except DataError as error:
        text = text_of(value, where, name)
        fraction = float(text) if FRACTION.fullmatch(text.strip()) else 0.0
        if SCORES[0] <= fraction <= SCORES[-1]:
            return fraction
        raise DataError(f"{where}: {name} is {value!r}, wanted a number from 1 to 5, or blank ({error})") from error


def _label(where: str, name: str, value: Any, mapping: Mapping[Any, Decision]) -> str:
    try:
        return str(read_decision(value, "pairwise", mapping) or "")
    except DataError as error:
        raise DataError(f"{where}: {name}: {error}") from error


# --- ids -------------------------------------------------------------------------------------------------------------


def _check_ids(table: Table, items: Items) -> None:
    first: dict[str, str] = {}
    for place, item in zip(table.places, items, strict=True):
        if item.id in first and not item.id.startswith(DIGESTED):
            raise DataError(f"{place}: the id {item.id!r} is already that of {first[item.id]}; give every row its own.")
        first[item.id] = place


def _with_ids(items: Items) -> Items:
    """Number the digests of equal rows, in their order."""
    seen: Counter[str] = Counter()
    result = []
    for item in items:
        seen[item.id] += 1
        digested = item.id.removeprefix(DIGESTED)
        result.append(replace(item, id=digested if seen[item.id] == 1 else f"{digested}-{seen[item.id]}"))
    return result
