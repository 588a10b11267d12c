"""A key service in memory: it wraps like one, and can be down or refuse."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from masking.key_services import KeyRefused, KeyServiceDown


class FakeKeyService:
    """Wrap under a key derived from `key_ref`. `known` are the keys that it has; `calls` counts what it was asked."""

    def __init__(self, *known: str) -> None:
        self.known = set(known)
        self.down = False
        self.calls = 0

    def make_data_key(self, key_ref: str, *, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return 32 bytes and the same wrapped."""
        plain, nonce = os.urandom(32), os.urandom(12)
        return plain, nonce + self._cipher(key_ref).encrypt(nonce, plain, _bound(context))

    def unwrap(self, key_ref: str, wrapped: bytes, *, context: Mapping[str, str]) -> bytes:
        """Return what was wrapped."""
        try:
            return self._cipher(key_ref).decrypt(wrapped[:12], wrapped[12:], _bound(context))
        except InvalidTag as error:
            raise KeyRefused("wrapped elsewhere, or for something else") from error

    def _cipher(self, key_ref: str) -> AESGCM:
        self.calls += 1
        if self.down:
            raise KeyServiceDown("the key service does not answer")
        if key_ref not in self.known:
            raise KeyRefused("no such key")
        return AESGCM(hashlib.sha256(key_ref.encode()).digest())


def _bound(context: Mapping[str, str]) -> bytes:
    return json.dumps(dict(context), sort_keys=True).encode()
