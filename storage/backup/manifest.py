"""What a base backup says of itself, and whether its files are still those that were written."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import SetupError

MANIFEST_FILE = "backup.json"
KEYS_FILE = "keys.sealed"
DATA_DIR = "data"
_SERVER_MANIFEST = "backup_manifest"
# Made by whoever starts a server on a copy; no part of the backup. Source: pg_verifybackup.
_NOT_IN_MANIFEST = frozenset({_SERVER_MANIFEST, "postgresql.auto.conf", "recovery.signal", "standby.signal"})
_CHUNK_BYTES = 1 << 20

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BackupDamaged(SetupError):
    """Say what of a backup is not as it was written."""

    code = "backup_damaged"


class BackupManifest(BaseModel):
    """Hold what is known of a base backup. Written last, so a folder that has one is whole.

    `end_lsn` is the first position at which the copy is consistent; `finished_at` is the server's time after it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["tellergate-backup/1"] = "tellergate-backup/1"
    backup_id: Annotated[str, Field(pattern=r"^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}$")]
    product_version: str
    postgres_version: str
    system_identifier: Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]
    dbname: str
    timeline: Annotated[int, Field(ge=1)]
    start_lsn: str
    end_lsn: str
    started_at: datetime
    finished_at: datetime
    schema_revision: str
    schema_files_sha256: Sha256
    tenant_ids: tuple[str, ...]
    data_bytes: Annotated[int, Field(ge=0)]
    server_manifest_sha256: Sha256
    keys_sha256: Sha256
    key_files: tuple[str, ...]

    def identity(self) -> dict[str, str]:
        """Return what the sealed keys are bound to: whoever changes the files cannot make keys that fit them."""
        return {
            "backup_id": self.backup_id,
            "system_identifier": self.system_identifier,
            "end_lsn": self.end_lsn,
            "server_manifest_sha256": self.server_manifest_sha256,
        }


class ServerManifest(BaseModel):
    """Hold what we use of the list that pg_basebackup writes. Source: PostgreSQL 18 manual, chapter 69."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    system_identifier: str
    timeline: int
    start_lsn: str
    end_lsn: str
    files: dict[str, tuple[int, str]]
    """Path to bytes and SHA-256."""


def read_manifest(folder: Path) -> BackupManifest:
    """Read a backup's own description. Raises: BackupDamaged."""
    path = folder / MANIFEST_FILE
    try:
        return BackupManifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BackupDamaged(f"{folder} is no finished backup: {path.name}: {error.strerror}") from error
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        raise BackupDamaged(f"{path} cannot be read: {fault['loc'][0] if fault['loc'] else ''} {fault['msg']}") from error


def read_server_manifest(data_dir: Path) -> ServerManifest:
    """Read the server's list of files and check its own checksum. Raises: BackupDamaged."""
    path = data_dir / _SERVER_MANIFEST
    try:
        raw = path.read_bytes()
        # The checksum covers all bytes before its own line.
        covered = raw[: raw.rindex(b'"Manifest-Checksum"')]
        body: dict[str, Any] = json.loads(raw)
        ranges = body["WAL-Ranges"]
        found = ServerManifest(
            system_identifier=str(body["System-Identifier"]),
            timeline=ranges[-1]["Timeline"],
            start_lsn=ranges[0]["Start-LSN"],
            end_lsn=ranges[-1]["End-LSN"],
            files={_path_of(entry): (entry["Size"], entry["Checksum"]) for entry in body["Files"]},
        )
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise BackupDamaged(f"{path} cannot be read: the list of the backup's files was changed or is missing") from error
    if hashlib.sha256(covered).hexdigest() != body["Manifest-Checksum"]:
        raise BackupDamaged(f"{path} was changed: its own checksum differs")
    return found


def check_data_files(data_dir: Path, manifest: BackupManifest) -> int:
    """Compare every file with the list; return the bytes read. Raises: BackupDamaged that names the first fault.

    The package's own pg_verifybackup ends with a segmentation fault, whatever it is asked.
    """
    if digest_of_path(data_dir / _SERVER_MANIFEST) != manifest.server_manifest_sha256:
        raise BackupDamaged(f"{data_dir / _SERVER_MANIFEST} is not the one that the backup was written with")
    listed = read_server_manifest(data_dir).files
    total = 0
    for name, (size, checksum) in sorted(listed.items()):
        path = data_dir / name
        try:
            actual = path.stat().st_size
        except OSError as error:
            raise BackupDamaged(f"{path} is missing from the backup") from error
        if actual != size:
            raise BackupDamaged(f"{path} holds {actual} bytes and not {size}: it was cut short or changed")
        if digest_of_path(path) != checksum:
            raise BackupDamaged(f"{path} was changed: its checksum differs")
        total += size
    for path in data_dir.rglob("*"):
        name = path.relative_to(data_dir).as_posix()
        if path.is_file() and name not in listed and name not in _NOT_IN_MANIFEST and not name.startswith("pg_wal/"):
            raise BackupDamaged(f"{path} is no file of the backup")
    return total


def digest_of_path(path: Path) -> str:
    """Return a file's SHA-256. Raises: BackupDamaged where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise BackupDamaged(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _path_of(entry: dict[str, Any]) -> str:
    if "Encoded-Path" in entry:
        return bytes.fromhex(entry["Encoded-Path"]).decode("utf-8", "surrogateescape")
    return str(entry["Path"])
