"""The kill switch: one person stops everything in a scope, approved acts too; another lets it go on."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest

from domain.decision import Decision, Outcome
from domain.errors import InvalidInput, NotFound, TellergateError
from gates.freezing import AlreadyThawed, Freeze, FreezeScope, OwnFreeze, freeze, list_freezes, thaw
from gates.people import NotPermitted, NotSignedIn
from ledger.results import ExecutionCode
from storage.events import list_events_of
from storage.unit_of_work import unit_of_work
from tests.integration.gates.desk import ADA, BEN, CLEO, EVE, GUS, IRA, KIM, LEE, NOW, Desk, codes_of, token_of


def _allow(desk: Desk, *, operator_id: str = ADA) -> Decision:
    turn = desk.add_turn([desk.add_charge(), desk.add_charge(minutes=1)], operator_id=operator_id)
    return desk.decide_refund(turn)


def _allow_for(desk: Desk, number: str) -> Decision:
    """Decide on a customer of his own: one customer's refunds of a day soon go to a person."""
    customer_id, account_id = f"cus_{number}", f"acc_{number}"
    desk.add_customer(customer_id, account_id)
    charges = [desk.add_charge(account_id=account_id), desk.add_charge(account_id=account_id, minutes=1)]
    return desk.decide_refund(desk.add_turn(charges, customer_id=customer_id))


def _freeze(
    desk: Desk, over: FreezeScope = "tenant", subject: str = "", *, by: str = CLEO, reason: str = "strange payouts"
) -> Freeze:
    return freeze(desk.scope, token_of(by, desk.tenant.tenant_id), over=over, subject=subject, reason=reason, now=NOW)


def _thaw(desk: Desk, frozen: Freeze, *, by: str = KIM) -> Freeze:
    return thaw(desk.scope, token_of(by, desk.tenant.tenant_id), frozen.freeze_id, now=NOW)


@pytest.mark.parametrize(("over", "subject"), [("tenant", ""), ("kind", "refund"), ("operator", ADA)])
def test_what_was_allowed_is_not_executed_any_more(desk: Desk, over: FreezeScope, subject: str) -> None:
    allowed = _allow(desk)
    assert allowed.outcome is Outcome.ALLOW, codes_of(allowed)
    _freeze(desk, over, subject)
    assert desk.execute(allowed).code is ExecutionCode.FROZEN
    fresh = _allow(desk)
    assert (fresh.outcome, codes_of(fresh)) == (Outcome.DENY, ["frozen"])
    assert desk.execute(fresh).posting is None


@pytest.mark.parametrize(("over", "subject"), [("kind", "payment"), ("operator", BEN)])
def test_what_is_outside_goes_on(desk: Desk, over: FreezeScope, subject: str) -> None:
    _freeze(desk, over, subject)
    assert desk.execute(_allow(desk)).code is ExecutionCode.POSTED


def test_an_approval_given_while_frozen_posts_nothing(desk: Desk) -> None:
    turn = desk.add_turn([desk.add_charge(45_000), desk.add_charge(45_000, minutes=1)])
    waiting = desk.decide_refund(turn, amount_minor=45_000)
    assert waiting.outcome is Outcome.REVIEW
    _freeze(desk)
    try:
        answered = desk.answer(waiting, CLEO)
    except TellergateError:
        answered = desk.decide(waiting.proposal_id)
    assert desk.execute(answered).posting is None


def test_a_second_administrator_ends_it(desk: Desk) -> None:
    allowed = _allow(desk)
    frozen = _freeze(desk, by=KIM)
    with pytest.raises(OwnFreeze):
        _thaw(desk, frozen, by=KIM)
    for other in (CLEO, EVE, IRA, ADA):
        with pytest.raises(NotPermitted):
            _thaw(desk, frozen, by=other)
    ended = _thaw(desk, frozen, by=LEE)
    assert (ended.frozen_by, ended.thawed_by, ended.thawed_at) == (KIM, LEE, NOW)
    with pytest.raises(AlreadyThawed):
        _thaw(desk, frozen, by=LEE)
    # What the freeze took back stays taken back; what is decided afterwards runs.
    assert desk.execute(allowed).posting is None
    assert desk.execute(_allow(desk)).code is ExecutionCode.POSTED
    events = list_events_of(desk.role("gate"), frozen.freeze_id)
    assert sorted(event.event_type for event in events) == ["gate.frozen", "gate.thawed"]


