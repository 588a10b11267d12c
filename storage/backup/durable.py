"""Files that are there whole after a power cut, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from domain.errors import SetupError


class DiskFull(SetupError):
    """Say that a folder has too little room."""

    code = "disk_full"


def write_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a new file and wait until it is on the disk. Raises: FileExistsError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the folder's list of names is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename_durably(source: Path, target: Path) -> None:
    """Rename within a file system and wait until both folders know."""
    source.rename(target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def copy_folder(source: Path, target: Path) -> None:
    """Copy files and folders with their modes, and stop at the first fault. Raises: OSError that names it."""
    target.mkdir(mode=0o700)
    for path in sorted(source.iterdir()):
        if path.is_dir() and not path.is_symlink():
            copy_folder(path, target / path.name)
        else:
            shutil.copy2(path, target / path.name, follow_symlinks=False)


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder; what goes away meanwhile counts nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(place, name).lstat().st_size
            except FileNotFoundError:
                continue
    return total


def require_room(folder: Path, needed_bytes: int, *, what: str) -> None:
    """Raises: DiskFull that says how much is missing."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise DiskFull(
            f"{what} needs about {-(-needed_bytes // 2**20)} MB in {folder} and {free // 2**20} MB are free: free some space, or "
            "choose a folder on a larger disk"
        )


def explain_os_error(error: OSError, *, what: str) -> SetupError:
    """Return what went wrong with a file in words, naming the file."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFull(f"{what}: no room left{where}; nothing was left half done. Free some space, or choose another disk")
    return SetupError(f"{what}: {error.strerror}{where}; nothing was left half done", code="path_not_usable")
