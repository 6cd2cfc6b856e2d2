"""Comparing pairs of your own responses, in both orders: `compare`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...data.files import Source
from ...metrics import bootstrap_mean, combine_orders, length_controlled_win_rate
from ...records import PairItem, few
from ..engines.api_usage import Prices
from .asking import Say, ask, pair_tasks_of
from .named import MINIATURE, find_judge, warn_of_foreign
from .outcome import SIDE, beside, sides, summary_row
from .reading import Own, read_own
from .result import Result


def compare(
    pairs: Source,
    rubric: Any = None,
    judge: Any = MINIATURE,
    *,
    columns: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    prices: Prices | None = None,
    say: Say = print,
) -> Result:
    """Compare pairs of responses by a rubric, each pair in both orders; return a `Result`.

    pairs: as the responses of `score`, with the columns `instruction`, `response_a` and `response_b`, and perhaps
    `label` (A, B or tie: what people said). Everything else is as in `score`; scales and reference
    answers play no part.

    In the table: `decision` (what both orders say, a tie where they differ, nothing where one could not be read),
    `decision_ab` and `decision_ba` (both about the row's own A and B), `consistent`, `first_place` (how often the
    response shown first won, of the orders that were read), `readable`, `feedback_ab` and `feedback_ba`. With several
    criteria these stand once for each, and `decision` is their vote by weight. In the summary: the share of B (a tie
    counts half), the same were both responses equally long (`metrics.length_controlled_win_rate`), the share of ties,
    of pairs decided alike in both orders, and of decisions for the response shown first
    (one half where the place plays no part).

    >>> rows = [{"instruction": "Greet.", "response_a": "Hi.", "response_b": "Good morning to you!"}]
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = compare(rows, "Is it kind?", judge="longer", out=folder)
    longer: 2 judgments, of which 0 are stored already.
    >>> result.table[["decision", "consistent", "first_place"]].values.tolist()
    [['B', True, 0.5]]
    """
    own = read_own(pairs, rubric, None, columns, pairs=True)
    named = find_judge(judge)
    warn_of_foreign(named, own.items)
    _warn_of_equal(own.items)
    judged = ask(named, pair_tasks_of(named, own, 1), out, say, prices)
    each = {c.name: _of_criterion(judged[judged["benchmark"] == c.name], own.items) for c in own.criteria}
    found = next(iter(each.values())) if len(each) == 1 else _together(own, each)
    table = beside(own.columns, {"item_id": [item.id for item in own.items]} | found)
    longer = [len(item.response_b) - len(item.response_a) for item in own.items]
    rows = [row for name, columns_ in each.items() for row in _summary(name, columns_, own.clusters, longer)]
    if len(each) > 1:
        rows += [_share("total", found["decision"], own.clusters)]
    return Result(
        "compare", named.judge.name, table, pd.DataFrame(rows), own.criteria, own.clusters, dict(own.labels), named.toy
    )


def _warn_of_equal(items: Sequence[PairItem]) -> None:
    if equal := [item.id for item in items if item.response_a == item.response_b]:
        warnings.warn(
            f"{len(equal)} pairs have two equal responses ({few(equal)}): what is decided there is chance or place.",
            stacklevel=3,
        )


def _of_criterion(judged: pd.DataFrame, items: Sequence[PairItem]) -> dict[str, list]:
    """One criterion's columns, one entry per pair."""
    rows = {order: judged[judged["order"] == order].set_index("item_id") for order in ("ab", "ba")}
    ids = [item.id for item in items]
    ab, ba = ([_decision(value) for value in rows[order].loc[ids, "decision"]] for order in ("ab", "ba"))
    first = [_first(one, two) for one, two in zip(ab, ba)]
    return {
        "decision": combine_orders(ab, ba).tolist(), "decision_ab": ab, "decision_ba": ba,
        "consistent": [None if one is None or two is None else one == two for one, two in zip(ab, ba)],
        "first_place": first, "readable": [sum(each is not None for each in both) for both in zip(ab, ba)],
        "feedback_ab": rows["ab"].loc[ids, "feedback"].tolist(),
        "feedback_ba": rows["ba"].loc[ids, "feedback"].tolist(),
    }  # fmt: skip


def _decision(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def _first(ab: str | None, ba: str | None) -> float:
    """The share of decisions for the response that was shown first."""
    shares = [] if ab is None else [1 - SIDE[ab]]
    shares += [] if ba is None else [SIDE[ba]]
    return float(np.mean(shares)) if shares else np.nan


def _together(own: Own, each: Mapping[str, dict[str, list]]) -> dict[str, list]:
    """All criteria's columns, after the vote of those that were read, by weight."""
    weights = [criterion.weight for criterion in own.criteria]
    votes = zip(*(found["decision"] for found in each.values()))
    decisions = [_vote(vote, weights) for vote in votes]
    return {"decision": decisions} | {f"{name}.{c}": v for name, found in each.items() for c, v in found.items()}


def _vote(votes: Sequence[str | None], weights: Sequence[float]) -> str | None:
    """The side with more weight; a tie where both have the same; None where nothing, or not everything, was read."""
    if any(vote is None for vote in votes):
        return None
    balance = sum(weight * (SIDE[vote] - 0.5) for vote, weight in zip(votes, weights) if vote is not None)
    return "tie" if abs(balance) < 1e-12 else "AB"[balance > 0]


def _share(name: str, decisions: Sequence[str | None], clusters: Sequence[str]) -> dict:
    unparsed = sum(decision is None for decision in decisions)
    return summary_row(
        name, "share of B (ties half)", bootstrap_mean(sides(decisions), clusters=clusters), unparsed=unparsed
    )


def _summary(name: str, found: Mapping[str, list], clusters: Sequence[str], longer: Sequence[int]) -> list[dict]:
    of = "all pairs" if name == "score" else name
    unparsed = sum(2 - readable for readable in found["readable"])
    tied = [np.nan if each is None else float(each == "tie") for each in found["decision"]]
    alike = [np.nan if each is None else float(each) for each in found["consistent"]]
    measures = {"share of ties": tied, "same in both orders": alike, "shown first wins": found["first_place"]}
    rows = [
        summary_row(of, measure, bootstrap_mean(values, clusters=clusters), unparsed=unparsed)
        for measure, values in measures.items()
    ]
    equal = length_controlled_win_rate(sides(found["decision"]), longer, clusters)
    at_equal_length = summary_row(of, "B were both equally long", equal, unparsed=equal.unparsed)
    return [_share(of, found["decision"], clusters), at_equal_length, *rows]
