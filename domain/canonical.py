"""Canonical JSON (RFC 8785) and the digests made from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import rfc8785
from pydantic import BaseModel

from domain.errors import InvalidInput


class NotCanonical(InvalidInput):
    """Say that a value has no canonical form: floats, huge integers and odd types are refused."""

    code = "not_canonical"


def canonical_bytes(value: Mapping[str, Any] | Sequence[Any] | BaseModel) -> bytes:
    """Serialize to RFC 8785 bytes. Integers beyond 2**53 and floats are refused, as they are not exact in JSON.

    Raises: NotCanonical.
    """
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    _refuse_floats(plain)
    try:
        return rfc8785.dumps(cast(Any, plain))
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise NotCanonical(str(error)) from error


def digest_of(value: Mapping[str, Any] | Sequence[Any] | BaseModel) -> str:
    """Return the SHA-256 of the canonical bytes as 64 lower-case hex digits."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise NotCanonical("a float has no place in a record")
    if isinstance(value, Mapping):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for item in value:
            _refuse_floats(item)
