"""Scoring your own responses: `score`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...data.files import Source
from ...data.rubrics.reading import Criterion
from ...data.values import is_blank
from ...metrics import bootstrap_mean
from ...records import SCORES, DataError
from ..engines.api_usage import Prices
from .asking import Say, ask, direct_tasks_of
from .expecting import decision_probabilities
from .named import MINIATURE, find_judge, warn_of_foreign
from .outcome import beside, summary_row
from .reading import Own, read_own, total_scale, warn_of_scales
from .result import Result

DRAWS = 3  # as the paper's judges are asked


def score(
    responses: Source,
    rubric: Any = None,
    judge: Any = MINIATURE,
    *,
    scale: Any = None,
    draws: int = DRAWS,
    columns: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    by: str | None = None,
    expected: bool = False,
    prices: Prices | None = None,
    say: Say = print,
) -> Result:
    """Score responses by a rubric; return a `Result` with table, summary, figure and page.

    responses: a CSV, TSV, JSON Lines, JSON, .xlsx or Parquet file, a list of dictionaries or a data frame, with the
    columns `instruction` and `response`, and perhaps `id`, `reference_answer`, `cluster`, `human` and `human_<name>`
    (what people gave, on the rubric's scale), others as you like (see `data.read_own_items`). rubric: a text, a name of
    the library, a YAML file, ... (see `data.read_rubric`), or None where the rows bring their own. judge: one word (see
    `find_judge`). `scale`: another than 1 to 5 ("1-10", "pass/fail"). `draws`: answers per response, which are
    averaged. `columns` renames ({"output": "response"}); `by` is a column whose values get a summary each (a
    model's name). `expected` adds the score that the judge's token probabilities expect behind each feedback (as in
    G-Eval, Liu and others, 2023, section 2), beside the sampled one: it knows how sure a judge was, and ties are rare.
    It needs a model that transformers runs here.

    Judgments are kept in `out` (default: the project's my-outputs/own/judgments) and never asked for twice; what will
    be asked, and about how long it takes or costs, is said before the start.

    In the table: `score` (the mean of the readable draws, on the rubric's scale), `level` (its name, where the scale
    has other levels than 1 to 5), `draws` (the judge's 1 to 5), `readable` (how many), `feedback` (of the first
    readable draw), `status`, and `expected` where it was asked for. With several criteria these stand once for each
    (`tone.score`), and `score` is their mean by weight, on their common scale, or from 1 to 5 where they have none.

    >>> rows = [{"instruction": "Greet.", "response": "Hello!"}, {"instruction": "Greet.", "response": "Go away."}]
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = score(rows, "Is it kind?", judge="constant", out=folder, scale="0-10")
    constant: 6 judgments, of which 0 are stored already.
    >>> result.table["score"].tolist(), result.table["draws"].tolist()[0]
    ([5.0, 5.0], [3, 3, 3])
    """
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
        raise DataError(f"draws={draws!r}: give a whole number from 1 on.")
    own = read_own(responses, rubric, scale, columns, pairs=False)
    warn_of_scales(own.criteria)
    named = find_judge(judge)
    warn_of_foreign(named, own.items)
    tasks = direct_tasks_of(named, own, draws)
    judged = ask(named, tasks, out, say, prices)
    if expected:
        judged = judged.assign(shares=decision_probabilities(named, tasks, judged))
    each = {c.name: _of_criterion(judged[judged["benchmark"] == c.name], own, c) for c in own.criteria}
    table = beside(own.columns, {"item_id": [item.id for item in own.items]} | _columns(own, each))
    groups = _groups(table, by)
    return Result(
        "score", named.judge.name, table, summary(own, each, table, groups), own.criteria, own.clusters,
        dict(own.labels), named.toy,
    )  # fmt: skip


def _of_criterion(judged: pd.DataFrame, own: Own, criterion: Criterion) -> dict[str, list]:
    """One criterion's columns, one entry per item."""
    found: dict[str, list] = {name: [] for name in ("score", "level", "draws", "readable", "feedback", "status")}
    by_item = dict(tuple(judged.groupby("item_id", sort=False)))
    for item in own.items:
        rows = by_item[item.id].sort_values("draw")
        decisions = [None if pd.isna(d) else int(d) for d in rows["decision"]]
        read = [criterion.scale.value_of(d) for d in decisions if d is not None]
        value = float(np.mean(read)) if read else np.nan
        first = next((n for n, d in enumerate(decisions) if d is not None), 0)
        cells = (value, criterion.scale.level_of(value), decisions, len(read), rows["feedback"].iloc[first])
        for name, cell in zip(found, (*cells, ", ".join(dict.fromkeys(rows["status"])))):
            found[name].append(cell)
        if "shares" in rows:
            values = [criterion.scale.value_of(score) for score in SCORES]
            expected = [float(np.dot(shares, values)) for shares in rows["shares"] if shares is not None]
            found.setdefault("expected", []).append(float(np.mean(expected)) if expected else np.nan)
    if criterion.scale.plain or not criterion.scale.named:
        del found["level"]
    return found


def _columns(own: Own, each: Mapping[str, dict[str, list]]) -> dict[str, list]:
    if len(each) == 1:
        return next(iter(each.values()))
    parts = {f"{name}.{column}": values for name, found in each.items() for column, values in found.items()}
    return {"score": total(own.criteria, [found["score"] for found in each.values()]).tolist()} | parts


def total(criteria: tuple[Criterion, ...], scores: list[list[float]]) -> np.ndarray:
    """Return the mean of the criteria's scores by weight, (items,); on 1 to 5 where their scales differ.

    NaN where one is missing: a mean of the others would be another question.
    """
    common = total_scale(criteria)
    on_one = [
        np.asarray(values) if criterion.scale == common else _as_plain(criterion, np.asarray(values))
        for criterion, values in zip(criteria, scores)
    ]
    return np.average(on_one, axis=0, weights=[criterion.weight for criterion in criteria])


def _as_plain(criterion: Criterion, values: np.ndarray) -> np.ndarray:
    places, told = np.arange(len(criterion.scale.values)), np.asarray(criterion.scale.values)
    order = np.argsort(told)
    return 1 + 4 * np.interp(values, told[order], places[order]) / places[-1]


def _groups(table: pd.DataFrame, by: str | None) -> dict[str, np.ndarray]:
    """The rows of each value of the column `by`, those without one too, and all of them under "all responses"."""
    if by is not None and by not in table:
        raise DataError(f"by={by!r}: no such column; there are {', '.join(table.columns)}.")
    groups = {"all responses": np.ones(len(table), dtype=bool)}
    if by is None:
        return groups
    blank = np.array([is_blank(value) for value in table[by]], dtype=bool)
    groups |= {f"{by} {value}": (table[by] == value).to_numpy() for value in table.loc[~blank, by].unique()}
    return groups | ({f"without {by}": blank} if blank.any() else {})


def summary(own: Own, each: Mapping[str, dict], table: pd.DataFrame, groups: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the mean of each criterion and of the total, with its interval, for each group of rows."""
    clusters, rows = np.asarray(own.clusters, dtype=object), []
    for group, inside in groups.items():
        for name, found in each.items():
            unparsed = sum(len(d) - r for d, r, i in zip(found["draws"], found["readable"], inside) if i)
            rows.append(_mean(group, name, np.asarray(found["score"])[inside], clusters[inside], unparsed))
        if len(each) > 1:
            unparsed = int(np.isnan(table["score"].to_numpy(dtype=float)[inside]).sum())
            rows.append(_mean(group, "total", table["score"].to_numpy(dtype=float)[inside], clusters[inside], unparsed))
    return pd.DataFrame(rows)


def _mean(group: str, name: str, values: np.ndarray, clusters: np.ndarray, unparsed: int) -> dict:
    measure = "mean score" if name == "score" else f"mean of {name}"
    return summary_row(group, measure, bootstrap_mean(values, clusters=clusters), unparsed=unparsed)
