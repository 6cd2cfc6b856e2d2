"""A judge that runs in this process through transformers' generate, on a CPU or one GPU."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import artifacts
from ...prompts.templates import PROMETHEUS, Template
from ..answers import Completion
from ..formats import best_device, number_format
from ..judge import Judge
from ..tasks import MENUS, Decoding, Task
from .writing import (
    begun_thoughts,
    candidate_ids,
    check_lengths,
    check_whole_model,
    context_of,
    finished_text,
    longer,
    prompt_ids,
    voice,
)


class TransformersJudge(Judge):
    """A judge that runs in this process through transformers' generate, on a CPU or one GPU.

    It is asked and read by the template of its family; `chat` is used where its tokenizer holds no chat template.

    >>> from prometheus_lib import judging
    >>> judge = judging.TransformersJudge("mine", "path/to/a/model")  # doctest: +SKIP
    """

    engine, writes, finishes = "transformers", True, True

    def __init__(
        self,
        name: str,
        folder: str | Path,
        batch_size: int = 192,
        bf16: bool = False,
        template: Template = PROMETHEUS,
        chat: str | None = None,
    ):
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
        self.name, self.batch_size = name, batch_size
        check_whole_model(folder)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.template, self.parsers = template, template.parsers
        format = number_format(bf16)
        self.fingerprint = voice(self.tokenizer, artifacts.judge_fingerprint(folder, format), template, chat)
        self.begun = begun_thoughts(self.tokenizer, template)
        self.device = best_device()
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, format)).to(self.device).eval()
        self.model.config.get_text_config().output_router_logits = False  # a mixture's, which padded batches break
        self.ends = ends_of_turn(self.tokenizer, self.model.generation_config)
        # The model's own defaults (beams, penalties, ...) have no say: Table 8 says how judges decode.
        self.model.generation_config = GenerationConfig(eos_token_id=self.ends or None, pad_token_id=[*self.ends, 0][0])

    def close(self) -> None:
        """Let go of the model, so that its memory, a GPU's too, is free for the next one."""
        import torch

        self.model = None
        if self.device == "cuda":
            torch.cuda.empty_cache()

    def _limit(self, new_tokens: int) -> int | None:
        context = context_of(self.model.config)
        return None if context is None else context - new_tokens

    def too_long(self, tasks: Sequence[Task], decoding: Decoding) -> list[Task]:
        """Return the tasks whose prompts do not fit into the context with an answer behind them."""
        return longer(tasks, prompt_ids(self.tokenizer, tasks, self.template), self._limit(decoding.max_new_tokens))

    def check(self, tasks: Sequence[Task], decoding: Decoding) -> None:
        """Raise DataError that names all items that do not fit, before anything is generated."""
        check_lengths(tasks, prompt_ids(self.tokenizer, tasks, self.template), self._limit(decoding.max_new_tokens))

    def finish(self, tasks: Sequence[Task], texts: Sequence[str], decoding: Decoding, seed: int) -> list[Completion]:
        """Add "[RESULT]" and a decision from the menu to each given feedback, drawn at the decoding's temperature."""
        import torch

        generator = torch.Generator().manual_seed(seed)
        chosen = [_draw(row, decoding.temperature, generator) for row in self._decisions(tasks, texts)]
        return [
            Completion(finished_text(text, MENUS[task.format][place]), 1, True)
            for task, text, place in zip(tasks, texts, chosen)
        ]

    def probabilities(self, tasks: Sequence[Task], texts: Sequence[str]) -> list[list[float]]:
        """Return how probable each decision of the menu is behind each given feedback, one row per task."""
        return [row.softmax(-1).tolist() for row in self._decisions(tasks, texts)]

    def _decisions(self, tasks: Sequence[Task], texts: Sequence[str]) -> list[Any]:
        """The logits of the menu's decisions behind each feedback, (decisions,) each."""
        import torch

        rows = [
            candidate_ids(self.tokenizer, ids, text, MENUS[task.format], self._limit(1), self.begun)
            for ids, task, text in zip(prompt_ids(self.tokenizer, tasks, self.template), tasks, texts, strict=True)
        ]
        ids, mask = self._padded([ids for ids, _ in rows])
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        with torch.inference_mode():
            output = self.model(input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=1)
        logits = output.logits[:, -1].float().cpu()
        return [row[candidates] for row, (_, candidates) in zip(logits, rows)]

    def generate(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> list[list[Completion]]:
        """Generate every task's draws; all tasks of one call have the same number of draws."""
        import torch

        draws = tasks[0].draws
        ids = prompt_ids(self.tokenizer, tasks, self.template)
        check_lengths(tasks, ids, self._limit(decoding.max_new_tokens))
        padded, mask = self._padded(ids)
        torch.manual_seed(seed)
        with torch.inference_mode(), self._inputs(padded, mask, draws) as inputs:
            output = self.model.generate(
                **inputs, **_sampling(decoding),
                repetition_penalty=decoding.repetition_penalty, max_new_tokens=decoding.max_new_tokens,
            )  # fmt: skip
        completions = [self._completion(ids) for ids in output[:, padded.shape[1] :].tolist()]
        return [completions[start : start + draws] for start in range(0, len(completions), draws)]

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        """Return ids and mask of shape (rows, longest), padded on the left with each row's own first token.

        The repetition penalty takes padding for text: a token that the prompt holds anyway changes nothing, where the
        usual one, the end of a turn, would become less likely in a row with padding than in one without.
        """
        import torch

        width = max(map(len, rows))
        ids = torch.tensor([[row[0]] * (width - len(row)) + list(row) for row in rows], device=self.device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=self.device)
        return ids, mask

    def _inputs(self, ids: Any, mask: Any, draws: int) -> AbstractContextManager[dict[str, Any]]:
        """Return generate's inputs with every prompt `draws` times; where the model allows, each is computed once."""
        from . import shared_prompt

        if shared_prompt.supports(self.model) and ids.shape[1] > 1:
            return shared_prompt.shared_prompts(self.model, ids, mask, draws)
        repeated = {"input_ids": ids.repeat_interleave(draws, 0), "attention_mask": mask.repeat_interleave(draws, 0)}
        return nullcontext(repeated)

    def _completion(self, ids: list[int]) -> Completion:
        end = next((place for place, token in enumerate(ids) if token in self.ends), len(ids))
        finished = end < len(ids)
        text = self.begun + self.tokenizer.decode(ids[:end], skip_special_tokens=True)
        return Completion(text, end + finished, finished)


def ends_of_turn(tokenizer: Any, config: Any) -> list[int]:
    """Return the tokens that end an answer: the tokenizer's, and those that the model names besides."""
    named = config.eos_token_id
    found = [tokenizer.eos_token_id, *(named if isinstance(named, list) else [named])]
    return list(dict.fromkeys(token for token in found if token is not None))


def _sampling(decoding: Decoding) -> dict[str, Any]:
    """Return generate's arguments for drawing, or for always taking the most likely token."""
    if decoding.temperature == 0:
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    drawn = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0}
    return {**drawn, "logits_processor": [_Nucleus(decoding.temperature, decoding.top_p)]}


