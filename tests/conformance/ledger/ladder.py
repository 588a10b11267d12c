"""A request with every fault at once, one repaired after the other: the codes come in their written order.

`RUNGS` says which codes each kind can meet. A rig plants a set of faults around one request of that kind and asks for it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

from domain.transfer import MAX_AMOUNT_MINOR, Balancing, ResultCode, TransferCode, TransferKind, TransferRequest, TransferResult
from ledger.port import Ledger
from tests.conformance.ledger.scene import BANK, LIFETIME, NOW, make_hold, make_post, make_request, make_void

_C = ResultCode
_REQUEST = (_C.AMOUNT_NOT_POSITIVE, _C.AMOUNT_OUT_OF_RANGE, _C.ACCOUNTS_THE_SAME, _C.FIELDS_DO_NOT_FIT_KIND, _C.CHAIN_OPEN)
_UP_TO_DECISION = (
    *_REQUEST, _C.LINKED_FAILED, _C.ALREADY_ACCEPTED, _C.ID_CONFLICT, _C.REFUSED_BEFORE, _C.NOT_AUTHORIZED,
    _C.DECISION_NOT_YET_VALID, _C.DECISION_EXPIRED, _C.DIGEST_MISMATCH,
)  # fmt: skip
_ACCOUNTS = (_C.DEBIT_ACCOUNT_NOT_FOUND, _C.CREDIT_ACCOUNT_NOT_FOUND)
_STANDING = (_C.ACCOUNT_CLOSED, _C.ACCOUNT_STOPPED)
_TARGET = (_C.TARGET_NOT_FOUND, _C.TARGET_OF_ANOTHER_KIND, _C.TARGET_MISMATCH)
_HOLD = (_C.HOLD_POSTED, _C.HOLD_VOIDED, _C.HOLD_EXPIRED)
_SUMS = (_C.LIMIT_EXCEEDED, _C.BALANCE_OUT_OF_RANGE)

RUNGS: dict[TransferKind, tuple[ResultCode, ...]] = {
    TransferKind.POSTED: (*_UP_TO_DECISION, *_ACCOUNTS, *_STANDING, _C.NOTHING_TO_BALANCE, *_SUMS, _C.ACCEPTED),
    TransferKind.PENDING: (*_UP_TO_DECISION, *_ACCOUNTS, *_STANDING, _C.NOTHING_TO_BALANCE, *_SUMS, _C.ACCEPTED),
    # The hold has counted against the limits already. What is held is within the range, but what came since may not be.
    TransferKind.POST: (
        *_UP_TO_DECISION, *_ACCOUNTS, *_STANDING, *_TARGET, *_HOLD, _C.EXCEEDS_HELD, _C.BALANCE_OUT_OF_RANGE, _C.ACCEPTED,
    ),
    # A hold can be voided on a closed or a stopped account.
    TransferKind.VOID: (*_UP_TO_DECISION, *_ACCOUNTS, *_TARGET, *_HOLD, _C.ACCEPTED),
    TransferKind.EXPIRE: (*_REQUEST[:4],),
    TransferKind.REVERSE: (
        *_UP_TO_DECISION, *_ACCOUNTS, *_STANDING, *_TARGET, _C.EXCEEDS_REVERSIBLE, *_SUMS, _C.ACCEPTED,
    ),
}  # fmt: skip

_AUTHORIZED = frozenset({_C.NOT_AUTHORIZED, _C.DECISION_NOT_YET_VALID, _C.DECISION_EXPIRED, _C.DIGEST_MISMATCH})
_OWN_BODY = frozenset({_C.ALREADY_ACCEPTED, _C.REFUSED_BEFORE})
_PASS_1 = frozenset({*_REQUEST, _C.LINKED_FAILED})
# What cannot stand beside a fault because the two are about the same thing, or because one of them is true of the other.
_EXCLUDED_BY: dict[ResultCode, frozenset[ResultCode]] = {
    **dict.fromkeys(_PASS_1, _OWN_BODY),
    _C.AMOUNT_NOT_POSITIVE: frozenset({*_OWN_BODY, _C.AMOUNT_OUT_OF_RANGE, _C.EXCEEDS_HELD, _C.EXCEEDS_REVERSIBLE}),
    _C.ALREADY_ACCEPTED: frozenset(ResultCode) - {_C.ACCOUNT_STOPPED},
    _C.ID_CONFLICT: frozenset({_C.REFUSED_BEFORE, *_AUTHORIZED}),
    _C.REFUSED_BEFORE: _AUTHORIZED,
    _C.NOT_AUTHORIZED: _AUTHORIZED,
    _C.DECISION_NOT_YET_VALID: frozenset({_C.DECISION_EXPIRED}),
    _C.TARGET_NOT_FOUND: frozenset({*_TARGET, *_HOLD, _C.EXCEEDS_REVERSIBLE}),
    _C.TARGET_OF_ANOTHER_KIND: frozenset({*_TARGET, *_HOLD, _C.EXCEEDS_REVERSIBLE}),
    _C.HOLD_POSTED: frozenset({_C.HOLD_VOIDED}),
}
_WITHOUT_OPEN_HOLD = frozenset({_C.TARGET_NOT_FOUND, _C.TARGET_OF_ANOTHER_KIND, _C.HOLD_POSTED, _C.HOLD_VOIDED})
_DEBIT, _CREDIT, _THIRD = "customer:debit", "customer:credit", "customer:third"
_NEAR_MAX_MINOR = MAX_AMOUNT_MINOR - 5


def list_ladder(kind: TransferKind) -> list[tuple[ResultCode, frozenset[ResultCode]]]:
    """Return each rung from the top: the code to meet, and the faults that are still there."""
    rungs = RUNGS[kind]
    return [(code, _join_compatible(code, rungs[place + 1 :])) for place, code in enumerate(rungs)]


def list_pairs(kind: TransferKind) -> list[tuple[ResultCode, frozenset[ResultCode]]]:
    """Return each pair of faults that can meet, with the one that has to be named."""
    rungs = [code for code in RUNGS[kind] if code is not _C.ACCEPTED]
    return [
        (first, frozenset({first, second}))
        for place, first in enumerate(rungs)
        for second in rungs[place + 1 :]
        # A refusal needs its reason; without one there is nothing to repeat.
        if second not in _EXCLUDED_BY.get(first, ()) and second is not _C.REFUSED_BEFORE
        and not (first is _C.REFUSED_BEFORE and second not in _SET_IN_ACCOUNTS)
    ]  # fmt: skip


def _join_compatible(code: ResultCode, later: tuple[ResultCode, ...]) -> frozenset[ResultCode]:
    planted = {code}
    excluded = set(_EXCLUDED_BY.get(code, ()))
    for fault in later:
        if fault not in excluded:
            planted.add(fault)
            excluded |= _EXCLUDED_BY.get(fault, frozenset())
    return frozenset(planted - {_C.ACCEPTED})


_SET_IN_ACCOUNTS = frozenset(ResultCode) - _PASS_1 - _OWN_BODY - _AUTHORIZED - {_C.ID_CONFLICT, _C.ACCEPTED}


class Rig:
    """One request of a kind on an empty ledger, with faults planted around it."""

    def __init__(self, ledger: Ledger, kind: TransferKind, faults: frozenset[ResultCode]) -> None:
        self.ledger = ledger
        self.kind = kind
        self.faults = faults
        self.now = NOW + timedelta(hours=2) if _C.HOLD_EXPIRED in faults else NOW
        # An account with an open hold cannot be closed; the request then names another one, and that it is closed comes first.
        self._closed = "customer:closed" if kind is TransferKind.POST and not faults & _WITHOUT_OPEN_HOLD else _DEBIT
        self.request = self._make_world()

    def ask(self) -> TransferResult:
        """Plant what stands around the request, ask for it, and return its answer."""
        self._plant_history()
        self._close_accounts()
        batch = [self.request]
        if _C.LINKED_FAILED in self.faults and _C.CHAIN_OPEN not in self.faults:
            batch.append(make_request(debit=_THIRD, credit=BANK, amount_minor=0))
        return self.ledger.apply(batch, now=self.now)[0]

    # The world and the request -------------------------------------------------------------------------------------------------

    def _make_world(self) -> TransferRequest:
        limited = bool(self.faults & {_C.LIMIT_EXCEEDED, _C.NOTHING_TO_BALANCE})
        self.ledger.open_account(BANK, "EUR", rolled_up=True)
        self.ledger.open_account(_THIRD, "EUR")
        self.ledger.open_account(_DEBIT, "EUR", debits_must_not_exceed_credits=limited)
        self.ledger.open_account(_CREDIT, "EUR")
        if self._closed != _DEBIT:
            self.ledger.open_account(self._closed, "EUR")
        target = self._make_target()
        if limited or _C.BALANCE_OUT_OF_RANGE in self.faults:
            self._use_room_up()
        return self._make_request(target)

    def _use_room_up(self) -> None:
        """Leave the debit account without room; and next to the end of the range, if that is wanted too."""
        balance = self.ledger.find_balance(_DEBIT, "EUR")
        assert balance is not None
        is_near_max = _C.BALANCE_OUT_OF_RANGE in self.faults
        credits_minor = (_NEAR_MAX_MINOR if is_near_max else 1000) - balance.credits_posted_minor
        debits_minor = (_NEAR_MAX_MINOR if is_near_max else 1000) - balance.debits_posted_minor
        self._do(make_request(debit=BANK, credit=_DEBIT, amount_minor=credits_minor))
        self._do(make_request(debit=_DEBIT, credit=BANK, amount_minor=debits_minor))

    def _make_target(self) -> TransferRequest | None:
        if self.kind is TransferKind.REVERSE:
            return self._make_moved()
        if self.kind in (TransferKind.POST, TransferKind.VOID) and _C.TARGET_NOT_FOUND not in self.faults:
            return self._make_held()
        return None

    def _make_moved(self) -> TransferRequest:
        credit = _THIRD if _C.TARGET_MISMATCH in self.faults else _DEBIT
        target = make_request(debit=_CREDIT, credit=credit)
        if _C.TARGET_OF_ANOTHER_KIND in self.faults:
            target = replace(target, kind=TransferKind.PENDING)
            self._do(target)
            self._do(make_void(target))
            return target
        self._do(target)
        if _C.EXCEEDS_REVERSIBLE in self.faults:
            self._do(
                make_request(
                    kind=TransferKind.REVERSE, debit=credit, credit=_CREDIT, amount_minor=60, target_id=target.transfer_id
                )
            )
        return target

    def _make_held(self) -> TransferRequest:
        if _C.TARGET_OF_ANOTHER_KIND in self.faults:
            moved = make_request(debit=_DEBIT, credit=_CREDIT)
            self._do(moved)
            return moved
        credit = _THIRD if _C.TARGET_MISMATCH in self.faults else _CREDIT
        hold = make_hold(debit=_DEBIT, credit=credit, hold_expires_at=NOW + timedelta(hours=1))
        self._do(hold)
        if _C.HOLD_POSTED in self.faults:
            self._do(make_post(hold))
        elif _C.HOLD_VOIDED in self.faults:
            self._do(make_void(hold))
        return hold

    def _make_request(self, target: TransferRequest | None) -> TransferRequest:
        amount_minor = 60 if self.kind in (TransferKind.POST, TransferKind.REVERSE) else 100
        if _C.EXCEEDS_HELD in self.faults:
            amount_minor = 101
        if _C.AMOUNT_OUT_OF_RANGE in self.faults:
            amount_minor = 2**63
        if _C.AMOUNT_NOT_POSITIVE in self.faults:
            amount_minor = -1
        debit = self._closed if _C.ACCOUNT_CLOSED in self.faults else _DEBIT
        if _C.DEBIT_ACCOUNT_NOT_FOUND in self.faults:
            debit = "customer:nobody"
        credit = "customer:no_one" if _C.CREDIT_ACCOUNT_NOT_FOUND in self.faults else _CREDIT
        target_id = None if target is None else target.transfer_id
        if _C.TARGET_NOT_FOUND in self.faults:
            target_id = uuid4()
        return make_request(
            kind=self.kind,
            debit=debit,
            credit=debit if _C.ACCOUNTS_THE_SAME in self.faults else credit,
            amount_minor=amount_minor,
            code=TransferCode.IMPORT if _C.FIELDS_DO_NOT_FIT_KIND in self.faults else TransferCode.REFUND,
            target_id=target_id,
            linked=bool(self.faults & {_C.CHAIN_OPEN, _C.LINKED_FAILED}),
            balancing=Balancing.DEBIT if _C.NOTHING_TO_BALANCE in self.faults else None,
        )

    # What happened before ------------------------------------------------------------------------------------------------------

    def _plant_history(self) -> None:
        if _C.ID_CONFLICT in self.faults:
            self._do(make_request(transfer_id=self.request.transfer_id, debit=_THIRD, credit=BANK))
        elif _C.ALREADY_ACCEPTED in self.faults:
            self._do(self.request)
        elif _C.REFUSED_BEFORE in self.faults:
            self._plant_refusal()
        elif _C.NOT_AUTHORIZED not in self.faults and -(2**62) < self.request.amount_minor < 2**62:
            self._authorize()

    def _plant_refusal(self) -> None:
        self._allow(self.request, self.now)
        self._close_accounts()
        refused = self.ledger.apply([self.request], now=self.now)[0]
        assert refused.code in _SET_IN_ACCOUNTS, refused

    def _authorize(self) -> None:
        valid_from = self.now
        if _C.DECISION_NOT_YET_VALID in self.faults:
            valid_from = self.now + timedelta(microseconds=1)
        elif _C.DECISION_EXPIRED in self.faults:
            valid_from = self.now - LIFETIME
        allowed = self.request
        if _C.DIGEST_MISMATCH in self.faults:
            allowed = replace(allowed, amount_minor=allowed.amount_minor + 1)
        self._allow(allowed, valid_from)

    def _close_accounts(self) -> None:
        """Close one side and stop the other: so that neither hides the other."""
        if _C.ACCOUNT_CLOSED in self.faults:
            self.ledger.close_account(self._closed, "EUR")
        if _C.ACCOUNT_STOPPED in self.faults:
            self.ledger.stop_account(_CREDIT, "EUR")

    def _do(self, request: TransferRequest) -> None:
        self._allow(request, NOW)
        result = self.ledger.apply([request], now=NOW)[0]
        assert result.code is _C.ACCEPTED, result

    def _allow(self, request: TransferRequest, valid_from: datetime) -> None:
        self.ledger.authorize([request], valid_from=valid_from, valid_until=valid_from + LIFETIME)
