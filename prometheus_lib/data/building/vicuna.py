"""GPT-4's judgments on the 80 Vicuna questions, in the two collections' field names: to train on without the hub.

Direct rows are the released file of Vicuna Bench, where GPT-4 scored each of 320 responses three times, with feedback
(960 rows). Pairwise rows are GPT-4's reviews of 2023 (FastChat's history): 940 pairs with a better side, of which four
lack an answer. Its words name "Assistant 1" and "Assistant 2"; here they name Response A and Response B, and each pair
comes in both orders, so that A and B are the better side equally often. Reference answer and rubric of a question are
those of Vicuna Bench.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

from ...prompts.parsing import MARKER
from ...records import SCORES, DirectItem, MissingFile
from ..benchmarks import load_benchmark
from ..download import DATA_VARIABLE, data_folder
from .hashing import digest, place
from .loading import read_rows
from .schema import Collection, Rejects, Row, checked

PAIRS = "vicuna_gpt4_pairs/pairs.jsonl"
PAIRS_ORIGIN = "the history of FastChat's evaluation tables, github.com/lm-sys/FastChat at 0e6d3e4"
SOURCES = {"feedback": "Vicuna Bench: GPT-4's scores and feedback", "preference": f"GPT-4's reviews: {PAIRS_ORIGIN}"}
_SCORE_LINE = re.compile(r"\s*[\d.]+[\s,]+[\d.]+\s*\n")  # what a review begins with


def vicuna_rows(
    collection: Collection,
    count: int | None = None,
    seed: int = 42,
    data_dir: str | Path | None = None,
    rejects: Rejects | None = None,
    after: int = 0,
) -> list[Row]:
    """Return `count` rows of one format, or a few more: the three draws, or both orders, of an item stay together.

    Items come in an order drawn by `seed`; `after` passes over those that `count=after` would return. Rows that cannot
    be learned from (an answer is missing) go to `rejects`. Raises MissingFile where the files are not to be had.

    >>> rows = vicuna_rows("preference")  # doctest: +SKIP
    >>> len(rows), sum(row["orig_preference"] == "A" for row in rows)  # doctest: +SKIP
    (1872, 936)
    """
    rejects = rejects if rejects is not None else Rejects()
    items = load_benchmark("vicuna_bench", data_dir, download=True)
    made = _scored(items) if collection == "feedback" else _compared(items, data_dir)
    ordered = sorted(made, key=lambda rows: place(seed, digest(*map(str, rows[0].values()))))
    groups = [[row for _, row in checked(_named(rows), collection, rejects)] for rows in ordered]
    rest = _from(groups, after)
    return list(chain.from_iterable(rest if count is None else rest[: len(rest) - len(_from(rest, count))]))


def _from(groups: list[list[Row]], rows: int) -> list[list[Row]]:
    """Return the groups behind the first ones that have so many rows together."""
    sizes = accumulate(map(len, groups), initial=0)
    return groups[next((number for number, size in enumerate(sizes) if size >= rows), len(groups)) :]


def _named(rows: Sequence[Row]) -> Iterator[tuple[str, Row]]:
    return ((f"a judgment on {rows[0]['orig_instruction'][:40]!r}", row) for row in rows)


def _scored(items: Sequence[DirectItem]) -> Iterator[list[Row]]:
    """Yield the rows of each response: one for each time that GPT-4 scored it."""
    for item in items:
        scores, texts = item.scores["gpt-4-1106"], item.meta["gpt4_feedback"]
        yield [
            {**_asked(item), "orig_response": item.response, "orig_feedback": _clean(text), "orig_score": str(score)}
            for text, score in zip(texts, scores, strict=True)
        ]


def _asked(item: DirectItem) -> Row:
    descriptions = {f"orig_score{n}_description": item.rubric.descriptions[n - 1] for n in SCORES}
    return {
        "orig_instruction": item.instruction,
        "orig_reference_answer": item.reference_answer,
        "orig_criteria": item.rubric.criteria,
        **descriptions,
    }


def _clean(text: str) -> str:
    """Return feedback without what follows it by mistake: a verdict, or the next section's header."""
    return re.split(rf"{re.escape(MARKER)}|###", text)[0].strip()


def _compared(items: Sequence[DirectItem], data_dir: str | Path | None) -> Iterator[list[Row]]:
    """Yield the two rows of each decided pair: as it was shown, and with the responses exchanged."""
    file = data_folder(data_dir) / PAIRS
    if not file.is_file():
        raise MissingFile(f"{file}: file not found; name its folder ({DATA_VARIABLE}); it is from {PAIRS_ORIGIN}.")
    asked = {item.instruction.strip(): item for item in items}
    for _, row in read_rows(file):
        item = asked.get(row["question"].strip())
        if item is not None and row["score_a"] != row["score_b"]:
            yield [_pair_row(item, row, exchanged) for exchanged in (False, True)]


def _pair_row(item: DirectItem, row: Row, exchanged: bool) -> Row:
    answers = (row["answer_a"], row["answer_b"])
    first_is_better = row["score_a"] > row["score_b"]
    return {
        "orig_instruction": item.instruction,
        "orig_response_A": answers[exchanged],
        "orig_response_B": answers[not exchanged],
        "orig_reference_answer": item.reference_answer,
        "orig_criteria": item.rubric.criteria,
        "orig_feedback": renamed(_SCORE_LINE.sub("", _clean(row["review"]), count=1), exchanged),
        "orig_preference": "A" if first_is_better != exchanged else "B",
    }


def renamed(review: str, exchanged: bool = False) -> str:
    """Return a review that names Response A and B where it named Assistant 1 and 2; exchanged, the other way round.

    >>> renamed("Both assistants are right, but Assistant 2's answer is clearer.", exchanged=True)
    "Both responses are right, but Response A's answer is clearer."
    """
    names = dict(zip("12", "BA" if exchanged else "AB", strict=True))

    def name(found: re.Match[str]) -> Any:
        return f"Response {names[found[1]]}"

    named = re.sub(r"\b(?:AI )?[Aa]ssistant\s*#?([12])\b", name, review)
    named = named.replace("Response B and Response A", "Response A and Response B")
    return re.sub(r"\b(?:AI )?(A|a)ssistants?\b", _response, named)


def _response(found: re.Match[str]) -> str:
    word = "Response" if found[1] == "A" else "response"
    return f"{word}s" if found[0].endswith("s") else word
