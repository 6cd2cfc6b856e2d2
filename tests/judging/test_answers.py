"""Which part of an answer may hold a verdict: thoughts do not, and neither does what was cut."""

from __future__ import annotations

import shutil

import pytest
from transformers import AutoTokenizer

from prometheus_lib import judging
from prometheus_lib.judging import Completion, Task, TransformersJudge, read_answer
from prometheus_lib.judging.engines.writing import candidate_ids, finished_text
from prometheus_lib.prompts import parse_direct, parse_pairwise
from prometheus_lib.prompts.templates import parse_auto_j_direct, parse_auto_j_pairwise
from prometheus_lib.prompts.thoughts import with_thoughts_closed
from prometheus_lib.training import EMBEDDED_BASE


def said(text, finished=True, parse=parse_direct):
    found = read_answer(Completion(text, 9, finished), parse)
    return found.decision, found.status


@pytest.mark.parametrize(
    "text",
    [
        "<think>The draft verdict would be [RESULT] 2",
        "<think>The draft verdict would be [RESULT] 2\n",
        "<think>First.</think> Hm. <think>The draft verdict would be [RESULT] 2\n",
        "[THINK]The draft verdict would be [RESULT] 2\n",
        "<|START_THINKING|>[RESULT] 2\n",
        "<think>Is it 2?</think> It is [RESULT]",
        "<think>Is it 2?</think> Good. [RES",
        "Good. [RESULT] 1",  # of 10
        "Good. [RESULT] 4",  # of 4.5, or 4 or 5
        "Good. [RESULT] 4.",
        "Good. [RESULT] 4 ",
        "Good.\n[RESULT] 2\n\nBut wait, the reference says",
        "So\n[RESULT] 2\n\nwould be too low. (The reference",
        "Good. [RESULT] 2\n\nOn reflection (it is late)",
        "no verdict\n",
        "",
    ],
)
def test_a_cut_answer_without_a_whole_verdict_is_truncated(text):
    assert said(text, finished=False) == (None, "truncated")


@pytest.mark.parametrize(
    "text",
    [
        "Good. [RESULT] 4\n",
        "Good. [RESULT] **4**",
        "Good. [RESULT] (4)",
        "Good.\n[RESULT] 4\n\n",
        'Good. [RESULT] "4" ',
    ],
)
@pytest.mark.parametrize("thoughts", ["", "<think>Is it [RESULT] 2?\n</think>\n", "Template-opened thoughts.</think>"])
def test_a_cut_answer_with_a_whole_verdict_behind_its_thoughts_decides(text, thoughts):
    assert said(thoughts + text, finished=False) == (4, "ok")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>Perhaps [RESULT] 2.</think> Good. [RESULT] 4", (4, "ok")),
        ("Perhaps [RESULT] 2.</think> Good. [RESULT] 4", (4, "ok")),
        ("<THINK>a</THINK><think>b [RESULT] 1</think>[RESULT] 4", (4, "ok")),
        ("<think>It is [RESULT] 2\n\nSo be it.</think> I cannot decide.", (None, "unparsed")),
        ("<think>It is [RESULT] 2", (None, "unparsed")),  # it stopped before it answered
        ('The response opens with "<think>" and never closes it. [RESULT] 1', (1, "ok")),
        ('The response ends with "</think>". [RESULT] 1', (1, "ok")),
        ("Good. [RESULT] 4", (4, "ok")),
    ],
)
def test_a_finished_answer_decides_behind_its_thoughts(text, expected):
    assert said(text) == expected


def test_pairs_and_the_forms_of_other_families_are_cut_alike():
    assert said("Better. [RESULT] A", False, parse_pairwise) == (None, "truncated")  # of "A and B are equal"
    assert said("Better. [RESULT] A.", False, parse_pairwise) == ("A", "ok")
    assert said("Better. [RESULT] Response B is better.\n", False, parse_pairwise) == ("B", "ok")
    assert said("Fine. Rating: [[7]]", False, parse_auto_j_direct) == (7, "ok")
    assert said("Fine. Rating: [[7", False, parse_auto_j_direct) == (None, "truncated")
    assert said("So, the final decision is Response 1", False, parse_auto_j_pairwise) == (None, "truncated")
    assert said("So, the final decision is Tie.", False, parse_auto_j_pairwise) == ("tie", "ok")


def test_the_whole_text_is_kept():
    thought = "<think>Is it 2?</think>\n"
    found = read_answer(Completion(f"{thought}Feedback: Good. [RESULT] 4", 9, True), parse_direct)
    assert found.feedback == f"{thought}Good."
    cut = f"{thought}Good. [RESULT] 1"
    assert read_answer(Completion(cut, 9, False), parse_direct).feedback == cut
    assert read_answer(Completion("tie", 0, True, "tie"), parse_direct).decision == "tie"  # of a judge without words


@pytest.mark.parametrize("opening", ["<think>", "<Thinking>", "[THINK]", "<|START_THINKING|>", "<|begin_of_thought|>"])
def test_a_feedback_that_was_cut_while_thinking_is_finished_after_its_thoughts(opening):
    cut = f"{opening}Perhaps [RESULT] 2, if"
    assert said(finished_text(cut, "4")) == (4, "ok") and cut in finished_text(cut, "4")
    assert with_thoughts_closed(with_thoughts_closed(cut)) == with_thoughts_closed(cut)
    assert finished_text("Good. [RESULT] 9", "4") == "Good. [RESULT] 4"


def test_a_judge_whose_chat_template_opens_its_thoughts_is_still_thinking_when_cut(tmp_path):
    """Such a judge writes no mark that opens them: what it drafts there looked like an answer."""
    shutil.copytree(EMBEDDED_BASE, tmp_path / "thinker")
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED_BASE)
    tokenizer.chat_template += "{{ '<think>\\n' }}"
    tokenizer.save_pretrained(tmp_path / "thinker")
    task = Task("b", "i", "direct", False, "ab", 1, "a prompt")
    judge, plain = (TransformersJudge("j", folder) for folder in (tmp_path / "thinker", EMBEDDED_BASE))
    assert (judge.begun, plain.begun) == ("<think>\n", "")
    settings = judging.Decoding(temperature=0.0, max_new_tokens=8)
    ((cut,),) = judge.generate([task], settings, 0)
    assert cut.text.startswith("<think>\n") and len(cut.text) > 8 and said(cut.text, cut.finished)[0] is None
    (done,) = judge.finish([task], [cut.text], settings, 0)
    assert done.text.startswith(f"{cut.text.rstrip()}\n</think> [RESULT] ") and said(done.text)[1] == "ok"
    ids, _ = candidate_ids(judge.tokenizer, [7], "<think>\nHm. [RESULT] 2", "12345", None, judge.begun)
    assert judge.tokenizer.decode(ids[1:]) == "Hm. [RESULT] 2\n</think> [RESULT]"


def test_a_real_judge_finishes_thoughts_that_fill_its_context():
    judge = TransformersJudge("base", EMBEDDED_BASE)
    task = Task("b", "i", "direct", False, "ab", 1, "a prompt")
    cut = "<think>" + "word " * 3000
    (done,) = judge.finish([task], [cut], judging.Decoding(temperature=0.0), 0)
    assert done.text.startswith("<think>word") and said(done.text)[1] == "ok"
