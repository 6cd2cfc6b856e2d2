"""Anyone's recorded judgments become rows like those of our own judges."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from .. import artifacts
from ..prompts.parsing import PARSERS, SWAPPED
from ..records import DataError, DirectItem, Judgment, PairItem, as_row, few
from .decisions import Decision, read_decision
from .files import Source, read_table
from .table import Table, pick
from .values import is_blank, text_of

COLUMNS = ("item_id", "id", "decision", "feedback", "judge", "draw", "order", "with_reference")
OWN = "fingerprint"  # the column by which a judgment file of this project is known
FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
DRAWS = 1000  # more draws of one item than anyone makes


class _Setting(NamedTuple):
    """What all rows of one file share."""

    benchmark: str
    format: str
    with_reference: bool | None
    direct: bool
    judge: str
    given: bool
    mapped: bool
    mapping: Mapping[Any, Decision]
    known: dict[str, None]
    own: bool  # a judgment file of this project, whose answers were parsed when they were collected


def read_recorded(
    source: Source,
    items: Sequence[DirectItem] | Sequence[PairItem],
    benchmark: str,
    judge: str | None = None,
    format: str | None = None,
    with_reference: bool | None = None,
    mapped: bool | None = None,
    mapping: Mapping[Any, Decision] | None = None,
    columns: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Return recorded judgments of any source as judgments, one row each, with the fields of `records.Judgment`.

    source: CSV, TSV, JSON Lines, JSON, .xlsx, Parquet, a data frame, a list of dictionaries (see `files.read_table`),
    with one judgment a row. Columns: `item_id` (or `id`), and `decision` (1 to 5; or A, B, tie; in any of the spellings
    of `decisions.read_decision`; blank where the judge gave none) or `feedback` with its whole answer, which is then
    parsed. Optional: `judge`, `draw` (from 0), `order` and `feedback`. A decision names the responses as the judge saw
    them: with order "ba" the item's response B was shown as A, and the decision is mapped back. In our own judgment
    files a blank decision stays one, whatever the feedback says: it was parsed when the answer was whole.

    items: those of the benchmark; benchmark: its name in the run, "vicuna_bench". judge: the judge's name; None means
    column `judge`, else the file's name. format: None means direct for direct items and pairwise for pair items;
    "direct" with pair items means scores of each pair's two responses, with the ids "<id>#a" and "<id>#b".
    with_reference: what the judge saw (None: column `with_reference`, else true for direct items). mapped: decisions
    with order "ba" already name the item's own A and B (None: so in our own judgment files, which have the column
    `fingerprint`, and only there).
    mapping: what other spellings mean ({1: "A", 2: "B", 0: "tie"}). columns: names of other columns
    ({"preference": "decision"}).

    Nothing is dropped: what holds no decision is a judgment without one. Warns once of columns that are not read and of
    blank rows. Raises DataError, with file and line or row, for a missing, doubled or misspelt column, an unknown item,
    a decision outside the menu, a draw that is no count, an order that is not "ab" or "ba", and an item judged twice in
    one draw.

    >>> from prometheus_lib.records import PairItem
    >>> items = [PairItem("p/0", "Say hello.", "Hello!", "No.", None, "Is it polite?")]
    >>> rows = [{"item_id": "p/0", "decision": "model_b", "order": "ba"}]
    >>> read_recorded(rows, items, "my_pairs", judge="the owl")[["judge", "item_id", "decision"]].values.tolist()
    [['the owl', 'p/0', 'A']]
    """
    items = list(items)
    _check_items(items)
    direct = isinstance(items[0], DirectItem)
    format = _format(direct, format)
    sides = [""] if direct or format == "pairwise" else ["#a", "#b"]
    known = dict.fromkeys(f"{item.id}{side}" for item in items for side in sides)
    read = read_table(source, COLUMNS)
    own = {OWN, "decision", "status"} <= set(read.columns)
    table = _columns(read, columns, own)
    _check_judge(table, judge)
    mapped = OWN in read.columns if mapped is None else mapped
    setting = _Setting(
        benchmark, format, with_reference, direct, _judge(source, judge), bool(judge), mapped, mapping or {}, known, own
    )
    found = [_judgment(setting, place, row) for place, row in zip(table.places, table.rows, strict=True)]
    _check_repeats(table, found)
    for note in table.notes:
        warnings.warn(note, stacklevel=2)
    rows = pd.DataFrame([as_row(each) for each in found])
    return rows.assign(decision=pd.Series([each.decision for each in found], dtype=object))  # 4 must not become 4.0


def _check_items(items: Sequence[DirectItem | PairItem]) -> None:
    if not items:
        raise DataError("no items: give the items that were judged, so that the judgments can be told apart.")
    kinds = [kind for kind in (DirectItem, PairItem) if any(isinstance(item, kind) for item in items)]
    if len(kinds) != 1 or not all(isinstance(item, kinds[0]) for item in items):
        raise DataError("the items are not all DirectItem or all PairItem; give those of one benchmark.")
    if twice := [id for id, count in Counter(item.id for item in items).items() if count > 1]:
        raise DataError(f"the items {few(twice)} are there more than once; give every item its own id.")


def _check_judge(table: Table, judge: str | None) -> None:
    """Raise DataError when the answers of several judges would go under one name."""
    said = [text_of(row.get("judge"), place, "judge").strip() for place, row in zip(table.places, table.rows)]
    if judge and len(names := sorted({*said} - {""})) > 1:
        raise DataError(
            f"{table.name}: judge={judge!r} would stand for the {len(names)} judges {few(names)}; leave it out, or "
            "read the rows of one."
        )


