"""Tables 13, 14 and 15: consistency across formats, across draws, and of pairwise decisions among themselves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .. import metrics
from ..data import baselines
from ..data.catalogue import CONSISTENCY_BENCHMARKS, TITLES
from ..metrics import Comparison, Floats, Interval
from ..records import DirectItem, PairItem
from .cells import COMPARISON_RESAMPLES, NAN, Cell, cells_table, difference_cells, interval_cell
from .measures import RESEARCH_DIRECT
from .published import CONSISTENCY_PARTS, accuracy_column, alpha_places, consistency_places, published_cells
from .rows import (
    Answers,
    Share,
    cluster_numbers,
    clusters,
    judge_pairs,
    judge_rows,
    labels,
    rater_draws,
    raters,
    run_limits,
    share_cells,
)
from .run import Items, Run, once_per_run
from .truth import true_decisions

Through = dict[str, tuple[Any, Floats]]  # rule for ties -> decisions through direct scores, and their credits

_GAP = "Pair2Pair - Direct2Pair"


# --- Table 13: two formats -------------------------------------------------------------------------------------------


@once_per_run
def table_13(run: Run) -> pd.DataFrame:
    """Table 13: accuracy through direct scores (Direct2Pair) and through pairwise decisions, on pairs without gold tie.

    Direct2Pair uses the first draw; equal scores are wrong ("corrected") or half right ("ties half"), or go by the
    released code's label-aware rule ("paper-code"). The last column is the signed, paired difference Pair2Pair -
    Direct2Pair (the paper prints its absolute value as delta), tested for judges and Holm-corrected over the judges and
    benchmarks of a variant. The floors show that consistency alone is no quality.

    >>> from prometheus_lib.tables import example_run
    >>> cells = table_13(example_run())
    >>> cells.query("row == 'always A'")["variant"].unique().tolist()
    ['corrected', 'ties half', 'paper-code', '']
    """
    cells, found = [], {}
    for name in run.present(CONSISTENCY_BENCHMARKS):
        items = run.items[name]
        rows = [*judge_rows(run, name, run.scale.main_judges), *run_limits(run, name)]
        counted = [(row, *_credits(row, labels(items))) for row in rows if row.sides is not None]
        cells += share_cells(run, name, items, [share for each in counted for share in _format_shares(name, *each)])
        found |= _gaps(run, name, counted)
    for variant in dict.fromkeys(key[2] for key in found):
        cells += difference_cells({key: each for key, each in found.items() if key[2] == variant}, "accuracy", "judge")
    return cells_table("13", [*cells, *published_cells("13", consistency_places(), "accuracy")])


def _credits(row: Answers, gold: Sequence[str]) -> tuple[Floats, Through]:
    """Credits of the pairwise decisions, and decisions and credits through direct scores under each rule for ties."""
    a, b = row.sides
    pair = metrics.item_credits(row.values, gold, "gold dropped")
    first, aware = metrics.direct_to_pair(a[:, 0], b[:, 0]), metrics.code_label_aware_decisions(a, b, gold)
    half = np.where(np.isnan(pair), NAN, metrics.item_credits(first, gold, "half"))
    direct = {
        "corrected": (first, metrics.item_credits(first, gold, "gold dropped")),
        "ties half": (first, half),
        "paper-code": (aware, metrics.item_credits(aware, gold, "gold dropped")),
    }
    return pair, direct


def _format_shares(name: str, row: Answers, pair: Floats, direct: Through) -> Iterator[Share]:
    column = {part: accuracy_column(name, part) for part in CONSISTENCY_PARTS.values()}
    for variant, (decisions, credits) in direct.items():
        yield Share(row._replace(values=decisions), column["Direct2Pair"], credits, {"variant": variant})
    yield Share(row, column["Pair2Pair"], pair, {})
    if row.kind != "judge":
        for variant, (_, credits) in direct.items():
            yield Share(row, column[_GAP], pair - credits, {"variant": variant, "unparsed": None})


def _gaps(run: Run, name: str, counted: Iterable[tuple[Answers, Floats, Through]]) -> dict[tuple, Comparison]:
    """The judges' tested gaps, keyed by row, column and variant."""
    place = accuracy_column(name, _GAP)
    pairs = {
        (row.row, place, variant): (100 * pair, 100 * credits)
        for row, pair, direct in counted
        if row.kind == "judge"
        for variant, (_, credits) in direct.items()
    }
    options = run.options(name, COMPARISON_RESAMPLES)
    return metrics.compare_many_accuracies(pairs, cluster_numbers(run, run.items[name]), **options)


