"""Answers to one prompt in one row: the loss and the gradients are those of separate rows."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from prometheus_lib.records import DataError
from prometheus_lib.training.packing import IGNORED, check_attention, collate, joined
from prometheus_lib.training.trainers import answer_logits


def row(prompt: list[int], answer: list[int]) -> dict[str, list[int]]:
    return {"input_ids": [*prompt, *answer], "labels": [IGNORED] * len(prompt) + answer}


ROWS = [row([1, 5, 9, 4, 7], answer) for answer in ([8, 2, 2], [3], [6, 11, 12, 2])] + [row([1, 9], [4, 2])]


def tiny() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=16, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1,
        )
    )  # fmt: skip


def summed_loss(model: LlamaForCausalLM, batch: dict) -> torch.Tensor:
    inputs = dict(batch)
    _, logits, targets = answer_logits(model, inputs, inputs.pop("labels"))
    return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum", ignore_index=IGNORED)


def gradients(model: LlamaForCausalLM, batches: list[dict]) -> tuple[float, list[torch.Tensor]]:
    total = sum(summed_loss(model, batch) for batch in batches)
    total.backward()
    return total.item(), [parameter.grad for parameter in model.parameters()]


def test_loss_and_gradients_are_those_of_separate_rows():
    model = tiny()
    other = copy.deepcopy(model)
    apart = [{name: torch.tensor([ids]) for name, ids in each.items()} for each in ROWS]
    together = joined(ROWS, max_length=99)
    assert [each["starts"] for each in together] == [[5, 8, 9], [2]]
    loss, grads = gradients(model, [collate([each]) for each in together])
    expected, others = gradients(other, apart)
    assert loss == pytest.approx(expected, rel=1e-5)
    for one, two in zip(grads, others, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_an_answer_that_sees_its_neighbour_would_be_noticed():
    """The test above can fail: with a plain causal mask the loss is another."""
    model, batch = tiny(), collate(joined(ROWS[:3], 99))
    plain = batch | {"attention_mask": torch.ones_like(batch["attention_mask"]).tril()}
    assert abs(summed_loss(model, batch) - summed_loss(model, plain)).item() > 1e-3


def test_a_row_holds_no_more_than_it_may_and_no_answer_is_lost():
    packed = joined(ROWS, max_length=9)
    assert max(len(each["input_ids"]) for each in packed) == 9
    answers = [each["labels"][start] for each in packed for start in each["starts"]]
    assert sorted(answers) == [3, 4, 6, 8] and len(packed) == 3


def test_models_whose_attention_would_mix_the_answers_are_refused():
    """Measured: with eager attention, a sliding window or a convolution a joined row has another loss."""
    model = tiny()
    check_attention(model, 64)
    model.config.sliding_window = 8
    with pytest.raises(DataError, match="share_prompts = false"):
        check_attention(model, 64)
    check_attention(model, 8)
    model.config.layer_types = ["full_attention", "conv"]
    with pytest.raises(DataError, match="conv, full_attention"):
        check_attention(model, 8)
    model.config.layer_types = None
    model.set_attn_implementation("eager")
    with pytest.raises(DataError, match="eager attention"):
        check_attention(model, 8)
