"""All of it or nothing, under one tenant, and a clear word when the database is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection, errors

from storage.embedded import EmbeddedPostgres
from storage.pools import Pool, open_async_pool, open_pool
from storage.unit_of_work import CommitUnknown, DatabaseUnavailable, async_unit_of_work, unit_of_work
from tests.conftest import Database, Tenant

INSERT = "INSERT INTO core.idempotency_keys VALUES (%s, 'test', 'k', REPEAT('a', 64), '{}', NOW())"
COUNT = "SELECT COUNT(*) FROM core.idempotency_keys"


@pytest.fixture
def pool(database: Database) -> Iterator[Pool]:
    with open_pool(database.dsn("gate"), name="test", max_size=1) as pool:
        yield pool


def test_it_commits_once_and_rolls_back_on_any_exception(pool: Pool, tenant: Tenant) -> None:
    context = tenant.context("gate")

    def fail() -> None:
        with unit_of_work(pool, context) as connection:
            connection.execute(INSERT, [tenant.tenant_id])
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with unit_of_work(pool, context) as connection:
        assert connection.execute(COUNT).fetchone() == (0,)
        connection.execute(INSERT, [tenant.tenant_id])
    with unit_of_work(pool, context) as connection:
        assert connection.execute(COUNT).fetchone() == (1,)


def test_the_context_does_not_outlive_the_transaction(pool: Pool, tenant: Tenant, other_tenant: Tenant) -> None:
    with unit_of_work(pool, tenant.context("gate")) as connection:
        connection.execute(INSERT, [tenant.tenant_id])
    with pool.connection() as connection, pytest.raises(errors.InsufficientPrivilege, match="missing"):
        connection.execute(COUNT)
    with unit_of_work(pool, other_tenant.context("gate")) as connection:
        assert connection.execute(COUNT).fetchone() == (0,)


async def test_the_async_twin_does_the_same(database: Database, tenant: Tenant) -> None:
    pool, context = await open_async_pool(database.dsn("gate"), name="test"), tenant.context("gate")

    async def fail() -> None:
        async with async_unit_of_work(pool, context) as connection:
            await connection.execute(INSERT, [tenant.tenant_id])
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with async_unit_of_work(pool, context) as connection:
        assert await (await connection.execute(COUNT)).fetchone() == (0,)
    await pool.close()


def test_a_connection_that_says_nothing_costs_no_round_trip_and_a_dead_one_is_found(
    pool: Pool, admin_conn: Connection[Any], tenant: Tenant
) -> None:
    with unit_of_work(pool, tenant.context("gate")) as connection:
        pid = connection.info.backend_pid
    asked = "SELECT query FROM pg_stat_activity WHERE pid = %s"
    before = admin_conn.execute(asked, [pid]).fetchone()
    with pool.connection() as connection:
        assert connection.info.backend_pid == pid
        assert admin_conn.execute(asked, [pid]).fetchone() == before == ("COMMIT",)
    admin_conn.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    with unit_of_work(pool, tenant.context("gate")) as connection:
        assert connection.info.backend_pid != pid


def test_a_transaction_inside_is_undone_alone(pool: Pool, tenant: Tenant) -> None:
    def fail_inside(connection: Connection[Any]) -> None:
        with connection.transaction():
            connection.execute(INSERT, [tenant.tenant_id])
            raise LookupError

    with unit_of_work(pool, tenant.context("gate")) as connection:
        with pytest.raises(LookupError):
            fail_inside(connection)
        connection.execute(INSERT, [tenant.tenant_id])
    with unit_of_work(pool, tenant.context("gate")) as connection:
        assert connection.execute(COUNT).fetchone() == (1,)
    with pool.connection() as connection:
        assert not connection.autocommit


def test_a_statement_over_its_time_is_unavailable(pool: Pool, tenant: Tenant) -> None:
    def sleep(connection: Connection[Any]) -> None:
        connection.execute("SET LOCAL statement_timeout = '20ms'")
        connection.execute("SELECT PG_SLEEP(5)")

    with pytest.raises(DatabaseUnavailable, match="57014"), unit_of_work(pool, tenant.context("gate")) as connection:
        sleep(connection)


def test_a_killed_server_is_unavailable_and_then_back(own_folder: Path) -> None:
    server = EmbeddedPostgres(home=own_folder / "postgres", secrets_dir=own_folder / "secrets")
    server.start()

    def stop_in_the_middle(pool: Pool) -> None:
        with unit_of_work(pool, "no context") as connection:
            server.stop()
            connection.execute("SELECT 1")

    def stop_before_the_commit(pool: Pool) -> None:
        with unit_of_work(pool, "no context") as connection:
            connection.execute("SELECT 1")
            server.stop()

    with open_pool(server.admin_dsn(), name="test", max_size=1) as pool:
        with pytest.raises(DatabaseUnavailable):
            stop_in_the_middle(pool)
        server.start()
        with pytest.raises(CommitUnknown):
            stop_before_the_commit(pool)
        with pytest.raises(DatabaseUnavailable):
            stop_in_the_middle(pool)
        server.start()
        with unit_of_work(pool, "no context") as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    server.stop()
