"""An attacker who holds what the agents process holds: its database password, its tenant context, its place on the socket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from storage.embedded import EmbeddedPostgres
from storage.roles import read_role_password
from storage.server_address import ServerAddress
from storage.tenancy import mint_context, read_context_key
from tests.acceptance.service import Service

pytestmark = pytest.mark.slow
_DATABASE = "tellergate"


def _address(service: Service) -> ServerAddress:
    server = EmbeddedPostgres(home=service.var_dir / "pg", secrets_dir=service.var_dir / "secrets")
    return server.address.with_dbname(_DATABASE)


@pytest.fixture
def attacker(service: Service) -> Iterator[psycopg.Connection[Any]]:
    """Connect as the agents process does, with a context as the edge hands it over for each turn."""
    secrets_dir = service.var_dir / "secrets"
    dsn = _address(service).dsn("ai", read_role_password(secrets_dir, "ai"))
    expires_at = datetime.now(UTC) + timedelta(minutes=2)
    context = mint_context(read_context_key(secrets_dir), tenant_id="demo", role="ai", expires_at=expires_at)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT set_config('tellergate.context', %s, FALSE)", [context])
        yield connection


def test_the_attacker_really_is_in_and_sees_masked_rows(attacker: psycopg.Connection[Any]) -> None:
    row = attacker.execute("SELECT count(*), min(name_token) FROM ai.customers").fetchone()
    assert row is not None
    assert row[0] >= 300
    assert row[1].startswith("<PERSON_")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO ledger.transfers DEFAULT VALUES",
        "SELECT * FROM ledger.transfers",
        "UPDATE ledger.transfers SET amount_minor = 1",
        "SELECT * FROM ledger.execute_refund('dec_' || repeat('0', 32), gen_random_uuid(), now())",
        "INSERT INTO gate.decisions DEFAULT VALUES",
        "INSERT INTO gate.approvals DEFAULT VALUES",
        "INSERT INTO core.events DEFAULT VALUES",
        "INSERT INTO core.grants DEFAULT VALUES",
        "INSERT INTO core.messages DEFAULT VALUES",
        "INSERT INTO core.mentions DEFAULT VALUES",
        "SELECT * FROM core.customers",
        "SELECT * FROM core.operators",
        "SELECT * FROM core.sessions",
        "SELECT * FROM core.context_keys",
        "SELECT * FROM vault.pii_values",
        "UPDATE ai.proposals SET kind = 'payment'",
        "DELETE FROM ai.proposals",
        "TRUNCATE ai.proposals",
        "SET ROLE executor",
        "SET ROLE ledger_owner",
        "SET SESSION AUTHORIZATION executor",
        "ALTER TABLE ai.proposals NO FORCE ROW LEVEL SECURITY",
        "CREATE TABLE public.mine (x INT)",
        "CREATE TEMP TABLE mine (x INT)",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('pg_hba.conf')",
    ],
)
def test_everything_beyond_its_views_and_its_inbox_is_refused(attacker: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        attacker.execute(statement)
    # 42501 insufficient privilege; 42P01/42883 would mean that this test names something that does not exist.
    assert caught.value.sqlstate == "42501", f"{caught.value.sqlstate}: {caught.value}"


def test_another_tenant_stays_closed(service: Service, attacker: psycopg.Connection[Any]) -> None:
    expires_at = datetime.now(UTC) + timedelta(minutes=2)
    genuine = mint_context(read_context_key(service.var_dir / "secrets"), tenant_id="demo", role="ai", expires_at=expires_at)
    version, _, role, expires, mac = genuine.split(".")
    for forged in (f"{version}.other.{role}.{expires}.{mac}", f"{version}.demo.edge.{expires}.{mac}", "demo", ""):
        attacker.execute("SELECT set_config('tellergate.context', %s, FALSE)", [forged])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attacker.execute("SELECT count(*) FROM ai.customers")


@pytest.mark.parametrize("user", ["postgres", "executor", "gate", "edge", "vault", "ledger_owner", "core_owner", "vault_owner"])
def test_nobody_else_lets_it_in_with_its_own_password(service: Service, user: str) -> None:
    password = read_role_password(service.var_dir / "secrets", "ai")
    for guess in (password, "", user):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(_address(service).dsn(user, guess), connect_timeout=5)
