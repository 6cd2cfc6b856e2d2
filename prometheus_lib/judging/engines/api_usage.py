"""What asking an API takes: requests and tokens as the server reports them, and an estimate before anything is sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Usage:
    """What the server reported: answered requests, tokens, and under which model and system fingerprint."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    served: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, answer: Any) -> int:
        """Count one answer and return its completion tokens (0 where the server does not tell)."""
        usage = getattr(answer, "usage", None)
        tokens = getattr(usage, "completion_tokens", None) or 0
        self.requests += 1
        self.prompt_tokens += getattr(usage, "prompt_tokens", None) or 0
        self.completion_tokens += tokens
        self.served[str(answer.model), str(getattr(answer, "system_fingerprint", None) or "")] += 1
        return tokens


@dataclass(frozen=True)
class Prices:
    """What a provider takes for a million tokens."""

    prompt: float
    completion: float


@dataclass(frozen=True)
class Estimate:
    """What a run would ask for; `cost` in the currency of the prices, None without them."""

    requests: int
    answers: int
    prompt_characters: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
