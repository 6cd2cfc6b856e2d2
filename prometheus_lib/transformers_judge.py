"""A judge that runs in this process through transformers' generate, on a CPU or one GPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import artifacts
from .judges import Completion, Decoding, Task
from .records import DataError
from .training import check_one_bos, render_chat


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
