"""Judges: they read prompts, write feedback and a decision, and the decisions go to the judgment store.

Decoding is the paper's (Table 8). A judgment that cannot be parsed is recorded as such: no redraw, so first-draw
validity is what the tables report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from . import artifacts, parsing, prompts
from .parallel import Report
from .records import DataError, DirectItem, Judgment, PairItem
from .store import JudgmentStore, judgment_key
from .training import check_one_bos, render_chat

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


@dataclass(frozen=True)
class Completion:
    """A generated text, its number of tokens, and whether it ended by itself."""

    text: str
    tokens: int
    finished: bool


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
        Task(benchmark, item.id, "direct", with_reference, "ab", draws, prompts.render_direct(item, with_reference))
        for item in items
    ]


def pairwise_tasks(benchmark: str, items: Iterable[PairItem], order: str = "ab") -> list[Task]:
    """One reference-free pairwise task per item (paper, section 4)."""
    return [
        Task(benchmark, item.id, "pairwise", False, order, 1, prompts.render_pairwise(item, order=order))
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


def prompt_ids(tokenizer: Any, tasks: Sequence[Task], limit: int) -> list[list[int]]:
    """Tokenise prompts as in training; DataError names the items that leave no room below `limit` tokens."""
    texts = [render_chat(tokenizer, task.prompt, task.format) for task in tasks]
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    for row in ids:
        check_one_bos(tokenizer, row)
    long = [f"{task.benchmark}/{task.item_id} ({len(row)} tokens)" for task, row in zip(tasks, ids) if len(row) > limit]
    if long:
        raise DataError(f"{len(long)} prompts are longer than {limit} tokens: {', '.join(long[:5])}; leave them out.")
    return ids


class TransformersJudge:
    """A judge that runs in this process through transformers' generate, on a CPU or one GPU."""

    def __init__(self, name: str, folder: str | Path, batch_size: int = 192, bf16: bool = False):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self.name, self.batch_size = name, batch_size
        artifacts.check_base_model(folder)
        self.fingerprint = artifacts.model_fingerprint(folder)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if bf16 else torch.float32
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(self.device).eval()

    def generate(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> list[list[Completion]]:
        """Generate every task's draws; all tasks of one call have the same number of draws."""
        import torch

        draws = tasks[0].draws
        limit = self.model.config.max_position_embeddings - decoding.max_new_tokens
        padded = self.tokenizer.pad({"input_ids": prompt_ids(self.tokenizer, tasks, limit)}, return_tensors="pt")
        width = padded["input_ids"].shape[1]
        torch.manual_seed(seed)
        with torch.inference_mode():
            output = self.model.generate(
                **self._expanded(padded.to(self.device), draws), do_sample=decoding.temperature > 0,
                temperature=decoding.temperature or None, top_p=decoding.top_p, top_k=0,
                repetition_penalty=decoding.repetition_penalty, max_new_tokens=decoding.max_new_tokens,
                pad_token_id=self.tokenizer.pad_token_id, eos_token_id=self.tokenizer.eos_token_id,
            )  # fmt: skip
        completions = [self._completion(ids) for ids in output[:, width:].tolist()]
        return [completions[start : start + draws] for start in range(0, len(completions), draws)]

    def _expanded(self, padded: Any, draws: int) -> dict[str, Any]:
        """Return generate's inputs with every prompt `draws` times; each is computed once and its cache copied."""
        ids, mask = padded["input_ids"], padded["attention_mask"]
        if draws == 1:
            return {"input_ids": ids, "attention_mask": mask}
        from transformers import DynamicCache

        cache = DynamicCache(config=self.model.config)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        self.model(
            input_ids=ids[:, :-1], attention_mask=mask[:, :-1], position_ids=positions[:, :-1], past_key_values=cache,
            use_cache=True, logits_to_keep=1,
        )  # fmt: skip
        cache.batch_repeat_interleave(draws)
        repeated = {"input_ids": ids.repeat_interleave(draws, 0), "attention_mask": mask.repeat_interleave(draws, 0)}
        return {**repeated, "past_key_values": cache}

    def _completion(self, ids: list[int]) -> Completion:
        eos = self.tokenizer.eos_token_id
        finished = eos in ids
        ids = ids[: ids.index(eos)] if finished else ids
        return Completion(self.tokenizer.decode(ids, skip_special_tokens=True), len(ids) + finished, finished)


class VLLMJudge:
    """A judge that runs through vLLM: the engine of the 7b and 8x7b scales; all draws of an item in one request."""

    def __init__(self, name: str, folder: str | Path, batch_size: int = 4096, bf16: bool = True, **engine: Any):
        from vllm import LLM

        self.name, self.batch_size = name, batch_size
        self.fingerprint = artifacts.model_fingerprint(folder)
        engine = {"enable_prefix_caching": True, **engine}
        self.llm = LLM(model=str(folder), dtype="bfloat16" if bf16 else "float32", **engine)
        self.tokenizer = self.llm.get_tokenizer()

    def generate(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> list[list[Completion]]:
        """Generate every task's draws in one call of the engine."""
        from vllm import SamplingParams

        limit = self.llm.llm_engine.model_config.max_model_len - decoding.max_new_tokens
        ids = prompt_ids(self.tokenizer, tasks, limit)
        settings = {k: v for k, v in asdict(decoding).items() if k not in ("seed", "max_new_tokens")}
        params = [SamplingParams(n=t.draws, seed=seed, max_tokens=decoding.max_new_tokens, **settings) for t in tasks]
        outputs = self.llm.generate([{"prompt_token_ids": row} for row in ids], params, use_tqdm=False)
        return [
            [Completion(o.text, len(o.token_ids), o.finish_reason == "stop") for o in output.outputs]
            for output in outputs
        ]


ENGINES = {"transformers": TransformersJudge, "vllm": VLLMJudge}


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
    judge = ENGINES[job.engine](job.name, job.folder, job.batch_size, job.bf16)
    return collect(judge, job.tasks, store, job.decoding, report)
