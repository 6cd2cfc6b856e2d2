"""A prompt as a model's chat: system prompt and user prompt in its chat template, with one begin-of-sequence token.

Training and judging both come through here, so a judge reads what an expert was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..records import DataError
from .wording import chat_messages


def render_chat(tokenizer: Any, prompt: str, format: str) -> str:
    """Return the full text a judge reads: system prompt and user prompt in the model's chat template.

    Where the template knows no system role (Mistral's), the system prompt opens the user turn, joined by a blank line
    as in the released training data.
    """
    messages = chat_messages(prompt, format)
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except Exception as error:
        if "role" not in str(error).lower():
            raise
        joined = "\n\n".join(message["content"] for message in messages)
        return tokenizer.apply_chat_template(
            [{"role": "user", "content": joined}], tokenize=False, add_generation_prompt=True
        )


def check_one_bos(tokenizer: Any, ids: Sequence[int]) -> None:
    """Raise DataError unless the ids hold exactly one begin-of-sequence token, at the start."""
    bos = tokenizer.bos_token_id
    if bos is not None and (ids[0] != bos or list(ids).count(bos) != 1):
        raise DataError(
            f"the prompt has {list(ids).count(bos)} begin-of-sequence tokens (want one, first): "
            "tokenise the chat template's text with add_special_tokens=False."
        )
