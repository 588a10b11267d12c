"""The day's digest: what the ledger holds of that day, no more and no less, with who asked and who agreed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from domain.decision import Decision
from gates.digest import Digest, DigestLine, read_digest
from gates.freezing import freeze, thaw
from ledger.results import ExecutionCode
from storage.unit_of_work import unit_of_work
from tests.integration.gates.desk import ACCOUNT, ADA, BEN, CLEO, DAN, KIM, NOW, Desk, Turn, token_of

DAY = date(2026, 3, 2)
MIDNIGHT = datetime(2026, 3, 3, tzinfo=UTC)
POSTED_THAT_DAY = (
    "SELECT currency, count(*), sum(amount_minor) FROM ledger.transfer_lines"
    " WHERE kind IN ('posted', 'post') AND recorded_at >= %s AND recorded_at < %s GROUP BY currency"
)


def _read(desk: Desk, day: date = DAY) -> Digest:
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as connection:
        return read_digest(connection, day)


def _pay_back(desk: Desk, amount_minor: int, at: datetime, *, operator_id: str = ADA) -> Decision:
    """Refund a duplicate at a moment, with as many approvals as it needs."""
    charges = [desk.add_charge(amount_minor), desk.add_charge(amount_minor, minutes=1)]
    turn = desk.add_turn(charges, operator_id=operator_id)
    asked = Turn(turn.conversation_id, desk.add_message(turn.conversation_id, operator_id=operator_id, at=at))
    decision = desk.decide(desk.propose(asked, amount_minor=amount_minor), now=at)
    for approver in (CLEO, DAN):
        if decision.outcome == "review":
            decision = desk.answer(decision, approver, now=at)
    assert desk.execute(decision, now=at).code is ExecutionCode.POSTED
    return decision


def test_a_day_holds_what_the_ledger_posted_in_it(desk: Desk) -> None:
    _pay_back(desk, 1_000, NOW + timedelta(minutes=1))
    _pay_back(desk, 2_000, MIDNIGHT - timedelta(milliseconds=1), operator_id=BEN)
    _pay_back(desk, 100_001, NOW + timedelta(hours=1))
    _pay_back(desk, 4_000, MIDNIGHT)
    digest = _read(desk)
    assert digest.lines == (DigestLine("refund", "EUR", 3, 103_001, 100_001),)
    since = datetime(2026, 3, 2, tzinfo=UTC)
    rows = desk.role("auditor").execute(POSTED_THAT_DAY, [since, since + timedelta(days=1)]).fetchall()
    assert rows == [("EUR", 3, 103_001)]
    assert digest.proposed_by == {ADA: 2, BEN: 1}
    assert digest.approved_by == {CLEO: 1, DAN: 1}
    assert digest.decisions == {"allow": 3, "review": 1}
    assert _read(desk, DAY + timedelta(days=1)).lines == (DigestLine("refund", "EUR", 1, 4_000, 4_000),)
    assert _read(desk, DAY - timedelta(days=1)).lines == ()


def test_holds_denials_freezes_and_incidents(desk: Desk) -> None:
    desk.role("jobs").execute("UPDATE core.accounts SET status = 'blocked' WHERE account_id = %s", [ACCOUNT])
    held = desk.decide_refund(desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)]))
    assert held.outcome == "hold"
    assert desk.execute(held).code is ExecutionCode.HELD
    desk.role("jobs").execute("UPDATE core.accounts SET status = 'closed' WHERE account_id = %s", [ACCOUNT])
    assert desk.decide_refund(desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)])).outcome == "deny"
    session = token_of(CLEO, desk.tenant.tenant_id)
    made = freeze(desk.scope, session, over="tenant", subject="", reason="odd", now=NOW)
    thaw(desk.scope, token_of(KIM, desk.tenant.tenant_id), made.freeze_id, now=MIDNIGHT)
    desk.add_case(kind="ledger_incident", subject="house:bank:EUR")
    desk.add_case(kind="reconciliation_break")
    digest = _read(desk)
    assert digest.lines == ()
    assert digest.decisions == {"deny": 1, "hold": 1}
    assert digest.holds == {"pending": 1}
    assert (digest.freezes_made, digest.freezes_ended) == (1, 0)
    assert digest.incidents == {"ledger_incident": 1}
    assert (_read(desk, DAY + timedelta(days=1)).freezes_made, _read(desk, DAY + timedelta(days=1)).freezes_ended) == (0, 1)
