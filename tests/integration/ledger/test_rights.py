"""Who may do what to the money tables: asked of the database, as each role, as the owners and as the superuser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, get_args
from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection
from psycopg.types.json import Jsonb

from domain.ids import uuid_of
from ledger.posting import post_decision
from ledger.results import ExecutionCode
from ledger.transfer_digest import derive_transfer_id
from storage.roles import LOGIN_ROLES, LoginRole
from tests.conftest import ConnAs, Tenant
from tests.integration.ledger.books import find_faults
from tests.integration.ledger.scene import NOW, Scene

Refused = psycopg.errors.InsufficientPrivilege
_MONEY_TABLES = tuple(
    f"ledger.{name}"
    for name in ("accounts", "transfers", "tails", "holds", "reversals", "refusals", "refund_totals", "writer_epochs")
)
_ONLY_GROWING = (
    "ledger.transfers",
    "ledger.refusals",
    *(f"gate.{name}" for name in ("decisions", "approvals", "log_nodes", "checkpoints", "policy_bundles")),
    *(f"core.{name}" for name in ("events", "event_positions")),
)
_INSERT_TRANSFER = (
    "INSERT INTO ledger.transfers (tenant_id, transfer_id, kind, code, decision_id, debit_account, credit_account, amount_minor,"
    " debit_version, credit_version, occurred_at, recorded_at) VALUES (%s, %s, 1, 1, %s, 1, 2, 100, 1, 1, NOW(), NOW())"
)


@contextmanager
def _rolled_back(admin: Connection[Any]) -> Iterator[Connection[Any]]:
    """A superuser's transaction that never stays."""
    with admin.transaction(force_rollback=True):
        yield admin


@pytest.fixture
def posted(scene: Scene) -> Scene:
    """A tenant in which one refund was posted."""
    assert scene.execute(scene.decide(scene.add_charge()).decision_id).code is ExecutionCode.POSTED
    return scene


def test_the_roles_asked_here_are_all_there_are() -> None:
    assert set(LOGIN_ROLES) == set(get_args(LoginRole))


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_nobody_inserts_a_transfer_or_uses_up_an_authorization(scene: Scene, role: LoginRole) -> None:
    allowed = scene.decide(scene.add_charge())
    connection = scene.conn_as(role, scene.tenant)
    with pytest.raises(Refused):
        connection.execute(_INSERT_TRANSFER, [scene.tenant.tenant_id, uuid4(), uuid_of(allowed.decision_id)])
    with pytest.raises(Refused):
        connection.execute("DELETE FROM gate.authorizations")
    with pytest.raises(Refused):
        connection.execute("UPDATE gate.authorizations SET valid_until = valid_until + INTERVAL '1 second'")


