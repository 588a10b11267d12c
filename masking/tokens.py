"""Tokens such as `<PERSON_7f3a9k2m-q4>`: class, 40 bits of a keyed hash, two check characters.

The check characters are no secret: they tell a damaged or invented token without a look-up. What a token resolves to is the
vault's to say, within a conversation's grants.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from masking.classes import PiiClass

# Crockford's base32: no i, l, o, u, which people and models confuse with digits.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {character: number for number, character in enumerate(_ALPHABET)}
_BODY_LENGTH = 8
# The largest prime below 32 * 32: any one wrong character and any two swapped neighbours change the remainder.
_MODULUS = 1021
MAX_TOKEN_LENGTH = 31
UNKNOWN_REFERENCE = "[unknown reference]"
"""What stands in the place of a token that does not exist, or not here."""

# What may be meant as a token: case, typographic brackets and hyphens, and an escaped underscore are forgiven. Typed text is
# escaped by the same expression that the way back reads with, so nothing typed can turn into a token later.
TOKEN_SHAPE = re.compile(
    r"[<‹＜]\s?(?P<name>[A-Za-z]{2,8}(?:\\?_[A-Za-z]{2,4})?)\\?_(?P<body>[0-9A-Za-z]{8})[-‐‑‒–—−](?P<check>[0-9A-Za-z]{2})\s?[>›＞]"
)
_OPENERS = "<‹＜"
_CLOSERS = "[>›＞]"


@dataclass(frozen=True, slots=True)
class TokenMatch:
    """Hold one place of a text that has a token's shape. `token` is None when it is damaged or invented."""

    start: int
    end: int
    token: str | None
    pii_class: PiiClass | None


def mint_token(key: bytes, *, pii_class: PiiClass, canonical: str, counter: int = 0) -> str:
    """Make the token of a value. `counter` is 0 unless that token is taken."""
    message = f"{pii_class.value}\x1f{canonical}\x1f{counter}".encode()
    number = int.from_bytes(hmac.digest(key, message, hashlib.sha256)[:5], "big")
    return f"<{pii_class.value}_{_encode(number, _BODY_LENGTH)}-{_encode(_check_number(pii_class, number), 2)}>"


def find_tokens(text: str) -> Iterator[TokenMatch]:
    """Yield every token-shaped place of a text, in order."""
    for match in TOKEN_SHAPE.finditer(text):
        token = _read(match)
        yield TokenMatch(match.start(), match.end(), token, class_of_token(token) if token else None)


def class_of_token(token: str) -> PiiClass:
    """Return the class that a sound token names."""
    return PiiClass(token[1 : token.rindex("_")])


def find_open_tail(text: str) -> int:
    """Return where the tail begins that could still become a token when more text comes; the length if there is none."""
    start = max(0, len(text) - MAX_TOKEN_LENGTH + 1)
    for position in range(start, len(text)):
        if text[position] in _OPENERS and not re.search(_CLOSERS, text[position:]):
            return position
    return len(text)


def _read(match: re.Match[str]) -> str | None:
    name = match["name"].replace("\\", "").upper()
    body, check = match["body"].lower(), match["check"].lower()
    if name not in PiiClass.__members__ or not set(body + check) <= _VALUES.keys():
        return None
    pii_class = PiiClass[name]
    if _decode(check) != _check_number(pii_class, _decode(body)):
        return None
    return f"<{name}_{body}-{check}>"


def _check_number(pii_class: PiiClass, number: int) -> int:
    return (zlib.crc32(pii_class.value.encode()) + number) % _MODULUS


def _encode(number: int, length: int) -> str:
    return "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in reversed(range(length)))


def _decode(text: str) -> int:
    number = 0
    for character in text:
        number = number * 32 + _VALUES[character]
    return number
