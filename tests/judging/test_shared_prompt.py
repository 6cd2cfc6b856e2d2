"""Draws that share their prompt's keys and values say what plain generation says."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
)

from prometheus_lib.judging.engines import shared_prompt

SHAPE = {
    "vocab_size": 200, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 512, "pad_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
MODELS = {
    "mistral, 4 heads on 2": lambda: MistralForCausalLM(
        MistralConfig(**SHAPE, num_key_value_heads=2, sliding_window=None)
    ),
    "llama, 4 heads on 4": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "mixtral, 4 heads on 1": lambda: MixtralForCausalLM(
        MixtralConfig(**SHAPE, num_key_value_heads=1, num_local_experts=4, sliding_window=None)
    ),
}


def sharp(model):
    """A model whose next tokens differ in likelihood, as a trained one's do."""
    with torch.no_grad():
        model.lm_head.weight.mul_(30)
    return model.eval()


@pytest.fixture(params=list(MODELS))
def model(request):
    torch.manual_seed(0)
    return sharp(MODELS[request.param]())


@pytest.fixture(scope="module")
def prompts():
    """Five left-padded prompts of 3 to 40 tokens."""
    generator = torch.Generator().manual_seed(1)
    lengths = (40, 3, 17, 31, 8)
    ids, mask = torch.zeros(5, 40, dtype=torch.long), torch.zeros(5, 40, dtype=torch.long)
    for row, length in enumerate(lengths):
        ids[row, -length:] = torch.randint(3, 200, (length,), generator=generator)
        mask[row, -length:] = 1
    return ids, mask


def plain(model, prompts, draws, **settings):
    ids, mask = (tensor.repeat_interleave(draws, 0) for tensor in prompts)
    torch.manual_seed(5)
    return model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=24, **settings)


def shared(model, prompts, draws, **settings):
    with torch.inference_mode(), shared_prompt.shared_prompts(model, *prompts, draws) as inputs:
        torch.manual_seed(5)
        return model.generate(**inputs, max_new_tokens=24, **settings)


@pytest.mark.parametrize("together", [1, 64, 1024])
@pytest.mark.parametrize("draws", [1, 3])
def test_tokens_are_those_of_plain_generation(model, prompts, draws, together, monkeypatch):
    monkeypatch.setitem(shared_prompt.READ_TOGETHER, "cpu", together)
    for settings in ({"do_sample": False}, {"do_sample": True, "repetition_penalty": 1.03}):
        ours = shared(model, prompts, draws, **settings)
        assert torch.equal(ours, plain(model, prompts, draws, **settings))
        assert len({tuple(row[40:].tolist()) for row in ours}) > 1


def test_next_token_scores_are_those_of_plain_generation(model, prompts):
    settings = {"do_sample": False, "output_logits": True, "return_dict_in_generate": True}
    ours, expected = (run(model, prompts, 2, **settings).logits for run in (shared, plain))
    assert len(ours) == len(expected) > 5
    for one, other in zip(ours, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize(
    ("together", "read"),
    [
        (1024, [(5, 39)]),
        (80, [(2, 39), (2, 30), (1, 7)]),  # in turn, each run without the padding that all of its prompts have
        (1, [(1, 39), (1, 2), (1, 16), (1, 30), (1, 7)]),
    ],
)
def test_each_prompt_is_computed_once_and_long_ones_by_themselves(model, prompts, together, read, monkeypatch):
    monkeypatch.setitem(shared_prompt.READ_TOGETHER, "cpu", together)
    shapes = []
    hook = model.model.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    shared(model, prompts, 3, do_sample=False)
    hook.remove()
    assert shapes[: len(read)] == read and set(shapes[len(read) :]) == {(15, 1)}


def test_the_model_attends_as_before_afterwards(model, prompts):
    before = model.config._attn_implementation
    with pytest.raises(KeyboardInterrupt), shared_prompt.shared_prompts(model, *prompts, 3):
        assert model.config._attn_implementation == shared_prompt.ATTENTION
        raise KeyboardInterrupt
    assert model.config._attn_implementation == before


def test_other_kinds_of_attention_are_not_taken():
    small = {**SHAPE, "head_dim": 16, "num_key_value_heads": 2}
    assert not shared_prompt.supports(Gemma2ForCausalLM(Gemma2Config(**small)))
    assert not shared_prompt.supports(MistralForCausalLM(MistralConfig(**small, sliding_window=64)))
    assert shared_prompt.supports(MistralForCausalLM(MistralConfig(**small, sliding_window=None)))
