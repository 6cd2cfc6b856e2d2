"""Biases of judges, from judgment files alone: the place of a response, its length, and a rubric that is not read.

Position: pairs judged in both orders. Length: does a judge like long responses more than the raters do? For pairs, how
often the longer response wins beyond its share of the labels; for scores, the correlation of score and length with the
rater's score held constant. Rubric: how the score of a response changes under another rubric (see `biases`).
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import metrics
from ..data import baselines
from ..data.biases import POSITION_SOURCE, RUBRIC_SOURCE, RUBRICS, rubric_couples
from ..data.catalogue import DIRECT_BENCHMARKS, PAIR_BENCHMARKS
from ..records import DirectItem, PairItem
from .cells import COMPARISON_RESAMPLES, HIGHER, LOWER, UNITS, Cell, cells_table, interval_cell, p_text, with_test
from .palette import BLACK, BLUE, ORANGE, RED
from .rows import clusters, labels, rater_means, raters

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..metrics import Floats, Interval
    from .run import Run

AGREE, FIRST = "both orders agree", "first shown wins"
LONGER, LENGTH = "longer wins, beyond the labels", "score and length, rater held constant"
CHANGE, SLOPE = "change goes the right way", "points per true point"
# What an unbiased judge has in each column, and what a column is tested against: for the rubric a judge that does not
# read it, else an unbiased one.
UNBIASED = {AGREE: 100.0, FIRST: 50.0, LONGER: 0.0, LENGTH: 0.0, CHANGE: 100.0, SLOPE: 1.0}
TESTED = {FIRST: 50.0, LONGER: 0.0, LENGTH: 0.0, SLOPE: 0.0}
BIASES = (FIRST, LONGER, LENGTH)  # the tested columns where less than the unbiased value, or more, is a fault
COLUMN_UNITS = {
    AGREE: "percent", FIRST: "percent", LONGER: "points", LENGTH: "partial", CHANGE: "percent", SLOPE: "score points",
}  # fmt: skip
IDEAL = dict.fromkeys(BIASES, "unbiased") | {SLOPE: "follows the rubric"}
MEANINGS = {  # what a verdict of the test says about the judge
    (FIRST, "higher"): "prefers the response shown first",
    (FIRST, "lower"): "prefers the response shown second",
    (LONGER, "higher"): "lets long responses win more often than the labels do",
    (LONGER, "lower"): "lets long responses win less often than the labels do",
    (LENGTH, "higher"): "scores long responses higher than the raters do",
    (LENGTH, "lower"): "scores long responses lower than the raters do",
    (SLOPE, "higher"): "moves its score with the rubric",
    (SLOPE, "lower"): "moves its score against the rubric",
}


# --- measures --------------------------------------------------------------------------------------------------------


def _options(run: Run) -> dict[str, int]:
    return {"n_resamples": COMPARISON_RESAMPLES, "seed": run.scale.seed}


def position(run: Run, judge: str) -> dict[str, Interval]:
    """Return how often both orders agree, and how often the response shown first wins, in percent."""
    present = run.present([POSITION_SOURCE])
    ab, ba = (
        (run.choices(judge, name, order) for name in present for order in ("ab", "ba")) if present else (None, None)
    )
    if ab is None or ba is None:
        return {}
    groups, unparsed = clusters(run.items[POSITION_SOURCE]), int(pd.isna([ab, ba]).sum())
    equal = [100.0 * (one == two and not pd.isna(one)) for one, two in zip(ab, ba, strict=True)]
    first = (ab == "A").astype(float) + (ba == "B")
    readable = (~pd.isna(ab)).astype(float) + ~pd.isna(ba)
    found = {
        AGREE: metrics.bootstrap_mean(equal, groups, **_options(run)),
        FIRST: metrics.bootstrap_ratio(100 * first, np.where(readable > 0, readable, np.nan), groups, **_options(run)),
    }
    return {column: each.with_unparsed(unparsed) for column, each in found.items()}


def length_in_pairs(run: Run, judge: str) -> dict[str, Interval]:
    """Return how often the longer response wins minus how often it is the better one by the label, in points."""
    judged = [(name, run.choices(judge, name)) for name in run.present(PAIR_BENCHMARKS)]
    parts = [_longer_wins(run.items[name], choices) for name, choices in judged if choices is not None]
    if not parts:
        return {}
    beyond, groups, unparsed = (list(itertools.chain.from_iterable(each)) for each in zip(*parts, strict=True))
    return {LONGER: metrics.bootstrap_mean(beyond, groups, **_options(run)).with_unparsed(sum(unparsed))}


def _longer_wins(pairs: Sequence[PairItem], choices: NDArray) -> tuple[list[float], list[str], list[bool]]:
    """Return for pairs of unequal length and with a label: points beyond the label, cluster, unparsed."""
    longer, gold = baselines.longer_wins(list(pairs)), labels(pairs)
    rows = [
        (np.nan if pd.isna(choice) else 100.0 * ((choice == long) - (label == long)), group, bool(pd.isna(choice)))
        for choice, long, label, group in zip(choices, longer, gold, clusters(pairs), strict=True)
        if long != "tie" and label in ("A", "B")
    ]
    return tuple(map(list, zip(*rows, strict=True))) if rows else ([], [], [])


def length_in_scores(run: Run, judge: str) -> dict[str, Interval]:
    """Return the partial correlation of a judge's score with length, the rater's score held constant.

    All direct benchmarks together, each centred on its own means.
    """
    judged = [(name, run.answers(judge, name)) for name in run.present(DIRECT_BENCHMARKS)]
    parts = [_centred(run.items[name], *answers) for name, answers in judged if answers is not None]
    if not parts:
        return {}
    columns, groups, unparsed = zip(*parts, strict=True)
    score, length, rater = np.concatenate(columns, axis=1)
    found = metrics.bootstrap_partial(score, length, rater, sum(groups, []), **_options(run))
    return {LENGTH: found.with_unparsed(sum(unparsed))}


def _centred(items: Sequence[DirectItem], scores: Floats, unparsed: int) -> tuple[Floats, list[str], int]:
    columns = np.array([scores, baselines.length_score(list(items)), rater_means(items, raters(items)[0])], float)
    columns[:, ~np.isfinite(columns).all(axis=0)] = np.nan
    means = np.nanmean(columns, axis=1, keepdims=True) if np.isfinite(columns).any() else 0.0
    return columns - means, clusters(items), unparsed


def rubric_sensitivity(run: Run, judge: str) -> dict[str, Interval]:
    """Return how often the score changes the right way under another rubric (percent), and by how much.

    Mean scores over draws; responses whose true score changes. "points per true point" is the change in the right
    direction, summed, over the true change, summed: 1 follows the rubric in full, 0 does not read it.
    """
    if RUBRIC_SOURCE not in run.items:
        return {}
    couples, given = rubric_couples(run.items[RUBRIC_SOURCE], run.scale.benchmark_share), _scores(run, judge)
    if not couples or couples[0][1].id not in given:
        return {}
    change = np.array([given.get(other.id, np.nan) - given.get(own.id, np.nan) for own, other in couples])
    true = np.array([true_score(other) - true_score(own) for own, other in couples])
    moved, groups = true != 0, clusters([own for own, _ in couples])
    unparsed = int((np.isnan(change) & moved).sum())
    right_way = np.where(np.isnan(change), np.nan, 100.0 * (change * true > 0))
    steps = np.where(moved, np.abs(true), np.nan)
    found = {
        CHANGE: metrics.bootstrap_mean(np.where(moved, right_way, np.nan), groups, **_options(run)),
        SLOPE: metrics.bootstrap_ratio(change * np.sign(true), steps, groups, **_options(run)),
    }
    return {column: each.with_unparsed(unparsed) for column, each in found.items()}


def _scores(run: Run, judge: str) -> dict[str, float]:
    """Return a judge's mean score by item id, under the benchmark's rubrics and under the others."""
    answers = run.answers(judge, RUBRIC_SOURCE)
    own = {} if answers is None else dict(zip((i.id for i in run.items[RUBRIC_SOURCE]), answers[0], strict=True))
    rows = run.judgments[(run.judgments["benchmark"] == RUBRICS) & (run.judgments["judge"] == judge)]
    return own | rows.assign(decision=rows["decision"].astype(float)).groupby("item_id")["decision"].mean().to_dict()


def true_score(item: DirectItem) -> float:
    """Return the true score of a miniature item, else its first rater's mean."""
    return float(item.meta["true_score"] if "true_score" in item.meta else rater_means([item], raters([item])[0])[0])


