"""Training experts from one base model (paper, section 3.4)."""

from .bases import converted, local_base
from .experts import (
    LOG,
    ExpertJob,
    fine_tune,
    load_model,
    read_examples,
    read_log,
    rows_wanted,
    tokenise,
    tokenise_to_disk,
    train_expert,
)
from .launching import LAUNCHERS, Launched, launch
from .loss import answer_loss
from .probing import Probe, probe
from .settings import EMBEDDED_BASE, Lora, TrainingSettings
from .trainers import IGNORED, sft_config

__all__ = [
    "EMBEDDED_BASE",
    "ExpertJob",
    "IGNORED",
    "LAUNCHERS",
    "LOG",
    "Launched",
    "Lora",
    "Probe",
    "TrainingSettings",
    "answer_loss",
    "converted",
    "fine_tune",
    "launch",
    "load_model",
    "local_base",
    "probe",
    "read_examples",
    "read_log",
    "rows_wanted",
    "sft_config",
    "tokenise",
    "tokenise_to_disk",
    "train_expert",
]
