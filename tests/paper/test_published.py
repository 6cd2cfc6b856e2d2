"""The transcription of the paper's tables, and the contradictions arithmetic finds in them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator

import pandas as pd
import pytest

from prometheus_lib.paper import audit, load_published, published_table, published_value
from prometheus_lib.paper.published import PUBLISHED_CSV

PAIRWISE = "PAIRWISE RANKING BENCHMARKS"
SINGLE_HEADER = {1, 2, 14}
SECOND_TRANSCRIPTION = [*range(1, 7), *range(11, 18)]


def as_printed(number: int) -> list[tuple[str, str, str]]:
    """Row, column and printed cell of one table of published.csv, before any conversion to floats."""
    with PUBLISHED_CSV.open(encoding="utf-8", newline="") as lines:
        cells = [cell for cell in csv.DictReader(lines) if cell["table"] == str(number)]
    return [(cell["row"], cell["column"], cell["value"] or cell["text"]) for cell in cells]


def spanned(heading: list[str]) -> list[str]:
    names: list[str] = []
    for name in heading:
        names.append(name or names[-1])
    return names


def second_transcription(number: int, rows: list[list[str]]) -> Iterator[tuple[str, str, str]]:
    """Row, column and cell from rows of strings, with spanning headings, blocks and fill-down resolved."""
    names = spanned(rows[0])
    if number not in SINGLE_HEADER:
        names = [f"{top} | {below}" if below else top for top, below in zip(names, rows[1], strict=True)]
    names = [name.replace(r"$\Delta(\downarrow)$", "Δ").replace("(↑)", "") for name in names]
    block, method = "", ""
    for first, *cells in rows[1 if number in SINGLE_HEADER else 2 :]:
        if not any(cells):
            block = f"{first} | "
            continue
        columns = names[1:]
        if number == 2:  # the benchmark names the row; the method stands only in the first row of its group
            method = first or method
            first, cells, columns = cells[0], [method, *cells[1:]], [names[0], *names[2:]]
        for column, cell in zip(columns, cells, strict=True):
            yield block + first, column, cell.replace(",", "")


def edited(table: int, row: str, column: str, value: float) -> pd.DataFrame:
    """The published numbers with one cell changed."""
    cells = load_published()
    place = (cells["table"] == table) & (cells["row"] == row) & (cells["column"] == column)
    assert place.sum() == 1
    cells.loc[place, "value"] = value
    return cells


def places(findings: pd.DataFrame) -> set[tuple[int, str, str]]:
    return set(findings[["table", "row", "column"]].itertuples(index=False, name=None))


@pytest.mark.parametrize("number", SECOND_TRANSCRIPTION)
def test_every_cell_equals_the_second_transcription(number, data_dir):
    tables = json.loads((data_dir / "paper_tables" / "tables.json").read_text(encoding="utf-8"))
    assert as_printed(number) == list(second_transcription(number, tables[str(number)]))


def test_all_tables_are_there_and_no_cell_twice():
    cells = load_published()
    assert sorted(set(cells["table"])) == list(range(1, 18))
    assert not cells.duplicated(["table", "row", "column"]).any()
    assert not (cells["value"].isna() & (cells["text"] == "")).any()


@pytest.mark.parametrize(
    ("table", "row", "column", "value", "metric"),
    [
        (1, "# Instances", "PREFERENCE COLLECTION", 200_000, "count"),
        (2, "Auto-J Eval", "# Judgments", 1392, "count"),
        (3, "PROMETHEUS-2-7B", "VICUNA BENCH | GPT-4-1106", 0.666, "pearson"),
        (3, "LLAMA2-CHAT 13B", "MT BENCH | Claude-3-Opus", -0.002, "pearson"),
        (4, "CLAUDE-3-OPUS", "HHH ALIGNMENT | Harm.", 100.0, "accuracy"),
        (5, "Mixtral-Instruct-8x7B | JOINT TRAINING", f"{PAIRWISE} | Average", 75.29, "accuracy"),
        (7, "Criticality", "RESULTS", 88, "percent"),
        (9, "Learning Rate", "Value", 1e-5, "hyperparameter"),
        (11, "PROMETHEUS-2-8X7B", "FLASK | Humans", 0.388, "kendall_tau"),
        (12, "PROMETHEUS-2-8X7B", "FLASK | Humans", 0.496, "spearman"),
        (13, "PROMETHEUS-2-7B", "HHH ALIGNMENT | Δ", 0.45, "accuracy_difference"),
        (14, "CLAUDE-3-OPUS", "FLASK", 0.8976, "krippendorff_alpha"),
        (15, "PROMETHEUS-2-7B", "PREFERENCE COLLECTION | Transitivity", 97.6, "transitivity"),
        (16, "GPT-4-1106", "BIGGEN BENCH | Reference-free", 0.554, "pearson"),
        (17, "DARE-LINEAR", "Average", 83.32, "overall_average"),
    ],
)
def test_known_values_and_metrics(table, row, column, value, metric):
    assert published_value(table, row, column) == value
    cells = load_published().set_index(["table", "row", "column"])
    assert cells.loc[(table, row, column), "metric"] == metric


def test_missing_numbers_are_nan_and_letter_case_is_free():
    assert math.isnan(published_value(3, "GPT-4-1106", "VICUNA BENCH | GPT-4-1106"))
    assert math.isnan(published_value(4, "PAIR RM (0.4B)", "AUTO-J EVAL | w/ TIE"))
    assert published_value(3, "prometheus-2-8X7B", "flask | humans") == 0.555


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(KeyError, match="no row 'PROMETHEUS-2'.*'PROMETHEUS-2-7B'"):
        published_value(3, "PROMETHEUS-2", "FLASK | Humans")
    with pytest.raises(KeyError, match="no column 'FLASK'.*'FLASK | Humans'"):
        published_value(3, "PROMETHEUS-2-7B", "FLASK")
    with pytest.raises(KeyError, match="no Table 18"):
        published_table(18)


def test_wide_table_keeps_the_order_of_the_paper():
    wide = published_table(17)
    assert list(wide.index) == ["LINEAR", "SLERP", "TASK ARITHMETIC", "TIES", "DARE-TIES", "DARE-LINEAR"]
    assert wide.shape == (6, 11) and wide.columns[-1] == "Average"
    assert (wide.dtypes == "float64").all()
    assert wide.at["SLERP", "PAIRWISE RANKING BENCHMARKS | MT BEN. H.J."] == 70.2


def test_hyperparameters_are_kept_as_printed():
    seven, mixture = (published_table(number, cells="text")["Value"] for number in (9, 10))
    assert seven["Merging Strategy"] == "Linear (α = 0.5)" and seven["Learning Rate"] == "1e-5"
    assert mixture["Lora Target Module"] == "Q proj,K proj,V proj,O proj,W proj,LM_Head"
    assert published_table(8)["Value"].to_list() == [1.0, 0.9, 1024, 1.03]


def test_loading_hands_out_a_fresh_copy():
    cells = load_published()
    cells["value"] = 0.0
    assert published_value(3, "PROMETHEUS-2-7B", "FLASK | Humans") == 0.545


def test_last_column_of_table_17_is_not_the_mean_of_the_two_averages():
    found = audit.averages_that_differ(17)
    assert set(found["column"]) == {"Average"} and len(found) == 6
    assert found["note"].str.contains("mean of Feedback Bench alone").all()
    linear = found.set_index("row").loc["LINEAR"]
    assert (linear["published"], linear["recomputed"]) == (82.93, pytest.approx((65.2 + 78.06) / 2))


def test_averages_of_tables_5_and_6():
    average = f"{PAIRWISE} | Average"
    assert places(audit.averages_that_differ(5)) == {(5, "Mixtral-Instruct-8x7B | PROMPTING", average)}
    same_format = "DIRECT ASSESSMENT & DIRECT ASSESSMENT"
    assert places(audit.averages_that_differ(6)) == {(6, same_format, average)}
    with pytest.raises(ValueError, match="Table 3 has no column of averages"):
        audit.averages_that_differ(3)


def test_a_repaired_average_is_no_finding_and_a_broken_one_is():
    average = f"{PAIRWISE} | Average"
    repaired = edited(5, "Mixtral-Instruct-8x7B | PROMPTING", average, 74.12)
    assert audit.averages_that_differ(5, repaired).empty
    broken = edited(6, "PAIRWISE RANKING ONLY", average, 72.63)
    assert (6, "PAIRWISE RANKING ONLY", average) in places(audit.averages_that_differ(6, broken))


def test_flask_of_the_merged_judge_belongs_to_the_larger_one():
    found, flask = audit.values_shared_with_another_row(), "DIRECT ASSESSMENT BENCHMARKS | FLASK"
    assert places(found) == {
        (5, "Mistral-Instruct-7B | WEIGHT MERGING", flask),
        (6, "DIRECT ASSESSMENT & PAIRWISE RANKING", flask),
    }
    assert (found["published"] == 0.659).all() and (found["recomputed"] == 0.617).all()
    assert found["note"].str.endswith("PROMETHEUS-2-8x7B").all()
    assert audit.restated_values_that_differ(17).empty


def test_restated_values():
    found = audit.restated_values_that_differ(13)
    assert places(found) == {(13, "CLAUDE-3-OPUS", "AUTO-J EVAL | Pair2Pair")}
    column = "HHH ALIGNMENT | Pair2Pair"
    changed = edited(13, "PROMETHEUS-2-7B", column, 75.57)
    note = audit.restated_values_that_differ(13, changed).set_index("column").loc[column, "note"]
    assert "that of AUTO-J (13B)" in note
    with pytest.raises(ValueError, match="Table 14 restates no cell"):
        audit.restated_values_that_differ(14)


def test_spearman_values_stand_in_the_pearson_column_of_table_16():
    found = audit.spearman_values_in_pearson_columns()
    rows = {row for table, row, _ in places(found) if table == 16}
    assert rows == {"MISTRAL-INSTRUCT", "MIXTRAL-INSTRUCT", "GPT-3.5-TURBO-0613"}
    for rater in ("GPT-4-1106", "Claude-3-Opus"):
        assert (3, "PROMETHEUS-13B", f"VICUNA BENCH | {rater}") in places(found)
    assert found.loc[found["table"] == 3, "recomputed"].isna().all()


def test_impossible_accuracies():
    found = audit.impossible_accuracies()
    assert (4, "PROMETHEUS-2-7B", "HHH ALIGNMENT | Help.") in places(found)
    assert (4, "ULTRA RM (13B)", "Preference Bench | Instance-wise Criteria") in places(found)
    assert len(found) == 13
    help_ = found.set_index(["row", "column"]).loc[("PROMETHEUS-2-7B", "HHH ALIGNMENT | Help.")]
    assert help_["recomputed"] == 72.88 and help_["note"] == "nearest whole count: 43 of 59"


def test_impossible_accuracies_know_possible_ones():
    column = "HHH ALIGNMENT | Help."
    repaired = edited(4, "PROMETHEUS-2-7B", column, 72.88)
    assert (4, "PROMETHEUS-2-7B", column) not in places(audit.impossible_accuracies(repaired))
    for right in range(60):
        possible = edited(4, "AUTO-J (13B)", column, round(100 * right / 59, 2))
        assert (4, "AUTO-J (13B)", column) not in places(audit.impossible_accuracies(possible))


def test_one_hhh_total_is_not_the_sum_of_its_groups():
    found, total = audit.hhh_total_mismatch(), "HHH ALIGNMENT | Total Avg."
    assert places(found) == {(4, "PROMETHEUS-2-7B", total)}
    assert "43 + 46 + 47 + 33 = 169 right answers of 221, total 165" in found["note"].iloc[0]
    assert audit.hhh_total_mismatch(edited(4, "PROMETHEUS-2-7B", total, 76.47)).empty


def test_judges_whose_ties_all_count_as_wrong():
    found = audit.ties_counted_wrong()
    assert len(found) == 5 and (found["published"] == found["recomputed"]).all()
    for benchmark in ("MT BENCH HUMAN JUDG.", "AUTO-J EVAL"):
        for row in ("PROMETHEUS-2-7B", "CLAUDE-3-OPUS"):
            assert (4, row, f"{benchmark} | w/ TIE") in places(found)


def test_all_contradictions_names_every_finder():
    found = audit.all_contradictions()
    assert list(found.columns) == ["check", *audit.FINDING_COLUMNS]
    assert found["check"].value_counts().to_dict() == {
        "averages_that_differ": 8,
        "restated_values_that_differ": 10,
        "spearman_values_in_pearson_columns": 7,
        "impossible_accuracies": 13,
        "hhh_total_mismatch": 1,
        "ties_counted_wrong": 5,
    }
    empty = audit.all_contradictions(load_published().assign(value=float("nan")))
    assert empty.empty and list(empty.columns) == list(found.columns)
