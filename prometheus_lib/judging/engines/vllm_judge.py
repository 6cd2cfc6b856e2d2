"""A judge that runs through vLLM, the engine of the 7b and 8x7b scales.

Answers are handed on as they are ready: no batch waits for its slowest answer, and a stop loses only what is under way.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ... import artifacts
from ...prompts.templates import PROMETHEUS, Template
from ...records import DataError
from ..answers import Completion
from ..formats import number_format
from ..judge import Found, Judge
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
    task_seeds,
    voice,
)

SETTINGS = "PROMETHEUS_VLLM_SETTINGS"
VERDICT = 16  # tokens of a verdict that is added to an answer
WEIGHTS_SHARE = 0.7  # of a GPU's memory: the rest holds what the prompts leave behind


def has_vllm() -> bool:
    """Tell whether vLLM is installed; any folder of that name on the path would be found, but has no origin."""
    found = importlib.util.find_spec("vllm")
    return found is not None and found.origin is not None


def engine_settings(given: dict[str, Any], cpu: bool) -> dict[str, Any]:
    """Return the settings for vLLM's `LLM`: those given, over those of the environment, over ours.

    What fits a machine (tensor_parallel_size, max_model_len, gpu_memory_utilization, ...) is said once, as a JSON
    object in the environment variable PROMETHEUS_VLLM_SETTINGS; DataError when it is none. On a CPU a prompt that is
    cut into chunks cannot be drawn with a seed of its own (vLLM fails with "CPU Generator does not use offset"), so
    chunks are off there; that costs nothing.
    """
    device = {"enable_chunked_prefill": False} if cpu else {}
    return {"enable_prefix_caching": True, **device, **_from_environment(), **given}


def _from_environment() -> dict[str, Any]:
    text = os.environ.get(SETTINGS) or "{}"
    try:
        settings = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{SETTINGS} is not JSON ({error.msg}): {text!r}.") from error
    if not isinstance(settings, dict):
        raise DataError(f'{SETTINGS} must be an object such as {{"max_model_len": 8192}}, not {text!r}.')
    return settings


def gpus_needed(weights: int, gpu: int, visible: int) -> int:
    """Return over how many GPUs (1, 2, 4, ...) a model's weights are spread, all sizes in bytes.

    DataError when the visible GPUs are too few.
    """
    count = 1
    while weights > count * WEIGHTS_SHARE * gpu:
        count *= 2
    if count > visible:
        raise DataError(
            f"the weights ({weights / 1e9:.0f} GB) need {count} GPUs of this size, and {visible} can be seen; "
            "judge a smaller model, or use a machine with more."
        )
    return count


def room_for(prompts: Sequence[int], new_tokens: int, context: int | None) -> int:
    """Return how many tokens an engine must hold: the longest prompt that fits, its answer, and a verdict behind it.

    `prompts` are the tokens of each; a model with no limit has the context None. Steps of 256, so that a few tokens
    more make no other engine.

    >>> room_for([900, 30_000], 100, 8192), room_for([8000, 300], 100, 8192), room_for([9000], 100, 8192)
    (1024, 8192, 8192)
    """
    fitting = [count for count in prompts if context is None or count + new_tokens <= context]
    if not fitting:
        return context
    wanted = -(-(max(fitting) + new_tokens + VERDICT) // 256) * 256
    return wanted if context is None else min(wanted, context)


def weight_bytes(model: str | Path, dtype: str) -> int:
    """Return the size of a model's weights, from its configuration alone (a folder or a name on the hub)."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        shape = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model))
    return sum(p.numel() for p in shape.parameters()) * getattr(torch, dtype).itemsize


