"""Cells: what they hold, what they refuse, and that files keep all of it."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys

import pandas as pd
import pytest

from prometheus_lib import metrics, tables
from prometheus_lib.records import DataError
from prometheus_lib.tables import cells as table_cells
from prometheus_lib.tables import plots


def full(**more) -> tables.Cell:
    """A cell with everything that a cell can hold."""
    return tables.Cell(
        **{
            "row": "linear - base", "column": "FLASK | sim-strong", "value": 0.25, "low": 0.125, "high": 0.5, "n": 40,
            "unparsed": 2, "unit": "pearson", "kind": "difference", "variant": "corrected", "verdict": "higher",
            "p": 0.0078125, "p_holm": 0.03125, "test": "paired bootstrap by cluster", "more_needed": 120,
            "text": "", "note": "a note; with a semicolon, and a comma", **more,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"unit": "metres"}, "has unit 'metres'; known are 'exact', 'error', 'right', 'pearson'"),
        ({"unit": ""}, "row 'linear - base', column 'FLASK . sim-strong' has unit ''"),
        ({"kind": "jugde"}, "has kind 'jugde'"),
        ({"verdict": "better"}, "has verdict 'better'; known are '', 'higher', 'lower', 'undecided'"),
    ],
)
def test_a_cell_refuses_what_tables_do_not_know(wrong, message):
    with pytest.raises(DataError, match=message):
        full(**wrong)


def test_a_misspelt_field_is_an_error_and_cells_do_not_change():
    with pytest.raises(TypeError, match="unparsd"):
        full(unparsd=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        full().value = 1.0


def test_two_cells_of_one_key_are_refused():
    tables.cells_table("3", [full(), full(variant="paper-code")])
    with pytest.raises(DataError, match="table 3 has two cells for .*'linear - base'"):
        tables.cells_table("3", [full(), full(value=0.5)])


def test_a_file_keeps_every_field(tmp_path):
    empty = tables.Cell("silent", "FLASK | sim-strong", unit="pearson")
    words = tables.Cell("FLASK", "Source", unit="text", kind="benchmark", text='humans, "simulated"')
    cells = tables.cells_table("3", [full(), empty, words])
    tables.save_table(cells, "3", tmp_path)
    again = tables.load_table("3", tmp_path)
    pd.testing.assert_frame_equal(again, cells)
    assert tuple(again.columns) == tables.COLUMNS
    assert dict(again.dtypes) == dict(cells.dtypes) and again["more_needed"].tolist() == [120, pd.NA, pd.NA]


def test_a_file_of_another_form_is_refused(tmp_path):
    cells = tables.cells_table("3", [full()])
    tables.save_table(cells, "3", tmp_path)
    path = tmp_path / "table_03.csv"
    path.write_text(tables.to_csv(cells.drop(columns=["verdict", "p", "unit"])))
    with pytest.raises(DataError, match="table_03.csv: not a table of this project, or of an earlier one"):
        tables.load_table("3", tmp_path)
    path.write_text(tables.to_csv(cells.assign(n="forty")))
    with pytest.raises(DataError, match="not a table"):
        tables.load_table("3", tmp_path)


def test_numbers_are_written_in_their_unit_whatever_their_size():
    """Accuracies below 2 % are percent all the same, and a correlation never is."""
    made = [
        tables.Cell("one", "p", 1.25, unit="accuracy", low=0.5, high=2.0),
        tables.Cell("two", "p", 0.5, unit="accuracy"),
        tables.Cell("one", "r", 0.5, unit="pearson", low=-0.25, high=1.0),
        tables.Cell("one", "k", 1234, unit="count"),
        tables.Cell("one", "w", unit="text", text="humans"),
        tables.Cell("best alpha", "p", 0.3, unit="alpha"),
    ]
    wide = tables.display_table(tables.cells_table("5", made))
    assert wide.loc[("judge", "one")].tolist() == ["1.2 [0.5, 2.0]", "0.500 [-0.25, 1.00]", "1,234", "humans"]
    assert wide["p"].tolist() == ["1.2 [0.5, 2.0]", "0.5", "0.3"]
    assert plots.measure(tables.cells_table("5", made[:2])) == "accuracy in percent"


def comparison(**more) -> metrics.Comparison:
    fields = {"difference": 0.2, "low": 0.1, "high": 0.3, "p_value": 0.01, "n": 60, "verdict": "first"}
    fields |= {"more_needed": None, "n_clusters": 20, "test": "a test", "p_holm": 0.04}
    return metrics.Comparison(**{**fields, **more})


def test_a_test_gives_a_cell_verdict_p_values_and_what_more_would_tell():
    cell = tables.Cell("linear", "c", 0.2, unit="pearson", note="a note")
    found = table_cells.with_test(cell, comparison(item_test="Williams", item_p=0.002))
    assert (found.verdict, found.p, found.p_holm, found.test) == ("higher", 0.01, 0.04, "a test")
    assert found.more_needed is None
    assert found.note == "a note; by item, uncorrected, Williams: p = 0.002" and found.value == 0.2
    assert table_cells.with_test(cell, comparison(verdict="second")).verdict == "lower"
    undecided = table_cells.with_test(cell, comparison(verdict="undecided", p_holm=0.3, more_needed=1234))
    assert (undecided.verdict, undecided.more_needed) == ("undecided", 1200)
    few = metrics.decide({"one": comparison(n_clusters=4)})["one"]
    found = table_cells.with_test(tables.Cell("linear", "c", 0.2, unit="pearson"), few)
    assert found.verdict == metrics.TOO_FEW and math.isnan(found.p) and math.isnan(found.p_holm)
    assert found.note == "4 instructions where at least 10 are needed"


def test_every_table_is_entered_once_with_its_function_and_caption():
    assert set(tables.TABLES) | {"1"} == set(tables.ENTRIES)
    for number, compute in tables.TABLES.items():
        name = f"table_{number}" if number.isdigit() or number in ("attacks", "biases") else number
        assert compute is getattr(tables, name) and compute.__name__ == name
        assert tables.caption(number).endswith(tables.ENTRIES[number].caption)


def test_tables_import_neither_training_nor_models():
    code = "import sys, prometheus_lib.tables as t; print([m for m in sys.modules if m.split('.')[0] in ('torch', "
    code += "'transformers', 'matplotlib') or m.startswith('prometheus_lib.training')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
