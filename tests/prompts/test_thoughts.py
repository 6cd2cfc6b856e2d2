"""What a reasoning model thinks: where its answer begins, in parsing and in answers that were cut."""

from __future__ import annotations

import pytest

from prometheus_lib.prompts import PARSERS, last_marker, parse_direct
from prometheus_lib.prompts.thoughts import answer_start, opened_thoughts, with_thoughts_closed

MENUS = {"direct": (1, 2, 3, 4, 5), "pairwise": ("A", "B")}
TAGS = [
    ("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<THINK>", "</THINK>"), ("<reasoning>", "</reasoning>"),
    ("<thought>", "</thought>"), ("[THINK]", "[/THINK]"), ("<seed:think>", "</seed:think>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"), ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("◁think▷", "◁/think▷"), ("<reason>", "</reason>"), ("<reflection>", "</reflection>"),
    ("<analysis>", "</analysis>"), ("<scratchpad>", "</scratchpad>"), ("<antThinking>", "</antThinking>"),
    ("<inner_monologue>", "</inner_monologue>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
]  # fmt: skip


@pytest.mark.parametrize(("start", "end"), TAGS)
@pytest.mark.parametrize("form", sorted(PARSERS))
def test_a_verdict_stands_only_behind_closed_thoughts(start, end, form):
    draft, verdict = MENUS[form][:2]
    thinking = f"{start}\nThe draft verdict would be [RESULT] {draft}"
    answered = f"{thinking}\n{end}\n\nGood. [RESULT] {verdict}"
    parse = PARSERS[form]
    for opening in ("", " \n", "###Feedback: ", "Let me think.\n"):
        assert parse(opening + thinking).decision is None
        assert parse(opening + answered).decision == verdict
        assert parse(f"{opening}{answered}\n{start} No, [RESULT] {draft}").decision is None
        assert parse(f"{opening}{thinking}{end}").decision is None
    assert parse(answered.removeprefix(start)).decision == verdict  # the prompt had opened the thoughts
    assert parse(f"It has `{start}` in it. [RESULT] {verdict}").decision == verdict


@pytest.mark.parametrize("start", ["< think >", "<think\n>", "<Think >", '<thinking effort="high">', "<think id=1>"])
def test_a_mark_with_spaces_or_settings_opens_thoughts_too(start):
    cut = f"{start}The draft verdict would be [RESULT] 2"
    assert parse_direct(cut).decision is None
    assert parse_direct(f"{cut}< / think>Good. [RESULT] 4").decision == 4
    assert parse_direct(f"{cut}{with_thoughts_closed(cut)[len(cut) :]}[RESULT] 3").decision == 3


@pytest.mark.parametrize(("start", "end"), TAGS)
def test_thoughts_that_were_cut_are_closed_once_by_their_own_mark(start, end):
    cut = f"{start}Perhaps [RESULT] 2, if"
    assert answer_start(cut, finished=False) is None
    closed = with_thoughts_closed(cut)
    assert closed == f"{cut}\n{end}\n\n" and with_thoughts_closed(closed) == closed
    assert answer_start(closed) == len(cut) + 1 + len(end)


def test_a_mark_inside_a_line_opens_thoughts_in_a_cut_answer_only():
    text = 'The response opens with "<think>" and says [RESULT] 2'
    assert answer_start(text) == 0 and answer_start(text, finished=False) is None
    assert answer_start("") == 0


def test_feedback_keeps_the_thoughts():
    parsed = parse_direct("<think>Hm. [RESULT] 2</think>Good. [RESULT] 4")
    assert (parsed.decision, parsed.feedback) == (4, "<think>Hm. [RESULT] 2</think>Good.")
    assert parse_direct("Feedback: <think>Hm. [RESULT] 2").feedback == "<think>Hm. [RESULT] 2"
    assert last_marker("<think>Hm. [RESULT] 2") is None and last_marker("Hm. [RESULT] 2").start() == 4


@pytest.mark.parametrize(("start", "end"), TAGS)
def test_a_chat_that_ends_with_open_thoughts_is_known(start, end):
    assert opened_thoughts(f"Judge. {start}\n") == f"{start}\n"
    assert opened_thoughts(f"Judge. {start}\n\n{end}\n\n") == ""  # thinking is switched off
    assert opened_thoughts(f"Judge. {start} x") == opened_thoughts("") == ""
