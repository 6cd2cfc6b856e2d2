"""The judges of Tables 3 and 4 as a table: names, models, templates and settings, from which `judge_for` makes a judge.

Everything that differs between families is a value here. Decoding is Table 8's for every model that the paper prompts
in its own words; Auto-J, UltraRM and PairRM follow their own releases (appendix B).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..prompts.templates import PROMETHEUS, Template, template_named
from ..records import DataError
from .engines import APIJudge, engine_named
from .engines.api_settings import SERVERS
from .judge import Judge
from .tasks import Decoding

# Llama 2's form of a conversation, for tokenizers that were released before chat templates were kept with them.
LLAMA_2_CHAT = (
    "{{ bos_token }}[INST] {% if messages[0]['role'] == 'system' %}"
    "<<SYS>>\n{{ messages[0]['content'] }}\n<</SYS>>\n\n{% endif %}{{ messages[-1]['content'] }} [/INST]"
)

TABLE_8 = Decoding()
TABLE_8_API = Decoding(repetition_penalty=1.0)  # these servers take no repetition penalty
GREEDY = Decoding(temperature=0.0, top_p=1.0, repetition_penalty=1.0)
NOTHING_WRITTEN = Decoding(temperature=0.0, top_p=1.0, max_new_tokens=0, repetition_penalty=1.0)


@dataclass(frozen=True)
class Family:
    """One judge of the paper: how it is called, what it is asked, and how it runs.

    `rows` are its names in Tables 3 and 4, `model` its hub id or API name, `engine` how it runs unless asked otherwise,
    `server` what kind of API it stands behind, `context` the tokens it can read, prompt and answer together.
    `system_role` tells whether it knows a system role behind an API; if not, the system prompt opens the user's turn,
    as `prompts.render_chat` finds out from a chat template. `chat` is the chat template to use where its tokenizer
    holds none.

    >>> FAMILIES["auto-j-13b"].rows, FAMILIES["auto-j-13b"].decoding.temperature
    (('AUTO-J (13B)',), 0.0)
    """

    name: str
    rows: tuple[str, ...]
    model: str
    context: int
    engine: str = "vllm"
    formats: tuple[str, ...] = ("direct", "pairwise")
    template: str = "prometheus"
    decoding: Decoding = TABLE_8
    system_role: bool = True
    chat: str | None = None
    server: str = "vllm"
    options: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


def _llama(size: str) -> Family:
    name = f"meta-llama/Llama-2-{size.lower()}-chat-hf"
    note = "Access is granted by Meta on the hub."
    return Family(f"llama-2-{size.lower()}-chat", (f"LLAMA2-CHAT {size}",), name, 4096, chat=LLAMA_2_CHAT, note=note)


def _first_prometheus(size: str) -> Family:
    return Family(
        f"prometheus-{size.lower()}", (f"PROMETHEUS-{size}",), f"prometheus-eval/prometheus-{size.lower()}-v1.0", 4096,
        formats=("direct",), chat=LLAMA_2_CHAT,
        note="The paper asks it as it asks Prometheus 2; template='prometheus-1' gives its own system message.",
    )  # fmt: skip


_MISTRAL = {"context": 32768, "system_role": False}
_API = {"engine": "api", "decoding": TABLE_8_API}
_OPENAI = {**_API, "server": "openai"}
_PAIRS = {"formats": ("pairwise",), "template": "", "decoding": NOTHING_WRITTEN}
FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        _llama("7B"),
        _llama("13B"),
        _llama("70B"),
        Family("mistral-7b-instruct", ("MISTRAL-INSTRUCT-7B",), "mistralai/Mistral-7B-Instruct-v0.2", **_MISTRAL),
        Family("mixtral-8x7b-instruct", ("MIXTRAL-INSTRUCT-8x7B",), "mistralai/Mixtral-8x7B-Instruct-v0.1", **_MISTRAL),
        _first_prometheus("7B"),
        _first_prometheus("13B"),
        Family(
            "pair-rm", ("PAIR RM (0.4B)",), "llm-blender/PairRM-hf", 2048, "pair-ranker", **_PAIRS,
            options={"shorten": True},
            note="Compares in both orders and cuts what is longer than it reads, as its release does.",
        ),
        Family("ultra-rm-13b", ("ULTRA RM (13B)",), "openbmb/UltraRM-13b", 4096, "reward", **_PAIRS),
        Family(
            "auto-j-13b", ("AUTO-J (13B)",), "GAIR/autoj-13b", 4096, template="auto-j", decoding=GREEDY,
            chat=LLAMA_2_CHAT,
            note="Greedy as in its release. Over three greedy runs Krippendorff's alpha would be 1; Table 14 prints "
            "less, so the paper's runs were sampled.",
        ),
        Family("prometheus-2-7b", ("PROMETHEUS-2-7B",), "prometheus-eval/prometheus-7b-v2.0", **_MISTRAL),
        Family("prometheus-2-8x7b", ("PROMETHEUS-2-8x7B",), "prometheus-eval/prometheus-8x7b-v2.0", **_MISTRAL),
        Family("gpt-3.5-turbo-0613", ("GPT-3.5-TURBO-0613",), "gpt-3.5-turbo-0613", 4096, **_OPENAI),
        Family("gpt-4-1106-preview", ("GPT-4-1106", "GPT-4-1106-PREVIEW"), "gpt-4-1106-preview", 128_000, **_OPENAI),
        Family("claude-3-opus", ("CLAUDE-3-OPUS",), "claude-3-opus-20240229", 200_000, **_API, server="anthropic"),
    )
}  # fmt: skip


def family_named(name: str) -> Family:
    """Return a family; DataError lists the names there are.

    >>> family_named("prometheus-2-7b").model
    'prometheus-eval/prometheus-7b-v2.0'
    """
    if name not in FAMILIES:
        raise DataError(f"unknown judge {name!r}; choose one of {', '.join(FAMILIES)}.")
    return FAMILIES[name]


def template_for(name: str, wording: str | Path | None = None) -> Template:
    """Return the template a family reads; `wording` names the file with Auto-J's (see `templates.auto_j`).

    Reward models and pair rankers read the items, not a prompt; their tasks carry the paper's.

    >>> template_for("mistral-7b-instruct").name
    'prometheus'
    """
    return template_named(family_named(name).template or PROMETHEUS.name, wording)


def judge_for(
    name: str,
    *,
    engine: str | None = None,
    model: str | Path | None = None,
    template: Template | None = None,
    wording: str | Path | None = None,
    **options: Any,
) -> Judge:
    """Make a family's judge; `options` go to its class, or to the API's settings.

    `engine` exchanges vllm, transformers and api for a family that writes; `model` takes a folder in place of the hub's
    model, `template` another template than the family's. DataError when the family cannot be had that way.

    >>> judge = judge_for("prometheus-2-7b", engine="api", base_url="http://localhost:8000/v1")  # `vllm serve`
    >>> judge.name, judge.settings.model
    ('prometheus-2-7b', 'prometheus-eval/prometheus-7b-v2.0')
    """
    family = family_named(name)
    engine = engine or family.engine
    kind, own = engine_named(engine), engine_named(family.engine)
    if kind is not own and not (kind.writes and own.writes):
        raise DataError(f"{name} runs as {family.engine!r} and not as {engine!r}.")
    options, model = {**family.options, **options}, model or family.model
    if not kind.writes:
        return kind(name, model, **options)
    template = template or template_for(name, wording)
    if kind is APIJudge:
        settings = {"model": str(model), "system_role": family.system_role, **options}
        return APIJudge(name, replace(SERVERS[family.server], **settings), template=template)
    return kind(name, model, template=template, chat=family.chat, **options)
