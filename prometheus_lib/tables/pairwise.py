"""Table 4: pairwise ranking, as accuracy under named tie rules; real decisions and human votes beside ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import metrics
from ..data.catalogue import PAIR_BENCHMARKS, TIE_BENCHMARKS
from ..data.votes import expert_pairs, gpt4_against_experts
from ..metrics import Comparison
from ..records import PairItem
from .cells import COMPARISON_RESAMPLES, Cell, cells_table, difference_cells, interval_cell
from .measures import alike_interval
from .published import (
    CONSISTENCY,
    HHH_REAL,
    accuracy_column,
    accuracy_places,
    measure_column,
    published_cells,
    real_column,
)
from .rows import (
    Answers,
    Share,
    cluster_numbers,
    judge_pairs,
    judge_rows,
    labels,
    run_floors,
    run_limits,
    share_cells,
)
from .run import Items, Run, once_per_run
from .truth import PAIR_RIGHT, row_against_truth, truth_cells, truth_column, truth_differences

Name = Callable[[str], str]  # a part of a benchmark ("w/ TIE", "total") -> its column


@once_per_run
def table_4(run: Run) -> pd.DataFrame:
    """Table 4: how often the truly better response is picked, and accuracy by group, with ties and without.

    "w/ TIE" has four variants: "corrected" (the pairwise decision alone, so that a judge without a word for ties misses
    them all), "ties half", "paper-text" (equal direct scores are a tie, else the pairwise decision) and "paper-code"
    (the released code's rule, which looks at the label). Rows of kind "difference" compare the merged judge with each
    other judge on two columns per benchmark, Holm-corrected over those by the truth and over those by the labels: a
    permutation of whole instructions decides, and McNemar's test by item is named. Where a judge was asked in both
    orders, "consistency" stands beside its accuracies: how many pairs it decides alike in both.

    >>> from prometheus_lib.tables import example_run
    >>> cells = table_4(example_run())
    >>> cells.query("row == 'linear' and column == 'Preference Bench'")[["value", "n", "unit"]].values.tolist()
    [[100.0, 80, 'accuracy']]
    """
    cells, found, truths = [], {}, {}
    for name in run.present(PAIR_BENCHMARKS):
        items, judged = run.items[name], judge_rows(run, name, run.scale.main_judges)
        rows = [*judged, *run_limits(run, name)]
        column = _columns(name)
        for row in rows:
            cells += truth_cells(name, row.row, row_against_truth(run, name, row), row.kind)
        cells += _accuracy_cells(run, name, items, rows, column)
        for row in judged:
            swapped = run.choices(row.row, name, "ba")
            if swapped is not None:
                cells.append(_consistency(run, name, items, row, swapped, column))
                cells += _both_orders(run, name, items, row, swapped, column)
        found |= _differences(run, name, judged)
        truths |= _truth_differences(run, name, judged)
    cells += [*difference_cells(truths, "points"), *difference_cells(found, "accuracy")]
    for name in PAIR_BENCHMARKS:
        if name in run.real:
            cells += _accuracy_cells(run, name, run.real[name], run_floors(run, name, real=True), _columns(name, True))
    return cells_table("4", [*cells, *_replay_cells(run), *_vote_cells(run), *_published(run)])


def _columns(name: str, real: bool = False) -> Name:
    def column(part: str) -> str:
        return real_column(name, part) if real else accuracy_column(name, part)

    return column


def _published(run: Run) -> list[Cell]:
    return published_cells("4", accuracy_places(run), "accuracy")


def _differences(run: Run, name: str, rows: Sequence[Answers]) -> dict[tuple[str, str], Comparison | None]:
    """The merged judge against the others on the pairs without gold tie."""
    items, place = run.items[name], measure_column(name, run.items[name])
    credits = {row.row: 100 * metrics.item_credits(row.values, labels(items), "gold dropped") for row in rows}
    pairs = {(f"{one} - {two}", place): (credits[one], credits[two]) for one, two in judge_pairs(run, credits)}
    options = run.options(name, COMPARISON_RESAMPLES)
    return metrics.compare_many_accuracies(pairs, cluster_numbers(run, items), **options)


def _truth_differences(run: Run, name: str, rows: Sequence[Answers]) -> dict[tuple[str, str], Comparison | None]:
    """The merged judge against the others on the pairs with a truly better response."""
    compared = truth_differences(run, judge_pairs(run, [row.row for row in rows]), name)
    return {(f"{one} - {two}", truth_column(name, PAIR_RIGHT)): each for (one, two), each in compared.items()}


# --- accuracies ------------------------------------------------------------------------------------------------------


def _accuracy_cells(run: Run, name: str, items: Items, rows: Sequence[Answers], column: Name) -> list[Cell]:
    """All columns of one pairwise benchmark: groups and total, or with and without ties, or the total alone."""
    gold = labels(items)
    if name in TIE_BENCHMARKS:
        parts = (part for row in rows for part in _tie_variants(row, gold))
        shares = [_share(row, gold, column("w/ TIE"), rule, variant) for variant, row, rule in parts]
        without = [_share(row, gold, column("w/o TIE"), "gold dropped") for row in rows]
        return share_cells(run, name, items, [*shares, *without])
    cells = []
    groups = _groups(items) if name == "hhh_alignment" else {}
    for group, members in groups.items():
        part, those = [items[index] for index in members], [_take(row, members) for row in rows]
        cells += share_cells(run, name, part, [_share(row, labels(part), column(group), "wrong") for row in those])
    return cells + share_cells(run, name, items, [_share(row, gold, column("total"), "wrong") for row in rows])


def _share(row: Answers, gold: Sequence[str], column: str, rule: metrics.TieRule, variant: str = "") -> Share:
    return Share(row, column, metrics.item_credits(row.values, gold, rule), {"variant": variant})


def _tie_variants(row: Answers, gold: Sequence[str]) -> Iterator[tuple[str, Answers, metrics.TieRule]]:
    """The four ways to count "w/ TIE"; the paper's two need direct scores, of which the first draw decides."""
    yield "corrected", row, "wrong"
    yield "ties half", row, "half"
    if row.sides is not None:
        a, b = row.sides
        yield "paper-text", row._replace(values=metrics.text_mixture_decisions(a[:, 0], b[:, 0], row.values)), "wrong"
        yield "paper-code", row._replace(values=metrics.code_label_aware_decisions(a, b, gold)), "wrong"


def _groups(items: Items) -> dict[str, list[int]]:
    """Item positions by group, in the paper's order (Help., Harm., Hon., Other) or by appearance."""
    found: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        found.setdefault(item.group, []).append(index)
    paper = list(HHH_REAL.values())
    return dict(sorted(found.items(), key=lambda pair: paper.index(pair[0]) if pair[0] in paper else 0))


def _take(row: Answers, members: list[int]) -> Answers:
    return row._replace(values=row.values[members])


# --- both orders, recorded decisions, human votes --------------------------------------------------------------------


def _both_orders(
    run: Run, name: str, items: Sequence[PairItem], row: Answers, swapped: NDArray, column: Name
) -> Iterator[Cell]:
    """A judge that was also asked with response B first: that order, and right in both orders."""
    second = row._replace(row=f"{row.row}, swapped order", values=swapped, sides=None)
    yield from _accuracy_cells(run, name, items, [second], column)
    gold, whole = labels(items), "w/ TIE" if name in TIE_BENCHMARKS else "total"
    both = row._replace(row=f"{row.row}, right in both orders")
    credits = metrics.item_credits(row.values, gold) * metrics.item_credits(swapped, gold)
    variant = "corrected" if whole == "w/ TIE" else ""
    yield from share_cells(run, name, items, [Share(both, column(whole), credits, {"variant": variant})])


def _consistency(run: Run, name: str, items: Sequence[PairItem], row: Answers, swapped: NDArray, column: Name) -> Cell:
    """How many pairs a judge decides alike in both orders, in its own row: beside its accuracies."""
    found = alike_interval(run, name, items, row.values, swapped)
    return interval_cell(row.row, column(CONSISTENCY), found, "accuracy", row.kind)


def _replay_cells(run: Run) -> Iterator[Cell]:
    """Auto-J 13B's recorded decisions on the real Auto-J Eval: each order, both orders, and how often they agree."""
    name = "autoj_eval"
    if run.replay is None or name not in run.real:
        return
    items, column = run.real[name], _columns(name, real=True)
    first, swapped = (np.array(decisions, dtype=object) for decisions in run.replay)
    row = Answers("Auto-J 13B", "real judge", first)
    shown = row._replace(row="Auto-J 13B, first order")
    yield from _accuracy_cells(run, name, items, [shown], column)
    yield _consistency(run, name, items, shown, swapped, column)
    yield from _both_orders(run, name, items, row, swapped, column)


def _vote_cells(run: Run) -> Iterator[Cell]:
    """Human votes on real MT-Bench answers: what one expert is worth as a judge of another, and what GPT-4 is."""
    if run.votes is None:
        return
    rows = {
        ("expert against expert", "real ceiling"): expert_pairs(run.votes),
        ("GPT-4 against experts", "real judge"): gpt4_against_experts(run.votes),
    }
    for (row, kind), votes in rows.items():
        decided = votes[(votes["first"] != "tie") & (votes["second"] != "tie")]
        for part, these, variant in (("w/ TIE", votes, "corrected"), ("w/o TIE", decided, "")):
            column = real_column("mt_bench_human", part)
            yield _vote_cell(run, row, column, these, kind=kind, variant=variant)


def _vote_cell(run: Run, row: str, column: str, votes: pd.DataFrame, kind: str, variant: str) -> Cell:
    alike = 100 * (votes["first"] == votes["second"]).to_numpy(float)
    interval = metrics.bootstrap_mean(alike, votes["question"].to_numpy(), **run.options("mt_bench_human"))
    note = "released votes on first turns; pairs of votes on one pair of answers"
    return interval_cell(row, column, interval, "accuracy", kind, note=note, variant=variant)
