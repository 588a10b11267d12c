"""A signed statement of a tree's size and root: a C2SP checkpoint inside a signed note.

Source: c2sp.org/tlog-checkpoint and c2sp.org/signed-note (Ed25519, signature type 1).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_NAME = "tellergate"
_ED25519 = b"\x01"


@dataclass(frozen=True, slots=True)
class CheckpointSigner:
    """Hold the key that signs checkpoints. Its name is the first part of every origin."""

    private_key: Ed25519PrivateKey
    name: str = KEY_NAME

    @property
    def public_key(self) -> bytes:
        """Return the 32 bytes of the public key."""
        return self.private_key.public_key().public_bytes_raw()

    @property
    def key_id(self) -> bytes:
        """Return the four bytes that name the key in a signature line."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:4]

    @property
    def verifier_key(self) -> str:
        """Return the public key as the one line `name+hex id+base64 key` that verifiers read."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public_key).decode()}"


def origin_of(tenant_id: str, *, name: str = KEY_NAME) -> str:
    """Return the origin of a tenant's log: its identity in every checkpoint."""
    return f"{name}/{tenant_id}"


def sign_checkpoint(signer: CheckpointSigner, *others: CheckpointSigner, tenant_id: str, size: int, root: bytes) -> str:
    """Sign a tree's size and root. Returns the whole note: text, blank line, one signature line for each signer."""
    text = f"{origin_of(tenant_id, name=signer.name)}\n{size}\n{base64.b64encode(root).decode()}\n"
    return f"{text}\n{''.join(_sign(one, text) for one in (signer, *others))}"


def _sign(signer: CheckpointSigner, text: str) -> str:
    signature = base64.b64encode(signer.key_id + signer.private_key.sign(text.encode())).decode()
    return f"\N{EM DASH} {signer.name} {signature}\n"
