"""What must be there before a run begins: an engine to judge with, a GPU to train on."""

from __future__ import annotations

import sys
from collections.abc import Collection

from ..judging.engines.vllm_judge import has_vllm
from ..records import DataError
from ..scale import Scale

TRAINS, JUDGES = "03", "05"  # the notebooks that need them


def check_ready(scale: Scale, notebooks: Collection[str]) -> None:
    """Raise DataError, with the command that helps, where this machine lacks what some of the notebooks need.

    `notebooks` are their numbers. It is called before anything is downloaded.

    >>> from prometheus_lib.scale import load_scale
    >>> check_ready(load_scale("mini"), ["03", "05"])
    """
    if JUDGES in notebooks and scale.engine == "vllm" and not has_vllm():
        raise DataError(
            f"scale {scale.name} judges with vLLM, which is not installed; do so first (nothing was downloaded yet): "
            f"{sys.executable} -m pip install -r requirements.txt -r requirements-gpu.txt"
        )
    if TRAINS in notebooks and not scale.training.use_cpu and not _has_gpu():
        raise DataError(
            f"scale {scale.name} trains on GPUs, and torch sees none here; what it takes, and on which GPUs it would "
            f"run: python -m prometheus_lib plan --scale {scale.name}"
        )


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
