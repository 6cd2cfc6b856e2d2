"""Several answers to one prompt in one row: the prompt is computed once, the gradients are those of separate rows.

GPT-4 scored each response three times, so three rows share a prompt of a thousand tokens. In a joined row each answer
sees the prompt and itself, at the positions that it has alone, and its first token is predicted from the prompt's last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..records import DataError

IGNORED = -100  # the label of what carries no loss
Row = dict[str, list[int]]


def joined(rows: Iterable[Row], max_length: int) -> list[Row]:
    """Join rows of `input_ids` and `labels` that share a prompt, up to `max_length` tokens; `starts` of their answers.

    >>> one, two = ({"input_ids": [1, 2, answer], "labels": [-100, -100, answer]} for answer in (7, 8))
    >>> joined([one, two], max_length=9)
    [{'input_ids': [1, 2, 7, 8], 'labels': [-100, -100, 7, 8], 'starts': [2, 3]}]
    """
    result: list[Row] = []
    places: dict[tuple[int, ...], int] = {}
    for row in rows:
        start = next(place for place, label in enumerate(row["labels"]) if label != IGNORED)
        prompt, answer = tuple(row["input_ids"][:start]), row["input_ids"][start:]
        place = places.get(prompt)
        if place is None or len(result[place]["input_ids"]) + len(answer) > max_length:
            places[prompt] = len(result)
            result.append({"input_ids": [*prompt], "labels": [IGNORED] * start, "starts": []})
        whole = result[places[prompt]]
        whole["starts"].append(len(whole["input_ids"]))
        whole["input_ids"] += answer
        whole["labels"] += answer
    return result


def check_attention(model: Any, max_length: int) -> None:
    """Raise DataError for a model that would not keep the answers of a joined row apart, as `collate`'s mask asks.

    Only PyTorch's own attention over the whole row reads such a mask as it is meant: eager attention adds it to its
    scores, sliding windows ignore it, and convolutions and linear attention hand one answer's state to the next.

    >>> check_attention(model, 4096)  # doctest: +SKIP
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None)
    attention = getattr(config, "_attn_implementation", None)
    if attention == "sdpa" and kinds == {"full_attention"} and not (window and window < max_length):
        return
    raise DataError(
        f"{config.model_type}: answers to one prompt cannot be told apart in one row ({attention} attention, layers: "
        f"{', '.join(sorted(kinds))}, window: {window}); set `share_prompts = false` in [training]."
    )


def collate(rows: Sequence[Row]) -> dict[str, Any]:
    """Return one joined row as tensors: what each token may see, where it stands, what predicts the answers' tokens.

    The mask is one for PyTorch's own attention (sdpa). Shapes: `input_ids`, `labels`, `position_ids` (1, length),
    `attention_mask` (1, 1, length, length) of booleans, `sources` (labelled tokens,): the position whose logits predict
    each.

    >>> batch = collate([{"input_ids": [1, 2, 7, 8], "labels": [-100, -100, 7, 8], "starts": [2, 3]}])
    >>> batch["position_ids"].tolist(), batch["sources"].tolist(), batch["attention_mask"][0, 0, 3].tolist()
    ([[0, 1, 2, 2]], [1, 1], [True, True, False, True])
    """
    import torch

    (row,) = rows
    ids, starts = torch.tensor([row["input_ids"]]), torch.tensor(row["starts"])
    places = torch.arange(ids.shape[1])
    answer = (places[:, None] >= starts).sum(1)  # which answer a token belongs to, 0 for the prompt
    shift = torch.cat([starts[:1], starts])[answer] - starts[0]
    sees = (answer[None, :] == 0) | (answer[None, :] == answer[:, None])
    sources = places[starts[0] :] - 1
    sources[starts - starts[0]] = starts[0] - 1
    return {
        "input_ids": ids,
        "labels": torch.tensor([row["labels"]]),
        "position_ids": (places - shift)[None],
        "attention_mask": (sees & (places[None, :] <= places[:, None]))[None, None],
        "sources": sources,
    }
