"""How large a model is and what training it takes in memory, from its configuration alone: no weights are read.

Full fine-tuning with AdamW in float32 takes 16 bytes per parameter (weights, gradients, two moments): 116 GB at 7B in
one process, 14.5 GB on each of eight cards that share them (FSDP2, ZeRO-3). Under LoRA only the adapters take as much,
and the frozen base two bytes per parameter. Activations come on top and are estimates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..records import DataError
from .bases import gguf_of, place_of
from .probing import architecture_of
from .settings import Lora, TrainingSettings

# Models whose configuration is what transformers takes by default for their kind: the hub need not be asked.
KNOWN = {"mistralai/Mistral-7B-Instruct-v0.2": "mistral", "mistralai/Mixtral-8x7B-Instruct-v0.1": "mixtral"}
GB = 1e9
TRAINED, FROZEN, PACKED = 16, 2, 0.55  # bytes per parameter: under AdamW, in bfloat16, in four bits with their scales
RESERVED = 2.0  # GB that the driver, its libraries and fragments of memory take on a card
HELD = 17  # hidden vectors that a layer holds for its gradients, without recomputing them
USABLE = 0.95  # of a card's memory


@dataclass(frozen=True)
class Shape:
    """Sizes of a model: `active` parameters compute a token, `cached` numbers are kept for each one read.

    >>> Shape("mine", 1000, 1000, 1000, 2, 8, 100, 64, None).parameters
    1000
    """

    name: str
    parameters: int
    active: int
    trained: int
    layers: int
    hidden: int
    vocabulary: int
    cached: int
    context: int | None


def config_of(base: str) -> Any:
    """Return a model's configuration, from its folder, GGUF file, package or the hub; DataError where there is none.

    >>> config_of("mistralai/Mistral-7B-Instruct-v0.2").num_hidden_layers
    32
    """
    from transformers import AutoConfig
    from transformers.utils import logging

    name, _, revision = base.partition("@")
    file = gguf_of(base)
    logging.set_verbosity_error()
    try:
        if file is not None:
            return _of_gguf(file)
        if name in KNOWN:
            return AutoConfig.for_model(KNOWN[name])
        if Path(base).is_dir():
            return AutoConfig.from_pretrained(base)
        return AutoConfig.from_pretrained(name, revision=revision or None)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise DataError(
            f"{base}: its configuration cannot be read ({type(error).__name__}); check the name, the folder and the "
            "network, and log in (`hf auth login`) for a model behind a licence."
        ) from error


def _of_gguf(file: Path) -> Any:
    """Return the configuration of a GGUF file, from the folder that it was converted to where there is one: sooner."""
    from transformers import AutoConfig

    folder = place_of(file) if file.is_file() else file
    if (folder / "config.json").is_file():
        return AutoConfig.from_pretrained(folder)
    return AutoConfig.from_pretrained(file.parent, gguf_file=file.name)


def shape_of(base: str, lora: Lora | None = None) -> Shape:
    """Return the sizes of a base model, built without memory on torch's meta device; DataError for an encoder.

    >>> from prometheus_lib.training import EMBEDDED_BASE
    >>> shape_of(str(EMBEDDED_BASE)).layers
    4
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = config_of(base)
    architecture_of(base, config)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    text = config.get_text_config()
    total = sum(value.numel() for value in model.parameters())
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return Shape(
        base, total, total - idle(model, text), _adapters(model, lora) if lora else total, text.num_hidden_layers,
        text.hidden_size, text.vocab_size, 2 * text.num_hidden_layers * heads * width,
        getattr(text, "max_position_embeddings", None),
    )  # fmt: skip


def idle(model: Any, text: Any) -> int:
    """Return the parameters of experts that one token does not pass (0 for a model that is no mixture).

    >>> from transformers import AutoModelForCausalLM
    >>> model = AutoModelForCausalLM.from_config(config_of("mistralai/Mixtral-8x7B-Instruct-v0.1"))  # doctest: +SKIP
    >>> idle(model, model.config)  # doctest: +SKIP
    33822867456
    """
    experts = getattr(text, "num_local_experts", None) or getattr(text, "num_experts", None)
    if not experts:
        return 0
    held = sum(value.numel() for name, value in model.named_parameters() if ".experts." in name)
    return held - held * text.num_experts_per_tok // experts


