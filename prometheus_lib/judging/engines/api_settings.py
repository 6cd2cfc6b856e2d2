"""What an OpenAI-compatible server is, and what kinds of them understand: a table, no code paths."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ... import artifacts
from ...records import DataError
from ..tasks import Decoding

SENDABLE = ("temperature", "top_p", "n", "seed", "repetition_penalty")
NEUTRAL = {"temperature": 1.0, "top_p": 1.0, "repetition_penalty": 1.0}
TOKEN_LIMITS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True)
class APISettings:
    """A model behind a server, and what that server understands.

    `sends` names the decoding settings that are forwarded, out of temperature, top_p, n (all draws of an item in one
    request), seed and repetition_penalty; `token_limit` is the server's name for the longest answer, max_tokens or
    max_completion_tokens. `extra_body` holds further parameters, sent as they are. Without a `system_role` the system
    prompt opens the user's message, as in training. `continues` tells that the server can go on with an answer that was
    begun, and keep to a menu (vLLM). The key is read from the environment variable `key_variable` ("" for none).

    At most `requests_at_once` requests are open at a time, and at most `requests_per_minute` are begun, those that are
    sent again included (0: as many as there is room for).

    `revision` says which weights stand behind the name: a provider's label, or, for a server of your own,
    `artifacts.model_fingerprint(folder)`. Raises DataError for settings that name nothing.

    >>> replace(SERVERS["openai"], model="gpt-4-1106-preview").adapted(Decoding()).repetition_penalty
    1.0
    """

    model: str
    base_url: str = "https://api.openai.com/v1"
    key_variable: str = "OPENAI_API_KEY"
    revision: str = ""
    sends: tuple[str, ...] = ("temperature", "top_p", "n", "seed")
    token_limit: str = "max_tokens"
    system_role: bool = True
    continues: bool = False
    stop: tuple[str, ...] = ()
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    requests_at_once: int = 16
    attempts: int = 8
    requests_per_minute: float = 0.0
    timeout: float = 120.0

    def __post_init__(self) -> None:
        unknown = sorted(set(self.sends) - set(SENDABLE))
        if unknown or self.token_limit not in TOKEN_LIMITS:
            raise DataError(
                f"API settings for {self.model!r}: sends {list(self.sends)}, token_limit {self.token_limit!r}; choose "
                f"from {', '.join(SENDABLE)} and from {' or '.join(TOKEN_LIMITS)}."
            )
        if not self.base_url.startswith(("http://", "https://")):
            raise DataError(f"API settings for {self.model!r}: base_url must begin with http:// or https://.")
        if self.requests_at_once < 1 or self.attempts < 1 or self.requests_per_minute < 0:
            raise DataError(
                f"API settings for {self.model!r}: requests_at_once and attempts must be at least 1, and "
                "requests_per_minute at least 0 (no limit)."
            )

    @property
    def host(self) -> str:
        """Return the server's name without user, port and path."""
        return urlsplit(self.base_url).hostname or self.base_url

    @property
    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits for the model's name, what is sent with every request, and the revision.

        Without a declared revision the server's address stands for it. Nobody can see through an API whether the
        weights behind a name have changed, whether they are quantised, or what a provider adds to a prompt: a dated
        model name or a declared revision is a promise, not a proof. What servers say about themselves is in
        `Usage.served`.
        """
        fixed = self.system_role, self.stop, dict(self.extra_body)
        return artifacts.text_hash("api", self.model, self.revision or self.base_url.rstrip("/"), *fixed)

    def adapted(self, decoding: Decoding) -> Decoding:
        """Return the decoding with 1.0 for what this server does not take, so that no judgment claims otherwise."""
        return replace(decoding, **{name: one for name, one in NEUTRAL.items() if name not in self.sends})


# What kinds of servers understand; fill in `model` with dataclasses.replace.
SERVERS = {
    "openai": APISettings("", token_limit="max_completion_tokens"),
    # Models that reason first choose their own temperature and reject ours.
    "openai-reasoning": APISettings("", sends=("n", "seed"), token_limit="max_completion_tokens"),
    # n must be 1 there, and a seed is ignored.
    "anthropic": APISettings(
        "", "https://api.anthropic.com/v1/", "ANTHROPIC_API_KEY", sends=("temperature", "top_p"), requests_at_once=4
    ),
    "vllm": APISettings(
        "", "http://localhost:8000/v1", "", sends=("temperature", "top_p", "n", "seed", "repetition_penalty"),
        continues=True, extra_body={"top_k": 0}, requests_at_once=128, timeout=600.0,
    ),
}  # fmt: skip


def load_settings(path: str | Path) -> APISettings:
    """Read settings from a JSON object: any fields of APISettings, on top of the kind of `server` named (SERVERS).

    Raises DataError for what cannot be read, for unknown names, and when no model is named.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "settings.json")
    ...     written = path.write_text('{"server": "vllm", "model": "my-model", "requests_at_once": 8}')
    ...     load_settings(path).requests_at_once
    8
    """
    path = Path(path)
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        server = row.pop("server", None)
        if server not in SERVERS:
            raise ValueError(f"the server is {server!r}")
        settings = replace(SERVERS[server], **{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        known = ", ".join(f.name for f in fields(APISettings))
        raise DataError(
            f"{path}: no API settings ({error}); write a JSON object with a server out of {', '.join(SERVERS)} and "
            f"fields out of {known}."
        ) from error
    if not settings.model:
        raise DataError(f"{path}: no model is named; add its name as the server knows it.")
    return settings


def read_key(settings: APISettings) -> str:
    """Return the key from the environment, "" where none is needed; DataError names the variable that is not set."""
    if settings.key_variable and not os.environ.get(settings.key_variable):
        raise DataError(
            f"the environment variable {settings.key_variable!r} is not set: put the key for {settings.host} there, or "
            "give another name in the settings' `key_variable` (an empty one for a server without keys)."
        )
    return os.environ.get(settings.key_variable, "")
