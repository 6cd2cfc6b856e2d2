"""Is the feedback any good? Sheets for annotators, and Table 7 from what they fill in (appendix A).

As in the paper, 200 pairs of different instructions are read. Each shows the comparing feedback and, beside it, the two
single pieces of feedback one after the other; annotators do not know which text is which. They are asked about both:
does it fit the decision (coherence), does it keep to the criterion (suitability), and which of the two is more critical
(criticality). A sheet is a CSV file, or one HTML page that works without a network, keeps what is entered and saves it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ...artifacts import text_hash
from ...records import DataError, write_text_atomic
from .hashing import digest, place
from .pairing import pair_id
from .schema import Row

ITEMS = 200
YES_NO = ("yes", "no")
QUESTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "fits_1": ("Does text 1 fit the decision?", YES_NO),
    "fits_2": ("Does text 2 fit the decision?", YES_NO),
    "suits_1": ("Does text 1 keep to the criterion?", YES_NO),
    "suits_2": ("Does text 2 keep to the criterion?", YES_NO),
    "more_critical": (
        "Which text is more critical: which makes more of what the responses share, and of where they differ?",
        ("1", "2"),
    ),
}  # fmt: skip
STANDARDS = {"fits": "Coherence", "suits": "Suitability", "more_critical": "Criticality"}
_SHOWN = ("instruction", "criteria", "response_a", "response_b", "decision", "text_1", "text_2")
_SPOKEN = {"yes": 1.0, "y": 1.0, "true": 1.0, "no": 0.0, "n": 0.0, "false": 0.0}
KEY = "key.json"
_PAGE = Path(__file__).with_name("annotation_page.html")


# --- sheets ----------------------------------------------------------------------------------------------------------


def concatenation(row: Mapping[str, Any]) -> str:
    """Return the two single pieces of feedback of a pair, one after the other."""
    return f"Response A: {row['orig_feedback_A']}\n\nResponse B: {row['orig_feedback_B']}"


def annotation_items(rows: Iterable[Row], count: int = ITEMS, seed: int = 42) -> list[dict[str, str]]:
    """Return `count` items of different instructions, drawn by hash; half of them show the comparing feedback first.

    `comparing` says which text is the comparing one, "1" or "2", and is not for annotators. Raises DataError when too
    few instructions have a pair with all three pieces of feedback.
    """
    by_instruction: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: place(seed, bytes.fromhex(pair_id(row)))):
        if all(row.get(name) for name in ("orig_feedback", "orig_feedback_A", "orig_feedback_B")):
            by_instruction.setdefault(row["orig_instruction"], row)
    if len(by_instruction) < count:
        raise DataError(
            f"{count} items of different instructions are wanted, and {len(by_instruction)} instructions have a pair "
            "with comparing feedback and both single ones; lower the count, or keep orig_feedback_A and _B."
        )
    chosen = list(by_instruction.values())[:count]
    return [_item(row, "12"[number % 2]) for number, row in enumerate(chosen)]


def _item(row: Row, comparing: str) -> dict[str, str]:
    texts = [row["orig_feedback"], concatenation(row)]
    first, second = texts if comparing == "1" else texts[::-1]
    values = (
        row["orig_instruction"], row["orig_criteria"], row["orig_response_A"], row["orig_response_B"],
        f"Response {row['orig_preference']} is better.", first, second,
    )  # fmt: skip
    return {"item": pair_id(row), **dict(zip(_SHOWN, values, strict=True)), "comparing": comparing}


def write_sheets(
    rows: Iterable[Row], folder: str | Path, annotators: Sequence[str], count: int = ITEMS, seed: int = 42
) -> list[Path]:
    """Write for each annotator a CSV sheet and the same as an HTML page, each in an order of its own, and the key.

    The key (which text is which) stays with you. Spreadsheets cut cells of more than 32,767 characters; the page does
    not. Raises DataError as `annotation_items` does.
    """
    folder, items = Path(folder), annotation_items(rows, count, seed)
    written = [
        write_text_atomic(folder / KEY, json.dumps({item["item"]: item["comparing"] for item in items}, indent=1))
    ]
    for name in annotators:
        own = sorted(items, key=lambda item: place(seed, digest(name), bytes.fromhex(item["item"])))
        blind = [{field: value for field, value in item.items() if field != "comparing"} for item in own]
        written.append(write_text_atomic(folder / f"{name}.csv", "\ufeff" + sheet_csv(blind)))
        written.append(write_text_atomic(folder / f"{name}.html", sheet_page(name, blind)))
    return written


def sheet_csv(items: Sequence[Mapping[str, str]]) -> str:
    """Return a sheet as CSV with empty columns for the answers; cells that a spreadsheet would run are defused."""
    out = io.StringIO()
    table = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    table.writerow(["item", *_SHOWN, *QUESTIONS])
    for item in items:
        table.writerow([item["item"], *(_defused(item[name]) for name in _SHOWN), *[""] * len(QUESTIONS)])
    return out.getvalue()


def _defused(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def sheet_page(annotator: str, items: Sequence[Mapping[str, str]]) -> str:
    """Return a sheet as one HTML page that needs no network; texts stand in it as data and are never run."""
    questions = {name: {"text": text, "answers": answers} for name, (text, answers) in QUESTIONS.items()}
    sheet = {"annotator": annotator, "items": list(items), "questions": questions}
    sheet["fingerprint"] = text_hash(annotator, *(item["item"] for item in items))
    data = json.dumps(sheet).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return _PAGE.read_text(encoding="utf-8").replace("__DATA__", data)


# --- what was filled in ----------------------------------------------------------------------------------------------


def read_sheets(folder: str | Path, files: Sequence[str | Path] | None = None) -> pd.DataFrame:
    """Read filled sheets of a folder and its key; one row per annotator, item and question.

    Columns: annotator (the file's name), item, standard (as in Table 7), text ("comparing" or "concatenation"), answer
    (1 for yes, or where that text was called the more critical one; NaN where nothing was entered). Commas, semicolons
    and tabs are read as they come from spreadsheets. Raises DataError naming file, row and column of what cannot be
    read, and when there is no sheet.
    """
    folder = Path(folder)
    try:
        key = json.loads((folder / KEY).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / KEY}: the key cannot be read ({error}); it was written with the sheets.") from error
    sheets = [Path(file) for file in files] if files is not None else sorted(folder.glob("*.csv"))
    if not sheets:
        raise DataError(f"{folder}: there is no sheet (*.csv).")
    names = [file.stem for file in sheets]
    if len(set(names)) < len(names):
        raise DataError(f"{folder}: two sheets have one name ({', '.join(names)}); a sheet's name is its annotator.")
    return pd.DataFrame(line for file in sheets for line in _answers(file, key))


def _answers(file: Path, key: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for number, row in enumerate(_sheet_rows(file), start=1):
        item, where = row["item"].strip(), f"{file}, row {number}"
        if item not in key or item in seen:
            raise DataError(f"{where}: item {item!r} {'stands there twice' if item in seen else 'is not in the key'}.")
        seen.add(item)
        own = {"annotator": file.stem, "item": item}
        for name, (_, allowed) in QUESTIONS.items():
            answer = _answer(row[name], allowed, f"{where}, column {name}")
            for standard, text, value in _meaning(name, answer, key[item]):
                yield {**own, "standard": standard, "text": text, "answer": value}
    if missing := len(key) - len(seen):
        raise DataError(f"{file}: {missing} of {len(key)} items are missing; leave unanswered items in the sheet.")


def _sheet_rows(file: Path) -> list[dict[str, str]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({error}); save the sheet as CSV UTF-8.") from error
    csv.field_size_limit(1 << 30)
    header = text.partition("\n")[0]
    cut = max(",;\t", key=header.count)
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=cut))
    missing = [name for name in ("item", *QUESTIONS) if not rows or rows[0].get(name) is None]
    if missing:
        raise DataError(f"{file}: columns {', '.join(missing)} are missing; take a sheet of write_sheets.")
    return rows


def _answer(given: str | None, allowed: Sequence[str], where: str) -> float | None:
    """Return yes as 1, no as 0, a text's number as it is, and None where nothing was entered."""
    word = (given or "").strip().lower()
    if not word:
        return None
    if allowed == YES_NO and word in _SPOKEN:
        return _SPOKEN[word]
    if allowed != YES_NO and word in allowed:
        return float(word)
    raise DataError(f"{where}: {given!r} is no answer; write {' or '.join(allowed)}, or nothing.")


def _meaning(name: str, answer: float | None, comparing: str) -> list[tuple[str, str, float | None]]:
    """Return (standard, text, value) of an answer, with the text's number turned into what it is."""
    if name == "more_critical":
        won = None if answer is None else float(answer == float(comparing))
        return [(STANDARDS[name], "comparing", won)]
    kind, number = name.split("_")
    return [(STANDARDS[kind], "comparing" if number == comparing else "concatenation", answer)]


def annotation_table(answers: pd.DataFrame, resamples: int = 2000) -> pd.DataFrame:
    """Return Table 7 of filled sheets: shares of all votes with intervals over items, majorities, and agreement.

    One row per standard and text; "share" is that of yes, or of votes for the comparing text. "alpha" is Krippendorff's
    (nominal) over annotators, with its interval; NaN where all votes are equal, or there is one annotator. "missing"
    counts what was not answered.
    """
    from ...metrics import bootstrap_alpha, bootstrap_mean  # scipy, which other uses of this room do not need

    lines = []
    for (standard, text), part in answers.groupby(["standard", "text"], sort=False):
        given = part.dropna(subset=["answer"])
        ratings = part.pivot(index="annotator", columns="item", values="answer").astype(float)
        share = bootstrap_mean(given["answer"], clusters=given["item"].to_numpy(), n_resamples=resamples)
        alpha = bootstrap_alpha(ratings.to_numpy(), measurement="nominal", n_resamples=resamples)
        majority = ratings.mean().dropna()
        lines.append({
            "standard": standard, "text": text, "share": share.estimate, "low": share.low, "high": share.high,
            "votes": len(given), "items": given["item"].nunique(), "majority": float((majority > 0.5).mean()),
            "alpha": alpha.estimate, "alpha low": alpha.low, "alpha high": alpha.high,
            "missing": int(part["answer"].isna().sum()),
        })  # fmt: skip
    order = [*STANDARDS.values()]
    lines.sort(key=lambda line: (line["text"], order.index(line["standard"])))
    return pd.DataFrame(lines)
