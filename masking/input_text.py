"""What may come in as text at all."""

from __future__ import annotations

import unicodedata

from domain.errors import InvalidInput

MAX_TEXT_BYTES = 100_000
_ALLOWED_CONTROLS = frozenset("\t\n\r")


class TextTooLong(InvalidInput):
    """Say that a text is longer than a message may be."""

    code = "text_too_long"


class NotText(InvalidInput):
    """Say that bytes or characters are no text: NUL, control characters, broken UTF-8, lone surrogates."""

    code = "not_text"


def decode_text(content: bytes) -> str:
    """Read UTF-8. Raises: TextTooLong, NotText."""
    if len(content) > MAX_TEXT_BYTES:
        raise TextTooLong(f"the text has {len(content)} bytes, at most {MAX_TEXT_BYTES} are read")
    try:
        return require_text(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise NotText(f"not UTF-8 at byte {error.start}") from error


def require_text(text: str) -> str:
    """Return `text` if it is text of at most 100,000 bytes. Raises: TextTooLong, NotText."""
    try:
        size_bytes = len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise NotText(f"half a character (lone surrogate) at position {error.start}") from error
    if size_bytes > MAX_TEXT_BYTES:
        raise TextTooLong(f"the text has {size_bytes} bytes, at most {MAX_TEXT_BYTES} are read")
    if not text.isprintable():
        for position, character in enumerate(text):
            if unicodedata.category(character) == "Cc" and character not in _ALLOWED_CONTROLS:
                raise NotText(f"control character U+{ord(character):04X} at position {position}: is this a binary file?")
    return text
