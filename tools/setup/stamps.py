"""Remember what a finished step was made from, so that a second start does none of it again."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

STAMP_NAME = ".tellergate-stamp.json"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fingerprint(paths: Iterable[Path], *, root: Path) -> str:
    """Return one SHA-256 over names and contents of files; the order given does not matter."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root).as_posix()}\0{sha256_of(path)}\n".encode())
    return digest.hexdigest()


def read_stamp(folder: Path) -> dict[str, str]:
    """Return what the folder was made from; empty when it is missing, half made or its stamp is damaged."""
    try:
        stamp = json.loads((folder / STAMP_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    if not isinstance(stamp, dict):
        return {}
    return {str(key): str(value) for key, value in stamp.items()}


def write_stamp(folder: Path, stamp: dict[str, str]) -> None:
    """Write the stamp; the last act of a step."""
    write_atomically(folder / STAMP_NAME, json.dumps(stamp, indent=2, sort_keys=True) + "\n")


def remove_stamp(folder: Path) -> None:
    """Declare the folder half made; the first act of a step that changes it in place."""
    (folder / STAMP_NAME).unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one act, so that a crash leaves the old or the whole new text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
