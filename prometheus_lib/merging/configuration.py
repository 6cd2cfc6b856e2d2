"""Whether two models of equal shapes compute the same from equal weights: all their settings, less a few harmless ones.

Settings are read as transformers reads them, so that a value that one file spells out and the other leaves to the
default, or that an older version wrote under another name, is no difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import artifacts
from ..records import DataError, few

CONFIG = "config.json"
# What describes or stores a model, or acts in training only. A name below `text_config` and the like counts by its last
# part; names with an underscore in front, and of dropout, are harmless too.
HARMLESS = (
    *artifacts.DESCRIPTIONS, "auto_map", "chunk_size_feed_forward", "gradient_checkpointing", "id2label", "label2id",
    "initializer_range", "output_attentions", "output_hidden_states", "output_router_logits", "pad_token_id",
    "pretraining_tp", "problem_type", "return_dict", "router_aux_loss_coef", "router_jitter_noise", "torchscript",
)  # fmt: skip
ROTARY = "rope_parameters.rope_theta"
ROUNDED = "quantization_config"  # known to every architecture, and in no default
TOKENS = ("bos_token_id", "eos_token_id")  # how answers begin and end, of no account in a base


def check_settings(first: Path, second: Path, is_base: bool = False) -> None:
    """Raise DataError when two model folders compute differently from equal weights.

    Experts must also begin and end their answers with the same tokens; where the second folder `is_base`, it need not.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> check_settings(EMBEDDED_BASE, EMBEDDED_BASE)
    """
    ours, theirs = as_written(first), as_written(second)
    if ours == theirs:
        return
    if None not in (known := [as_transformers_reads(folder) for folder in (first, second)]):
        ours, theirs = known
    left_out = ("tie_word_embeddings", *(TOKENS if is_base else ()))  # the former is compared with the weights
    names = [n for n in dict.fromkeys(["model_type", *ours, *theirs]) if n.rpartition(".")[2] not in left_out]
    told = [f"{n} in {CONFIG} is {ours.get(n)!r} and {theirs.get(n)!r}" for n in names if ours.get(n) != theirs.get(n)]
    if told:
        raise DataError(
            f"{first} and {second}: {few(told, 3)}; only models that compute alike can be merged. Merge experts of one "
            "base model, or correct the file that is wrong."
        )


def as_written(folder: Path) -> dict[str, Any]:
    """Return a model folder's settings by dotted name, as its config.json gives them.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> as_written(EMBEDDED_BASE)["rope_parameters.rope_type"]
    'default'
    """
    return dict(_flat(artifacts.read_json(folder / CONFIG)))


def as_transformers_reads(folder: Path) -> dict[str, Any] | None:
    """Return a model folder's settings by dotted name, defaults included; None where transformers knows no such model.

    Settings that transformers' own code for this architecture does not know are left out.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        settings = dict(_flat(_known(config.to_dict(), type(config)().to_dict())))
    except Exception:  # somebody's own architecture, or one of another version: it is compared as it is written
        return None
    written = as_written(folder)
    if ROTARY in written and "rope_theta" in written:  # a file that says both: other programs read the latter
        settings[ROTARY] = written["rope_theta"]
    return settings


def _known(settings: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that have a default, in the parts of a model of several too, and what rounds its weights."""
    found = {name: value for name, value in settings.items() if name in defaults or name == ROUNDED}
    for name, value in found.items():
        if name.endswith("_config") and isinstance(value, dict) and isinstance(defaults[name], dict):
            found[name] = _known(value, defaults[name])
    return found


def _harmless(name: str) -> bool:
    return name in HARMLESS or name.startswith("_") or "dropout" in name or "pdrop" in name


def _flat(settings: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what counts by dotted name, in one spelling: a list of one token is that token, "type" is "rope_type"."""
    for name, value in settings.items():
        if value is None or _harmless(name) or (name == "type" and "rope_type" in settings):
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        elif name in TOKENS:
            yield f"{above}{name}", sorted(value) if isinstance(value, list) else [value]
        else:
            yield f"{above}{name}", json.loads(json.dumps(value, default=str))
