"""The four passes of one chain, as `domain.transfer.ResultCode` writes them down. Reads a state, changes only a stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain.transfer import (
    MAX_AMOUNT_MINOR,
    SYSTEM_CODES,
    ResultCode,
    TransferKind,
    TransferRequest,
    TransferResult,
    digest_transfer,
)
from ledger.memory_accounts import play
from ledger.memory_state import Entry, Refusal, Stage, State


def apply_chain(state: State, legs: Sequence[TransferRequest], *, is_open: bool, now: datetime) -> list[TransferResult]:
    """Answer one chain, or a request outside of one, which is a chain of one leg. `is_open`: its end is missing."""
    fault = _find_fault_of_requests(state, legs, is_open=is_open, now=now)
    if fault is not None:
        return _refuse(legs, *fault)
    if all(leg.transfer_id in state.entries for leg in legs) and _is_repeat(state, legs):
        return [replace(state.entries[leg.transfer_id].result, code=ResultCode.ALREADY_ACCEPTED) for leg in legs]
    conflict = _find_fault_of_ids(state, legs)
    if conflict is not None:
        place, code, refused_code = conflict
        return _refuse(legs, place, code, refused_code=refused_code)
    fault = _find_fault_of_decisions(state, legs, now)
    if fault is not None:
        return _refuse(legs, *fault)
    return _apply_to_accounts(state, legs, now)


def _refuse(
    legs: Sequence[TransferRequest], place: int, code: ResultCode, *, refused_code: ResultCode | None = None
) -> list[TransferResult]:
    results = [TransferResult(leg.transfer_id, ResultCode.LINKED_FAILED) for leg in legs]
    results[place] = TransferResult(legs[place].transfer_id, code, refused_code)
    return results


# Pass 1 -----------------------------------------------------------------------------------------------------------------------


def _find_fault_of_requests(
    state: State, legs: Sequence[TransferRequest], *, is_open: bool, now: datetime
) -> tuple[int, ResultCode] | None:
    for place, leg in enumerate(legs):
        code = _find_fault_of_request(state, leg, now)
        if code is not None:
            return place, code
    return (len(legs) - 1, ResultCode.CHAIN_OPEN) if is_open else None


def _find_fault_of_request(state: State, request: TransferRequest, now: datetime) -> ResultCode | None:
    if request.amount_minor <= 0:
        return ResultCode.AMOUNT_NOT_POSITIVE
    if request.amount_minor > MAX_AMOUNT_MINOR:
        return ResultCode.AMOUNT_OUT_OF_RANGE
    if request.debit == request.credit:
        return ResultCode.ACCOUNTS_THE_SAME
    if not _fields_fit(request) or _comes_too_late(state, request, now):
        return ResultCode.FIELDS_DO_NOT_FIT_KIND
    return None


def _fields_fit(request: TransferRequest) -> bool:
    kind = request.kind
    if kind is TransferKind.EXPIRE or request.code in SYSTEM_CODES:
        return False
    if (request.target_id is None) != (kind is TransferKind.POSTED or kind is TransferKind.PENDING):
        return False
    if request.hold_expires_at is not None and kind is not TransferKind.PENDING:
        return False
    return request.balancing is None or kind is TransferKind.POSTED or kind is TransferKind.PENDING


def _comes_too_late(state: State, request: TransferRequest, now: datetime) -> bool:
    """A hold may not be over when it begins; but an id that has its answer keeps it, so that a late retry is told the truth."""
    return (
        request.hold_expires_at is not None
        and request.hold_expires_at <= now
        and request.transfer_id not in state.entries
        and request.transfer_id not in state.refusals
    )


# Pass 2 -----------------------------------------------------------------------------------------------------------------------


def _is_repeat(state: State, legs: Sequence[TransferRequest]) -> bool:
    return not _holds_an_id_twice(legs) and all(_has_same_body(state.entries[leg.transfer_id], leg) for leg in legs)


def _holds_an_id_twice(legs: Sequence[TransferRequest]) -> bool:
    return len(legs) > 1 and len({leg.transfer_id for leg in legs}) < len(legs)


def _has_same_body(entry: Entry, request: TransferRequest) -> bool:
    """Compare all but the event time. A balancing request moved at most what it asked for."""
    before = entry.request
    moved = entry.result.amount_minor
    assert moved is not None
    return (
        before.kind is request.kind
        and before.debit == request.debit
        and before.credit == request.credit
        and before.currency == request.currency
        and before.code is request.code
        and before.target_id == request.target_id
        and before.hold_expires_at == request.hold_expires_at
        and before.linked is request.linked
        and before.balancing is request.balancing
        and (moved == request.amount_minor if request.balancing is None else moved <= request.amount_minor)
    )


def _find_fault_of_ids(state: State, legs: Sequence[TransferRequest]) -> tuple[int, ResultCode, ResultCode | None] | None:
    seen = set()
    for place, leg in enumerate(legs):
        if leg.transfer_id in state.entries or leg.transfer_id in seen:
            return place, ResultCode.ID_CONFLICT, None
        refusal = state.refusals.get(leg.transfer_id)
        if refusal is not None:
            if refusal.digest == digest_transfer(leg, tenant_id=state.tenant_id):
                return place, ResultCode.REFUSED_BEFORE, refusal.code
            return place, ResultCode.ID_CONFLICT, None
        seen.add(leg.transfer_id)
    return None


# Pass 3 -----------------------------------------------------------------------------------------------------------------------


def _find_fault_of_decisions(state: State, legs: Sequence[TransferRequest], now: datetime) -> tuple[int, ResultCode] | None:
    for place, leg in enumerate(legs):
        authorization = state.authorizations.get(leg.transfer_id)
        if authorization is None:
            return place, ResultCode.NOT_AUTHORIZED
        if now < authorization.valid_from:
            return place, ResultCode.DECISION_NOT_YET_VALID
        if now >= authorization.valid_until:
            return place, ResultCode.DECISION_EXPIRED
        if authorization.digest != digest_transfer(leg, tenant_id=state.tenant_id):
            return place, ResultCode.DIGEST_MISMATCH
    return None


# Pass 4 -----------------------------------------------------------------------------------------------------------------------


def _apply_to_accounts(state: State, legs: Sequence[TransferRequest], now: datetime) -> list[TransferResult]:
    """Play the legs; keep all or none. Either way the decisions are used up, and refused ids are remembered."""
    stage = Stage(state)
    taken = [state.authorizations.pop(leg.transfer_id) for leg in legs]
    results = []
    for place, leg in enumerate(legs):
        outcome = play(stage, leg, taken[place].decision_id, now)
        if isinstance(outcome, ResultCode):
            results = _refuse(legs, place, outcome)
            for refused, authorization, result in zip(legs, taken, results, strict=True):
                state.refusals[refused.transfer_id] = Refusal(authorization.digest, result.code)
            return results
        results.append(outcome)
    stage.merge()
    return results
