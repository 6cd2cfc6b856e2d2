"""What a noisy rater hides, by hand-made runs; judges against trivial ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from prometheus_lib import tables
from prometheus_lib.tables import lessons


@pytest.fixture(scope="module")
def run():
    return tables.example_run()


def test_the_same_judges_by_four_yardsticks(run):
    found = tables.noisy_rater(run, "flask")
    items, truth = run.items["flask"], tables.true_scores(run.items["flask"])
    draws = tables.rater_draws(items, "sim-strong")
    assert (
        found.loc["linear", lessons.BY_TRUTH] == 100
    )  # it says the truth, so the rater's errors are all that is missing
    assert found.loc["linear", lessons.BY_ONE] == pytest.approx(100 * np.mean(draws[:, 0] == truth))
    assert found.loc["linear", lessons.BY_PEARSON] == pytest.approx(100 * np.corrcoef(truth, draws.mean(axis=1))[0, 1])
    assert found.loc["base", lessons.BY_TRUTH] == pytest.approx(tables.exact_score(run, "base", "flask").estimate)


def test_pairs_count_where_truth_and_label_both_decide(run):
    found, items = tables.noisy_rater(run, "autoj_eval"), run.items["autoj_eval"]
    truth, labels = tables.true_decisions(items), np.array(tables.labels(items))
    both = (truth != "tie") & (labels != "tie")
    assert found.loc["linear"].tolist() == pytest.approx([100, 100 * np.mean(truth[both] == labels[both])])


def test_without_truth_there_is_nothing_to_lay_side_by_side(run):
    plain = [dataclasses.replace(item, meta={}) for item in run.items["flask"]]
    assert tables.noisy_rater(dataclasses.replace(run, items={"flask": plain}), "flask").empty


def test_who_knows_the_truth_beats_the_floor_and_who_guesses_does_not(run):
    for name in ("vicuna_bench", "hhh_alignment", "preference_bench"):
        good, poor = (tables.against_floor(run, judge, name) for judge in ("linear", "base"))
        assert good.difference > 0 and good.low > poor.low
    assert tables.against_floor(run, "linear", "hhh_alignment").verdict == "first"
    assert tables.against_floor(run, "base", "hhh_alignment").verdict != "first"


def test_where_all_labels_are_alike_no_floor_is_best_and_nothing_is_shown(run):
    flat = [dataclasses.replace(item, scores={"sim-strong": [3]}) for item in run.items["flask"]]
    found = tables.against_floor(dataclasses.replace(run, items=run.items | {"flask": flat}), "linear", "flask")
    assert np.isnan(found.difference) and found.verdict not in ("first", "second")


def with_copies(run, **copies: str):
    """The run with further judges: each says what one of its own judges says."""
    said = run.judgments
    more = [said[said["judge"] == judge].assign(judge=name) for name, judge in copies.items()]
    return dataclasses.replace(run, judgments=pd.concat([said, *more], ignore_index=True))


def test_what_judgments_can_show_is_measured_by_instructions(run):
    found = tables.detectable_differences(with_copies(run, joint="base"))
    assert found.index.tolist() == [("direct", "linear - joint"), ("pairwise", "linear - joint")]
    errors = []
    for name in tables.RESEARCH_DIRECT:
        lost = 100 - tables.truth_credits(run, "base", name)  # linear has all right
        groups = pd.Series(lost).groupby(tables.clusters(run.items[name])).mean()
        errors.append(groups.std() / len(groups) ** 0.5)
    by_hand = 2.80 * np.sqrt(np.square(errors).sum()) / 3
    assert found.loc[("direct", "linear - joint"), "one run"] == pytest.approx(by_hand, rel=0.08)
    assert found["runs"].tolist() == [1, 1] and found["over runs too"].isna().all()


def test_training_runs_that_say_the_same_find_no_smaller_difference(run):
    seeds = {f"{judge}{seed}": judge for judge in ("linear", "base") for seed in ("-seed2", "-seed3")}
    joint = {name.replace("base", "joint"): judge for name, judge in seeds.items()}
    (found, *_) = tables.detectable_differences(with_copies(run, joint="base", **joint)).to_dict("records")
    assert found["runs"] == 3 and found["mean of runs"] == pytest.approx(found["one run"])
    assert found["over runs too"] >= 0.9 * found["mean of runs"]


def test_parts_leave_real_columns_out(run):
    cells = tables.table_4(run)
    assert all(column.startswith("HHH") for column in tables.part_of(cells, "HHH").columns)
    assert not any("(real)" in column for column in tables.part_of(cells, "HHH", "Auto-J").columns)
