"""Which GPUs the engines of a run have: each as few as hold its weights, and as many engines as there are GPUs for."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..parallel import DEVICES, visible_gpus
from ..records import DataError
from .engines import LOCAL_ENGINES, engine_named
from .engines.vllm_judge import SETTINGS, engine_settings, gpus_needed, weight_bytes
from .formats import number_format


def engine_devices(engine: str, model: str, bf16: bool) -> list[str]:
    """Return for each engine that runs at a time which GPUs it sees, as CUDA counts them; none without GPUs.

    An engine that cannot spread a model has one GPU. DataError where all GPUs together do not hold the weights.

    >>> engine_devices("trivial", "constant", bf16=False)
    []
    """
    found = visible_gpus() if engine in LOCAL_ENGINES else []
    if not found:
        return []
    each = 1
    if engine_named(engine).isolated:
        smallest = int(1e9 * min(memory for _, memory in found))
        weights = weight_bytes(model, number_format(bf16))
        asked = engine_settings({}, cpu=False).get("tensor_parallel_size")
        each = asked or gpus_needed(weights, smallest, len(found))
        if type(each) is not int or not 1 <= each <= len(found):
            raise DataError(
                f"{SETTINGS}: tensor_parallel_size is {each!r}, and {len(found)} GPUs can be seen; give a whole number "
                "of them, or leave it out."
            )
    return groups(_numbers(len(found)), each)


def _numbers(count: int) -> list[str]:
    """Return how CUDA counts the GPUs that it sees: some may be kept from this process."""
    named = os.environ.get(DEVICES)
    return [each.strip() for each in named.split(",")][:count] if named else [str(number) for number in range(count)]


def groups(numbers: Sequence[str], each: int) -> list[str]:
    """Put GPUs together, so many for each engine; what is left over stays idle.

    >>> groups(["0", "1", "2", "3", "4"], 2)
    ['0,1', '2,3']
    """
    return [",".join(numbers[start : start + each]) for start in range(0, len(numbers) - each + 1, each)]
