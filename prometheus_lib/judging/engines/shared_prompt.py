"""Draws that share their prompt while they are generated: its keys and values stay in memory once, never copied.

transformers keeps one growing tensor per sequence and layer. Three draws hold their prompt three times, each new token
copies all of it, and where queries outnumber keys (grouped attention) it is spread out once more. Here a prompt's keys
and values stay as they were computed, all draws (and all query heads of a group) attend to them in one product, and
only the few tokens that each draw has added grow. The answers are the same (paper, Table 8: three draws per item).
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import AttentionInterface, DynamicCache
from transformers.cache_utils import Cache, DynamicLayer

ATTENTION = "shared_prompt"
# Models whose attention is the plain one below: scaled products, softmax, nothing else.
FAMILIES = ("llama", "mistral", "mixtral")
# Positions that one forward over prompts reads. Short prompts are faster together; on a CPU long ones are two to four
# times faster one by one, without padding and its mask (perf/judging.py).
READ_TOGETHER = defaultdict(lambda: 16384, cpu=1024)


def supports(model: Any) -> bool:
    """Tell whether a model's attention is the plain one, over all positions."""
    config = model.config
    return config.model_type in FAMILIES and not getattr(config, "sliding_window", None)


class SharedPromptLayer(DynamicLayer):
    """One layer's keys and values: of the prompts (prompts, heads, positions, size), and of what each draw has added.

    `hidden` is True at a prompt's padding: (prompts, positions).
    """

    def __init__(self, keys: Tensor, values: Tensor, hidden: Tensor):
        super().__init__()
        self.prompt_keys, self.prompt_values, self.hidden = keys, values, hidden

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Add the newest token's keys and values; the attention below takes the layer itself."""
        super().update(key_states, value_states, *args, **kwargs)
        return self, self

    def get_seq_length(self) -> int:
        """Return the positions before the next token, the prompt's included."""
        return self.prompt_keys.shape[-2] + super().get_seq_length()


@contextlib.contextmanager
def shared_prompts(model: Any, ids: Tensor, mask: Tensor, draws: int) -> Iterator[dict[str, Any]]:
    """Compute left-padded prompts (prompts, positions) once and yield generate's inputs for `draws` draws of each.

    The model attends in this way until the block is left. The first new token comes from the prompt's last token, so
    that one is left to generate.
    """
    before, read, hidden = model.config._attn_implementation, mask[:, :-1], mask[:, :-1] == 0
    together = [_read(model, ids[rows, :-1], read[rows]) for rows in _groups(read.sum(-1).tolist(), ids.device.type)]
    layers = [
        SharedPromptLayer(*(torch.cat([group[n][kind] for group in together]) for kind in (0, 1)), hidden)
        for n in range(len(together[0]))
    ]
    del together
    repeated = {"input_ids": ids.repeat_interleave(draws, 0), "attention_mask": mask.repeat_interleave(draws, 0)}
    model.set_attn_implementation(ATTENTION)
    try:
        yield {**repeated, "past_key_values": Cache(layers=layers)}
    finally:
        model.set_attn_implementation(before)


def _groups(lengths: Sequence[int], device: str) -> Iterator[slice]:
    """Cut prompts into runs that one forward reads: as many as have READ_TOGETHER positions, at least one."""
    start = 0
    for stop in range(1, len(lengths) + 1):
        if stop == len(lengths) or (stop + 1 - start) * max(lengths[start : stop + 1]) > READ_TOGETHER[device]:
            yield slice(start, stop)
            start = stop


def _read(model: Any, ids: Tensor, mask: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Compute each layer's keys and values of left-padded prompts, of the width given."""
    cache, width = DynamicCache(config=model.config), mask.shape[1]
    empty = width - max(1, int(mask.sum(-1).max()))
    ids, mask = ids[:, empty:], mask[:, empty:]
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    model(
        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
        logits_to_keep=1,
    )  # fmt: skip
    return [tuple(pad(states, (0, 0, empty, 0)) for states in (layer.keys, layer.values)) for layer in cache.layers]


def attend(
    module: Any, query: Tensor, layer: SharedPromptLayer, _: Any, mask: None, scaling: float, **unused: Any
) -> tuple[Tensor, None]:
    """Attend from one new token per draw, (sequences, heads, 1, size), to its prompt and to the tokens added since.

    Returns (sequences, 1, heads, size). The mask that transformers would build is not needed: what a draw has added is
    all visible, and a prompt's padding is hidden by the layer.
    """
    sequences, heads, _, size = query.shape
    prompts, groups = layer.prompt_keys.shape[:2]
    rows = query.reshape(sequences, groups, heads // groups, size)
    together = _by_prompt(rows, prompts)  # (prompts, groups, draws x heads of the group, size)
    to_prompt = (together @ layer.prompt_keys.mT) * scaling
    to_prompt = to_prompt.masked_fill(layer.hidden[:, None, None], float("-inf"))
    to_added = _by_prompt((rows @ layer.keys.mT) * scaling, prompts)
    weights = torch.cat([to_prompt, to_added], dim=-1).softmax(-1, dtype=torch.float32).to(query.dtype)
    width = to_prompt.shape[-1]
    from_prompt = _by_sequence(weights[..., :width] @ layer.prompt_values, sequences)
    from_added = _by_sequence(weights[..., width:], sequences) @ layer.values
    return (from_prompt + from_added).reshape(sequences, 1, heads, size), None


def _by_prompt(rows: Tensor, prompts: int) -> Tensor:
    """(prompts x draws, groups, heads, n) -> (prompts, groups, draws x heads, n)."""
    sequences, groups, heads, n = rows.shape
    split = rows.view(prompts, sequences // prompts, groups, heads, n).transpose(1, 2)
    return split.reshape(prompts, groups, -1, n)


def _by_sequence(rows: Tensor, sequences: int) -> Tensor:
    """(prompts, groups, draws x heads, n) -> (prompts x draws, groups, heads, n)."""
    prompts, groups, _, n = rows.shape
    split = rows.view(prompts, groups, sequences // prompts, -1, n).transpose(1, 2)
    return split.reshape(sequences, groups, -1, n)


AttentionInterface.register(ATTENTION, attend)
