"""Rubrics and scales: how people write them, the rule that maps them, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_lib.data import read_rubric, read_scale, rubric_library
from prometheus_lib.data.catalogue import DIRECT_BENCHMARKS, PAIR_BENCHMARKS
from prometheus_lib.data.rubrics.reading import PLAIN
from prometheus_lib.records import DataError, Rubric

FIVE = ("rude", "cold", "neutral", "warm", "very kind")


@pytest.mark.parametrize(
    ("written", "levels", "values"),
    [
        ("1-10", ("1", "10"), [1, 3.25, 5.5, 7.75, 10]),
        ("0 to 4", ("0", "4"), [0, 1, 2, 3, 4]),
        ("1 – 5", ("1", "5"), [1, 2, 3, 4, 5]),
        ("6-1", ("6", "1"), [6, 4.75, 3.5, 2.25, 1]),  # 1 is best
        ("-2..2", ("-2", "2"), [-2, -1, 0, 1, 2]),
        ("0-100", ("0", "100"), [0, 25, 50, 75, 100]),
        ("0.0-1.0", ("0.0", "1.0"), [0, 0.25, 0.5, 0.75, 1]),
        (10, ("1", "10"), [1, 3.25, 5.5, 7.75, 10]),
        ((1, 10), ("1", "10"), [1, 3.25, 5.5, 7.75, 10]),
        ("pass/fail", ("fail", "pass"), [0, 0.25, 0.5, 0.75, 1]),
        ("fail, pass", ("fail", "pass"), [0, 0.25, 0.5, 0.75, 1]),
        ([True, False], ("no", "yes"), [0, 0.25, 0.5, 0.75, 1]),  # YAML's yes and no
        ("A-F", ("F", "A"), [0, 1.25, 2.5, 3.75, 5]),
        ("A, B, C, D, F", ("F", "A"), [0, 1, 2, 3, 4]),
        (["ganz schlecht", "mittel", "gut"], ("ganz schlecht", "gut"), [0, 0.5, 1, 1.5, 2]),
        ("差/良/优", ("差", "优"), [0, 0.5, 1, 1.5, 2]),
        ([0, 1, 3], ("0", "3"), [0, 0.5, 1, 2, 3]),
    ],
)
def test_a_scale_is_a_straight_line_from_worst_to_best(written, levels, values):
    scale = read_scale(written)
    assert (scale.levels[0], scale.levels[-1]) == levels
    assert [scale.value_of(score) for score in range(1, 6)] == pytest.approx(values)


@pytest.mark.parametrize("written", ["", "good", "5-5", ["a", "A"], [1, 3, 2], [], 1, 3.5, ["", "x"]])
def test_what_is_no_scale_is_refused(written):
    with pytest.raises(DataError, match="scale"):
        read_scale(written)


@given(st.integers(-30, 30), st.integers(1, 30), st.booleans(), st.floats(1, 5))
@settings(deadline=None)
def test_scores_stay_in_order_on_any_scale(low, width, turned, score):
    ends = (low + width, low) if turned else (low, low + width)
    scale = read_scale(f"{ends[0]} to {ends[1]}")
    assert min(ends) <= scale.value_of(score) <= max(ends)
    better = scale.value_of(min(5.0, score + 0.5)) - scale.value_of(score)
    assert better <= 1e-9 if turned else better >= -1e-9
    level = scale.level_of(scale.value_of(score))
    assert level is None or scale.read(level) in scale.values


def test_in_doubt_the_lower_level():
    assert read_scale("pass/fail").level_of(0.5) == "fail" and read_scale("6-1").level_of(3.5) == "4"
    assert read_scale("1-10").level_of(float("nan")) is None


@pytest.mark.parametrize(
    ("scale", "written", "value"),
    [
        ("1-10", "7", 7), ("1-10", 7.0, 7), ("1-10", "7/10", 7), ("1-10", 6.5, 6.5), ("1-10", None, None),
        ("pass/fail", "PASS", 1), ("pass/fail", " fail ", 0), ("A-F", "a", 5), ("yes/no", True, 1),
        ("0-4", float("nan"), None), ("0-100", "85 out of 100", 85),
    ],
)  # fmt: skip
def test_labels_as_people_write_them(scale, written, value):
    assert read_scale(scale).read(written) == value


@pytest.mark.parametrize(
    ("scale", "written"), [("1-10", 11), ("1-10", "7/5"), ("pass/fail", 1), ("1-5", "good"), ("0-4", "nan?")]
)
def test_labels_off_the_scale_are_refused_with_their_place(scale, written):
    with pytest.raises(DataError, match="mine.csv, line 3"):
        read_scale(scale).read(written, "mine.csv, line 3")


# --- rubrics ---------------------------------------------------------------------------------------------------------


def test_a_whole_rubric_is_shown_as_it_stands():
    whole = Rubric("Is it kind?", FIVE)
    for given_ in (whole, {"criteria": "Is it kind?", "descriptions": FIVE}, [whole],
                   {"criteria": "Is it kind?", "descriptions": dict(enumerate(FIVE, start=1))}):  # fmt: skip
        assert read_rubric(given_)[0].rubric == whole


def test_without_descriptions_the_plain_ones_or_the_names_of_levels():
    assert read_rubric("Is it kind?")[0].rubric.descriptions == PLAIN
    assert read_rubric("Is it kind?", scale="1-10")[0].rubric.descriptions == PLAIN
    shown = read_rubric("Is it kind?", scale="poor, fair, good")[0].rubric.descriptions
    assert shown[::2] == ("poor", "fair", "good") and '"poor" and "fair", half-way' in shown[1]


def test_some_descriptions_leave_the_rest_between_them():
    shown = read_rubric({"criteria": "Is it kind?", "descriptions": {1: "rude", 5: "kind"}})[0].rubric.descriptions
    assert shown[0] == "rude" and shown[4] == "kind"
    assert [text.rpartition(", ")[2] for text in shown[1:4]] == [
        "nearer to the first.",
        "half-way.",
        "nearer to the second.",
    ]


def test_several_criteria_keep_names_scales_and_weights(tmp_path):
    tone = "- name: tone\n  criteria: Is it kind?\n  weight: 2\n  scale: pass/fail\n"
    text = f"{tone}- name: 事实\n  criteria: Is it right?\n"
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    found = read_rubric(tmp_path / "mine.yaml", scale="0-4")
    assert [(each.name, each.weight, each.scale.levels[0]) for each in found] == [("tone", 2, "fail"), ("事实", 1, "0")]
    (tmp_path / "mine.json").write_text(json.dumps({"tone": "Is it kind?", "facts": "Is it right?"}))
    assert [each.name for each in read_rubric(str(tmp_path / "mine.json"))] == ["tone", "facts"]


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ("helpfulnes", "Did you mean 'helpfulness'"),
        ("flask", "load_benchmark"),
        ({"criteria": ""}, "write the question"),
        ({"criteria": "Is it?", "weight": 0}, "above 0"),
        ({"criteria": "Is it?", "weights": 2}, "is not read"),
        ({"descriptions": ["a"]}, "'descriptions' is no criterion"),
        ({"criteria": "Is it?", "descriptions": ["a", "b"]}, "one for each of 1, 2, 3, 4, 5"),
        ({"criteria": "Is it?", "descriptions": {9: "x"}}, "not on the scale"),
        ([], "holds no criteria"),
        (["Is it kind?", {"name": "criterion 1", "criteria": "Is it right?"}], "two criteria named"),
        (7, "not 7"),
        ("nowhere.yaml", "file not found"),
    ],
)  # fmt: skip
def test_what_is_no_rubric_is_refused(given_, message):
    with pytest.raises(DataError, match=message):
        read_rubric(given_)


def test_a_broken_file_is_named_with_its_line(tmp_path):
    (tmp_path / "bad.yaml").write_text("criteria: [unclosed\n")
    with pytest.raises(DataError, match=r"bad\.yaml.*line 2"):
        read_rubric(tmp_path / "bad.yaml")


def test_the_library_is_whole():
    benchmarks = {*DIRECT_BENCHMARKS, *PAIR_BENCHMARKS}
    assert benchmarks < set(rubric_library())
    for name in set(rubric_library()) - benchmarks:
        for criterion in read_rubric(name):
            assert len(set(criterion.rubric.descriptions)) == 5 and criterion.scale.plain
    assert [each.name for each in read_rubric(["style", "factuality"])] == ["style", "factuality"]
