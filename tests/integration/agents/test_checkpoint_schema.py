"""The checkpoint tables are the library's own: our migration and its MIGRATIONS must not drift apart."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.postgres.base import MIGRATIONS
from psycopg import Connection
from psycopg.errors import InsufficientPrivilege

from tests.conftest import ConnAs, Database, Tenant

_COLUMNS = """
SELECT table_name, column_name, data_type, is_nullable, column_default
FROM information_schema.columns
WHERE table_schema = %s
ORDER BY table_name, column_name
"""
_INDEXES = "SELECT tablename, replace(indexdef, %s, '') FROM pg_indexes WHERE schemaname = %s ORDER BY 1, 2"


def test_tables_equal_those_of_the_library(database: Database) -> None:
    with psycopg.connect(database.admin_dsn(), autocommit=True) as admin:
        admin.execute("DROP SCHEMA IF EXISTS library CASCADE")
        admin.execute("CREATE SCHEMA library")
        admin.execute("SET search_path = library")
        for migration in MIGRATIONS:
            admin.execute(migration)
        try:
            assert _shape(admin, "graph") == _shape(admin, "library")
            versions = [row[0] for row in admin.execute("SELECT v FROM graph.checkpoint_migrations ORDER BY v")]
            assert versions == list(range(len(MIGRATIONS)))
        finally:
            admin.execute("DROP SCHEMA library CASCADE")


def test_a_thread_of_another_tenant_is_neither_seen_nor_written(conn_as: ConnAs, tenant: Tenant, other_tenant: Tenant) -> None:
    ours, theirs = conn_as("ai", tenant), conn_as("ai", other_tenant)
    insert = "INSERT INTO graph.checkpoints (thread_id, checkpoint_id, checkpoint) VALUES (%s, 'c1', '{}')"
    ours.execute(insert, [f"{tenant.tenant_id}:cnv_1:msg_1"])
    assert theirs.execute("SELECT count(*) FROM graph.checkpoints").fetchone() == (0,)
    with pytest.raises(InsufficientPrivilege):
        theirs.execute(insert, [f"{tenant.tenant_id}:cnv_1:msg_2"])


@pytest.mark.parametrize("role", ["edge", "gate", "executor", "jobs", "auditor", "vault"])
def test_no_other_role_reads_checkpoints(conn_as: ConnAs, tenant: Tenant, role: Any) -> None:
    with pytest.raises(InsufficientPrivilege):
        conn_as(role, tenant).execute("SELECT count(*) FROM graph.checkpoint_blobs")


def _shape(admin: Connection[Any], schema: str) -> list[list[tuple[Any, ...]]]:
    columns = admin.execute(_COLUMNS, [schema]).fetchall()
    indexes = admin.execute(_INDEXES, [f"{schema}.", schema]).fetchall()
    return [columns, indexes]
