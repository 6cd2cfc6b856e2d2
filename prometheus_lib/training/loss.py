"""The loss of given answers: the quantity that training lowers, measured on rows that were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .packing import IGNORED
from .trainers import answer_logits


def answer_loss(model: Any, rows: Sequence[dict[str, list[int]]], batch_size: int = 10) -> float:
    """Return the mean cross-entropy (nats) over the answer tokens of all rows, `batch_size` rows at a time.

    `rows` are those of `tokenise`: `input_ids`, and `labels` that are -100 in the prompt.

    >>> nats = answer_loss(model, rows)  # doctest: +SKIP
    """
    import torch
    from torch.nn.functional import cross_entropy

    total, count = 0.0, 0
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            ids, labels = (_padded(batch, *each).to(model.device) for each in (("input_ids", 0), ("labels", IGNORED)))
            _, logits, targets = answer_logits(model, {"input_ids": ids}, labels)
            total += cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="sum").item()
            count += (labels != IGNORED).sum().item()
    return total / count


def _padded(rows: Sequence[dict[str, list[int]]], key: str, filler: int) -> Any:
    import torch

    width = max(len(row[key]) for row in rows)
    return torch.tensor([[*row[key], *[filler] * (width - len(row[key]))] for row in rows])
