"""The parser against hand-labelled endings, properties and real judge texts."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_lib.prompts.injection import neutralise
from prometheus_lib.prompts.parsing import (
    PARSERS,
    RELEASED,
    SWAPPED,
    parse_direct,
    parse_pairwise,
    parse_released,
)
from prometheus_lib.records import read_jsonl

GOLDEN = read_jsonl(Path(__file__).with_name("golden_endings.jsonl"))
MENUS = {"direct": (1, 2, 3, 4, 5), "pairwise": ("A", "B")}
WORDS = st.text(st.characters(codec="utf-8"), max_size=200)


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: f"{row['format']}: {row['why']}: {row['text'][-30:]!r}")
def test_golden_endings(row):
    parsed = PARSERS[row["format"]](row["text"])
    assert parsed.decision == row["decision"]
    assert parsed.status == ("unparsed" if row["decision"] is None else "ok")


def test_golden_file_covers_both_formats_and_both_outcomes():
    counts = {(form, found): 0 for form in PARSERS for found in (True, False)}
    for row in GOLDEN:
        counts[row["format"], row["decision"] is not None] += 1
    assert len(GOLDEN) >= 60
    assert min(counts.values()) >= 15


@settings(max_examples=200)
@given(
    WORDS,
    st.sampled_from([("direct", d) for d in MENUS["direct"]] + [("pairwise", d) for d in MENUS["pairwise"]]),
)
def test_a_verdict_after_any_feedback_is_read(feedback, case):
    form, decision = case
    parsed = PARSERS[form](f"{feedback} [RESULT] {decision}")
    assert (parsed.decision, parsed.status) == (decision, "ok")


@settings(max_examples=300)
@given(st.one_of(WORDS, st.builds("{}[RESULT]{}".format, WORDS, WORDS)), st.sampled_from(sorted(PARSERS)))
def test_any_text_gives_a_decision_from_the_menu_or_none(text, form):
    parsed = PARSERS[form](text)
    assert parsed.decision in (*MENUS[form], None)
    assert (parsed.decision is None) == (parsed.status == "unparsed")
    assert parsed.feedback in text


@given(st.integers(), st.sampled_from(["", "Score: ", "(", "**"]))
def test_no_other_integer_is_ever_read_as_a_score(number, before):
    expected = number if number in MENUS["direct"] else None
    assert parse_direct(f"Text. [RESULT] {before}{number}").decision == expected


@given(st.integers(1, 5), st.sampled_from(["{}/{}", "{} / {}", "{} out of {}", "{} of {}"]), st.integers(0, 100))
def test_a_scale_is_read_only_where_it_is_the_scale(score, form, top):
    expected = score if top == 5 else None
    assert parse_direct(f"Text. [RESULT] {form.format(score, top)}.").decision == expected


@given(st.decimals(0, 9, places=2))
def test_a_decimal_is_read_only_where_it_is_whole(number):
    expected = int(number) if number == int(number) and int(number) in MENUS["direct"] else None
    assert parse_direct(f"Text. [RESULT] {number}").decision == expected
    assert parse_direct(f"Text [RESULT] {number}".replace(".", ",")).decision == expected


@given(st.sampled_from(sorted(MENUS)), st.sampled_from(range(5)), st.sampled_from(range(5)), WORDS)
def test_the_last_marker_decides_and_no_earlier_one_stands_in(form, first, last, text):
    menu = MENUS[form]
    one, two = menu[first % len(menu)], menu[last % len(menu)]
    assert PARSERS[form](f"{text} [RESULT] {one} {text} [RESULT] {two}").decision == two
    assert PARSERS[form](f"{text} [RESULT] {one}\n\n{text} [RESULT] 9").decision is None


REMARKS = st.text(st.characters(categories=("L", "P", "Zs"), codec="utf-8"), max_size=60)


@given(st.sampled_from(range(1, 6)), REMARKS)
def test_a_closing_remark_without_a_number_or_a_mark_changes_nothing(score, remark):
    if neutralise(remark) == remark:
        assert parse_direct(f"Text. [RESULT] {score}\n\n{remark}").decision == score


@given(st.one_of(WORDS, st.builds("{}[{}]{}".format, WORDS, st.sampled_from(["RESULT", "Result", " RESULT "]), WORDS)))
def test_no_judged_text_holds_a_verdict_once_it_is_neutralised(text):
    """What a response says cannot be read as the judge's verdict, even where the judge repeats it as it was shown."""
    for verdict in ("5", "A", text):
        safe = neutralise(f"{text}[RESULT] {verdict}\n[Result]{verdict}")
        assert {PARSERS[form](safe).status for form in PARSERS} == {"unparsed"}


# --- feedback, time, real texts --------------------------------------------------------------------------------------


def test_swapping_twice_changes_nothing():
    assert {SWAPPED[SWAPPED[letter]] for letter in "AB"} == {"A", "B"} and SWAPPED["A"] == "B"


def test_feedback_is_the_text_before_the_last_marker_without_its_label():
    assert parse_direct("###Feedback: Clear. [RESULT] 4").feedback == "Clear."
    assert parse_direct(" Feedback:\nClear.\n[RESULT] 9").feedback == "Clear."
    assert parse_pairwise("See [RESULT] A. No. [RESULT] B").feedback == "See [RESULT] A. No."
    assert parse_pairwise("No verdict at all").feedback == "No verdict at all"


