"""One colour per format and one marker per family, for every judge of every scale."""

from __future__ import annotations

import pytest

from prometheus_lib.scale import load_scale
from prometheus_lib.tables import palette


@pytest.mark.parametrize("name", ("smoke", "mini", "7b", "8x7b"))
def test_every_judge_of_a_scale_has_the_look_of_its_training(name):
    scale = load_scale(name)
    for judge in scale.judges:
        assert palette.judge_format(judge) != "other", judge
        assert (palette.judge_format(judge) == "base") == (judge == "base")
    for expert in scale.experts:
        expected = expert.formats[0] if len(expert.formats) == 1 else "joint"
        assert palette.judge_format(expert.name) == expected
    for merge in (*scale.merges, *scale.sweep):
        one_format = merge.first.split("-")[0] == merge.second.split("-")[0]
        assert palette.judge_family(merge.name) == f"merge of {'one format' if one_format else 'two formats'}"


def test_colours_and_markers_are_different():
    assert len(set(palette.FORMAT_COLOURS.values())) == len(palette.FORMAT_COLOURS)
    assert len(set(palette.FAMILY_MARKERS.values())) == len(palette.FAMILY_MARKERS)


@pytest.mark.parametrize("judge", ("gpt-4", "Auto-J 13B", "linearity", "made-up", "directly", "length in five steps"))
def test_any_other_judge_is_another_judge(judge):
    assert (palette.judge_format(judge), palette.judge_family(judge)) == ("other", "other judge")
