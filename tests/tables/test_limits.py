"""What stands around the judges: who ignores the rubric below, the oracle above, held against judges in pairs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from prometheus_lib import metrics, tables
from prometheus_lib.data import minibench, oracle
from prometheus_lib.tables import claims, example_run, limits, report
from prometheus_lib.tables.run import Run


@pytest.fixture(scope="module")
def run():
    """The example's judges on sixty instructions of each benchmark, with one that never reads the rubric."""
    return _with_blind(example_run(), 60)


def _with_blind(small: Run, instructions: int) -> Run:
    items, rows = {}, []
    for name in small.items:
        made = dataclasses.replace(minibench.MINIATURES[f"mini_{name}"], instructions=instructions)
        items[name] = minibench.made(made, seed=4)
        pairs = made.format == "pairwise"
        said = {
            "linear": [minibench.true_decision(i) if pairs else i.meta["true_score"] for i in items[name]],
            "base": oracle.blind_decisions(items[name]) if pairs else oracle.blind_scores(items[name]),
        }
        asked = small.judgments["format"] == made.format
        first = small.judgments[asked & (small.judgments["benchmark"] == small.scale.benchmark_name(name))].iloc[0]
        for judge, decisions in said.items():
            for item, decision in zip(items[name], decisions):
                decision = "A" if decision == "tie" else decision
                rows.append(
                    {**first, "judge": judge, "item_id": item.id, "decision": decision, "draw": 0, "order": "ab",
                     "key": f"{judge}{item.id}", "status": "ok"}
                )  # fmt: skip
    return dataclasses.replace(small, items=items, judgments=pd.DataFrame(rows))


def test_a_judge_that_reads_the_rubric_is_above_and_one_that_does_not_is_level(run):
    found = tables.against_blind(run)
    assert set(found.index.get_level_values("judge")) == {"base", "linear"}
    for format in ("direct", "pairwise"):
        assert found.loc[(format, "linear"), "found"] == "above" and found.loc[(format, "linear"), "low"] > 5
        level = found.loc[(format, "base")]
        assert (level["difference"], level["low"], level["high"], level["found"]) == (0, 0, 0, "not told apart")
        assert level["reached"] == level["ignored"]
        assert "above it linear; not told apart from it base." in tables.told_blind(found, format)
    assert 50 < found.loc["direct", "ignored"].iloc[0] < 80


def test_the_limit_is_the_mean_of_what_is_reached_on_each_benchmark(run):
    names = tables.RESEARCH_DIRECT
    by_hand = [
        100 * np.mean(np.equal(oracle.blind_scores(run.items[n]), [i.meta["true_score"] for i in run.items[n]]))
        for n in names
    ]
    assert limits.limit_average(run, ("rubric ignored",), names).estimate == pytest.approx(np.mean(by_hand))
    assert limits.limit_average(run, ("nobody",), names) is None


def test_tables_show_it_as_a_floor(run):
    for table, column in (
        ("3", "FLASK | exact score"),
        ("4", "Auto-J Eval | pair right"),
        ("5", "FLASK | exact score"),
    ):
        cells = tables.TABLES[table](run)
        row = cells[(cells["row"] == "rubric ignored") & (cells["column"] == column)]
        assert row["kind"].tolist() == ["floor"] and 40 < row["value"].item() < 95, table


def test_the_summary_asks_whether_judges_read_the_rubric(run):
    ledger, evidence = claims.ledger(run), claims.evidence_table(run)
    text = report.summary(run, ledger, evidence)
    assert "| *reads all, ignores the rubric* | " in text and "| *oracle: the most that can be known* | 100.0" in text
    assert "- **Do judges read the rubric?** Whoever reads everything and ignores the rubric has " in text
    assert "Under another rubric" not in text, "nobody was asked in this run"


def test_few_instructions_and_unknown_truths_are_said(run):
    few = tables.against_blind(example_run())
    assert set(few["found"]) == {metrics.TOO_FEW}
    unknown = {n: [dataclasses.replace(i, meta={}) for i in items] for n, items in run.items.items()}
    nothing = tables.against_blind(dataclasses.replace(run, items=unknown))
    assert nothing.empty and tables.told_blind(nothing, "direct") == ""
