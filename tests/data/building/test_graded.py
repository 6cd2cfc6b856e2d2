"""Graded data of any kind: other ranges, files and tables, GPT-4's real judgments, and bad scores."""

from __future__ import annotations

import csv
import json
from collections import Counter

import pandas as pd
import pytest

from prometheus_lib import training
from prometheus_lib.data import benchmarks, building, collections
from prometheus_lib.data.building import schema
from prometheus_lib.records import DataError, Rubric
from prometheus_lib.training import base_model

RUBRIC = Rubric("Is it polite?", ("rude", "curt", "neutral", "polite", "warm"))
PLAIN = building.Columns(reference="", criteria="", descriptions="")


def table(*scores):
    return pd.DataFrame({
        "instruction": "Say hello.", "response": [f"hello {n}" for n in range(len(scores))], "score": scores,
        "feedback": [f"because of {n}" for n in range(len(scores))],
    })  # fmt: skip


# --- GPT-4's real judgments ------------------------------------------------------------------------------------------


def gpt4(name, data_dir, rejects=None):
    items = benchmarks.load_benchmark(name, data_dir)
    rows = building.graded_items(items, "gpt-4-1106", "gpt4_feedback")
    return list(building.graded_rows(rows, building.ORIG_COLUMNS, rejects=rejects))


def test_vicuna_bench_becomes_both_collections(data_dir):
    """320 responses of four models, each scored and explained three times by GPT-4."""
    rejects = building.Rejects()
    rows = gpt4("vicuna_bench", data_dir, rejects)
    assert len(rows) + rejects.count == 960 and rejects.count == 0
    direct = list(building.direct_rows(rows))
    assert all(schema.problem(row, "feedback") is None for row in direct) and len(direct) == len(rows)
    pairs, counts = building.pair_up(rows)
    assert counts.rows == len(rows) and counts.instructions == 80 and max(counts.responses) == 4
    assert counts.pairs + counts.equal == 80 * 6
    a, b = counts.preferences.values()
    assert abs(a - b) <= 1
    assert all(schema.problem(row, "preference", written=False) is None for row in pairs)
    assert all(abs(n - m) <= 1 for n, m in by_gap(counts).values())
    assert {row["orig_feedback_A"] for row in pairs} <= {row["orig_feedback"] for row in rows}


def by_gap(counts):
    return {gap: (counts.gaps[gap, "A"], counts.gaps[gap, "B"]) for gap, _ in counts.gaps}


def test_mt_bench_gives_direct_rows_and_hardly_a_pair(data_dir):
    """The conversation before a response differs from model to model there: 318 instructions in 320 items."""
    rejects = building.Rejects()
    rows = gpt4("mt_bench", data_dir, rejects)
    assert len(rows) == 959 and "wizardlm_13b, draw 2: orig_feedback holds a verdict of its own" in rejects.summary()
    _, counts = building.pair_up(rows)
    assert counts.instructions == 318 and counts.responses == {1: 316, 2: 2} and counts.pairs + counts.equal == 2


def test_real_rows_become_training_examples(data_dir):
    rows = gpt4("vicuna_bench", data_dir)[:40]
    examples = [collections.direct_example(row) for row in building.direct_rows(rows)]
    assert all(e.completion.count("[RESULT]") == 1 and e.prompt.count("###Feedback:") == 1 for e in examples)
    pairs = [{**row, "orig_feedback": "Response A is better."} for row in building.pair_up(rows)[0]]
    examples += [collections.pairwise_example(row) for row in pairs]
    tokenised, too_long = training.tokenise(base_model.build_tokenizer(), examples, 10_000)
    assert len(tokenised) == len(examples) and not too_long


# --- files, tables, ranges -------------------------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same_rows(tmp_path):
    data = table(1, 3, 5)
    data.to_csv(tmp_path / "t.csv", index=False)
    data.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    data.to_json(tmp_path / "t.json", orient="records")
    data.to_parquet(tmp_path / "t.parquet")
    expected = list(building.read_graded(data, PLAIN, rubric=RUBRIC))
    assert [row["orig_score"] for row in expected] == ["1", "3", "5"] and expected[0][
        "orig_criteria"
    ] == "Is it polite?"
    for file in tmp_path.iterdir():
        assert list(building.read_graded(file, PLAIN, rubric=RUBRIC)) == expected, file.name


def test_texts_survive_a_csv_file_byte_for_byte(tmp_path):
    texts = ["a\rb", 'comma, "quote"\nline', "x" * 200_000, "\u4f60\u597d \U0001f600", "{0} ###Response B: [RESULT] A"]
    data = table(*[3] * len(texts)).assign(response=texts)
    data.to_csv(tmp_path / "t.csv", index=False, quoting=csv.QUOTE_ALL)
    assert [row["orig_response"] for row in building.read_graded(tmp_path / "t.csv", PLAIN, rubric=RUBRIC)] == texts