# --- the table and the figure ----------------------------------------------------------------------------------------

MEASURES = (position, length_in_pairs, length_in_scores, rubric_sensitivity)


def table_biases(run: Run) -> pd.DataFrame:
    """Return all biases by judge, under them trivial judges and what an unbiased judge has.

    "first shown wins" is tested against one half, both lengths and "points per true point" against 0; the p-values are
    corrected together (Holm).

    >>> from prometheus_lib.tables import example_run
    >>> cells = table_biases(example_run())
    >>> cells.query("row == 'linear' and column == 'longer wins, beyond the labels'")["unit"].item()
    'points'
    """
    samples = dict(_samples(run))
    against = {key: metrics.compare_with(each, TESTED[key[1]]) for key, each in samples.items() if key[1] in TESTED}
    tested = metrics.decide(against)
    resamples = run.scale.resamples
    units = {key: COLUMN_UNITS[key[1]] for key in samples}
    cells = {key: interval_cell(*key, each, units[key], "judge", resamples) for key, each in samples.items()}
    cells |= {key: with_test(cells[key], each) for key, each in tested.items()}
    columns = dict.fromkeys(column for _, column in samples)
    limits = [
        Cell("unbiased", column, UNBIASED[column], unit=COLUMN_UNITS[column], kind="ceiling") for column in columns
    ]
    values = {key: value for key, value in _trivial(run).items() if key[1] in columns}
    trivial = [Cell(*key, value, unit=COLUMN_UNITS[key[1]], kind="floor") for key, value in values.items()]
    return cells_table("biases", [*cells.values(), *limits, *trivial])


