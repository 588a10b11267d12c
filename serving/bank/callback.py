"""Is this callback the bank's? Signed as Standard Webhooks 1.0 says: HMAC-SHA256 over id, time and body."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.errors import Forbidden

_PREFIX = "whsec_"
_MIN_SECRET_BYTES = 24
_TOLERANCE = timedelta(minutes=5)


class CallbackRefused(Forbidden):
    """Say that a callback is not the bank's, or not of now. It never says which."""

    code = "callback_refused"


@dataclass(frozen=True, slots=True)
class Callback:
    """Hold a callback as it came. `signatures` is a list, separated by spaces, so that a secret can be changed."""

    message_id: str
    timestamp: str
    signatures: str
    body: bytes = field(repr=False)


def decode_secret(text: str) -> bytes:
    """Read a secret `whsec_<base64>` of at least 24 bytes. Raises: ValueError."""
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        secret = b""
    if not text.startswith(_PREFIX) or len(secret) < _MIN_SECRET_BYTES:
        raise ValueError(
            f"TELLERGATE_BANK_CALLBACK_SECRET must be {_PREFIX} and the base64 of at least {_MIN_SECRET_BYTES} bytes"
        )
    return secret


def sign_callback(secret: bytes, *, message_id: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a callback. Source: Standard Webhooks 1.0."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


def verify_callback(secret: bytes, callback: Callback, *, now: datetime) -> None:
    """Check signature and time. An old one that comes again is harmless, but it is not let in. Raises: CallbackRefused."""
    refused = CallbackRefused("this callback is not signed by the bank, or its time is not now")
    if not (callback.timestamp.isascii() and callback.timestamp.isdigit() and len(callback.timestamp) <= 11):
        raise refused
    if abs(int(now.timestamp()) - int(callback.timestamp)) > _TOLERANCE.total_seconds():
        raise refused
    expected = sign_callback(secret, message_id=callback.message_id, timestamp=callback.timestamp, body=callback.body)
    given = callback.signatures.split(" ")[:10]
    if not any(hmac.compare_digest(one.encode(), expected.encode()) for one in given):
        raise refused
