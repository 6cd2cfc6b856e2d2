"""TRL's trainer, as each machine runs it best: our answer-only loss on CPUs, the stock one on GPUs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .checkpoints import KEPT
from .packing import IGNORED
from .processes import world
from .settings import TrainingSettings


def sft_config(settings: TrainingSettings, seed: int, folder: Path) -> Any:
    """Translate our settings into TRL's SFTConfig, for as many processes as train together.

    >>> settings = TrainingSettings(learning_rate=1e-5, batch_size=8, max_length=4096)
    >>> sft_config(settings, seed=42, folder=Path("expert")).max_length  # doctest: +SKIP
    4096
    """
    from trl import SFTConfig

    at_once, times = settings.shared_by(world())
    sharded = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"  # which recomputes activations itself
    unpadded = has_flash_attention(settings)
    return SFTConfig(
        output_dir=str(folder), learning_rate=settings.learning_rate, num_train_epochs=settings.epochs,
        per_device_train_batch_size=at_once, gradient_accumulation_steps=times,
        max_length=None if unpadded else settings.max_length, padding_free=unpadded, seed=seed, data_seed=seed,
        lr_scheduler_type=settings.schedule, warmup_steps=settings.warmup, weight_decay=settings.weight_decay,
        bf16=settings.autocast, use_cpu=settings.use_cpu,
        gradient_checkpointing=settings.gradient_checkpointing and not sharded,
        adam_beta2=settings.adam_beta2, logging_steps=10, logging_first_step=True, save_strategy="no",
        save_total_limit=KEPT, report_to="none",
        disable_tqdm=True, packing=False, dataloader_pin_memory=not settings.use_cpu,
        dataset_kwargs={"skip_prepare_dataset": True}, remove_unused_columns=not settings.share_prompts,
        router_aux_loss_coef=0.0,  # a mixture's router is frozen, and TRL would add the loss on GPUs only
    )  # fmt: skip


def has_flash_attention(settings: TrainingSettings) -> bool:
    """Tell whether rows can be trained on without padding between them: on a GPU, with FlashAttention installed.

    >>> has_flash_attention(TrainingSettings(1e-5, 8, 4096, use_cpu=True))
    False
    """
    if settings.use_cpu or not settings.bf16:
        return False
    from transformers.utils import is_flash_attn_2_available

    return is_flash_attn_2_available()


def trainer_class(settings: TrainingSettings) -> type:
    """Return TRL's SFTTrainer, on a CPU one that computes logits for the answer's positions only.

    They are the bulk of the cost on a CPU; on a GPU the stock trainer has a fused head of its own.

    >>> trainer_class(TrainingSettings(1e-5, 8, 4096)).__name__  # doctest: +SKIP
    'AnswerTrainer'
    """
    from torch.nn.functional import cross_entropy
    from trl import SFTTrainer

    if not (settings.use_cpu or settings.share_prompts):
        return SFTTrainer

    class AnswerTrainer(SFTTrainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            labels = inputs.pop("labels")
            outputs, logits, targets = answer_logits(model, inputs, labels)
            total = cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="sum")
            if num_items_in_batch is None:
                loss = total / (labels != IGNORED).sum()
            else:  # counted over all processes, whose gradients are averaged and not added
                loss = total / num_items_in_batch * self.accelerator.num_processes
            return (loss, outputs) if return_outputs else loss

    return AnswerTrainer


def answer_logits(model: Any, inputs: dict[str, Any], labels: Any) -> tuple[Any, Any, Any]:
    """Return the model's outputs, logits (positions, vocabulary) from the answers on, and the labels they predict."""
    sources = inputs.pop("sources", None)
    if sources is not None:  # a joined row
        outputs = model(**inputs, use_cache=False, logits_to_keep=sources)
        return outputs, outputs.logits[0], labels[labels != IGNORED]
    first = int((labels != IGNORED).int().argmax(dim=1).min())
    # The position before the first answer token predicts it; everything earlier needs no logits.
    outputs = model(**inputs, use_cache=False, logits_to_keep=labels.shape[1] - first + 1)
    return outputs, outputs.logits[:, :-1].flatten(0, 1), labels[:, first:].flatten()


def whole_state(trainer: Any) -> dict[str, Any] | None:
    """Return the weights of a model that processes share in parts (FSDP, ZeRO-3), None where each has all of it."""
    from accelerate.utils import DistributedType

    accelerator = trainer.accelerator
    if accelerator.distributed_type not in (DistributedType.FSDP, DistributedType.DEEPSPEED):
        return None
    return accelerator.get_state_dict(trainer.model_wrapped)
