"""A prompt as a model's chat: system prompt and user prompt in its chat template, with no token added to it.

Training and judging both come through here, so a judge reads what an expert was trained on. A chat template is a
program that came with the model, and it may refuse a system prompt, leave it out, or print today's date. What it
renders is therefore looked at: every text must have arrived, and the same prompt gives the same text on every day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from ..records import DataError
from .templates import PROMETHEUS, Template

# How a system prompt is joined to the user's text where a model knows no system role: as in the released training
# data, in the released evaluation code, and in the released library.
JOINERS = {"training": "\n\n", "evaluation": "", "library": "\n"}
# The date that templates with a date line print: a prompt, and with it a judgment's key, must not change overnight.
DATE = date(2024, 7, 26)
_PINNED = {"strftime_now": DATE.strftime, "date_string": DATE.strftime("%d %b %Y")}

Messages = list[dict[str, str]]


def render_chat(
    tokenizer: Any, prompt: str, format: str, template: Template = PROMETHEUS, joiner: str = "training"
) -> str:
    """Return the full text a judge reads: system prompt and user prompt in the model's chat template.

    `template` says whose system prompt it is. Where the model's chat template refuses a system prompt, or renders a
    text without it, the system prompt opens the user's turn (`joined`).

    DataError when the tokenizer has no chat template, or one that does not show what it is given.

    >>> from prometheus_lib.records import DirectItem, Rubric
    >>> class Tokenizer:  # what any tokenizer of transformers does; this one knows no system role
    ...     name_or_path, chat_template = "example", "..."
    ...     def apply_chat_template(self, messages, **settings):
    ...         return "".join(f"[INST] {m['content']} [/INST]" for m in messages if m["role"] == "user")
    >>> print(render_chat(Tokenizer(), "###Task Description: ...", "direct"))
    [INST] You are a fair judge assistant tasked with providing clear, objective feedback based on specific criteria, \
ensuring each assessment reflects the absolute standards set for performance.
    <BLANKLINE>
    ###Task Description: ... [/INST]
    """
    check_chat_template(tokenizer)
    messages = template.messages(prompt, format)
    shapes = (messages, joined(messages, joiner))
    problem: Exception | None = None
    # Templates of models that also read images want a list of parts in place of a text.
    for chat in (*shapes, *map(_in_parts, shapes)):
        try:
            text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True, **_PINNED)
        except Exception as error:  # a template may raise whatever its author chose, in any words
            problem = error
        else:
            if _arrived(text, messages):
                return text
    raise DataError(
        f"{tokenizer.name_or_path}: its chat template does not show what it is given "
        f"({problem or 'the text of a message is missing'}); give the template that the model was tuned with."
    ) from problem


def check_chat_template(tokenizer: Any) -> None:
    """Raise DataError when a tokenizer does not say how a conversation is written.

    >>> from types import SimpleNamespace
    >>> check_chat_template(SimpleNamespace(name_or_path="gpt2", chat_template=None))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    prometheus_lib.records.DataError: gpt2: this tokenizer has no chat template; give a model that is tuned to ...
    """
    if not tokenizer.chat_template:
        raise DataError(
            f"{tokenizer.name_or_path}: this tokenizer has no chat template; give a model that is tuned to follow "
            "instructions, or save the template that it was tuned with beside it (chat_template.jinja)."
        )


def joined(messages: Sequence[dict[str, str]], joiner: str = "training") -> Messages:
    r"""Return one user message with all texts in order, for a model that knows no system role; `joiner` is in JOINERS.

    >>> joined([{"role": "system", "content": "You are a judge."}, {"role": "user", "content": "Judge this."}])
    [{'role': 'user', 'content': 'You are a judge.\n\nJudge this.'}]
    """
    return [{"role": "user", "content": JOINERS[joiner].join(message["content"] for message in messages)}]


class _Part(dict[str, str]):
    """A part of a message; a template that prints it as it is, in place of its text, shows nothing."""

    def __repr__(self) -> str:
        return ""


def _in_parts(messages: Messages) -> list[dict[str, Any]]:
    return [{**each, "content": [_Part(type="text", text=each["content"])]} for each in messages]


def _arrived(text: str, messages: Messages) -> bool:
    """Tell whether each message stands in the rendered text as often as in the messages (templates trim ends)."""
    pieces = [message["content"].strip() for message in messages]
    return all(text.count(piece) >= sum(other.count(piece) for other in pieces) for piece in pieces if piece)


def chat_ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Return the tokens of rendered chats, none added: see `check_bos`.

    >>> class Tokenizer:  # one token per character
    ...     bos_token_id = None
    ...     def __call__(self, texts, add_special_tokens):
    ...         return {"input_ids": [list(map(ord, text)) for text in texts]}
    >>> chat_ids(Tokenizer(), ["Hi", "A"])
    [[72, 105], [65]]
    """
    rows = tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []
    for text, ids in zip(texts, rows, strict=True):
        check_bos(tokenizer, text, ids)
    return rows


def check_bos(tokenizer: Any, text: str, ids: Sequence[int]) -> None:
    """Raise DataError when a chat's tokens hold more begin-of-sequence tokens than its rendered text.

    The chat template decides how many there are: one first in most models, none in some (Qwen), one per turn where it
    is the token that opens a turn (SmolLM2). A tokenizer left to its defaults adds another.

    >>> class Tokenizer:
    ...     bos_token, bos_token_id = "<s>", 1
    >>> check_bos(Tokenizer(), "<s>[INST] Hello", [1, 3, 22557])
    >>> check_bos(Tokenizer(), "<s>[INST] Hello", [1, 1, 3, 22557])
    Traceback (most recent call last):
    prometheus_lib.records.DataError: the prompt has 2 begin-of-sequence tokens where its chat template wrote 1: \
tokenise the chat template's text with add_special_tokens=False.
    """
    if tokenizer.bos_token_id is None:
        return
    written, found = text.count(tokenizer.bos_token), list(ids).count(tokenizer.bos_token_id)
    if found > written:
        raise DataError(
            f"the prompt has {found} begin-of-sequence tokens where its chat template wrote {written}: "
            "tokenise the chat template's text with add_special_tokens=False."
        )