def _samples(run: Run) -> Iterator[tuple[tuple[str, str], Interval]]:
    for judge in run.scale.main_judges:
        for measure in MEASURES:
            yield from (((judge, column), sample) for column, sample in measure(run, judge).items())


def _trivial(run: Run) -> dict[tuple[str, str], float]:
    """What judges have that look at nothing but the place, the length, or the response without its rubric."""
    pairs = [run.items[name] for name in run.present(PAIR_BENCHMARKS)]
    beyond = [v for each in pairs for v in _longer_wins(each, np.array(baselines.longer_wins(list(each)), object))[0]]
    place = {("always the first", AGREE): 0.0, ("always the first", FIRST): 100.0}
    length = {("longer wins", LONGER): float(np.mean(beyond)) if beyond else np.nan, ("longer wins", LENGTH): 1.0}
    return {**place, **length, ("reads no rubric", CHANGE): 0.0, ("reads no rubric", SLOPE): 0.0}


def findings(cells: pd.DataFrame, columns: Sequence[str] = BIASES) -> list[str]:
    """Return a sentence with its number for all that the tests show in some columns (by default, biases)."""
    shown = cells[(cells["kind"] == "judge") & cells["column"].isin(list(columns)) & _decided(cells)]
    return [_finding(each) for each in shown.itertuples()]


def _decided(cells: pd.DataFrame) -> pd.Series:
    return cells["verdict"].isin([HIGHER, LOWER])


def _finding(each: Any) -> str:
    digits = 1 if each.column in (FIRST, LONGER) else 2
    value, low, high = (f"{number:z.{digits}f}" for number in (each.value, each.low, each.high))
    counts = f"n = {each.n}, {each.unparsed} unparsed"
    meaning, p_value = MEANINGS[each.column, each.verdict], f"{p_text(each.p_holm)} (Holm)"
    return f"{each.row} {meaning}: {each.column} {value} [{low}, {high}], {counts}, {p_value}"


def figure(cells: pd.DataFrame) -> Figure:
    """Draw `table_biases` in one panel per tested column, judges as rows: dotted what is ideal there, dashed a trivial
    judge.

    A red diamond differs, by the test, from the value in `TESTED`.
    """
    import matplotlib.pyplot as plt

    shown = cells[cells["kind"] == "judge"]
    names = list(dict.fromkeys(shown["row"]))[::-1]
    columns = [column for column in dict.fromkeys(shown["column"]) if column in TESTED]
    size = (2 + 2.6 * len(columns), 2.4 + 0.36 * len(names))
    figure, axes = plt.subplots(1, max(1, len(columns)), figsize=size, sharey=True, squeeze=False, layout="constrained")
    plt.close(figure)
    for ax, column in zip(axes[0], columns, strict=False):
        _panel(ax, cells[cells["column"] == column], column, names)
        label = UNITS[COLUMN_UNITS[column]].label
        ax.set(title=textwrap.fill(column, 22), xlabel=label, yticks=range(len(names)), yticklabels=names)
        ax.grid(alpha=0.25)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=8, frameon=False)
    return figure


def _panel(ax: Any, cells: pd.DataFrame, column: str, names: Sequence[str]) -> None:
    judges = cells[cells["kind"] == "judge"].assign(place=lambda each: each["row"].map(names.index))
    ax.hlines(judges["place"], judges["low"], judges["high"], color=BLUE, linewidth=2.5, alpha=0.6)
    differs = f"differs from {TESTED[column]:g} (test)"
    for chosen, look, label in ((~_decided(judges), "o", "_"), (_decided(judges), "D", differs)):
        part, colour = judges[chosen], BLUE if look == "o" else RED
        ax.plot(part["value"], part["place"], look, color=colour, label=label if len(part) else "_")
    ax.axvline(UNBIASED[column], color=BLACK, linestyle=":", label=IDEAL[column])
    for each in cells[cells["kind"] == "floor"].dropna(subset=["value"]).itertuples():
        ax.axvline(each.value, color=ORANGE, linestyle="--", label=f"trivial judge: {each.row}")
