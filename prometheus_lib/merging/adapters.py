"""Merging two LoRA adapters of one base into one adapter, exactly and without touching the base's weights.

An adapter adds `s B A` to a weight (s is its scaling). The linear merge of two adapted models is the base plus
`a s1 B1 A1 + b s2 B2 A2`, which is again a product of two thin matrices: A1 stacked on A2, and B1 beside B2 with the
factors folded in. So the merge at any alpha is one adapter whose rank is the sum of both ranks, to be served beside
the base. PEFT's own `add_weighted_adapter` refuses adapters of fused experts (section 3.4's 8x7B models) and trained
copies of whole modules; both are handled here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import artifacts
from ..records import DataError, write_text_atomic
from .finite import PARENT, TOO_LARGE, check_tensors
from .spec import Merge

if TYPE_CHECKING:
    from torch import Tensor

FILES = CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
METHODS = ("linear", "task-arithmetic")
# Settings under which a change is not s B A alone, with the values that are harmless.
PLAIN = {
    "peft_type": ("LORA",), "bias": ("none",), "use_dora": (False,), "lora_bias": (False,), "use_qalora": (False,),
    "use_bdlora": (None, False), "trainable_token_indices": (None,), "layer_replication": (None,),
    "init_lora_weights": (True, False, "gaussian"),
}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One adapted weight: `key` names it in PEFT's patterns; `experts` counts the matrices stacked in it."""

    key: str
    rank: int
    scaling: float
    experts: int


@dataclass(frozen=True)
class Adapter:
    """A saved adapter: its settings, its tensors by name, and its layers by the tensors' common prefix."""

    folder: Path
    config: dict[str, Any]
    tensors: dict[str, Tensor]
    layers: dict[str, Layer]


def merge_adapters(merge: Merge, first: str | Path, second: str | Path, out: str | Path) -> bool:
    """Merge two adapter folders into the adapter folder `out`; return False when it is current.

    Linear merging (equation 3) and task arithmetic (equation 5) at any weights; ranks, scalings (rank-stabilised too)
    and rank patterns may differ. Modules that were trained as a whole (`modules_to_save`) are averaged where the
    weights sum to 1. Raises DataError for other methods, other bases, other targets and other kinds of adapters.

    >>> merge_adapters(Merge("m", "linear", alpha=0.5), "no/direct", "no/pairwise", "out")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    prometheus_lib.records.DataError: no/direct/adapter_config.json: file not found; ...
    """
    first, second = Path(first), Path(second)
    if merge.method not in METHODS:
        raise DataError(
            f"merge {merge.name!r}: {merge.method} of two adapters is no adapter; merge the experts' whole weights, "
            f"or choose one of {list(METHODS)}."
        )
    inputs = [first, second, *map(base_of, (first, second))]
    artifacts.check_output(out, inputs)
    files = {f"{role} {name}": folder / name for role, folder in zip(("first", "second"), inputs) for name in FILES}
    stamp = artifacts.stamp_of(files, merge.settings())
    return artifacts.build_folder(out, stamp, lambda folder: _build(merge, first, second, folder), inputs)


def base_of(folder: str | Path) -> str:
    """Return the base model that an adapter names; DataError when a file of the adapter or the base is missing."""
    folder = Path(folder)
    for name in FILES:
        if not (folder / name).is_file():
            raise DataError(f"{folder / name}: file not found; give a folder that PEFT's save_pretrained wrote.")
    base = artifacts.read_json(folder / CONFIG).get("base_model_name_or_path")
    if not base:
        raise DataError(f"{folder / CONFIG}: base_model_name_or_path is empty; name the base there.")
    if not Path(base).is_dir() and not artifacts.may_be_on_hub(base):
        raise _no_base(folder, base, "no such folder")
    return base


def _no_base(folder: Path, base: str, why: str) -> DataError:
    return DataError(
        f"{folder / CONFIG}: the adapter's base model {base} is not to be had ({why}); "
        "write where it is now into base_model_name_or_path."
    )


def _build(merge: Merge, first: Path, second: Path, folder: Path) -> None:
    from safetensors.torch import save_file

    _check_same_base(first, second)
    adapters = load_adapter(first), load_adapter(second)
    _check_same_layers(*adapters)
    weights = _weights(merge)
    tensors = _merged_layers(adapters, weights) | _merged_modules(adapters, weights)
    check_tensors(tensors, f"merge {merge.name!r}", TOO_LARGE.format(dtype="float32"))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / WEIGHTS)
    write_text_atomic(folder / CONFIG, json.dumps(_merged_config(adapters), indent=2, sort_keys=True) + "\n")


def _weights(merge: Merge) -> tuple[float, float]:
    """Return what each adapter's change is multiplied by: linear merging divides by the sum of its weights."""
    total = sum(merge.weights)
    factor = 1 / total if merge.method == "linear" else merge.scaling
    return merge.weights[0] * factor, merge.weights[1] * factor


# --- reading ---------------------------------------------------------------------------------------------------------


