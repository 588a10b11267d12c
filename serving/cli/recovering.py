"""`backup` and `restore`: what the commands do, with the machine's folders and the clock."""

from __future__ import annotations

import secrets
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import dict_row

from domain.canonical import digest_of
from domain.clock import render_time
from domain.errors import BrokenInvariant, InvalidInput, SetupError, TellergateError
from domain.event import Event
from domain.ids import make_id
from serving.cli.output import say
from serving.ingest.demo_logins import DEMO_LOGINS_FILE
from serving.settings import ROOT_DIR, Settings
from serving.supervisor.database import DATABASE, make_embedded
from serving.supervisor.preflight import make_folders, take_lock
from serving.supervisor.state import read_state
from serving.wiring import DEMO_SCENARIOS_FILE, PUBLIC_KEY_FILE
from storage.backup.catalog import StoredBackup, choose_backup, find_backup, wal_dir_beside, wal_dir_of
from storage.backup.create import BackupMade, BackupOrder, create_backup
from storage.backup.durable import explain_os_error, write_durably
from storage.backup.log_source import RecoveryOrder
from storage.backup.placing import Destination, claim_destination, finish_interrupted
from storage.backup.recovery import Recovered, open_backup_keys, recover, require_target_after_backup
from storage.backup.targets import Latest, Target, UntilTime, describe_target, parse_target
from storage.backup.telling import tell_of_failure
from storage.embedded import SUPERUSER, EmbeddedPostgres
from storage.events import append_event
from storage.named_queries import load_queries
from storage.roles import read_role_password
from storage.tenancy import mint_context, read_context_key, set_context

if TYPE_CHECKING:
    from serving.cli.backup_checks import Checked

_KEY_FILES = (PUBLIC_KEY_FILE, DEMO_LOGINS_FILE, DEMO_SCENARIOS_FILE)
_SCRATCH = "verify"
_QUERIES = load_queries(ROOT_DIR / "storage" / "backup" / "sql" / "backup.sql")


class ChecksFailed(BrokenInvariant):
    """Say that what came back is not right."""

    code = "restored_checks_failed"


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """Say what the operator asked for. `backup_name` None: the newest that serves the moment."""

    to: str
    into: Path
    recovery_key: bytes = field(repr=False)
    backup_name: str | None = None
    wal_dir: Path | None = None
    timeline: int | None = None
    replace: bool = False
    despite_findings: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """Hold what a restore or a verification came to. `aside` is where the replaced installation lies."""

    system: Recovered
    checked: Checked
    took_s: float
    aside: Path | None = None


def make_recovery_key(path: Path) -> None:
    """Write a new key of 256 random bits to a file that must not be there yet. Raises: InvalidInput, SetupError."""
    try:
        write_durably(path, secrets.token_hex(32).encode() + b"\n")
    except FileExistsError as error:
        raise InvalidInput(f"{path} is there already: a recovery key is never overwritten", code="recovery_key_exists") from error
    except OSError as error:
        raise explain_os_error(error, what="the recovery key could not be written") from error


def require_key_apart(key_file: Path, settings: Settings) -> None:
    """Refuse a recovery key that lies beside what it protects. Raises: InvalidInput."""
    for folder in (settings.backup_dir, settings.secrets_dir):
        if key_file.resolve().is_relative_to(folder.resolve()):
            raise InvalidInput(
                f"{key_file} lies in {folder}: whoever takes the backup would have its key too. Keep it on another machine or "
                "medium",
                code="recovery_key_beside_data",
            )


