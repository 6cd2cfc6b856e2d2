"""Anyone's own data: recorded judgments become rows like those of our own judges, and responses become items to judge.

Both are CSV or JSON Lines files. Items: see `read_own_items`. Judgments: one line each, with the columns `item_id` (or
`id`) and `decision` (1 to 5; or A, B, tie; blank where no decision could be read), or `feedback` with the judge's whole
answer, which is then parsed. Optional: `judge`, `draw` (from 0), `order` and `feedback`. A decision names the responses
as the judge saw them: with order "ba" the item's response B was shown as A, and the decision is mapped back. Nothing is
dropped: what holds no decision is a judgment without one. `tables.Run.with_judgments` brings the rows into every table.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from .. import artifacts
from ..prompts.parsing import PARSERS, SWAPPED
from ..records import DataError, DirectItem, Judgment, MissingFile, PairItem, Rubric, as_row, few, open_text, read_jsonl

_DIRECT_MENU: dict[str, int | str] = {text: score for score in range(1, 6) for text in (str(score), f"{score}.0")}
_MENUS: dict[str, dict[str, int | str]] = {"direct": _DIRECT_MENU, "pairwise": {"a": "A", "b": "B", "tie": "tie"}}
_WORDS = {"direct": "1, 2, 3, 4, 5", "pairwise": "A, B, tie"}
_MORE = "\0"  # where the CSV reader puts fields beyond the header
_ENDINGS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".json")


class _Setting(NamedTuple):
    """What all rows of one file share."""

    path: Path
    benchmark: str
    format: str
    with_reference: bool
    judge: str | None
    mapped: bool
    known: dict[str, None]


def read_recorded(
    path: str | Path,
    items: Sequence[DirectItem] | Sequence[PairItem],
    benchmark: str,
    judge: str | None = None,
    format: str | None = None,
    with_reference: bool | None = None,
    mapped: bool = False,
) -> pd.DataFrame:
    """Return a recorded file as judgments, one row each, with the fields of `records.Judgment` as columns.

    path: CSV (.csv) or JSON Lines (.jsonl, .json), optionally .gz. items: those of the benchmark; benchmark: its name
    in the run, "vicuna_bench". judge: the judge's name; None means column `judge`, else the file's name. format: None
    means direct for direct items and pairwise for pair items; "direct" with pair items means scores of each pair's two
    responses, with the ids "<id>#a" and "<id>#b". with_reference: what the judge saw (None: true for direct items).
    mapped: decisions with order "ba" already name the item's own A and B, as in our judgment files.

    Raises DataError, with file and row (from 1), for a missing column, an unknown item, a decision outside the menu, a
    draw that is no count, an order that is not "ab" or "ba", and an item judged twice in one draw.
    """
    path, direct = Path(path), isinstance(items[0], DirectItem)
    format = format or ("direct" if direct else "pairwise")
    if format not in PARSERS or (direct and format == "pairwise"):
        raise DataError(f'format {format!r} does not fit these items; use "direct" or, for pairs, "pairwise"')
    sides = [""] if direct or format == "pairwise" else ["#a", "#b"]
    known = dict.fromkeys(f"{item.id}{side}" for item in items for side in sides)
    seen = direct if with_reference is None else with_reference
    setting = _Setting(path, benchmark, format, seen, judge, mapped, known)
    rows = _read_judgments(path)
    found = [_judgment(setting, number, row) for number, row in enumerate(rows, start=1)]
    _check_repeats(path, found)
    table = pd.DataFrame([as_row(each) for each in found])
    return table.assign(decision=pd.Series([each.decision for each in found], dtype=object))  # 4 must not become 4.0


# --- items -----------------------------------------------------------------------------------------------------------


def read_own_items(path: str | Path, rubric: Rubric | None = None) -> list[DirectItem] | list[PairItem]:
    """Return the responses of a CSV or JSON Lines file as items to judge, one per row.

    Columns: `instruction`, and `response` (direct assessment) or `response_a` and `response_b` (pairwise ranking).
    Optional: `id` (default: the row's number), `reference_answer`, `label` (of pairs: A, B, tie), and a rubric of the
    row's own, `criteria` and `score_1` to `score_5`; other rows are judged by `rubric`. A pair needs the criteria only.

    Raises DataError, with file and row (from 1), for missing columns, blank texts, a row without a rubric, a label
    that is none, and an id that is there twice.
    """
    path = Path(path)
    rows = _read_rows(path)
    pairs = "response_a" in rows[0]
    needed = ("instruction", *(("response_a", "response_b") if pairs else ("response",)))
    if missing := [name for name in needed if name not in rows[0]]:
        raise DataError(f"{path}: the columns {', '.join(missing)} are missing; found {', '.join(map(str, rows[0]))}.")
    items = [_own_item(f"{path}, row {n}", n, row, needed, rubric) for n, row in enumerate(rows, start=1)]
    if twice := [id for id, count in Counter(item.id for item in items).items() if count > 1]:
        raise DataError(f"{path}: the ids {few(twice)} are there more than once; give every row its own.")
    return items


def _own_item(
    where: str, number: int, row: Mapping[str, Any], needed: Sequence[str], rubric: Rubric | None
) -> DirectItem | PairItem:
    if blank := [name for name in needed if _blank(row.get(name))]:
        raise DataError(f"{where}: {', '.join(blank)} is blank; fill it in or leave the row out.")
    common = {name: str(row[name]) for name in needed}
    common["id"] = str(number if _blank(row.get("id")) else row["id"])
    common["reference_answer"] = None if _blank(row.get("reference_answer")) else str(row["reference_answer"])
    criteria, own = _own_rubric(row, rubric)
    if "response" in common:
        if own is None:
            raise DataError(f"{where}: no rubric; fill in criteria and score_1 to score_5, or give one for all rows.")
        return DirectItem(**common, rubric=own)
    if criteria is None:
        raise DataError(f"{where}: no criteria; fill them in, or give a rubric for all rows.")
    return PairItem(**common, criteria=criteria, label=_label(where, row), rubric=own)


def _own_rubric(row: Mapping[str, Any], rubric: Rubric | None) -> tuple[str | None, Rubric | None]:
    """Return the row's criteria and, if it has all descriptions, its rubric; those of all rows where it has none."""
    if _blank(row.get("criteria")):
        return (rubric.criteria, rubric) if rubric else (None, None)
    scores = [row.get(f"score_{score}") for score in range(1, 6)]
    own = None if any(map(_blank, scores)) else Rubric(str(row["criteria"]), tuple(map(str, scores)))
    return str(row["criteria"]), own


def _label(where: str, row: Mapping[str, Any]) -> str:
    if _blank(row.get("label")):
        return ""
    label = _MENUS["pairwise"].get(str(row["label"]).strip().lower())
    if label is None:
        raise DataError(f"{where}: label {row['label']!r} is none of {_WORDS['pairwise']}; leave it blank if unknown.")
    return str(label)


# --- files -----------------------------------------------------------------------------------------------------------


def _read_rows(path: Path) -> list[dict[str, Any]]:
    if not path.name.endswith(_ENDINGS):
        raise DataError(f"{path}: the name must end in one of {', '.join(_ENDINGS)}, so that the format is known.")
    rows = _read_csv(path) if ".csv" in path.suffixes else read_jsonl(path)
    if not rows:
        raise DataError(f"{path}: holds no rows.")
    return rows


def _read_judgments(path: Path) -> list[dict[str, Any]]:
    rows = _read_rows(path)
    columns = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    if not {"item_id", "id"} & set(columns) or not {"decision", "feedback"} & set(columns):
        raise DataError(
            f"{path}: the columns item_id and decision (or feedback, to be parsed) are needed; found {columns}."
        )
    return rows


def _read_csv(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise MissingFile(f"{path}: file not found; check its name and folder.")
    try:
        with open_text(path) as file:
            text = file.read().removeprefix("\ufeff")  # a mark that spreadsheets write
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise DataError(f"{path}: not UTF-8 text ({type(error).__name__}); save it as UTF-8.") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey=_MORE)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not CSV ({error}).") from error
    for number, row in enumerate(rows, start=1):
        if _MORE in row or None in row.values():
            raise DataError(
                f"{path}, row {number}: not as many fields as the header's {len(reader.fieldnames or [])}; "
                "put texts with commas into quotation marks."
            )
    return rows


# --- rows ------------------------------------------------------------------------------------------------------------


def _judgment(setting: _Setting, number: int, row: Mapping[str, Any]) -> Judgment:
    where = f"{setting.path}, row {number}"
    item_id = str(row["item_id"] if "item_id" in row else row.get("id"))
    if item_id not in setting.known:
        raise DataError(
            f"{where}: item {item_id!r} is not in {setting.benchmark}; its {len(setting.known)} ids look like "
            f"{next(iter(setting.known))!r}."
        )
    text = "" if _blank(row.get("feedback")) else str(row["feedback"])
    order, draw = _order(where, row), _draw(where, row)
    decision, feedback = _decision(where, row.get("decision"), text, setting.format)
    if order == "ba" and not setting.mapped:
        decision = SWAPPED.get(decision, decision)
    judge = setting.judge or (str(row["judge"]) if not _blank(row.get("judge")) else _stem(setting.path))
    reference, status = setting.with_reference, "ok" if decision is not None else "unparsed"
    key = artifacts.text_hash("recorded", judge, setting.benchmark, item_id, setting.format, reference, order, draw)
    return Judgment(
        judge, "recorded", setting.benchmark, item_id, setting.format, reference, order, draw, decision, feedback,
        status, 1, 0, key,
    )  # fmt: skip


def _decision(where: str, given: Any, text: str, format: str) -> tuple[int | str | None, str]:
    """The decision and its feedback; without a decision, what the judge's text says."""
    if _blank(given):
        parsed = PARSERS[format](text)
        return parsed.decision, parsed.feedback
    menu = _MENUS[format]
    known = menu.get(str(given).strip().lower())
    if known is None:
        raise DataError(f"{where}: decision {given!r} is none of {_WORDS[format]}; leave it blank where none was read.")
    return known, text


def _order(where: str, row: Mapping[str, Any]) -> str:
    order = "ab" if _blank(row.get("order")) else str(row["order"]).strip().lower()
    if order not in ("ab", "ba"):
        raise DataError(f'{where}: order {row["order"]!r} is neither "ab" nor "ba" (response B was shown first).')
    return order


def _draw(where: str, row: Mapping[str, Any]) -> int:
    given = 0 if _blank(row.get("draw")) else row["draw"]
    try:
        number = float(given)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < 1000 or number % 1:
        raise DataError(f"{where}: draw {given!r} is not a number of a draw; draws count 0, 1, 2, ...")
    return int(number)


def _blank(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _stem(path: Path) -> str:
    return path.name.split(".")[0]


def _check_repeats(path: Path, found: Sequence[Judgment]) -> None:
    """Each item once per judge, order and draw; draws without gaps from 0."""
    first: dict[str, int] = {}
    for number, each in enumerate(found, start=1):
        if each.key in first:
            raise DataError(
                f"{path}, row {number}: item {each.item_id!r}, draw {each.draw}, is already in row {first[each.key]}; "
                "number repeated answers in a column draw (0, 1, 2), or delete one."
            )
        first[each.key] = number
    draws = {each.draw for each in found}
    if draws != set(range(len(draws))):
        raise DataError(f"{path}: draws {sorted(draws)[:9]} leave a gap; they count 0, 1, 2, ...")


# --- human votes on MT-Bench -----------------------------------------------------------------------------------------


def read_votes(folder: str | Path) -> pd.DataFrame:
    """Return the released votes on first-turn MT-Bench answers: question, pair, judge, decision ("A", "B", "tie").

    `folder` holds `mtbench_human/`. A pair is two models in alphabetical order, A the first of them; judges are
    "expert_..." and "author_..." (humans) and "gpt4_pair" (GPT-4 in both orders; where the orders differ, a tie).
    """
    found = []
    for name in ("human_turn1.jsonl", "gpt4_pair_turn1.jsonl"):
        path = Path(folder) / "mtbench_human" / name
        found += [_vote(path, number, row) for number, row in enumerate(read_jsonl(path), start=1)]
    return pd.DataFrame(found, columns=["question", "pair", "judge", "decision"])


def _vote(path: Path, number: int, row: Mapping[str, Any]) -> tuple[int, str, str, str]:
    try:
        models = sorted((row["model_a"], row["model_b"]))
        decision = "tie" if "tie" in row["winner"] else "AB"[models.index(row[row["winner"]])]
        return row["question_id"], f"{row['question_id']} {' '.join(models)}", row["judge"], decision
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}, row {number}: not a vote ({error!r}); get the file again.") from error


def expert_pairs(votes: pd.DataFrame) -> pd.DataFrame:
    """Return every two expert votes on one pair of answers: question, first, second."""
    experts = votes[votes["judge"].str.startswith("expert")]
    rows = [
        (group["question"].iloc[0], *two)
        for _, group in experts.groupby("pair", sort=False)
        for two in _couples(group["decision"])
    ]
    return pd.DataFrame(rows, columns=["question", "first", "second"])


def _couples(decisions: pd.Series) -> Iterator[tuple[str, str]]:
    return itertools.combinations(decisions.tolist(), 2)


def gpt4_against_experts(votes: pd.DataFrame) -> pd.DataFrame:
    """Return GPT-4's decision beside each expert vote on the same pair: question, first (GPT-4), second (expert)."""
    gpt4 = votes[votes["judge"] == "gpt4_pair"].drop_duplicates("pair").set_index("pair")["decision"]
    experts = votes[votes["judge"].str.startswith("expert") & votes["pair"].isin(gpt4.index)]
    first = gpt4.loc[experts["pair"]].to_numpy()
    return pd.DataFrame({"question": experts["question"].to_numpy(), "first": first, "second": experts["decision"]})
