"""What somebody typed, checked before anything starts: a shell can hand over bytes that are no text."""

from __future__ import annotations

import sys

from domain.errors import InvalidInput
from serving.edge.message_text import MAX_MESSAGE_BYTES, MessageTooLong, require_message

STANDARD_INPUT = "-"
_MAX_VALUE_CHARACTERS = 255
_MAX_READ_BYTES = 10 * MAX_MESSAGE_BYTES


def read_message(given: str) -> str:
    """Return the message, from standard input where `-` is given. Raises: EmptyMessage, MessageTooLong, MessageNotText."""
    return require_message(_read_standard_input() if given == STANDARD_INPUT else given)


def _read_standard_input() -> str:
    raw = sys.stdin.buffer.read(_MAX_READ_BYTES + 1)
    if len(raw) > _MAX_READ_BYTES:
        raise MessageTooLong(
            f"standard input holds more than {_MAX_READ_BYTES:,} bytes and the limit of a message is {MAX_MESSAGE_BYTES:,}: "
            "send the part that the question is about"
        )
    # What is no UTF-8 becomes U+FFFD, which the check of the message finds and places.
    return raw.decode("utf-8", "replace")


def require_printable(option: str, value: str) -> str:
    """Return a value that can stand in a request. Raises: InvalidInput that names the option."""
    if not value or len(value) > _MAX_VALUE_CHARACTERS or not value.isprintable():
        raise InvalidInput(
            f"{option} must be 1 to {_MAX_VALUE_CHARACTERS} printable characters, without line breaks or binary data",
            code="invalid_option",
        )
    return value


def require_header_value(option: str, value: str) -> str:
    """Return a value that can stand in an HTTP header: printable ASCII. Raises: InvalidInput that names the option."""
    if not value.isascii():
        raise InvalidInput(f"{option} must be ASCII: letters, digits and signs", code="invalid_option")
    return require_printable(option, value)
