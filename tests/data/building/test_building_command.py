"""`data --build`: a collection from graded responses or the miniature world, without a notebook."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from prometheus_lib.__main__ import main
from prometheus_lib.data import building

GRADED = [
    {"instruction": f"Ask {n}.", "response": f"Answer {n} {score}.", "score": score,
     "feedback": "Good." if score > 3 else "", "reference_answer": "" if n == 5 else "The best."}
    for n in range(6)
    for score in (1, 5, 10)
]  # fmt: skip


@pytest.fixture
def graded(tmp_path):
    path = tmp_path / "graded.csv"
    pd.DataFrame(GRADED).to_csv(path, index=False)
    return path


def test_pairs_are_built_from_graded_responses(graded, tmp_path, capsys):
    folder = tmp_path / "pairs"
    command = ["data", "--build", "preference", "--from", str(graded), "--rubric", "helpfulness", "--scores", "1-10"]
    assert main([*command, "--folder", str(folder), "--licence", "cc-by-4.0"]) == 0
    rows = pd.read_parquet(folder / "data")
    assert len(rows) == 6 * 3 and sorted(rows["orig_preference"].value_counts()) == [9, 9]
    better = rows.apply(lambda row: row[f"orig_response_{row['orig_preference']}"], axis=1)
    worse = rows.apply(lambda row: row["orig_response_" + "BA"["AB".index(row["orig_preference"])]], axis=1)
    grades = [texts.str.split().str[-1].str.rstrip(".").astype(int) for texts in (better, worse)]
    assert (grades[0] > grades[1]).all()
    card = (folder / "README.md").read_text()
    assert "cc-by-4.0" in card and "graded.csv" in card
    assert "18 pairs, A better in 9 and B in 9" in capsys.readouterr().out


def test_scores_with_feedback_are_kept_and_the_range_is_stretched(graded, tmp_path, capsys):
    folder = tmp_path / "own"
    renamed = pd.DataFrame(GRADED).rename(columns={"response": "output"})
    renamed.to_json(tmp_path / "graded.jsonl", orient="records", lines=True)
    command = ["data", "--build", "feedback", "--from", str(tmp_path / "graded.jsonl"), "--rubric", "Is it good?"]
    columns = ["--columns", json.dumps({"output": "response"})]
    assert main([*command, *columns, "--scores", "1-10", "--folder", str(folder)]) == 0
    rows = building.load_collection("feedback", folder)
    assert sorted(row["orig_score"] for row in rows) == ["3"] * 5 + ["5"] * 5  # 1 has no feedback; 5 lies in the middle
    assert {row["orig_criteria"] for row in rows} == {"Is it good?"}
    said = capsys.readouterr().out
    assert "10 rows with feedback" in said and "2 rows were set aside" in said  # no reference answer


@pytest.mark.parametrize("collection", ["feedback", "preference"])
def test_the_miniature_collection_is_that_of_the_notebooks(collection, tmp_path):
    folder = tmp_path / collection
    assert main(["data", "--build", collection, "--folder", str(folder), "--instructions", "3"]) == 0
    maker = {"feedback": building.command.feedback_rows, "preference": building.command.preference_rows}[collection]
    assert building.load_collection(collection, folder) == maker(42, 3)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--rubric", "helpfulness", "--scores", "high"], "--scores high"),
        (["--rubric", "helpfulness", "--scores", "5-1"], "lowest must be below"),
        (["--rubric", "helpfulness", "--scores", "20-30"], "no row"),
        (["--scores", "1-10"], "no row"),  # no rubric, neither given nor in the rows
        (["--rubric", "helpfulness", "--columns", '{"output": "answer"}'], "no 'answer' among ours"),
        (["--rubric", "helpfulness", "--columns", '{"output": "response"}'], "no column 'output'"),
    ],
)
def test_what_cannot_be_built_says_why(more, message, graded, tmp_path, capsys):
    folder = tmp_path / "pairs"
    assert main(["data", "--build", "preference", "--from", str(graded), *more, "--folder", str(folder)]) == 1
    assert message in capsys.readouterr().err and not folder.exists()


def test_a_file_without_feedback_makes_no_rows_of_feedback(tmp_path, capsys):
    pd.DataFrame(GRADED).drop(columns="feedback").to_csv(tmp_path / "bare.csv", index=False)
    command = ["data", "--build", "feedback", "--from", str(tmp_path / "bare.csv"), "--rubric", "helpfulness"]
    assert main([*command, "--scores", "1-10", "--folder", str(tmp_path / "own")]) == 1
    assert "no row with feedback" in capsys.readouterr().err
    assert main(["data", "--from", str(tmp_path / "bare.csv")]) == 1
    assert "add --build" in capsys.readouterr().err
