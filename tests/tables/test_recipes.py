"""Tables 9 and 10 beside each scale: every row, a reason for every other value, and what only the code tells."""

from __future__ import annotations

import pytest

from prometheus_lib import tables
from prometheus_lib.paper import published_table
from prometheus_lib.scale import SCALES, load_scale
from prometheus_lib.tables import recipes
from prometheus_lib.training import sizing

WHY = "why another value"


@pytest.mark.parametrize("name", SCALES)
def test_every_row_of_both_tables_has_a_value_and_a_reason_where_it_differs(name):
    table = recipes.recipe(load_scale(name))
    assert set(table.index) == set(published_table(9).index) | set(published_table(10).index) == set(recipes.REASONS)
    assert (table[f"this run ({name})"] != "").all()
    own = "Table 10 (8x7B, published)" if name == "8x7b" else "Table 9 (7B, published)"
    same = [row for row, values in table.iterrows() if values[own] == values[f"this run ({name})"]]
    assert "Training Method" in same and (table.loc[same, WHY] == "").all()


def test_the_papers_scales_differ_where_they_say_so():
    differing = {}
    for name in ("7b", "8x7b"):
        table = recipes.recipe(load_scale(name))
        differing[name] = set(table.index[table[WHY] != ""])
    assert differing["7b"] == {"Train Batch Size", "Random Seed"}
    more = {"Lora_Dropout", "Lora Target Module", "Merging Strategy"}
    assert differing["8x7b"] == differing["7b"] | more


def test_a_share_of_all_rows_is_counted_by_table_1(tmp_path):
    scale = load_scale("7b", tmp_path)
    assert recipes.examples_learned(scale).isna().all(axis=None)  # all there are: nobody has counted them yet
    row = {"orig_criteria": "c", "orig_instruction": "i", "orig_reference_answer": "r", "orig_feedback": "f"}
    tables.save_table(tables.table_1([row] * 7, [row] * 20), "1", scale.paths.tables)
    learned = recipes.examples_learned(scale)
    assert learned.loc["direct", "direct"] == 7 and learned.loc["pairwise-seed2", "pairwise"] == 20
    assert learned.loc["direct"].isna().sum() == 1
    assert learned.loc["joint-half"].to_dict() == {"direct": 4, "pairwise": 10}
    assert recipes.examples_learned(load_scale("7b", tmp_path, rows=4)).loc["joint-half", "pairwise"] == 2


def test_fused_experts_double_the_rank_of_their_adapters():
    scale = load_scale("8x7b")
    hidden, inner, rank, layers = 4096, 14336, 256, 32
    attention = rank * (2 * hidden + hidden + hidden // 4) * 2  # q and o; k and v are a quarter as wide
    apart = layers * (attention + 8 * 3 * rank * (hidden + inner))
    fused = layers * (attention + 8 * rank * (2 * (hidden + 2 * inner) + hidden + inner))
    assert sizing.shape_of(scale.base_model, scale.training.lora).trained == fused
    assert (round(apart / 1e9, 2), round(fused / 1e9, 2)) == (3.84, 5.72)
    told = recipes.left_open(scale).loc["trained parameters"]
    assert f"{fused:,}" in told["this run (8x7b)"] and "3.84 billion" in told["released configurations"]


def test_a_file_of_ones_own_follows_the_released_rate(tmp_path):
    file = tmp_path / "released.toml"
    file.write_text('like = "8x7b"\n[training]\nlearning_rate = 1e-4\n[training.lora]\ndropout = 0.0\n')
    scale = load_scale(file)
    assert recipes.left_open(scale).loc["learning rate, 8x7B", "variant"] == "paper-code"
    assert recipes.left_open(load_scale("8x7b")).loc["learning rate, 8x7B", "variant"] == "paper-text"
    table = recipes.recipe(scale)
    assert table.loc["Learning Rate", "this run (released)"] == "1e-4" and table.loc["Learning Rate", WHY]
    assert table.loc["Lora_Dropout", "this run (released)"] == "0"
