"""What all tables are made of: cells, the rows of a table before they meet a rater, samples, and tested differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binom

from .. import metrics
from ..data import baselines, minibench
from ..metrics.accuracy import Comparison, Floats, Interval
from ..records import DirectItem, PairItem
from .run import Items, Run

Cell = dict[str, Any]
Key = TypeVar("Key", bound=Hashable)

COLUMNS = ("table", "row", "column", "value", "low", "high", "n", "unparsed", "kind", "variant", "note")
NUMBERS = {"value": "float64", "low": "float64", "high": "float64", "n": "Int64", "unparsed": "Int64"}
KEY = ("kind", "row", "column", "variant")
KINDS = (
    "judge", "difference", "benchmark", "ceiling", "floor",
    "real benchmark", "real judge", "real ceiling", "real floor", "published",
)  # fmt: skip
COMPARISON_RESAMPLES = 10_000
FEWEST_CLUSTERS, TOO_FEW = 10, "too few instructions"
OTHERS = "mean of the other answers' scores"
NAN = math.nan
_HUMANS = ("sim-crowd", "human")


class Answers(NamedTuple):
    """One row of a table before it meets a rater: mean scores or decisions (items,), and how many are unparsed.

    `sides` holds direct scores (items, draws) of both responses of each pair, where the row has them.
    """

    row: str
    kind: str
    values: NDArray
    unparsed: int = 0
    sides: tuple[Floats, Floats] | None = None


class Sample(NamedTuple):
    """A statistic with its resamples, so that averages and differences of several get an interval."""

    value: float
    draws: Floats
    n: int
    unparsed: int
    clusters: int = 0


class Share(NamedTuple):
    """A row's credits per item (0 to 1, NaN for an item that does not count) in one column, and more of its cell."""

    answers: Answers
    column: str
    credits: Floats
    more: dict[str, Any]


# --- cells -----------------------------------------------------------------------------------------------------------


def cell(row: str, column: str, value: float = NAN, kind: str = "judge", **more: Any) -> Cell:
    """Return one cell; what is not given is empty."""
    empty = {"low": NAN, "high": NAN, "n": None, "unparsed": None, "variant": "", "note": ""}
    return {"row": row, "column": column, "value": value, "kind": kind, **empty, **more}


def cells_table(number: str, cells: Iterable[Cell]) -> pd.DataFrame:
    """Return the cells of one table as a DataFrame with the columns of `COLUMNS`."""
    table = pd.DataFrame([{"table": number, **each} for each in cells], columns=list(COLUMNS))
    return table.astype(NUMBERS)


def interval_cell(row: str, column: str, interval: Interval, kind: str, **more: Any) -> Cell:
    """Return an estimate with its interval as a cell."""
    spread = {"low": interval.low, "high": interval.high, "n": interval.n}
    return cell(row, column, interval.estimate, kind, **{**spread, **more})


def sample_cell(
    row: str, column: str, sample: Sample | None, kind: str, resamples: int | None = None, **more: Any
) -> Cell:
    """Return a sample as a cell, its interval from the first `resamples` draws; None is "not judged"."""
    if sample is None:
        return cell(row, column, kind=kind, **{"note": "not judged", **more})
    draws = sample.draws[:resamples]
    low, high = metrics.quantiles(draws, 0.95) if math.isfinite(sample.value) else (NAN, NAN)
    counts = {"n": sample.n, "unparsed": sample.unparsed}
    return cell(row, column, sample.value, kind, **{"low": low, "high": high, **counts, **more})


def correlation_cell(
    run: Run, name: str, items: Items, column: str, row: Answers, gold: Floats, kind: metrics.Kind, **more: Any
) -> Cell:
    """Return a row's correlation with a rater's scores (items,) as a cell."""
    interval = metrics.bootstrap_correlation(row.values, gold, cluster_numbers(run, items), kind, **run.options(name))
    return interval_cell(row.row, column, interval, row.kind, **{"unparsed": row.unparsed, **more})


