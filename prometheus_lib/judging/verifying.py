"""Whether a judge's file holds what was asked for, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..records import few, read_jsonl
from .store import COLUMNS, Place, place_of
from .tasks import MENUS, Decoding, Task, task_keys, task_places, task_question

VERIFIED_MENUS = {**MENUS, "pairwise": (*MENUS["pairwise"], "tie")}


def verify(
    path: str | Path,
    judge: str,
    tasks: Sequence[Task],
    decoding: Decoding,
    fingerprint: str,
    menus: Mapping[str, Sequence[str]] = VERIFIED_MENUS,
) -> list[str]:
    """Return what is wrong with a judge's file: one sentence per record that does not belong, and what is missing.

    A record belongs when its key follows from this model, this prompt and these settings, when it is there once, when
    its decision is on the menu exactly if its status is "ok", and, if a policy wrote it, when the first answer held no
    decision. `menus` are a judge's own (Auto-J rates from 1 to 10).

    >>> import tempfile
    >>> from prometheus_lib import judging
    >>> from prometheus_lib.data import minibench
    >>> tasks = judging.direct_tasks("mini_flask", minibench.build("mini_flask", 1, 0.1)[:3], True, draws=1)
    >>> judge = judging.TrivialJudge("constant")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = judging.JudgmentStore(f"{folder}/constant.jsonl")
    ...     added = judging.collect(judge, tasks[:2], store, Decoding())
    ...     found = verify(store.path, "constant", tasks, Decoding(), judge.fingerprint)
    >>> [text.rpartition(": ")[2] for text in found]
    ['1 judgments are missing']
    """
    asked = {task_question(task): task for task in tasks}
    rows = read_jsonl(path)
    failed = {place_of(row) for row in rows if "key" in row and row.get("status") != "ok"}
    seen: set[Place] = set()
    found = []
    for number, row in enumerate(rows, start=1):
        wrong = _incomplete(row) or _misplaced(row, judge, asked, decoding, fingerprint, menus)
        if not wrong and place_of(row) in seen:
            wrong = "a repetition"
        if not wrong and ":" in row["key"] and (row["key"].partition(":")[0], *place_of(row)[1:]) not in failed:
            wrong = f"the policy {row['policy']!r} repaired an answer that held a decision"
        if "key" in row:
            seen.add(place_of(row))
        if wrong:
            where = f"{row.get('benchmark')}/{row.get('item_id')}, draw {row.get('draw')}"
            found.append(f"{path}, line {number} ({where}): {wrong}")
    missing = sum(place not in seen for task in tasks for place in task_places(task, fingerprint, decoding))
    return [*found, f"{path}: {missing} judgments are missing"] if missing else found


def _incomplete(row: dict[str, Any]) -> str | None:
    missing = [name for name in COLUMNS if name not in row and name != "prompt_hash"]  # which older files lack
    return f"the fields {few(missing)} are missing" if missing else None


def _misplaced(
    row: dict[str, Any],
    judge: str,
    asked: dict[tuple, Task],
    decoding: Decoding,
    fingerprint: str,
    menus: Mapping[str, Sequence[str]],
) -> str | None:
    """Return why a record does not belong, or None."""
    task = asked.get((row["benchmark"], row["item_id"], row["format"], row["with_reference"], row["order"]))
    key, _, policy = row["key"].partition(":")
    if row["judge"] != judge:
        return f"a judgment of {row['judge']!r} in the file of {judge!r}"
    if row["fingerprint"] != fingerprint:
        return f"made by another model ({row['fingerprint']}, not {fingerprint})"
    if task is None or not 0 <= row["draw"] < task.draws:
        return "nobody asked for this item, format, order or draw"
    if key != task_keys(task, fingerprint, decoding)[row["draw"]]:
        return "made with another prompt or other decoding settings"
    if (policy or "once") != row["policy"]:
        return f"its key says {policy or 'once'!r} and its policy {row['policy']!r}"
    decided = str(row["decision"]) in menus[row["format"]]
    if decided != (row["status"] == "ok") or (row["decision"] is not None and not decided):
        return f"decision {row['decision']!r} does not go with status {row['status']!r}"
    return None
