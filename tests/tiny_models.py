"""Models of two layers for tests in more than one room."""

from __future__ import annotations

import shutil

import torch
from transformers import Gemma3Config, Gemma3ForConditionalGeneration, MixtralConfig, MixtralForCausalLM

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


def tiny_gemma(folder, seed):
    """Save a Gemma 3 with random weights and a vision tower, whose language model lies one level deeper."""
    text = {
        "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 128,
    }  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
        "patch_size": 14,
    }  # fmt: skip
    torch.manual_seed(seed)
    model = Gemma3ForConditionalGeneration(Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4))
    model.save_pretrained(folder)
    return model


def in_hub_cache(cache, name, folder):
    """Put a model folder where the hub's client keeps a model that it has fetched, under a name of the hub."""
    place = cache / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0" * 40, encoding="utf-8")
    shutil.copytree(folder, place / "snapshots" / ("0" * 40))
