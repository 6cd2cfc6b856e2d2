"""Recorded judgments of anyone's judge: what is read, what is refused and how, and that they reach the tables."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from prometheus_lib import metrics, tables
from prometheus_lib.data import benchmarks
from prometheus_lib.data.recorded import read_recorded
from prometheus_lib.data.votes import expert_pairs, gpt4_against_experts, read_votes
from prometheus_lib.judging.store import COLUMNS
from prometheus_lib.records import DataError, DirectItem, Judgment, PairItem, Rubric, as_row
from prometheus_lib.scale import load_scale
from prometheus_lib.tables import Run

RUBRIC = Rubric("Is it right?", ("one", "two", "three", "four", "five"))
GOLD = (1, 2, 3, 4, 5, 3)
LABELS = ("A", "B", "tie", "A")


@pytest.fixture
def direct():
    return [
        DirectItem(f"v/{n}", "Do it.", "word " * n, "word", RUBRIC, {"sim-strong": [score]}, cluster=f"v/{n // 2}")
        for n, score in enumerate(GOLD)
    ]


@pytest.fixture
def pairs():
    return [
        PairItem(f"p/{n}", "Do it.", "long answer", "short", None, "Is it right?", label, cluster=f"p/{n}")
        for n, label in enumerate(LABELS)
    ]


def csv_file(folder, text, name="judge.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def jsonl_file(folder, rows, name="judge.jsonl"):
    return csv_file(folder, "".join(json.dumps(row) + "\n" for row in rows), name)


def decisions(rows):
    return [None if pd.isna(decision) else decision for decision in rows["decision"]]


# --- what is read ----------------------------------------------------------------------------------------------------


def test_csv_and_json_lines_give_the_same_judgments(tmp_path, direct):
    text = "item_id,decision,draw\nv/0,1,0\nv/1,,0\nv/0,4,1\nv/1,5.0,1\n"
    rows = [{"id": "v/0", "decision": 1}, {"id": "v/1", "decision": None}]
    rows += [{"id": "v/0", "decision": "4", "draw": 1}, {"id": "v/1", "decision": 5, "draw": 1.0}]
    one = read_recorded(csv_file(tmp_path, text), direct, "vicuna_bench")
    two = read_recorded(jsonl_file(tmp_path, rows), direct, "vicuna_bench")
    assert list(one.columns) == list(COLUMNS)
    pd.testing.assert_frame_equal(one, two)
    assert decisions(one) == [1, None, 4, 5]
    assert one["status"].tolist() == ["ok", "unparsed", "ok", "ok"]
    assert set(one["judge"]) == {"judge"} and one["with_reference"].all() and set(one["format"]) == {"direct"}
    assert set(one["policy"]) == {"once"} and one["key"].is_unique


def test_judge_comes_from_the_argument_the_column_or_the_file(tmp_path, direct):
    path = csv_file(tmp_path, "judge,item_id,decision\nthe owl,v/0,1\n,v/1,2\n", "owls.csv")
    assert read_recorded(path, direct, "vicuna_bench")["judge"].tolist() == ["the owl", "owls"]
    assert set(read_recorded(path, direct, "vicuna_bench", "a crow")["judge"]) == {"a crow"}


def test_feedback_is_parsed_where_no_decision_stands(tmp_path, direct):
    rows = [
        {"item_id": "v/0", "feedback": "Good. [RESULT] 4"},
        {"item_id": "v/1", "feedback": "Good, so I say 4."},
        {"item_id": "v/2", "feedback": "The text counts less than the column. [RESULT] 1", "decision": 5},
    ]
    found = read_recorded(jsonl_file(tmp_path, rows), direct, "vicuna_bench")
    assert decisions(found) == [4, None, 5] and found["feedback"][0] == "Good."
    assert found["status"].tolist() == ["ok", "unparsed", "ok"]


def test_order_ba_is_mapped_back_and_ties_stay(tmp_path, pairs):
    text = "item_id,order,decision\np/0,ba,A\np/1,ba,b\np/2,ba,TIE\np/3,ab,a\np/0,ab,B\n"
    path = csv_file(tmp_path, text)
    found = read_recorded(path, pairs, "mt_bench_human")
    assert decisions(found) == ["B", "A", "tie", "A", "B"] and not found["with_reference"].any()
    assert decisions(read_recorded(path, pairs, "mt_bench_human", mapped=True)) == ["A", "B", "tie", "A", "B"]


def test_direct_scores_of_pairs_name_the_side(tmp_path, pairs):
    path = csv_file(tmp_path, "item_id,decision\np/0#a,5\np/0#b,1\n")
    found = read_recorded(path, pairs, "mt_bench_human", format="direct", with_reference=False)
    assert decisions(found) == [5, 1] and set(found["format"]) == {"direct"}
    with pytest.raises(DataError, match="line 2: item 'p/0#a' is not in mt_bench_human"):
        read_recorded(path, pairs, "mt_bench_human")


def test_quoted_texts_marks_of_spreadsheets_and_compressed_files(tmp_path, direct):
    import gzip

    text = '\ufeffitem_id,feedback\r\nv/0,"Two lines,\nand a comma. [RESULT] 3"\r\n'
    path = tmp_path / "judge.csv.gz"
    path.write_bytes(gzip.compress(text.encode("utf-8")))
    found = read_recorded(path, direct, "vicuna_bench")
    assert decisions(found) == [3] and set(found["judge"]) == {"judge"}


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("item_id,decision\nv/0,3\nnobody,3\n", r"judge.csv, line 3: item 'nobody' is not in vicuna_bench; its 6 ids"),
        ("item_id,decision\nv/0,6\n", r"judge.csv, line 2: decision '6' is none of 1, 2, 3, 4, 5; say what it means"),
        ("item_id,decision\nv/0,3.5\n", r"line 2: decision '3.5' is none of"),
        ("item_id,decision\nv/0,A\n", r"line 2: decision 'A' is none of 1, 2, 3, 4, 5; say what it means"),
        ("item_id,decision\nv/0,3\nv/1,2\nv/0,3\n", r"line 4: item 'v/0', draw 0, is already in line 2"),
        ("item_id,decision,draw\nv/0,3,1\n", r"judge.csv: draws \[1\] leave a gap"),
        ("item_id,decision,draw\nv/0,3,first\n", r"line 2: draw 'first' is not a number"),
        ("item_id,decision,draw\nv/0,3,-1\n", r"line 2: draw '-1' is not a number"),
        ("item_id,decision,draw\nv/0,3,1.5\n", r"line 2: draw '1.5' is not a number"),
        ("item_id,decision,order\nv/0,3,xy\n", r"line 2: order 'xy' is neither \"ab\" nor \"ba\""),
        ("item_id,decision,with_reference\nv/0,3,maybe\n", r"line 2: with_reference is 'maybe'; write true or false"),
        ("item,score\nv/0,3\n", r"column 'item' looks like 'item_id', which is missing"),
        ("name,score\nv/0,3\n", r"needed; found name, score"),
        ("item_id,decision\nv/0,3,4\n", r"line 2: 3 fields, and the header has 2"),
        ("item_id,feedback\nv/0\n", r"line 2: 1 fields, and the header has 2"),
        ("item_id,decision\n", r"judge.csv: holds no rows"),
        ("item_id,decision,Decision\nv/0,3,4\n", r"the columns 'decision' and 'Decision' are both 'decision'"),
        ("item_id,decison\nv/0,3\n", r"column 'decison' looks like 'decision', which is missing"),
    ],
)
def test_bad_files_get_one_message_with_file_and_line(tmp_path, direct, text, message):
    with pytest.raises(DataError, match=message):
        read_recorded(csv_file(tmp_path, text), direct, "vicuna_bench")


def test_other_bad_input(tmp_path, direct, pairs):
    with pytest.raises(DataError, match="file not found"):
        read_recorded(tmp_path / "none.csv", direct, "vicuna_bench")
    with pytest.raises(DataError, match="line 1: not valid JSON"):
        read_recorded(csv_file(tmp_path, "item_id,decision\n", "judge.jsonl"), direct, "vicuna_bench")
    with pytest.raises(DataError, match="line 2: decision '3' is none of A, B, tie"):
        read_recorded(csv_file(tmp_path, "item_id,decision\np/0,3\n"), pairs, "mt_bench_human")
    with pytest.raises(DataError, match="does not fit these items"):
        read_recorded(csv_file(tmp_path, "item_id,decision\nv/0,3\n"), direct, "vicuna_bench", format="pairwise")
    with pytest.raises(DataError, match="no items: give the items that were judged"):
        read_recorded(csv_file(tmp_path, "item_id,decision\nv/0,3\n"), [], "vicuna_bench")
    for items, said in (
        ([*direct, *pairs], "not all DirectItem"),
        (["v/0"], "not all"),
        ([*direct, direct[0]], "v/0 are"),
    ):
        with pytest.raises(DataError, match=said):
            read_recorded([{"item_id": "v/0", "decision": 3}], items, "vicuna_bench", judge="owl")
    two = [{"item_id": "v/0", "decision": 3, "judge": name, "draw": n} for n, name in enumerate(("owl", "crow"))]
    with pytest.raises(DataError, match="judge='owls' would stand for the 2 judges crow, owl"):
        read_recorded(two, direct, "vicuna_bench", judge="owls")
    with pytest.raises(DataError, match="row 1: no judge; fill in a column judge"):
        read_recorded([{"item_id": "v/0", "decision": 3}], direct, "vicuna_bench")


def test_rows_of_any_source_are_the_same_judgments(tmp_path, direct):
    rows = [{"item_id": item.id, "decision": score} for item, score in zip(direct, GOLD, strict=True)]
    expected = read_recorded(jsonl_file(tmp_path, rows), direct, "vicuna_bench", "the owl")
    for source in (rows, pd.DataFrame(rows), pd.DataFrame(rows).set_index("item_id"), pd.DataFrame(rows).to_dict()):
        pd.testing.assert_frame_equal(read_recorded(source, direct, "vicuna_bench", "the owl"), expected)


def test_five_rows_stay_five_or_are_refused(tmp_path, direct):
    lines = ["v/0,3,Fine", 'v/1,4,"Good', "v/2,1,Bad", "v/3,2,Poor", "v/4,5,Right"]
    text = "item_id,decision,feedback\n" + "\n".join(lines) + "\n"
    with pytest.raises(DataError, match="judge.csv, line 3: a quotation mark is opened here and never closed"):
        read_recorded(csv_file(tmp_path, text), direct, "vicuna_bench")
    with pytest.warns(
        UserWarning, match=r"2 lines inside quoted fields look like rows \(.* line 3\); 3 rows were read"
    ):
        found = read_recorded(csv_file(tmp_path, text.replace("Poor", 'Poor"')), direct, "vicuna_bench")
    assert len(found) == 3


def test_decisions_as_others_write_them(tmp_path, pairs):
    text = "item_id,decision\np/0,model_a\np/1,Response B\np/2,tie (bothbad)\np/3,A>B\n"
    assert decisions(read_recorded(csv_file(tmp_path, text), pairs, "mt_bench_human")) == ["A", "B", "tie", "A"]
    numbers = [{"id": f"p/{n}", "preference": said} for n, said in enumerate((1.0, 2, "0", "error"))]
    meaning = {"mapping": {1: "A", 2: "B", 0: "tie", "error": None}, "columns": {"preference": "decision"}}
    found = read_recorded(numbers, pairs, "mt_bench_human", "AlpacaEval", **meaning)
    assert decisions(found) == ["A", "B", "tie", None] and found["status"].tolist() == ["ok"] * 3 + ["unparsed"]


def test_our_own_judgment_file_is_not_mapped_back_twice(tmp_path, pairs):
    row = as_row(own(pairs[0], "A", "pairwise")) | {"order": "ba", "benchmark": "mt_bench_human"}
    with pytest.warns(UserWarning, match="columns that are not read: fingerprint"):
        assert decisions(read_recorded(jsonl_file(tmp_path, [row]), pairs, "mt_bench_human")) == ["A"]
    with pytest.warns(UserWarning, match="columns that are not read"):
        assert decisions(read_recorded([row], pairs, "mt_bench_human", mapped=False)) == ["B"]


def test_a_blank_decision_of_our_own_files_stays_one_whatever_its_text_says(tmp_path, pairs):
    """The answer was cut off behind a first verdict, or a reward model's prompt stands in the text."""
    row = as_row(own(pairs[0], None, "pairwise")) | {"benchmark": "mt_bench_human"}
    rows = [
        row | {"status": "truncated", "feedback": "Good. [RESULT] A"},
        row | {"item_id": "p/1", "order": "ba", "feedback": "[RESULT] B", "status": "unparsed"},
        row | {"item_id": "p/2", "status": "too long"},
    ]
    with pytest.warns(UserWarning, match="columns that are not read"):
        found = read_recorded(jsonl_file(tmp_path, rows), pairs, "mt_bench_human")
    assert decisions(found) == [None] * 3 and found["status"].tolist() == ["truncated", "unparsed", "too long"]


