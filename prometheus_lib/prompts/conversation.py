"""A conversation as one text, so that an exchange of several turns can be the instruction of an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..records import DataError

ROLES = {"system": "System", "developer": "System", "user": "User", "human": "User", "assistant": "Assistant"}


def is_conversation(value: Any) -> bool:
    """Return whether a value is a list of messages, each with a role and a content.

    >>> is_conversation([{"role": "user", "content": "Hello"}]), is_conversation("Hello"), is_conversation([])
    (True, False, False)
    """
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(each, Mapping) and {"role", "content"} <= set(each) for each in value)
    )


def render_conversation(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return messages as one text: a single user message as it is, several with their roles and a blank line between.

    The roles are written "User:", "Assistant:" and "System:", as MT-Bench's released prompts write the first two. A
    content is a text, or a list of parts of the type "text". DataError for another role, another content, or when the
    last turn is the assistant's: it would be shown as a part of the question, and it is what is to be judged.

    >>> render_conversation([{"role": "user", "content": "Name a prime."}])
    'Name a prime.'
    >>> turns = [("user", "Name a prime."), ("assistant", "7"), ("user", "Another?")]
    >>> print(render_conversation([{"role": role, "content": text} for role, text in turns]))
    User: Name a prime.
    <BLANKLINE>
    Assistant: 7
    <BLANKLINE>
    User: Another?
    """
    for number, message in enumerate(messages, start=1):
        if str(message["role"]) not in ROLES:
            raise DataError(f"message {number}: role {message['role']!r} is none of {', '.join(ROLES)}.")
    if messages and ROLES[str(messages[-1]["role"])] == "Assistant":
        raise DataError(
            f"message {len(messages)}: the conversation ends with the assistant's turn; give that one as the response."
        )
    texts = [_text(number, message["content"]) for number, message in enumerate(messages, start=1)]
    if len(messages) == 1 and ROLES[messages[0]["role"]] == "User":
        return texts[0]
    return "\n\n".join(f"{ROLES[message['role']]}: {text}" for message, text in zip(messages, texts, strict=True))


def _text(number: int, content: Any) -> str:
    if isinstance(content, list) and all(isinstance(part, Mapping) and part.get("type") == "text" for part in content):
        content = "\n".join(str(part.get("text", "")) for part in content)
    if not isinstance(content, str):
        raise DataError(f"message {number}: the content is {str(content)[:80]!r}, which is no text; write it as one.")
    return content
