"""The claims in several worlds: any subset of runs, what each shows, and where they agree."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

from prometheus_lib import records, tables
from prometheus_lib.records import DataError
from prometheus_lib.report import contents, read_stored, report_page
from prometheus_lib.scale import load_scale, stored_scale
from prometheus_lib.tables import claims, report, worlds

EXAMPLE = claims.evidence_table(tables.example_run())
LEDGER = claims.ledger(tables.example_run())


def evidence(**shown: tuple[float, str]) -> pd.DataFrame:
    """Made-up evidence: difference and sign, by truth and raters alike, of the claims named; nothing of others."""
    table = EXAMPLE.copy()
    numbers = ["difference", "low", "high", "rated", "rated low", "rated high"]
    table[numbers] = table[numbers].astype(float)
    table.loc[:, numbers] = float("nan")
    table[["shown", "rated shown"]], table["clusters"] = "?", 80
    for id, (difference, sign) in shown.items():
        rows = table["claim"] == id
        table.loc[rows, numbers] = [difference, difference - 1, difference + 1] * 2
        table.loc[rows, ["shown", "rated shown"]] = sign
    return table


def store(outputs, name: str, found: pd.DataFrame) -> None:
    """Leave evidence where a run's report leaves it."""
    ledger = LEDGER.astype({"more needed": float}).to_dict("index")
    folder = load_scale(name, outputs).paths.metrics
    records.write_metrics(folder, "10", {"ledger": ledger, "evidence": found.to_dict("records")})


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    """A folder of runs, with no committed ones to fall back on."""
    monkeypatch.setattr(worlds, "committed_outputs", lambda: tmp_path / "nothing")
    return tmp_path


MINI = evidence(C03=(-5.0, "-"), C05=(2.5, "+"), C08=(3.0, "+"), C17=(4.0, "+"))
BRIDGE = evidence(C03=(-3.0, "-"), C05=(-2.5, "-"), C08=(1.0, "?"), C01=(9.0, "+"))


def table_of(outputs, **kept):
    for name, found in kept.items():
        store(outputs, name, found)
    found = worlds.find_worlds(load_scale("mini", outputs))
    return found, worlds.side_by_side(found, LEDGER)


@pytest.mark.parametrize("there", [(), ("bridge",), ("mini", "small", "7b")])
def test_any_runs_may_be_there_and_the_others_say_their_command(outputs, there):
    found, table = table_of(outputs, **dict.fromkeys(there, MINI))
    names = [world.scale.name for world in found]
    assert names == ["mini", "bridge", "small", *(["7b"] if "7b" in there else [])]
    for name in names:
        cells, command = table.loc["C03":, f"{name}: verdict"], f"python -m prometheus_lib run --scale {name}`"
        assert (command in table.at["world", f"{name}: difference"]) == (name not in there)
        assert (cells != "").all() if name in there else (cells == "").all()
    assert len(worlds.agreements(found)) == len(there) * (len(there) - 1) // 2


def test_each_cell_is_the_runs_own(outputs):
    _, table = table_of(outputs, mini=MINI, bridge=BRIDGE)
    assert table.loc["C03"].drop("claim").tolist() == [
        "+13.9", "-5.0 [-6.0, -4.0]", "not reproduced", "-3.0 [-4.0, -2.0]", "not reproduced", "", "",
    ]  # fmt: skip
    assert table.loc["C05", ["mini: verdict", "bridge: verdict"]].tolist() == ["reproduced", "not reproduced"]
    assert table.loc["C09", ["mini: difference", "mini: verdict"]].tolist() == ["", worlds.NO_INPUTS]
    assert table.at["C17", "mini: difference"].startswith("5 of 5 above zero")
    assert not {"C07", "C18", "K01"} & set(table.index)  # by construction, and our own controls


def test_some_differences_without_inputs_and_few_instructions_are_told(outputs):
    partly = MINI.copy()
    partly.loc[partly[partly["claim"] == "C17"].index[:2], "difference"] = float("nan")
    partly.loc[partly["claim"] == "C08", ["clusters", "shown"]] = [4, "?"]
    _, table = table_of(outputs, mini=partly[partly["claim"] != "C03"])
    assert "2 of 5 differences without inputs" in table.at["C17", "mini: verdict"]
    assert table.at["C08", "mini: verdict"] == "not tested (too few instructions)"
    assert table.at["C03", "mini: verdict"] == worlds.NOT_ASKED  # a run with an older list


def test_a_comparison_with_the_base_is_a_sanity_check_only_where_that_was_schooled(outputs):
    _, table = table_of(outputs, mini=BRIDGE, bridge=BRIDGE)
    verdicts = table.loc["C01", ["mini: verdict", "bridge: verdict"]].tolist()
    assert verdicts == ["reproduced (sanity check)", "reproduced"]


