"""An attacker who holds what the agents process holds: its database password, its tenant context, its place on the socket."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from domain.ids import make_id
from storage.embedded import EmbeddedPostgres
from storage.roles import read_role_password
from storage.server_address import ServerAddress
from storage.tenancy import mint_context, read_context_key
from tests.acceptance.service import Service

pytestmark = pytest.mark.slow
_DATABASE = "tellergate"
_TRACE = {
    "prompt_id": "support.read", "prompt_sha256": "a" * 64, "masked_prompt_sha256": "b" * 64, "model": "none",
    "generated_by": "template",
}  # fmt: skip


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
        "SELECT * FROM ledger.execute_decision('dec_' || repeat('0', 32), gen_random_uuid(), now())",
        "SELECT gate.freeze('frz_' || repeat('0', 32), 'tenant', '', 'opr_x', 'x', now())",
        "SELECT gate.thaw('frz_' || repeat('0', 32), 'opr_x', now())",
        "INSERT INTO gate.freezes DEFAULT VALUES",
        "INSERT INTO gate.executed_acts DEFAULT VALUES",
        "INSERT INTO gate.authorizations DEFAULT VALUES",
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
        "SELECT * FROM vault.number_prints",
        "SELECT * FROM vault.reveal_links",
        "SELECT * FROM vault.read_known_values('x', 'x', ARRAY['x'])",
        "SELECT vault.erase_subject('x', 'x', 'x', now(), gen_random_uuid())",
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


# What could be refunded within policy but for the claim: young, small, posted, of a verified customer in good standing.
_QUIET_CUSTOMERS = """
SELECT transactions.customer_id
FROM ai.transactions AS transactions
INNER JOIN ai.customers AS customers USING (customer_id)
INNER JOIN ai.accounts AS accounts USING (account_id)
WHERE
    transactions.kind = 'card_payment' AND transactions.status = 'posted' AND transactions.currency = 'EUR'
    AND transactions.amount_minor BETWEEN 100 AND 15000 AND transactions.occurred_at > NOW() - INTERVAL '90 days'
    AND customers.kyc_status = 'verified' AND accounts.status = 'active' AND accounts.currency = 'EUR'
    AND transactions.customer_id <> ALL(%s)
GROUP BY transactions.customer_id
HAVING COUNT(*) >= 5 AND COUNT(*) = COUNT(DISTINCT (transactions.descriptor, transactions.amount_minor))
ORDER BY transactions.customer_id
LIMIT 2
"""
_GRANTED = """
SELECT grants.handle, transactions.amount_minor
FROM ai.grants AS grants
INNER JOIN ai.transactions AS transactions ON grants.ref = transactions.transaction_id
WHERE
    grants.conversation_id = %s AND grants.granted AND transactions.kind = 'card_payment' AND transactions.status = 'posted'
    AND transactions.currency = 'EUR' AND transactions.amount_minor BETWEEN 100 AND 15000
    AND transactions.occurred_at > NOW() - INTERVAL '90 days'
    AND NOT EXISTS (
        SELECT FROM ai.transactions AS others WHERE others.related_transaction_id = transactions.transaction_id
    )
    AND NOT EXISTS (SELECT FROM ai.disputes WHERE disputes.transaction_id = transactions.transaction_id)
