"""The real database of the tests: one cluster a run, a migrated template, a database per worker, a fresh tenant per test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import hypothesis
import psycopg
import pytest
from psycopg import Connection, sql

from storage.embedded import SUPERUSER, EmbeddedPostgres
from storage.migrate import migrate
from storage.roles import LoginRole, ensure_database, ensure_role_passwords, ensure_roles, grant_database, read_role_password
from storage.secrets import read_secret
from storage.server_address import ServerAddress
from storage.tenancy import ensure_context_key, install_context_key, mint_context, read_context_key

# Machines are shared: how long one example takes says nothing about what it shows.
hypothesis.settings.register_profile("tellergate", deadline=None)
hypothesis.settings.load_profile("tellergate")

_TEMPLATE = "tellergate_template"
# Tests that kill the server start their own; nothing here must survive a power cut.
_TEST_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "1GB"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the run's server and its secrets are."""

    address: ServerAddress
    secrets_dir: Path

    def admin_dsn(self, dbname: str = "postgres") -> str:
        """Write the superuser's DSN."""
        return self.address.with_dbname(dbname).dsn(SUPERUSER, read_secret(self.secrets_dir / "db_superuser.password"))


@dataclass(frozen=True, slots=True)
class Database:
    """One worker's migrated database."""

    cluster: Cluster
    address: ServerAddress
    context_key: bytes

    def dsn(self, role: LoginRole) -> str:
        """Write the DSN of a login role."""
        return self.address.dsn(role, read_role_password(self.cluster.secrets_dir, role))

    def admin_dsn(self) -> str:
        """Write the superuser's DSN."""
        return self.cluster.admin_dsn(self.address.dbname)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant that no other test knows."""

    tenant_id: str
    context_key: bytes

    def context(self, role: LoginRole, *, lifetime: timedelta = timedelta(minutes=10)) -> str:
        """Mint a context for this tenant and role."""
        return mint_context(self.context_key, tenant_id=self.tenant_id, role=role, expires_at=datetime.now(UTC) + lifetime)


ConnAs = Callable[..., Connection[Any]]


def make_server(folder: Path) -> EmbeddedPostgres:
    """Lay a server out below `folder`; not started."""
    return EmbeddedPostgres(home=folder / "postgres", secrets_dir=folder / "secrets", settings=_TEST_SETTINGS)


def make_template(server: EmbeddedPostgres, secrets_dir: Path) -> None:
    """Make the roles and the migrated database that the workers clone."""
    with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
        ensure_roles(connection, ensure_role_passwords(secrets_dir))
        ensure_database(connection, _TEMPLATE)
    migrate(server.admin_dsn(_TEMPLATE))
    with psycopg.connect(server.admin_dsn(_TEMPLATE)) as connection:
        install_context_key(connection, ensure_context_key(secrets_dir))


class _RunCluster:
    """Held by the process that outlives the workers: the xdist controller, or the only process there is."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._server: EmbeddedPostgres | None = None

    def start(self) -> Path:
        """Start once; return the folder."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="tg-"))
            self._server = make_server(self._folder)
            self._server.start()
            make_template(self._server, self._folder / "secrets")
        return self._folder

    def stop(self) -> None:
        """Stop and remove it."""
        if self._server is not None:
            self._server.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder)
        self._folder = self._server = None


_RUN_CLUSTER = _RunCluster()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Start the cluster in the xdist controller and tell the worker where it is."""
    node.workerinput["tellergate_cluster"] = str(_RUN_CLUSTER.start())


def pytest_unconfigure() -> None:
    """Stop the cluster, where this process owns it."""
    _RUN_CLUSTER.stop()


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The run's own server."""
    handed_over = getattr(request.config, "workerinput", {}).get("tellergate_cluster")
    folder = Path(handed_over) if handed_over else _RUN_CLUSTER.start()
    return Cluster(address=make_server(folder).address, secrets_dir=folder / "secrets")


@pytest.fixture(scope="session")
def database(cluster: Cluster) -> Iterator[Database]:
    """This worker's database."""
    with clone_template(cluster) as worker_database:
        yield worker_database


@contextmanager
def clone_template(cluster: Cluster) -> Iterator[Database]:
    """Clone the migrated template, and drop the clone at the end."""
    dbname = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(cluster.admin_dsn(), autocommit=True) as admin:
        clone = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(dbname), sql.Identifier(_TEMPLATE))
        admin.execute(clone)
        grant_database(admin, dbname)
        yield Database(
            cluster=cluster,
            address=cluster.address.with_dbname(dbname),
            context_key=read_context_key(cluster.secrets_dir),
        )
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(dbname)))


@pytest.fixture
def tenant(database: Database) -> Iterator[Tenant]:
    """A fresh tenant."""
    fresh = Tenant(tenant_id=f"t-{uuid4().hex[:16]}", context_key=database.context_key)
    yield fresh
    take_off_waiting_list(database, fresh)


@pytest.fixture
def other_tenant(database: Database) -> Iterator[Tenant]:
    """A second fresh tenant, to show that the first one cannot see it."""
    fresh = Tenant(tenant_id=f"o-{uuid4().hex[:16]}", context_key=database.context_key)
    yield fresh
    take_off_waiting_list(database, fresh)


def take_off_waiting_list(database: Database, tenant: Tenant) -> None:
    """Leave no events behind that a money process of a later test would place, or stumble over."""
    with psycopg.connect(database.admin_dsn(), autocommit=True) as connection:
        connection.execute("DELETE FROM core.events_unsequenced WHERE tenant_id = %s", [tenant.tenant_id])


@pytest.fixture
def conn_as(database: Database) -> Iterator[ConnAs]:
    """`conn_as(role, tenant)`: an autocommit connection of that role, holding that tenant's context for the session.

    Without a tenant: no context. For several statements in one transaction use `with connection.transaction():`.
    """
    opened: list[Connection[Any]] = []

    def connect(role: LoginRole, tenant: Tenant | None = None) -> Connection[Any]:
        connection = psycopg.connect(database.dsn(role), autocommit=True)
        opened.append(connection)
        if tenant is not None:
            connection.execute("SELECT SET_CONFIG('tellergate.context', %s, FALSE)", [tenant.context(role)])
        return connection

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def admin_conn(database: Database) -> Iterator[Connection[Any]]:
    """An autocommit superuser connection: it steps over row-level security, so set-up only."""
    with psycopg.connect(database.admin_dsn(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """A short folder for tests that start and kill a server of their own."""
    folder = Path(tempfile.mkdtemp(prefix="tg-own-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
