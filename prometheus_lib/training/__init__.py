"""Training experts from one base model (paper, section 3.4)."""

from .experts import (
    IGNORED,
    LOG,
    ExpertJob,
    Lora,
    TrainingSettings,
    fine_tune,
    load_model,
    read_examples,
    read_log,
    rows_wanted,
    sft_config,
    tokenise,
    tokenise_to_disk,
    train_expert,
)

__all__ = [
    "ExpertJob",
    "IGNORED",
    "LOG",
    "Lora",
    "TrainingSettings",
    "fine_tune",
    "load_model",
    "read_examples",
    "read_log",
    "rows_wanted",
    "sft_config",
    "tokenise",
    "tokenise_to_disk",
    "train_expert",
]
