"""From where a recovering server reads its log: the archive, and what a replaced cluster had not archived yet."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from storage.backup.archiving import read_system_identifier
from storage.backup.catalog import StoredBackup
from storage.backup.targets import BackupEnd, Latest, Target
from storage.backup.wal_archive import WalArchive, WalChain, WalMissing, find_chain, read_archive, require_same_cluster
from storage.backup.wal_names import last_segment_number, parse_lsn, parse_segment
from storage.embedded_files import EmbeddedFiles, ServerUser, allow_traverse, find_server_user


@dataclass(frozen=True, slots=True)
class RecoveryOrder:
    """Say what to recover up to when. `timeline` None: the one that the cluster went on with.

    `data_dir_aside` is the stopped cluster that is being replaced: WAL that it had not archived yet is used too.
    """

    backup: StoredBackup
    wal_dir: Path
    target: Target
    recovery_key: bytes = field(repr=False)
    timeline: int | None = None
    data_dir_aside: Path | None = None


def plan_wal(order: RecoveryOrder) -> tuple[WalArchive, WalChain]:
    """Return the archive and the files of it that lead to the target. Raises: WalMissing, WalDamaged, UnknownTimeline."""
    manifest = order.backup.manifest
    if isinstance(order.target, BackupEnd):
        empty = WalArchive(order.wal_dir / manifest.system_identifier, {}, {})
        return empty, WalChain(manifest.timeline, (), None)
    archive = read_archive(order.wal_dir, manifest.system_identifier)
    if not archive.folder.is_dir():
        raise WalMissing(
            f"{order.wal_dir} holds no log of this cluster ({manifest.system_identifier}): name its archive with --wal, or "
            "`--to backup` restores the base backup alone"
        )
    chain = find_chain(archive, timeline=manifest.timeline, end_lsn=parse_lsn(manifest.end_lsn), wanted_timeline=order.timeline)
    if chain.gap is not None and isinstance(order.target, Latest):
        raise explain_gap(archive, chain)
    require_same_cluster(archive, chain, manifest.system_identifier)
    return archive, chain


def explain_gap(archive: WalArchive, chain: WalChain) -> WalMissing:
    """Say which file is missing, and up to when a recovery can go without it."""
    assert chain.gap is not None
    until = "the backup's own end (--to backup)"
    if chain.last is not None:
        came_in = datetime.fromtimestamp(archive.path_of(chain.last).stat().st_mtime, UTC)
        until = f"a time before about {came_in.isoformat(timespec='seconds')}"
    return WalMissing(
        f"{archive.path_of(chain.gap)} is missing, and later files are there: what follows it cannot be recovered. Put the file "
        f"back, or restore to {until}"
    )


def make_readable(archive: WalArchive, chain: WalChain, folder: Path) -> Path:
    """Return a folder from which the server's user can read: the archive, or a copy of what is needed when it is another's."""
    user = find_server_user(EmbeddedFiles.below(folder / "pg"))
    if user is None or not chain.segments or _belongs_to(archive.folder, user):
        return archive.folder
    copy = folder / "wal"
    copy.mkdir(mode=0o700)
    histories = [archive.folder / f"{number:08X}.history.gz" for number in archive.histories]
    for source in [*map(archive.path_of, chain.segments), *histories]:
        shutil.copyfile(source, copy / source.name)
        os.chown(copy / source.name, user.uid, user.gid)
    os.chown(copy, user.uid, user.gid)
    return copy


def take_loose_wal(order: RecoveryOrder, chain: WalChain, data_dir: Path) -> int:
    """Copy what the replaced cluster had not archived; the server finds it after the archive's end. Returns how many files."""
    old = order.data_dir_aside
    if old is None or chain.gap is not None or isinstance(order.target, BackupEnd) or not old.joinpath("PG_VERSION").exists():
        return 0
    manifest = order.backup.manifest
    if read_system_identifier(old) != manifest.system_identifier:
        return 0
    last = chain.last.number if chain.last else last_segment_number(parse_lsn(manifest.end_lsn))
    taken = 0
    for path in sorted(old.joinpath("pg_wal").iterdir()):
        segment = parse_segment(path.name)
        # Files made ready for later use bear higher names too; the server sees that they hold nothing of that place.
        if segment is not None and segment.timeline == chain.timeline and segment.number > last:
            shutil.copyfile(path, data_dir / "pg_wal" / path.name)
            taken += 1
    return taken


def _belongs_to(archive: Path, user: ServerUser) -> bool:
    if archive.stat().st_uid != user.uid:
        return False
    allow_traverse(archive)
    return True
