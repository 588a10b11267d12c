"""Role by operation, asked of the database: every table, view, sequence and function of the ledger and the gate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
import pytest
from psycopg import Connection

from storage.roles import LOGIN_ROLES, OWNER_ROLES, LoginRole
from tests.conftest import ConnAs, Database, Tenant
from tests.integration.ledger.catalog import FUNCTIONS, list_relations, row_of
from tests.integration.ledger.permission_matrix import (
    COMPUTING,
    DOORS,
    FORBIDDEN,
    FORBIDDEN_ALONE,
    INNER,
    OWNER_ONLY,
    PARTS,
    READING,
    SEQUENCES,
    TABLES,
    VIEWS,
)

SUPERUSER = "postgres"
ROLES = (*LOGIN_ROLES, *OWNER_ROLES, SUPERUSER)
_WRITING = ("insert", "update", "delete", "truncate")


@pytest.fixture
def acting(database: Database, tenant: Tenant, conn_as: ConnAs, admin_conn: Connection[Any]) -> Any:
    """`with acting(role) as connection`: that role with a good context, in a transaction that does not stay."""

    @contextmanager
    def act(role: str) -> Iterator[Connection[Any]]:
        if role in LOGIN_ROLES:
            connection = conn_as(role, tenant)
            with connection.transaction(force_rollback=True):
                yield connection
            return
        with admin_conn.transaction(force_rollback=True):
            context = tenant.context(cast(LoginRole, role))
            admin_conn.execute("SELECT SET_CONFIG('tellergate.context', %s, TRUE)", [context])
            if role != SUPERUSER:
                admin_conn.execute(f"SET LOCAL SESSION AUTHORIZATION {role}")
            yield admin_conn

    return act


def _attempt(connection: Connection[Any], statement: str) -> str:
    """Say what came of it: `yes`, `denied` for want of a right, `guarded` by a trigger, or the SQLSTATE."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege as error:
        lacks_right = str(error).startswith(("permission denied", "must be "))
        return "denied" if lacks_right else "guarded"
    except psycopg.Error as error:
        return str(error.sqlstate)
    return "yes"


def _writing(table: str, column: str) -> dict[str, str]:
    """No row is touched: a right is asked for and statement triggers fire all the same."""
    return {
        "insert": f"INSERT INTO {table} ({column}) SELECT NULL WHERE FALSE",
        "update": f"UPDATE {table} SET {column} = DEFAULT WHERE FALSE",
        "delete": f"DELETE FROM {table} WHERE FALSE",
        "truncate": f"TRUNCATE {table} CASCADE",
    }


# Completeness ----------------------------------------------------------------------------------------------------------------


def test_every_relation_has_its_row(admin_conn: Connection[Any]) -> None:
    assert {row_of(name) for name in list_relations(admin_conn, "rpf")} == set(TABLES)
    assert set(list_relations(admin_conn, "vm")) == set(VIEWS)
    assert set(list_relations(admin_conn, "S")) == set(SEQUENCES)


def test_every_function_has_its_row(admin_conn: Connection[Any]) -> None:
    schema_of = {"ledger_owner": "ledger", "ledger_writer": "ledger", "gate_owner": "gate"}
    inner = {f"{schema_of[owner]}.{name}": owner for owner, names in INNER.items() for name in names.split()}
    found = [(name, owner) for _, name, owner, *_ in admin_conn.execute(FUNCTIONS)]
    assert len(found) == len({name for name, _ in found}), "the matrix names functions without their arguments"
    assert {name for name, _ in found} == {*inner, *DOORS, *COMPUTING, *READING}
    assert {name: owner for name, owner in found if name in inner} == inner


def test_the_roles_are_all_there_are(admin_conn: Connection[Any]) -> None:
    rows = admin_conn.execute("SELECT rolname FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_'").fetchall()
    assert {row[0] for row in rows} == set(ROLES)


# The matrix ------------------------------------------------------------------------------------------------------------------


def _expected(role: str, table: str, owner: str, operation: str) -> str:
    rights = TABLES[row_of(table)]
    granted = "" if operation == "truncate" else getattr(rights, operation)
    if role not in (owner, SUPERUSER, *granted.split()):
        return "denied"
    is_guarded = operation in rights.guarded and not (operation == "insert" and role == "ledger_writer")
    return "guarded" if is_guarded else "yes"


@pytest.mark.parametrize("role", ROLES)
def test_tables(acting: Any, admin_conn: Connection[Any], role: str) -> None:
    """Each table and each part of the transfers, by its own name."""
    expected: dict[tuple[str, str], str] = {}
    got: dict[tuple[str, str], str] = {}
    with acting(role) as connection:
        for table, owner in list_relations(admin_conn, "rpf").items():
            rights = TABLES[row_of(table)]
            for operation in ("select", *_WRITING):
                expected[table, operation] = _expected(role, table, owner, operation)
                some = rights.columns.get((role, operation))
                column = min(some) if some else "tenant_id" if rights.has_tenant else "prefix"
                statement = {"select": f"SELECT FROM {table} WHERE FALSE", **_writing(table, column)}[operation]
                got[table, operation] = _attempt(connection, statement)
    assert got == expected