NUCLEUS = 32  # most likely tokens that nearly always hold a trained judge's nucleus


@dataclass(frozen=True)
class _Nucleus:
    """Temperature, then the top-p filter, as generate wants them.

    generate runs processors of ours before its own, so the temperature must be here too. It looks at the signature in
    each step: that of a lambda would be slow.
    """

    temperature: float
    top_p: float

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        scores = scores if self.temperature == 1 else scores / self.temperature
        return scores if self.top_p >= 1 else keep_nucleus(scores, self.top_p)


def keep_nucleus(scores: Any, top_p: float) -> Any:
    """Set scores outside the nucleus to -inf: (sequences, vocabulary), as transformers' own top-p filter does.

    That one sorts the whole vocabulary, a fifth of all time on a CPU; here a row is sorted only when its NUCLEUS most
    likely tokens do not hold the mass.
    """
    from transformers import TopPLogitsWarper

    best = scores.topk(min(NUCLEUS, scores.shape[-1]), dim=-1).values
    mass = (best - scores.logsumexp(-1, keepdim=True)).exp().cumsum(-1)
    wide = mass[:, -1] < top_p
    kept = (mass < top_p).sum(-1, keepdim=True).clamp(max=best.shape[-1] - 1)
    filtered = scores.masked_fill(scores < best.gather(-1, kept), -float("inf"))
    if wide.any():
        filtered[wide] = TopPLogitsWarper(top_p)(None, scores[wide])
    return filtered


def _draw(logits: Any, temperature: float, generator: Any) -> int:
    """Draw a place from logits of shape (decisions,); temperature 0 takes the largest."""
    if temperature == 0:
        return int(logits.argmax())
    return int((logits / temperature).softmax(-1).multinomial(1, generator=generator))
