"""What lies on the disk under a name: one SHA-256 of a file's bytes, or of every file of a folder with its name."""

from __future__ import annotations

import hashlib
from pathlib import Path

from domain.errors import SetupError


class UnreadableArtifact(SetupError):
    """Say that a file that is to be measured is missing or cannot be read."""

    code = "unreadable_artifact"


def hash_path(path: Path) -> str:
    """Return the hash of a file, or of a folder's listing: each name and its file's hash, in order; hidden files stay out.

    The listing is the one that set-up writes into `models/manifest.json`. Raises: UnreadableArtifact.
    """
    try:
        if path.is_file():
            return _hash_file(path)
        files = sorted(one for one in path.rglob("*") if one.is_file() and not _is_hidden(one.relative_to(path)))
        listing = hashlib.sha256()
        for one in files:
            listing.update(f"{one.relative_to(path).as_posix()}\0{_hash_file(one)}\n".encode())
    except OSError as error:
        raise UnreadableArtifact(f"{error.filename or path} cannot be read ({error.strerror})") from error
    if not files:
        raise UnreadableArtifact(f"{path} is missing or empty")
    return listing.hexdigest()


def _hash_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)