def share_cells(run: Run, name: str, items: Items, shares: Iterable[Share]) -> list[Cell]:
    """Return means of credits per item, in percent, as cells; decisions that are None among the counted are unparsed.

    One pass over the resamples serves all shares that count the same items.
    """
    shares = list(shares)
    limits = mean_samples([100 * share.credits for share in shares], cluster_numbers(run, items), **run.options(name))
    return [_share_cell(share, sample) for share, sample in zip(shares, limits, strict=True)]


def _share_cell(share: Share, sample: Sample) -> Cell:
    unparsed = int((pd.isna(share.answers.values) & np.isfinite(share.credits)).sum())
    counted = sample._replace(unparsed=unparsed)
    return sample_cell(share.answers.row, share.column, counted, share.answers.kind, **share.more)


def mean_samples(values: Sequence[Floats], clusters: Sequence[Hashable], n_resamples: int, seed: int) -> list[Sample]:
    """Return the mean of each column of values (items,) with its resamples; NaN items are left out of a column."""
    masks = [np.isfinite(column) for column in values]
    groups: dict[bytes, list[int]] = {}
    for place, mask in enumerate(masks):
        groups.setdefault(mask.tobytes(), []).append(place)
    found: dict[int, Sample] = {}
    for places in groups.values():
        keep = masks[places[0]]
        table = np.column_stack([values[place][keep] for place in places])
        codes, k = metrics.cluster_codes(clusters, keep)
        draws = _mean_draws(table, codes, k, n_resamples, seed)
        means = table.mean(axis=0) if len(table) else np.full(len(places), NAN)
        for column, place in enumerate(places):
            found[place] = Sample(float(means[column]), draws[:, column], len(table), 0, k)
    return [found[place] for place in range(len(values))]


def _mean_draws(table: Floats, codes: NDArray[np.intp], k: int, n_resamples: int, seed: int) -> Floats:
    """(resamples, columns) means of a table (items, columns), resampled by cluster."""
    if k < 2:
        return np.full((n_resamples, table.shape[1]), NAN)
    sums = np.zeros((k, table.shape[1]))
    np.add.at(sums, codes, table)
    sizes = np.bincount(codes, minlength=k).astype(float)
    return metrics.distribution(lambda counts: (counts @ sums) / (counts @ sizes)[:, None], k, n_resamples, seed)


# --- items and raters ------------------------------------------------------------------------------------------------


def raters(items: Sequence[DirectItem]) -> list[str]:
    """Return the raters of a direct benchmark, the strongest first (GPT-4-1106 or its stand-in)."""
    return list(dict.fromkeys(rater for item in items for rater in item.scores))


def human_rater(items: Sequence[DirectItem]) -> str:
    """Return the rater in the humans' place; the first one where a benchmark has none."""
    known = raters(items)
    return next((rater for rater in known if rater in _HUMANS), known[0])


def rater_means(items: Sequence[DirectItem], rater: str) -> Floats:
    """Return a rater's mean score per item (items,), NaN where the rater gave none."""
    draws = (item.scores.get(rater) for item in items)
    return np.array([sum(given) / len(given) if given else NAN for given in draws], dtype=float)


def run_gold(run: Run, name: str, rater: str) -> Floats:
    """Return `rater_means` of one of the run's benchmarks, worked out once."""
    if ("gold", name, rater) not in run.memory:
        run.memory["gold", name, rater] = rater_means(run.items[name], rater)
    return run.memory["gold", name, rater]


def rater_draws(items: Sequence[DirectItem], rater: str) -> Floats:
    """Return a rater's draws (items, draws), NaN where there are fewer."""
    draws = [item.scores.get(rater, []) for item in items]
    width = max(map(len, draws), default=0)
    return np.array([[*row, *[NAN] * (width - len(row))] for row in draws], dtype=float)


def clusters(items: Items) -> list[str]:
    """Return each item's instruction, the unit of resampling."""
    return [item.cluster or item.id for item in items]


def cluster_numbers(run: Run, items: Items) -> NDArray[np.intp]:
    """Return `clusters` as numbers, worked out once for each list of items."""
    key = ("clusters", id(items))
    if key not in run.memory:
        run.memory[key] = (pd.factorize(np.array(clusters(items), dtype=object))[0], items)  # the list keeps its id
    return run.memory[key][0]


