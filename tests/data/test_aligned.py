"""One row per item, in the order of the items: no sorting by name, no second judge, no second rubric."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus_lib.data import by_item, read_own_items
from prometheus_lib.records import DataError, PairItem, Rubric

RUBRIC = Rubric("Is it right?", ("one", "two", "three", "four", "five"))


def own_items(human):
    rows = [
        {"id": n, "instruction": f"Do {n}.", "response": "x", "human": score} for n, score in enumerate(human, start=1)
    ]
    return read_own_items(rows, RUBRIC)


def judgments(items, decisions, **more):
    common = {"judge": "owl", "fingerprint": "f", "benchmark": "b", "format": "direct", "with_reference": False}
    common |= {"order": "ab", "draw": 0, "prompt_hash": ""} | more
    return pd.DataFrame(
        [{**common, "item_id": item.id, "decision": d} for item, d in zip(items, decisions, strict=True)]
    )


def test_eleven_items_keep_their_order_and_correlate():
    human = [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 3]
    items = own_items(human)
    table = by_item(items, judgments(items, human).sample(frac=1, random_state=3))
    assert list(table.index) == [str(n) for n in range(1, 12)] and table["human"].tolist() == human
    assert table["score"].corr(table["human"]) == pytest.approx(1)


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(12)), st.lists(st.one_of(st.none(), st.integers(1, 5)), min_size=24, max_size=24))
def test_the_order_of_rows_changes_nothing(order, decisions):
    items = own_items([3] * 12)
    rows = pd.concat([judgments(items, decisions[:12]), judgments(items, decisions[12:], draw=1)], ignore_index=True)
    table = by_item(items, rows)
    pd.testing.assert_frame_equal(by_item(items, rows.iloc[[*order, *range(12, 24)]]), table)
    for n, item in enumerate(items):
        said = [decision for decision in (decisions[n], decisions[12 + n]) if decision is not None]
        assert table.loc[item.id, "unparsed"] == 2 - len(said) and table.loc[item.id, "draws"] == 2
        assert table.loc[item.id, "score"] == (
            pytest.approx(sum(said) / len(said)) if said else pytest.approx(float("nan"), nan_ok=True)
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"judge": "crow"}, r"2 kinds of judge \(owl, crow\); name one with judge="),
        ({"fingerprint": "g"}, "2 kinds of fingerprint .*judging.judgments_of"),
        ({"benchmark": "c"}, "2 kinds of benchmark"),
        ({"draw": 0}, "item '1' has answers to more than one prompt"),
        ({"with_reference": True}, "item '1' has answers to more than one prompt"),
        ({"draw": 1, "prompt_hash": "h"}, None),
    ],
)
def test_what_does_not_belong_together_is_refused(change, message):
    items = own_items([1, 2])
    rows = pd.concat([judgments(items, [1, 2]), judgments(items, [5, 5], **change)])
    if message is None:
        rows.loc[rows["prompt_hash"] == "", "prompt_hash"] = "g"
        message = "item '1' has answers to more than one prompt"
    with pytest.raises(DataError, match=message):
        by_item(items, rows)


def test_one_of_two_judges_is_taken_by_name():
    items = own_items([1, 2])
    rows = pd.concat([judgments(items, [1, 2]), judgments(items, [5, 4], judge="crow", fingerprint="g")])
    assert by_item(items, rows, "crow")["score"].tolist() == [5, 4]
    with pytest.raises(DataError, match="no judgment is by 'Crow'; there are those of crow, "):
        by_item(items, rows, "Crow")


def test_references_in_some_rows_and_repaired_answers_are_one_kind():
    items = own_items([1, 2])
    rows = judgments(items, [1, None]).assign(with_reference=[True, False], policy=["once", "redraw-5"])
    assert by_item(items, rows)["unparsed"].tolist() == [0, 1]


def test_items_without_a_judgment_are_named_and_stay():
    items = own_items([1, 2, 3])
    with pytest.warns(UserWarning, match="1 of 3 items have no judgment: 2"):
        table = by_item(items, judgments([items[2], items[0]], [4, 5]))
    assert table["score"].isna().tolist() == [False, True, False] and table["draws"].tolist() == [1, 0, 1]


def test_pairs_have_decisions_of_both_orders():
    items = [PairItem(id, "Do it.", "x", "y", None, "Kind?", label) for id, label in (("2", "A"), ("10", "tie"))]
    rows = judgments(items[::-1], [None, "B"], format="pairwise")
    assert by_item(items, rows).to_dict("list") == {"decision": ["B", None], "label": ["A", "tie"]}
    both = pd.concat([rows, judgments(items, ["A", "tie"], format="pairwise", order="ba")])
    assert by_item(items, both)["decision_ba"].tolist() == ["A", "tie"]
    with pytest.raises(DataError, match="the items 2 are there more than once"):
        by_item([*items, items[0]], rows)
