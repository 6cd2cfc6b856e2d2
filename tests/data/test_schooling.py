"""What the base model has read: all of it is generated here and searched for what benchmarks and experts keep apart."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from prometheus_lib import artifacts
from prometheus_lib.data import miniworld, schooling
from prometheus_lib.training import EMBEDDED_BASE, base_model
from prometheus_lib.training.base_model import STAGES, stage_texts


@pytest.fixture(scope="module")
def texts():
    """All sheets and judgments of every stage, as texts."""
    found = [stage_texts(stage) for stage in STAGES]
    sheets = [f"{sheet.given} {sheet.text}" for some, _ in found for sheet in some]
    return sheets, [example for _, some in found for example in some]


def test_no_noun_and_no_style_of_the_benchmarks_occurs_in_anything_the_base_model_read(texts):
    sheets, judgments = texts
    read = "\n".join([*sheets, *(f"{example.prompt} {example.completion}" for example in judgments)])
    assert set(re.findall(r"\w+", read)) & set(miniworld.UNSEEN_NOUNS) == set()
    for style in miniworld.OTHER_STYLES:
        opening, leads = miniworld.STYLES[style]
        assert not any(text in read for text in (opening, *leads.values()))
    assert all(re.search(rf"\b{noun}\b", read) for noun in miniworld.NOUNS + miniworld.SCHOOL_NOUNS)


def test_judgments_it_read_are_about_nouns_and_rubrics_that_nobody_else_uses(texts):
    _, judgments = texts
    kept = {frozenset(c) for use in ("seen", "unseen") for c in miniworld.rubric_combinations(use)}
    for example in judgments:
        criteria = next(line for line in example.prompt.splitlines() if line.endswith(("?]", "?")))
        assert frozenset(miniworld.details_of(criteria.strip("[]"))) not in kept
        noun = re.search(rf"{miniworld.INSTRUCTION_OPENING} (\w+):", example.prompt)[1]
        assert noun in miniworld.SCHOOL_NOUNS
        assert not any(miniworld.STYLES[style][0] in example.prompt for style in ("chatty", *miniworld.OTHER_STYLES))


def test_sheets_ask_for_no_score_and_no_choice(texts):
    sheets, _ = texts
    assert not any("[RESULT]" in text or "Score" in text for text in sheets)


def test_three_worlds_share_no_noun_and_no_rubric():
    worlds = (miniworld.SEEN, miniworld.UNSEEN, miniworld.SCHOOL)
    for name in ("nouns", "combinations"):
        values = [value for world in worlds for value in getattr(world, name)]
        assert len(set(values)) == len(values)
    assert sum(len(world.combinations) for world in worlds) == 210


def test_sheets_are_right():
    """Each line's claim is checked by the world's tables of words."""
    for sheet in schooling.sheets(7, 400, {schooling.words: 1, schooling.same: 1}):
        for word, first, second in re.findall(r" (\w+) means (\w+)(?: or else (\w+))?\.", sheet.text):
            fitting = {v for by_word in miniworld.VAGUE.values() for v in by_word.get(word, ())} or {
                schooling.PLAIN[word]
            }
            assert {first, second} - {""} == fitting
        for asked, said, verdict in re.findall(r" asked for (\w+) said (\w+) (\w+)\.", sheet.text):
            vague = {v for by_word in miniworld.VAGUE.values() for v in by_word.get(asked, ())}
            fits = schooling.PLAIN[said] in (vague or {schooling.PLAIN[asked]})
            assert verdict == ("no" if not fits else "maybe" if vague else "yes")
    for sheet in schooling.sheets(8, 200, {schooling.counting: 1}):
        for marks, count in re.findall(r"((?: yes| no)+) makes (\w+)\.", sheet.text):
            assert count == (str(marks.count("yes")) if "yes" in marks else "zero")


def test_the_shipped_model_is_the_one_that_these_stages_make():
    shape = {"hidden": base_model.HIDDEN, "layers": base_model.LAYERS, "seed": base_model.SEED}
    settings = artifacts.read_json(EMBEDDED_BASE / artifacts.STAMP)["settings"]
    assert {name: settings[name] for name in shape} == shape and settings["phrases"] == base_model.phrases()
    assert base_model.CARD.read_bytes() == (EMBEDDED_BASE / "README.md").read_bytes()


def test_a_stage_may_be_shorter():
    short = replace(STAGES[1], sheets=64, judgments=10)
    assert STAGES[1].scaled(64 / 11_200).sheets == short.sheets
    sheets, judgments = stage_texts(short)
    assert (len(sheets), len(judgments)) == (64, 10)
