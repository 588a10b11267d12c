"""Which backups there are in a backup folder, which one serves a moment, and which ones go."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from domain.errors import NotFound, SetupError
from storage.backup.durable import explain_os_error, rename_durably, size_of
from storage.backup.manifest import BackupDamaged, BackupManifest, read_manifest
from storage.backup.wal_archive import leads_to, newest_timeline, read_archive, remove_before
from storage.backup.wal_names import parse_lsn, segment_number

_BASE_DIR = "base"
_WAL_DIR = "wal"
_DRAFT_PREFIX = ".draft-"
_DOOMED_PREFIX = ".doomed-"
_LOCK_FILE = ".lock"


class BackupFolderInUse(SetupError):
    """Say that another backup runs."""

    code = "backup_running"


class NoSuchBackup(NotFound):
    """Say that there is no backup of this name or for this moment."""

    code = "no_such_backup"


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """Hold a finished backup and where it lies."""

    folder: Path
    manifest: BackupManifest


@dataclass(frozen=True, slots=True)
class Unusable:
    """Hold a folder that looks like a backup and is none."""

    folder: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """Hold what a backup folder lists, oldest first."""

    backups: tuple[StoredBackup, ...]
    unusable: tuple[Unusable, ...]


@dataclass(frozen=True, slots=True)
class Pruned:
    """Hold what retention took away."""

    backup_ids: tuple[str, ...]
    wal_files: int
    freed_bytes: int


def base_dir_of(backup_dir: Path) -> Path:
    """Return the folder of base backups."""
    return backup_dir / _BASE_DIR


def wal_dir_of(backup_dir: Path) -> Path:
    """Return the folder of the archive, which holds one folder for each cluster."""
    return backup_dir / _WAL_DIR


def wal_dir_beside(backup: StoredBackup) -> Path:
    """Return where the archive of a backup lies when the whole backup folder was carried elsewhere."""
    return wal_dir_of(backup.folder.parent.parent)


def read_catalog(backup_dir: Path) -> Catalog:
    """List the backups. A folder that was never used is empty."""
    backups: list[StoredBackup] = []
    unusable: list[Unusable] = []
    base = base_dir_of(backup_dir)
    for folder in sorted(base.iterdir()) if base.is_dir() else ():
        if folder.name.startswith("."):
            continue
        try:
            backups.append(StoredBackup(folder, read_manifest(folder)))
        except BackupDamaged as error:
            unusable.append(Unusable(folder, error.message))
    backups.sort(key=lambda backup: (backup.manifest.finished_at, backup.manifest.backup_id))
    return Catalog(tuple(backups), tuple(unusable))


def find_backup(backup_dir: Path, name: str) -> StoredBackup:
    """Find a backup by its id, or by the path of its folder. Raises: NoSuchBackup, BackupDamaged."""
    folder = base_dir_of(backup_dir) / name
    if "/" in name or not folder.is_dir():
        folder = Path(name).absolute()
    if not folder.is_dir():
        known = ", ".join(backup.manifest.backup_id for backup in read_catalog(backup_dir).backups) or "none"
        raise NoSuchBackup(f"there is no backup {name!r} in {base_dir_of(backup_dir)}, and no such folder; there are: {known}")
    return StoredBackup(folder, read_manifest(folder))


def choose_backup(backup_dir: Path, until: datetime | None) -> StoredBackup:
    """Return the newest backup that had ended by `until` (None: the newest of all) and was not given up by a later restore.

    Raises: NoSuchBackup, WalMissing, WalDamaged.
    """
    backups = read_catalog(backup_dir).backups
    if backups:
        identifier = backups[-1].manifest.system_identifier
        backups = tuple(backup for backup in backups if backup.manifest.system_identifier == identifier)
        archive = read_archive(wal_dir_of(backup_dir), identifier)
        newest = newest_timeline(archive, (backup.manifest.timeline for backup in backups))
        for backup in reversed(backups):
            told = backup.manifest
            if not leads_to(archive, newest, ancestor=told.timeline, end_lsn=parse_lsn(told.end_lsn)):
                continue
            if until is None or told.finished_at <= until:
                return backup
    when = "" if until is None else f" that had ended by {until.isoformat()}"
    raise NoSuchBackup(f"there is no backup{when} in {backup_dir}: ./tellergate backup list shows what there is")


@contextmanager
def claim_draft(backup_dir: Path, backup_id: str) -> Iterator[Path]:
    """Be the only one who writes backups here, with an empty draft folder; it goes unless `publish` moved it.

    Drafts of runs that were killed go first. Raises: BackupFolderInUse, SetupError.
    """
    base = base_dir_of(backup_dir)
    try:
        # The server, another user when we are root, must get through to the archive below.
        backup_dir.mkdir(parents=True, exist_ok=True, mode=0o711)
        base.mkdir(exist_ok=True, mode=0o700)
        lock = backup_dir.joinpath(_LOCK_FILE).open("a+", encoding="ascii")
    except OSError as error:
        raise explain_os_error(error, what=f"the backup folder {backup_dir} cannot be written") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupFolderInUse(f"another backup into {backup_dir} is running: wait for its end") from None
        for left in (*base.glob(f"{_DRAFT_PREFIX}*"), *base.glob(f"{_DOOMED_PREFIX}*")):
            shutil.rmtree(left, ignore_errors=True)
        draft = base / f"{_DRAFT_PREFIX}{backup_id}"
        draft.mkdir(mode=0o700)
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def publish(draft: Path, backup_id: str) -> Path:
    """Give a finished draft its name: from here on it is listed."""
    folder = draft.with_name(backup_id)
    rename_durably(draft, folder)
    return folder


def prune(backup_dir: Path, *, system_identifier: str, keep: int) -> Pruned:
    """Delete all but the newest `keep` backups of a cluster, and the WAL files that none of those needs.

    Backups and WAL of other clusters stay. Call it inside `claim_draft`.
    """
    backups = [one for one in read_catalog(backup_dir).backups if one.manifest.system_identifier == system_identifier]
    doomed, kept = backups[:-keep], backups[-keep:]
    freed = 0
    for backup in doomed:
        # Renamed first: a deletion that is cut off leaves nothing that looks like a backup.
        gone = backup.folder.with_name(f"{_DOOMED_PREFIX}{backup.folder.name}")
        freed += size_of(backup.folder)
        rename_durably(backup.folder, gone)
        shutil.rmtree(gone, ignore_errors=True)
    wal_files = 0
    if kept:
        needed = min(segment_number(parse_lsn(backup.manifest.start_lsn)) for backup in kept)
        wal_files, wal_bytes = remove_before(read_archive(wal_dir_of(backup_dir), system_identifier), needed)
        freed += wal_bytes
    return Pruned(tuple(backup.manifest.backup_id for backup in doomed), wal_files, freed)
