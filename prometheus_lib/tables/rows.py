"""The rows of tables before they meet a rater: judges, trivial judges (floors) and ceilings; items and their raters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import metrics
from ..data import baselines
from ..data.oracle import blind_decisions, blind_scores, oracle_decisions, oracle_scores
from ..metrics import Floats
from ..records import DirectItem, PairItem
from .cells import NAN, Cell, interval_cell
from .run import Items, Run

OTHERS = "mean of the other answers' scores"
ORACLE, NO_NOISE = "oracle", "without the rater's noise"
CEILINGS = ("true score", ORACLE)  # with a reference answer the oracle finds the true score
BLIND = "rubric ignored"  # whoever reads every fact of the miniature world, and never the rubric
_HUMANS = ("sim-crowd", "human")


class Answers(NamedTuple):
    """One row of a table before it meets a rater: mean scores or decisions (items,), and how many are unparsed.

    `sides` holds direct scores (items, draws) of both responses of each pair, where the row has them.

    >>> row = Answers("linear", "merged", np.array(["A", None, "B"], dtype=object), unparsed=1)
    >>> row.row, len(row.values), row.unparsed
    ('linear', 3, 1)
    """

    row: str
    kind: str
    values: NDArray
    unparsed: int = 0
    sides: tuple[Floats, Floats] | None = None


class Share(NamedTuple):
    """A row's credits per item (0 to 1, NaN for an item that does not count) in one column, and more of its cell."""

    answers: Answers
    column: str
    credits: Floats
    more: dict[str, Any]


# --- rows as cells ---------------------------------------------------------------------------------------------------


def correlation_cell(
    run: Run, name: str, items: Items, column: str, row: Answers, gold: Floats, kind: metrics.Kind, **more: Any
) -> Cell:
    """Return a row's correlation with a rater's scores (items,) as a cell."""
    found = metrics.bootstrap_correlation(row.values, gold, cluster_numbers(run, items), kind, **run.options(name))
    return interval_cell(row.row, column, found, kind, row.kind, **{"unparsed": row.unparsed, **more})


def share_cells(run: Run, name: str, items: Items, shares: Iterable[Share]) -> list[Cell]:
    """Return means of credits per item, in percent, as cells; decisions that are None among the counted are unparsed.

    One pass over the resamples serves all shares that count the same items.
    """
    shares = list(shares)
    columns = [100 * share.credits for share in shares]
    intervals = metrics.bootstrap_means(columns, cluster_numbers(run, items), **run.options(name))
    cells = []
    for (answers, column, credits, more), found in zip(shares, intervals, strict=True):
        unparsed = int((pd.isna(answers.values) & np.isfinite(credits)).sum())
        counted = found.with_unparsed(unparsed)
        cells.append(interval_cell(answers.row, column, counted, "accuracy", answers.kind, **more))
    return cells


# --- items and raters ------------------------------------------------------------------------------------------------


def raters(items: Sequence[DirectItem]) -> list[str]:
    """Return the raters of a direct benchmark, the strongest first (GPT-4-1106 or its stand-in).

    >>> from prometheus_lib.tables import example_run
    >>> raters(example_run().items["flask"])
    ['sim-strong', 'sim-second', 'sim-crowd']
    """
    return list(dict.fromkeys(rater for item in items for rater in item.scores))


def human_rater(items: Sequence[DirectItem]) -> str:
    """Return the rater in the humans' place; the first one where a benchmark has none.

    >>> from prometheus_lib.tables import example_run
    >>> human_rater(example_run().items["flask"])
    'sim-crowd'
    """
    known = raters(items)
    return next((rater for rater in known if rater in _HUMANS), known[0])


def rater_means(items: Sequence[DirectItem], rater: str) -> Floats:
    """Return a rater's mean score per item (items,), NaN where the rater gave none.

    >>> from prometheus_lib.tables import example_run
    >>> rater_means(example_run().items["flask"], "sim-strong").shape
    (32,)
    """
    draws = (item.scores.get(rater) for item in items)
    return np.array([sum(given) / len(given) if given else NAN for given in draws], dtype=float)


def run_gold(run: Run, name: str, rater: str) -> Floats:
    """Return `rater_means` of one of the run's benchmarks, worked out once."""
    if ("gold", name, rater) not in run.memory:
        run.memory["gold", name, rater] = rater_means(run.items[name], rater)
    return run.memory["gold", name, rater]


def rater_draws(items: Sequence[DirectItem], rater: str) -> Floats:
    """Return a rater's draws (items, draws), NaN where there are fewer.

    >>> from prometheus_lib.tables import example_run
    >>> rater_draws(example_run().items["flask"], "sim-strong").shape
    (32, 3)
    """
    draws = [item.scores.get(rater, []) for item in items]
    width = max(map(len, draws), default=0)
    return np.array([[*row, *[NAN] * (width - len(row))] for row in draws], dtype=float)


