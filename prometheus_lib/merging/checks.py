"""Whether model folders can be merged: read from headers, settings and tokenizers before anything is written."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import artifacts
from ..records import DataError, few
from .configuration import check_settings
from .layout import Layout, read_layout, same_weights
from .vocabulary import check_vocabularies, split_otherwise

FLOATS = ("F32", "BF16", "F16")
HEAD = "lm_head.weight"
FIRSTS = "the merge gets the first's."


@dataclass(frozen=True)
class Model:
    """A model folder as far as it can be known without reading weights."""

    folder: Path
    config: dict[str, Any]
    layout: Layout


# --- reading ---------------------------------------------------------------------------------------------------------


def read_model(folder: str | Path) -> Model:
    """Read settings and layout of a model folder; DataError when it is an adapter, incomplete or damaged."""
    folder = check_folder(folder)
    return Model(folder, artifacts.read_json(folder / "config.json"), read_layout(folder))


def check_folder(folder: str | Path) -> Path:
    """Raise DataError unless the folder holds a whole model: settings, weights and a tokenizer."""
    folder = Path(folder)
    if (folder / "adapter_config.json").is_file():
        beside = " beside a model, which transformers would read together" if (folder / "config.json").is_file() else ""
        raise DataError(
            f"{folder}: this is a LoRA adapter (adapter_config.json){beside}, not a whole model; fold it into its base "
            "model (PEFT's merge_and_unload) and save that with its tokenizer, or merge two adapters with "
            "merge_adapters."
        )
    return artifacts.check_model_folder(folder)


# --- comparing -------------------------------------------------------------------------------------------------------


def check_mergeable(first: str | Path, second: str | Path, base: str | Path | None = None) -> None:
    """Raise DataError unless the models can be merged tensor by tensor; warn where a merge would say nothing.

    `base` is None for methods that need none, and where it is the name of a model on the hub.

    >>> check_mergeable("no/direct", "no/pairwise")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    prometheus_lib.records.DataError: no/direct: this model folder lacks config.json and weights and a tokenizer; ...
    """
    experts = [read_model(first), read_model(second)]
    parents = experts + ([] if base is None else [read_model(base)])
    for model in parents:
        check_floats(model.folder, model.layout)
    for other in parents[1:]:
        check_vocabularies(parents[0].folder, other.folder)
        _check_head(parents[0], other)
        check_settings(parents[0].folder, other.folder, is_base=other is not experts[1])
        _check_tensors(parents[0], other)
    _check_types(*experts)
    _warn(*parents)


def check_floats(folder: str | Path, layout: Layout) -> None:
    """Raise DataError for tensors that are not plain numbers: quantised ones mean others than they hold.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> check_floats(EMBEDDED_BASE, read_layout(EMBEDDED_BASE))
    """
    odd = [f"{name} ({stored.dtype})" for name, stored in layout.items() if stored.dtype not in FLOATS]
    if odd:
        raise DataError(
            f"{folder}: {len(odd)} tensors are not plain floating point: {few(odd, 3)}; "
            f"merging needs {', '.join(FLOATS)}: load the model without quantisation and save it again."
        )


def _check_head(a: Model, b: Model) -> None:
    tied = [model.config.get("tie_word_embeddings", HEAD not in model.layout) for model in (a, b)]
    if tied[0] != tied[1]:
        with_head, without = (b, a) if tied[0] else (a, b)
        raise DataError(
            f"{with_head.folder} has an output head of its own ({HEAD}), {without.folder} shares it with the input "
            "embeddings (tie_word_embeddings in config.json); save both models the same way."
        )


def _check_tensors(a: Model, b: Model) -> None:
    for x, y in ((a, b), (b, a)):
        if lost := [f"{name} (in {x.layout[name].file.name})" for name in x.layout if name not in y.layout]:
            raise DataError(
                f"{y.folder} lacks {len(lost)} tensors that {x.folder} has: {few(lost, 3)}; save both models whole, "
                "with the same version of transformers."
            )
    shapes = {name: (stored.shape, b.layout[name].shape) for name, stored in a.layout.items()}
    odd = [f"{name} {ours} against {theirs}" for name, (ours, theirs) in shapes.items() if ours != theirs]
    if odd:
        files = " and ".join(str(model.layout[odd[0].split()[0]].file) for model in (a, b))
        raise DataError(f"{files}: {len(odd)} tensors differ in shape: {few(odd, 3)}; merge experts of one base model.")


def _check_types(a: Model, b: Model) -> None:
    odd = [f"{n} {s.dtype} against {b.layout[n].dtype}" for n, s in a.layout.items() if s.dtype != b.layout[n].dtype]
    if odd:
        raise DataError(
            f"{a.folder} and {b.folder}: {len(odd)} tensors are stored in different number formats: {few(odd, 3)}; "
            "one expert was rounded and the other not: save both in the same dtype."
        )


# --- warning ---------------------------------------------------------------------------------------------------------


def _warn(first: Model, second: Model, base: Model | None = None) -> None:
    if same_weights(first.layout, second.layout):
        _say(f"{first.folder} and {second.folder} are the same model; merging them gives it back.")
    for expert in (first, second) if base else ():
        if same_weights(expert.layout, base.layout):
            _say(f"{expert.folder} and the base {base.folder} are the same model: this expert changes nothing.")
    if base and "F32" in _types(base) and not _types(first) & {"F32"}:
        _say(f"{base.folder} is float32 and the experts are not: their changes contain their own rounding.")
    if len({_chat_template(model.folder) for model in (first, second)}) > 1:
        _say(f"{first.folder} and {second.folder} have different chat templates; {FIRSTS}")
    if text := split_otherwise(first.folder, second.folder):
        _say(f"{first.folder} and {second.folder} split texts into different tokens ({text[:40]!r}); {FIRSTS}")
    if len({_ends(model.folder) for model in (first, second)}) > 1:
        _say(f"{first.folder} and {second.folder} end answers differently (generation_config.json); {FIRSTS}")


def _say(message: str) -> None:
    warnings.warn(message, stacklevel=5)


def _types(model: Model) -> set[str]:
    return {stored.dtype for stored in model.layout.values()}


def _chat_template(folder: Path) -> Any:
    file, settings = folder / "chat_template.jinja", folder / "tokenizer_config.json"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    return json.dumps(artifacts.read_json(settings).get("chat_template")) if settings.is_file() else None


def _ends(folder: Path) -> str | None:
    file = folder / "generation_config.json"
    ends = artifacts.read_json(file).get("eos_token_id") if file.is_file() else None
    return json.dumps(ends if ends is None or isinstance(ends, list) else [ends])
