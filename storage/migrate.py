"""Bring a database to this code's schema, and refuse to work on any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg import Connection
from sqlalchemy import NullPool, create_engine

from domain.errors import SetupError
from storage.migrations.sql_files import SQL_DIR, digest_of_file, list_revisions

_LOCK_TIMEOUT = "5s"
_STATEMENT_TIMEOUT = "300s"
_MEND = (
    "Use the program version that built it, or restore a backup of before; the demo can start anew: move its folder `pg` "
    "away (below var, or where TELLERGATE_VAR_DIR says)"
)


class SchemaDrift(SetupError):
    """Say that the database's schema is not the one this code was written for."""

    code = "schema_drift"


def migrate(admin_dsn: str) -> str:
    """Run the missing revisions, each in one transaction, and return the database's revision. Idempotent.

    Needs the roles (`storage.roles.ensure_roles`). Raises: SchemaDrift, psycopg.Error.
    """
    config = _alembic_config()
    engine = create_engine("postgresql+psycopg://", creator=lambda: _connect(admin_dsn), poolclass=NullPool)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SchemaDrift(
                f"the database stands at a revision that this program does not know: it is newer. {_MEND}"
            ) from error
    engine.dispose()
    with psycopg.connect(admin_dsn) as check:
        require_current_schema(check)
    return read_revision(admin_dsn)


def read_revision(admin_dsn: str) -> str:
    """Return the revision that alembic noted in the database, "" for an empty one."""
    engine = create_engine("postgresql+psycopg://", creator=lambda: _connect(admin_dsn), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table_schema": "public"})
        revision = context.get_current_revision() or ""
    engine.dispose()
    return revision


def head_revision() -> str:
    """Return the newest revision of this code."""
    head = ScriptDirectory.from_config(_alembic_config()).get_current_head()
    assert head is not None
    return head


def require_current_schema(connection: Connection[Any]) -> None:
    """Compare the files that built this database with ours. Any login role may ask. Raises: SchemaDrift."""
    ours = {f"{name}.sql": digest_of_file((SQL_DIR / f"{name}.sql").read_bytes()) for name in list_revisions()}
    rows = connection.execute("SELECT name, sha256 FROM core.schema_files WHERE name ~ '^[0-9]{4}_'").fetchall()
    theirs: dict[str, str] = dict(rows)
    missing, unknown = sorted(ours.keys() - theirs.keys()), sorted(theirs.keys() - ours.keys())
    edited = sorted(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name])
    found = {"not run": missing, "unknown here": unknown, "edited after they ran": edited}
    if faults := "; ".join(f"{what}: {', '.join(names)}" for what, names in found.items() if names):
        raise SchemaDrift(f"the database was not built by this program's migrations ({faults}). {_MEND}")


def _connect(admin_dsn: str) -> Connection[Any]:
    connection = psycopg.connect(admin_dsn)
    connection.execute("SELECT SET_CONFIG('lock_timeout', %s, FALSE)", [_LOCK_TIMEOUT])
    connection.execute("SELECT SET_CONFIG('statement_timeout', %s, FALSE)", [_STATEMENT_TIMEOUT])
    connection.execute("SET search_path = pg_catalog")
    connection.execute("SET client_min_messages = warning")
    # Two migrations at once would each find the same revision missing.
    connection.execute("SELECT PG_ADVISORY_LOCK(HASHTEXTEXTENDED('tellergate.migrate', 0))")
    connection.commit()
    return connection


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "v%%(rev)s")
    return config