def test_a_verdict_read_from_a_text_is_about_the_responses_as_shown(pairs):
    rows = [{"item_id": "p/0", "order": "ba", "feedback": "Good. [RESULT] A"}]
    for mapped in (True, False, None):  # this tells of the column decision, which is not there
        assert decisions(read_recorded(rows, pairs, "mt_bench_human", "j", mapped=mapped)) == ["B"]


def test_what_is_not_read_is_said_once(tmp_path, direct):
    text = "id,item_id,decision,model,with_reference\n9,v/0,3,m,no\n,,,,\n8,v/1,4,m,\n"
    with pytest.warns(UserWarning) as said:
        found = read_recorded(csv_file(tmp_path, text), direct, "vicuna_bench")
    assert [str(each.message).split(": ", 1)[1] for each in said] == [
        "1 row without any value is left out (line 3).",
        "columns that are not read: model.",
        "id stands beside item_id and is not read.",
    ]
    assert decisions(found) == [3, 4] and found["with_reference"].tolist() == [False, True]


# --- in the tables ---------------------------------------------------------------------------------------------------


def own(item, decision, format):
    """A judgment of a judge called "linear"."""
    name = {"v": "mini_vicuna_bench", "p": "mini_mt_bench_human"}[item.id[0]]
    key = f"linear {item.id} {format}"
    return Judgment(
        "linear", "f", name, item.id, format, format == "direct", "ab", 0, decision, "", "ok", 1, 9, key
    )  # fmt: skip