ORDER BY transactions.occurred_at DESC
LIMIT 5
"""
_CLAIMS = ("other", "goods_not_received", "merchant_credit_missing", "fee_error", "duplicate_charge")
_UNDECIDED = """
SELECT COUNT(*) FROM ai.proposals
WHERE proposal_id = ANY(%s) AND NOT EXISTS (SELECT FROM gate.decisions WHERE decisions.proposal_id = proposals.proposal_id)
"""
Turn = tuple[str, str]
Forged = tuple[Turn, dict[str, Any]]


def _ask_something_else(service: Service, attacker: psycopg.Connection[Any], customer_id: str, as_user: str) -> Turn:
    """Open a conversation as a person does, with a question about no payment; return it and its message."""
    answer = service.ask(customer_id, "How long does a payout take to arrive?", as_user=as_user)
    assert answer["proposal"] is None
    row = attacker.execute(
        "SELECT message_id FROM ai.messages WHERE conversation_id = %s AND author = 'operator'", [answer["conversation_id"]]
    ).fetchone()
    assert row is not None
    return answer["conversation_id"], row[0]


def _forge(mine: Turn, his: Turn, charges: list[tuple[str, int]]) -> Iterator[Forged]:
    """Yield what an attacker can put forward; the first is the one that looks best."""
    for handle, amount_minor in charges:
        for claim in _CLAIMS:
            yield mine, {"transaction": handle, "amount_minor": amount_minor, "reason_code": claim}
        for other in (amount_minor + 1, amount_minor * 100, 10**15, amount_minor - 1, 1, 0, -amount_minor):
            yield mine, {"transaction": handle, "amount_minor": other, "reason_code": "other"}
        yield mine, {"transaction": handle, "amount_minor": amount_minor, "reason_code": "other", "currency": "KWD"}
        yield mine, {"transaction": handle, "amount_minor": amount_minor, "reason_code": "other", "named_by_staff": True}
        yield (mine[0], his[1]), {"transaction": handle, "amount_minor": amount_minor, "reason_code": "other"}
    for handle in ("X1", "T0", "T9999", "A1", "C1", "B1"):
        yield mine, {"transaction": handle, "amount_minor": 100, "reason_code": "duplicate_charge"}
    yield his, {"transaction": "T1", "amount_minor": 100, "reason_code": "other"}
    yield (his[0], mine[1]), {"transaction": "T1", "amount_minor": 100, "reason_code": "other"}


def _insert(attacker: psycopg.Connection[Any], turn: Turn, arguments: dict[str, Any]) -> str:
    now = datetime.now(UTC)
    proposal_id = make_id("prp", now)
    attacker.execute(
        "INSERT INTO ai.proposals (tenant_id, proposal_id, conversation_id, message_id, kind, arguments, trace, submitted_at)"
        " VALUES ('demo', %s, %s, %s, 'refund', %s, %s, %s)",
        [proposal_id, *turn, Jsonb({"currency": "EUR", **arguments}), Jsonb(_TRACE), now],
    )
    return proposal_id


@pytest.fixture
def auditor(service: Service) -> Iterator[psycopg.Connection[Any]]:
    """Read what came of it."""
    secrets_dir = service.var_dir / "secrets"
    expires_at = datetime.now(UTC) + timedelta(minutes=8)
    context = mint_context(read_context_key(secrets_dir), tenant_id="demo", role="auditor", expires_at=expires_at)
    with psycopg.connect(
        _address(service).dsn("auditor", read_role_password(secrets_dir, "auditor")), autocommit=True
    ) as connection:
        connection.execute("SELECT set_config('tellergate.context', %s, FALSE)", [context])
        yield connection


def _count(connection: psycopg.Connection[Any], statement: str, ids: list[str]) -> int:
    row = connection.execute(statement, [ids]).fetchone()
    assert row is not None
    return int(row[0])


def test_forged_proposals_move_nothing_without_a_human(
    service: Service, attacker: psycopg.Connection[Any], auditor: psycopg.Connection[Any]
) -> None:
    taken = [case["customer_id"] for case in service.scenarios.values()]
    (customer,), (other,) = attacker.execute(_QUIET_CUSTOMERS, [taken]).fetchall()
    mine = _ask_something_else(service, attacker, customer, "ada")
    his = _ask_something_else(service, attacker, other, "ben")
    charges = attacker.execute(_GRANTED, [mine[0]]).fetchall()
    before = auditor.execute("SELECT COUNT(*) FROM ledger.transfer_lines").fetchone()

    forged = [_insert(attacker, turn, arguments) for turn, arguments in _forge(mine, his, charges)]
    assert len(forged) >= 50
    service.wait_for(lambda: _count(auditor, _UNDECIDED, forged) == 0)

    rows = auditor.execute("SELECT proposal_id, outcome, reasons FROM gate.decisions WHERE proposal_id = ANY(%s)", [forged])
    decided = {row[0]: (row[1], [reason["code"] for reason in row[2]]) for row in rows}
    assert {outcome for outcome, _ in decided.values()} == {"review", "deny"}
    # Nothing else stood between the best looking one and the money.
    assert decided[forged[0]] == ("review", ["claim_unconfirmed", "within_policy"])
    assert all("claim_unconfirmed" in codes for outcome, codes in decided.values() if outcome == "review")
    assert _count(auditor, "SELECT COUNT(*) FROM gate.consumptions WHERE proposal_id = ANY(%s)", forged) == 0

    open_reviews = "SELECT review_id, action_digest FROM gate.reviews WHERE proposal_id = ANY(%s) AND state = 'open'"
    with service.api("cleo") as approver:
        for review_id, digest in auditor.execute(open_reviews, [forged]).fetchall():
            body = {"action_digest": digest, "reason": "nobody asked for it"}
            approver.post(f"/api/v1/reviews/{review_id}/refuse", json=body).raise_for_status()
    assert auditor.execute("SELECT COUNT(*) FROM ledger.transfer_lines").fetchone() == before
