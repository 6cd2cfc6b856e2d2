"""Splits by instruction and by row, and overlap with benchmarks: constructed texts, and the real sets."""

from __future__ import annotations

import json

import pytest

from prometheus_lib.data import benchmarks, building, collections
from prometheus_lib.data.building.leakage import TextIndex, plain, runs, split_by_instruction, split_by_row
from prometheus_lib.records import DataError

ROWS = collections.feedback_rows(1, 60)
LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"


def test_a_split_by_instruction_shares_none_and_does_not_depend_on_order():
    train, held = split_by_instruction(ROWS, 0.1, seed=1)
    assert len(held) == 30 and len(train) == 270
    instructions = [{row["orig_instruction"] for row in side} for side in (train, held)]
    assert not instructions[0] & instructions[1] and len(instructions[1]) == 6
    _, again = split_by_instruction(ROWS[::-1], 0.1, seed=1)
    assert {r["orig_instruction"] for r in again} == instructions[1]
    assert {r["orig_instruction"] for r in split_by_instruction(ROWS, 0.1, seed=2)[1]} != instructions[1]


def test_instructions_that_differ_in_case_or_spacing_stay_together():
    rows = [{"orig_instruction": text} for n in range(20) for text in (f"Do  task {n}.", f"do task {n}")]
    train, held = split_by_instruction(rows, 0.5)
    assert len(held) == 20
    assert not {plain(r["orig_instruction"]) for r in train} & {plain(r["orig_instruction"]) for r in held}


def test_the_released_split_leaks_nearly_everything():
    table = building.split_table(ROWS, share=0.05).set_index("split")
    assert table.at["by row, as released", "instruction seen"] > 0.9
    assert table.at["by instruction", "instruction seen"] == 0
    assert table.at["by row, as released", "held-out rows"] == 15
    pairs = building.split_table(building.pair_up(ROWS)[0], share=0.05).set_index("split")
    assert pairs.at["by row, as released", "response_A seen"] > pairs.at["by instruction", "response_A seen"]


@pytest.mark.parametrize("share", [0, 1, -1, 0.999])
def test_splits_with_an_empty_side_are_refused(share):
    with pytest.raises(DataError, match="cannot be split"):
        split_by_instruction(ROWS[:10], share)
    assert len(split_by_row(ROWS, 0.01)[1]) == 3


def test_overlap_from_strict_to_loose():
    changed = LONG.replace("eight", "acht")  # no run of 13 words survives in the middle of 16
    index = TextIndex([LONG, "hello there", changed + " and more", ""])
    assert index.overlap(["Hello, THERE!"]).same == {1}
    assert index.overlap(["well " + LONG]).gram == {0}
    assert index.overlap(["well " + LONG]).same == set()
    assert index.overlap([LONG + " seventeen"]).near == {0}
    assert index.overlap(["", "nothing of this"]) == index.overlap([])


def test_a_run_in_common_is_no_near_duplicate():
    index = TextIndex([LONG + " x" * 200])
    found = index.overlap([LONG + " y" * 200])
    assert found.gram == {0} and found.near == set()


def test_min_hash_finds_what_comparing_all_pairs_finds():
    import random

    rng = random.Random(0)
    base = [" ".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=60)) for _ in range(40)]
    texts = [text for text in base for _ in range(2)]
    texts = [" ".join("?" if rng.random() < 0.01 * n % 0.05 else w for w in t.split()) for n, t in enumerate(texts)]
    index = TextIndex(base)

    def share(a, b):
        return len(a & b) / len(a | b)

    exact = {n for n, b in enumerate(base) for t in texts if share(runs(t, 5), runs(b, 5)) >= 0.7}
    found = index.overlap(texts).near
    assert found <= exact and len(found) >= 0.9 * len(exact) > 5


def test_odd_texts_do_not_stop_it():
    half = json.loads('"half \\ud83d"')
    index = TextIndex(["\u4f60\u597d\uff0c\u4e16\u754c", "\u200b", half, "a\rb"])
    assert index.overlap(["\u4f60\u597d \u4e16\u754c", half, "a b"]).same == {0, 2, 3}


def test_overlap_of_the_real_sets(data_dir):
    """GPT-4's Vicuna data as training set: Auto-J Eval has five of its instructions, MT-Bench two inside dialogues."""
    rows = building.graded_items(benchmarks.load_benchmark("vicuna_bench", data_dir), "gpt-4-1106", "gpt4_feedback")
    training = building.row_texts(building.graded_rows(rows, building.ORIG_COLUMNS))
    assert len(training["instructions"]) == 80 and len(training["responses"]) == 320
    names = ("vicuna_bench", "mt_bench", "hhh_alignment", "autoj_eval")
    loaded = {name: benchmarks.load_benchmark(name, data_dir) for name in names}
    table = building.overlap_table(training, loaded).set_index(["benchmark", "part"])
    found = {key: tuple(map(int, line)) for key, line in table.iterrows()}  # texts, same, words in common, nearly
    assert found["vicuna_bench", "instructions"] == (80,) * 4 and found["vicuna_bench", "responses"] == (320,) * 4
    assert found["mt_bench", "instructions"] == (318, 0, 8, 0) and found["mt_bench", "responses"] == (319, 0, 12, 1)
    assert found["hhh_alignment", "instructions"][1:] == found["hhh_alignment", "responses"][1:] == (0, 0, 0)
    assert found["autoj_eval", "instructions"] == (1182, 5, 5, 5)
    assert found["autoj_eval", "responses"] == (2677, 0, 9, 0)