def clusters(items: Items) -> list[str]:
    """Return each item's instruction, the unit of resampling.

    >>> from prometheus_lib.tables import example_run
    >>> items = example_run().items["flask"]
    >>> len(items), len(set(clusters(items)))
    (32, 8)
    """
    return [item.cluster or item.id for item in items]


def cluster_numbers(run: Run, items: Items) -> NDArray[np.intp]:
    """Return `clusters` as numbers, worked out once for each list of items."""
    key = ("clusters", id(items))
    if key not in run.memory:
        run.memory[key] = (pd.factorize(np.array(clusters(items), dtype=object))[0], items)  # the list keeps its id
    return run.memory[key][0]


def labels(items: Sequence[PairItem]) -> list[str]:
    """Return the labels of pair items.

    >>> from prometheus_lib.tables import example_run
    >>> sorted(set(labels(example_run().items["autoj_eval"])))
    ['A', 'B', 'tie']
    """
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


def ceilings(items: Items, with_reference: bool = True) -> list[Answers]:
    """Return what the miniature world's oracle says with what a judge is shown; nothing for real items.

    With the reference answer it scores a response truly (row "true score"), without one it gives what it expects
    (row "oracle"). Pairs are shown without a reference answer. See `data.oracle`.
    """
    if isinstance(items[0], PairItem):
        return [_oracle_of_pairs(items)] if "true_a" in items[0].meta else []
    if "true_score" not in items[0].meta:
        return []
    if with_reference:
        truth = np.array([item.meta["true_score"] for item in items], dtype=float)
        return [Answers("true score", "ceiling", truth)]
    return [Answers(ORACLE, "ceiling", np.array(oracle_scores(items, with_reference=False)))]


def run_ceilings(run: Run, name: str, with_reference: bool = True) -> list[Answers]:
    """Return `ceilings` of one of the run's benchmarks, worked out once."""
    key = ("ceilings", name, with_reference)
    if key not in run.memory:
        run.memory[key] = ceilings(run.items[name], with_reference)
    return run.memory[key]


def blind(items: Items, with_reference: bool = True) -> list[Answers]:
    """Return what whoever reads everything but the rubric says, as a floor; nothing for real items.

    It is no trivial judge: a judge that does not pass it has not shown that it reads rubrics. See `data.oracle`.
    """
    if isinstance(items[0], PairItem) and "true_a" in items[0].meta:
        sides = _sides(items, (lambda side: blind_scores(side, with_reference=False),))
        return [Answers(BLIND, "floor", np.array(blind_decisions(items), dtype=object), 0, sides)]
    if "true_score" in items[0].meta:
        return [Answers(BLIND, "floor", np.array(blind_scores(items, with_reference), dtype=float))]
    return []


def run_limits(run: Run, name: str, with_reference: bool = True) -> list[Answers]:
    """Return everything that judges are held against on a benchmark: floors, `blind` and ceilings.

    >>> from prometheus_lib.tables import example_run
    >>> [row.row for row in run_limits(example_run(), "flask")][-2:]
    ['rubric ignored', 'true score']
    """
    key = ("blind", name, with_reference)
    if key not in run.memory:
        run.memory[key] = blind(run.items[name], with_reference)
    return [*run_floors(run, name), *run.memory[key], *run_ceilings(run, name, with_reference)]


def _oracle_of_pairs(items: Sequence[PairItem]) -> Answers:
    def expected(sides: list[DirectItem]) -> list[int]:
        return [round(score) for score in oracle_scores(sides, with_reference=False)]

    decisions = np.array(oracle_decisions(items), dtype=object)
    return Answers(ORACLE, "ceiling", decisions, 0, _sides(items, (expected,)))


def other_raters(items: Sequence[DirectItem], rater: str) -> list[Answers]:
    """Return the other raters of a direct benchmark: yardsticks, no ceilings, as a judge may pass a noisy rater."""
    return [Answers(f"rater {other}", "rater", rater_means(items, other)) for other in raters(items) if other != rater]


def prompt_floor(items: Sequence[DirectItem], rater: str) -> list[Answers]:
    """Return the mean score of the *other* answers to the same prompt, where there is one.

    It never looks at the answer, so a judge has to beat it to show that it reads.
    """
    means = np.array(baselines.other_answers_mean(list(items), rater), dtype=float)
    return [Answers(OTHERS, "floor", means)] if np.isfinite(means).any() else []


def as_real(rows: Iterable[Answers]) -> list[Answers]:
    """Return rows measured on real files, marked so by their kind."""
    return [row._replace(kind=f"real {row.kind}") for row in rows]


# --- which judges are compared ---------------------------------------------------------------------------------------


def reference_judge(run: Run, rows: Iterable[str]) -> str | None:
    """Return the judge that the others are compared with: the merged one, else the first of `rows`."""
    known = list(rows)
    return run.scale.merged_judge if run.scale.merged_judge in known else next(iter(known), None)


def judge_pairs(run: Run, rows: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs (reference judge, other judge) that a column compares."""
    known = list(rows)
    first = reference_judge(run, known)
    return [(first, other) for other in known if first is not None and other != first]
