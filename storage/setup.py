"""From an administrator's DSN to a database that every process can work on."""

from __future__ import annotations

from pathlib import Path

import psycopg

from storage.migrate import migrate
from storage.roles import ensure_database, ensure_role_passwords, ensure_roles
from storage.tenancy import ensure_context_key, install_context_key


def set_up_database(*, maintenance_dsn: str, admin_dsn: str, dbname: str, secrets_dir: Path) -> str:
    """Make passwords, roles, database, schema and the context key, as far as they are missing. Idempotent.

    `maintenance_dsn` names a database that exists (`postgres` on the embedded server), `admin_dsn` names `dbname`.
    Returns the schema revision. Raises: SetupError, psycopg.Error.
    """
    with psycopg.connect(maintenance_dsn, autocommit=True) as connection:
        ensure_roles(connection, ensure_role_passwords(secrets_dir))
        ensure_database(connection, dbname)
    revision = migrate(admin_dsn)
    with psycopg.connect(admin_dsn) as connection:
        install_context_key(connection, ensure_context_key(secrets_dir))
    return revision
