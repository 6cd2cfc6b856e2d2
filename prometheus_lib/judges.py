"""Judges: they read prompts, write feedback and a decision, and the decisions go to the judgment store.

Decoding is the paper's (Table 8). A judgment that cannot be parsed is recorded as such: no redraw, so first-draw
validity is what the tables report.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

from . import artifacts, parsing, prompts
from .parallel import Report
from .records import DataError, DirectItem, Judgment, PairItem
from .store import JudgmentStore, judgment_key

PARSERS = {"direct": parsing.parse_direct, "pairwise": parsing.parse_pairwise}
SWAPPED = {"A": "B", "B": "A"}


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
    """One prompt to judge `draws` times; `order` "ba" shows response B first."""

    benchmark: str
    item_id: str
    format: str
    with_reference: bool
    order: str
    draws: int
    prompt: str
    item: DirectItem | PairItem | None = field(default=None, compare=False, repr=False)


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
    """What `collect` needs of a judge; `batch_size` counts sequences generated together."""

    name: str
    fingerprint: str
    batch_size: int

    def generate(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> list[list[Completion]]: ...


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


def collect(judge: Judge, tasks: Sequence[Task], store: JudgmentStore, decoding: Decoding, report: Report) -> int:
    """Judge what the store does not hold yet, batch by batch; return the number of judgments added.

    Batches are cut from the full list of tasks and seeded by their prompts, so a run that was killed and started again
    ends with the same judgments as one that was not, and two equal models give equal judgments.
    """
    added = 0
    for batch in batches(tasks, judge.batch_size):
        keys = [task_keys(task, judge.fingerprint, decoding) for task in batch]
        known = sum(key in store.keys for task in keys for key in task)
        if known < sum(map(len, keys)):
            seed = int(artifacts.text_hash(decoding.seed, [task.prompt for task in batch]), 16) % 2**31
            texts = judge.generate(batch, decoding, seed)
            done = zip(batch, keys, texts, strict=True)
            added += store.append(j for task, key, draws in done for j in judgments(judge, task, key, draws))
        report(sum(map(len, keys)))
    return added


def batches(tasks: Sequence[Task], batch_size: int) -> list[list[Task]]:
    """Cut tasks into batches of one benchmark and format, sorted by prompt length, of at most `batch_size` sequences.

    A batch holds at least one task, and does not depend on what else a judge is asked.
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
    return task.benchmark, task.format, task.with_reference, task.order, task.draws, pair_side


def task_keys(task: Task, fingerprint: str, decoding: Decoding) -> list[str]:
    """Return the store keys of a task's draws."""
    settings = asdict(decoding)
    return [
        judgment_key(fingerprint, task.prompt, settings, task.format, task.order, draw) for draw in range(task.draws)
    ]


def judgments(judge: Judge, task: Task, keys: Sequence[str], completions: Sequence[Completion]) -> list[Judgment]:
    """Parse a task's completions into judgments; pairwise decisions are mapped back to the item's own A and B."""
    result = []
    for draw, (key, completion) in enumerate(zip(keys, completions, strict=True)):
        parsed = PARSERS[task.format](completion.text)
        decision = SWAPPED.get(parsed.decision, parsed.decision) if task.order == "ba" else parsed.decision
        status = "truncated" if parsed.status == "unparsed" and not completion.finished else parsed.status
        result.append(
            Judgment(
                judge.name, judge.fingerprint, task.benchmark, task.item_id, task.format, task.with_reference,
                task.order, draw, decision, parsed.feedback, status, 1, completion.tokens, key,
            )
        )  # fmt: skip
    return result


# --- engines ---------------------------------------------------------------------------------------------------------


def _transformers(job: JudgingJob) -> Judge:
    from .transformers_judge import TransformersJudge

    return TransformersJudge(job.name, job.folder, job.batch_size, job.bf16)


def _vllm(job: JudgingJob) -> Judge:
    from .vllm_judge import VLLMJudge

    return VLLMJudge(job.name, job.folder, job.batch_size, job.bf16)


_CLASSES = {"TransformersJudge": "transformers_judge", "VLLMJudge": "vllm_judge"}


def __getattr__(name: str) -> type:
    """Import a kind of judge when it is first asked for, so that reading judgments needs no engine."""
    if name not in _CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_CLASSES[name]}", __package__), name)


ENGINES: dict[str, Callable[[JudgingJob], Judge]] = {"transformers": _transformers, "vllm": _vllm}


@dataclass(frozen=True)
class JudgingJob:
    """Everything a worker needs to run one judge: the model folder, its tasks, where judgments go, and how."""

    name: str
    folder: str
    tasks: tuple[Task, ...]
    out: str
    decoding: Decoding
    engine: str = "transformers"
    batch_size: int = 192
    bf16: bool = False


def run_judge(job: JudgingJob, report: Report) -> int:
    """Collect one judge's judgments and return how many were added; a model is loaded only if something is missing."""
    store = JudgmentStore(job.out)
    fingerprint = artifacts.model_fingerprint(job.folder)
    if all(key in store.keys for task in job.tasks for key in task_keys(task, fingerprint, job.decoding)):
        report(sum(task.draws for task in job.tasks))
        return 0
    judge = ENGINES[job.engine](job)
    return collect(judge, job.tasks, store, job.decoding, report)