def run_create(settings: Settings, *, recovery_key: bytes, keep: int) -> BackupMade:
    """Back up the running service, or start the database for as long as it takes; a failure opens an incident.

    Raises: SetupError, psycopg.Error.
    """
    with _running_server(settings) as server:
        order = BackupOrder(
            backup_dir=settings.backup_dir,
            var_dir=settings.var_dir,
            key_files=_KEY_FILES,
            bin_dir=server.files.bin_dir,
            address=server.address.with_dbname(DATABASE),
            superuser=SUPERUSER,
            product_version=read_product_version(),
            keep=keep,
            password=server.read_superuser_password(),
            recovery_key=recovery_key,
        )
        try:
            made = create_backup(order)
        except (TellergateError, psycopg.Error) as error:
            _tell_of_failure(settings, server, error.code if isinstance(error, TellergateError) else "database_error")
            raise
        if not made.archived:
            _tell_of_failure(settings, server, "archive_behind")
        return made


def _tell_of_failure(settings: Settings, server: EmbeddedPostgres, code: str) -> None:
    """Open the incident. A database that does not take it either leaves the failure to whoever runs the command."""
    now = datetime.now(UTC)
    try:
        context = mint_context(
            read_context_key(settings.secrets_dir),
            tenant_id=settings.tenant_id,
            role="jobs",
            expires_at=now + timedelta(minutes=1),
        )
        dsn = server.address.with_dbname(DATABASE).dsn("jobs", read_role_password(settings.secrets_dir, "jobs"))
        with psycopg.connect(dsn) as connection:
            set_context(connection, context)
            tell_of_failure(connection, code=code, now=now)
    except (psycopg.Error, SetupError) as error:
        say(f"the failure could not be told to the console either ({type(error).__name__})")


def read_archiver(settings: Settings) -> dict[str, Any] | None:
    """Return what the running server says of its archiving; None where no service runs."""
    if settings.database_dsn is not None or read_state(settings.run_dir) is None:
        return None
    server = make_embedded(settings)
    with psycopg.connect(server.admin_dsn(), row_factory=dict_row) as connection:
        return connection.execute(_QUERIES["read_archiver"]).fetchone()


def run_verify(
    settings: Settings, *, name: str | None, recovery_key: bytes, wal_dir: Path | None, scratch: Path | None
) -> Restored:
    """Restore into a folder that goes afterwards, with all of the archive, and run every check there."""
    from serving.cli.backup_checks import check_recovered

    now = datetime.now(UTC)
    target = Latest()
    backup = _choose(settings, name, target)
    parent = (scratch or settings.var_dir) / f".{_SCRATCH}"
    try:
        with claim_destination(parent, replace=False) as destination:
            order = RecoveryOrder(backup, _wal_dir(settings, backup, wal_dir), target, recovery_key)
            with recover(order, destination.draft) as system:
                checked = check_recovered(system, now)
            return Restored(system, checked, took_s=(datetime.now(UTC) - now).total_seconds())
    finally:
        # A verification leaves nothing, whatever an earlier one that was killed had left.
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()


def run_restore(settings: Settings, request: RestoreRequest, *, say: Callable[[str], None]) -> Restored:
    """Recover into a draft, check it, append the event that says so, then move it into place.

    Any fault before the last step leaves the folder as it was. Raises: InvalidInput, SetupError, ChecksFailed.
    """
    from serving.cli.backup_checks import check_recovered

    now = datetime.now(UTC)
    target = parse_target(request.to, now=now)
    if finish_interrupted(request.into):
        say(f"a restore into {request.into} that had been cut off is finished now")
    backup = _choose(settings, request.backup_name, target)
    # Before anything is copied: what is typed wrong is said at once.
    require_target_after_backup(target, backup.manifest)
    open_backup_keys(backup, request.recovery_key)
    with claim_destination(request.into, replace=request.replace) as destination:
        aside = _aside(destination, now) if request.replace else None
        order = RecoveryOrder(
            backup=backup,
            wal_dir=_wal_dir(settings, backup, request.wal_dir),
            target=target,
            recovery_key=request.recovery_key,
            timeline=request.timeline,
            data_dir_aside=request.into.joinpath("pg", "data") if request.replace else None,
        )
        with recover(order, destination.draft) as system:
            _keep_newer_secrets(request.into, destination.draft)
            say(f"recovered to {system.lsn}, timeline {system.timeline}; checking")
            checked = check_recovered(system, now)
            if not checked.is_right and not request.despite_findings:
                wrong = "; ".join(f"{one.check}: {one.what}" for one in checked.findings if one.level == "wrong")
                raise ChecksFailed(f"what came back is not right, so nothing was put in place ({wrong})")
            append_restored_events(system, checked, now)
        destination.place(aside=aside)
    return Restored(system, checked, took_s=(datetime.now(UTC) - now).total_seconds(), aside=aside)