def _format(direct: bool, format: str | None) -> str:
    format = format or ("direct" if direct else "pairwise")
    if format not in PARSERS or (direct and format == "pairwise"):
        raise DataError(f'format {format!r} does not fit these items; use "direct" or, for pairs, "pairwise"')
    return format


def _columns(read: Table, columns: Mapping[str, str] | None, own: bool) -> Table:
    """The columns that are read; DataError when one that is needed is missing."""
    table = pick(read, (*COLUMNS, "status") if own else COLUMNS, columns)
    if not {"item_id", "id"} & set(table.columns) or not {"decision", "feedback"} & set(table.columns):
        raise DataError(
            f"{read.name}: the columns item_id and decision (or feedback, to be parsed) are needed; found "
            f'{", ".join(read.columns)}. Rename them, or say columns={{"their name": "decision"}}.'
        )
    if {"item_id", "id"} <= set(table.columns):
        table = replace(table, notes=(*table.notes, f"{read.name}: id stands beside item_id and is not read."))
    return table


def _judge(source: Source, judge: str | None) -> str:
    """The name of a judge that no row names; "" where the source has no name of a file."""
    return judge or (Path(source).name.split(".")[0] if isinstance(source, (str, os.PathLike)) else "")


# --- rows ------------------------------------------------------------------------------------------------------------


def _judgment(setting: _Setting, where: str, row: Mapping[str, Any]) -> Judgment:
    item_id, order, draw = _item(setting, where, row), _order(where, row), _draw(where, row)
    decision, feedback, as_shown = _decision(setting, where, row)
    if order == "ba" and as_shown:
        decision = SWAPPED.get(decision, decision)
    judge, reference = _name(setting, where, row), _with_reference(setting, where, row)
    status = "ok" if decision is not None else _status(setting, row)
    key = artifacts.text_hash("recorded", judge, setting.benchmark, item_id, setting.format, reference, order, draw)
    return Judgment(
        judge, "recorded", setting.benchmark, item_id, setting.format, reference, order, draw, decision, feedback,
        status, 1, 0, key,
    )  # fmt: skip


def _item(setting: _Setting, where: str, row: Mapping[str, Any]) -> str:
    name = "item_id" if "item_id" in row else "id"
    item_id = text_of(row.get(name), where, name).strip()
    if item_id not in setting.known:
        raise DataError(
            f"{where}: item {item_id!r} is not in {setting.benchmark}; its {len(setting.known)} ids look like "
            f"{next(iter(setting.known))!r}."
        )
    return item_id


def _name(setting: _Setting, where: str, row: Mapping[str, Any]) -> str:
    given = "" if setting.given else text_of(row.get("judge"), where, "judge").strip()
    if not (given or setting.judge):
        raise DataError(f'{where}: no judge; fill in a column judge, or say judge="its name".')
    return given or setting.judge


def _decision(setting: _Setting, where: str, row: Mapping[str, Any]) -> tuple[Decision, str, bool]:
    """The decision, its feedback, and whether it is about the responses as shown.

    Without a decision, what the judge's text says; but a file of this project has been parsed already, and there the
    text of an answer that was cut off, or refused, says nothing more.
    """
    given, text = row.get("decision"), text_of(row.get("feedback"), where, "feedback")
    if is_blank(given) and setting.own:
        return None, text, False
    if is_blank(given):
        parsed = PARSERS[setting.format](text)
        return parsed.decision, parsed.feedback, True
    try:
        return read_decision(given, setting.format, setting.mapping), text, not setting.mapped
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _status(setting: _Setting, row: Mapping[str, Any]) -> str:
    """Why there is no decision: as a file of this project says, else that nothing could be read."""
    said = row.get("status") if setting.own else None
    return "unparsed" if is_blank(said) else str(said)


def _order(where: str, row: Mapping[str, Any]) -> str:
    order = text_of(row.get("order"), where, "order").strip().lower() or "ab"
    if order not in ("ab", "ba"):
        raise DataError(f'{where}: order {row["order"]!r} is neither "ab" nor "ba" (response B was shown first).')
    return order


def _draw(where: str, row: Mapping[str, Any]) -> int:
    text = text_of(row.get("draw"), where, "draw").strip() or "0"
    number = float(text) if re.fullmatch(r"[0-9]+(\.0*)?", text) else -1.0
    if not 0 <= number < DRAWS:
        raise DataError(f"{where}: draw {row['draw']!r} is not a number of a draw; draws count 0, 1, 2, ...")
    return int(number)


def _with_reference(setting: _Setting, where: str, row: Mapping[str, Any]) -> bool:
    if setting.with_reference is not None or is_blank(row.get("with_reference")):
        return setting.direct if setting.with_reference is None else setting.with_reference
    said = FLAGS.get(str(row["with_reference"]).strip().lower())
    if said is None:
        raise DataError(f"{where}: with_reference is {row['with_reference']!r}; write true or false.")
    return said


def _check_repeats(table: Table, found: Sequence[Judgment]) -> None:
    """Each item once per judge, order and draw; draws without gaps from 0."""
    first: dict[str, str] = {}
    for place, each in zip(table.places, found, strict=True):
        if each.key in first:
            raise DataError(
                f"{place}: item {each.item_id!r}, draw {each.draw}, is already in {first[each.key]}; "
                "number repeated answers in a column draw (0, 1, 2), or delete one."
            )
        first[each.key] = place.removeprefix(f"{table.name}, ")
    draws = {each.draw for each in found}
    if draws != set(range(len(draws))):
        raise DataError(f"{table.name}: draws {sorted(draws)[:9]} leave a gap; they count 0, 1, 2, ...")
