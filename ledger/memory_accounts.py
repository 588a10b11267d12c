"""The last pass: what one leg does to the accounts, its hold or its target. Reads and changes a stage only."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from domain.transfer import MAX_AMOUNT_MINOR, Balancing, ResultCode, TransferKind, TransferRequest, TransferResult
from ledger.memory_state import Account, AccountKey, Entry, Stage
from ledger.port import Hold, HoldState

_OUTCOME_OF_HOLD = {
    HoldState.POSTED: ResultCode.HOLD_POSTED,
    HoldState.VOIDED: ResultCode.HOLD_VOIDED,
    HoldState.EXPIRED: ResultCode.HOLD_EXPIRED,
}
_STATE_AFTER = {
    TransferKind.POST: HoldState.POSTED,
    TransferKind.VOID: HoldState.VOIDED,
    TransferKind.EXPIRE: HoldState.EXPIRED,
}


def play(stage: Stage, request: TransferRequest, decision_id: str | None, now: datetime) -> TransferResult | ResultCode:
    """Stage one leg, or return the first code that stands against it, with nothing staged."""
    debit = stage.find_account((request.debit, request.currency))
    if debit is None:
        return ResultCode.DEBIT_ACCOUNT_NOT_FOUND
    credit = stage.find_account((request.credit, request.currency))
    if credit is None:
        return ResultCode.CREDIT_ACCOUNT_NOT_FOUND
    if request.kind is not TransferKind.VOID:
        if debit.closed or credit.closed:
            return ResultCode.ACCOUNT_CLOSED
        if debit.stopped or credit.stopped:
            return ResultCode.ACCOUNT_STOPPED
    released_minor = 0
    if request.target_id is not None:
        fault = _find_fault_of_target(stage, request, now)
        if fault is not None:
            return fault
        hold = stage.find_hold(request.target_id)
        released_minor = 0 if hold is None else hold.held_minor
    amount_minor = _balance_amount(request, debit, credit)
    if amount_minor <= 0:
        return ResultCode.NOTHING_TO_BALANCE
    if request.kind is not TransferKind.VOID:
        fault = _find_fault_of_sums(request.kind, debit, credit, amount_minor=amount_minor, released_minor=released_minor)
        if fault is not None:
            return fault
    return write(stage, request, decision_id, amount_minor=amount_minor, released_minor=released_minor, now=now)


def _find_fault_of_target(stage: Stage, request: TransferRequest, now: datetime) -> ResultCode | None:
    assert request.target_id is not None
    target = stage.find_entry(request.target_id)
    if target is None:
        return ResultCode.TARGET_NOT_FOUND
    if request.kind is TransferKind.REVERSE:
        return _find_fault_of_reversal(stage, request, target)
    hold = stage.find_hold(request.target_id)
    if hold is None:
        return ResultCode.TARGET_OF_ANOTHER_KIND
    if (
        (request.debit, request.credit, request.currency) != (hold.debit, hold.credit, hold.currency)
        or (request.kind is TransferKind.VOID and request.amount_minor != hold.held_minor)
    ):  # fmt: skip
        return ResultCode.TARGET_MISMATCH
    if hold.state is not HoldState.PENDING:
        return _OUTCOME_OF_HOLD[hold.state]
    if hold.expires_at is not None and now >= hold.expires_at:
        return ResultCode.HOLD_EXPIRED
    return ResultCode.EXCEEDS_HELD if request.amount_minor > hold.held_minor else None


def _find_fault_of_reversal(stage: Stage, request: TransferRequest, target: Entry) -> ResultCode | None:
    before = target.request
    if before.kind is not TransferKind.POSTED and before.kind is not TransferKind.POST:
        return ResultCode.TARGET_OF_ANOTHER_KIND
    if (request.debit, request.credit, request.currency) != (before.credit, before.debit, before.currency):
        return ResultCode.TARGET_MISMATCH
    left_minor = target.moved_minor - stage.sum_reversed(before.transfer_id)
    return ResultCode.EXCEEDS_REVERSIBLE if request.amount_minor > left_minor else None


def _balance_amount(request: TransferRequest, debit: Account, credit: Account) -> int:
    """Return what a balancing request can move; 0 or less when there is no room."""
    amount_minor = request.amount_minor
    if request.balancing is Balancing.DEBIT and debit.debits_must_not_exceed_credits:
        return min(amount_minor, debit.credits_posted_minor - debit.debits_posted_minor - debit.debits_pending_minor)
    if request.balancing is Balancing.CREDIT and credit.credits_must_not_exceed_debits:
        return min(amount_minor, credit.debits_posted_minor - credit.credits_posted_minor - credit.credits_pending_minor)
    return amount_minor


def _find_fault_of_sums(
    kind: TransferKind, debit: Account, credit: Account, *, amount_minor: int, released_minor: int
) -> ResultCode | None:
    debits_pending_minor = debit.debits_pending_minor - released_minor
    credits_pending_minor = credit.credits_pending_minor - released_minor
    if debit.debits_must_not_exceed_credits:  # noqa: SIM102 - the mirror stands below in the same shape
        if debit.debits_posted_minor + debits_pending_minor + amount_minor > debit.credits_posted_minor:
            return ResultCode.LIMIT_EXCEEDED
    if credit.credits_must_not_exceed_debits:  # noqa: SIM102
        if credit.credits_posted_minor + credits_pending_minor + amount_minor > credit.debits_posted_minor:
            return ResultCode.LIMIT_EXCEEDED
    # A hold counts what is held already: it could not be posted otherwise.
    is_hold = kind is TransferKind.PENDING
    debits_minor = debit.debits_posted_minor + (debits_pending_minor if is_hold else 0)
    credits_minor = credit.credits_posted_minor + (credits_pending_minor if is_hold else 0)
    # A rolled-up account is not looked at before writing; its sums have no bound.
    if (not debit.rolled_up and debits_minor + amount_minor > MAX_AMOUNT_MINOR) or (
        not credit.rolled_up and credits_minor + amount_minor > MAX_AMOUNT_MINOR
    ):
        return ResultCode.BALANCE_OUT_OF_RANGE
    return None


def write(
    stage: Stage, request: TransferRequest, decision_id: str | None, *, amount_minor: int, released_minor: int, now: datetime
) -> TransferResult:
    """Stage an accepted transfer. Nothing is checked here."""
    kind = request.kind
    held_minor = amount_minor if kind is TransferKind.PENDING else -released_minor
    moves = kind is TransferKind.POSTED or kind is TransferKind.POST or kind is TransferKind.REVERSE
    moved_minor = amount_minor if moves else 0
    debit = _add(stage, (request.debit, request.currency), debited_minor=moved_minor, held_debit_minor=held_minor)
    credit = _add(stage, (request.credit, request.currency), credited_minor=moved_minor, held_credit_minor=held_minor)
    order = stage.next_order()
    result = TransferResult(
        request.transfer_id,
        ResultCode.ACCEPTED,
        None,
        amount_minor,
        order if debit.rolled_up else debit.version,
        order if credit.rolled_up else credit.version,
        None if debit.rolled_up else debit.credits_posted_minor - debit.debits_posted_minor,
        None if credit.rolled_up else credit.credits_posted_minor - credit.debits_posted_minor,
        now,
    )
    stage.entries[request.transfer_id] = Entry(request, result, moved_minor, held_minor, decision_id)
    if kind is not TransferKind.POSTED:
        _note_hold_or_reversal(stage, request, amount_minor)
    return result


def _add(
    stage: Stage,
    key: AccountKey,
    *,
    debited_minor: int = 0,
    credited_minor: int = 0,
    held_debit_minor: int = 0,
    held_credit_minor: int = 0,
) -> Account:
    before = stage.find_account(key)
    assert before is not None
    after = Account(
        before.debits_must_not_exceed_credits,
        before.credits_must_not_exceed_debits,
        before.rolled_up,
        before.closed,
        before.stopped,
        before.debits_posted_minor + debited_minor,
        before.credits_posted_minor + credited_minor,
        before.debits_pending_minor + held_debit_minor,
        before.credits_pending_minor + held_credit_minor,
        before.version + 1,
    )
    stage.accounts[key] = after
    return after


def _note_hold_or_reversal(stage: Stage, request: TransferRequest, amount_minor: int) -> None:
    if request.kind is TransferKind.PENDING:
        stage.holds[request.transfer_id] = Hold(
            request.transfer_id, request.debit, request.credit, request.currency, amount_minor, request.hold_expires_at
        )
        return
    assert request.target_id is not None
    if request.kind is TransferKind.REVERSE:
        stage.reversed_minor[request.target_id] = stage.sum_reversed(request.target_id) + amount_minor
        return
    hold = stage.find_hold(request.target_id)
    assert hold is not None
    stage.holds[request.target_id] = replace(
        hold,
        state=_STATE_AFTER[request.kind],
        posted_minor=amount_minor if request.kind is TransferKind.POST else 0,
        resolved_by=request.transfer_id,
    )
