"""What asking an API takes: requests and tokens as the server reports them, and an estimate before anything is sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Usage:
    """What the server reported: answered requests, tokens, and under which model and system fingerprint.

    >>> Usage(requests=3, prompt_tokens=4000, completion_tokens=900).completion_tokens / 3
    300.0
    """

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
    """What a provider takes for a million tokens.

    >>> Prices(prompt=2.5, completion=10).completion
    10
    """

    prompt: float
    completion: float

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Return what these tokens cost.

        >>> Prices(prompt=2.5, completion=10).cost(1_000_000, 100_000)
        3.5
        """
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


@dataclass
class Budget:
    """What a run may cost at most: a request is begun only if the cap holds even when every answer is of full length.

    `cap` is in the currency of the prices. Characters per token are taken cautiously; a server that does not report its
    tokens is counted at the worst. Requests that failed are taken to be free.

    >>> budget = Budget(Prices(prompt=1.0, completion=2.0), cap=0.01)
    >>> usage = Usage(requests=1, prompt_tokens=4000, completion_tokens=1000)
    >>> budget.spent(usage), budget.allows(usage, under_way=0.003, more=0.002)
    (0.006, False)
    """

    prices: Prices
    cap: float
    characters_per_token: float = 3.0
    unreported: float = 0.0  # the worst that answers without reported tokens have cost

    def spent(self, usage: Usage) -> float:
        """Return what has been spent."""
        return self.prices.cost(usage.prompt_tokens, usage.completion_tokens) + self.unreported

    def worst(self, characters: int, answer_tokens: int) -> float:
        """Return what a request costs at most."""
        return self.prices.cost(characters / self.characters_per_token, answer_tokens)

    def allows(self, usage: Usage, under_way: float, more: float) -> bool:
        """Tell whether `more` can be spent, with what is spent and what the requests under way cost at most."""
        return self.spent(usage) + under_way + more <= self.cap


@dataclass(frozen=True)
class Estimate:
    """What a run would ask for; `cost` in the currency of the prices, None without them.

    >>> Estimate(1, 3, 4000, 1000, 900, cost=0.0028).answers
    3
    """

    requests: int
    answers: int
    prompt_characters: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