@pytest.fixture
def run(direct, pairs):
    judgments = [own(item, score, "direct") for item, score in zip(direct, GOLD, strict=True)]
    judgments += [own(item, "A", "pairwise") for item in pairs]
    scale = dataclasses.replace(load_scale("smoke"), main_judges=("linear",), resamples=40)
    frame = pd.DataFrame([as_row(judgment) for judgment in judgments])
    return Run(scale, frame, {"vicuna_bench": direct, "mt_bench_human": pairs})


def one(cells, row, column, variant=""):
    found = cells[(cells["row"] == row) & (cells["column"] == column) & (cells["variant"] == variant)]
    assert len(found) == 1
    return found.iloc[0]


def test_a_recorded_judge_stands_among_the_judges_of_every_table(tmp_path, run, direct, pairs):
    lines = "".join(f"v/{n},{6 - score}\n" for n, score in enumerate(GOLD[:-1])) + "v/5,\n"
    scores = read_recorded(csv_file(tmp_path, "item_id,decision\n" + lines), direct, "vicuna_bench", "the owl")
    rows = [{"item_id": item.id, "decision": item.label} for item in pairs]
    choices = read_recorded(jsonl_file(tmp_path, rows), pairs, "mt_bench_human", "the owl")
    joined = run.with_judgments(scores).with_judgments(choices)
    assert joined.scale.main_judges == ("linear", "the owl") and run.scale.main_judges == ("linear",)
    owl = one(tables.table_3(joined), "the owl", "Vicuna Bench | sim-strong")
    assert (owl.kind, owl.value, owl.n, owl.unparsed) == ("judge", pytest.approx(-1), 5, 1)
    assert one(tables.table_4(joined), "the owl", "MT Bench Human | w/ TIE", "corrected").value == 100
    before, after = (one(tables.table_3(r), "linear", "Vicuna Bench | sim-strong") for r in (run, joined))
    assert before.equals(after)