def labels(items: Sequence[PairItem]) -> list[str]:
    """Return the labels of pair items."""
    return [item.label for item in items]


# --- rows: judges, floors, ceilings ----------------------------------------------------------------------------------


def judge_rows(run: Run, name: str, judges: Iterable[str]) -> list[Answers]:
    """Return the judges that have answered on a benchmark, pairs with their direct scores where there are any."""
    found = ((judge, run.answers(judge, name)) for judge in judges)
    pairs = isinstance(run.items[name][0], PairItem)
    return [
        Answers(judge, "judge", *answers, run.pair_scores(judge, name) if pairs else None)
        for judge, answers in found
        if answers is not None
    ]


def floors(items: Items, kind: str = "floor") -> list[Answers]:
    """Return the trivial judges of the items' format; one that needs a reference answer only where there is one."""
    items = list(items)
    if isinstance(items[0], DirectItem):
        named = {name: np.array(rule(items), dtype=float) for name, rule in baselines.DIRECT_BASELINES.items()}
        rows = [Answers(name, kind, values, int(np.isnan(values).sum())) for name, values in named.items()]
    else:
        pairs = {name: np.array(rule(items), dtype=object) for name, rule in baselines.PAIR_BASELINES.items()}
        sides = {name: _sides(items, rules) for name, rules in baselines.SCORING_TWINS.items()}
        rows = [Answers(n, kind, values, int(pd.isna(values).sum()), sides[n]) for n, values in pairs.items()]
    return [row for row in rows if row.unparsed < len(items)]


def run_floors(run: Run, name: str, real: bool = False) -> list[Answers]:
    """Return `floors` of one of the run's benchmarks (or of its real file), worked out once."""
    if (name, real) not in run.memory:
        run.memory[name, real] = floors(run.real[name], "real floor") if real else floors(run.items[name])
    return run.memory[name, real]


def _sides(items: Sequence[PairItem], rules: Sequence[Callable]) -> tuple[Floats, Floats]:
    a, b = (np.array(side, dtype=float) for side in baselines.pair_sides(list(items), rules))
    return a, b


def ceilings(items: Items, rater: str = "") -> list[Answers]:
    """Return the other raters of a direct benchmark, and the true score where the miniature world knows it.

    Where it does not, the mean score of the *other* answers to the same prompt is added: it never looks at the answer,
    so a judge has to beat it to show that it reads.
    """
    if isinstance(items[0], PairItem):
        return _true_pairs(items) if "true_a" in items[0].meta else []
    others = [Answers(f"rater {o}", "ceiling", rater_means(items, o)) for o in raters(items) if o != rater]
    if "true_score" in items[0].meta:
        truth = np.array([item.meta["true_score"] for item in items], dtype=float)
        return [*others, Answers("true score", "ceiling", truth)]
    if not rater:
        return others
    means = np.array(baselines.other_answers_mean(list(items), rater), dtype=float)
    return [*others, Answers(OTHERS, "ceiling", means)] if np.isfinite(means).any() else others


def _true_pairs(items: Sequence[PairItem]) -> list[Answers]:
    decisions = np.array([minibench.true_decision(item) for item in items], dtype=object)
    sides = tuple(np.array([[item.meta[side]] for item in items], dtype=float) for side in ("true_a", "true_b"))
    return [Answers("true score", "ceiling", decisions, 0, sides)]


def as_real(rows: Iterable[Answers]) -> list[Answers]:
    """Return rows measured on real files, marked so by their kind."""
    return [row._replace(kind=f"real {row.kind}") for row in rows]


# --- differences -----------------------------------------------------------------------------------------------------


def reference_judge(run: Run, rows: Iterable[str]) -> str | None:
    """Return the judge that the others are compared with: the merged one, else the first of `rows`."""
    known = list(rows)
    return run.scale.merged_judge if run.scale.merged_judge in known else next(iter(known), None)