def test_one_of_two_freezes_is_enough(desk: Desk) -> None:
    first, second = _freeze(desk), _freeze(desk, "kind", "refund", by=EVE)
    _thaw(desk, first)
    assert codes_of(_allow(desk)) == ["frozen"]
    _thaw(desk, second)
    assert _allow(desk).outcome is Outcome.ALLOW


def test_who_may_freeze_and_what(desk: Desk) -> None:
    for nobody in (ADA, GUS, IRA):
        with pytest.raises(NotPermitted):
            _freeze(desk, by=nobody)
    with pytest.raises(NotSignedIn):
        _freeze(desk, by="opr_nobody")
    for over, subject in (("tenant", "refund"), ("kind", ""), ("kind", "unlisted"), ("kind", "refunds")):
        with pytest.raises(InvalidInput):
            _freeze(desk, over, subject)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        _freeze(desk, "operator", "opr_nobody")
    for reason in ("", "   ", "two\nlines", "x" * 1_001):
        with pytest.raises(InvalidInput):
            _freeze(desk, reason=reason)
    assert desk.execute(_allow(desk)).code is ExecutionCode.POSTED


def test_frozen_twice_is_one_freeze(desk: Desk) -> None:
    first = _freeze(desk)
    assert _freeze(desk, by=EVE) == first
    other = _freeze(desk, "operator", ADA)
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as connection:
        assert {one.freeze_id for one in list_freezes(connection, standing_only=True)} == {first.freeze_id, other.freeze_id}
    _thaw(desk, first)
    with unit_of_work(desk.gate_pool, desk.tenant.context("gate")) as connection:
        assert [one.freeze_id for one in list_freezes(connection, standing_only=True)] == [other.freeze_id]
        assert [one.freeze_id for one in list_freezes(connection)] == [other.freeze_id, first.freeze_id]


def test_a_session_that_ended_freezes_nothing(desk: Desk) -> None:
    with pytest.raises(NotSignedIn):
        freeze(
            desk.scope,
            token_of(CLEO, desk.tenant.tenant_id),
            over="tenant",
            subject="",
            reason="late",
            now=NOW + timedelta(hours=30),
        )


def test_nothing_posts_after_a_freeze_returned(desk: Desk) -> None:
    """Two executors work through allowed acts; whatever stands in the ledger when the freeze returns is all that ever will."""
    allowed = [_allow_for(desk, f"{number:012d}") for number in range(100, 120)]
    assert {decision.outcome for decision in allowed} == {Outcome.ALLOW}
    under_way = Event()

    def execute(decision: Decision) -> ExecutionCode:
        code = desk.execute(decision).code
        under_way.set()
        return code

    with ThreadPoolExecutor(2) as executors:
        answers = [executors.submit(execute, decision) for decision in allowed]
        under_way.wait()
        _freeze(desk)
        posted = _count_postings(desk)
        codes = Counter(answer.result() for answer in answers)
    assert _count_postings(desk) == posted == codes[ExecutionCode.POSTED]
    assert codes == {ExecutionCode.POSTED: posted, ExecutionCode.FROZEN: len(allowed) - posted}
    assert 0 < posted < len(allowed)


def _count_postings(desk: Desk) -> int:
    row = desk.role("auditor").execute("SELECT count(*) FROM ledger.transfer_lines WHERE kind = 'posted'").fetchone()
    assert row is not None
    return int(row[0])
