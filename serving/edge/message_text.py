"""Is this something a person can have typed? Checked before anything else looks at it."""

from __future__ import annotations

import unicodedata

from domain.errors import InvalidInput

MAX_MESSAGE_BYTES = 100_000
MAX_STORED_BYTES = 131_072
"""What core.messages takes."""
_ALLOWED_CONTROLS = frozenset("\n\t\r")


class EmptyMessage(InvalidInput):
    """Say that there is nothing to answer."""

    code = "empty_message"


class MessageTooLong(InvalidInput):
    """Say that a message exceeds the limit."""

    code = "message_too_long"


class MessageNotText(InvalidInput):
    """Say that a message holds bytes that are no text."""

    code = "message_not_text"


def require_message(text: str) -> str:
    """Return the text with unix line ends and no blank margins.

    Raises: EmptyMessage, MessageTooLong, MessageNotText.
    """
    position = find_binary(text)
    if position is not None:
        raise MessageNotText(
            f"the message holds a character at position {position + 1} that is no text (binary data, NUL or a broken encoding): "
            "paste it as plain text, and upload files instead of pasting them"
        )
    size = len(text.encode("utf-8"))
    if size > MAX_MESSAGE_BYTES:
        raise MessageTooLong(
            f"the message has {size:,} bytes and the limit is {MAX_MESSAGE_BYTES:,}: send the part that the question is about"
        )
    cleaned = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not cleaned:
        raise EmptyMessage("the message is empty: type a question about this customer")
    return cleaned


def require_stored_size(masked_text: str) -> None:
    """Refuse a text that grew beyond what a message may hold when its values became tokens. Raises: MessageTooLong."""
    if len(masked_text.encode("utf-8")) > MAX_STORED_BYTES:
        raise MessageTooLong("the message holds so many personal values that it is too long after masking: send a shorter part")


def find_binary(text: str) -> int | None:
    """Return the index of the first character that no keyboard makes, None for plain text."""
    for index, character in enumerate(text):
        if character in _ALLOWED_CONTROLS:
            continue
        # U+FFFD is what a decoder leaves where bytes were no UTF-8.
        if unicodedata.category(character) in {"Cc", "Cs", "Cn"} or character == "\ufffd":
            return index
    return None
