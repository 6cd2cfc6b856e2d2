"""How an expert is trained: the values of Tables 9 and 10, and the base model that comes with the library."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..parallel import processor_has_bfloat16
from ..records import DataError

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
    """What Tables 9 and 10 list, plus what they leave out.

    `batch_size` counts the rows of one optimiser step, over all devices. A device computes at most `rows_at_once` of
    them at a time (0: its whole share), and their gradients are added up. A checkpoint is written every
    `checkpoint_minutes`. With `share_prompts` all answers to one prompt are one row (`packing`), computed by itself.

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
    rows_at_once: int = 0
    checkpoint_minutes: float = 30.0
    four_bit: bool = False  # the frozen base under adapters (QLoRA)
    share_prompts: bool = False

    def deciding(self) -> dict[str, Any]:
        """Return what decides the weights, for stamps: not how the work is done, and later fields only where set.

        So experts that were trained before a field was added need not be trained again.

        >>> sorted(TrainingSettings(1e-5, 4, 4096, rows_at_once=1).deciding()) == sorted(STAMPED)
        True
        """
        plain = {field.name: field.default for field in fields(self)}
        return {
            name: value
            for name, value in asdict(self).items()
            if name in STAMPED or (name not in HOW and value != plain[name])
        }

    @property
    def autocast(self) -> bool:
        """Tell whether bfloat16 is asked for and this machine computes in it; elsewhere float32 is far faster.

        >>> TrainingSettings(1e-5, 4, 4096).autocast
        False
        """
        return self.bf16 and (not self.use_cpu or processor_has_bfloat16())

    def shared_by(self, devices: int) -> tuple[int, int]:
        """Return how many rows a device computes at once, and how often before each step; DataError if that is uneven.

        >>> settings = TrainingSettings(1e-5, 32, 4096, rows_at_once=2)
        >>> settings.shared_by(8), settings.shared_by(32)
        ((2, 2), (1, 1))
        """
        share = max(1, self.batch_size // devices)
        at_once = 1 if self.share_prompts else min(self.rows_at_once or share, share)
        if self.batch_size % (at_once * devices):
            raise DataError(
                f"a batch of {self.batch_size} rows cannot be cut into {at_once} at once on each of {devices} devices; "
                "choose a batch_size that is a multiple of both, or fewer rows_at_once."
            )
        return at_once, self.batch_size // (at_once * devices)


# Fields that stamps have always held, and fields that say how the work is done.
STAMPED = (
    "learning_rate", "batch_size", "max_length", "epochs", "warmup", "schedule", "bf16", "gradient_checkpointing",
    "use_cpu", "weight_decay", "adam_beta2", "lora",
)  # fmt: skip
HOW = ("rows_at_once", "checkpoint_minutes")
