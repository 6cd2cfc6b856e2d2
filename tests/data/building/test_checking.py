"""The automatic check of feedback: real feedback, feedback with known faults, and the published row."""

from __future__ import annotations

import json

import pytest

from prometheus_lib.data import building, collections

ROW = {
    "orig_instruction": "Write a greeting.", "orig_response_A": "Good morning, dear friends of the club!",
    "orig_response_B": "Hi.", "orig_reference_answer": "Good morning to all of you.", "orig_criteria": "Is it polite?",
    "orig_preference": "A",
}  # fmt: skip


def check(feedback, **changes):
    return building.check_feedback({**ROW, "orig_feedback": feedback, **changes})


def test_a_conclusion_fits_contradicts_or_is_unclear():
    text = "Both greet, but Response A is better than Response B."
    assert check(text).fits and not check(text).contradicts
    assert check(text, orig_preference="B").contradicts
    assert check("Both greet.").unclear and not check("Both greet.").fits


@pytest.mark.parametrize(
    "quote, missing",
    [
        ('"good morning, dear friends"', False), ("\u201cgood morning,  dear friends.\u201d", False),
        ('"Good morning ... of the club"', False), ('"good evening, dear friends"', True),
        ('"Good morning to all of you"', False), ('"hi"', False), ('"is it polite?"', False),
    ],
)  # fmt: skip
def test_what_is_quoted_has_to_stand_somewhere(quote, missing):
    assert check(f"Response A says {quote}. Response A is better.").quotes_missing is missing


def test_rules_of_the_prompt():
    assert check("Response A is better. It is polite, Response B is not.").opens_with_decision
    assert not check("Both greet. Response A is better.").opens_with_decision
    assert check("Unlike the reference answer, Response A ...").names_reference
    assert check("Response A is better. [RESULT] A").strange and check("x\n###Response B: y").strange
    assert check("Response A and Response B").names_both and not check("Response A").names_both


def test_the_published_row_is_in_order(data_dir):
    rows = json.loads((data_dir / "feedback_collection_samples" / "readme_rows.json").read_text(encoding="utf-8"))
    row = next(entry["row"] for entry in rows if "orig_preference" in entry["row"] and entry["kind"] == "train")
    found = building.check_feedback(row)
    assert found.fits and found.names_both and not (found.names_reference or found.strange or found.quotes_missing)


def test_gpt4s_real_reviews_mostly_fit_their_scores(data_dir):
    """940 decided reviews with their two answers; told the opposite decision, the check says so."""
    lines = (data_dir / "vicuna_gpt4_pairs" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    reviews = [row for row in map(json.loads, lines) if row["score_a"] != row["score_b"]]
    rows = [
        {
            "orig_instruction": row["question"], "orig_response_A": row["answer_a"], "orig_response_B": row["answer_b"],
            "orig_criteria": "", "orig_reference_answer": "", "orig_feedback": row["review"],
            "orig_preference": "A" if row["score_a"] > row["score_b"] else "B",
        }
        for row in reviews
    ]  # fmt: skip
    table = building.check_table(rows).set_index("check")
    assert table.at["argues for the preferred response", "n"] == 940
    assert table.at["argues for the preferred response", "share"] > 0.8
    assert table.at["argues for the other response", "share"] < 0.02
    wrong = [{**row, "orig_preference": {"A": "B", "B": "A"}[row["orig_preference"]]} for row in rows]
    assert building.check_table(wrong).set_index("check").at["argues for the other response", "share"] > 0.8


def test_rows_without_feedback_are_counted_not_checked():
    pairs, _ = building.pair_up(collections.feedback_rows(1, 3))
    table = building.check_table(pairs)
    assert table.loc[0].tolist()[:3] == ["no feedback", 30, 30] and len(table) == 1
    pairs[0]["orig_feedback"] = "Response A is better."
    assert building.check_table(pairs).set_index("check").at["names both responses", "n"] == 1
