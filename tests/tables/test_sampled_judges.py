"""Judges that are asked a part of each benchmark, and how they are compared with those that are asked all of it."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from prometheus_lib import pipeline, tables
from prometheus_lib.data import minibench
from prometheus_lib.data.catalogue import UNSEEN_BENCHMARKS
from prometheus_lib.judging.tasks import task_question
from prometheus_lib.records import DataError, first_instructions
from prometheus_lib.scale import load_scale
from prometheus_lib.scale.checks import check_scale
from prometheus_lib.tables import equivalence
from prometheus_lib.tables.measures import compare_judges
from prometheus_lib.tables.merging import figure_3

SCALE = replace(load_scale("mini"), resamples=50)
FLASK, HHH = "flask", "hhh_alignment"


@pytest.fixture(scope="module")
def items():
    return {name: minibench.build(name, 42, 0.3) for name in minibench.MINIATURES}


@pytest.fixture(scope="module")
def run():
    """Two judges of the example run, and "ties", which says the same as "linear" of a half, by one draw."""
    whole = tables.example_run()
    scale = replace(SCALE, sample_share=0.5, main_judges=("base", "linear"), resamples=50)
    first = {item.id for name, each in whole.items.items() for item in first_instructions(each, 0.5)}
    said = whole.judgments[whole.judgments["judge"] == "linear"]
    part = said[said["item_id"].str.partition("#")[0].isin(first) & (said["draw"] == 0)]
    return replace(
        whole, scale=scale, judgments=pd.concat([whole.judgments, part.assign(judge="ties")], ignore_index=True)
    )


def asked(judge, items):
    return {(task_question(task), draw) for task in pipeline.judging_tasks(SCALE, judge, items)
            for draw in range(task.draws)}  # fmt: skip


def test_a_sampled_judge_is_asked_a_part_of_what_others_are_and_the_main_ones_all(items):
    base, ties, seed2 = (asked(judge, items) for judge in ("base", "ties", "linear-seed2"))
    assert ties < base and seed2 < base and len(ties) < 0.2 * len(base)
    assert {question[0] for question, _ in seed2} == {f"mini_{name}" for name in UNSEEN_BENCHMARKS}
    assert {draw for question, draw in seed2 if question[2] == "direct"} == {0, 1, 2}
    assert {draw for _, draw in ties} == {0}
    for name in minibench.MINIATURES:
        instructions = {item.cluster for item in items[name]}
        of_ties = {item.cluster for item in items[name] if any(q[1] == item.id for q, _ in ties)}
        assert len(of_ties) in (0, min(len(instructions), max(10, round(0.25 * len(instructions))))), name


def test_main_judges_and_their_replicas_are_never_sampled():
    whole = set(SCALE.judges) - set(SCALE.sampled)
    assert whole == {replica for judge in SCALE.main_judges for replica in SCALE.replicas(judge)} | {
        "direct+direct", "pairwise+pairwise"}  # fmt: skip
    assert load_scale("smoke").sampled == load_scale("7b").sampled == ()


def test_only_judges_of_both_formats_score_the_responses_of_pairs(items):
    scored = {judge: {q[1] for q, _ in asked(judge, items) if "#" in q[1]} for judge in SCALE.main_judges}
    assert {judge for judge, found in scored.items() if not found} == {"direct", "pairwise"}
    assert scored["base"] == scored["joint"] == scored["linear"]


def test_the_part_is_compared_with_the_same_part_and_as_many_draws(run):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alike = compare_judges(run, "ties", "linear", HHH)
        rows = tables.table_5(run.of("ties"))
        assert len(run.of("ties").items[HHH]) == 13
        assert equivalence.in_points(run, "ties", [HHH]).n == equivalence.in_points(run.of("ties"), "linear", [HHH]).n
        figure_3(run)
    assert alike.difference == alike.low == alike.high == 0 and alike.n == 13
    assert compare_judges(run, "linear", "base", HHH).n == len(run.items[HHH]) == 26
    assert len(rows) and run.scores("linear", FLASK).shape == (len(run.items[FLASK]), 3)
    part = run.of("ties", "linear")
    assert part.scores("linear", FLASK).shape[1] == 1 and part.of("ties") is part is run.of("ties")


def test_draws_beyond_those_asked_for_do_not_count(run):
    """Judgments that were made before under another scale stay in the store."""
    more = run.judgments.query("judge == 'ties'")
    wrong = more[more["format"] == "direct"].assign(draw=1, decision=lambda rows: 6 - rows["decision"])
    found = (
        replace(run, judgments=pd.concat([run.judgments, wrong], ignore_index=True)).of("ties").scores("ties", FLASK)
    )
    assert np.array_equal(found, run.of("ties").scores("ties", FLASK))


@pytest.mark.parametrize("change", ({"sample_share": 0.0}, {"sample_share": 1.5}, {"sample_draws": -1}))
def test_a_part_that_cannot_be_meant_is_refused(change):
    with pytest.raises(DataError, match=next(iter(change))):
        check_scale(replace(SCALE, **change), "mine.toml")
