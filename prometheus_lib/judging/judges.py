"""Judges: they read prompts, write feedback and a decision, and the decisions go to the judgment store.

Decoding is the paper's (Table 8). An answer that holds no decision is recorded as such, so first-draw validity is what
the tables report; what else may be done about it is a `Policy`, recorded beside it.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal, Protocol

from .. import artifacts, prompts
from ..parallel import Report, silent
from ..prompts.parsing import PARSERS, SWAPPED, Parsed
from ..prompts.templates import Template
from ..records import DataError, DirectItem, Judgment, PairItem, few, read_jsonl
from .store import COLUMNS, Asked, JudgmentStore, Place, Question, judgment_key, place_of

MENUS = {"direct": ("1", "2", "3", "4", "5"), "pairwise": ("A", "B")}
VERIFIED_MENUS = {**MENUS, "pairwise": (*MENUS["pairwise"], "tie")}


@dataclass(frozen=True)
class Decoding:
    """Sampling settings (Table 8); `seed` makes a run repeatable."""

    temperature: float = 1.0
    top_p: float = 0.9
    max_new_tokens: int = 1024
    repetition_penalty: float = 1.03
    seed: int = 42


@dataclass(frozen=True)
class Task:
    """One prompt to judge `draws` times; `order` "ba" shows response B first.

    `temperature` stands in for that of the decoding settings where one study needs another.
    """

    benchmark: str
    item_id: str
    format: str
    with_reference: bool
    order: str
    draws: int
    prompt: str
    item: DirectItem | PairItem | None = field(default=None, compare=False, repr=False)
    temperature: float | None = None

    def settings(self, decoding: Decoding) -> Decoding:
        """Return the decoding settings of this task in a run with `decoding`."""
        return decoding if self.temperature is None else replace(decoding, temperature=self.temperature)


@dataclass(frozen=True)
class Completion:
    """A generated text, its number of tokens, and whether it ended by itself.

    `decision` is set by judges that write no text (reward models, trivial judges); it is read instead of the text.
    """

    text: str
    tokens: int
    finished: bool
    decision: int | str | None = None


class Judge(Protocol):
    """What `collect` needs of a judge; `batch_size` counts sequences generated together.

    A judge may have more: `parsers` (how its texts are read; default PARSERS), `check(tasks, decoding)` (called before
    anything is generated), `finish(tasks, texts, decoding, seed)` (for the policy of that name), and `stream(tasks,
    decoding, seed)` in place of batches: it yields (place of the task, its completions) as they become ready, and
    `stream_chunk` of them (default STREAM_CHUNK) are written together. `close()` stops an engine or a connection.
    """

    name: str
    fingerprint: str
    batch_size: int

    def generate(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> list[list[Completion]]: ...


@dataclass(frozen=True)
class Policy:
    """What is done about an answer without a decision.

    `once`: nothing, it is recorded and counted. `redraw`: draw again, up to `limit` times; that conditions the sample
    on answers that happen to parse. `finish`: keep the feedback and let the judge write "[RESULT]" and a decision from
    the menu. The first answer is always kept, and with it first-draw validity.
    """

    name: Literal["once", "redraw", "finish"] = "once"
    limit: int = 5

    def __post_init__(self) -> None:
        if self.name not in ("once", "redraw", "finish"):
            raise DataError(f"unknown policy {self.name!r}; choose once, redraw or finish.")

    @property
    def label(self) -> str:
        """Return the name under which its judgments are stored."""
        return f"redraw-{self.limit}" if self.name == "redraw" else self.name


ONCE = Policy()


# --- tasks -----------------------------------------------------------------------------------------------------------


def direct_tasks(benchmark: str, items: Iterable[DirectItem], with_reference: bool, draws: int) -> list[Task]:
    """One direct assessment task per item."""
    return [
        Task(
            benchmark, item.id, "direct", with_reference, "ab", draws, prompts.render_direct(item, with_reference), item
        )
        for item in items
    ]


def pairwise_tasks(benchmark: str, items: Iterable[PairItem], order: str = "ab") -> list[Task]:
    """One reference-free pairwise task per item (paper, section 4)."""
    return [
        Task(benchmark, item.id, "pairwise", False, order, 1, prompts.render_pairwise(item, order=order), item)
        for item in items
    ]


def direct_for_pairs_tasks(benchmark: str, items: Iterable[PairItem], draws: int) -> list[Task]:
    """Two reference-free direct tasks per pair, "<id>#a" and "<id>#b" (Table 13's Direct2Pair)."""
    singles = [single for item in items for single in split_pair(item)]
    return direct_tasks(benchmark, singles, with_reference=False, draws=draws)


def tasks_for(
    template: Template,
    benchmark: str,
    items: Iterable[DirectItem | PairItem],
    format: str,
    *,
    with_reference: bool = False,
    order: str = "ab",
    draws: int = 1,
) -> list[Task]:
    """Return one task per item with the template's prompt; pairs asked for directly give two, "<id>#a" and "<id>#b".

    `with_reference` and `order` are the benchmark's setting and are recorded as such, also where a family's prompt
    shows no reference answer (Auto-J). DataError when the template does not know the format.
    """
    items = list(items)
    if format == "pairwise":
        plain = [replace(task, draws=draws) for task in pairwise_tasks(benchmark, items, order)]
    elif items and isinstance(items[0], PairItem):
        plain = direct_for_pairs_tasks(benchmark, items, draws)
    else:
        plain = direct_tasks(benchmark, items, with_reference, draws)
    return [replace(task, prompt=template.render(task.item, format, task.with_reference, task.order)) for task in plain]


def split_pair(item: PairItem) -> tuple[DirectItem, DirectItem]:
    """Return the two responses of a pair as direct items; DataError when the pair has no full rubric."""
    if item.rubric is None:
        raise DataError(f"pair {item.id!r} has no score rubric, so its responses cannot be assessed directly.")
    responses = {"a": item.response_a, "b": item.response_b}
    a, b = (
        DirectItem(f"{item.id}#{side}", item.instruction, text, item.reference_answer, item.rubric)
        for side, text in responses.items()
    )
    return a, b


# --- collecting ------------------------------------------------------------------------------------------------------


def collect(
    judge: Judge,
    tasks: Sequence[Task],
    store: JudgmentStore,
    decoding: Decoding,
    report: Report = silent,
    policy: Policy = ONCE,
) -> int:
    """Judge what the store does not hold yet; return the number of judgments added.

    Batches are cut from the full list of tasks and seeded by their prompts, so a run that was killed and started again
    ends with the same judgments as one that was not, and two equal models give equal judgments.

    Raises DataError when two tasks ask for the same item in the same way, and what the judge's own check raises.
    """
    tasks = list(tasks)
    _check_distinct(tasks)
    note_asked(judge.name, judge.fingerprint, tasks, store, decoding)
    missing = [task for task in tasks if not store.places.issuperset(task_places(task, judge.fingerprint, decoding))]
    report(sum(task.draws for task in tasks) - sum(task.draws for task in missing))
    if missing and hasattr(judge, "check"):
        judge.check(missing, decoding)
    if hasattr(judge, "stream"):
        added = _collect_stream(judge, missing, store, decoding, report)
    else:
        added = _collect_batches(judge, tasks, set(missing), store, decoding, report)
    return added + _repair(judge, tasks, store, decoding, policy)


def note_asked(judge: str, fingerprint: str, tasks: Sequence[Task], store: JudgmentStore, decoding: Decoding) -> None:
    """Tell the store what a judge is asked now, also when all of it has been answered before (see `reading`)."""
    asked: dict[Question, Asked] = {}
    for task in tasks:
        question = (judge, *task_question(task))
        if stored := store.answers.get(question):
            whole = replace(task, draws=max(task.draws, max(stored.values()) + 1))  # more may be stored than is asked
            keys = tuple(task_keys(whole, fingerprint, decoding))
            known = asked.get(question)
            asked[question] = Asked(fingerprint, prompt_hash(task.prompt), (*(known.keys if known else ()), *keys))
    store.ask(asked)


def task_question(task: Task) -> tuple[str, str, str, bool, str]:
    """Return what a judgment says about which item it judges, and how."""
    return task.benchmark, task.item_id, task.format, task.with_reference, task.order


def _check_distinct(tasks: Sequence[Task]) -> None:
    seen = Counter((*task_question(task), task.temperature) for task in tasks)
    if twice := [f"{place[0]}/{place[1]}" for place, count in seen.items() if count > 1]:
        raise DataError(f"{len(twice)} items are asked for more than once: {few(twice)}; give every item its own id.")


def _collect_batches(
    judge: Judge, tasks: Sequence[Task], missing: set[Task], store: JudgmentStore, decoding: Decoding, report: Report
) -> int:
    added = 0
    for batch in batches(tasks, judge.batch_size):
        needed = sum(task.draws for task in batch if task in missing)
        if needed:
            seed = _seed(decoding, [task.prompt for task in batch])
            found = judge.generate(batch, batch[0].settings(decoding), seed)
            added += _store(judge, batch, found, store, decoding)
            report(needed, sum(completion.tokens for draws in found for completion in draws))
    return added


STREAM_CHUNK = 32  # tasks whose judgments are written together


def _collect_stream(
    judge: Any, missing: Sequence[Task], store: JudgmentStore, decoding: Decoding, report: Report
) -> int:
    """Store answers as they arrive; shared openings of prompts are asked one after the other."""
    ordered = sorted(missing, key=lambda task: (_temperature(task), task.format, task.prompt))
    added = 0
    for _, group in groupby(ordered, _temperature):
        asked = list(group)
        # Closed at once when something stops the run: an API judge then sends nothing more.
        with closing(judge.stream(asked, asked[0].settings(decoding), _seed(decoding, []))) as arriving:
            while arrived := _store_next(judge, asked, arriving, store, decoding):
                added += arrived[0]
                report(*arrived[1:])
    return added


def _store_next(
    judge: Judge, asked: Sequence[Task], arriving: Iterator, store: JudgmentStore, decoding: Decoding
) -> tuple[int, int, int] | None:
    """Store the next few answers; return judgments added, judgments seen and tokens, or None at the end."""
    done: list[tuple[int, list[Completion]]] = []
    added = 0
    try:
        done.extend(islice(arriving, getattr(judge, "stream_chunk", STREAM_CHUNK)))
    finally:  # whatever stops the judge, what has arrived is kept
        added = _store(judge, [asked[place] for place, _ in done], [draws for _, draws in done], store, decoding)
    completions = [completion for _, draws in done for completion in draws]
    return (added, len(completions), sum(c.tokens for c in completions)) if done else None


def _store(
    judge: Judge, batch: Sequence[Task], found: Sequence[list[Completion]], store: JudgmentStore, decoding: Decoding
) -> int:
    rows = []
    for task, draws in zip(batch, found, strict=True):
        rows += judgments(judge, task, task_keys(task, judge.fingerprint, decoding), draws)
    return store.append(rows)


def _seed(decoding: Decoding, parts: Sequence[Any]) -> int:
    return int(artifacts.text_hash(decoding.seed, parts), 16) % 2**31


@dataclass(frozen=True)
class _Failure:
    """An answer without a decision: its task, draw, key and text."""

    task: Task
    draw: int
    key: str
    text: str


def _repair(judge: Judge, tasks: Sequence[Task], store: JudgmentStore, decoding: Decoding, policy: Policy) -> int:
    """Do what the policy says about answers without a decision; the first answers stay as they are."""
    if policy.name == "once":
        return 0
    own_form = getattr(judge, "parsers", PARSERS) is not PARSERS
    if policy.name == "finish" and (own_form or not hasattr(judge, "finish")):
        raise DataError(f"judge {judge.name!r} cannot finish a given feedback; choose the policy once or redraw.")
    failures = [
        _Failure(replace(task, draws=1), draw, place[0], store.failed[place])
        for task in tasks
        for draw, place in enumerate(task_places(task, judge.fingerprint, decoding))
        if place in store.failed and _repair_place(place, policy) not in store.places
    ]
    failures.sort(key=lambda failure: (_kind(failure.task), len(failure.task.prompt), failure.key))
    repair = _redraw if policy.name == "redraw" else _finish
    added = 0
    for _, alike in groupby(failures, lambda failure: _kind(failure.task)):
        group = list(alike)
        for start in range(0, len(group), judge.batch_size):
            added += store.append(repair(judge, group[start : start + judge.batch_size], decoding, policy))
    return added


def _repair_place(place: Place, policy: Policy) -> Place:
    return f"{place[0]}:{policy.label}", *place[1:]


def _redraw(judge: Judge, failures: list[_Failure], decoding: Decoding, policy: Policy) -> list[Judgment]:
    """Draw again until an answer holds a decision, `policy.limit` times at most."""
    result: dict[int, Judgment] = {}
    for attempt in range(1, policy.limit + 1):
        waiting = [n for n in range(len(failures)) if n not in result or result[n].status != "ok"]
        if not waiting:
            break
        seed = _seed(decoding, [attempt, *[failures[n].key for n in waiting]])
        again = [failures[n].task for n in waiting]
        found = judge.generate(again, again[0].settings(decoding), seed)
        for n, (completion,) in zip(waiting, found, strict=True):
            tokens = completion.tokens + (result[n].tokens if n in result else 0)
            result[n] = _repaired(judge, failures[n], completion, policy, attempt, tokens)
    return list(result.values())


def _finish(judge: Any, failures: list[_Failure], decoding: Decoding, policy: Policy) -> list[Judgment]:
    """Let the judge add a decision from the menu to the feedback it gave."""
    seed = _seed(decoding, [failure.key for failure in failures])
    texts = [failure.text for failure in failures]
    tasks = [failure.task for failure in failures]
    found = judge.finish(tasks, texts, tasks[0].settings(decoding), seed)
    return [_repaired(judge, f, c, policy, 1, c.tokens) for f, c in zip(failures, found, strict=True)]


def _repaired(
    judge: Judge, failure: _Failure, completion: Completion, policy: Policy, attempts: int, tokens: int
) -> Judgment:
    key = f"{failure.key}:{policy.label}"
    row = judgments(judge, failure.task, [key], [completion])[0]
    return replace(row, draw=failure.draw, policy=policy.label, attempts=attempts, tokens=tokens)


def batches(tasks: Sequence[Task], batch_size: int) -> list[list[Task]]:
    """Cut tasks into batches of one benchmark and format, sorted by prompt length, of at most `batch_size` sequences.

    A batch holds at least one task, and does not depend on what else a judge is asked. Prompts of similar length waste
    little padding.
    """
    ordered = sorted(tasks, key=lambda task: (*_kind(task), len(task.prompt), task.item_id))
    result: list[list[Task]] = []
    for task in ordered:
        full = not result or (len(result[-1]) + 1) * task.draws > batch_size
        if full or _kind(result[-1][0]) != _kind(task):
            result.append([])
        result[-1].append(task)
    return result


def _kind(task: Task) -> tuple:
    pair_side = "#" in task.item_id
    return task.benchmark, task.format, task.with_reference, task.order, task.draws, pair_side, _temperature(task)


def _temperature(task: Task) -> float:
    return -1.0 if task.temperature is None else task.temperature


def task_keys(task: Task, fingerprint: str, decoding: Decoding) -> list[str]:
    """Return the store keys of a task's draws."""
    settings = asdict(task.settings(decoding))
    return [
        judgment_key(fingerprint, task.prompt, settings, task.format, task.order, draw) for draw in range(task.draws)
    ]


def prompt_hash(prompt: str) -> str:
    """Return 8 hexadecimal digits that tell the prompts about one item apart."""
    return artifacts.text_hash(prompt)[:8]


def task_places(task: Task, fingerprint: str, decoding: Decoding) -> list[Place]:
    """Return where a task's draws stand in the store."""
    return [(key, task.benchmark, task.item_id) for key in task_keys(task, fingerprint, decoding)]


def judgments(judge: Judge, task: Task, keys: Sequence[str], completions: Sequence[Completion]) -> list[Judgment]:
    """Parse a task's completions into judgments; pairwise decisions are mapped back to the item's own A and B.

    An answer without a decision keeps its whole text.
    """
    parse = getattr(judge, "parsers", PARSERS)[task.format]
    result = []
    for draw, (key, completion) in enumerate(zip(keys, completions, strict=True)):
        if completion.decision is None:
            parsed = parse(completion.text)
        else:
            parsed = Parsed(completion.decision, completion.text, "ok")
        decision = SWAPPED.get(parsed.decision, parsed.decision) if task.order == "ba" else parsed.decision
        failed = parsed.status == "unparsed"
        status = "truncated" if failed and not completion.finished else parsed.status
        feedback = completion.text if failed else parsed.feedback
        result.append(
            Judgment(
                judge.name, judge.fingerprint, task.benchmark, task.item_id, task.format, task.with_reference,
                task.order, draw, decision, feedback, status, 1, completion.tokens, key,
                prompt_hash=prompt_hash(task.prompt),
            )
        )  # fmt: skip
    return result


# --- engines ---------------------------------------------------------------------------------------------------------


def _transformers(job: JudgingJob) -> Judge:
    from .engines.transformers_judge import TransformersJudge

    return TransformersJudge(job.name, job.folder, job.batch_size, job.bf16)


def _vllm(job: JudgingJob) -> Judge:
    from .engines.vllm_judge import VLLMJudge

    return VLLMJudge(job.name, job.folder, job.batch_size, job.bf16)


_CLASSES = {
    "TransformersJudge": "engines.transformers_judge", "VLLMJudge": "engines.vllm_judge", "APIJudge": "engines.api",
    "RewardModelJudge": "engines.reward", "PairRankerJudge": "engines.reward", "ReplayJudge": "engines.simple",
    "TrivialJudge": "engines.simple",
}  # fmt: skip


def __getattr__(name: str) -> type:
    """Import a kind of judge when it is first asked for, so that reading judgments needs no engine."""
    if name not in _CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_CLASSES[name]}", __package__), name)


