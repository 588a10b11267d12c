"""Row-level security refuses whoever cannot prove the tenant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import Connection, errors, sql

from storage.roles import LOGIN_ROLES, LoginRole
from storage.tenancy import mint_context
from tests.conftest import ConnAs, Tenant

COUNT = "SELECT COUNT(*) FROM core.probe"


@pytest.fixture
def probe(admin_conn: Connection[Any], tenant: Tenant, other_tenant: Tenant) -> Iterator[None]:
    """A tenant table open to every role, with a row of each tenant; only the policy stands between."""
    with admin_conn.transaction():
        admin_conn.execute("SET LOCAL ROLE core_owner")
        admin_conn.execute("CREATE TABLE core.probe (tenant_id TEXT NOT NULL, note TEXT NOT NULL)")
        admin_conn.execute("CALL core.protect_tenant_table('core.probe')")
        roles = sql.SQL(", ").join(map(sql.Identifier, LOGIN_ROLES))
        admin_conn.execute(sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON core.probe TO {}").format(roles))
        admin_conn.execute(
            "CREATE FUNCTION core.count_probe() RETURNS BIGINT LANGUAGE sql SECURITY DEFINER AS 'SELECT COUNT(*) FROM core.probe'"
        )
        admin_conn.execute("ALTER FUNCTION core.count_probe() OWNER TO core_owner")
        admin_conn.execute(sql.SQL("GRANT EXECUTE ON FUNCTION core.count_probe() TO {}").format(roles))
    for owner in (tenant, other_tenant):
        admin_conn.execute("INSERT INTO core.probe VALUES (%s, 'a row')", [owner.tenant_id])
    yield
    admin_conn.execute("DROP FUNCTION core.count_probe")
    admin_conn.execute("DROP TABLE core.probe")


def use_context(connection: Connection[Any], context: str) -> None:
    connection.execute("SELECT SET_CONFIG('tellergate.context', %s, FALSE)", [context])


def count(connection: Connection[Any], query: str = COUNT) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_each_role_sees_its_tenant_alone(role: LoginRole, probe: None, conn_as: ConnAs, tenant: Tenant) -> None:
    connection = conn_as(role, tenant)
    assert connection.execute("SELECT DISTINCT tenant_id FROM core.probe").fetchall() == [(tenant.tenant_id,)]


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_definer_functions_work_under_the_callers_context(role: LoginRole, probe: None, conn_as: ConnAs, tenant: Tenant) -> None:
    """FORCE binds the owner too, and session_user stays the login role inside a definer's function."""
    assert count(conn_as(role, tenant), "SELECT core.count_probe()") == 1
    with pytest.raises(errors.InsufficientPrivilege, match="missing"):
        conn_as(role).execute("SELECT core.count_probe()")


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_no_context_is_refused(role: LoginRole, probe: None, conn_as: ConnAs) -> None:
    with pytest.raises(errors.InsufficientPrivilege, match="missing") as refusal:
        conn_as(role).execute(COUNT)
    assert refusal.value.sqlstate == "42501"


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_no_role_can_set_itself_across_tenants(
    role: LoginRole, probe: None, conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant
) -> None:
    connection = conn_as(role, tenant)
    forged = tenant.context(role).replace(tenant.tenant_id, other_tenant.tenant_id)
    for claim in (forged, other_tenant.tenant_id, f"v1.{other_tenant.tenant_id}.{role}.9999999999.{'0' * 64}"):
        use_context(connection, claim)
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(COUNT)


def test_rows_of_another_tenant_cannot_be_written(probe: None, conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant) -> None:
    connection = conn_as("jobs", tenant)
    with pytest.raises(errors.InsufficientPrivilege):
        connection.execute("INSERT INTO core.probe VALUES (%s, 'planted')", [other_tenant.tenant_id])
    with pytest.raises(errors.InsufficientPrivilege):
        connection.execute("UPDATE core.probe SET tenant_id = %s", [other_tenant.tenant_id])
    assert connection.execute("DELETE FROM core.probe").rowcount == 1
    assert count(conn_as("jobs", other_tenant)) == 1


