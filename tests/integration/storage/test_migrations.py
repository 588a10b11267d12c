"""From an empty database to the newest schema, once, by one, and not on a schema of somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from storage.embedded import EmbeddedPostgres
from storage.migrate import SchemaDrift, head_revision, migrate, read_revision, require_current_schema
from storage.migrations.sql_files import SQL_DIR, list_revisions
from storage.roles import RoleTooPowerful, ensure_database, ensure_role_passwords, ensure_roles
from storage.setup import set_up_database
from tests.conftest import Cluster, ConnAs

# Numbers of files that were never applied outside of development; they are not given again.
_GIVEN_UP = {7}


@pytest.fixture
def empty_dbname(cluster: Cluster) -> Iterator[str]:
    dbname = f"empty_{uuid4().hex[:12]}"
    with psycopg.connect(cluster.admin_dsn(), autocommit=True) as admin:
        ensure_database(admin, dbname)
        yield dbname
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(dbname)))


def test_every_sql_file_is_a_revision() -> None:
    assert list_revisions() == sorted(path.stem for path in SQL_DIR.glob("*.sql"))
    numbers = [int(revision.split("_")[0]) for revision in list_revisions()]
    assert numbers == [number for number in range(1, numbers[-1] + 1) if number not in _GIVEN_UP]


def test_from_empty_to_head_and_again(cluster: Cluster, empty_dbname: str) -> None:
    dsn = cluster.admin_dsn(empty_dbname)
    assert read_revision(dsn) == ""
    assert migrate(dsn) == head_revision() == list_revisions()[-1]
    assert migrate(dsn) == head_revision()


def test_two_migrations_at_once_do_it_once(cluster: Cluster, empty_dbname: str) -> None:
    dsn = cluster.admin_dsn(empty_dbname)
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(migrate, [dsn, dsn])) == [head_revision()] * 2


def test_set_up_is_idempotent(cluster: Cluster, empty_dbname: str) -> None:
    for _ in range(2):
        revision = set_up_database(
            maintenance_dsn=cluster.admin_dsn(),
            admin_dsn=cluster.admin_dsn(empty_dbname),
            dbname=empty_dbname,
            secrets_dir=cluster.secrets_dir,
        )
        assert revision == head_revision()


def test_an_administrator_who_is_no_superuser_can_set_up(own_folder: Path) -> None:
    """A managed Postgres gives CREATEROLE and CREATEDB; only the extension has to be made beforehand."""
    secrets_dir = own_folder / "secrets"
    server = EmbeddedPostgres(home=own_folder / "postgres", secrets_dir=secrets_dir)
    server.start()
    try:
        with psycopg.connect(server.admin_dsn(), autocommit=True) as superuser:
            superuser.execute("CREATE ROLE dba LOGIN CREATEROLE CREATEDB PASSWORD 'known'")
            superuser.execute("CREATE DATABASE bank OWNER dba")
        with psycopg.connect(server.admin_dsn("bank"), autocommit=True) as superuser:
            superuser.execute("CREATE SCHEMA extensions AUTHORIZATION dba")
            superuser.execute("CREATE EXTENSION vector SCHEMA extensions")
        dsn = server.address.with_dbname("bank").dsn("dba", "known")
        for _ in range(2):
            revision = set_up_database(maintenance_dsn=dsn, admin_dsn=dsn, dbname="bank", secrets_dir=secrets_dir)
            assert revision == head_revision()
    finally:
        server.stop()


def test_a_failing_migration_leaves_nothing(
    cluster: Cluster, empty_dbname: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "sql"
    broken.mkdir()
    for path in SQL_DIR.glob("*.sql"):
        (broken / path.name).write_text(path.read_text())
    (broken / "0001_foundation.sql").write_text((SQL_DIR / "0001_foundation.sql").read_text() + "\nSELECT 1 / 0;\n")
    dsn = cluster.admin_dsn(empty_dbname)
    with monkeypatch.context() as patched:
        patched.setattr("storage.migrations.sql_files.SQL_DIR", broken)
        with pytest.raises(psycopg.errors.DivisionByZero):
            migrate(dsn)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT TO_REGNAMESPACE('core')").fetchone() == (None,)
    assert migrate(dsn) == head_revision()


def test_a_database_of_a_newer_program_is_said_to_be_one(cluster: Cluster, empty_dbname: str) -> None:
    dsn = cluster.admin_dsn(empty_dbname)
    migrate(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE public.alembic_version SET version_num = '9999_later'")
    with pytest.raises(SchemaDrift, match="Use the program version that built it"):
        migrate(dsn)


def test_an_edited_file_is_noticed(
    conn_as: ConnAs, cluster: Cluster, empty_dbname: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connection = conn_as("ai")
    require_current_schema(connection)
    edited = tmp_path / "sql"
    edited.mkdir()
    for path in SQL_DIR.glob("*.sql"):
        (edited / path.name).write_text(path.read_text() + "-- a later thought\n")
    monkeypatch.setattr("storage.migrate.SQL_DIR", edited)
    with pytest.raises(SchemaDrift, match=r"edited after they ran: .*0001_foundation"):
        require_current_schema(connection)


def test_a_role_that_grew_powerful_is_refused(cluster: Cluster) -> None:
    passwords = ensure_role_passwords(cluster.secrets_dir)
    with psycopg.connect(cluster.admin_dsn(), autocommit=True) as admin:
        for attack in (
            "ALTER ROLE auditor BYPASSRLS",
            "ALTER ROLE auditor CREATEROLE",
            "GRANT ledger_owner TO auditor",
            "ALTER ROLE vault_owner LOGIN",
        ):
            # Rolled back: the roles belong to the whole run. The lock first, as everyone who changes them takes it.
            with admin.transaction(force_rollback=True):
                admin.execute("SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED('tellergate.roles', 0))")
                admin.execute(attack.encode())
                with pytest.raises(RoleTooPowerful):
                    ensure_roles(admin, passwords)
        ensure_roles(admin, passwords)
