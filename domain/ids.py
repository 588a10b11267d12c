"""Ids: UUIDv7 inside, a typed prefix outside (`dec_`, `prp_`, `txn_`)."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from typing import Literal
from uuid import UUID

from domain.clock import require_utc
from domain.errors import InvalidInput

Prefix = Literal[
    "acc", "anc", "apr", "art", "ben", "cas", "chg", "cnv", "crd", "cus", "dec", "dev", "dsp", "evt", "frz", "ing", "ins", "kba",
    "kbc", "lbl", "lgn", "mch", "mrc", "msg", "opr", "pay", "prp", "rct", "rev", "ses", "stf", "stl", "stm", "tfr", "trn", "txn",
]  # fmt: skip
_SHAPE = re.compile(r"([a-z]{3})_([0-9a-f]{32})")


class InvalidId(InvalidInput):
    """Say that a text is not an id of the expected kind."""

    code = "invalid_id"


def make_uuid7(now: datetime, *, random_bits: int | None = None) -> UUID:
    """Make a UUIDv7 from a time and 74 random bits. Source: RFC 9562 section 5.7."""
    milliseconds = int(require_utc(now).timestamp() * 1000)
    bits = secrets.randbits(74) if random_bits is None else random_bits & ((1 << 74) - 1)
    high = (milliseconds & ((1 << 48) - 1)) << 80
    return UUID(int=high | (0x7 << 76) | ((bits >> 62) << 64) | (0b10 << 62) | (bits & ((1 << 62) - 1)))


def make_id(prefix: Prefix, now: datetime) -> str:
    """Make a fresh typed id such as `dec_0192…` (prefix, underscore, 32 lower-case hex digits)."""
    return f"{prefix}_{make_uuid7(now).hex}"


def is_id(text: str, prefix: Prefix) -> bool:
    """Say whether `text` is an id with this prefix."""
    match = _SHAPE.fullmatch(text)
    return match is not None and match.group(1) == prefix


def require_id(text: str, prefix: Prefix) -> str:
    """Return `text` if it is an id with this prefix. Raises: InvalidId."""
    if not is_id(text, prefix):
        raise InvalidId(f"expected an id like {prefix}_<32 hex digits>")
    return text


def uuid_of(typed_id: str) -> UUID:
    """Return the UUID inside a typed id. Raises: InvalidId."""
    match = _SHAPE.fullmatch(typed_id)
    if match is None:
        raise InvalidId("expected a typed id")
    return UUID(hex=match.group(2))
