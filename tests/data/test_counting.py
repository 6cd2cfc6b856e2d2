"""A teacher who counts aloud counts rightly, and changes nothing else."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from prometheus_lib import data
from prometheus_lib.data.counting import counted, counted_row
from prometheus_lib.records import DataError
from prometheus_lib.scale import load_scale


def test_the_last_count_is_the_score_less_one_and_each_step_adds_at_most_one():
    for row in map(counted_row, data.feedback_rows(3, 40)):
        counts = [int(found) for found in re.findall(r": (\d) so far\.", row["orig_feedback"])]
        assert len(counts) == 4 and counts[-1] == int(row["orig_score"]) - 1
        words = re.findall(r"which is (right|wrong):", row["orig_feedback"])
        assert [after - before for before, after in zip([0, *counts], counts)] == [word == "right" for word in words]


def test_the_counts_of_a_pair_are_those_of_its_two_responses():
    agree = 0
    rows = data.preference_rows(3, 40)
    for row in rows:
        text = counted(row["orig_feedback"])
        a, b = map(int, re.findall(r": (\d) to (\d)\.", text)[-1])
        verdicts = re.findall(r"so (both are|only A is|only B is|neither is) right:", text)
        assert a == sum(each in ("both are", "only A is") for each in verdicts)
        assert b == sum(each in ("both are", "only B is") for each in verdicts)
        assert re.sub(r": \d to \d\.", ".", text) == row["orig_feedback"]
        agree += (a > b) == (row["orig_preference"] == "A") and a != b
    assert agree > 0.7 * len(rows)  # where words are vague, the truth may be another


def test_a_scale_says_how_its_teacher_writes():
    bridge, plain = load_scale("bridge"), replace(load_scale("bridge"), counted_feedback=False)
    for load in (data.load_feedback_rows, data.load_preference_rows):
        assert load(bridge) == list(map(counted_row, load(plain)))
        assert load(plain)[0] == load(load_scale("mini"))[0]
    held_out = data.held_out_rows(bridge, "feedback", 5)
    assert all("so far." in row["orig_feedback"] for row in held_out)


def test_counted_feedback_is_for_the_miniature_alone(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('like = "small"\ncounted_feedback = true\n')
    with pytest.raises(DataError, match=r"mine\.toml: counted_feedback is for the miniature"):
        load_scale(mine)
