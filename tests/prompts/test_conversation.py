"""A conversation as an instruction: one rule for how it is written, and errors for what it cannot hold."""

from __future__ import annotations

import pytest

from prometheus_lib.prompts.conversation import is_conversation, render_conversation
from prometheus_lib.records import DataError


def turns(*pairs):
    return [{"role": role, "content": content} for role, content in pairs]


def test_one_message_of_the_user_is_the_instruction_itself():
    assert render_conversation(turns(("user", "Say\n\nhello."))) == "Say\n\nhello."
    parts = [{"type": "text", "text": "Say"}, {"type": "text", "text": "hello."}]
    assert render_conversation(turns(("user", parts))) == "Say\nhello."


def test_several_messages_keep_their_order_and_their_roles():
    found = render_conversation(
        turns(("system", "Be brief."), ("user", "2 + 2?"), ("assistant", "4"), ("user", "Sure?"))
    )
    assert found == "System: Be brief.\n\nUser: 2 + 2?\n\nAssistant: 4\n\nUser: Sure?"


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (turns(("user", "a"), ("judge", "b")), "message 2: role 'judge'"),
        (turns(("user", "a"), ("assistant", "b")), "message 2: .* give that one as the response"),
        (turns(("assistant", "b")), "message 1: .* the assistant's turn"),
        (turns(("user", None)), "message 1: the content"),
        (turns(("user", 7)), "message 1: the content"),
        (turns(("user", [{"type": "image", "url": "x"}])), "message 1: the content"),
    ],
)
def test_what_cannot_be_written_is_named(messages, message):
    with pytest.raises(DataError, match=message):
        render_conversation(messages)


def test_what_is_a_conversation():
    assert is_conversation(turns(("user", "a"))) and not is_conversation(turns(("user", "a"))[0])
    assert not is_conversation([]) and not is_conversation(["a"]) and not is_conversation([{"role": "user"}])
