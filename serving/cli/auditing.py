"""Work as an auditor on the machine itself: a read-only snapshot of the records, and no way out of this process but that."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection, IsolationLevel

from domain.errors import Forbidden, Unavailable
from serving.settings import Settings
from serving.supervisor.database import DATABASE, make_embedded
from storage.roles import read_role_password
from storage.server_address import address_of
from storage.tenancy import mint_context, read_context_key, require_tenant_id, set_context

_CONTEXT_LIFETIME = timedelta(minutes=40)
# Python's own doors; the database's connection is opened before they are shut, and its library uses none of them.
_SHUT = frozenset(
    {
        "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname",
        "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty",
    }
)  # fmt: skip


class DatabaseDown(Unavailable):
    """Say that the database is not running."""

    code = "database_down"


class DoorShut(Forbidden):
    """Say that a process that reads history tried to reach something else than its database."""

    code = "door_shut"


@contextmanager
def open_records(settings: Settings, tenant_id: str | None) -> Iterator[Connection[Any]]:
    """Open a read-only snapshot as role auditor. Raises: InvalidTenantId, DatabaseDown, SetupError."""
    tenant = require_tenant_id(tenant_id or settings.tenant_id)
    dsn = settings.database_dsn
    address = make_embedded(settings).address.with_dbname(DATABASE) if dsn is None else address_of(dsn)
    context = mint_context(
        read_context_key(settings.secrets_dir), tenant_id=tenant, role="auditor", expires_at=datetime.now(UTC) + _CONTEXT_LIFETIME
    )
    auditor_dsn = address.dsn("auditor", read_role_password(settings.secrets_dir, "auditor"))
    try:
        connection = psycopg.connect(auditor_dsn, autocommit=True, connect_timeout=5, application_name="tellergate-audit")
    except psycopg.OperationalError as error:
        raise DatabaseDown("the database is not running: start it with ./tellergate up, then repeat this beside it") from error
    with connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            set_context(connection, context)
            yield connection


def shut_doors(secrets_dir: Path) -> None:
    """Let this process open no connection, start no other process and read no secret from here on; there is no way back.

    What is tried all the same raises DoorShut.
    """
    secrets = str(secrets_dir.resolve())

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _SHUT:
            raise DoorShut(f"reading history reaches nothing but its database, and this was {event}")
        if event == "open" and isinstance(arguments[0], str | bytes) and _is_below(arguments[0], secrets):
            raise DoorShut("reading history needs no secret")

    sys.addaudithook(refuse)


def _is_below(opened: str | bytes, folder: str) -> bool:
    name = opened.decode("utf-8", "replace") if isinstance(opened, bytes) else opened
    return (
        name == folder or name.startswith(folder + "/") or (not name.startswith("/") and folder.endswith(name.partition("/")[0]))
    )
