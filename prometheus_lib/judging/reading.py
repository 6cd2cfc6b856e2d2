"""Reading judgments: those that answer given tasks, or those that answer what was asked last.

A judgment file is never rewritten. Where a judge was asked about the same items again, with another rubric, other
weights or other settings, the answers to both lie in its file, and no order of lines tells which are meant: asking the
first question again generates nothing. So collecting records what it asks (`<judge>.asked.json`, only where a file
holds answers of more than one kind), and what is read here never mixes answers of two kinds about one item.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ..records import DataError, few
from .judge import Judge
from .policy import Policy
from .store import QUESTION, Asked, JudgmentStore, Question, judgment_files, load_judgments, read_asked
from .tasks import Decoding, Task, prompt_hash, task_keys, task_places, task_question

_COLUMNS, _PLACE = list(QUESTION), ["key", "benchmark", "item_id"]
MODEL, PROMPT, SETTINGS = "by other model weights", "to another prompt", "with other decoding settings"
FURTHER = "in further draws"  # of the same question, when fewer are asked for than are there
UNTOLD = "to another prompt or with other decoding settings"  # in files that do not tell


def judgments_of(
    judge: Judge,
    tasks: Sequence[Task],
    where: str | Path | JudgmentStore,
    decoding: Decoding,
    policy: str | Policy | None = None,
) -> pd.DataFrame:
    """Return a judge's judgments of exactly these tasks, one row per task and draw, in the order of the tasks.

    where: the judge's file, a folder of judgment files, or a store. It takes what `collect` takes and finds what
    `collect` has stored: of these prompts, weights and settings, whatever else is in the file. Warns of judgments that
    are missing, and of others about the same items. Raises DataError when two tasks ask for one item in the same way:
    the answers to two prompts are two tables.

    >>> import tempfile
    >>> from prometheus_lib.judging import Decoding, TrivialJudge, collect, direct_tasks
    >>> from prometheus_lib.records import DirectItem, Rubric
    >>> rubric = Rubric("Is it right?", ("no", "hardly", "half", "mostly", "yes"))
    >>> items = [DirectItem(name, "2 + 2?", name, None, rubric) for name in ("10", "9")]
    >>> judge, tasks = TrivialJudge("constant"), direct_tasks("sums", items, with_reference=False, draws=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     added = collect(judge, tasks, JudgmentStore(f"{folder}/constant.jsonl"), Decoding())
    ...     judgments_of(judge, tasks, folder, Decoding())[["item_id", "draw", "decision"]].values.tolist()
    [['10', 0, 3], ['10', 1, 3], ['9', 0, 3], ['9', 1, 3]]
    """
    tasks = list(tasks)
    _check_one_prompt(tasks)
    found = _load(where.path if isinstance(where, JudgmentStore) else where, [judge.name], policy)
    judge.settle(set(found["fingerprint"]))
    places = [place for task in tasks for place in task_places(task, judge.fingerprint, decoding)]
    kept = pd.DataFrame(places, columns=_PLACE).merge(found, on=_PLACE)[list(found.columns)]
    if missing := len(places) - len(kept):
        warnings.warn(f"{judge.name}: {missing} of {len(places)} judgments are not there yet.", stacklevel=2)
    draws = max([0, *found["draw"] + 1])  # stored of any question
    asked = {(judge.name, *task_question(task)): _asked(judge, task, decoding, draws) for task in tasks}
    _warn_of_others(found[_is_in(found, _COLUMNS, asked) & ~_is_in(found, _PLACE, places)], asked)
    return kept


def _asked(judge: Judge, task: Task, decoding: Decoding, draws: int) -> Asked:
    """What answers a task, with the keys of so many draws."""
    keys = task_keys(replace(task, draws=draws), judge.fingerprint, decoding)
    return Asked(judge.fingerprint, prompt_hash(task.prompt), tuple(keys))


def _check_one_prompt(tasks: Sequence[Task]) -> None:
    seen = Counter(map(task_question, tasks))
    if twice := [f"{question[0]}/{question[1]}" for question, count in seen.items() if count > 1]:
        raise DataError(
            f"{len(twice)} items are asked for more than once: {few(twice)}; read the judgments of each rubric "
            "(prompt, temperature) by themselves, so that no table mixes them."
        )


def current_judgments(
    where: str | Path, judges: Sequence[str] | None = None, policy: str | Policy | None = None
) -> pd.DataFrame:
    """Return the judgments of a folder or file that answer what was asked last, one row per item, way and draw.

    Where a judge was asked again with another prompt, other weights or settings, its other answers are left out, and a
    warning says how many and why; answers still to come are not replaced by older ones. What earlier weights said
    about questions that were not asked again is left out too, so that no table shows two models under one name; where
    nothing says which weights are meant, as no question was asked of both, a warning names them. Raises DataError when
    there are answers of more than one kind about one item and nothing says which are meant.

    >>> import json, tempfile
    >>> row = dict.fromkeys(("feedback", "status", "order", "format"), "") | {"judge": "j", "benchmark": "b", "draw": 0}
    >>> row |= {"fingerprint": "f", "with_reference": True, "attempts": 1, "tokens": 9, "item_id": "1"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = Path(folder, "j.jsonl").write_text(json.dumps(row | {"decision": 5, "key": "k"}))
    ...     current_judgments(folder)["decision"].tolist()
    [5]
    """
    found, asked = _load(where, judges, policy), asked_last(where)
    told = _is_in(found, _COLUMNS, asked)
    meant = {(*question, key) for question, kind in asked.items() for key in kind.keys}
    current = ~told | _is_in(found, [*_COLUMNS, "key"], meant)
    _warn_of_others(found[~current], asked)
    check_one_kind(found[current])
    return _of_one_model(found[current], asked).reset_index(drop=True)


def _of_one_model(current: pd.DataFrame, asked: Mapping[Question, Asked]) -> pd.DataFrame:
    """The answers without those of weights that were not asked last, where a judge has answers of several."""
    last = {question[0]: kind.fingerprint for question, kind in asked.items()}
    stale = pd.Series(False, current.index)
    for name, part in current.groupby("judge", sort=False):
        if part["fingerprint"].nunique() < 2:
            continue
        counts = part.groupby("fingerprint", sort=False)["benchmark"].agg(["size", "unique"])
        told = "; ".join(f"{n:,} by {mark[:8]} ({few(list(where))})" for mark, n, where in counts.itertuples())
        if name in last:
            stale |= (current["judge"] == name) & (current["fingerprint"] != last[name])
        said = f"those of {last[name][:8]} were asked for last and are read" if name in last else "all are read"
        warnings.warn(
            f"judge {name!r} has answers of more than one model's weights: {told}; {said}. Collect the judgments again "
            "to ask these weights everything, or give other weights another name.",
            stacklevel=3,
        )
    return current[~stale]


def asked_last(where: str | Path) -> dict[Question, Asked]:
    """Return what was asked last of a folder's or file's judges, where they gave answers of more than one kind.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asked_last(folder)  # nothing was asked in two ways
    {}
    """
    files = [Path(where)] if Path(where).is_file() else judgment_files(where)
    return {question: kind for path in files for question, kind in read_asked(path).items()}


def check_one_kind(judgments: pd.DataFrame) -> None:
    """Raise DataError when a table would mix answers of different kinds about one item.

    >>> row = dict(judge="j", benchmark="b", item_id="1", format="direct", with_reference=True, order="ab", draw=0)
    >>> both = pd.DataFrame([row | {"fingerprint": weights, "prompt_hash": ""} for weights in "xy"])
    >>> check_one_kind(both)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    prometheus_lib.records.DataError: judge 'j': 1 items of b have answers of more than one kind (by other model ...
    """
    mixed = judgments.duplicated([*_COLUMNS, "draw"])
    for column in ("fingerprint", "prompt_hash"):
        known = judgments[judgments[column] != ""].drop_duplicates([*_COLUMNS, column])
        mixed |= pd.Series(known.duplicated(_COLUMNS), known.index).reindex(judgments.index, fill_value=False)
    if not mixed.any():
        return
    one = judgments[mixed].iloc[0]
    alike = judgments[mixed & (judgments["judge"] == one["judge"]) & (judgments["benchmark"] == one["benchmark"])]
    first = judgments[_is_in(judgments, _COLUMNS, [tuple(one[_COLUMNS])])].iloc[0]
    raise DataError(
        f"judge {one['judge']!r}: {alike['item_id'].nunique()} items of {one['benchmark']} have answers of more than "
        f"one kind ({_reason(first, Asked(one['fingerprint'], one['prompt_hash'], ()))}), for example "
        f"{one['item_id']!r}, and nothing says which are meant; read those of your tasks (judgments_of), or collect "
        "them again: what is stored is not generated twice."
    )


def _load(where: str | Path, judges: Sequence[str] | None, policy: str | Policy | None) -> pd.DataFrame:
    """Judgments as stored; a line that stands there twice counts once."""
    return load_judgments(where, judges, policy).drop_duplicates(["judge", *_PLACE], ignore_index=True)


def _is_in(rows: pd.DataFrame, columns: list[str], values: Iterable[tuple]) -> pd.Series:
    values = set(values)
    if not values:
        return pd.Series(False, rows.index)
    return pd.Series([each in values for each in rows[columns].itertuples(index=False, name=None)], rows.index)


def _warn_of_others(others: pd.DataFrame, meant: Mapping[Question, Asked]) -> None:
    """Say how many answers of other kinds are left out, by judge and by what is different about them."""
    counts: Counter[tuple[str, str]] = Counter()
    for question, (_, row) in zip(others[_COLUMNS].itertuples(index=False, name=None), others.iterrows()):
        counts[row["judge"], _reason(row, meant.get(question))] += 1
    if counts:
        texts = [f"{count} of {judge} {reason}" for (judge, reason), count in sorted(counts.items())]
        warnings.warn(f"judgments left out, because others were asked for: {'; '.join(texts)}.", stacklevel=3)


def _reason(row: Mapping[str, Any], meant: Asked | None) -> str:
    """What sets an answer apart from the one that is meant (or, where none is there yet, from the one asked for)."""
    if meant is None:
        return UNTOLD
    if row.get("key") in meant.keys:
        return FURTHER
    if row["fingerprint"] != meant.fingerprint:
        return MODEL
    if not (row["prompt_hash"] and meant.prompt_hash):
        return UNTOLD
    return SETTINGS if row["prompt_hash"] == meant.prompt_hash else PROMPT
