"""The report: two pages from the ledger, nothing that the numbers do not say, and what is gathered for it."""

from __future__ import annotations

import pandas as pd
import pytest

from prometheus_lib import paper, tables
from prometheus_lib.paper.findings import audit_findings
from prometheus_lib.records import DataError
from prometheus_lib.scale import load_scale
from prometheus_lib.tables import claim_figure, claims, gathered, report


@pytest.fixture(scope="module")
def made():
    run = tables.example_run()
    return run, claims.ledger(run), claims.evidence_table(run)


def decided(ledger):
    """The same ledger, had the claims come out: C03 fails with a reason, C05 holds over training runs."""
    ledger = ledger.copy()
    ledger.loc["C03", ["verdict", "this run", "likely reason"]] = ["not reproduced", "-9.0 [-12.0, -6.0]", "no room"]
    ledger.loc["C05", ["verdict", "this run", "over training runs"]] = ["reproduced", "+4.0 [+1.0, +7.0]", "holds"]
    return ledger


def test_the_report_is_two_pages_with_every_claim_once(made):
    text = report.report(*made, ["table_03.csv: not there"])
    lines = text.splitlines()
    assert len(lines) < 140
    tested = paper.claims_about()
    assert all(sum(line.startswith(f"| {claim.id} ") for line in lines) == 1 for claim in tested)
    for title in audit_findings():
        assert text.count(title) == 1
    contents = [line for line in lines if line.startswith("- [") and "](#" in line]
    assert len(contents) == sum(line.startswith("## ") for line in lines) - 1
    assert "table_03.csv: not there" in text


def test_findings_and_counts_follow_the_ledger(made):
    run, ledger, evidence = made
    found = report.findings(decided(ledger))
    assert "**not reproduced** (-9.0 [-12.0, -6.0])" in found["Merging against joint training"]
    assert "over training runs: holds" in found["Merging against the experts"]
    counts = report.verdict_counts(decided(ledger))
    assert counts["not reproduced"] == 1 and counts["reproduced"] == 1
    assert counts.sum() == (ledger["kind"] == "claim").sum()
    text = report.counted(decided(ledger), evidence)
    assert "1 reproduced, 1 not reproduced" in text and "1 were tested over training runs: 1 verdicts hold" in text
    lines = report.claim_lines(decided(ledger))
    assert lines.loc["C03", "why"] == "no room" and lines.loc["C03", "paper"] == "+13.9"


def test_only_claims_that_fail_show_a_reason(made):
    _, ledger, _ = made
    assert claims.failures(ledger).empty
    assert list(claims.failures(decided(ledger)).index) == ["C03"]


def test_the_figure_has_a_row_for_every_measured_claim(made):
    _, ledger, evidence = made
    figure = claim_figure.ledger_figure(evidence, ledger)
    rows = [label.get_text().split("  ")[0] for axes in figure.axes for label in axes.get_yticklabels()]
    measured = evidence[
        evidence["difference"].notna() & (evidence["claim"].map(ledger["kind"]) != "settled by construction")
    ]
    assert sorted(rows) == sorted(measured["claim"].unique()) and len(rows) > 1


def test_the_audits_findings_say_their_numbers():
    found = audit_findings()
    assert len(found) == 5
    text = " ".join(found.values())
    assert all(number in text for number in ("0.659", "0.617", "74.66", "76.47"))
    assert "printed column is DARE-LINEAR" in text


def test_what_is_missing_is_listed_and_what_is_damaged_is_an_error(tmp_path):
    scale = load_scale("smoke", tmp_path)
    found = gathered.gather(scale)
    assert found.left_out[0] == "no judgments" and found.table("3").empty
    assert not any(str(tmp_path) in line for line in found.left_out)
    scale.paths.judgments.mkdir(parents=True)
    (scale.paths.judgments / "base.jsonl").write_text("{not json\n", encoding="utf-8")
    with pytest.raises(DataError, match="base.jsonl"):
        gathered.gather(scale)


def test_the_order_of_rows():
    names, values = ["a", "b", "c", "d"], [1.0, 2.0, 3.0, 4.0]
    cells = [tables.Cell(n, tables.DIRECT_AVERAGE, v, unit="pearson") for n, v in zip(names, values)]
    cells += [
        tables.Cell(n.upper(), tables.DIRECT_AVERAGE, -v, unit="pearson", kind="published")
        for n, v in zip(names, values)
    ]
    found = gathered.Gathered(tables.example_run(), {"5": tables.cells_table("5", cells)}, {})
    orders = gathered.row_orders(found, {"5": {n: n.upper() for n in names}})
    assert orders[["n", "rho"]].values.tolist() == [[4, -1.0]] and orders["exact p"].item() == pytest.approx(2 / 24)


def test_shifts_by_a_rule():
    cells = [
        tables.Cell("x", "C", 60.0, unit="accuracy", variant="corrected"),
        tables.Cell("x", "C", 55.0, unit="accuracy", variant="paper-text"),
        tables.Cell("y", "D", 10.0, unit="accuracy", variant="paper-text"),  # nothing to compare it with
    ]
    found = gathered.Gathered(tables.example_run(), {"4": tables.cells_table("4", cells)}, {})
    shifts = gathered.variant_shifts(found)
    assert shifts[["row", "variant", "shift"]].values.tolist() == [["x", "paper-text", -5.0]]


def test_a_page_of_tables(tmp_path):
    tables.save_table(tables.table_5(tables.example_run()), 5, tmp_path)
    page = report.tables_page(tmp_path, {"Orders": pd.DataFrame({"rho": [0.5]}, index=["x"])})
    assert "## Orders" in page and "## Table 5." in page and "[table_05.csv](table_05.csv)" in page
