"""Canonical JSON (RFC 8785) and the digests made from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import orjson
import rfc8785
from pydantic import BaseModel

from domain.errors import InvalidInput

_MAX_INTEGER = 2**53 - 1
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


class NotCanonical(InvalidInput):
    """Say that a value has no canonical form: floats, huge integers and odd types are refused."""

    code = "not_canonical"


def canonical_bytes(value: Mapping[str, Any] | Sequence[Any] | BaseModel) -> bytes:
    """Serialize to RFC 8785 bytes. Integers beyond 2**53 and floats are refused, as they are not exact in JSON.

    Raises: NotCanonical.
    """
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    if _is_common(plain):
        try:
            return orjson.dumps(plain, option=_OPTIONS)
        except orjson.JSONEncodeError as error:
            raise NotCanonical(str(error)) from error
    _refuse_floats(plain)
    try:
        return rfc8785.dumps(cast(Any, plain))
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise NotCanonical(str(error)) from error


def digest_of(value: Mapping[str, Any] | Sequence[Any] | BaseModel) -> str:
    """Return the SHA-256 of the canonical bytes as 64 lower-case hex digits."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def _is_common(value: object) -> bool:
    """Say whether orjson, ten times as fast, writes this as RFC 8785 asks: exact types, and keys that it sorts the same way."""
    kind = type(value)
    if kind is dict:
        members = cast(dict[object, object], value)
        # orjson sorts by code point, the RFC by UTF-16 unit: the same in ASCII.
        for key in members:
            if type(key) is not str or not key.isascii():
                return False
        items: Iterable[object] = members.values()
    elif kind is list or kind is tuple:
        items = cast(Sequence[object], value)
    else:
        items = (value,)
    # Scalars are looked at here and not by a call each: most of a record is scalars.
    for item in items:
        kind = type(item)
        if kind is str or kind is bool or item is None:
            continue
        if kind is int:
            if not -_MAX_INTEGER <= cast(int, item) <= _MAX_INTEGER:
                return False
        elif not (kind is dict or kind is list or kind is tuple) or not _is_common(item):
            return False
    return True


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise NotCanonical("a float has no place in a record")
    if isinstance(value, Mapping):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for item in value:
            _refuse_floats(item)