class VLLMJudge(Judge):
    """A judge that runs through vLLM; all draws of an item are one request, and equal openings are computed once.

    Further settings go to the engine as they are (see `engine_settings`). Unless told otherwise, the weights lie on as
    few GPUs as hold them. For data parallelism run several processes, each with a share of the tasks
    (`python -m prometheus_lib.judging --share 0/4`), or Ray (`ray_judging`), or `vllm serve --data-parallel-size` with
    the API judge. It is asked and read by the template of its family; `chat` is used where its tokenizer holds no chat
    template.

    >>> from prometheus_lib import judging
    >>> judge = judging.VLLMJudge("mine", "path/to/a/model", max_model_len=8192)  # doctest: +SKIP
    """

    engine, writes, isolated = "vllm", True, True
    finishes, in_batches, stored_together = True, False, 32

    def __init__(
        self,
        name: str,
        folder: str | Path,
        batch_size: int = 4096,
        bf16: bool = True,
        template: Template = PROMETHEUS,
        chat: str | None = None,
        **engine: Any,
    ):
        try:
            from vllm import LLM
            from vllm.platforms import current_platform
        except ImportError as error:
            raise DataError(
                f"vLLM cannot be imported ({error}); install requirements-gpu.txt (on a CPU: make env-vllm)."
            ) from error

        self.name, self.batch_size = name, batch_size
        check_whole_model(folder)
        dtype, settings = number_format(bf16), engine_settings(engine, current_platform.is_cpu())
        fingerprint = artifacts.judge_fingerprint(folder, dtype, settings.get("quantization"))
        if "tensor_parallel_size" not in settings and not current_platform.is_cpu():
            gpu, visible = current_platform.get_device_total_memory(), current_platform.device_count()
            settings["tensor_parallel_size"] = gpus_needed(weight_bytes(folder, dtype), gpu, visible)
        self.llm = LLM(model=str(folder), dtype=dtype, **settings)
        self.tokenizer = self.llm.get_tokenizer()
        self.template, self.parsers = template, template.parsers
        self.fingerprint = voice(self.tokenizer, fingerprint, template, chat)
        self.begun = begun_thoughts(self.tokenizer, template)
        self._requests = 0

    @classmethod
    def identify(cls, source: str | Path, bf16: bool = False) -> tuple[str, ...]:
        """Return the fingerprint of a model judged with the environment's settings, without starting anything."""
        quantization = engine_settings({}, cpu=False).get("quantization")
        return (artifacts.judge_fingerprint(source, number_format(bf16), quantization),)

    @classmethod
    def fitted(cls, source: str | Path, tasks: Sequence[Task], decoding: Decoding) -> dict[str, Any]:
        """Return `max_model_len` for the longest prompt that the model can read, unless the environment gives one.

        The longest context that a model knows may not fit into a GPU's memory; what the prompts need does.
        """
        from transformers import AutoConfig, AutoTokenizer

        if "max_model_len" in _from_environment():
            return {}
        ids = prompt_ids(AutoTokenizer.from_pretrained(source), tasks)
        context = context_of(AutoConfig.from_pretrained(source))
        return {"max_model_len": room_for([len(row) for row in ids], decoding.max_new_tokens, context)}

    @classmethod
    def has_room(cls, source: str | Path, tasks: Sequence[Task], decoding: Decoding) -> bool:
        """Tell whether the environment's `max_model_len`, or else the model's context, holds one of these prompts."""
        from transformers import AutoConfig, AutoTokenizer

        room = _from_environment().get("max_model_len") or context_of(AutoConfig.from_pretrained(source))
        ids = prompt_ids(AutoTokenizer.from_pretrained(source), tasks)
        return len(longer(tasks, ids, None if room is None else room - decoding.max_new_tokens)) < len(tasks)

    def too_long(self, tasks: Sequence[Task], decoding: Decoding) -> list[Task]:
        """Return the tasks whose prompts do not fit into the context with an answer behind them."""
        return longer(tasks, prompt_ids(self.tokenizer, tasks, self.template), self._limit(decoding.max_new_tokens))

    def check(self, tasks: Sequence[Task], decoding: Decoding) -> None:
        """Raise DataError that names all items that do not fit, before anything is generated."""
        check_lengths(tasks, prompt_ids(self.tokenizer, tasks, self.template), self._limit(decoding.max_new_tokens))

    def generate(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> list[list[Completion]]:
        """Return every task's draws, in the order of the tasks."""
        return self.in_order(self.stream(tasks, decoding, seed), len(tasks))

    def stream(self, tasks: Sequence[Task], decoding: Decoding, seed: int) -> Iterator[Found]:
        """Yield answers as they become ready; what is left when the caller stops is called off."""
        ids = prompt_ids(self.tokenizer, tasks, self.template)
        check_lengths(tasks, ids, self._limit(decoding.max_new_tokens))
        settings = {
            "temperature": decoding.temperature, "top_p": decoding.top_p, "max_tokens": decoding.max_new_tokens,
            "repetition_penalty": decoding.repetition_penalty,
        }  # fmt: skip
        seeds = task_seeds(tasks, seed)
        params = [_sampling(n=task.draws, seed=own, **settings) for task, own in zip(tasks, seeds, strict=True)]
        for place, outputs in self._run(ids, params):
            yield [(place, [self._completion(output) for output in outputs])]

    def _completion(self, output: Any) -> Completion:
        return Completion(self.begun + output.text, len(output.token_ids), output.finish_reason == "stop")

    def finish(self, tasks: Sequence[Task], texts: Sequence[str], decoding: Decoding, seed: int) -> list[Completion]:
        """Add "[RESULT]" and a decision from the menu to each given feedback, drawn at the decoding's temperature."""
        menus = [MENUS[task.format] for task in tasks]
        rows = [
            candidate_ids(self.tokenizer, ids, text, menu, self._limit(1), self.begun)
            for ids, text, menu in zip(prompt_ids(self.tokenizer, tasks, self.template), texts, menus, strict=True)
        ]
        check_lengths(tasks, [ids for ids, _ in rows], self._limit(1))
        params = [
            _sampling(temperature=decoding.temperature, max_tokens=1, allowed_token_ids=candidates, seed=own)
            for (_, candidates), own in zip(rows, task_seeds(tasks, seed), strict=True)
        ]
        found = dict(self._run([ids for ids, _ in rows], params))
        chosen = [rows[place][1].index(found[place][0].token_ids[0]) for place in range(len(tasks))]
        return [
            Completion(finished_text(text, menu[place]), 1, True)
            for text, menu, place in zip(texts, menus, chosen, strict=True)
        ]

    def close(self) -> None:
        """Stop the engine and free its memory, so that another one can start in this process."""
        self.llm.llm_engine.engine_core.shutdown()

    def _limit(self, new_tokens: int) -> int:
        return self.llm.llm_engine.model_config.max_model_len - new_tokens

    def _run(self, ids: Sequence[list[int]], params: Sequence[Any]) -> Iterator[tuple[int, list[Any]]]:
        """Yield (place, vLLM's outputs) of each prompt when it is done."""
        engine = self.llm.llm_engine
        waiting: dict[str, int] = {}
        try:
            for place, (row, param) in enumerate(zip(ids, params, strict=True)):
                request, self._requests = f"judge-{self._requests}", self._requests + 1
                waiting[request] = place
                engine.add_request(request, {"prompt_token_ids": row}, param)
            while waiting:
                for output in engine.step():
                    if output.finished:
                        yield waiting.pop(output.request_id), output.outputs
        finally:
            engine.abort_request(list(waiting))


def _sampling(**settings: Any) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(**settings, output_kind=RequestOutputKind.FINAL_ONLY)