@pytest.mark.parametrize("table", [table for table, rights in TABLES.items() if rights.columns])
def test_columns(admin_conn: Connection[Any], table: str) -> None:
    for (role, operation), columns in TABLES[table].columns.items():
        rows = admin_conn.execute(
            "SELECT attname, HAS_COLUMN_PRIVILEGE(%s, attrelid, attnum, %s) FROM pg_catalog.pg_attribute"
            " WHERE attrelid = %s::REGCLASS AND attnum > 0 AND NOT attisdropped",
            [role, operation, table],
        ).fetchall()
        allowed = {row[0] for row in rows} - {"recorded_at"} if columns is None else columns
        assert {row[0] for row in rows if row[1]} == allowed


@pytest.mark.parametrize("role", ROLES)
def test_views_and_sequences(acting: Any, admin_conn: Connection[Any], role: str) -> None:
    expected: dict[tuple[str, str], bool] = {}
    got: dict[tuple[str, str], bool] = {}
    with acting(role) as connection:
        for view, owner in list_relations(admin_conn, "vm").items():
            may_read = role in (owner, SUPERUSER, *VIEWS[view].split())
            for operation, statement in {"select": f"SELECT FROM {view} WHERE FALSE", **_writing(view, "tenant_id")}.items():
                if operation == "select" or role not in (owner, SUPERUSER):
                    expected[view, operation] = operation == "select" and may_read
                    got[view, operation] = _attempt(connection, statement) == "yes"
        for sequence, owner in list_relations(admin_conn, "S").items():
            is_owner = role in (owner, SUPERUSER)
            expected[sequence, "next"] = is_owner or role in SEQUENCES[sequence].split()
            got[sequence, "next"] = _attempt(connection, f"SELECT NEXTVAL('{sequence}')") == "yes"
            expected[sequence, "set"] = is_owner
            got[sequence, "set"] = _attempt(connection, f"SELECT SETVAL('{sequence}', LAST_VALUE) FROM {sequence}") == "yes"
    assert got == expected


@pytest.mark.parametrize("role", ROLES)
def test_functions(acting: Any, admin_conn: Connection[Any], role: str) -> None:
    """Each is called, with nulls: who may not is stopped before the first line of it."""
    functions = admin_conn.execute(FUNCTIONS).fetchall()
    expected: dict[str, bool] = {}
    got: dict[str, bool] = {}
    with acting(role) as connection:
        for _, name, owner, kind, _, _, _, arguments in functions:
            nulls = [f"NULL::{argument} AS a{place}" for place, argument in enumerate(arguments)]
            call = f"{name}({', '.join(f'a{place}' for place in range(len(arguments)))})"
            # Out of a subquery: a strict function of a literal null is never called, so nobody is asked for the right to.
            call = f"SELECT {call} FROM (SELECT {', '.join(nulls)} OFFSET 0) AS given"
            if kind == "p":
                call = f"CALL {name}({', '.join(null.split(' AS ')[0] for null in nulls)})"
            allowed = {**DOORS, **COMPUTING, **READING}.get(name, "").split()
            # Its owner may call what reads with the caller's rights, and not what that reads.
            expected[name] = role in ((SUPERUSER, *allowed) if name in READING else (owner, SUPERUSER, *allowed))
            got[name] = _attempt(connection, call) != "denied"
    assert got == expected


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_what_no_login_role_may_do(acting: Any, conn_as: ConnAs, database: Database, role: LoginRole) -> None:
    for statement in FORBIDDEN_ALONE:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn_as(role).execute(statement)
    others = {name for name in ROLES if name != role}
    with acting(role) as connection:
        for statement in FORBIDDEN:
            for other in others if "{other}" in statement else {""}:
                text = statement.format(role=role, other=other, database=database.address.dbname)
                assert _attempt(connection, text) == "denied", text


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_what_only_the_owner_of_a_table_may_do(acting: Any, admin_conn: Connection[Any], role: str) -> None:
    with acting(role) as connection:
        for table in list_relations(admin_conn, "rpf"):
            for statement in OWNER_ONLY:
                assert _attempt(connection, statement.format(table=table)) == "denied", (table, statement)
        for part in [table for table in list_relations(admin_conn, "r") if row_of(table) == PARTS]:
            assert _attempt(connection, f"ALTER TABLE ledger.transfers DETACH PARTITION {part}") == "denied"


@pytest.mark.parametrize("replica", [False, True])
@pytest.mark.parametrize("table", [table for table, rights in TABLES.items() if rights.guarded and table != PARTS])
def test_the_superuser_meets_the_guards_as_a_replica_too(admin_conn: Connection[Any], table: str, replica: bool) -> None:
    with admin_conn.transaction(force_rollback=True):
        admin_conn.execute("SELECT SET_CONFIG('session_replication_role', %s, TRUE)", ["replica" if replica else "origin"])
        for operation in TABLES[table].guarded:
            assert _attempt(admin_conn, _writing(table, "tenant_id")[operation]) == "guarded", operation