def decide(found: Mapping[Key, Comparison | None]) -> dict[Key, Comparison]:
    """Return the comparisons of one table with p-values corrected together (Holm) and their verdicts; None left out.

    `more_needed` counts with the correction. With fewer than `FEWEST_CLUSTERS` instructions a bootstrap is too sure of
    itself: the verdict is then "too few instructions", without a p-value, and the comparison takes no part in the
    correction.
    """
    known = {key: each for key, each in found.items() if each is not None}
    enough = {key: each.p_value for key, each in known.items() if each.n_clusters >= FEWEST_CLUSTERS}
    adjusted, factors = metrics.holm(enough) if enough else {}, holm_factors(enough)
    decided = {}
    for key, each in known.items():
        if key not in adjusted:
            decided[key] = replace(each, p_value=NAN, verdict=TOO_FEW, more_needed=None)
            continue
        each = each.adjusted(adjusted[key])
        more = more_needed(each.difference, each.low, each.high, each.n, factors[key])
        decided[key] = replace(each, more_needed=more if each.verdict == "undecided" else None)
    return decided


def holm_factors(p_values: Mapping[Key, float]) -> dict[Key, int]:
    """Return by how much Holm's correction multiplies each p-value: the smallest by the number of tests, and so on."""
    order = sorted(p_values, key=lambda key: (math.isnan(p_values[key]), round(p_values[key], 12)))
    tests = sum(not math.isnan(p) for p in p_values.values())
    return {key: max(tests - place, 1) for place, key in enumerate(order)}


def more_needed(difference: float, low: float, high: float, n: int, factor: int = 1) -> int | None:
    """Estimate how many more judgments (beside `n`) would decide a difference of this size, with a power of 80 %.

    low, high: its 95 % interval; factor: Holm's. None when there is no difference or no width to scale from.
    """
    error = (high - low) / (2 * ndtri(0.975))
    if not (difference and error > 0):
        return None
    needed = n * ((ndtri(1 - 0.025 / factor) + ndtri(0.8)) * error / abs(difference)) ** 2
    return max(1, math.ceil(needed - n)) if math.isfinite(needed) else None


def difference_cells(found: Mapping[tuple[str, ...], Comparison | None], kind: str = "difference") -> list[Cell]:
    """Return tested differences as cells whose note says verdict, p-value and test.

    `found` is keyed by (row, column) or (row, column, variant); its p-values are corrected together.
    """
    return [
        comparison_cell(row, column, each, kind, variant="".join(variant))
        for (row, column, *variant), each in decide(found).items()
    ]


def comparison_cell(row: str, column: str, decided: Comparison, kind: str = "difference", **more: Any) -> Cell:
    """Return one decided comparison (see `decide`) as a cell."""
    spread = {"low": decided.low, "high": decided.high, "n": decided.n, "note": comparison_note(decided)}
    return cell(row, column, decided.difference, kind, **{**spread, **more})


def comparison_note(decided: Comparison) -> str:
    """Say what a decided comparison shows: "higher; p = 0.002 (Holm), <test>" or "undecided; ...; about N more"."""
    if decided.verdict == TOO_FEW:
        return f"{TOO_FEW}; {decided.n_clusters} where at least {FEWEST_CLUSTERS} are needed"
    verdict = {"first": "higher", "second": "lower"}.get(decided.verdict, "undecided")
    note = f"{verdict}; {_p(decided.p_value)} (Holm), {decided.test}"
    if not decided.more_needed:
        return note
    return f"{note}; about {float(f'{decided.more_needed:.2g}'):,.0f} more judgments would tell"


def _p(p_value: float) -> str:
    text = show_p(p_value)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def show_p(p: float) -> str:
    """Write a p-value: three digits, more where rounding would move it to or across 0.05; "-" where there is none.

    Below 1e-4 only that is written: bootstraps and normal tests of some twenty instructions know no more.
    """
    if p is None or pd.isna(p):
        return "-"
    if p < 1e-4:
        return "<0.0001"
    texts = (f"{p:.{digits}g}" for digits in range(3, 18))
    return next(text for text in texts if np.sign(float(text) - 0.05) == np.sign(p - 0.05))


