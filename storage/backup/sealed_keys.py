"""The keys of an installation in one file that opens with a passphrase and nothing else.

Shape: magic and version (8 bytes), scrypt's log2(N), r, p (1 byte each), salt (16), nonce (12), then AES-256-GCM ciphertext
with its tag over a JSON object; everything before the ciphertext is bound into it. Sources: RFC 7914, NIST SP 800-38D.
"""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from domain.errors import InvalidInput, SetupError

_MAGIC = b"TGSEAL\x00\x01"
_HEADER = struct.Struct(">8sBBB16s12s")
_LOG2_N, _R, _P = 17, 8, 1
# A file that asks for more would let a stranger's backup fill our memory.
_MAX_LOG2_N, _MAX_R, _MAX_P = 20, 16, 4
_MIN_PASSPHRASE_BYTES = 12
_MAX_PASSPHRASE_BYTES = 4096
_FILE_NAME = re.compile(r"(?:secrets/)?[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


class WrongRecoveryKey(InvalidInput):
    """Say that sealed keys do not open: another passphrase, or a changed file."""

    code = "wrong_recovery_key"


class InvalidRecoveryKey(InvalidInput):
    """Say that a passphrase cannot be used."""

    code = "invalid_recovery_key"


class SealedKeysDamaged(SetupError):
    """Say that a file is no sealed set of keys that this program knows."""

    code = "sealed_keys_damaged"


@dataclass(frozen=True, slots=True)
class KeySet:
    """Hold files by their path below the installation's folder (`secrets/receipts.key`), and what they belong to."""

    belongs_to: Mapping[str, str]
    files: Mapping[str, bytes] = field(repr=False)


def read_recovery_key(path: Path) -> bytes:
    """Read the passphrase from a file that only its owner may read. Raises: SetupError, InvalidRecoveryKey."""
    try:
        mode, raw = path.stat().st_mode, path.read_bytes()[: _MAX_PASSPHRASE_BYTES + 2]
    except OSError as error:
        raise SetupError(f"cannot read the recovery key {path}: {error.strerror}", code="no_recovery_key") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SetupError(f"{path} is open to other users: chmod 600 it, and choose another key", code="recovery_key_open")
    return require_recovery_key(raw)


def require_recovery_key(raw: bytes) -> bytes:
    """Return the passphrase without its line end. Raises: InvalidRecoveryKey."""
    passphrase = raw.rstrip(b"\r\n")
    if not _MIN_PASSPHRASE_BYTES <= len(passphrase) <= _MAX_PASSPHRASE_BYTES or b"\n" in passphrase or b"\0" in passphrase:
        raise InvalidRecoveryKey(
            f"a recovery key is one line of {_MIN_PASSPHRASE_BYTES} to {_MAX_PASSPHRASE_BYTES} bytes; "
            "./tellergate backup new-key FILE makes a good one"
        )
    return passphrase


def seal_keys(keys: KeySet, passphrase: bytes) -> bytes:
    """Seal a set of keys. The same input gives other bytes each time."""
    body = {
        "belongs_to": dict(keys.belongs_to),
        "files": {name: base64.b64encode(content).decode() for name, content in sorted(keys.files.items())},
    }
    salt, nonce = os.urandom(16), os.urandom(12)
    header = _HEADER.pack(_MAGIC, _LOG2_N, _R, _P, salt, nonce)
    key = _derive(passphrase, salt, log2_n=_LOG2_N, r=_R, p=_P)
    return header + AESGCM(key).encrypt(nonce, json.dumps(body, sort_keys=True).encode(), header)


def open_keys(sealed: bytes, passphrase: bytes) -> KeySet:
    """Open a sealed set. Raises: WrongRecoveryKey, SealedKeysDamaged."""
    if len(sealed) < _HEADER.size + 16:
        raise SealedKeysDamaged("the sealed keys are cut short")
    magic, log2_n, r, p, salt, nonce = _HEADER.unpack_from(sealed)
    if magic != _MAGIC:
        raise SealedKeysDamaged("these are no sealed keys, or of a version that this program does not know")
    if not (10 <= log2_n <= _MAX_LOG2_N and 1 <= r <= _MAX_R and 1 <= p <= _MAX_P):
        raise SealedKeysDamaged("the sealed keys ask for a derivation that no version of ours wrote")
    try:
        key = _derive(passphrase, salt, log2_n=log2_n, r=r, p=p)
        body = AESGCM(key).decrypt(nonce, sealed[_HEADER.size :], sealed[: _HEADER.size])
    except InvalidTag as error:
        raise WrongRecoveryKey("the sealed keys do not open: the recovery key is another one, or the file was changed") from error
    return _read_body(body)


def _derive(passphrase: bytes, salt: bytes, *, log2_n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=1 << log2_n, r=r, p=p).derive(passphrase)


def _read_body(body: bytes) -> KeySet:
    try:
        read = json.loads(body)
        belongs_to = {str(name): str(value) for name, value in read["belongs_to"].items()}
        files = {str(name): base64.b64decode(content, validate=True) for name, content in read["files"].items()}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise SealedKeysDamaged("the sealed keys hold something else than files") from error
    for name in files:
        require_key_name(name)
    return KeySet(belongs_to=belongs_to, files=files)


def require_key_name(name: str) -> str:
    """Return a path that stays below the installation's folder. Raises: SealedKeysDamaged."""
    if not _FILE_NAME.fullmatch(name) or name in ("pg", "secrets", "run"):
        raise SealedKeysDamaged(f"the sealed keys hold a file named {name!a}, which has no place in an installation")
    return name
