"""From what the twin remembers to what its readers get."""

from __future__ import annotations

from datetime import datetime

from ledger.memory_state import Entry
from ledger.port import Side, StatementLine, Transfer


def read_recorded_at(entry: Entry) -> datetime:
    """Return when it was accepted."""
    assert entry.result.recorded_at is not None
    return entry.result.recorded_at


def make_line(entry: Entry, code: str) -> StatementLine:
    """Make the line that an entry is on the statement of the account `code`, one of its two."""
    request, result = entry.request, entry.result
    is_debit = request.debit == code
    version = result.debit_version if is_debit else result.credit_version
    assert version is not None
    assert result.amount_minor is not None
    return StatementLine(
        version=version,
        transfer_id=request.transfer_id,
        kind=request.kind,
        code=request.code,
        side=Side.DEBIT if is_debit else Side.CREDIT,
        other_account=request.credit if is_debit else request.debit,
        amount_minor=result.amount_minor,
        balance_after_minor=result.debit_balance_after_minor if is_debit else result.credit_balance_after_minor,
        occurred_at=request.occurred_at,
        recorded_at=read_recorded_at(entry),
    )


def make_transfer(entry: Entry) -> Transfer:
    """Make the transfer that an entry is."""
    request, result = entry.request, entry.result
    assert result.amount_minor is not None
    assert result.debit_version is not None
    assert result.credit_version is not None
    return Transfer(
        transfer_id=request.transfer_id,
        kind=request.kind,
        debit=request.debit,
        credit=request.credit,
        amount_minor=result.amount_minor,
        currency=request.currency,
        code=request.code,
        target_id=request.target_id,
        hold_expires_at=request.hold_expires_at,
        linked=request.linked,
        balancing=request.balancing,
        decision_id=entry.decision_id,
        debit_version=result.debit_version,
        credit_version=result.credit_version,
        debit_balance_after_minor=result.debit_balance_after_minor,
        credit_balance_after_minor=result.credit_balance_after_minor,
        occurred_at=request.occurred_at,
        recorded_at=read_recorded_at(entry),
    )