@pytest.mark.parametrize("role", LOGIN_ROLES)
@pytest.mark.parametrize("table", _MONEY_TABLES)
def test_no_login_role_changes_a_money_table(posted: Scene, role: LoginRole, table: str) -> None:
    connection = posted.conn_as(role, posted.tenant)
    for statement in (f"UPDATE {table} SET tenant_id = tenant_id", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(Refused):
            connection.execute(statement)


@pytest.mark.parametrize("role", [role for role in LOGIN_ROLES if role != "executor"])
def test_only_the_executor_may_execute(scene: Scene, role: LoginRole) -> None:
    allowed = scene.decide(scene.add_charge())
    with pytest.raises(Refused):
        post_decision(
            scene.conn_as(role, scene.tenant), allowed.decision_id, transfer_id=derive_transfer_id(allowed.decision_id), now=NOW
        )


@pytest.mark.parametrize("table", _ONLY_GROWING)
@pytest.mark.parametrize("statement", ["UPDATE {} SET tenant_id = tenant_id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
@pytest.mark.parametrize("replica", [False, True])
def test_not_even_the_superuser_changes_what_only_grows(posted: Scene, table: str, statement: str, replica: bool) -> None:
    with _rolled_back(posted.admin) as admin:
        admin.execute("SELECT SET_CONFIG('session_replication_role', %s, TRUE)", ["replica" if replica else "origin"])
        with pytest.raises(Refused):
            admin.execute(statement.format(table))


@pytest.mark.parametrize("owner", ["ledger_owner", "gate_owner", "core_owner"])
def test_not_even_the_owners_change_a_transfer(posted: Scene, owner: str) -> None:
    for statement in (
        "UPDATE ledger.transfers SET amount_minor = 1",
        "DELETE FROM ledger.transfers",
        "TRUNCATE ledger.transfers",
    ):
        with _rolled_back(posted.admin) as admin:
            admin.execute(f"SET LOCAL ROLE {owner}")
            with pytest.raises(Refused):
                admin.execute(statement)


def test_accounts_and_totals_are_not_removed_by_the_superuser(posted: Scene) -> None:
    for name in ("accounts", "refund_totals", "holds", "reversals", "writer_epochs"):
        for statement in (f"DELETE FROM ledger.{name}", f"TRUNCATE ledger.{name}"):
            with _rolled_back(posted.admin) as admin, pytest.raises(Refused, match="rows of the ledger stay"):
                admin.execute(statement)


@pytest.mark.parametrize("replica", [False, True])
@pytest.mark.parametrize("owner", [None, "ledger_owner", "gate_owner", "core_owner"])
def test_a_transfer_that_no_function_made_does_not_stand(scene: Scene, owner: str | None, replica: bool) -> None:
    """Who writes the row himself, the superuser and the owner included, meets the guard: money moves by the functions alone."""
    allowed = scene.decide(scene.add_charge())
    with _rolled_back(scene.admin) as admin:
        admin.execute("SELECT SET_CONFIG('session_replication_role', %s, TRUE)", ["replica" if replica else "origin"])
        if owner is not None:
            admin.execute(f"GRANT USAGE ON SCHEMA ledger TO {owner}")
            admin.execute(f"GRANT INSERT ON ledger.transfers TO {owner}")
            admin.execute(f"SET LOCAL ROLE {owner}")
        with pytest.raises(Refused, match="only the functions of the ledger write here"):
            admin.execute(_INSERT_TRANSFER, [scene.tenant.tenant_id, uuid4(), uuid_of(allowed.decision_id)])
    assert scene.execute(allowed.decision_id).code is ExecutionCode.POSTED


def test_a_transfer_written_past_the_disabled_guard_is_found(scene: Scene) -> None:
    """Nothing stops a superuser who takes the guard away first; the books show it."""
    assert scene.execute(scene.decide(scene.add_charge()).decision_id).code is ExecutionCode.POSTED
    forged = uuid4()
    with _rolled_back(scene.admin) as admin:
        admin.execute("ALTER TABLE ledger.transfers DISABLE TRIGGER from_functions")
        accounts = admin.execute(
            "SELECT account FROM ledger.accounts WHERE tenant_id = %s ORDER BY code", [scene.tenant.tenant_id]
        )
        credit, debit = (row[0] for row in accounts.fetchall())
        admin.execute(_INSERT_TRANSFER.replace("1, 2, 100, 1, 1", f"{debit}, {credit}, 100, 1000000000, 2"),
                      [scene.tenant.tenant_id, forged, uuid4()])  # fmt: skip
        faults = find_faults(admin, scene.tenant.tenant_id)
    assert faults["a transfer without a decision that allows it"] == [str(forged)]
    assert faults["a transfer is not once in the log or its waiting list"] == [str(forged)]
    assert "the sums of an account are not those of its entries" in faults
    assert find_faults(scene.admin, scene.tenant.tenant_id) == {}


@pytest.mark.parametrize("role", ["gate", "edge", "executor", "jobs"])
def test_nobody_claims_a_posting_in_the_log(scene: Scene, role: LoginRole) -> None:
    with pytest.raises(Refused):
        scene.conn_as(role, scene.tenant).execute(
            "INSERT INTO core.events (tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, data)"
            " VALUES (%s, %s, 'ledger.transfer_posted', 'x', 'y', NOW(), NOW(), '{}')",
            [scene.tenant.tenant_id, uuid4()],
        )


@pytest.mark.parametrize("role", ["edge", "executor", "jobs"])
@pytest.mark.parametrize("event_type", ["gate.decided", "review.approved", "proposal.submitted"])
def test_only_the_gate_says_what_was_decided(scene: Scene, role: LoginRole, event_type: str) -> None:
    with pytest.raises(Refused):
        scene.conn_as(role, scene.tenant).execute(
            "INSERT INTO core.events (tenant_id, event_id, event_type, source, subject, occurred_at, recorded_at, data)"
            " VALUES (%s, %s, %s, 'x', 'y', NOW(), NOW(), '{}')",
            [scene.tenant.tenant_id, uuid4(), event_type],
        )


@pytest.mark.parametrize("table", [*_MONEY_TABLES, *_ONLY_GROWING, "gate.reviews"])
def test_row_security_is_forced_on_every_table(scene: Scene, table: str) -> None:
    row = scene.admin.execute(
        "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::REGCLASS", [table]
    ).fetchone()
    assert row == (True, True)


def test_without_a_context_or_with_anothers_nothing_is_executed(scene: Scene, other_tenant: Tenant, conn_as: ConnAs) -> None:
    allowed = scene.decide(scene.add_charge())
    with pytest.raises(Refused, match="tenant context: missing"):
        post_decision(conn_as("executor"), allowed.decision_id, transfer_id=derive_transfer_id(allowed.decision_id), now=NOW)
    other = post_decision(
        conn_as("executor", other_tenant), allowed.decision_id, transfer_id=derive_transfer_id(allowed.decision_id), now=NOW
    )
    assert other.code is ExecutionCode.DECISION_NOT_FOUND
    stolen = conn_as("executor")
    stolen.execute("SELECT SET_CONFIG('tellergate.context', %s, FALSE)", [scene.tenant.context("gate")])
    with pytest.raises(Refused, match="made for another role"):
        post_decision(stolen, allowed.decision_id, transfer_id=derive_transfer_id(allowed.decision_id), now=NOW)
    expired = conn_as("executor")
    context = scene.tenant.context("executor", lifetime=timedelta(seconds=-1))
    expired.execute("SELECT SET_CONFIG('tellergate.context', %s, FALSE)", [context])
    with pytest.raises(Refused, match="expired"):
        post_decision(expired, allowed.decision_id, transfer_id=derive_transfer_id(allowed.decision_id), now=NOW)


def test_the_views_show_one_tenant_only(posted: Scene, other_tenant: Tenant) -> None:
    for role in ("executor", "gate", "edge", "jobs", "auditor"):
        for view in ("account_balances", "transfer_lines", "trial_balance", "refund_totals"):
            query = f"SELECT COUNT(*) FROM ledger.{view}"
            assert posted.conn_as(role, posted.tenant).execute(query).fetchone() != (0,), (role, view)
            assert posted.conn_as(role, other_tenant).execute(query).fetchone() == (0,), (role, view)


def _tamper(admin: Connection[Any], statement: str, parameters: list[Any]) -> None:
    """Change a decision as nobody can: triggers off, checks dropped. The caller rolls it back."""
    admin.execute("ALTER TABLE gate.decisions DISABLE TRIGGER ALL")
    admin.execute("ALTER TABLE gate.decisions DROP CONSTRAINT decisions_action_digest, DROP CONSTRAINT decisions_action_columns")
    admin.execute(statement, parameters)


@pytest.mark.parametrize(
    "change",
    [
        "amount_minor = 499000",
        "amount_minor = 499000, action = JSONB_SET(action, '{amount_minor}', '499000')",
        "account_id = 'acc_000000000666', customer_id = 'cus_000000000666'",
        "action = JSONB_SET(action, '{reason_code}', '\"other\"')",
    ],
)
def test_a_decision_that_was_edited_behind_the_gates_back_is_not_executed(scene: Scene, change: str) -> None:
    allowed = scene.decide(scene.add_charge(499000), 4990)
    context = scene.tenant.context("executor")
    with _rolled_back(scene.admin) as admin:
        _tamper(admin, f"UPDATE gate.decisions SET {change} WHERE decision_id = %s", [allowed.decision_id])
        admin.execute("SET LOCAL SESSION AUTHORIZATION executor")
        admin.execute("SELECT SET_CONFIG('tellergate.context', %s, TRUE)", [context])
        assert (
            post_decision(admin, allowed.decision_id, transfer_id=derive_transfer_id(allowed.decision_id), now=NOW).code
            is ExecutionCode.DIGEST_MISMATCH
        )
    assert scene.execute(allowed.decision_id).code is ExecutionCode.POSTED


def test_the_servers_clock_ends_a_decision_whatever_the_caller_says(scene: Scene) -> None:
    allowed = scene.decide(scene.add_charge())
    context = scene.tenant.context("executor")
    with _rolled_back(scene.admin) as admin:
        _tamper(admin, "UPDATE gate.decisions SET recorded_at = recorded_at - INTERVAL '60 seconds' WHERE decision_id = %s",
                [allowed.decision_id])  # fmt: skip
        admin.execute("SET LOCAL SESSION AUTHORIZATION executor")
        admin.execute("SELECT SET_CONFIG('tellergate.context', %s, TRUE)", [context])
        assert (
            post_decision(admin, allowed.decision_id, transfer_id=derive_transfer_id(allowed.decision_id), now=NOW).code
            is ExecutionCode.DECISION_EXPIRED
        )
    with pytest.raises(Refused):
        scene.decide(scene.add_charge(), recorded_at=NOW + timedelta(days=1))


def test_the_gate_cannot_store_a_decision_that_contradicts_itself(scene: Scene) -> None:
    charge = scene.add_charge()
    wrong: list[dict[str, Any]] = [
        {"amount_minor": 5000},
        {"transaction_id": "txn_other"},
        {"account_id_column": None},
        {"action_digest": "0" * 64},
        {"action": Jsonb({})},
        {"expires_at": NOW + timedelta(seconds=61)},
        {"expires_at": NOW},
        {"transfer_digest": None},
        {"transfer_id": None},
    ]
    for change in wrong:
        written = scene.decide(scene.add_charge(), outcome="deny")
        row = scene.decision_row(f"dec_{uuid4().hex}", written.action, NOW)
        row |= {"proposal_id": f"prp_{uuid4().hex}", "event_id": written.event.event_id}
        action = written.action.model_copy(update={"proposal_id": row["proposal_id"], "transaction_id": charge})
        row |= scene.decision_row(row["decision_id"], action, NOW) | {"event_id": written.event.event_id}
        row |= {name.removesuffix("_column"): value for name, value in change.items()}
        with pytest.raises(psycopg.errors.CheckViolation):
            scene.insert_decision(scene.gate, row)


def test_after_the_posting_no_further_decision_of_the_proposal(scene: Scene) -> None:
    charge = scene.add_charge(1000)
    first = scene.decide(charge, 100)
    assert scene.execute(first.decision_id).code is ExecutionCode.POSTED
    with pytest.raises(psycopg.errors.CheckViolation, match="already executed"):
        scene.decide(charge, 100, previous=first)
    row = scene.decision_row(f"dec_{uuid4().hex}", first.action, NOW)
    with pytest.raises(psycopg.errors.UniqueViolation, match="decisions_first_of_proposal"):
        scene.insert_decision(scene.gate, row | {"event_id": first.event.event_id})


def test_an_approval_is_of_exactly_the_reviewed_action(scene: Scene) -> None:
    charge = scene.add_charge(1000)
    reviewed = scene.decide(charge, 100, outcome="review")
    approval = scene.approve(reviewed)
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="decisions_approval_of_this_action"):
        scene.decide(charge, 900, previous=reviewed, approval=approval)
    allowed = scene.decide(charge, 100, previous=reviewed, approval=approval)
    assert scene.execute(reviewed.decision_id).code is ExecutionCode.OUTCOME_NOT_ALLOW
    assert scene.execute(allowed.decision_id).code is ExecutionCode.POSTED


def test_a_closed_review_stays_closed(scene: Scene) -> None:
    scene.approve(scene.decide(scene.add_charge(), outcome="review"))
    close = "UPDATE gate.reviews SET state = %s, closed_at = NOW()"
    scene.gate.execute(close, ["approved"])
    with pytest.raises(psycopg.errors.CheckViolation, match="stays closed"):
        scene.gate.execute(close, ["refused"])
    with pytest.raises(Refused):
        scene.gate.execute("UPDATE gate.reviews SET action_digest = REPEAT('0', 64)")


def test_the_gate_authorizes_nothing_without_a_decision_that_stands(scene: Scene, other_tenant: Tenant) -> None:
    """Never for what was denied, superseded, answered or is another tenant's; and never with a stamp of its own."""
    charge = scene.add_charge(1000)
    denied, reviewed = scene.decide(charge, 100, outcome="deny"), scene.decide(charge, 100, outcome="review")
    first = scene.decide(charge, 100, outcome="hold")
    scene.decide(charge, 100, previous=first, outcome="deny")
    done = scene.decide(charge, 100)
    assert scene.execute(done.decision_id).code is ExecutionCode.POSTED
    other = Scene(other_tenant, scene.conn_as, scene.admin)
    theirs = other.decide(other.add_charge())
    insert = (
        "INSERT INTO gate.authorizations (tenant_id, transfer_id, decision_id, digest, valid_from, valid_until)"
        " VALUES (%s, %s, %s, SHA256('x'), NOW(), NOW() + INTERVAL '60 seconds')"
    )
    for written in (denied, reviewed, first, theirs):
        with pytest.raises(psycopg.errors.ForeignKeyViolation, match="no decision that allows it"):
            scene.gate.execute(insert, [scene.tenant.tenant_id, uuid4(), uuid_of(written.decision_id)])
    with pytest.raises(psycopg.errors.UniqueViolation, match="the transfer id was used"):
        scene.gate.execute(insert, [scene.tenant.tenant_id, derive_transfer_id(done.decision_id), uuid_of(done.decision_id)])
    stamped = insert.replace("valid_until)", "valid_until, recorded_at)").replace("seconds')", "seconds', 'infinity')")
    with pytest.raises(Refused):
        scene.gate.execute(stamped, [scene.tenant.tenant_id, uuid4(), uuid_of(done.decision_id)])
    with pytest.raises(psycopg.errors.CheckViolation):
        scene.gate.execute(insert.replace("'60 sec", "'61 sec"), [scene.tenant.tenant_id, uuid4(), uuid_of(done.decision_id)])
