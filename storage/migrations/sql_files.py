"""One SQL file is one revision: `NNNN_name.sql`, run whole, and its digest is kept in the database."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import op
from psycopg import Connection

SQL_DIR = Path(__file__).parent / "sql"
_VERSIONS_DIR = Path(__file__).parent / "versions"


def list_revisions() -> list[str]:
    """Return the revisions in their order: one version module `vNNNN_name.py` each."""
    return sorted(path.stem.removeprefix("v") for path in _VERSIONS_DIR.glob("v[0-9][0-9][0-9][0-9]_*.py"))


def digest_of_file(content: bytes) -> str:
    """Return the SHA-256 that the database keeps for an applied file."""
    return hashlib.sha256(content).hexdigest()


def sql_revision(revision: str) -> tuple[str, str | None, Callable[[], None]]:
    """Return what alembic wants of a version module: revision, the one before it, and `upgrade`."""
    order = list_revisions()
    place = order.index(revision)

    def upgrade() -> None:
        run_sql(f"{revision}.sql", (SQL_DIR / f"{revision}.sql").read_bytes())

    return revision, order[place - 1] if place else None, upgrade


def run_sql(name: str, content: bytes) -> None:
    """Run a whole file of statements in the transaction of the migration and keep its digest."""
    connection = raw_connection()
    connection.execute(content)
    connection.execute("RESET ROLE")
    connection.execute(
        "INSERT INTO core.schema_files (name, sha256) VALUES (%(name)s, %(sha256)s)",
        {"name": name, "sha256": digest_of_file(content)},
    )


def raw_connection() -> Connection[Any]:
    """Return the psycopg connection below alembic's: a file of many statements needs the simple protocol."""
    driver_connection = op.get_bind().connection.driver_connection
    assert isinstance(driver_connection, Connection)
    return driver_connection
