"""Secrets that live in files: one value a file, mode 0600, made once and never overwritten."""

from __future__ import annotations

import os
import secrets as random_source
import stat
from pathlib import Path

from domain.errors import SetupError


class SecretFileInsecure(SetupError):
    """Say that others than the owner may read a secret file."""

    code = "secret_file_insecure"


class SecretFileMissing(SetupError):
    """Say that a secret file is not there or empty."""

    code = "secret_file_missing"


def read_secret(path: Path) -> str:
    """Read a secret. Raises: SecretFileMissing, SecretFileInsecure."""
    try:
        mode = path.stat().st_mode
        value = path.read_text(encoding="ascii")
    except OSError as error:
        raise SecretFileMissing(f"cannot read the secret file {path}: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretFileInsecure(f"{path} is open to other users: run chmod 600 on it, and replace the secret")
    if not value.strip():
        raise SecretFileMissing(f"the secret file {path} is empty")
    return value.strip()


def ensure_secret(path: Path) -> str:
    """Return the secret in `path`; make one of 256 random bits (64 hex digits) first if there is none. Idempotent."""
    if not path.exists():
        _write_once(path, random_source.token_hex(32))
    return read_secret(path)


def keep_secret(path: Path, value: str) -> str:
    """Keep a secret that was made elsewhere, unless there is one already; return what stands in `path`. One line of ASCII."""
    _write_once(path, value)
    return read_secret(path)


def _write_once(path: Path, value: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The link makes the file appear whole or not at all, and the first of two writers wins.
    draft = path.with_name(f".{path.name}.{random_source.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(value + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
