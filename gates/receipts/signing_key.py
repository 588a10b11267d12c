"""The Ed25519 key of the receipt log: a seed in a 0600 file, its public half in a file for everyone."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.errors import SetupError
from gates.receipts.checkpoint import CheckpointSigner
from storage.secrets import ensure_secret, read_secret


class InvalidSigningKey(SetupError):
    """Say that the key file holds no seed."""

    code = "invalid_signing_key"


def ensure_signer(path: Path) -> CheckpointSigner:
    """Load the signing key; make it first if there is none (32 random bytes as hex, 0600, never overwritten).

    Losing the file means that old receipts still verify and new ones need the new public key.
    Raises: InvalidSigningKey, SecretFileInsecure.
    """
    return _signer_of(ensure_secret(path), path)


def load_signer(path: Path) -> CheckpointSigner:
    """Load the signing key. Raises: InvalidSigningKey, SecretFileMissing, SecretFileInsecure."""
    return _signer_of(read_secret(path), path)


def publish_verifier_key(signer: CheckpointSigner, path: Path) -> None:
    """Write the public key's one line to `path`, unless it is already there."""
    line = signer.verifier_key + "\n"
    if not path.exists() or path.read_text(encoding="ascii") != line:
        path.write_text(line, encoding="ascii")


def _signer_of(seed_hex: str, path: Path) -> CheckpointSigner:
    try:
        return CheckpointSigner(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed_hex)))
    except ValueError as error:
        raise InvalidSigningKey(f"{path} must hold 64 hex digits: move it away to have a new key made") from error
