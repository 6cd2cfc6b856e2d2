"""What two runs differ in beyond noise: made-up tables whose differences are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from prometheus_lib.runner import compare
from prometheus_lib.tables import Cell, cells_table, save_table

CELLS = (
    Cell("linear", "FLASK", 0.80, 0.70, 0.90, n=64, unit="pearson"),
    Cell("base", "FLASK", 0.30, 0.10, 0.50, n=64, unit="pearson", verdict="lower", p=0.01, p_holm=0.02),
    Cell("constant", "FLASK", 100.0, 100.0, 100.0, n=64, unit="accuracy", kind="floor"),
    Cell("FLASK", "# Score Rubrics", 12.0, unit="count", kind="benchmark"),
    Cell("FLASK", "Evaluation Method", unit="text", text="direct", kind="benchmark"),
    Cell("0.5", "best", 0.4, unit="share"),
    Cell("constant", "Vicuna Bench", unit="pearson", kind="floor"),
    Cell("gpt-4", "FLASK", 0.9, kind="published", unit="pearson"),
    Cell("auto-j", "FLASK (real)", 55.0, 50.0, 60.0, kind="real judge", unit="accuracy"),
)


def changed(place: int, **values) -> list[Cell]:
    return [dataclasses.replace(cell, **values) if n == place else cell for n, cell in enumerate(CELLS)]


def found(own: list[Cell]) -> compare.Differences:
    return compare.compare_tables(cells_table("3", CELLS), cells_table("3", own))


def test_a_run_does_not_differ_from_itself():
    same = found(list(CELLS))
    assert (same.compared, same.within_noise, same.beyond, same.verdicts) == (7, 0, [], [])


@pytest.mark.parametrize(
    ("place", "values"),
    [
        (0, {"value": 0.86, "low": 0.78, "high": 0.94}),
        (2, {"value": 98.0, "low": 94.0, "high": 100.0}),  # one answer of sixty-four
        (1, {"value": 0.33, "low": 0.12, "high": 0.54, "verdict": "undecided"}),
        (0, {"value": 0.81, "n": 62, "unparsed": 2}),  # two answers that could not be read
    ],
)
def test_a_difference_that_the_intervals_allow_is_noise(place, values):
    noise = found(changed(place, **values))
    assert noise.beyond == [] and noise.within_noise == 1
    assert bool(noise.verdicts) == ("verdict" in values)


@pytest.mark.parametrize(
    ("place", "values", "text"),
    [
        (0, {"value": 0.40, "low": 0.20, "high": 0.60}, "row 'linear' (judge), column 'FLASK'"),
        (2, {"value": 0.0, "low": 0.0, "high": 0.0}, "100 [100, 100] (n 64) there, 0 [0, 0] (n 64) here"),
        (3, {"value": 13.0}, "12 there, 13 here"),
        (4, {"text": "pairwise"}, "'direct' there, 'pairwise' here"),
        (6, {"value": 0.1, "low": 0.0, "high": 0.2}, "nan there, 0.1 [0, 0.2] here"),
        (0, {"n": 32}, "0.8 [0.7, 0.9] (n 64) there, 0.8 [0.7, 0.9] (n 32) here"),  # half of the items
        (0, {"n": 0, "unparsed": 64}, "0.8 [0.7, 0.9] (n 64) there, 0.8 [0.7, 0.9] (n 0, 64 unread) here"),
        (0, {"row": "slerp"}, "row 'linear' (judge), column 'FLASK': there only"),
    ],
)
def test_what_no_noise_explains_is_named(place, values, text):
    beyond = found(changed(place, **values)).beyond
    assert any(text in line for line in beyond), beyond


def test_shares_of_resamples_and_printed_numbers_are_not_compared():
    assert found(changed(5, value=0.6)).beyond == found(changed(7, value=0.1)).beyond == []


def test_rows_of_real_data_that_one_run_lacks_are_counted():
    without = found(list(CELLS[:-1]))
    assert without.skipped == 1 and without.beyond == []


def test_noise_alone_is_seldom_called_a_difference():
    """Three hundred cells, two runs with independent errors: the chance of one false difference is 5 % per table."""
    rng, false = np.random.default_rng(1), 0
    for _ in range(40):
        tables = []
        for _ in range(2):
            values = 0.5 + 0.05 * rng.standard_normal(300)
            cells = [Cell(f"judge {n}", "FLASK", v, v - 0.098, v + 0.098, unit="pearson") for n, v in enumerate(values)]
            tables.append(cells_table("3", cells))
        false += bool(compare.compare_tables(*tables).beyond)
    assert false <= 6


def test_the_command_prints_a_line_per_table_and_ends_with_its_finding(tmp_path, capsys):
    arguments = ["--scale", "smoke", "--with", str(tmp_path / "theirs"), "--outputs", str(tmp_path / "mine")]
    assert compare.main(arguments) == 2 and "no tables here" in capsys.readouterr().err
    save_table(cells_table("3", CELLS), "3", tmp_path / "theirs" / "smoke" / "tables")
    assert compare.main(arguments) == 2 and "run the notebooks first" in capsys.readouterr().err
    for place, value, status in ((0, 0.81, 0), (3, 13.0, 1)):
        save_table(cells_table("3", changed(place, value=value)), "3", tmp_path / "mine" / "smoke" / "tables")
        assert compare.main(arguments) == status
    said = capsys.readouterr().out.splitlines()
    save_table(cells_table("4", CELLS[:2]), "4", tmp_path / "theirs" / "smoke" / "tables")
    save_table(cells_table("5", CELLS[:2]), "5", tmp_path / "mine" / "smoke" / "tables")
    assert compare.main(arguments) == 1
    assert capsys.readouterr().out.splitlines()[2:] == [
        "table_04: not in your run",
        "table_05: in your run only",
        "3 tables differ beyond noise or are in one run only.",
    ]
    assert said[:2] == ["table_03: same but noise (7 cells, 1 differ within noise)", "Nothing differs beyond noise."]
    assert said[2:5] == [
        "table_03: DIFFERS in 1 (7 cells)",
        "  row 'FLASK' (benchmark), column '# Score Rubrics': 12 there, 13 here",
        "1 tables differ beyond noise or are in one run only.",
    ]
