"""Receipts of what the real gate writes, for each way a proposal can go, checked by the standalone verifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.decision import Decision
from gates.holding import recheck_holds
from gates.receipts.checkpoint import CheckpointSigner
from gates.receipts.export import export_receipt, render_receipt
from gates.receipts.sequencing import sequence_events
from gates.submission import expire_allow
from ledger.results import ExecutionCode
from storage.pools import open_pool
from tests.conftest import ConnAs, Database, Tenant
from tests.integration.gates.desk import ACCOUNT, CLEO, DAN, Desk
from tests.unit.receipts.paper_log import load_verifier

_VERIFIER = load_verifier()
_SIGNER = CheckpointSigner(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))


@pytest.fixture
def desk(database: Database, tenant: Tenant, conn_as: ConnAs) -> Iterator[Desk]:
    """An open desk of the real gate."""
    gate = open_pool(database.dsn("gate"), name="receipts-gate", max_size=2)
    executor = open_pool(database.dsn("executor"), name="receipts-executor", max_size=1)
    yield Desk(tenant, conn_as, gate, executor).open()
    gate.close()
    executor.close()


def _verify(desk: Desk, decision: Decision) -> dict[str, Any]:
    while sequence_events(desk.gate_pool, desk.tenant.context("gate"), _SIGNER, now=desk.now, limit=3).events:
        pass
    receipt = export_receipt(desk.conn_as("gate", desk.tenant), decision.decision_id)
    assert receipt is not None
    proved: dict[str, Any] = _VERIFIER.verify(render_receipt(receipt), _VERIFIER.parse_key(_SIGNER.verifier_key))
    return proved


def _decide_duplicate(desk: Desk, amount_minor: int) -> Decision:
    turn = desk.add_turn([desk.add_charge(amount_minor), desk.add_charge(amount_minor, minutes=1)])
    return desk.decide_refund(turn, amount_minor=amount_minor)


def test_an_allowed_refund(desk: Desk) -> None:
    decision = _decide_duplicate(desk, 1290)
    assert desk.execute(decision).code is ExecutionCode.POSTED
    proved = _verify(desk, decision)
    assert proved["posting"]["amount_minor"] == 1290
    assert proved["decision"]["decisions_in_chain"] == 1


def test_an_approved_refund(desk: Desk) -> None:
    reviewed = _decide_duplicate(desk, 45_000)
    allowed = desk.answer(reviewed, CLEO)
    assert desk.execute(allowed).code is ExecutionCode.POSTED
    proved = _verify(desk, allowed)
    assert proved["posting"]["amount_minor"] == 45_000
    assert [review["operator_id"] for review in proved["reviews"]] == [CLEO]
    assert _verify(desk, reviewed)["posting"] is None


def test_a_refund_that_two_people_approved(desk: Desk) -> None:
    reviewed = _decide_duplicate(desk, 250_000)
    desk.answer(reviewed, CLEO)
    allowed = desk.answer(reviewed, DAN)
    assert desk.execute(allowed).code is ExecutionCode.POSTED
    assert sorted(review["operator_id"] for review in _verify(desk, allowed)["reviews"]) == [CLEO, DAN]


_ENDS: list[tuple[str, Callable[[Desk], Decision], str]] = [
    ("refused by a person", lambda desk: desk.answer(_decide_duplicate(desk, 45_000), CLEO, "refuse"), "deny"),
    ("waiting", lambda desk: _decide_duplicate(desk, 45_000), "review"),
    ("outside of the grants", lambda desk: desk.decide_refund(desk.add_turn([], outside=["txn_x"]), transaction="X1"), "deny"),
    ("an unknown handle", lambda desk: desk.decide_refund(desk.add_turn([]), transaction="T9"), "deny"),
    ("malformed", lambda desk: desk.decide(desk.propose(desk.add_turn([]), arguments={"amount_minor": "1e9"})), "deny"),
    ("an unknown kind", lambda desk: desk.decide(desk.propose(desk.add_turn([]), kind="give_everything")), "deny"),
]


@pytest.mark.parametrize(("decide", "outcome"), [row[1:] for row in _ENDS], ids=[row[0] for row in _ENDS])
def test_a_decision_that_moves_nothing(desk: Desk, decide: Callable[[Desk], Decision], outcome: str) -> None:
    decision = decide(desk)
    assert decision.outcome.value == outcome
    proved = _verify(desk, decision)
    assert (proved["decision"]["outcome"], proved["posting"]) == (outcome, None)


def test_an_allow_that_expired_unposted(desk: Desk) -> None:
    decision = _decide_duplicate(desk, 1290)
    late = desk.execute(decision, now=desk.now + timedelta(seconds=60))
    assert late.code is ExecutionCode.DECISION_EXPIRED
    # While nothing closes it, nobody can say that nothing was done.
    assert export_receipt(desk.conn_as("gate", desk.tenant), decision.decision_id) is None
    closing = expire_allow(desk.scope, desk.rules, decision.decision_id, now=desk.now + timedelta(seconds=60))
    assert closing is not None
    proved = _verify(desk, decision)
    assert (proved["decision"]["outcome"], proved["posting"]) == ("allow", None)
    assert proved["decision"]["closed_by"] == closing.decision_id
    assert _verify(desk, closing)["decision"]["outcome"] == "deny"


def _pay(desk: Desk, **arguments: Any) -> Decision:
    beneficiary = desk.add_beneficiary(days=200)
    turn = desk.add_turn([], grants={"A1": ACCOUNT, "B1": beneficiary})
    desk.say(turn, ("handle", "B1"), ("amount", "EUR 12.90"))
    given: dict[str, Any] = {"account": "A1", "beneficiary": "B1", "amount_minor": 1290, "currency": "EUR", "reason_code": "bill"}
    return desk.decide_act(turn, "payment", **given | arguments)


def test_a_payment(desk: Desk) -> None:
    decision = desk.answer(_pay(desk), CLEO)
    assert decision.outcome.value == "allow"
    assert desk.execute(decision).code is ExecutionCode.POSTED
    posting = _verify(desk, decision)["posting"]
    assert (posting["debit"], posting["credit"]) == (f"customer:{ACCOUNT}", "house:bank:payments:EUR")


def test_a_hold_and_the_posting_that_ends_it(desk: Desk) -> None:
    jobs = desk.role("jobs")
    jobs.execute("UPDATE core.accounts SET status = 'blocked' WHERE account_id = %s", [ACCOUNT])
    held = _decide_duplicate(desk, 1290)
    assert held.outcome.value == "hold"
    assert export_receipt(desk.conn_as("gate", desk.tenant), held.decision_id) is None
    assert desk.execute(held).code is ExecutionCode.HELD
    proved = _verify(desk, held)
    assert (proved["hold"]["amount_minor"], proved["posting"]) == (1290, None)
    jobs.execute("UPDATE core.accounts SET status = 'active' WHERE account_id = %s", [ACCOUNT])
    (allowed,) = recheck_holds(desk.scope, desk.rules, now=desk.now + timedelta(seconds=30), limit=5)
    assert desk.execute(allowed, now=desk.now + timedelta(seconds=31)).code is ExecutionCode.POSTED
    proved = _verify(desk, allowed)
    assert (proved["hold"]["amount_minor"], proved["posting"]["amount_minor"]) == (1290, 1290)


def test_an_act_without_money(desk: Desk) -> None:
    turn = desk.add_turn([], grants={"C1": desk.add_card()})
    desk.say(turn, ("handle", "C1"))
    decision = desk.decide_act(turn, "card_block", card="C1", reason_code="card_compromised")
    if decision.outcome.value == "review":
        decision = desk.answer(decision, CLEO)
    assert desk.execute(decision).code is ExecutionCode.EXECUTED
    proved = _verify(desk, decision)
    assert (proved["posting"], proved["executed_at"] is not None) == (None, True)
