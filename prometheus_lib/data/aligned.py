"""What one judge said of each item, in the order of the items and beside what people said."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from ..records import DataError, DirectItem, PairItem, few

# What must be one thing in a table, and how to say which.
_ONE = {
    "judge": "name one with judge=",
    "benchmark": "take the rows of one",
    "format": "take the rows of one",
    "fingerprint": "take the judgments of one model (judging.judgments_of reads those of your tasks)",
}


def by_item(
    items: Sequence[DirectItem] | Sequence[PairItem], judgments: pd.DataFrame, judge: str | None = None
) -> pd.DataFrame:
    """Return one row per item, in the order of the items: what one judge said, beside what people said.

    judgments: rows with the fields of `records.Judgment`, in any order, as `judging.judgments_of`, `load_judgments` and
    `read_recorded` return them; judge: whose, where there are several. The index is the item's id. Columns, for direct
    items: `score` (mean of the draws that hold a decision, NaN without any), `draws`, `unparsed` (draws without a
    decision), then each rater's mean (`human`). For pairs: `decision` (A, B, tie or None, of the first draw; shown in
    the item's order), `decision_ba` where the pair was also shown in the other order, `label`.

    Nothing is averaged that does not belong together: DataError where the rows of these items are of several judges,
    models, benchmarks or formats, where an item has answers to two prompts, and where none is by `judge`. Warns of
    items without a judgment.

    >>> from prometheus_lib.records import DirectItem, Rubric
    >>> rubric = Rubric("Is it right?", ("no", "hardly", "half", "mostly", "yes"))
    >>> items = [DirectItem(id, "2 + 2?", id, None, rubric, {"human": [n]}) for id, n in (("4", 5), ("10", 1))]
    >>> said = pd.DataFrame({"item_id": ["10", "4", "4"], "order": "ab", "draw": [0, 0, 1], "decision": [1, 5, None]})
    >>> by_item(items, said).reset_index().values.tolist()
    [['4', 5.0, 2, 1, 5.0], ['10', 1.0, 1, 0, 1.0]]
    """
    items = list(items)
    ids = [item.id for item in items]
    if twice := [id for id, count in Counter(ids).items() if count > 1]:
        raise DataError(f"the items {few(twice)} are there more than once; give every item its own id.")
    found = judgments[judgments["item_id"].isin(ids)]
    if judge is not None and judge not in set(judgments["judge"]):
        raise DataError(f"no judgment is by {judge!r}; there are those of {few(sorted(set(judgments['judge'])))}.")
    found = found if judge is None else found[found["judge"] == judge]
    _check_one_kind(found)
    judged = set(found["item_id"])
    if missing := [id for id in ids if id not in judged]:
        warnings.warn(f"{len(missing)} of {len(ids)} items have no judgment: {few(missing)}.", stacklevel=2)
    table = _pairs(items, found) if items and isinstance(items[0], PairItem) else _direct(items, found)
    return table.rename_axis("item_id")


def _check_one_kind(found: pd.DataFrame) -> None:
    for column, advice in _ONE.items():
        values = [str(value) for value in found[column].unique()] if column in found else []
        if len(values) > 1:
            raise DataError(f"the judgments are of {len(values)} kinds of {column} ({few(values)}); {advice}.")
    mixed = found.duplicated(["item_id", "order", "draw"])
    if "prompt_hash" in found:
        told = found[found["prompt_hash"] != ""].drop_duplicates(["item_id", "order", "prompt_hash"])
        mixed |= found["item_id"].isin(told.loc[told.duplicated(["item_id", "order"]), "item_id"])
    if mixed.any():
        raise DataError(
            f"item {found.loc[mixed, 'item_id'].iloc[0]!r} has answers to more than one prompt (another rubric, or "
            "with and without the reference answer); take the judgments of your tasks (judging.judgments_of)."
        )


def _direct(items: Sequence[DirectItem], found: pd.DataFrame) -> pd.DataFrame:
    groups = found.assign(decision=found["decision"].astype(float)).groupby("item_id")["decision"]
    counts = groups.agg(["mean", "size", "count"]).reindex([item.id for item in items])
    raters = dict.fromkeys(rater for item in items for rater in item.scores)
    means = {rater: [_mean(item.scores.get(rater)) for item in items] for rater in raters}
    draws = counts["size"].fillna(0).astype(int)
    table = pd.DataFrame(
        {"score": counts["mean"], "draws": draws, "unparsed": draws - counts["count"].fillna(0).astype(int)}
    )
    return table.assign(**means)


def _mean(scores: Sequence[float] | None) -> float:
    return sum(scores) / len(scores) if scores else float("nan")


def _pairs(items: Sequence[PairItem], found: pd.DataFrame) -> pd.DataFrame:
    columns: dict[str, list] = {}
    for order, name in (("ab", "decision"), ("ba", "decision_ba")):
        said = found[(found["order"] == order) & (found["draw"] == 0)].set_index("item_id")["decision"]
        if order == "ab" or len(said):
            decisions = [said.get(item.id) for item in items]
            columns[name] = [None if pd.isna(decision) else decision for decision in decisions]
    columns["label"] = [item.label for item in items]
    return pd.DataFrame(columns, index=[item.id for item in items], dtype=object)
