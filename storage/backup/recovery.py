"""Make a running server out of a base backup and the archive, in a folder that nobody uses yet."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from domain.errors import BrokenInvariant
from storage.backup.archiving import fetch_command
from storage.backup.catalog import StoredBackup
from storage.backup.durable import copy_folder, explain_os_error, require_room, sync_folder, write_durably
from storage.backup.log_source import RecoveryOrder, explain_gap, make_readable, plan_wal, take_loose_wal
from storage.backup.manifest import DATA_DIR, KEYS_FILE, BackupDamaged, BackupManifest, check_data_files, digest_of_path
from storage.backup.sealed_keys import KeySet, open_keys
from storage.backup.targets import BackupEnd, InvalidTarget, Latest, Target, UntilTime, recovery_settings
from storage.backup.wal_archive import WalChain, WalDamaged, read_archive
from storage.backup.wal_names import parse_lsn, segment_number
from storage.embedded import DatabaseNotStarted, EmbeddedPostgres
from storage.named_queries import load_queries
from storage.server_address import ServerAddress

_QUERIES = load_queries(Path(__file__).parent / "sql" / "backup.sql")
_ROOM_BYTES = 256 * 1024 * 1024
# A recovery takes as long as there is log; a server that hangs is stopped by whoever waits.
_RECOVERY_TIMEOUT_S = 7 * 24 * 3600.0
_LAST_COMMIT = re.compile(r"last completed transaction was at log time (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)\+00")
_REDO_DONE = re.compile(r"redo done at ([0-9A-F]+/[0-9A-F]+)")
_UNREACHED = "recovery ended before configured recovery target was reached"
_NOT_RESTORED = re.compile(r'could not restore file "([0-9A-F]+(?:\.history)?)" from archive')
_TOO_EARLY = ("requested recovery stop point is before consistent recovery point", "WAL ends before end of online backup")


class RecoveryFailed(BrokenInvariant):
    """Say why a copy could not be brought to its target."""

    code = "recovery_failed"


@dataclass(frozen=True, slots=True)
class Recovered:
    """Hold a recovered, running installation. `last_commit_at` None: the archive brought no commit after the base backup.

    `copied_s` and `replayed_s` are how long the copy with its checks and the replay took.
    """

    folder: Path
    server: EmbeddedPostgres
    manifest: BackupManifest
    target: Target
    lsn: str
    timeline: int
    from_timeline: int
    last_commit_at: datetime | None
    wal_files: int
    loose_wal_files: int
    copied_s: float
    replayed_s: float

    @property
    def address(self) -> ServerAddress:
        """Return where our database is."""
        return self.server.address.with_dbname(self.manifest.dbname)

    @property
    def secrets_dir(self) -> Path:
        """Return the folder of the restored secrets."""
        return self.folder / "secrets"


@contextmanager
def recover(order: RecoveryOrder, folder: Path) -> Iterator[Recovered]:
    """Fill the empty `folder` with `pg`, `secrets` and the files beside them, and run the recovered server during the block.

    The server is stopped cleanly at the end; the files stay. The archive is only read, and nothing is sent to it.
    Raises: InvalidTarget, WrongRecoveryKey, BackupDamaged, WalMissing, WalDamaged, UnknownTimeline, RecoveryFailed, SetupError.
    """
    began = time.monotonic()
    manifest = order.backup.manifest
    require_target_after_backup(order.target, manifest)
    keys = open_backup_keys(order.backup, order.recovery_key)
    archive, chain = plan_wal(order)
    home = folder / "pg"
    try:
        require_room(folder, manifest.data_bytes + _ROOM_BYTES, what="the restored data")
        _write_keys(folder, keys)
        home.mkdir(mode=0o711)
        copy_folder(order.backup.folder / DATA_DIR, home / "data")
        check_data_files(home / "data", manifest)
        write_durably(home.joinpath("data", "recovery.signal"), b"")
        loose = take_loose_wal(order, chain, home / "data")
        settings = _settings(order, chain, make_readable(archive, chain, folder))
    except OSError as error:
        raise explain_os_error(error, what="the backup could not be restored") from error
    copied_at = time.monotonic()
    server = EmbeddedPostgres(home=home, secrets_dir=folder / "secrets", settings=settings, start_timeout_s=_RECOVERY_TIMEOUT_S)
    try:
        _start(server, order, chain)
        replayed_at = time.monotonic()
        recovered = _look_at(server, order, chain, folder)
        yield replace(recovered, loose_wal_files=loose, copied_s=copied_at - began, replayed_s=replayed_at - copied_at)
    finally:
        server.stop()
        shutil.rmtree(folder / "wal", ignore_errors=True)


def require_target_after_backup(target: Target, manifest: BackupManifest) -> None:
    """Refuse a moment at which the base backup was not yet whole. Raises: InvalidTarget."""
    if isinstance(target, UntilTime) and target.moment < manifest.finished_at:
        raise InvalidTarget(
            f"backup {manifest.backup_id} was not complete before {manifest.finished_at.isoformat()}: to go to "
            f"{target.moment.isoformat()}, choose an older backup (./tellergate backup list)"
        )


def open_backup_keys(backup: StoredBackup, recovery_key: bytes) -> KeySet:
    """Open the keys of a backup and check that they belong to it. Raises: WrongRecoveryKey, BackupDamaged."""
    path = backup.folder / KEYS_FILE
    if digest_of_path(path) != backup.manifest.keys_sha256:
        raise BackupDamaged(f"{path} was changed or cut short: its checksum differs")
    keys = open_keys(path.read_bytes(), recovery_key)
    if dict(keys.belongs_to) != backup.manifest.identity():
        raise BackupDamaged(f"{path} is not of this backup: its description was changed after the keys were sealed")
    return keys


def _write_keys(folder: Path, keys: KeySet) -> None:
    secrets_dir = folder / "secrets"
    secrets_dir.mkdir(mode=0o700)
    for name, content in keys.files.items():
        # The public key is for everyone; all else is the owner's alone.
        write_durably(folder / name, content, mode=0o644 if name.endswith(".pub") else 0o600)
    sync_folder(secrets_dir)
    sync_folder(folder)


def _settings(order: RecoveryOrder, chain: WalChain, archive: Path) -> dict[str, str]:
    settings = recovery_settings(order.target, timeline=chain.timeline)
    # The backup brings the log up to its own end; the archive is not asked for it.
    fetch = "false" if isinstance(order.target, BackupEnd) else fetch_command(archive)
    # Without hot standby the server says "ready" only when the recovery is over and it takes writes.
    return settings | {"restore_command": fetch, "hot_standby": "off", "archive_mode": "off"}


def _start(server: EmbeddedPostgres, order: RecoveryOrder, chain: WalChain) -> None:
    try:
        server.start()
    except DatabaseNotStarted as error:
        raise _explain(error.message, order, chain) from error


def _explain(said: str, order: RecoveryOrder, chain: WalChain) -> Exception:
    damaged = _NOT_RESTORED.search(said)
    if damaged is not None:
        return WalDamaged(
            f"{damaged[1]} in the archive cannot be read: it was changed or cut short. Put a whole copy of it back, or restore "
            "to a time before it"
        )
    if _UNREACHED in said:
        if chain.gap is not None:
            return explain_gap(read_archive(order.wal_dir, order.backup.manifest.system_identifier), chain)
        last = _last_commit(said)
        ends = "no commit after the base backup" if last is None else f"{last.isoformat()} as its last commit"
        return InvalidTarget(
            f"the archive holds {ends}, which is before the time asked for: restore to `latest`, which loses nothing of it",
            code="target_not_reached",
        )
    if any(fault in said for fault in _TOO_EARLY):
        return RecoveryFailed("the log that the backup needs to be consistent is not all there: choose another backup")
    return RecoveryFailed(f"the restored server did not start: {said[-1500:]}")


def _look_at(server: EmbeddedPostgres, order: RecoveryOrder, chain: WalChain, folder: Path) -> Recovered:
    log = server.files.read_log(0)
    done = _REDO_DONE.findall(log)
    if isinstance(order.target, Latest) and chain.last is not None:
        reached = segment_number(parse_lsn(done[-1])) if done else -1
        if reached < chain.last.number:
            raise WalDamaged(
                f"the recovery ended at {done[-1] if done else 'no record'}, before {chain.last.file_name}, the last file of the "
                "archive: a file between them is not whole. Restore to a time before it"
            )
    with psycopg.connect(server.admin_dsn(order.backup.manifest.dbname)) as connection:
        row = connection.execute(_QUERIES["read_position"]).fetchone()
    assert row is not None
    return Recovered(
        folder=folder,
        server=server,
        manifest=order.backup.manifest,
        target=order.target,
        lsn=done[-1] if done else str(row[0]),
        timeline=int(row[1]),
        from_timeline=chain.timeline,
        last_commit_at=_last_commit(log),
        wal_files=len(chain.segments),
        loose_wal_files=0,
        copied_s=0.0,
        replayed_s=0.0,
    )


def _last_commit(log: str) -> datetime | None:
    found = _LAST_COMMIT.findall(log)
    return datetime.fromisoformat(found[-1]).replace(tzinfo=UTC) if found else None
