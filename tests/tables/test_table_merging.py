"""Table 17 and Figure 3 over two pairs of experts, on judgments made up so that the answers are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from prometheus_lib.merging.catalogue import SEED_ALPHAS, SEED_METHODS, TABLE_10_MERGES, alpha_judge
from prometheus_lib.records import DirectItem, Judgment, PairItem, Rubric, as_row
from prometheus_lib.scale import load_scale
from prometheus_lib.tables import merging as table_merging
from prometheus_lib.tables.merging import BOTH, FORMATS, PAIRS, runs_column
from prometheus_lib.tables.published import DIRECT_AVERAGE, OVERALL, PAIR_AVERAGE
from prometheus_lib.tables.run import Run

RUBRIC = Rubric("Is it right?", ("no", "hardly", "half", "nearly", "yes"))
INSTRUCTIONS = 12


def direct_items(name):
    random = np.random.default_rng(len(name))
    return [
        DirectItem(
            f"{name}/{n}", "Describe it.", "answer", None, RUBRIC, {"sim-strong": [int(score)]}, "", f"{name}{n}"
        )
        for n, score in enumerate(random.integers(1, 6, INSTRUCTIONS))
    ]


def pair_items(name):
    return [
        PairItem(f"{name}/{n}", "Describe it.", "one", "two", None, "Right?", "AB"[n % 2], "", f"{name}{n}")
        for n in range(INSTRUCTIONS)
    ]


def judgment(judge, name, item, decision, format):
    key = f"{judge}-{item.id}"
    return Judgment(
        judge, "f", f"mini_{name}", item.id, format, format == "direct", "ab", 0, decision, "", "ok", 1, 9, key
    )


def made_run(quality, seed=0) -> Run:
    """A run in which a judge is right in a share of the items: `quality` is judge -> share, for both formats."""
    random = np.random.default_rng(seed)
    items = {n: direct_items(n) for n in FORMATS[DIRECT_AVERAGE]} | {n: pair_items(n) for n in FORMATS[PAIR_AVERAGE]}
    luck = {name: random.random(INSTRUCTIONS) for name in items}
    rows = []
    for judge, share in quality.items():
        for name, group in items.items():
            for item, chance in zip(group, luck[name], strict=True):
                right = chance < share
                if isinstance(item, PairItem):
                    rows.append(
                        judgment(judge, name, item, item.label if right else "BA"["AB".index(item.label)], "pairwise")
                    )
                else:
                    score = item.scores["sim-strong"][0]
                    rows.append(judgment(judge, name, item, score if right else 6 - score, "direct"))
    frame = pd.DataFrame([as_row(row) for row in rows])
    return Run(dataclasses.replace(load_scale("smoke"), resamples=200), frame, items)


def names(first=0.7, second=0.7, **more):
    """The same share for every merge of a pair of experts, but for those named."""
    methods = ("linear", *SEED_METHODS, *map(alpha_judge, SEED_ALPHAS))
    shares = {f"{name}{suffix}": share for share, suffix in zip((first, second), PAIRS.values()) for name in methods}
    shares |= dict.fromkeys(("dare-linear-mask2", *TABLE_10_MERGES), first)
    return {**shares, **{name.replace("_", "-"): share for name, share in more.items()}}


def one(cells, **wanted):
    found = cells
    for field, value in wanted.items():
        found = found[found[field] == value]
    assert len(found) == 1, found
    return found.iloc[0]


# --- Table 17 --------------------------------------------------------------------------------------------------------


def test_equal_merges_show_no_difference_and_better_ones_do():
    cells = table_merging.table_17_runs(made_run(names(ties=0.99, **{"ties-seed2": 0.99})))
    better = one(cells, row="ties - linear", column=runs_column(PAIR_AVERAGE, BOTH))
    assert better.value > 15 and better.low > 0 and better.verdict == "higher"
    equal = one(cells, row="dare-linear - linear", column=runs_column(PAIR_AVERAGE, BOTH))
    assert (equal.value, equal.low, equal.high) == (0, 0, 0) and equal.verdict == "undecided"
    untested = cells[(cells["kind"] == "difference") & (cells["verdict"] == "")]
    assert len(untested) == len(SEED_METHODS) * len(PAIRS) * len(FORMATS)


def test_a_gain_in_one_run_only_is_not_shown_over_both():
    cells = table_merging.table_17_runs(made_run(names(0.6, 0.6, ties=0.95)))
    single, both = (one(cells, row="ties - linear", column=runs_column(PAIR_AVERAGE, v)) for v in ("experts 1", BOTH))
    assert single.low > 0
    assert both.value == pytest.approx(single.value / 2) and both.low <= 0 <= both.high
    run = one(cells, row="ties, another run", column=runs_column(PAIR_AVERAGE, BOTH))
    assert run.value == pytest.approx(-single.value)


def test_values_are_those_of_the_judge_and_means_of_both_runs():
    run = made_run(names(0.5, 0.9))
    cells = table_merging.table_17_runs(run)
    first, second, both = (
        one(cells, row="linear", column=runs_column(PAIR_AVERAGE, v), kind="judge") for v in (*PAIRS, BOTH)
    )
    right = [
        np.mean([d == i.label for d, i in zip(run.choices("linear", n), run.items[n])]) for n in FORMATS[PAIR_AVERAGE]
    ]
    assert first.value == pytest.approx(100 * np.mean(right)) and both.value == pytest.approx(
        (first.value + second.value) / 2
    )
    assert both.low <= first.value and both.high >= second.value
    mask = one(cells, row="dare-linear, another mask", column=runs_column(PAIR_AVERAGE, "experts 1"))
    assert mask.value == 0


def test_a_run_without_second_experts_has_their_cells_empty():
    cells = table_merging.table_17_runs(made_run({n: s for n, s in names().items() if not n.endswith("-seed2")}))
    assert one(cells, row="linear", column=runs_column(DIRECT_AVERAGE, "experts 2")).note == "not judged"
    assert set(cells[cells["kind"] == "difference"]["column"]) == {runs_column(f, "experts 1") for f in FORMATS}


# --- Figure 3 --------------------------------------------------------------------------------------------------------


def peak_at(best, suffix=""):
    return {alpha_judge(alpha, suffix): 0.95 - 0.5 * abs(alpha - best) for alpha in SEED_ALPHAS}


def test_one_peak_for_both_pairs_is_found_with_a_narrow_interval():
    cells = table_merging.figure_3_runs(made_run({**names(), **peak_at(0.4), **peak_at(0.4, "-seed2")}))
    for format in (DIRECT_AVERAGE, PAIR_AVERAGE, OVERALL):
        best = one(cells, row="best alpha", column=runs_column(format, BOTH))
        assert best.value == 0.4 and best.high - best.low <= 0.2
        shares = cells[cells["column"] == f"{runs_column(format, BOTH)}, share best"]["value"]
        assert shares.sum() == pytest.approx(1)


def test_pairs_that_disagree_widen_the_interval_of_the_best_alpha():
    cells = table_merging.figure_3_runs(made_run({**names(), **peak_at(0.2), **peak_at(0.8, "-seed2")}))
    first, second, both = (one(cells, row="best alpha", column=runs_column(PAIR_AVERAGE, v)) for v in (*PAIRS, BOTH))
    assert (first.value, second.value) == (0.2, 0.8)
    assert both.low <= 0.2 and both.high >= 0.8


def test_notes_name_the_judges():
    cells = table_merging.figure_3_runs(made_run(names()))
    assert one(cells, row="1.0", column=runs_column(PAIR_AVERAGE, "experts 2")).note == "direct-seed2"
    assert one(cells, row="0.5", column=runs_column(PAIR_AVERAGE, "experts 1")).note == "linear"