def _adapters(model: Any, lora: Lora) -> int:
    """Return the parameters of the adapters; PEFT doubles the rank where a mixture holds w1 and w3 as one tensor."""
    fused = {"gate_up_proj": ({"w1", "w3"}, 2), "down_proj": ({"w2"}, 1)}
    count = 0
    for name, value in model.named_parameters():
        parts = name.split(".")
        if parts[-1] == "weight" and parts[-2] in lora.targets:
            count += lora.rank * sum(value.shape)
        elif parts[-2] == "experts" and parts[-1] in fused and fused[parts[-1]][0] & set(lora.targets):
            experts, *sides = value.shape
            count += experts * fused[parts[-1]][1] * lora.rank * sum(sides)
    return count


# --- memory ----------------------------------------------------------------------------------------------------------


def state_memory(shape: Shape, lora: bool, devices: int = 1, packed: bool = False) -> float:
    """Return the GB of weights, gradients and AdamW's moments on each of so many devices that share them.

    >>> round(state_memory(Shape("7B", 7_241_732_096, 0, 7_241_732_096, 32, 4096, 32000, 0, None), False, 8), 1)
    14.5
    """
    frozen = shape.parameters * (PACKED if packed else FROZEN) if lora else 0
    return (TRAINED * shape.trained + frozen) / devices / GB


def activation_memory(shape: Shape, settings: TrainingSettings, devices: int = 1) -> float:
    """Return the GB that one forward and backward pass of a device's rows holds (estimated)."""
    tokens = settings.shared_by(devices)[0] * settings.max_length
    size = 2 if settings.bf16 else 4
    layers = 1 if settings.gradient_checkpointing else shape.layers
    held = tokens * shape.hidden * size * (HELD * layers + (shape.layers if settings.gradient_checkpointing else 0))
    logits = 3 * 4 * shape.vocabulary * min(tokens, 4096)  # of answers, in float32, with their gradients
    return (held + logits) / GB


def training_memory(shape: Shape, settings: TrainingSettings, devices: int = 1, packed: bool = False) -> float:
    """Return the GB that training takes on each device, all told; sharded where there are several.

    >>> settings = TrainingSettings(1e-5, 32, 4096, bf16=True, gradient_checkpointing=True, rows_at_once=1)
    >>> shape = Shape("7B", 7_241_732_096, 7_241_732_096, 7_241_732_096, 32, 4096, 32000, 65536, None)
    >>> training_memory(shape, settings) > 116
    True
    """
    reserved = 0.0 if settings.use_cpu else RESERVED
    held = state_memory(shape, bool(settings.lora), devices, packed)
    return held + activation_memory(shape, settings, devices) + reserved


def choose_launcher(shape: Shape, settings: TrainingSettings, memory: float, devices: int) -> tuple[int, str]:
    """Return how many of a machine's GPUs, each with so many GB, train together, and the launcher; "" if none fits.

    As many are used as the batch can be cut for. "qlora" wants `four_bit`, and no mixture of experts: bitsandbytes
    leaves the tensors in which transformers holds experts as they are.

    >>> settings = TrainingSettings(1e-5, 32, 4096, bf16=True, use_cpu=False, gradient_checkpointing=True)
    >>> shape = Shape("7B", 7_241_732_096, 7_241_732_096, 7_241_732_096, 32, 4096, 32000, 65536, None)
    >>> choose_launcher(shape, settings, 40, 8), choose_launcher(shape, settings, 24, 1)
    ((8, 'fsdp2'), (0, ''))
    """
    used = next((count for count in range(devices, 0, -1) if settings.batch_size % count == 0), 0)
    if not used:
        return 0, ""
    packed = ("qlora",) if settings.lora and shape.active == shape.parameters else ()
    several = ("lora", *packed) if settings.lora else ("fsdp2",)
    for launcher in ("single", *packed) if used == 1 else several:
        if training_memory(shape, settings, used, packed=launcher == "qlora") <= USABLE * memory:
            return used, launcher
    return 0, ""
