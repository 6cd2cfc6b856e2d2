"""Rows of the released benchmark files become items: one function for each form of file.

No order of A and B depends on a label or on a judge.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..records import DataError, DirectItem, PairItem, Rubric
from .files import read_json
from .prompt_sections import canonical, parse_rubric, split_prompt

Row = dict[str, Any]

# The released code gives Auto-J Eval a rubric that starts with a newline and then keeps the text before the
# first newline, so its judge saw an empty criterion (variant `paper-code`). This sentence is our own.
AUTOJ_CRITERIA = "Does the response help the user: is it correct, relevant, complete and clearly written?"
AUTOJ_RUBRIC = Rubric(  # ours as well: direct-for-pairs needs score descriptions
    AUTOJ_CRITERIA,
    (
        "The response does not help, or misleads.",
        "The response helps a little, with serious errors or gaps.",
        "The response helps in part, with some errors or gaps.",
        "The response helps well, with minor flaws.",
        "The response helps fully: it is correct, relevant, complete and clear.",
    ),
)

# Score field of a file -> rater. Table 3 names GPT-4-1106, humans and, for Feedback Bench, GPT-4-0613.
_RATERS = {"gpt4_score": "gpt-4-1106", "human_score": "human"}
_FEEDBACK_RATERS = {"orig_score": "gpt-4-0613", "gpt4_score": "gpt-4-0613"}
_BIGGEN_RATERS = {
    "human_score": "human",
    "gpt4_score": "gpt-4-1106",
    "gpt4_04_turbo_score": "gpt-4-turbo-2024-04-09",
    "claude_score": "claude-3-opus",
}


def each_row(rows: list[Row], path: Path, convert: Callable[[int, Row], Any]) -> list[Any]:
    """Apply `convert(number, row)` to all rows; a fault becomes a DataError with file, row (from 1) and advice."""
    converted = []
    for number, row in enumerate(rows):
        try:
            converted.append(convert(number, row))
        except KeyError as error:
            raise DataError(
                f"{path}, row {number + 1}: no field {error}; repair the row or get the file again."
            ) from error
        except (TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path}, row {number + 1}: {error}; repair the row or get the file again.") from error
    return converted


def direct_items(name: str, rows: list[Row], path: Path) -> list[DirectItem]:
    ids = _distinct(each_row(rows, path, lambda _, row: f"{name}/{_direct_key(row)}"))
    return each_row(rows, path, lambda number, row: _direct_from_prompt(ids[number], name, row, _RATERS))


def _direct_key(row: Row) -> str:
    if "idx" not in row:
        return digest(canonical(_text(row, "instruction")))
    return "/".join([str(row["idx"]), *([row["response_source"]] if "response_source" in row else [])])


def _direct_from_prompt(item_id: str, name: str, row: Row, raters: dict[str, str]) -> DirectItem:
    instruction, response, reference, rubric = split_prompt(_text(row, "instruction"))
    return DirectItem(
        id=item_id,
        instruction=instruction,
        response=response,
        reference_answer=reference,
        rubric=parse_rubric(rubric),
        scores=_scores(row, raters),
        group=row.get("category", ""),
        cluster=f"{name}/{row['idx'] if 'idx' in row else digest(instruction)}",
        prompt=canonical(row["instruction"]),
        meta={key: row[key] for key in ("response_source", "gpt4_feedback") if key in row},
    )


def feedback_items(name: str, rows: list[Row], path: Path) -> list[DirectItem]:
    def convert(number: int, row: Row) -> DirectItem:
        item_id = f"{name}/{number:04d}"
        if "orig_instruction" not in row:
            return _direct_from_prompt(item_id, name, row, _FEEDBACK_RATERS)
        return DirectItem(
            id=item_id,
            instruction=_text(row, "orig_instruction"),
            response=_text(row, "orig_response"),
            reference_answer=_text(row, "orig_reference_answer"),
            rubric=_rubric_from_row(row, "orig_"),
            scores=_scores(row, {"orig_score": "gpt-4-0613"}),
            cluster=f"{name}/{digest(row['orig_instruction'])}",
            meta={"orig_feedback": row["orig_feedback"]} if "orig_feedback" in row else {},
        )

    return each_row(rows, path, convert)


def biggen_items(name: str, rows: list[Row], path: Path) -> list[DirectItem]:
    ids = _distinct(each_row(rows, path, lambda _, row: f"{name}/{row['id']}/{_biggen_model(row)}"))

    def convert(number: int, row: Row) -> DirectItem:
        return DirectItem(
            id=ids[number],
            instruction=_text(row, "input"),
            response=_text(row, "response"),
            reference_answer=_text(row, "reference_answer"),
            rubric=_rubric_from_row(row["score_rubric"], ""),
            scores=_scores(row, _BIGGEN_RATERS),
            group=row.get("capability", ""),
            cluster=f"{name}/{row['id']}",
            meta={"response_source": _biggen_model(row)} | {k: row[k] for k in ("task", "system_prompt") if k in row},
        )

    return each_row(rows, path, convert)


def _biggen_model(row: Row) -> str:
    return row.get("response_model_name") or row.get("model_name") or "unknown"


def chosen_rejected_items(name: str, rows: list[Row], path: Path) -> list[PairItem]:
    """Build pairs from two prompts; A and B are drawn from the ids, exactly balanced (odd n: one more A).

    The draw is not that by which a part of the items is chosen (`attacks.first_by_hash`): the first twenty by one hash
    would all have the label A.
    """
    parsed = each_row(rows, path, lambda _, row: _parse_pair(row))
    ids = _distinct([f"{name}/{pair['key']}" for pair in parsed])
    chosen_first = set(sorted(ids, key=lambda id: _sha256(f"chosen first/{id}"))[: (len(ids) + 1) // 2])
    triples = zip(ids, parsed, rows, strict=True)
    return [_pair_item(name, item_id, pair, row, item_id in chosen_first) for item_id, pair, row in triples]


def _parse_pair(row: Row) -> Row:
    """Split both prompts of a pair; its key comes from the sorted responses, so it cannot carry the label."""
    instruction, chosen, reference, rubric = split_prompt(_text(row, "chosen_instruction"))
    other_instruction, rejected, other_reference, other_rubric = split_prompt(_text(row, "rejected_instruction"))
    if (instruction, reference, rubric) != (other_instruction, other_reference, other_rubric):
        raise ValueError("chosen_instruction and rejected_instruction differ in more than the response")
    return {
        "key": digest(instruction, *sorted([chosen, rejected])),
        "instruction": instruction,
        "responses": (chosen, rejected),
        "reference": reference,
        "rubric": parse_rubric(rubric),
        "prompts": (canonical(row["chosen_instruction"]), canonical(row["rejected_instruction"])),
        "tie": choice({"tie": 0} | row, "tie", {0: False, 1: True}),
    }


def _pair_item(name: str, item_id: str, pair: Row, row: Row, chosen_first: bool) -> PairItem:
    step = 1 if chosen_first else -1
    response_a, response_b = pair["responses"][::step]
    prompt_a, prompt_b = pair["prompts"][::step]
    return PairItem(
        id=item_id,
        instruction=pair["instruction"],
        response_a=response_a,
        response_b=response_b,
        reference_answer=pair["reference"],
        criteria=pair["rubric"].criteria,
        label="tie" if pair["tie"] else ("A" if chosen_first else "B"),
        group=row.get("source") or row.get("category") or "",
        cluster=f"{name}/{digest(pair['instruction'])}",
        rubric=pair["rubric"],
        prompts={"a": prompt_a, "b": prompt_b},
    )


def autoj_items(name: str, rows: list[Row], path: Path) -> list[PairItem]:
    groups = _scenario_groups(path.parent.parent / "autoj_outputs" / "scenario_groups.json")

    def convert(number: int, row: Row) -> PairItem:
        return PairItem(
            id=f"{name}/{number:04d}",
            instruction=_text(row, "prompt"),
            response_a=_text(row, "response 1"),
            response_b=_text(row, "response 2"),
            reference_answer=None,
            criteria=AUTOJ_CRITERIA,
            label=choice(row, "label", {0: "A", 1: "B", 2: "tie"}),
            group=groups.get(row["scenario"], row["scenario"]),
            cluster=f"{name}/{digest(row['prompt'])}",
            rubric=AUTOJ_RUBRIC,
            meta={"scenario": row["scenario"]},
        )

    return each_row(rows, path, convert)


def _scenario_groups(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    groups = read_json(path)
    return {scenario: group for group, scenarios in groups.items() for scenario in scenarios}


def preference_items(name: str, rows: list[Row], path: Path) -> list[PairItem]:
    if "chosen_instruction" in rows[0]:
        return chosen_rejected_items(name, rows, path)

    def convert(number: int, row: Row) -> PairItem:
        return PairItem(
            id=f"{name}/{number:04d}",
            instruction=_text(row, "orig_instruction"),
            response_a=_text(row, "orig_response_A"),
            response_b=_text(row, "orig_response_B"),
            reference_answer=_text(row, "orig_reference_answer"),
            criteria=_text(row, "orig_criteria"),
            label=choice(row, "orig_preference", {"A": "A", "B": "B"}),
            cluster=f"{name}/{digest(row['orig_instruction'])}",
            rubric=_rubric_from_row(row, "orig_") if "orig_score1_description" in row else None,
            meta={"orig_feedback": row["orig_feedback"]} if "orig_feedback" in row else {},
        )

    return each_row(rows, path, convert)


# --- fields -----------------------------------------------------------------------------------------------------------


def _text(row: Row, field: str) -> str:
    if not isinstance(row[field], str):
        raise TypeError(f"field {field!r} should be text, found {type(row[field]).__name__}")
    return row[field]


def _rubric_from_row(row: Row, prefix: str) -> Rubric:
    descriptions = tuple(_text(row, f"{prefix}score{score}_description") for score in range(1, 6))
    return Rubric(_text(row, f"{prefix}criteria"), descriptions)


def _scores(row: Row, raters: dict[str, str]) -> dict[str, list[int]]:
    """Return each rater's draws as integers 1-5; a field that is absent, null or NaN gives no entry."""
    found = {}
    for field, rater in raters.items():
        value = row.get(field)
        draws = [_score(v) for v in (value if isinstance(value, list) else [value]) if not _is_missing(v)]
        if draws:
            found[rater] = draws
    return found


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _score(value: Any) -> int:
    number = float(value)
    if number not in (1, 2, 3, 4, 5):
        raise ValueError(f"score {value!r} is not an integer from 1 to 5")
    return int(number)


def choice(row: Row, field: str, meanings: dict[Any, Any]) -> Any:
    """What a coded field means; a ValueError that lists the codes for any other."""
    if row[field] not in meanings:
        raise ValueError(f"field {field!r} is {row[field]!r}, which is none of {', '.join(map(repr, meanings))}")
    return meanings[row[field]]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest(*texts: str) -> str:
    return _sha256("\x00".join(texts))[:12]


def _distinct(ids: list[str]) -> list[str]:
    """Make repeated ids distinct, in file order: the second "x" becomes "x-2"."""
    seen: Counter[str] = Counter()
    result = []
    for item_id in ids:
        seen[item_id] += 1
        result.append(item_id if seen[item_id] == 1 else f"{item_id}-{seen[item_id]}")
    return result
