"""A judge that runs through vLLM, the engine of the 7b and 8x7b scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import artifacts
from .judges import Completion, Decoding, Task
from .transformers_judge import prompt_ids


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
