"""Make a base backup of the running server, with the keys sealed beside it."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from domain.clock import require_utc
from domain.errors import SetupError
from storage.backup.catalog import Pruned, StoredBackup, claim_draft, prune, publish, wal_dir_of
from storage.backup.durable import explain_os_error, require_room, size_of, sync_folder, write_durably
from storage.backup.manifest import (
    DATA_DIR,
    KEYS_FILE,
    MANIFEST_FILE,
    BackupManifest,
    digest_of_path,
    read_server_manifest,
)
from storage.backup.sealed_keys import KeySet, require_key_name, seal_keys
from storage.backup.wal_archive import read_archive
from storage.backup.wal_names import Segment, last_segment_number, parse_lsn
from storage.migrate import read_revision
from storage.named_queries import load_queries
from storage.server_address import ServerAddress

_QUERIES = load_queries(Path(__file__).parent / "sql" / "backup.sql")
# WAL of the time that the copy takes, and the sealed keys.
_ROOM_BYTES = 256 * 1024 * 1024
_ARCHIVED_WITHIN_S = 30.0
_NICENESS = 5
_PR_SET_PDEATHSIG = 1
_PRCTL = ctypes.CDLL(None).prctl
_PERMISSION_OR_PASSWORD = re.compile(r'password=\S+|"[^"]*password[^"]*"')


class BackupFailed(SetupError):
    """Say why no backup was made."""

    code = "backup_failed"


@dataclass(frozen=True, slots=True)
class BackupOrder:
    """Say what to back up, and where to. `key_files` are paths below `var_dir`; `password` is the superuser's."""

    backup_dir: Path
    var_dir: Path
    key_files: Sequence[str]
    bin_dir: Path
    address: ServerAddress
    superuser: str
    product_version: str
    keep: int
    password: str = field(repr=False)
    recovery_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BackupMade:
    """Hold a finished backup. `archived`: the archive has taken the WAL up to its end, so it works."""

    backup: StoredBackup
    pruned: Pruned
    bytes_on_disk: int
    archived: bool
    took_s: float


def create_backup(order: BackupOrder) -> BackupMade:
    """Copy the running cluster, seal the keys, check the copy's list, give it its name, then let old backups go.

    Interrupted at any point: no backup, and the next run clears what was left. Raises: BackupFailed, DiskFull,
    BackupFolderInUse, psycopg.Error.
    """
    began = time.monotonic()
    dsn = order.address.dsn(order.superuser, order.password)
    with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        facts = _read_facts(connection)
        if facts["archive_mode"] == "off":
            raise BackupFailed("this server keeps no archive of its log: start it with ./tellergate up")
        backup_id = f"{facts['now']:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        with claim_draft(order.backup_dir, backup_id) as draft:
            require_room(draft, int(facts["data_bytes"]) + _ROOM_BYTES, what="a base backup")
            try:
                _copy_cluster(order, draft / DATA_DIR, backup_id)
                manifest = _describe(order, draft, connection, backup_id, facts)
                folder = publish(_write_manifest(draft, manifest), backup_id)
            except OSError as error:
                raise explain_os_error(error, what="the backup could not be written") from error
            pruned = prune(order.backup_dir, system_identifier=manifest.system_identifier, keep=order.keep)
        archived = _wait_until_archived(order.backup_dir, manifest)
    backup = StoredBackup(folder, manifest)
    return BackupMade(backup, pruned, size_of(folder), archived=archived, took_s=time.monotonic() - began)