def test_with_judgments_refuses_what_the_run_does_not_have(run, direct, tmp_path):
    rows = read_recorded(csv_file(tmp_path, "item_id,decision\nv/0,3\n"), direct, "flask", "the owl")
    with pytest.raises(DataError, match=r"benchmark 'flask' is not in this run; it has \['mt_bench_human'"):
        run.with_judgments(rows)
    again = rows.assign(benchmark="vicuna_bench", judge="linear")
    with pytest.raises(DataError, match="judge 'linear' already has judgments on mini_vicuna_bench"):
        run.with_judgments(again)


def test_a_file_that_is_not_whole_is_warned_about_and_counts_as_unparsed(run, direct, tmp_path):
    rows = read_recorded(csv_file(tmp_path, "item_id,decision\nv/0,3\nv/1,1\n"), direct, "vicuna_bench", "the owl")
    with pytest.warns(UserWarning, match="the owl, vicuna_bench .direct.: 4 of 6 judgments are missing"):
        owl = one(tables.table_3(run.with_judgments(rows)), "the owl", "Vicuna Bench | sim-strong")
    assert (owl.n, owl.unparsed) == (2, 4)


def test_a_judge_asked_in_both_orders_gets_rows_of_its_own(run, pairs, tmp_path):
    text = "item_id,order,decision\n" + "".join(f"p/{n},ab,A\np/{n},ba,{said}\n" for n, said in enumerate("BAAB"))
    rows = read_recorded(csv_file(tmp_path, text), pairs, "mt_bench_human", "the owl")
    cells = tables.table_4(run.with_judgments(rows))  # mapped back: A B B A
    assert one(cells, "the owl, right in both orders", "MT Bench Human | w/ TIE", "corrected").value == 50
    assert one(cells, "the owl", "MT Bench Human | consistency").value == 50
    assert one(cells, "the owl, swapped order", "MT Bench Human | w/o TIE").value == 100


