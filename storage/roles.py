"""The database roles: who logs in, who owns, and how long each may run or wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from psycopg import Connection, sql

from domain.errors import SetupError
from storage.named_queries import load_queries
from storage.secrets import ensure_secret, read_secret

LoginRole = Literal["edge", "vault", "ai", "gate", "executor", "importer", "jobs", "auditor"]
LOGIN_ROLES: tuple[LoginRole, ...] = get_args(LoginRole)
# Owners of schemas, and `ledger_writer`, who owns the functions that move money and nothing else.
OWNER_ROLES = ("core_owner", "vault_owner", "ledger_owner", "ledger_writer", "gate_owner")

_QUERIES = load_queries(Path(__file__).parent / "sql" / "roles.sql")


class RoleTooPowerful(SetupError):
    """Say that an existing database role has an attribute that would break the walls between processes."""

    code = "role_too_powerful"


@dataclass(frozen=True, slots=True)
class RoleLimits:
    """Hold the defaults of a role's sessions. The vector type lives in schema `extensions`, hence the search path."""

    statement_timeout_ms: int
    lock_timeout_ms: int = 2_000
    idle_in_transaction_timeout_ms: int = 30_000
    search_path: str = "extensions"


ROLE_LIMITS: Mapping[LoginRole, RoleLimits] = {
    "edge": RoleLimits(statement_timeout_ms=10_000),
    "vault": RoleLimits(statement_timeout_ms=5_000),
    "ai": RoleLimits(statement_timeout_ms=10_000),
    "gate": RoleLimits(statement_timeout_ms=5_000),
    "executor": RoleLimits(statement_timeout_ms=5_000),
    "importer": RoleLimits(statement_timeout_ms=60_000),
    "jobs": RoleLimits(statement_timeout_ms=120_000, idle_in_transaction_timeout_ms=300_000, search_path="jobs, extensions"),
    "auditor": RoleLimits(statement_timeout_ms=60_000),
}


def ensure_role_passwords(secrets_dir: Path) -> dict[LoginRole, str]:
    """Return every role's password; make the missing ones, one 0600 file each. Idempotent."""
    return {role: ensure_secret(_password_file(secrets_dir, role)) for role in LOGIN_ROLES}


def read_role_password(secrets_dir: Path, role: LoginRole) -> str:
    """Read one role's password. Raises: SecretFileMissing, SecretFileInsecure."""
    return read_secret(_password_file(secrets_dir, role))


def ensure_roles(connection: Connection[Any], passwords: Mapping[LoginRole, str]) -> None:
    """Create the roles of the cluster, or bring them to these passwords and limits. One transaction; idempotent.

    `connection` is an administrator's. Raises: RoleTooPowerful.
    """
    with connection.transaction():
        connection.execute(_QUERIES["lock_roles"])
        existing = {row[0] for row in connection.execute(_QUERIES["list_roles"])}
        for owner in OWNER_ROLES:
            if owner not in existing:
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN NOINHERIT").format(sql.Identifier(owner)))
        for role in LOGIN_ROLES:
            if role not in existing:
                connection.execute(sql.SQL("CREATE ROLE {} NOINHERIT").format(sql.Identifier(role)))
            _apply_login(connection, role, passwords[role])
        _let_administrator_act_as_owners(connection)
        _refuse_powerful_roles(connection)


def ensure_database(connection: Connection[Any], dbname: str) -> None:
    """Create the database if it is missing and let nobody but our roles connect. Idempotent; needs autocommit."""
    if connection.execute(_QUERIES["find_database"], {"dbname": dbname}).fetchone() is None:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(dbname)))
    grant_database(connection, dbname)
    _name, is_superuser = _own_attributes(connection)
    if is_superuser:
        # On a server of our own the maintenance databases are for the administrator alone.
        connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")


def grant_database(connection: Connection[Any], dbname: str) -> None:
    """Let nobody but our roles connect, and nobody make temporary tables. A cloned database needs this again."""
    name = sql.Identifier(dbname)
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    roles = sql.SQL(", ").join(map(sql.Identifier, LOGIN_ROLES))
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, roles))


def _apply_login(connection: Connection[Any], role: LoginRole, password: str) -> None:
    # The verifier is computed here, so that the password itself never reaches a statement or a log.
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    name, limits = sql.Identifier(role), ROLE_LIMITS[role]
    connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(verifier)))
    settings = {
        "statement_timeout": f"{limits.statement_timeout_ms}ms",
        "lock_timeout": f"{limits.lock_timeout_ms}ms",
        "idle_in_transaction_session_timeout": f"{limits.idle_in_transaction_timeout_ms}ms",
        "timezone": "UTC",
    }
    for setting, value in settings.items():
        connection.execute(sql.SQL("ALTER ROLE {} SET {} = {}").format(name, sql.Identifier(setting), sql.Literal(value)))
    path = sql.SQL(", ").join(map(sql.Identifier, limits.search_path.split(", ")))
    connection.execute(sql.SQL("ALTER ROLE {} SET search_path = {}").format(name, path))


def _let_administrator_act_as_owners(connection: Connection[Any]) -> None:
    """A managed Postgres gives us an administrator that is no superuser: it must join the owners to create for them."""
    name, is_superuser = _own_attributes(connection)
    if is_superuser:
        return
    owners = sql.SQL(", ").join(map(sql.Identifier, OWNER_ROLES))
    connection.execute(sql.SQL("GRANT {} TO {} WITH INHERIT TRUE, SET TRUE").format(owners, sql.Identifier(name)))


def _own_attributes(connection: Connection[Any]) -> tuple[str, bool]:
    row = connection.execute(_QUERIES["find_own_attributes"]).fetchone()
    assert row is not None
    return str(row[0]), bool(row[1])


def _refuse_powerful_roles(connection: Connection[Any]) -> None:
    rows = connection.execute(_QUERIES["list_powerful_roles"], {"names": [*LOGIN_ROLES, *OWNER_ROLES]}).fetchall()
    if rows:
        names = ", ".join(sorted(row[0] for row in rows))
        raise RoleTooPowerful(
            f"database roles {names}: superuser, bypassrls, createrole, createdb, replication or membership of another "
            "role; owners may not log in. Take these attributes away"
        )


def _password_file(secrets_dir: Path, role: LoginRole) -> Path:
    return secrets_dir / f"db_{role}.password"
