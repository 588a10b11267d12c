"""What only the twin has: copies to try things on, and answers that depend on nothing but what it was asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.transfer import ResultCode, TransferCode, TransferKind, TransferRequest
from ledger.memory import MemoryLedger

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
_LATER = _NOW + timedelta(hours=1)


def _make_request(number: int, kind: TransferKind = TransferKind.POSTED, **changes: object) -> TransferRequest:
    fields: dict[str, object] = {
        "transfer_id": UUID(int=number), "kind": kind, "debit": "customer:a", "credit": "customer:b", "amount_minor": 100,
        "currency": "EUR", "code": TransferCode.REFUND, "occurred_at": _NOW,
    }  # fmt: skip
    return TransferRequest(**{**fields, **changes})  # type: ignore[arg-type]


def _make_ledger() -> MemoryLedger:
    ledger = MemoryLedger("t-unit")
    ledger.open_account("customer:a", "EUR")
    ledger.open_account("customer:b", "EUR")
    return ledger


def _apply(ledger: MemoryLedger, request: TransferRequest) -> ResultCode:
    ledger.authorize([request], valid_from=_NOW, valid_until=_LATER)
    return ledger.apply([request], now=_NOW)[0].code


def test_what_is_tried_on_a_copy_changes_nothing() -> None:
    ledger = _make_ledger()
    hold = _make_request(1, TransferKind.PENDING, hold_expires_at=_LATER)
    moved = _make_request(2)
    waiting = _make_request(3)
    assert _apply(ledger, hold) is _apply(ledger, moved) is ResultCode.ACCEPTED
    ledger.authorize([waiting], valid_from=_NOW, valid_until=_LATER)
    before = repr(ledger._state)
    copy = ledger.fork()
    copy.apply([waiting], now=_NOW)
    _apply(copy, _make_request(4, TransferKind.REVERSE, debit="customer:b", credit="customer:a", target_id=moved.transfer_id))
    copy.expire_holds(now=_LATER)
    copy.roll_up()
    copy.stop_account("customer:a", "EUR")
    assert _apply(copy, _make_request(5)) is ResultCode.ACCOUNT_STOPPED
    copy.open_account("customer:c", "EUR")
    assert repr(ledger._state) == before
    assert ledger.apply([waiting], now=_NOW)[0].code is ResultCode.ACCEPTED


def test_the_same_calls_give_the_same_state() -> None:
    states = []
    for _ in range(2):
        ledger = _make_ledger()
        _apply(ledger, _make_request(1, TransferKind.PENDING, hold_expires_at=_LATER))
        ledger.expire_holds(now=_LATER)
        states.append(repr(ledger._state))
    assert states[0] == states[1]


def test_an_expiry_whose_id_was_taken_gets_another_one() -> None:
    ledger, hold = _make_ledger(), _make_request(1, TransferKind.PENDING, hold_expires_at=_LATER)
    _apply(ledger, hold)
    foreseen = ledger.fork()
    foreseen.expire_holds(now=_LATER)
    expired = foreseen.find_hold(hold.transfer_id)
    assert expired is not None
    assert expired.resolved_by is not None
    assert _apply(ledger, _make_request(expired.resolved_by.int)) is ResultCode.ACCEPTED
    assert ledger.expire_holds(now=_LATER) == 1
    found = ledger.find_hold(hold.transfer_id)
    assert found is not None
    assert found.resolved_by not in (None, expired.resolved_by)