def format_gap(run: Run, judge: str, name: str, rule: str = "corrected", truth: bool = False) -> Interval | None:
    """Return a judge's accuracy by decision minus that by direct scores, in percent; None where it was not asked.

    rule: how equal scores count, "corrected" (wrong), "ties half" or "paper-code" (its label-aware rule). `truth`: the
    true scores, not the labels, tell the better response.

    >>> from prometheus_lib.tables import example_run
    >>> format_gap(example_run(), "linear", "hhh_alignment").estimate, format_gap(example_run(), "linear", "flask")
    (0.0, None)
    """
    choices, sides = (run.choices(judge, name), run.pair_scores(judge, name)) if name in run.items else (None, None)
    if choices is None or sides is None:
        return None
    gold = true_decisions(run.items[name]) if truth else labels(run.items[name])
    pair, through = _credits(Answers(judge, "judge", choices, 0, sides), gold)
    options = run.options(name, COMPARISON_RESAMPLES)
    return metrics.bootstrap_mean(100 * (pair - through[rule][1]), cluster_numbers(run, run.items[name]), **options)


def gap_size(run: Run, judge: str, rule: str = "corrected", truth: bool = False) -> Interval | None:
    """Return the size of a judge's `format_gap`, averaged over the benchmarks of Table 13; None where one is missing.

    >>> from prometheus_lib.tables import example_run
    >>> gap_size(example_run(), "linear").estimate
    0.0
    """
    gaps = [format_gap(run, judge, name, rule, truth) for name in CONSISTENCY_BENCHMARKS]
    sizes = [g and metrics.interval_of_draws(abs(g.estimate), np.abs(g.draws), g.n, g.n_clusters) for g in gaps]
    return metrics.average(sizes)


def self_agreement(items: Sequence[DirectItem], rater: str) -> dict[str, float]:
    """Return a rater's accuracy on the third draw of its own under each rule for equal scores, in percent.

    All pairs of responses to one instruction whose third draws differ: these are the labels, the first draw is the
    judge (the first two for the label-aware rule). "pairs" is their number, "equal scores" how often the first draw is;
    without pairs, or with fewer than three draws, there is nothing to measure (NaN).

    >>> from prometheus_lib.tables import example_run
    >>> sorted(self_agreement(example_run().items["flask"], "sim-strong"))
    ['equal scores', 'label-aware', 'pairs', 'ties half', 'ties wrong']
    """
    groups = pd.Series(range(len(items))).groupby(clusters(items), sort=False)
    pairs = [pair for _, group in groups for pair in itertools.combinations(group, 2)]
    draws = rater_draws(items, rater)
    draws = np.pad(draws, ((0, 0), (0, max(0, 3 - draws.shape[1]))), constant_values=NAN)
    first, second = np.array(pairs, dtype=int).reshape(-1, 2).T
    label = metrics.direct_to_pair(draws[first, 2], draws[second, 2])
    a, b, gold = (each[np.isin(label, ["A", "B"])] for each in (draws[first], draws[second], label))
    decided = metrics.direct_to_pair(a[:, 0], b[:, 0])
    shares = {
        "equal scores": (decided == "tie").mean() if len(gold) else NAN,
        "ties wrong": metrics.pairwise_accuracy(decided, gold).value,
        "ties half": metrics.pairwise_accuracy(decided, gold, "half").value,
        "label-aware": metrics.code_label_aware_accuracy(a[:, :2], b[:, :2], gold).value,
    }
    return {"pairs": len(gold), **{rule: float(100 * share) for rule, share in shares.items()}}


# --- Table 14: three draws -------------------------------------------------------------------------------------------


@once_per_run
def table_14(run: Run) -> pd.DataFrame:
    """Table 14: Krippendorff's alpha (ordinal) of three draws.

    Ceilings: the draws of each rater who gave several scores, and one draw of every rater against each other. Floor:
    random scores. Differences of the merged judge to the others come from a paired bootstrap by instruction.

    >>> from prometheus_lib.tables import example_run
    >>> cells = table_14(example_run())
    >>> cells.query("row == 'linear' and column == 'FLASK'")["value"].item()
    1.0
    """
    cells, found = [], {}
    for name in run.present(RESEARCH_DIRECT):
        items, column = run.items[name], TITLES[name]
        judged, differences = _alpha_judges(run, name, column)
        cells += [*judged, *_alpha_limits(run, name, items, column)]
        found |= differences
    cells += difference_cells(found, "krippendorff_alpha")
    for name in ("vicuna_bench", "mt_bench"):
        if name in run.real:
            items, rater = run.real[name], "gpt-4-1106"
            column, draws = f"{TITLES[name]} (real)", rater_draws(items, rater)
            cells.append(_alpha_cell(run, name, items, column, rater, "real judge", draws))
            cells.append(_alpha_cell(run, name, items, column, "random score", "real floor", _chance(items)))
    return cells_table("14", [*cells, *published_cells("14", alpha_places(), "krippendorff_alpha")])


