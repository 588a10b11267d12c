"""A freeze against whatever runs at the same moment: what it does not see yet sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from psycopg import Connection
from psycopg.errors import ForeignKeyViolation

from domain.decision import Outcome
from domain.ids import make_id, uuid_of
from domain.proposal import ActionKind
from gates.decision_store import EventLinks, store_decision
from gates.submission import expire_allow
from ledger.posting import post_decision
from ledger.results import ExecutionCode
from ledger.transfer_digest import derive_transfer_id
from storage.unit_of_work import unit_of_work
from tests.integration.gates.acts import Acts
from tests.integration.gates.desk import ADA, EVE, Desk, codes_of

_LINKS = EventLinks(proposal_digest="0" * 64, proposal_event_id="evt_" + "0" * 32)


@pytest.fixture
def acts(desk: Desk) -> Acts:
    """Decisions without a policy, at a fresh desk."""
    return Acts(desk)


def _freeze(connection: Connection[Any], acts: Acts, scope: str = "tenant", subject: str = "") -> int:
    row = connection.execute(
        "SELECT gate.freeze(%s, %s, %s, 'opr_kim', 'a flood', %s)",
        [make_id("frz", acts.desk.now), scope, subject, acts.desk.now],
    ).fetchone()
    assert row is not None
    return int(row[0])


def _freeze_alone(acts: Acts) -> int:
    with unit_of_work(acts.desk.gate_pool, acts.desk.tenant.context("gate")) as connection:
        return _freeze(connection, acts)


def _start_beside(act: Callable[[], Any], watching: Connection[Any]) -> Future[Any]:
    """Start an act in a thread, and return once it waits for the transaction that the caller has open."""
    running: Future[Any] = Future()

    def run() -> None:
        try:
            running.set_result(act())
        except Exception as error:  # noqa: BLE001 - the test reads it
            running.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    waits = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = CURRENT_DATABASE()"
    while watching.execute(waits).fetchone() == (0,):
        assert not running.done(), "it did not wait"
    return running


def test_a_freeze_waits_for_a_decision_and_takes_back_what_it_authorized(acts: Acts, admin_conn: Connection[Any]) -> None:
    decision = acts.make_decision(acts.make_action(ActionKind.PAYMENT), Outcome.ALLOW)
    gate = acts.desk.role("gate")
    with gate.transaction():
        store_decision(gate, decision, _LINKS)
        freezing = _start_beside(lambda: _freeze_alone(acts), admin_conn)
    assert freezing.result(timeout=30) == 1
    assert acts.execute(decision).code is ExecutionCode.FROZEN


def test_a_decision_waits_for_a_freeze_and_authorizes_nothing(acts: Acts, admin_conn: Connection[Any]) -> None:
    decision = acts.make_decision(acts.make_action(ActionKind.PAYMENT), Outcome.ALLOW)

    def decide() -> None:
        with unit_of_work(acts.desk.gate_pool, acts.desk.tenant.context("gate")) as connection:
            store_decision(connection, decision, _LINKS)

    gate = acts.desk.role("gate")
    with gate.transaction():
        assert _freeze(gate, acts) == 0
        deciding = _start_beside(decide, admin_conn)
    deciding.result(timeout=30)
    assert acts.count("gate.authorizations") == 0
    assert acts.execute(decision).code is ExecutionCode.FROZEN


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_freeze_waits_for_an_execution_in_flight(acts: Acts, admin_conn: Connection[Any], ends: str) -> None:
    decision = acts.decide(acts.make_action(ActionKind.PAYMENT))
    executor = acts.desk.role("executor")
    with executor.transaction(force_rollback=ends == "rollback"):
        transfer_id = derive_transfer_id(decision.decision_id)
        answer = post_decision(executor, decision.decision_id, transfer_id=transfer_id, now=acts.desk.now)
        assert answer.code is ExecutionCode.POSTED
        freezing = _start_beside(lambda: _freeze_alone(acts), admin_conn)
    assert freezing.result(timeout=30) == (0 if ends == "commit" else 1)
    expected = ExecutionCode.ALREADY_POSTED if ends == "commit" else ExecutionCode.FROZEN
    assert acts.execute(decision).code is expected


def test_a_successor_and_a_freeze_do_not_lock_each_other_out(acts: Acts, admin_conn: Connection[Any]) -> None:
    allowed = acts.decide(acts.make_action(ActionKind.PAYMENT))
    denied = acts.make_decision(allowed.action, Outcome.DENY, previous=allowed)
    gate = acts.desk.role("gate")
    with gate.transaction():
        store_decision(gate, denied, _LINKS)
        freezing = _start_beside(lambda: _freeze_alone(acts), admin_conn)
    assert freezing.result(timeout=30) == 0


@pytest.mark.parametrize(
    ("scope", "subject", "stopped"),
    [
        ("tenant", "", True),
        ("kind", "payment", True),
        ("kind", "refund", False),
        ("operator", EVE, True),
        ("operator", ADA, False),
    ],
)
def test_a_freeze_stops_its_scope_and_nothing_else(acts: Acts, scope: str, subject: str, stopped: bool) -> None:
    before = acts.decide(acts.make_action(ActionKind.PAYMENT))
    assert _freeze(acts.desk.role("gate"), acts, scope, subject) == int(stopped)
    after = acts.decide(acts.make_action(ActionKind.PAYMENT))
    expected = ExecutionCode.FROZEN if stopped else ExecutionCode.POSTED
    assert [acts.execute(before).code, acts.execute(after).code] == [expected, expected]


def test_nobody_authorizes_by_hand_while_frozen(acts: Acts) -> None:
    decision = acts.decide(acts.make_action(ActionKind.PAYMENT))
    gate = acts.desk.role("gate")
    _freeze(gate, acts)
    with pytest.raises(ForeignKeyViolation, match="frozen"):
        gate.execute(
            "INSERT INTO gate.authorizations (tenant_id, transfer_id, decision_id, digest, valid_from, valid_until)"
            " VALUES (%s, GEN_RANDOM_UUID(), %s, SHA256(''), %s, %s)",
            [acts.desk.tenant.tenant_id, uuid_of(decision.decision_id), decision.decided_at, decision.expires_at],
        )


def test_whoever_thaws_did_not_freeze_and_after_it_acts_go_on(acts: Acts) -> None:
    gate = acts.desk.role("gate")
    _freeze(gate, acts)
    row = gate.execute("SELECT freeze_id FROM gate.freezes").fetchone()
    assert row is not None
    gate.execute("SELECT gate.thaw(%s, 'opr_lee', %s)", [row[0], acts.desk.now])
    assert acts.execute(acts.decide(acts.make_action(ActionKind.PAYMENT))).code is ExecutionCode.POSTED
    told = gate.execute(
        "SELECT event_type FROM core.events WHERE source = 'gate' AND subject = %s ORDER BY 1", [row[0]]
    ).fetchall()
    assert told == [("gate.frozen",), ("gate.thawed",)]


def test_what_is_decided_while_frozen_is_denied_and_an_allow_in_flight_is_closed(desk: Desk) -> None:
    turn = desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)])
    allowed = desk.decide_refund(turn, transaction="T2")
    assert allowed.outcome is Outcome.ALLOW
    _freeze(desk.role("gate"), Acts(desk))
    assert desk.execute(allowed).code is ExecutionCode.FROZEN
    closed = expire_allow(desk.scope, desk.rules, allowed.decision_id, now=desk.now)
    assert closed is not None
    assert (closed.outcome, codes_of(closed)) == (Outcome.DENY, ["frozen"])
    other = desk.decide_refund(desk.add_turn([desk.add_charge(777), desk.add_charge(777, minutes=1)]), amount_minor=777)
    assert (other.outcome, codes_of(other)) == (Outcome.DENY, ["frozen"])
