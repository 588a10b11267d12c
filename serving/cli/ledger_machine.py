"""Operations on the ledger that need the machine's own secrets: no service offers them, only whoever holds its folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, IsolationLevel

from domain.errors import Forbidden, Unavailable
from ledger.archive import Archived, MonthNotFound, archive_month, drop_archived, parse_month
from ledger.upkeep import rebuild_balances
from serving.settings import Settings
from serving.supervisor.database import DATABASE, Database, make_embedded
from storage.named_queries import load_queries
from storage.roles import LoginRole, read_role_password
from storage.server_address import ServerAddress, address_of
from storage.tenancy import mint_context, read_context_key, require_tenant_id, set_context

_QUERIES = load_queries(Path(__file__).parent / "sql" / "ledger_machine.sql")
_CONTEXT_LIFETIME = timedelta(minutes=40)


class NotAnAdministrator(Forbidden):
    """Say that nobody of this name may answer for an act on the ledger."""

    code = "not_an_administrator"


class DatabaseDown(Unavailable):
    """Say that the database is not running."""

    code = "database_down"


def run_rebuild(settings: Settings, *, tenant_id: str | None, username: str, apply: bool) -> dict[str, Any]:
    """Rebuild a tenant's balances. Raises: InvalidTenantId, NotAnAdministrator, DatabaseDown, SetupError."""
    tenant = require_tenant_id(tenant_id or settings.tenant_id)
    now = datetime.now(UTC)
    with _connect(Database(settings).admin_dsn) as admin:
        _require_administrator(admin, settings, username)
    with _connect(_address(settings).dsn("importer", read_role_password(settings.secrets_dir, "importer"))) as importer:
        importer.isolation_level = None if apply else IsolationLevel.REPEATABLE_READ
        with importer.transaction():
            set_context(importer, _mint(settings, tenant, "importer"))
            return asdict(rebuild_balances(importer, apply=apply, now=now))


def run_archive(settings: Settings, *, month: str, folder: Path, username: str, drop: bool) -> dict[str, Any]:
    """Archive a past month, of all tenants of the installation; with `drop` let go of it too, also when it was archived before.

    Raises: what `ledger.archive` does, NotAnAdministrator, DatabaseDown, SetupError.
    """
    wanted, now = parse_month(month), datetime.now(UTC)
    with _connect(Database(settings).admin_dsn) as admin:
        operator_id = _require_administrator(admin, settings, username)
        try:
            archived = archive_month(
                admin,
                wanted,
                folder,
                archived_by=operator_id,
                mint_jobs_context=lambda tenant_id: _mint(settings, tenant_id, "jobs"),
                now=now,
            )
        except MonthNotFound:
            if not drop:
                raise
            return _as_json(drop_archived(admin, wanted, folder))
        return _as_json(drop_archived(admin, wanted, folder) if drop else archived)


def _as_json(archived: Archived) -> dict[str, Any]:
    return {**asdict(archived), "file": str(archived.file)}


def _require_administrator(admin: Connection[Any], settings: Settings, username: str) -> str:
    row = admin.execute(_QUERIES["find_administrator"], {"tenant_id": settings.tenant_id, "username": username}).fetchone()
    if row is None:
        raise NotAnAdministrator(
            f"{username!r} is no active administrator of {settings.tenant_id}: name one who answers for this"
        )
    return str(row[0])


def _address(settings: Settings) -> ServerAddress:
    if settings.database_dsn is not None:
        return address_of(settings.database_dsn)
    return make_embedded(settings).address.with_dbname(DATABASE)


def _mint(settings: Settings, tenant_id: str, role: LoginRole) -> str:
    expires_at = datetime.now(UTC) + _CONTEXT_LIFETIME
    return mint_context(read_context_key(settings.secrets_dir), tenant_id=tenant_id, role=role, expires_at=expires_at)


@contextmanager
def _connect(dsn: str) -> Iterator[Connection[Any]]:
    try:
        connection = psycopg.connect(dsn, autocommit=True, connect_timeout=5, application_name="tellergate-ledger")
    except psycopg.OperationalError as error:
        raise DatabaseDown("the database is not running: start it with ./tellergate up, then repeat this beside it") from error
    with connection:
        yield connection
