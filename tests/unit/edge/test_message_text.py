"""What is not a message is refused with what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.edge.message_text import (
    MAX_MESSAGE_BYTES,
    EmptyMessage,
    MessageNotText,
    MessageTooLong,
    find_binary,
    require_message,
    require_stored_size,
)


@pytest.mark.parametrize("text", ["", " ", "\n\t \r\n"])
def test_nothing_is_refused(text: str) -> None:
    with pytest.raises(EmptyMessage, match="type a question"):
        require_message(text)


@pytest.mark.parametrize("text", ["a\0b", "\x1b[31mred", "half \ufffd read", "\ud800", "PK\x03\x04"])
def test_binary_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(MessageNotText, match=r"position \d+ that is no text"):
        require_message(text)


def test_the_limit_is_in_bytes_and_inclusive() -> None:
    assert require_message("x" * MAX_MESSAGE_BYTES)
    with pytest.raises(MessageTooLong, match="100,001 bytes and the limit is 100,000"):
        require_message("x" * (MAX_MESSAGE_BYTES + 1))
    with pytest.raises(MessageTooLong):
        require_message("é" * (MAX_MESSAGE_BYTES // 2 + 1))


def test_a_text_that_grew_is_refused_before_the_database_does() -> None:
    require_stored_size("x" * 131_072)
    with pytest.raises(MessageTooLong, match="after masking"):
        require_stored_size("x" * 131_073)


@given(st.text(max_size=200))
def test_what_is_taken_is_text_and_stays_the_same_when_taken_again(text: str) -> None:
    try:
        taken = require_message(text)
    except (EmptyMessage, MessageNotText):
        return
    assert find_binary(taken) is None
    assert taken.encode()
    assert require_message(taken) == taken
