"""The commands `backup create|list|verify|new-key` and `restore`."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from psycopg import Error as DatabaseError

from domain.errors import SetupError, TellergateError
from serving.cli.output import fail, print_json, say
from serving.settings import read_settings

if TYPE_CHECKING:
    from serving.cli.recovering import Restored
    from storage.backup.create import BackupMade

backup_app = typer.Typer(help="Back up the database with its keys, list and verify backups.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
KeyFile = Annotated[
    Path, typer.Option("--recovery-key", help="The file with the passphrase that seals the keys. Keep it elsewhere.")
]
WalDir = Annotated[Path | None, typer.Option("--wal", help="The archive's folder, where it does not lie beside the backup.")]
From = Annotated[str | None, typer.Option("--from", help="A backup's id or folder. Left out: the newest that serves.")]


@backup_app.command("new-key")
def new_key(file: Annotated[Path, typer.Argument(help="A file that is not there yet.")]) -> None:
    """Make a recovery key. Without it no backup can be restored; with it and a backup, everything can."""
    from serving.cli.recovering import make_recovery_key

    try:
        make_recovery_key(file)
    except TellergateError as error:
        fail(error, as_json=False)
    say(f"{file}: keep a copy where neither this machine nor its backups are")


@backup_app.command()
def create(
    recovery_key: KeyFile,
    keep: Annotated[int, typer.Option("--keep", min=1, max=1000, help="Older base backups beyond this number go.")] = 7,
    as_json: Json = False,
) -> None:
    """Make a base backup, online, with the keys sealed. Exit 1 too when the archive does not take the log."""
    from serving.cli.recovering import require_key_apart, run_create
    from storage.backup.sealed_keys import read_recovery_key

    try:
        settings = read_settings()
        require_key_apart(recovery_key, settings)
        made = run_create(settings, recovery_key=read_recovery_key(recovery_key), keep=keep)
    except TellergateError as error:
        fail(error, as_json=as_json)
    except DatabaseError as error:
        fail(_database_said(error), as_json=as_json)
    if as_json:
        print_json(_made_as_json(made))
    else:
        _print_made(made)
    sys.exit(0 if made.archived else 1)


@backup_app.command("list")
def list_backups(as_json: Json = False) -> None:
    """List backups, the archive, and whether it keeps up. Exit 1 when something is wrong."""
    from serving.cli.backup_listing import print_listing, read_listing

    try:
        listing = read_listing(read_settings())
    except TellergateError as error:
        fail(error, as_json=as_json)
    except DatabaseError as error:
        fail(_database_said(error), as_json=as_json)
    if as_json:
        print_json(listing.as_json())
    else:
        print_listing(listing)
    sys.exit(1 if listing.faults else 0)


@backup_app.command()
def verify(
    recovery_key: KeyFile,
    backup: From = None,
    wal: WalDir = None,
    scratch: Annotated[Path | None, typer.Option("--scratch", help="Where to restore for the check.")] = None,
    as_json: Json = False,
) -> None:
    """Restore into a folder that goes again, with all of the archive, and check what came back. Exit 1 if it is not right."""
    from serving.cli.recovering import run_verify
    from storage.backup.sealed_keys import read_recovery_key

    try:
        key = read_recovery_key(recovery_key)
        verified = run_verify(read_settings(), name=backup, recovery_key=key, wal_dir=wal, scratch=scratch)
    except TellergateError as error:
        fail(error, as_json=as_json)
    except DatabaseError as error:
        fail(_database_said(error), as_json=as_json)
    _print_outcome(verified, as_json=as_json)
    sys.exit(0 if verified.checked.is_right else 1)


def restore(
    to: Annotated[str, typer.Option("--to", help="latest, backup, or a time: every commit up to it, it included.")],
    into: Annotated[Path, typer.Option("--into", help="The folder of the installation: TELLERGATE_VAR_DIR.")],
    recovery_key: KeyFile,
    backup: From = None,
    wal: WalDir = None,
    timeline: Annotated[int | None, typer.Option("--timeline", min=1, help="For what an earlier restore gave up.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Restore where something stands, and keep that aside.")] = False,
    despite: Annotated[bool, typer.Option("--despite-findings", help="Put it in place although a check failed.")] = False,
    as_json: Json = False,
) -> None:
    """Restore database and keys up to a moment, check them, and say what came back."""
    from serving.cli.recovering import RestoreRequest, run_restore
    from storage.backup.sealed_keys import read_recovery_key

    try:
        request = RestoreRequest(
            to=to, into=into.absolute(), recovery_key=read_recovery_key(recovery_key), backup_name=backup, wal_dir=wal,
            timeline=timeline, replace=replace, despite_findings=despite,
        )  # fmt: skip
        restored = run_restore(read_settings(), request, say=say)
    except TellergateError as error:
        fail(error, as_json=as_json)
    except DatabaseError as error:
        fail(_database_said(error), as_json=as_json)
    _print_outcome(restored, as_json=as_json)
    sys.exit(0 if restored.checked.is_right else 1)


def _database_said(error: DatabaseError) -> SetupError:
    return SetupError(f"the database said: {str(error).strip().partition(chr(10))[0][:300]}", code="database_error")


def _made_as_json(made: BackupMade) -> dict[str, Any]:
    manifest = made.backup.manifest
    return {
        "backup_id": manifest.backup_id,
        "folder": str(made.backup.folder),
        "bytes": made.bytes_on_disk,
        "took_ms": int(made.took_s * 1000),
        "end_lsn": manifest.end_lsn,
        "finished_at": _time(manifest.finished_at),
        "archived": made.archived,
        "removed": {
            "backups": list(made.pruned.backup_ids),
            "wal_files": made.pruned.wal_files,
            "bytes": made.pruned.freed_bytes,
        },
    }


def _print_made(made: BackupMade) -> None:
    manifest = made.backup.manifest
    print(f"backup     {manifest.backup_id}, {_megabytes(made.bytes_on_disk)}, {made.took_s:.1f} s")
    print(f"folder     {made.backup.folder}")
    print(f"reaches    {manifest.end_lsn} at {_time(manifest.finished_at)}; later moments come from the archive")
    if made.pruned.backup_ids or made.pruned.wal_files:
        removed = f"{len(made.pruned.backup_ids)} older backups and {made.pruned.wal_files} files of the archive"
        print(f"removed    {removed}, {_megabytes(made.pruned.freed_bytes)}")
    if not made.archived:
        say("the backup is whole, but the archive does not take the log: see ./tellergate backup list and var/pg/server.log")


def _print_outcome(restored: Restored, *, as_json: bool) -> None:
    if as_json:
        print_json(_outcome_as_json(restored))
        return
    system = restored.system
    print(f"backup     {system.manifest.backup_id}")
    print(
        f"recovered  to {system.lsn}, timeline {system.timeline}; last commit {_time(system.last_commit_at) or 'in the backup'}"
    )
    print(f"log files  {system.wal_files} from the archive, {system.loose_wal_files} that had not been archived")
    for end in restored.checked.ends:
        if end.last_transfer is not None:
            print(f"transfer   {end.tenant_id}: the last is {end.last_transfer}, {_time(end.last_transfer_at)}")
        if end.checkpoint is not None:
            size, root = end.checkpoint.tree_size, end.checkpoint.root.hex()
            print(f"checkpoint {end.tenant_id}: size {size}, root {root}")
            print("           an auditor who holds one of a larger size has records that are not here: see the runbook")
    for finding in restored.checked.findings:
        print(f"{finding.level:<10} {finding.check}: {finding.what}")
    if restored.aside is not None:
        print(f"aside      what stood here is in {restored.aside}")
    print(
        f"lost       what committed after {_time(system.last_commit_at) or _time(system.manifest.finished_at)} is not here (RPO)"
    )
    print(f"took       {restored.took_s:.1f} s (RTO): copy {system.copied_s:.1f} s, replay {system.replayed_s:.1f} s")


def _outcome_as_json(restored: Restored) -> dict[str, Any]:
    system = restored.system
    return {
        "backup_id": system.manifest.backup_id,
        "recovered_lsn": system.lsn,
        "timeline": system.timeline,
        "last_commit_at": _time(system.last_commit_at),
        "wal_files": system.wal_files,
        "loose_wal_files": system.loose_wal_files,
        "took_ms": int(restored.took_s * 1000),
        "copied_ms": int(system.copied_s * 1000),
        "replayed_ms": int(system.replayed_s * 1000),
        "right": restored.checked.is_right,
        "findings": [{"check": one.check, "level": one.level, "what": one.what} for one in restored.checked.findings],
        "tenants": [
            {
                "tenant_id": end.tenant_id,
                "checkpoint": None if end.checkpoint is None else end.checkpoint.note,
                "last_transfer": end.last_transfer,
                "last_transfer_at": _time(end.last_transfer_at),
            }
            for end in restored.checked.ends
        ],
        "aside": None if restored.aside is None else str(restored.aside),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB"
