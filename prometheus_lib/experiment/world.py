"""What a cell of the grid is trained on and tested with: rows of the two collections, unseen items, base models."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import artifacts
from ..data import miniworld
from ..data.collections import direct_item, feedback_row, feedback_rows, pair_item, preference_rows
from ..records import DirectItem, PairItem, write_jsonl
from ..training import base_model
from ..training.settings import EMBEDDED_BASE
from .design import Settings

TEST = "map"  # names the random numbers of the test items, which no training data share
RESPONSES = 5  # graded ones per instruction, in both collections
SWAPPED = {"A": "B", "B": "A"}


# --- training data ---------------------------------------------------------------------------------------------------


def training_rows(settings: Settings, format: str, seed: int) -> list[dict[str, str]]:
    """Return a cell's rows of one format: five per instruction for direct assessment, ten for pairwise ranking.

    Both formats of one seed are built from the same instructions, as the paper's are, except for criteria that one of
    them is not asked about.

    >>> rows = training_rows(Settings(examples=20), "direct", seed=1)
    >>> len(rows), rows[0]["orig_score"]
    (20, '1')
    """
    domain = replace(miniworld.SEEN, combinations=tuple(_combinations(settings.own_criteria, format)))
    instructions = -(-settings.examples // RESPONSES)
    if format != "pairwise":
        rows = [_shown(row, settings) for row in feedback_rows(seed, instructions, domain)]
        return rows if format == "direct" else [row | {"orig_marks": _marks(row["orig_feedback"])} for row in rows]
    rows = _in_conflict(preference_rows(seed, instructions, domain), settings.conflict, seed)
    return [_with_rubric(row, settings.rubric) for row in rows]


COARSE = {"orig_criteria": "Is the response right?"} | {
    f"orig_score{score}_description": text
    for score, text in enumerate(("Bad.", "Poor.", "Fair.", "Good.", "Very good."), start=1)
}


RUBRIC_TEXTS = {"coarse": COARSE, "none": dict.fromkeys(COARSE, "")}


def _shown(row: dict[str, str], settings: Settings) -> dict[str, str]:
    """Return a row for direct assessment with the rubric of the settings, without its feedback where they want none."""
    return _with_rubric(row if settings.feedback else row | {"orig_feedback": ""}, settings.rubric)


def _with_rubric(row: dict[str, str], rubric: str) -> dict[str, str]:
    return row | {name: text for name, text in RUBRIC_TEXTS.get(rubric, {}).items() if name in row}


def _marks(feedback: str) -> str:
    """Return yes or no for each detail, in the order in which the feedback names them."""
    return " ".join("yes" if word == "right" else "no" for word in re.findall(r"which is (right|wrong)\.", feedback))


def _combinations(own: int, format: str) -> Iterator[tuple[str, ...]]:
    """Yield the rubrics of the training data that ask about no criterion of the other format's own."""
    others = miniworld.ATTRIBUTES[format != "pairwise" :: 2][: own // 2]
    return (each for each in miniworld.SEEN.combinations if not set(each) & set(others))


def _in_conflict(rows: list[dict[str, str]], share: float, seed: int) -> list[dict[str, str]]:
    """Swap the labels of all pairs of a share of the instructions; what the feedback says of each detail stays."""
    instructions = list(dict.fromkeys(row["orig_instruction"] for row in rows))
    swapped = set(miniworld.rng_for("conflict", seed).sample(instructions, round(share * len(instructions))))
    return [
        row | {"orig_preference": SWAPPED[row["orig_preference"]]} if row["orig_instruction"] in swapped else row
        for row in rows
    ]


def write_training_rows(settings: Settings, format: str, seed: int, folder: Path) -> Path:
    """Write a cell's rows of one format to a file of `folder`, unless it is there, and return it."""
    file = folder / f"{format}-{seed}.jsonl"
    return file if file.is_file() else write_jsonl(file, training_rows(settings, format, seed))


# --- test items ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def unseen_items(instructions: int, rubric: str = "full") -> tuple[list[DirectItem], list[PairItem]]:
    """Return one response to score and one pair to rank for each of some unseen instructions, with their truth.

    The five scores are equally frequent, the better response is A in half of the pairs, and no pair is a tie.

    >>> direct, pairs = unseen_items(10)
    >>> [item.meta["true_score"] for item in direct][:5], [item.label for item in pairs][:4]
    ([1, 2, 3, 4, 5], ['A', 'B', 'A', 'B'])
    """
    direct, pairs = [], []
    for number in range(instructions):
        rng = miniworld.rng_for(TEST, number)
        family = miniworld.draw_family(rng, miniworld.UNSEEN)
        score = number % RESPONSES + 1
        row = _with_rubric(feedback_row(family, family.answers[score - 1].text, "", score), rubric)
        direct.append(direct_item(row, f"{TEST}/{number:03d}", meta={"true_score": score}))
        row = _pair(family, sorted(rng.sample(range(RESPONSES), 2)), number % 2 == 0)
        pairs.append(pair_item(_with_rubric(row, rubric), f"{TEST}/{number:03d}"))
    return direct, pairs


def with_marks(items: Sequence[DirectItem]) -> list[DirectItem]:
    """Return `unseen_items`' responses with the truth of a checklist: yes or no for each detail, in order.

    >>> [item.meta["marks"].count("yes") for item in with_marks(unseen_items(10)[0])][:5]
    [0, 1, 2, 3, 4]
    """
    marked = []
    for number, item in enumerate(items):
        family = miniworld.draw_family(miniworld.rng_for(TEST, number), miniworld.UNSEEN)
        answer = family.answers[item.meta["true_score"] - 1]
        right = ("yes" if answer.values[detail] == family.task.facts[detail] else "no" for detail in family.details)
        marked.append(replace(item, meta={**item.meta, "marks": " ".join(right)}))
    return marked


@lru_cache(maxsize=4)
def items_hash(instructions: int) -> str:
    """Return what identifies the test items.

    >>> items_hash(10) == items_hash(11)
    False
    """
    return artifacts.text_hash([asdict(item) for items in unseen_items(instructions) for item in items])


def _pair(family: miniworld.Family, places: list[int], better_first: bool) -> dict[str, str]:
    first, second = reversed(places) if better_first else places
    return {
        **feedback_row(family, "", "", 1), "orig_response_A": family.answers[first].text,
        "orig_response_B": family.answers[second].text, "orig_preference": "A" if better_first else "B",
    }  # fmt: skip


# --- base models -----------------------------------------------------------------------------------------------------


def is_shipped(settings: Settings) -> bool:
    """Tell whether a cell starts from the base model that comes with the library.

    >>> is_shipped(Settings(examples=20)), is_shipped(Settings(examples=20, width=32))
    (True, False)
    """
    return settings.width == base_model.HIDDEN and settings.schooling == 1


def base_stages(settings: Settings) -> tuple[Any, ...]:
    """Return the schooling of a cell's base model: the shipped one's, with fewer examples where the cell says so."""
    return tuple(stage.scaled(settings.schooling) for stage in base_model.STAGES)


def base_folder(settings: Settings, work: Path) -> Path:
    """Return where a cell's base model lies: the shipped one, or one that is built below `work`."""
    name = f"base-{settings.width}-{settings.schooling:g}-{base_identity(settings)[:8]}"
    return EMBEDDED_BASE if is_shipped(settings) else work / name


def build_base(settings: Settings, work: Path) -> Path:
    """School a cell's base model as the shipped one was, unless it is there; return its folder."""
    folder = base_folder(settings, work)
    if not is_shipped(settings):
        stages = work / f"{folder.name}-stages"
        base_model.train_base(folder, stages, base_stages(settings), hidden=settings.width)
    return folder


def base_identity(settings: Settings) -> str:
    """Return what identifies a cell's base model before it is built: the shipped one, and how this one differs."""
    shipped = artifacts.model_fingerprint(EMBEDDED_BASE)
    if is_shipped(settings):
        return shipped
    return artifacts.text_hash(shipped, settings.width, [asdict(stage) for stage in base_stages(settings)])
