"""The Ed25519 keys of the receipt log: the seed in use in a 0600 file, the public halves of all in a file for everyone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.errors import SetupError
from gates.receipts.checkpoint import CheckpointSigner
from storage.secrets import ensure_secret, read_secret


class InvalidSigningKey(SetupError):
    """Say that the key file holds no seed."""

    code = "invalid_signing_key"


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """Hold where the seed in use and the public keys are. The next seed stands beside the one in use while the key is changed."""

    seed: Path
    public_keys: Path

    @property
    def next_seed(self) -> Path:
        """Return where the seed of a change that is under way is."""
        return self.seed.with_name(f"{self.seed.name}.next")

    def promote_next(self) -> CheckpointSigner:
        """Put the next seed in the place of the one in use, which is gone then. Raises: InvalidSigningKey, SecretFileMissing."""
        signer = load_signer(self.next_seed)
        self.next_seed.replace(self.seed)
        folder = os.open(self.seed.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return signer


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
    """Add the public key's line to `path`, unless it is there: one line a key, the oldest first, and none is ever taken out."""
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    if signer.verifier_key not in lines:
        draft = path.with_name(f".{path.name}.draft")
        draft.write_text("".join(f"{line}\n" for line in [*lines, signer.verifier_key]), encoding="ascii")
        draft.replace(path)


def _signer_of(seed_hex: str, path: Path) -> CheckpointSigner:
    try:
        return CheckpointSigner(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed_hex)))
    except ValueError as error:
        raise InvalidSigningKey(f"{path} must hold 64 hex digits: move it away to have a new key made") from error
