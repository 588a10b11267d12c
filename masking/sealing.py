"""AES-256-GCM with everything that gives a value its meaning bound into it."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import BrokenInvariant

_NONCE_BYTES = 12


class SealBroken(BrokenInvariant):
    """Say that a sealed value was changed, moved to another row, or sealed under another key."""

    code = "seal_broken"


def seal(key: bytes, plaintext: bytes, *, bound_to: str) -> bytes:
    """Encrypt; `bound_to` must be given again to open. Shape: 12 bytes nonce, ciphertext, 16 bytes tag."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, bound_to.encode())


def open_sealed(key: bytes, sealed: bytes, *, bound_to: str) -> bytes:
    """Decrypt. Raises: SealBroken."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to.encode())
    except (InvalidTag, ValueError) as error:
        raise SealBroken("a sealed value does not open with its key and place") from error


def bind_data_key(tenant_id: str, subject_id: str, key_version: int) -> str:
    """Name the place of a wrapped data key."""
    return f"data-key|{tenant_id}|{subject_id}|{key_version}"


def bind_value(tenant_id: str, pii_class: str, token: str, subject_id: str, key_version: int) -> str:
    """Name the place of a value."""
    return f"value|{tenant_id}|{pii_class}|{token}|{subject_id}|{key_version}"


def bind_surface(tenant_id: str, message_id: str, ordinal: int, token: str, key_version: int) -> str:
    """Name the place of a written form in a message."""
    return f"surface|{tenant_id}|{message_id}|{ordinal}|{token}|{key_version}"