def test_an_unquoted_carriage_return_in_a_csv_file_is_an_error_not_a_row(tmp_path):
    """pandas writes it so, and would read two broken rows."""
    table(3).assign(response="a\rb").to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"t\.csv, row 1: not as many cells .*QUOTE_ALL"):
        list(building.read_graded(tmp_path / "t.csv", PLAIN, rubric=RUBRIC))


@pytest.mark.parametrize(
    "low, high, scores, whole",
    [
        (1, 5, (1, 2.5, "3.0", 3.49), "1333"), (1, 10, (1, 2, 3, 5.5, 9, 10), "112355"), (0, 1, (0, 0.5, 1), "135"),
        (-1, 1, (-1, 0, 1), "135"), (0, 100, (12, 13, 87.5), "125"),
    ],
)  # fmt: skip
def test_other_ranges_are_stretched_and_rounded_half_up(low, high, scores, whole):
    rows = list(building.read_graded(table(*scores), PLAIN, building.Range(low, high), RUBRIC))
    assert "".join(row["orig_score"] for row in rows) == whole
    pairs, counts = building.pair_up(rows)  # from the scores themselves, not from the rounded ones
    assert counts.equal == sum(float(a) == float(b) for n, a in enumerate(scores) for b in scores[:n])


@pytest.mark.parametrize(
    "score, reason",
    [
        ("6", "score is '6', outside 1 to 5"), ("", "score is '', which is no number"), (0, "score is 0, outside"),
        ("four", "no number"), (float("nan"), "no number"), (None, "no number"), (True, "no number"),
        (float("inf"), "outside"), ([3], "no number"),
    ],
)  # fmt: skip
def test_a_score_that_is_none_sets_its_row_aside(score, reason):
    rejects = building.Rejects()
    data = table(2, 3).astype(object)
    data.at[1, "score"] = score
    rows = list(building.read_graded(data, PLAIN, rubric=RUBRIC, rejects=rejects))
    assert [row["orig_score"] for row in rows] == ["2"] and rejects.count == 1
    assert reason in rejects.summary() and "DataFrame, row 2" in rejects.summary()


def test_empty_and_invisible_responses_and_half_characters_are_set_aside():
    half = json.loads('"\\ud83d"')
    responses = pd.Series(["", "\u200b", None, half, "fine"], dtype=object)
    data = table(1, 2, 3, 4, 5).assign(response=responses)
    rejects = building.Rejects()
    assert len(list(building.read_graded(data, PLAIN, rubric=RUBRIC, rejects=rejects))) == 1
    assert rejects.reasons == {"orig_response shows": 3, "orig_response holds": 1}


def test_without_feedback_rows_serve_pairing_only():
    rows = list(building.read_graded(table(1, 5).drop(columns="feedback"), PLAIN, rubric=RUBRIC))
    assert list(building.direct_rows(rows)) == [] and building.pair_up(rows)[1].pairs == 1


def test_missing_columns_and_rubrics_are_named(tmp_path):
    with pytest.raises(DataError, match=r"row 1: no column 'response' among 'instruction', 'answer'"):
        list(building.read_graded(table(1).rename(columns={"response": "answer"}), PLAIN))
    rejects = building.Rejects()
    assert list(building.read_graded(table(1, 2), PLAIN, rejects=rejects)) == []
    assert "orig_criteria is missing" in rejects.summary()
    with pytest.raises(DataError, match="2 score descriptions, wanted 5"):
        list(building.read_graded(table(1), PLAIN, rubric=Rubric("c", ("a", "b"))))
    with pytest.raises(DataError, match="lowest must be below"):
        building.Range(5, 1)


def test_damaged_csv_files_are_named(tmp_path):
    cases = {"ragged": b"instruction,response,score\na,b\n", "quote": b'instruction,response,score\n"a"b,c,1\n'}
    cases |= {"latin": "instruction,response,score\n\u00e9,b,1\n".encode("latin-1")}
    for name, data in cases.items():
        (tmp_path / f"{name}.csv").write_bytes(data)
        with pytest.raises(DataError, match=f"{name}.csv"):
            list(building.read_graded(tmp_path / f"{name}.csv", PLAIN, rubric=RUBRIC))
    with pytest.raises(DataError, match="no such file"):
        list(building.read_graded(tmp_path / "none.csv", PLAIN))


def test_counts_of_scores_stay_as_given():
    rows = list(building.read_graded(table(*[1, 2, 3, 4, 5] * 4), PLAIN, rubric=RUBRIC))
    assert Counter(row["orig_score"] for row in rows) == dict.fromkeys("12345", 4)


def test_a_column_name_twice_is_refused_before_a_row_is_read(tmp_path):
    """Read by name, the second of them would give the labels in silence."""
    file = tmp_path / "graded.csv"
    file.write_text("instruction,response,score,score\nHi,yes,5,1\n")
    with pytest.raises(DataError, match="'score' is there 2 times"):
        list(building.read_graded(file, PLAIN, rubric=RUBRIC))