def _api(job: JudgingJob) -> Judge:
    from .engines.api import APIJudge
    from .engines.api_settings import load_settings

    return APIJudge(job.name, load_settings(job.folder), job.batch_size)


ENGINES: dict[str, Callable[[JudgingJob], Judge]] = {"transformers": _transformers, "vllm": _vllm, "api": _api}


@dataclass(frozen=True)
class JudgingJob:
    """Everything a worker needs to run one judge: the model folder, its tasks, where judgments go, and how.

    For the engine "api", `folder` is the file of its settings (see `api_settings`).
    """

    name: str
    folder: str
    tasks: tuple[Task, ...]
    out: str
    decoding: Decoding
    engine: str = "transformers"
    batch_size: int = 192
    bf16: bool = False
    policy: Policy = ONCE


def run_judge(job: JudgingJob, report: Report = silent, start: Callable[[JudgingJob], Judge] | None = None) -> int:
    """Collect one judge's judgments and return how many were added; a model is loaded only if something is missing.

    `start` makes the judge (default: the job's engine); it is closed at the end.
    """
    store, fingerprint = JudgmentStore(job.out), job_fingerprint(job)
    if is_complete(job, fingerprint, store):
        note_asked(job.name, fingerprint, job.tasks, store, job.decoding)
        report(sum(task.draws for task in job.tasks))
        return 0
    judge = (start or ENGINES[job.engine])(job)
    try:
        return collect(judge, job.tasks, store, job.decoding, report, job.policy)
    finally:
        getattr(judge, "close", lambda: None)()


def job_fingerprint(job: JudgingJob) -> str:
    """Return the fingerprint of a job's judge, without starting it."""
    if job.engine == "api":
        from .engines.api_settings import load_settings

        return load_settings(job.folder).fingerprint
    if job.engine == "vllm":
        from .engines.vllm_judge import engine_settings

        return artifacts.judge_fingerprint(job.folder, job.bf16, engine_settings({}, cpu=False).get("quantization"))
    return artifacts.judge_fingerprint(job.folder, job.bf16)


def is_complete(job: JudgingJob, fingerprint: str, store: JudgmentStore) -> bool:
    """Tell whether the store holds all judgments of a job, and what its policy adds."""
    places = [place for task in job.tasks for place in task_places(task, fingerprint, job.decoding)]
    if job.policy.name != "once":
        places += [_repair_place(place, job.policy) for place in places if place in store.failed]
    return store.places.issuperset(places)


# --- verifying -------------------------------------------------------------------------------------------------------


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