def test_one_changed_character_anywhere_is_refused(probe: None, conn_as: ConnAs, tenant: Tenant) -> None:
    connection, good = conn_as("edge", tenant), tenant.context("edge")
    for place, character in enumerate(good):
        use_context(connection, good[:place] + ("0" if character != "0" else "1") + good[place + 1 :])
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(COUNT)
    use_context(connection, good)
    assert count(connection) == 1


def test_a_context_of_another_key_role_or_time_is_refused(probe: None, conn_as: ConnAs, tenant: Tenant) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=1)
    cases = {
        "forged": mint_context(b"another key", tenant_id=tenant.tenant_id, role="edge", expires_at=soon),
        "made for another role": tenant.context("gate"),
        "expired": tenant.context("edge", lifetime=timedelta(seconds=-1)),
        "malformed": "v1.demo",
    }
    connection = conn_as("edge")
    for message, context in cases.items():
        use_context(connection, context)
        with pytest.raises(errors.InsufficientPrivilege, match=message):
            connection.execute(COUNT)


def test_a_context_runs_out_while_it_is_held(probe: None, conn_as: ConnAs, tenant: Tenant) -> None:
    """The end of its life is read at each statement, not when it was set."""
    connection = conn_as("edge")
    use_context(connection, tenant.context("edge", lifetime=timedelta(seconds=2)))
    assert count(connection) == 1
    connection.execute("SELECT PG_SLEEP_UNTIL(DATE_TRUNC('second', CLOCK_TIMESTAMP()) + INTERVAL '3 seconds')")
    with pytest.raises(errors.InsufficientPrivilege, match="expired"):
        connection.execute(COUNT)


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_nobody_reads_the_key_or_becomes_an_owner(role: LoginRole, conn_as: ConnAs, tenant: Tenant) -> None:
    connection = conn_as(role, tenant)
    for attack in (
        "SELECT * FROM core.context_keys",
        "INSERT INTO core.context_keys VALUES ('mine', '\\x00', '\\x00')",
        "SET ROLE core_owner",
        "SET SESSION AUTHORIZATION postgres",
        "SET SESSION AUTHORIZATION edge" if role != "edge" else "SET SESSION AUTHORIZATION gate",
        "ALTER TABLE core.events NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY tenant_only ON core.events",
        "CREATE TABLE public.mine (x INT)",
        "CREATE TABLE core.mine (x INT)",
        "CREATE TEMP TABLE mine (x INT)",
        "CREATE SCHEMA mine",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(attack.encode())


def test_row_security_off_reads_nothing(probe: None, conn_as: ConnAs, tenant: Tenant) -> None:
    connection = conn_as("edge", tenant)
    connection.execute("SET row_security = off")
    with pytest.raises(errors.InsufficientPrivilege):
        connection.execute(COUNT)


def test_the_policy_asks_once_a_query(probe: None, conn_as: ConnAs, tenant: Tenant) -> None:
    plan = "\n".join(row[0] for row in conn_as("edge", tenant).execute("EXPLAIN SELECT * FROM core.probe"))
    assert "InitPlan" in plan


def test_every_table_with_a_tenant_is_forced(admin_conn: Connection[Any]) -> None:
    """A table of ours without row-level security is a hole, whoever adds it."""
    rows = admin_conn.execute(
        """
        SELECT classes.oid::REGCLASS::TEXT
        FROM pg_class AS classes
        INNER JOIN pg_namespace AS spaces ON spaces.oid = classes.relnamespace
        WHERE
            classes.relkind IN ('r', 'p')
            AND spaces.nspname IN ('core', 'vault', 'ledger', 'gate', 'ai', 'kb', 'graph', 'jobs')
            AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = classes.oid AND attname = 'tenant_id' AND NOT attisdropped)
            AND NOT (classes.relrowsecurity AND classes.relforcerowsecurity)
        """
    ).fetchall()
    assert rows == []


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_a_wrong_password_is_refused(role: LoginRole, conn_as: ConnAs) -> None:
    info = conn_as(role).info
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host=info.host, port=info.port, dbname=info.dbname, user=role, password="wrong")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(host=info.host, port=info.port, dbname="postgres", user=role, password=info.password)