def load_adapter(folder: str | Path) -> Adapter:
    """Read an adapter folder; its base is named in its configuration, and only the base's configuration is read.

    Raises DataError for adapters that change more than `s B A` and for tensors that no layer of the base explains.
    """
    folder, config = Path(folder), artifacts.read_json(Path(folder) / CONFIG)
    for name, harmless in PLAIN.items():
        if name in config and config[name] not in harmless:
            raise DataError(
                f"{folder / CONFIG}: {name} is {config[name]!r}, so the adapter is more than two thin matrices; "
                "merge the experts' whole weights instead."
            )
    adapter = Adapter(folder, config, _tensors(folder / WEIGHTS), _layers(folder))
    wanted = {f"{prefix}.lora_{side}.weight" for prefix in adapter.layers for side in "AB"}
    lora = {name for name in adapter.tensors if ".lora_" in name}
    if lora != wanted:
        raise DataError(
            f"{folder / WEIGHTS}: {sorted(lora ^ wanted)[:3]} do not fit {CONFIG} and the base it names; save it again."
        )
    return adapter


def _tensors(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(file)
    except SafetensorError as error:
        raise DataError(f"{file}: not a whole safetensors file ({error}); save the adapter again.") from error
    check_tensors(tensors, str(file), PARENT)
    return tensors


def _layers(folder: Path) -> dict[str, Layer]:
    """Let PEFT attach an empty adapter to an empty base, and read ranks and scalings off the layers it makes."""
    import torch
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer
    from transformers import AutoConfig, AutoModelForCausalLM

    settings, name = LoraConfig.from_pretrained(folder), base_of(folder)
    try:
        config = AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise _no_base(folder, name, str(error).partition("\n")[0]) from error
    with torch.device("meta"):
        model = get_peft_model(AutoModelForCausalLM.from_config(config), settings)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}
    return {name: _layer(name, module) for name, module in layers.items()}


def _layer(name: str, module: Any) -> Layer:
    key = name.removeprefix("base_model.model.").replace(".base_layer", "")
    parameter = getattr(module, "parameter_name", None)
    key = f"{key}.{parameter}" if parameter else key
    return Layer(key, module.r["default"], module.scaling["default"], getattr(module, "num_experts", 1))


# --- checks ----------------------------------------------------------------------------------------------------------


def _check_same_base(*folders: Path) -> None:
    bases = [base_of(folder) for folder in folders]
    if bases[0] != bases[1] and artifacts.model_fingerprint(bases[0]) != artifacts.model_fingerprint(bases[1]):
        raise DataError(f"{folders[0]} adapts {bases[0]}, but {folders[1]} adapts {bases[1]}; adapters need one base.")


def _check_same_layers(first: Adapter, second: Adapter) -> None:
    names = [set(adapter.tensors) for adapter in (first, second)]
    if names[0] == names[1]:
        return
    only = [sorted(names[0] - names[1])[:3], sorted(names[1] - names[0])[:3]]
    raise DataError(
        f"{first.folder} and {second.folder} adapt different modules: only the first has {only[0]}, only the second "
        f"{only[1]}; train both with the same targets."
    )


# --- merging ---------------------------------------------------------------------------------------------------------


def _merged_layers(adapters: tuple[Adapter, Adapter], weights: tuple[float, float]) -> dict[str, Tensor]:
    """Return the stacked A and B of every layer, (experts * rank, in) and (out, rank * experts), in float32."""
    import torch

    merged = {}
    for prefix in adapters[0].layers:
        parts_a, parts_b = [], []
        for adapter, weight in zip(adapters, weights, strict=True):
            layer = adapter.layers[prefix]
            a, b = (adapter.tensors[f"{prefix}.lora_{side}.weight"].float() for side in "AB")
            # PEFT lays fused experts out differently in A (expert by expert) and in B (rank by rank).
            parts_a.append(a.reshape(layer.experts, layer.rank, -1))
            parts_b.append(weight * layer.scaling * b.reshape(len(b), layer.rank, layer.experts))
        merged[f"{prefix}.lora_A.weight"] = torch.cat(parts_a, 1).flatten(0, 1)
        merged[f"{prefix}.lora_B.weight"] = torch.cat(parts_b, 1).flatten(1, 2)
    return merged


def _merged_modules(adapters: tuple[Adapter, Adapter], weights: tuple[float, float]) -> dict[str, Tensor]:
    """Return the weighted sum of modules that were trained as a whole: an average, or it would need the base."""
    names = [name for name in adapters[0].tensors if ".lora_" not in name]
    if names and abs(sum(weights) - 1) > 1e-9:
        raise DataError(
            f"{adapters[0].folder}: {names[:3]} were trained as a whole, and weights {weights} do not sum to 1; "
            "choose matched weights, or merge the experts' whole weights."
        )
    first, second = (adapter.tensors for adapter in adapters)
    return {name: weights[0] * first[name].float() + weights[1] * second[name].float() for name in names}


def _merged_config(adapters: tuple[Adapter, Adapter]) -> dict[str, Any]:
    """Return the first adapter's settings with the summed ranks; all scalings are 1, for B holds the factors."""
    ranks = {layer.key: layer.rank + adapters[1].layers[prefix].rank for prefix, layer in adapters[0].layers.items()}
    usual = max(set(ranks.values()), key=list(ranks.values()).count)
    unusual = {key.replace(".", r"\."): rank for key, rank in ranks.items() if rank != usual}
    changed = {"r": usual, "lora_alpha": usual, "rank_pattern": unusual, "alpha_pattern": unusual}
    return {**adapters[0].config, **changed, "use_rslora": False, "lora_dropout": 0.0, "inference_mode": True}