def difference_of_samples(one: Sample, two: Sample, test: str = "paired bootstrap by cluster") -> Comparison:
    """Compare two statistics whose resamples are paired; the p-value is read off the differences."""
    difference = one.draws - two.draws
    low, high = metrics.quantiles(difference, 0.95)
    p, k = metrics.bootstrap_p(difference), min(one.clusters, two.clusters)
    return Comparison(one.value - two.value, low, high, p, one.n, "undecided", None, k, test).adjusted(p)


def compare_scores(
    first: Floats, second: Floats, gold: Floats, kind: metrics.Kind = "pearson", **options: Any
) -> Comparison:
    """Compare two judges' correlations with one rater, by `metrics.compare_correlations` with clusters.

    For Pearson the test's name also gives the p-value of Williams' test, which takes items for independent.
    """
    found = metrics.compare_correlations(first, second, gold, kind, **options)
    return with_item_test(found, first, second, gold) if kind == "pearson" else found


def with_item_test(found: Comparison, first: Floats, second: Floats, gold: Floats) -> Comparison:
    """Add Williams' test by item to the name of a comparison's test."""
    williams = metrics.compare_correlations(first, second, gold, n_resamples=1)
    return replace(found, test=f"{found.test} (by item, uncorrected, {williams.test}: {_p(williams.p_value)})")


def compare_credits(
    pairs: Mapping[Key, tuple[Floats, Floats]], clusters: Sequence[Hashable], n_resamples: int, seed: int
) -> dict[Key, Comparison]:
    """Compare two judges' credits per item (0, 0.5 or 1; NaN left out), in percent, for each key.

    The p-value is that of the exact permutation test that exchanges the two judges in whole clusters; the test's name
    also gives the one by item, which is McNemar's where credits are 0 or 1. The interval is a paired bootstrap.
    """
    gaps = {key: first - second for key, (first, second) in pairs.items()}
    samples = mean_samples([100 * gap for gap in gaps.values()], clusters, n_resamples, seed)
    return {key: _compared(gap, sample, clusters) for (key, gap), sample in zip(gaps.items(), samples, strict=True)}


def _compared(gap: Floats, sample: Sample, clusters: Sequence[Hashable]) -> Comparison:
    keep = np.isfinite(gap)
    codes, k = metrics.cluster_codes(clusters, keep)
    p = sign_flip_p(np.bincount(codes, gap[keep], k))
    by_item = "McNemar exact" if np.isin(gap[keep], (-1, 0, 1)).all() else "exact permutation"
    test = f"exact permutation by cluster (by item, uncorrected, {by_item}: {_p(sign_flip_p(gap[keep]))})"
    low, high = metrics.quantiles(sample.draws, 0.95)
    return Comparison(sample.value, low, high, p, sample.n, "undecided", None, k, test).adjusted(p)


def sign_flip_p(sums: Floats) -> float:
    """Return the two-sided p-value of summed differences (clusters,) under all exchanges of the two sides.

    Exact: differences are multiples of one half, so the distribution of their sum with random signs is a convolution of
    binomial ones, one for each size. NaN without clusters.
    """
    halves = np.rint(2 * sums).astype(int)
    if not len(sums) or not np.allclose(2 * sums, halves):
        return NAN
    chances = np.ones(1)
    for size, times in zip(*np.unique(np.abs(halves[halves != 0]), return_counts=True)):
        flips = np.zeros(2 * size * times + 1)
        flips[:: 2 * size] = binom.pmf(np.arange(times + 1), times, 0.5)
        chances = np.convolve(chances, flips)
    middle = len(chances) // 2
    totals = np.abs(np.arange(len(chances)) - middle)
    return float(min(1.0, chances[totals >= abs(halves.sum())].sum()))


def judge_pairs(run: Run, rows: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs (reference judge, other judge) that a column compares."""
    known = list(rows)
    first = reference_judge(run, known)
    return [(first, other) for other in known if first is not None and other != first]