def _alpha_judges(run: Run, name: str, column: str) -> tuple[list[Cell], dict[tuple[str, str], Comparison | None]]:
    items = run.items[name]
    draws = {judge: run.scores(judge, name) for judge in run.scale.main_judges}
    samples = {judge: alpha_sample(run, name, items, found) for judge, found in draws.items() if found is not None}
    cells = [_alpha_sample_cell(run, column, judge, sample) for judge, sample in samples.items()]

    def compare(first: str, second: str) -> Comparison:
        return metrics.compare_intervals(samples[first], samples[second])

    return cells, {(f"{one} - {other}", column): compare(one, other) for one, other in judge_pairs(run, samples)}


def _alpha_sample_cell(run: Run, column: str, judge: str, sample: Interval) -> Cell:
    note = "undefined: nothing varies" if math.isnan(sample.estimate) else ""
    return interval_cell(judge, column, sample, "krippendorff_alpha", "judge", run.scale.resamples, note=note)


def alpha_sample(run: Run, name: str, items: Items, draws: Floats) -> Interval:
    """Return alpha (ordinal) of draws (items, draws) with its resamples, paired between judges by instruction."""
    options = {**run.options(name, max(COMPARISON_RESAMPLES, run.scale.resamples)), "paired": True}
    found = metrics.bootstrap_alpha(draws.T, cluster_numbers(run, items), **options)
    return found.with_unparsed(int(np.isnan(draws).sum()))


def _alpha_limits(run: Run, name: str, items: Sequence[DirectItem], column: str) -> Iterator[Cell]:
    yield _alpha_cell(run, name, items, column, "random score", "floor", _chance(items))
    drawn = {rater: rater_draws(items, rater) for rater in raters(items)}
    for rater, draws in drawn.items():
        if draws.shape[1] > 1:
            yield _alpha_cell(run, name, items, column, f"rater {rater}", "ceiling", draws)
    if len(drawn) > 1:
        one_each = np.column_stack([draws[:, 0] for draws in drawn.values()])
        yield _alpha_cell(run, name, items, column, "raters against each other", "ceiling", one_each)


def _chance(items: Sequence[DirectItem]) -> Floats:
    return np.column_stack([baselines.random_score(list(items), seed) for seed in range(3)]).astype(float)


def _alpha_cell(run: Run, name: str, items: Items, column: str, row: str, kind: str, draws: Floats) -> Cell:
    """Alpha of draws (items, draws); NaN when fewer than two items have two readable draws or nothing varies."""
    if math.isnan(metrics.krippendorff_alpha(draws.T)):
        rated = int((np.isfinite(draws).sum(axis=1) >= 2).sum())
        more = {"n": rated, "unparsed": 0, "note": "undefined: nothing varies"}
        return Cell(row, column, unit="krippendorff_alpha", kind=kind, **more)
    interval = metrics.bootstrap_alpha(draws.T, cluster_numbers(run, items), **run.options(name))
    return interval_cell(row, column, interval, "krippendorff_alpha", kind)


# --- Table 15: transitivity ------------------------------------------------------------------------------------------


@once_per_run
def table_15(run: Run) -> pd.DataFrame:
    """Table 15: transitivity of pairwise decisions on the preference benchmark's tournaments of five responses.

    "paper-text": share of the judge's own chains x > y > z that end in x > z. "paper-code": what the released code
    computes, an accuracy weighted by grade gap - 1. "corrected": share of decisive triples that go in a circle. n is
    the number of tournaments. Differences of the merged judge to the others: paired bootstrap by tournament.

    >>> from prometheus_lib.tables import example_run
    >>> cells = table_15(example_run())
    >>> cells.query("row == 'linear' and column == 'Transitivity'")[["value", "note"]].values.tolist()
    [[100.0, '80 chains in 80 triples; 8 instructions: too few for an interval']]
    """
    name, cells = "preference_bench", []
    if name in run.items:
        judged = judge_rows(run, name, run.scale.main_judges)
        for row in [*judged, *run_limits(run, name)]:
            cells += _transitivity_cells(run, name, row)
        cells += difference_cells(_transitivity_differences(run, name, judged), "percent")
    places = {"PREFERENCE COLLECTION | Transitivity": ["Transitivity"]}
    return cells_table("15", [*cells, *published_cells("15", places, "percent")])


