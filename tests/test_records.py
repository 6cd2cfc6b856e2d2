"""Records: what a rubric and an item must hold, and files that say what is wrong with them."""

from __future__ import annotations

import pytest

from prometheus_lib.records import DataError, DirectItem, PairItem, Rubric, read_items, read_jsonl, write_items

FIVE = ["one", "two", "three", "four", "five"]
RUBRIC = Rubric("Is it right?", FIVE)
HALF = "half an emoji \ud83d"


@pytest.mark.parametrize("count", [0, 1, 3, 4, 6, 10])
def test_a_rubric_has_five_descriptions(count):
    with pytest.raises(DataError, match=f"rubric 'x': {count} score descriptions, wanted 5"):
        Rubric("x", ["text"] * count)


@pytest.mark.parametrize("descriptions", ["five", None, 5, {str(n): text for n, text in enumerate(FIVE, 1)}])
def test_descriptions_are_a_list_of_texts(descriptions):
    with pytest.raises(DataError, match="rubric 'x': the descriptions are"):
        Rubric("x", descriptions)


def test_a_rubric_takes_any_list_of_five_texts_and_no_other_values():
    assert Rubric("x", iter(FIVE)) == Rubric("x", tuple(FIVE)) and len({Rubric("x", FIVE), Rubric("x", FIVE)}) == 1
    with pytest.raises(DataError, match="rubric 'x': score 3 is 3, which is no text"):
        Rubric("x", ["1", "2", 3, "4", "5"])
    with pytest.raises(DataError, match="criteria is None"):
        Rubric(None, FIVE)
    with pytest.raises(DataError, match="score 5 holds a lone surrogate"):
        Rubric("x", [*FIVE[:4], HALF])


def test_half_a_character_is_named_before_anything_is_judged():
    with pytest.raises(DataError, match="item 'a': response holds a lone surrogate .* at position 14"):
        DirectItem("a", "Do it.", HALF, None, RUBRIC)
    with pytest.raises(DataError, match="item 'a': reference_answer holds a lone surrogate"):
        DirectItem("a", "Do it.", "done", HALF, RUBRIC)
    with pytest.raises(DataError, match="item 'a': response_b holds a lone surrogate"):
        PairItem("a", "Do it.", "done", HALF, None, "Right?")
    assert DirectItem("a", "Do it.", "whole: \U0001f600", None, RUBRIC).response.endswith("\U0001f600")


@pytest.mark.parametrize(
    ("rubric", "message"),
    [
        ('{"criteria": "x"}', "not a complete DirectItem"),
        ('{"criteria": "x", "descriptions": ["1"]}', "1 score descriptions, wanted 5"),
        ("null", "item 'a': rubric is None; give a Rubric"),
    ],
)
def test_a_stored_item_with_a_bad_rubric_is_named(tmp_path, rubric, message):
    row = '{"id": "a", "instruction": "i", "response": "r", "reference_answer": null, "rubric": ' + rubric + "}\n"
    (tmp_path / "items.jsonl").write_text(row)
    with pytest.raises(DataError, match=f"items.jsonl, line 1: .*{message}"):
        read_items(tmp_path / "items.jsonl")


def test_a_mark_at_the_start_of_a_file_is_no_part_of_it(tmp_path):
    items = [DirectItem("a", "Do it.", "done", None, RUBRIC)]
    path = write_items(tmp_path / "items.jsonl", items)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_items(path) == items and read_jsonl(path)[0]["id"] == "a"


def test_nothing_is_written_of_what_no_file_can_hold(tmp_path):
    item = DirectItem("a", "Do it.", "done", None, RUBRIC, meta={"note": HALF})
    with pytest.raises(DataError, match=r"items.jsonl: not written, .* after .*half an emoji"):
        write_items(tmp_path / "items.jsonl", [item])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("label", ["model_a", "a", 1, None, True])
def test_a_label_is_a_side_a_tie_or_nothing(label):
    with pytest.raises(DataError, match='item .a.: label is .*; give "A", "B" or "tie", or "" for none'):
        PairItem("a", "Do it.", "x", "y", None, "Right?", label)


@pytest.mark.parametrize("draws", [["5"], "5", [5, None]])
def test_scores_are_numbers(draws):
    with pytest.raises(DataError, match="item 'a': the scores of 'ann' are .*; give a list of numbers"):
        DirectItem("a", "Do it.", "done", None, RUBRIC, {"ann": draws})