def read_key_files(var_dir: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Return every file of the secrets folder and the named ones beside it that exist. Raises: SetupError without secrets."""
    secrets_dir = var_dir / "secrets"
    files = {
        f"secrets/{path.name}": path.read_bytes()
        for path in sorted(secrets_dir.glob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    if not files:
        raise SetupError(f"there are no secrets in {secrets_dir}: this is no installation", code="no_secrets")
    files |= {name: var_dir.joinpath(name).read_bytes() for name in names if var_dir.joinpath(name).is_file()}
    for name in files:
        require_key_name(name)
    return files


def _read_facts(connection: psycopg.Connection[dict[str, Any]]) -> dict[str, Any]:
    facts = connection.execute(_QUERIES["read_server_facts"]).fetchone()
    assert facts is not None
    return {**facts, "now": require_utc(facts["now"])}


def _copy_cluster(order: BackupOrder, target: Path, backup_id: str) -> None:
    """Let pg_basebackup copy and sync the cluster with the WAL that makes it consistent; it checks each page's checksum."""
    done = subprocess.run(
        [
            str(order.bin_dir / "pg_basebackup"), "--pgdata", str(target), "--format=plain", "--wal-method=stream",
            "--checkpoint=fast", "--manifest-checksums=SHA256", f"--label=tellergate {backup_id}", "--no-password",
            "--host", order.address.host, "--port", str(order.address.port), "--username", order.superuser,
        ],
        env={"PATH": os.defpath, "PGPASSWORD": order.password, "PGCONNECT_TIMEOUT": "10", "TZ": "UTC"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        preexec_fn=_prepare_child,
    )  # fmt: skip
    if done.returncode != 0:
        said = _PERMISSION_OR_PASSWORD.sub("", done.stderr).strip()[-1000:]
        if "No space left on device" in said or "File too large" in said or "quota exceeded" in said:
            raise explain_os_error(OSError(28, "No space left on device", str(target)), what="the backup could not be written")
        raise BackupFailed(f"no backup was made: pg_basebackup said: {said}")


def _prepare_child() -> None:
    _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(_NICENESS)


def _describe(
    order: BackupOrder,
    draft: Path,
    connection: psycopg.Connection[dict[str, Any]],
    backup_id: str,
    facts: dict[str, Any],
) -> BackupManifest:
    copied = read_server_manifest(draft / DATA_DIR)
    admin_dsn = order.address.dsn(order.superuser, order.password)
    # Keys are read after the copy: a key that rows of the copy need was made before them.
    keys = read_key_files(order.var_dir, order.key_files)
    files = connection.execute(_QUERIES["list_schema_files"]).fetchall()
    schema = "".join(f"{row['name']} {row['sha256']}\n" for row in files)
    manifest = BackupManifest(
        backup_id=backup_id,
        product_version=order.product_version,
        postgres_version=facts["postgres_version"],
        system_identifier=copied.system_identifier,
        dbname=order.address.dbname,
        timeline=copied.timeline,
        start_lsn=copied.start_lsn,
        end_lsn=copied.end_lsn,
        started_at=facts["now"],
        finished_at=_read_now(connection),
        schema_revision=read_revision(admin_dsn),
        schema_files_sha256=hashlib.sha256(schema.encode()).hexdigest(),
        tenant_ids=tuple(row["tenant_id"] for row in connection.execute(_QUERIES["list_tenants"])),
        data_bytes=size_of(draft / DATA_DIR),
        server_manifest_sha256=digest_of_path(draft.joinpath(DATA_DIR, "backup_manifest")),
        keys_sha256="0" * 64,
        key_files=tuple(sorted(keys)),
    )
    sealed = seal_keys(KeySet(belongs_to=manifest.identity(), files=keys), order.recovery_key)
    write_durably(draft / KEYS_FILE, sealed)
    return manifest.model_copy(update={"keys_sha256": hashlib.sha256(sealed).hexdigest()})


def _read_now(connection: psycopg.Connection[dict[str, Any]]) -> datetime:
    now: datetime = _read_facts(connection)["now"]
    return now


def _write_manifest(draft: Path, manifest: BackupManifest) -> Path:
    write_durably(draft / MANIFEST_FILE, manifest.model_dump_json(indent=1).encode())
    sync_folder(draft)
    return draft


def _wait_until_archived(backup_dir: Path, manifest: BackupManifest) -> bool:
    """Say whether the archive takes the file in which the backup ended; the server closed it at the backup's end."""
    wanted = Segment(manifest.timeline, last_segment_number(parse_lsn(manifest.end_lsn)))
    deadline = time.monotonic() + _ARCHIVED_WITHIN_S
    while True:
        if wanted in read_archive(wal_dir_of(backup_dir), manifest.system_identifier).segments:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