_SHARES = {  # column: (variant, counted, among)
    "Transitivity": ("paper-text", "chains_kept", "chains"),
    "Cyclic triples": ("corrected", "cycles", "decisive"),
}


def _transitivity_cells(run: Run, name: str, row: Answers) -> Iterator[Cell]:
    items, total = run.items[name], metrics.transitivity(tournament(run.items[name], row.values))
    more = {"unit": "percent", "kind": row.kind, "resamples": run.scale.resamples}
    notes = {
        "Transitivity": f"{total.chains} chains in {total.triples} triples",
        "Cyclic triples": f"{total.cycles} of {total.decisive} decisive triples",
    }
    samples = transitivity_samples(run, name, row)
    for column, (variant, *_) in _SHARES.items():
        yield interval_cell(row.row, column, samples[column], **more, variant=variant, note=notes[column])
        if column == "Transitivity":
            gold, weights = labels(items), gold_gaps(items) - 1
            right = 100 * weights * metrics.item_credits(row.values, gold)
            code = metrics.bootstrap_ratio(right, weights, cluster_numbers(run, items), **run.options(name))
            released = "Released code's transitivity"
            code = code.with_unparsed(row.unparsed)
            yield interval_cell(row.row, released, code, "percent", row.kind, variant="paper-code")


def transitivity_samples(run: Run, name: str, row: Answers) -> dict[str, Interval]:
    """Return "Transitivity" and "Cyclic triples" of a row, in percent, with their resamples of whole tournaments."""
    counts = metrics.transitivity_by_group(tournament(run.items[name], row.values))
    options = run.options(name, max(COMPARISON_RESAMPLES, run.scale.resamples))
    samples = {}
    for column, (_, counted, among) in _SHARES.items():
        found = metrics.bootstrap_ratio(100 * counts[counted], counts[among], **options)
        samples[column] = found.with_unparsed(row.unparsed)
    return samples


def _transitivity_differences(
    run: Run, name: str, rows: Iterable[Answers]
) -> dict[tuple[str, str, str], Comparison | None]:
    samples = {row.row: transitivity_samples(run, name, row) for row in rows}
    return {
        (f"{one} - {other}", column, variant): metrics.compare_intervals(samples[one][column], samples[other][column])
        for column, (variant, *_) in _SHARES.items()
        for one, other in judge_pairs(run, samples)
    }


def tournament(items: Sequence[PairItem], decisions: Sequence[Any]) -> pd.DataFrame:
    """Return one row per pair for `metrics.transitivity`: group (instruction), x, y, winner; responses are the nodes.

    Pairs of two equal texts are no contest and are left out.

    >>> from prometheus_lib.tables import example_run
    >>> run = example_run()
    >>> table = tournament(run.items["preference_bench"], run.choices("linear", "preference_bench"))
    >>> list(table.columns), len(table)
    (['group', 'x', 'y', 'winner'], 80)
    """
    rows = [
        (item.cluster, item.response_a, item.response_b, _winner(item, decision))
        for item, decision in zip(items, decisions, strict=True)
        if item.response_a != item.response_b
    ]
    return pd.DataFrame(rows, columns=["group", "x", "y", "winner"], dtype=object)


def _winner(item: PairItem, decision: Any) -> str | None:
    return {"A": item.response_a, "B": item.response_b, "tie": "tie"}.get(decision)


def gold_gaps(items: Sequence[PairItem]) -> Floats:
    """Return the grade gap of each pair (items,): the difference of the two responses' gold wins among the five.

    >>> from prometheus_lib.tables import example_run
    >>> sorted(set(gold_gaps(example_run().items["preference_bench"]).tolist()))
    [1.0, 2.0, 3.0, 4.0]
    """
    wins: dict[tuple[str, str], int] = {}
    for item in items:
        winner = _winner(item, item.label)
        wins[item.cluster, winner or ""] = wins.get((item.cluster, winner or ""), 0) + 1
    counts = [[wins.get((item.cluster, text), 0) for text in (item.response_a, item.response_b)] for item in items]
    return np.abs(np.diff(np.array(counts, dtype=float).reshape(-1, 2), axis=1)).ravel()