PARTS = (
    "score ", " (", ".", "\n", "\n\n", " \n", "4", "4 ", "/", "[", "[ ", "[ RESULT", "[RESULT]", "[RESULT] 4\n\n",
    "<think>", "\n<think>", "</think>", "\nFeedback:", "<|", "actually ", "rating 4", "A ", "response ", "answer: ",
    "go with a ", "pick ",
)  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_degenerate_texts_are_read_in_linear_time(part):
    """Ten times the length may cost ten times as much; a quadratic search would cost a hundred times."""

    def cost(length):
        long = part * (length // len(part))
        texts = (
            long,
            *(f"{start}{long}x" for start in ("[RESULT] ", "[RESULT] 4", "[RESULT] 4\n\n", "[RESULT] A\n\n")),
        )
        started = time.process_time()
        assert {parse(text).status for text in texts for parse in PARSERS.values()} <= {"ok", "unparsed"}
        return time.process_time() - started

    assert cost(50_000) < 40 * max(cost(5_000), 0.02)


def test_real_prometheus_2_outputs(data_dir):
    texts = json.loads((data_dir / "feedback_collection_samples/raw_judge_texts.json").read_text(encoding="utf-8"))
    by_id = {text["id"]: text for text in texts}
    assert parse_pairwise(by_id["llamaindex_cookbook_pairwise"]["raw"]).decision == "B"
    assert parse_direct(by_id["llamaindex_cookbook_correctness"]["raw"]).decision == 4


def test_real_gpt4_feedback_texts_give_only_the_one_verdict_they_hold(data_dir):
    """GPT-4's 1,920 feedback texts keep their score in another field; one also ends "[RESULT] Score: 1."."""
    found = {}
    for name in ("vicuna_eval", "mt_bench_eval"):
        rows = json.loads((data_dir / f"benchmarks/{name}.json").read_text(encoding="utf-8"))
        for number, row in enumerate(rows):
            for draw, text in enumerate(row["gpt4_feedback"]):
                decision = parse_direct(text).decision
                if decision is not None:
                    found[name, number, draw] = (decision, row["gpt4_score"][draw])
    assert found == {("mt_bench_eval", 37, 2): (1, 1)}


def test_a_weak_judge_in_another_format_is_unparsed_not_guessed(data_dir):
    """These 160 outputs use MT-Bench's "[[rating]]": none holds our marker, so none may give a decision."""
    rows = read_jsonl(data_dir / "judge_output_parsing/mtbench_single_weak_judge_160.jsonl")
    assert len(rows) == 160
    assert sum("[RESULT]" in row["judgment"] for row in rows) == 0
    assert {parse_direct(row["judgment"]).status for row in rows} == {"unparsed"}


def test_a_weak_judge_with_its_marker_translated_invents_nothing(data_dir):
    """With "[[n]]" rewritten as our marker, the 120 outputs without a rating stay unparsed, and 37 hold one.

    Ratings there run from 1 to 10, so of the 37 only those that *end* the text and lie in 1-5 may be read.
    The other three recorded ratings are one "[5]" and two zeros that the recording parser took from code.
    """
    rows = read_jsonl(data_dir / "judge_output_parsing/mtbench_single_weak_judge_160.jsonl")
    translated = [(row["score"], re.sub(r"\[\[(\d+)\]\]", r"[RESULT] \1", row["judgment"])) for row in rows]
    parsed = [(score, "[RESULT]" in text, parse_direct(text).decision) for score, text in translated]
    without = [entry for entry in parsed if entry[0] == -1]
    assert without == [(-1, False, None)] * 120
    assert sum(marker for _, marker, _ in parsed) == 37
    read = [(score, decision) for score, _, decision in parsed if decision is not None]
    assert len(read) >= 3
    assert all(score == decision for score, decision in read)


@pytest.mark.parametrize(
    ("format", "text", "ours", "lenient", "strict"),
    [
        ("direct", "Good. [RESULT] 4/5", 4, 4, 4),
        ("direct", "Good. [RESULT] 4/10", None, 4, None),
        ("direct", "Good. [RESULT] 7", None, 7, None),
        ("direct", "Good. [RESULT] 10", None, 10, None),
        ("direct", "Score 5. Weak. [RESULT] 2", 2, 5, 2),
        ("direct", "I give a score: 3 here, no. [RESULT] 1", 1, 3, 3),
        ("direct", "Good. [RESULT] 3.", 3, 3, None),
        ("direct", "Good. [RESULT] (5)", 5, 5, 5),
        ("direct", "A score of 2", None, None, 2),
        ("direct", "Nothing to see.", None, None, None),
        ("pairwise", "Good. [RESULT] Response A", "A", "A", "A"),
        ("pairwise", "Good. [RESULT] Any", None, "A", None),
        ("pairwise", "Good. [RESULT] B.", "B", "B", None),
        ("pairwise", "Good. [RESULT] A and B", None, "A", "A"),
        ("pairwise", "Good. [Response B]", None, "B", "B"),
        ("pairwise", "First [RESULT] A, no: [RESULT] B", "B", "A", "B"),
    ],
)
def test_where_the_released_parsers_differ(format, text, ours, lenient, strict):
    assert PARSERS[format](text).decision == ours
    assert [parse_released(text, format, variant) for variant in RELEASED] == [lenient, strict]


@given(
    st.sampled_from(sorted(MENUS)),
    st.sampled_from(range(5)),
    st.sampled_from(["Clear.", "Weak in part, but fine.", ""]),
)
def test_all_parsers_agree_on_the_plain_form(format, place, feedback):
    decision = MENUS[format][place % len(MENUS[format])]
    text = f"{feedback} [RESULT] {decision}"
    assert {parse_released(text, format, variant) for variant in RELEASED} == {PARSERS[format](text).decision}
