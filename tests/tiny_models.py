"""Models of two layers for tests in more than one room."""

from __future__ import annotations

import torch
from transformers import MixtralConfig, MixtralForCausalLM

from prometheus_lib.training import base_model


def tiny_mixtral(folder, seed):
    """Save a Mixtral with random weights and the miniature tokenizer, and return the model."""
    tokenizer = base_model.build_tokenizer()
    config = MixtralConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=32, num_local_experts=4, max_position_embeddings=2048,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = MixtralForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model
