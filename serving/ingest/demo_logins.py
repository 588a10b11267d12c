"""The demo operators' passwords: made once on this machine, kept in one file that only its owner reads."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from domain.errors import SetupError

DEMO_LOGINS_FILE = "demo-logins.txt"
"""Its name below `var_dir`."""
_PASSWORD_BYTES = 9


class LoginsFileUnusable(SetupError):
    """Say why the file of demo logins can't be used."""

    code = "logins_file_unusable"


def ensure_logins(path: Path, usernames: Sequence[str]) -> dict[str, str]:
    """Return a password for each username: those in the file, and new ones for the rest, which are written to it (0600).

    Raises: LoginsFileUnusable.
    """
    held = read_logins(path)
    logins = {username: held.get(username) or secrets.token_urlsafe(_PASSWORD_BYTES) for username in usernames}
    if logins != held:
        _write(path, logins)
    return logins


def read_logins(path: Path) -> dict[str, str]:
    """Return what the file holds; nothing when there is no file. Raises: LoginsFileUnusable."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise LoginsFileUnusable(f"{path} can be read by others; chmod 600 it, or delete it to get new demo passwords")
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise LoginsFileUnusable(f"cannot read {path}: {type(error).__name__}") from error
    pairs = (line.split() for line in lines if line and not line.startswith("#"))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _write(path: Path, logins: dict[str, str]) -> None:
    text = "# Demo logins of this machine. Delete this file and start again to get new ones.\n" + "".join(
        f"{username:<8} {password}\n" for username, password in logins.items()
    )
    fresh = path.with_name(f"{path.name}.half-made")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise LoginsFileUnusable(f"cannot write {path}: {error.strerror}") from error
