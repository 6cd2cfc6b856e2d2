"""Does a base model fit? Asked of its configuration, tokenizer and chat template in seconds, without its weights.

Both formats are rendered with the model's own chat template, as training and judging do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from .. import artifacts
from ..prompts import DIRECT_SYSTEM_PROMPT
from ..prompts.chat import chat_ids, render_chat
from ..records import DataError, few

FORMATS = ("direct", "pairwise")
WRITERS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")  # how classes of models that write end
WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")  # how transformers names them
NO_WEIGHTS = "there are no weights (model*.safetensors or pytorch_model*.bin)"
ADAPTER = "this is an adapter without its base; merge it into that (merge_and_unload) and save the result"
ANSWER = "An answer to look for."


@dataclass(frozen=True)
class Probe:
    """What a base model is like, and what of it does not fit (nothing: it can be trained and judge).

    >>> Probe("mine", {"context": 2048}, ()).fits
    True
    """

    base: str
    facts: dict[str, Any]
    problems: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Tell whether nothing stands against training and judging with this model."""
        return not self.problems

    def check(self) -> None:
        """Raise DataError with everything that does not fit."""
        if self.problems:
            raise DataError(f"{self.base}: " + " ".join(self.problems))


def probe(base: str, longest: int = 0, prompt: str = "Judge this response.") -> Probe:
    """Look at a base model (folder, hub id or id@revision); its weights are not read.

    `longest` is how many tokens a prompt and its answer may have together (0: not known). Raises DataError for
    what cannot be a judge at all: an encoder, a model without weights, behind a licence, or with code of its own.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> found = probe(str(EMBEDDED_BASE), longest=512)
    >>> found.fits, found.facts["architecture"], found.facts["context"], found.facts["begin tokens"]
    (True, 'MistralForCausalLM', 2048, 1)
    """
    config, tokenizer = _read(base)
    text = config.get_text_config()
    facts = {"architecture": architecture_of(base, config), "vocabulary": text.vocab_size}
    if lacking := _lacking(base):
        raise DataError(f"{base}: {lacking}; get the whole model.")
    facts["context"] = getattr(text, "max_position_embeddings", None)
    rendered = {format: render_chat(tokenizer, prompt, format) for format in FORMATS}
    ids = chat_ids(tokenizer, list(rendered.values()))
    facts |= _of_chat(tokenizer, rendered["direct"], ids[0], prompt)
    return Probe(base, facts, tuple(_problems(facts, tokenizer, text, ids, longest)))


