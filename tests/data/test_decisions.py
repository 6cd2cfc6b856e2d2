"""Decisions as people, papers and other tools write them, and what is left to a mapping."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_lib.data.decisions import read_decision
from prometheus_lib.records import DataError

SIDES = {
    "A": ["A", "a", " a ", "[[A]]", "[A]", "(A)", "**A**", '"A"', "A.", "model_a", "Model A", "MODEL-A", "response_a",
          "Response A", "Assistant A", "answer a", "output_a", "system a", "A>B", "A > B", "a>>b", "[[A>>B]]", "B<A",
          "B < A", "B<<A", "A wins", "A is better", "Response A is better", "[RESULT] A", "Verdict: A",
          "winner: model_a"],
    "B": ["B", "b", "[[B]]", "model_b", "A<B", "A << B", "B>A", "[[B>A]]", "Response B", "decision: B"],
    "tie": ["tie", "Tie", "TIE", "tied", "[[tie]]", "tie (bothbad)", "Tie (both bad)", "tie(bothbad)",
            "tie (both good)", "both bad", "bothbad", "both_bad", "draw", "equal", "A=B", "A == B", "[[A=B]]", "B = A",
            "[[C]]"],
}  # fmt: skip
SCORES = {
    4: [4, 4.0, "4", " 4 ", "4.0", "4,0", "4.", "[[4]]", "[4]", "(4)", "4/5", "4 / 5", "4.0/5", "4 out of 5",
        "Score: 4", "score 4", "[RESULT] 4", "Rating: [[4]]", np.int64(4), np.float32(4), "**4**"],
    None: [None, float("nan"), "", "  ", "nan", "None", "null", "N/A", pd.NA, pd.NaT],
}  # fmt: skip
NO_SCORES = [
    0,
    6,
    4.5,
    -4,
    "4.5",
    "4-5",
    "4 or 5",
    "8/10",
    "4/10",
    "3, 4",
    "four",
    "A",
    True,
    "true",
    "4 stars",
]
NO_SIDES = [
    "C",
    "1",
    1,
    1.0,
    0,
    "model_1",
    "model_c",
    "AB",
    "A/B",
    "A or B",
    "A>A",
    "A>C",
    "neither",
    "none",
    True,
    "yes",
]


@pytest.mark.parametrize(("meant", "written"), [(meant, each) for meant, all_ in SIDES.items() for each in all_])
def test_sides_and_ties(meant, written):
    assert read_decision(written, "pairwise") == meant


@pytest.mark.parametrize(("meant", "written"), [(meant, each) for meant, all_ in SCORES.items() for each in all_])
def test_scores(meant, written):
    found = read_decision(written, "direct")
    assert found == meant and type(found) is type(meant)


@pytest.mark.parametrize("written", NO_SCORES)
def test_what_is_no_score(written):
    with pytest.raises(DataError, match="decision .* is none of 1, 2, 3, 4, 5; say what it means with mapping="):
        read_decision(written, "direct")


@pytest.mark.parametrize("written", NO_SIDES)
def test_what_names_no_side(written):
    with pytest.raises(DataError, match="decision .* is none of A, B, tie; say what it means with mapping="):
        read_decision(written, "pairwise")


@pytest.mark.parametrize("written", [[4], ["A"], {"score": 4}, ("A",), pd.Timestamp("2024-01-01")])
def test_a_list_is_not_read_as_python_writes_it(written):
    for format in ("direct", "pairwise"):
        with pytest.raises(DataError, match="decision: it is .*, which is no text"):
            read_decision(written, format)


def test_a_mapping_goes_first_and_is_checked():
    meaning = {1: "A", "2": "B", 0: "tie", "error": None}
    assert [read_decision(each, "pairwise", meaning) for each in (1.0, "2.0", "0", "ERROR", "B")] == [
        "A",
        "B",
        "tie",
        None,
        "B",
    ]
    assert read_decision("A", "pairwise", {"A": "B", "B": "A"}) == "B"
    assert read_decision("good", "direct", {"Good": 5, "bad": "1"}) == 5
    assert read_decision(7, "direct", highest=10) == 7 and read_decision("7/10", "direct", highest=10) == 7
    assert [read_decision(each, "pairwise", {True: "A", False: "B"}) for each in (True, "false")] == ["A", "B"]
    with pytest.raises(DataError, match="'first' is no pairwise decision"):
        read_decision("A", "pairwise", {1: "first"})
    with pytest.raises(DataError, match="6 is no direct decision"):
        read_decision(1, "direct", {"good": 6})
    with pytest.raises(DataError, match="stands there with two meanings"):
        read_decision("1", "pairwise", {1: "A", "1": "B"})
    with pytest.raises(DataError, match="none of 1 to 10"):
        read_decision(11, "direct", highest=10)


@settings(deadline=None)
@given(
    st.sampled_from([1, 2, 3, 4, 5]), st.sampled_from(["{}", "{}.0", "{}/5", " {} out of 5", "[[{}]]", "Score: {}."])
)
def test_every_score_in_every_form(score, form):
    assert read_decision(form.format(score), "direct") == score


@settings(deadline=None)
@given(st.one_of(st.text(max_size=8), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers())))
def test_anything_is_a_decision_or_an_error(value):
    for format, menu in (("direct", (1, 2, 3, 4, 5)), ("pairwise", ("A", "B", "tie"))):
        try:
            assert read_decision(value, format) in (*menu, None)
        except DataError:
            continue