def test_agreements_count_what_both_decide(outputs):
    found, _ = table_of(outputs, mini=MINI, bridge=BRIDGE)
    (line,) = worlds.agreements(found)
    assert line.startswith("mini and bridge (they differ in base model): of 24 claims 4 in mini and 3 in bridge could")
    assert "the same verdict: C03 (not reproduced)" in line
    assert "verdicts that differ: C05 (mini reproduced, bridge not reproduced)" in line and "C01" not in line


def test_worlds_that_measure_nothing_in_common_say_so(outputs):
    found, _ = table_of(outputs, mini=evidence(C03=(-5.0, "-")), bridge=evidence(C05=(2.5, "+")))
    (line,) = worlds.agreements(found)
    assert line.endswith("1 in mini and 1 in bridge could be tested, none in both.")


def test_a_claim_that_one_world_leaves_open_is_told_as_decided_in_the_other_alone(outputs):
    open_, shown = evidence(C03=(-5.0, "?"), C05=(2.5, "?")), evidence(C03=(-5.0, "-"), C05=(2.5, "?"))
    for mini, bridge, name in ((open_, shown, "bridge"), (shown, open_, "mini")):
        (line,) = worlds.agreements(table_of(outputs, mini=mini, bridge=bridge)[0])
        assert line.endswith(f"2 in both; decided in {name} alone: C03; decided in neither: C05.")


def test_by_the_raters_what_they_lack_has_no_inputs(outputs):
    unrated = MINI.assign(**{"rated": float("nan"), "rated shown": "?"})
    world = worlds.World(load_scale("mini"), unrated)
    cells = {by: worlds.side_by_side([world], LEDGER, by).at["C03", "mini: verdict"] for by in ("", "rated")}
    assert cells == {"": "not reproduced", "rated": worlds.NO_INPUTS}


def test_this_runs_own_evidence_comes_before_what_is_stored(outputs):
    store(outputs, "mini", MINI)
    own = load_scale("mini", outputs)
    (found,) = [w for w in worlds.find_worlds(own, BRIDGE) if w.scale.name == "mini"]
    assert found.evidence is BRIDGE
    named = replace(own, name="mini-50-rows")
    assert [w.scale.name for w in worlds.find_worlds(named, BRIDGE)] == ["mini", "bridge", "small", "mini-50-rows"]


def test_a_run_that_does_not_lie_beside_is_the_committed_one(tmp_path):
    found = worlds.find_worlds(load_scale("mini", tmp_path))
    assert found[0].evidence is not None and "outputs/mini" in found[0].scale.paths.root.as_posix()


def test_a_damaged_run_is_named(outputs):
    folder = load_scale("bridge", outputs).paths.metrics
    folder.mkdir(parents=True)
    (folder / "10.json").write_text('{"ledger": 3}', encoding="utf-8")
    with pytest.raises(DataError, match="bridge/metrics/10.json"):
        worlds.find_worlds(load_scale("mini", outputs))


def test_the_committed_run_says_what_its_ledger_says():
    mini = stored_scale("mini")
    ledger, found = worlds.read_claims(mini.paths.metrics / "10.json")
    table = worlds.side_by_side([worlds.World(mini, found)], ledger)
    by_raters = worlds.side_by_side([worlds.World(mini, found)], ledger, by="rated")
    for id, row in table.drop(index="world").iterrows():
        assert row["mini: difference"] == ledger.at[id, "this run"]
        assert row["mini: verdict"].startswith(ledger.at[id, "verdict"])
        if ledger.at[id, "by the raters"]:  # where no label is used there is nothing else to show
            assert by_raters.at[id, "mini: difference"] == ledger.at[id, "by the raters"]


def test_reports_mention_worlds_only_where_a_second_one_has_run(outputs):
    run = tables.example_run()
    arguments = run, LEDGER, EXAMPLE
    for kept in ({"mini": MINI}, {"mini": MINI, "bridge": BRIDGE}):
        found, table = table_of(outputs, **kept)
        agreed, second = worlds.agreements(found), len(kept) == 2
        for text in (report.report(*arguments, worlds=agreed), report.summary(*arguments, worlds=agreed)):
            assert ("In other worlds" in text) == second
        file = load_scale("mini", outputs).paths.metrics / "10.json"
        numbers = json.loads(file.read_text()) | {"worlds": worlds.to_store(found, table)}
        file.write_text(json.dumps(numbers))
        stored = read_stored(load_scale("mini", outputs))
        shown = contents.worlds(stored)
        assert (shown is not None) == ("The same claims in several worlds" in report_page(stored)) == second
    assert "bridge" in shown.about and len(shown.view.rows) == len(table) - 1