# --- real data -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_run(data_dir):
    real = {name: benchmarks.load_benchmark(name, data_dir) for name in ("vicuna_bench", "autoj_eval")}
    scale = dataclasses.replace(load_scale("smoke"), resamples=40)
    empty = pd.DataFrame(columns=list(COLUMNS))
    return Run(scale, empty, {}, real)


def test_auto_j_recorded_in_both_orders_gives_its_published_figures(real_run, data_dir, tmp_path):
    """As its authors published them: 0, 1 or 2 for the responses as shown, the second file with them exchanged."""
    items, lines = real_run.real["autoj_eval"], ["item_id,order,decision"]
    for order, name in (("ab", "pairwise_example_output"), ("ba", "pairwise_exchange_example_output")):
        rows = (data_dir / "autoj_outputs" / f"{name}.jsonl").read_text().splitlines()
        outputs = [json.loads(row)["output"] for row in rows]
        lines += [f"{item.id},{order},{('A', 'B', 'tie')[said]}" for item, said in zip(items, outputs, strict=True)]
    rows = read_recorded(csv_file(tmp_path, "\n".join(lines) + "\n"), items, "autoj_eval", "Auto-J 13B")
    cells = tables.table_4(real_run.on_real().with_judgments(rows))
    column = "Auto-J Eval | w/ TIE"
    found = one(cells, "Auto-J 13B", column, "corrected")
    assert (found.value, found.n) == (pytest.approx(100 * 835 / 1392), 1392)
    assert round(one(cells, "Auto-J 13B, right in both orders", column, "corrected").value, 2) == 54.96
    assert round(one(cells, "Auto-J 13B", "Auto-J Eval | consistency").value, 2) == 83.41


def test_a_recorded_judge_of_length_is_the_floor_of_length(real_run, tmp_path):
    """A recorded judge and the trivial judge of the same rule: same number, on the real Vicuna Bench."""
    items = real_run.real["vicuna_bench"]
    lengths = np.array([len(item.response.strip()) for item in items])
    scores = np.digitize(lengths, np.quantile(lengths, [0.2, 0.4, 0.6, 0.8])) + 1
    rows = [{"item_id": item.id, "decision": int(score)} for item, score in zip(items, scores, strict=True)]
    found = read_recorded(jsonl_file(tmp_path, rows), items, "vicuna_bench", "length in five steps")
    cells = tables.table_3(real_run.on_real().with_judgments(found))
    expected = metrics.correlations(scores, tables.rater_means(items, "gpt-4-1106")).pearson
    assert one(cells, "length in five steps", "Vicuna Bench | gpt-4-1106").value == pytest.approx(expected)
    assert one(cells, "mean of the other answers' scores", "Vicuna Bench | gpt-4-1106").kind == "floor"


def test_votes_on_mt_bench(data_dir):
    votes = read_votes(data_dir)
    for table, agreed, n in ((expert_pairs(votes), 454, 721), (gpt4_against_experts(votes), 886, 1343)):
        assert ((table["first"] == table["second"]).sum(), len(table)) == (agreed, n)
        assert table["question"].nunique() == 80


def test_a_vote_without_a_winner_is_named(tmp_path):
    folder = tmp_path / "mtbench_human"
    folder.mkdir()
    (folder / "human_turn1.jsonl").write_text('{"model_a": "x", "model_b": "y", "question_id": 1, "judge": "e"}\n')
    with pytest.raises(DataError, match="human_turn1.jsonl, row 1: not a vote"):
        read_votes(tmp_path)
