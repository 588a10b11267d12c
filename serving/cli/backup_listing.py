"""`backup list`: what could be restored now, what it takes on disk, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from serving.cli.recovering import list_new_secrets, read_archiver
from serving.settings import Settings
from storage.backup.catalog import StoredBackup, read_catalog, wal_dir_of
from storage.backup.durable import size_of
from storage.backup.wal_archive import find_chain, read_archive
from storage.backup.wal_names import parse_lsn


@dataclass(frozen=True, slots=True)
class Listed:
    """Hold one backup with its bytes and whether the archive goes on from it without a gap."""

    backup: StoredBackup
    size_bytes: int
    reaches: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Hold everything that `backup list` says. `newest_wal_at`: when the archive took its last file."""

    folder: str
    backups: tuple[Listed, ...]
    wal_files: int
    wal_bytes: int
    newest_wal_at: datetime | None
    faults: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "folder": self.folder,
            "backups": [
                {
                    "backup_id": one.backup.manifest.backup_id,
                    "finished_at": one.backup.manifest.finished_at.isoformat(),
                    "end_lsn": one.backup.manifest.end_lsn,
                    "timeline": one.backup.manifest.timeline,
                    "bytes": one.size_bytes,
                    "reaches": one.reaches,
                    "schema_revision": one.backup.manifest.schema_revision,
                    "tenants": list(one.backup.manifest.tenant_ids),
                }
                for one in self.backups
            ],
            "archive": {
                "files": self.wal_files,
                "bytes": self.wal_bytes,
                "newest_at": None if self.newest_wal_at is None else self.newest_wal_at.isoformat(),
            },
            "faults": list(self.faults),
        }


def read_listing(settings: Settings) -> Listing:
    """Look at the backup folder and, where a service runs, at its archiver. Raises: WalDamaged, psycopg.Error."""
    catalog = read_catalog(settings.backup_dir)
    wal_dir = wal_dir_of(settings.backup_dir)
    folders = sorted(path for path in wal_dir.iterdir() if path.is_dir()) if wal_dir.is_dir() else []
    archives = [read_archive(wal_dir, folder.name) for folder in folders]
    times = [archive.newest_at for archive in archives if archive.newest_at is not None]
    faults = [f"{one.folder.name} is no usable backup: {one.reason}" for one in catalog.unusable]
    faults += _archiver_faults(settings)
    newest = catalog.backups[-1] if catalog.backups else None
    if fresh := list_new_secrets(settings, newest):
        faults.append(f"made after the newest backup, so not in it: {', '.join(fresh)}. Make a backup")
    return Listing(
        folder=str(settings.backup_dir),
        backups=tuple(Listed(one, size_of(one.folder), _reach(settings, one)) for one in catalog.backups),
        wal_files=sum(len(archive.segments) for archive in archives),
        wal_bytes=sum(archive.bytes_on_disk for archive in archives),
        newest_wal_at=max(times, default=None),
        faults=tuple(faults),
    )


def print_listing(listing: Listing) -> None:
    """Print it for people."""
    if not listing.backups:
        print(f"no backup in {listing.folder}")
    for one in listing.backups:
        manifest = one.backup.manifest
        size = f"{one.size_bytes / 2**20:.1f} MB"
        print(f"{manifest.backup_id}  {manifest.finished_at:%Y-%m-%d %H:%M:%S} UTC  {size:>12}  {one.reaches}")
    newest = "never" if listing.newest_wal_at is None else f"{listing.newest_wal_at:%Y-%m-%d %H:%M:%S} UTC"
    print(f"archive: {listing.wal_files} files, {listing.wal_bytes / 2**20:.1f} MB, the last at {newest}")
    _print_faults(listing.faults)


def _print_faults(faults: Sequence[str]) -> None:
    for fault in faults:
        print(f"WRONG {fault}")


def _reach(settings: Settings, backup: StoredBackup) -> str:
    manifest = backup.manifest
    archive = read_archive(wal_dir_of(settings.backup_dir), manifest.system_identifier)
    chain = find_chain(
        archive, timeline=manifest.timeline, end_lsn=parse_lsn(manifest.end_lsn), wanted_timeline=manifest.timeline
    )
    if chain.gap is not None:
        return f"then {len(chain.segments)} log files, and a gap at {chain.gap.file_name}"
    return f"then {len(chain.segments)} log files"


def _archiver_faults(settings: Settings) -> list[str]:
    archiver = read_archiver(settings)
    if archiver is None or archiver["failing_wal"] is None:
        return []
    since = f"{archiver['failing_since']:%Y-%m-%d %H:%M:%S} UTC"
    fault = (
        f"the archive does not take {archiver['failing_wal']} since {since}: {settings.var_dir / 'pg' / 'server.log'} says why. "
        "Until it does, the log stays in the data directory and fills its disk"
    )
    return [fault]
