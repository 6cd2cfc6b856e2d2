"""The engines behind judges, one file each, and the one place where they are entered by name.

Nothing here loads an engine's packages (torch, vllm, openai): each does so when a judge is made.
"""

from __future__ import annotations

from ...records import DataError
from ..judge import Judge
from .api import APIJudge
from .replay import ReplayJudge
from .reward import PairRankerJudge, RewardModelJudge
from .transformers_judge import TransformersJudge
from .trivial import TrivialJudge
from .vllm_judge import VLLMJudge

ENGINES: dict[str, type[Judge]] = {
    kind.engine: kind
    for kind in (
        TransformersJudge,
        VLLMJudge,
        APIJudge,
        RewardModelJudge,
        PairRankerJudge,
        ReplayJudge,
        TrivialJudge,
    )
}
# Engines that run a model folder that writes, on this machine.
LOCAL_ENGINES = tuple(name for name, kind in ENGINES.items() if kind.writes and kind is not APIJudge)


def engine_named(name: str) -> type[Judge]:
    """Return an engine's kind of judge; DataError lists the names there are.

    >>> engine_named("api").__name__, sorted(ENGINES)
    ('APIJudge', ['api', 'pair-ranker', 'replay', 'reward', 'transformers', 'trivial', 'vllm'])
    """
    if name not in ENGINES:
        raise DataError(f"unknown engine {name!r}; choose one of {', '.join(ENGINES)}.")
    return ENGINES[name]


__all__ = [
    "APIJudge",
    "ENGINES",
    "LOCAL_ENGINES",
    "PairRankerJudge",
    "ReplayJudge",
    "RewardModelJudge",
    "TransformersJudge",
    "TrivialJudge",
    "VLLMJudge",
    "engine_named",
]