def append_restored_events(system: Recovered, checked: Checked, now: datetime) -> None:
    """Write `recovery.restored` into each tenant's log: the first record of ours after the break, with where the log stood."""
    from serving.cli.backup_checks import connect_as

    for end in checked.ends:
        log = {"size": end.checkpoint.tree_size, "root": end.checkpoint.root.hex()} if end.checkpoint else None
        data = {
            "backup_id": system.manifest.backup_id,
            "target": describe_target(system.target),
            "recovered_lsn": system.lsn,
            "last_commit_at": render_time(system.last_commit_at) if system.last_commit_at else None,
            "left_timeline": system.from_timeline,
            "timeline": system.timeline,
            "last_checkpoint": log,
        }
        event = Event(
            event_id=make_id("evt", now),
            event_type="recovery.restored",
            source="restore",
            subject=system.manifest.backup_id,
            tenant_id=end.tenant_id,
            occurred_at=now,
            recorded_at=now,
            idempotency_key=digest_of(data),
            data=data,
        )
        with connect_as(system, "gate", end.tenant_id, now) as gate:
            append_event(gate, event)


def read_product_version() -> str:
    """Return the version of this program."""
    with ROOT_DIR.joinpath("pyproject.toml").open("rb") as stream:
        return str(tomllib.load(stream)["project"]["version"])


def list_new_secrets(settings: Settings, backup: StoredBackup | None) -> Sequence[str]:
    """Return the secret files that the newest backup does not have: what they unlock would not come back."""
    if backup is None or not settings.secrets_dir.is_dir():
        return ()
    names = {f"secrets/{path.name}" for path in settings.secrets_dir.iterdir() if not path.name.startswith(".")}
    return sorted(names - set(backup.manifest.key_files))


@contextmanager
def _running_server(settings: Settings) -> Iterator[EmbeddedPostgres]:
    if settings.database_dsn is not None:
        raise SetupError(
            "the database is an outside server (TELLERGATE_DATABASE_DSN): back it up with its own means, and keep a copy of "
            f"{settings.secrets_dir} with it",
            code="outside_database",
        )
    server = make_embedded(settings)
    if read_state(settings.run_dir) is not None:
        yield server
        return
    if not server.files.is_initialized():
        raise SetupError(f"there is no database in {settings.var_dir}: start ./tellergate up once", code="no_database")
    make_folders(settings)
    with take_lock(settings):
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _choose(settings: Settings, name: str | None, target: Target) -> StoredBackup:
    if name is not None:
        return find_backup(settings.backup_dir, name)
    return choose_backup(settings.backup_dir, target.moment if isinstance(target, UntilTime) else None)


def _wal_dir(settings: Settings, backup: StoredBackup, given: Path | None) -> Path:
    if given is not None:
        return given
    beside = wal_dir_beside(backup)
    return beside if beside.is_dir() else wal_dir_of(settings.backup_dir)


def _aside(destination: Destination, now: datetime) -> Path:
    return destination.folder / f"replaced-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def _keep_newer_secrets(into: Path, draft: Path) -> None:
    """Take over key files that were made after the backup: rows that the archive brought back need them."""
    old = into / "secrets"
    for path in sorted(old.glob("*")) if old.is_dir() else ():
        target = draft / "secrets" / path.name
        if path.is_file() and not path.name.startswith(".") and not target.exists():
            write_durably(target, path.read_bytes())