def _read(base: str) -> tuple[Any, Any]:
    """Return configuration and tokenizer; DataError, with what to do, where a model cannot be had or be used."""
    from transformers import AutoConfig, AutoTokenizer

    name, revision = _named(base)
    try:
        config = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
        return config, AutoTokenizer.from_pretrained(name, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise DataError(f"{base}: {_advice(error)}") from error


def _named(base: str) -> tuple[str, str | None]:
    """Return a folder, or a model's name on the hub, and its revision."""
    if Path(base).is_dir():
        return base, None
    name, _, revision = base.partition("@")
    return name, revision or None


def _lacking(base: str) -> str:
    """Return what a model's weights lack, "" for nothing: all parts, in a folder each with a whole head."""
    folder = Path(base)
    if not folder.is_dir():
        return "" if _files(*_named(base)) else NO_WEIGHTS
    indexed = {part for index in folder.glob("*.index.json") for part in _parts(index)}
    if gone := sorted(part for part in indexed if not (folder / part).is_file()):
        return f"of its weights {few(gone)} is missing"
    files = [file for pattern in WEIGHTS for file in folder.glob(pattern) if file.is_file()]
    if not files:
        return ADAPTER if (folder / "adapter_config.json").is_file() else NO_WEIGHTS
    broken = [file.name for file in files if file.suffix == ".safetensors" and not _is_readable(file)]
    return f"{few(broken)} is damaged or not all there" if broken else ""


def _parts(index: Path) -> set[str]:
    return set(artifacts.read_json(index).get("weight_map", {}).values())


def _is_readable(file: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as opened:
            return bool(opened.keys())
    except (SafetensorError, OSError):
        return False


def _files(name: str, revision: str | None) -> list[str]:
    """Return the names of a hub model's weight files, as the hub lists them, or those on this machine."""
    from huggingface_hub import list_repo_files, snapshot_download

    try:
        files = list_repo_files(name, revision=revision)
    except Exception as error:  # the hub client raises many unrelated types
        try:
            files = os.listdir(snapshot_download(name, revision=revision, local_files_only=True))
        except Exception:
            raise DataError(f"{name}: {_advice(error)}") from error
    return [file for file in files for pattern in WEIGHTS if fnmatch(file, pattern)]


def _advice(error: Exception) -> str:
    """Say what to do about a model that transformers does not load."""
    text = str(error)
    if "gated" in text.lower() or "401" in text or "403" in text:
        return "this model is behind a licence; agree to it on its page on the hub and log in (`hf auth login`)."
    if "trust_remote_code" in text:
        return "this model brings code of its own, which is not run; choose one that transformers knows by itself."
    first = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    return f"configuration or tokenizer cannot be read ({first}); check the name, the folder and the network."


def architecture_of(base: str, config: Any) -> str:
    """Return the name of the model's class; DataError for one that does not write after a prompt.

    >>> from transformers import MistralConfig
    >>> architecture_of("owner/base", MistralConfig())
    'mistral'
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    named = list(config.architectures or [])
    writes = any(name.endswith(WRITERS) for name in named) if named else True
    if config.is_encoder_decoder or not writes or config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        kind = named[0] if named else config.model_type
        raise DataError(f"{base}: {kind} is no model that writes on after a prompt; choose a decoder (...ForCausalLM).")
    return named[0] if named else config.model_type


def _of_chat(tokenizer: Any, text: str, ids: list[int], prompt: str) -> dict[str, Any]:
    """Describe how the chat template writes: system role, begin and end tokens, pad."""
    chat = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": ANSWER}]
    try:
        turn = tokenizer.apply_chat_template(chat, tokenize=False)
    except Exception:  # a template may refuse whatever its author chose
        turn = ""
    between = text.partition(DIRECT_SYSTEM_PROMPT)[2].partition(prompt)[0]
    begin = tokenizer.bos_token_id
    return {
        "system role": bool(between.strip()),  # a mark stands between the system prompt and the user's text
        "begin tokens": ids.count(begin) if begin is not None else 0,
        "end token": tokenizer.eos_token,
        "turns end with": turn.partition(ANSWER)[2].strip() if ANSWER in turn else "",
        "pad token": tokenizer.pad_token or tokenizer.eos_token,
        "prints the date": any(mark in tokenizer.chat_template for mark in ("strftime_now", "date_string")),
    }


def _problems(facts: dict[str, Any], tokenizer: Any, text: Any, ids: list[list[int]], longest: int) -> Iterator[str]:
    """Yield one sentence, with what to do, for each thing that does not fit."""
    if tokenizer.eos_token is None:
        yield "The tokenizer names no end-of-sequence token, so answers would not end; set eos_token in its settings."
    context, needed = facts["context"], max([longest, *map(len, ids)])
    if context is not None and context < needed:
        yield (
            f"Its context of {context} tokens is shorter than the longest prompt with its answer ({needed} tokens); "
            "choose a model that reads more, or a smaller max_length."
        )
    highest = max(tokenizer.get_vocab().values(), default=0)
    if highest >= text.vocab_size:
        yield (
            f"Its tokenizer has ids up to {highest}, its embeddings only {text.vocab_size} rows; get the tokenizer "
            "that belongs to the weights, or resize the embeddings (resize_token_embeddings)."
        )
