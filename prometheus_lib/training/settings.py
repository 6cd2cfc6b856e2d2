"""How an expert is trained: the values of Tables 9 and 10, and the base model that comes with the library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

EMBEDDED_BASE = Path(__file__).parent / "base_model_files"


@dataclass(frozen=True)
class Lora:
    """LoRA settings (Table 10). Dropout is applied to the attention projections only: PEFT allows none on experts.

    >>> Lora(rank=256, alpha=512, dropout=0.1, targets=("q_proj", "v_proj")).alpha
    512
    """

    rank: int
    alpha: int
    dropout: float
    targets: tuple[str, ...]


@dataclass(frozen=True)
class TrainingSettings:
    """What Tables 9 and 10 list, plus what they leave out; `batch_size` counts rows per optimiser step and device.

    >>> TrainingSettings(learning_rate=1e-5, batch_size=4, max_length=4096, bf16=True, use_cpu=False).epochs
    1.0
    """

    learning_rate: float
    batch_size: int
    max_length: int
    epochs: float = 1.0
    warmup: float = 0.1
    schedule: str = "cosine"
    bf16: bool = False
    gradient_checkpointing: bool = False
    use_cpu: bool = True
    weight_decay: float = 0.0
    adam_beta2: float = 0.999
    lora: Lora | None = None
