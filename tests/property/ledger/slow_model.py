"""What the ledger should answer, written to be read and not to be fast.

It names every fault of a request in a pass and takes the first by the order of `ResultCode`; it has no digests, no undo, no sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from domain.transfer import MAX_AMOUNT_MINOR, SYSTEM_CODES, ResultCode, TransferKind, TransferRequest
from tests.property.ledger.slow_books import Accepted, SlowBooks, keys_of

_ORDER = list(ResultCode)


@dataclass(frozen=True)
class Answer:
    """Versions and balances of rolled-up sides are None."""

    code: ResultCode
    refused_code: ResultCode | None = None
    amount_minor: int | None = None
    versions: tuple[int | None, int | None] | None = None
    balances: tuple[int | None, int | None] | None = None
    recorded_at: datetime | None = None


@dataclass
class SlowModel(SlowBooks):
    refused: list[tuple[TransferRequest, ResultCode]] = field(default_factory=list)
    allowed: list[tuple[TransferRequest, datetime, datetime, int]] = field(default_factory=list)
    """With the number of the decision."""
    decisions: int = 0

    # Asking --------------------------------------------------------------------------------------------------------------------

    def authorize(self, requests: list[TransferRequest], valid_from: datetime, valid_until: datetime) -> int | None:
        """Return the number of the decision, None where it must be refused."""
        taken = [row.request.transfer_id for row in self.accepted] + [request.transfer_id for request, _ in self.refused]
        taken += [request.transfer_id for request, *_ in self.allowed]
        ids = [request.transfer_id for request in requests]
        if set(ids) & set(taken) or len(set(ids)) < len(ids) or not ids:
            return None
        self.decisions += 1
        self.allowed += [(request, valid_from, valid_until, self.decisions) for request in requests]
        return self.decisions

    def supersede(self, decision: int) -> None:
        self.allowed = [row for row in self.allowed if row[3] != decision]

    def ask(self, requests: list[TransferRequest], now: datetime) -> list[Answer]:
        answers: list[Answer] = []
        legs: list[TransferRequest] = []
        for request in requests:
            legs.append(request)
            if not request.linked:
                answers += self._ask_chain(legs, False, now)
                legs = []
        return answers + (self._ask_chain(legs, True, now) if legs else [])

    def _ask_chain(self, legs: list[TransferRequest], is_open: bool, now: datetime) -> list[Answer]:
        by_itself = [set(self._faults_of_request(leg, now)) for leg in legs]
        if is_open:
            by_itself[-1].add(ResultCode.CHAIN_OPEN)
        first = _first_fault(by_itself)
        if first is None:
            by_id = [self._faults_of_id(leg, legs[:place]) for place, leg in enumerate(legs)]
            if all(faults == {ResultCode.ALREADY_ACCEPTED} for faults in by_id):
                return [self._stored_answer(leg, ResultCode.ALREADY_ACCEPTED) for leg in legs]
            alone = {ResultCode.ALREADY_ACCEPTED: ResultCode.ID_CONFLICT}
            first = _first_fault([{alone.get(fault, fault) for fault in faults} for faults in by_id])
        if first is None:
            first = _first_fault([set(self._faults_of_decision(leg, now)) for leg in legs])
        if first is not None:
            refused_code = self._refused_code(legs[first[0]]) if first[1] is ResultCode.REFUSED_BEFORE else None
            return _fail(len(legs), first[0], first[1], refused_code)
        return self._move(legs, now)

    def _move(self, legs: list[TransferRequest], now: datetime) -> list[Answer]:
        ids = {leg.transfer_id for leg in legs}
        self.allowed = [row for row in self.allowed if row[0].transfer_id not in ids]
        before = list(self.accepted)
        for place, leg in enumerate(legs):
            faults = set(self._faults_of_accounts(leg, now))
            if faults:
                self.accepted = before
                answers = _fail(len(legs), place, _first(faults), None)
                self.refused += [(leg, answer.code) for leg, answer in zip(legs, answers, strict=True)]
                return answers
            self.accepted.append(Accepted(leg, self.amount_of(leg), now))
        return [self._stored_answer(leg, ResultCode.ACCEPTED) for leg in legs]

    # The four passes -----------------------------------------------------------------------------------------------------------

    def _faults_of_request(self, request: TransferRequest, now: datetime) -> Iterator[ResultCode]:
        if request.amount_minor <= 0:
            yield ResultCode.AMOUNT_NOT_POSITIVE
        if request.amount_minor > MAX_AMOUNT_MINOR:
            yield ResultCode.AMOUNT_OUT_OF_RANGE
        if request.debit == request.credit:
            yield ResultCode.ACCOUNTS_THE_SAME
        takes_target = request.kind in (TransferKind.POST, TransferKind.VOID, TransferKind.REVERSE)
        known = [row.request.transfer_id for row in self.accepted] + [refused.transfer_id for refused, _ in self.refused]
        if (
            request.kind is TransferKind.EXPIRE
            or request.code in SYSTEM_CODES
            or takes_target != (request.target_id is not None)
            or (request.hold_expires_at is not None and request.kind is not TransferKind.PENDING)
            or (request.balancing is not None and takes_target)
            or (request.hold_expires_at is not None and request.hold_expires_at <= now and request.transfer_id not in known)
        ):
            yield ResultCode.FIELDS_DO_NOT_FIT_KIND

    def _faults_of_id(self, request: TransferRequest, earlier: list[TransferRequest]) -> set[ResultCode]:
        if any(leg.transfer_id == request.transfer_id for leg in earlier):
            return {ResultCode.ID_CONFLICT}
        for row in self.accepted:
            if row.request.transfer_id == request.transfer_id:
                return {ResultCode.ALREADY_ACCEPTED if _is_repetition(row, request) else ResultCode.ID_CONFLICT}
        for refused, _ in self.refused:
            if refused.transfer_id == request.transfer_id:
                same = refused == replace(request, occurred_at=refused.occurred_at)
                return {ResultCode.REFUSED_BEFORE if same else ResultCode.ID_CONFLICT}
        return set()

    def _faults_of_decision(self, request: TransferRequest, now: datetime) -> Iterator[ResultCode]:
        found = [row for row in self.allowed if row[0].transfer_id == request.transfer_id]
        if not found:
            yield ResultCode.NOT_AUTHORIZED
        for allowed, valid_from, valid_until, _ in found:
            if now < valid_from:
                yield ResultCode.DECISION_NOT_YET_VALID
            if now >= valid_until:
                yield ResultCode.DECISION_EXPIRED
            if allowed != replace(request, occurred_at=allowed.occurred_at):
                yield ResultCode.DIGEST_MISMATCH

    def _faults_of_accounts(self, request: TransferRequest, now: datetime) -> Iterator[ResultCode]:
        debit, credit = keys_of(request)
        if debit not in self.accounts:
            yield ResultCode.DEBIT_ACCOUNT_NOT_FOUND
        if credit not in self.accounts:
            yield ResultCode.CREDIT_ACCOUNT_NOT_FOUND
        if request.kind is not TransferKind.VOID and {debit, credit} & self.closed:
            yield ResultCode.ACCOUNT_CLOSED
        if request.kind is not TransferKind.VOID and {debit, credit} & self.stopped:
            yield ResultCode.ACCOUNT_STOPPED
        if request.kind is TransferKind.REVERSE:
            yield from self._faults_of_reversal(request)
        elif request.target_id is not None:
            yield from self._faults_of_hold(request, now)
        if debit in self.accounts and credit in self.accounts and request.kind is not TransferKind.VOID:
            yield from self._faults_of_sums(request)

    def _faults_of_reversal(self, request: TransferRequest) -> Iterator[ResultCode]:
        target = self.find_target(request)
        if target is None:
            yield ResultCode.TARGET_NOT_FOUND
            return
        if target.request.kind not in (TransferKind.POSTED, TransferKind.POST):
            yield ResultCode.TARGET_OF_ANOTHER_KIND
        if keys_of(request) != keys_of(target.request)[::-1]:
            yield ResultCode.TARGET_MISMATCH
        if request.amount_minor > target.amount_minor - sum(
            row.amount_minor for row in self.answers_to(request, TransferKind.REVERSE)
        ):
            yield ResultCode.EXCEEDS_REVERSIBLE

    def _faults_of_hold(self, request: TransferRequest, now: datetime) -> Iterator[ResultCode]:
        target = self.find_target(request)
        if target is None:
            yield ResultCode.TARGET_NOT_FOUND
            return
        if target.request.kind is not TransferKind.PENDING:
            yield ResultCode.TARGET_OF_ANOTHER_KIND
            return
        if keys_of(request) != keys_of(target.request):
            yield ResultCode.TARGET_MISMATCH
        if request.kind is TransferKind.VOID and request.amount_minor != target.amount_minor:
            yield ResultCode.TARGET_MISMATCH
        if any(self.answers_to(request, TransferKind.POST)):
            yield ResultCode.HOLD_POSTED
        if any(self.answers_to(request, TransferKind.VOID)):
            yield ResultCode.HOLD_VOIDED
        expires_at = target.request.hold_expires_at
        if any(self.answers_to(request, TransferKind.EXPIRE)) or (expires_at is not None and now >= expires_at):
            yield ResultCode.HOLD_EXPIRED
        if request.amount_minor > target.amount_minor:
            yield ResultCode.EXCEEDS_HELD

    def _faults_of_sums(self, request: TransferRequest) -> Iterator[ResultCode]:
        if request.balancing is not None and self.amount_of(request) <= 0:
            yield ResultCode.NOTHING_TO_BALANCE
            return
        debit, credit = keys_of(request)
        self.accepted.append(Accepted(request, self.amount_of(request), request.occurred_at))
        try:
            after_debit, after_credit = self.sums(debit), self.sums(credit)
            if self.accounts[debit].debits_within_credits and after_debit[0] + after_debit[2] > after_debit[1]:
                yield ResultCode.LIMIT_EXCEEDED
            if self.accounts[credit].credits_within_debits and after_credit[1] + after_credit[3] > after_credit[0]:
                yield ResultCode.LIMIT_EXCEEDED
            is_hold = request.kind is TransferKind.PENDING
            grown = (
                (debit, after_debit[0] + (after_debit[2] if is_hold else 0)),
                (credit, after_credit[1] + (after_credit[3] if is_hold else 0)),
            )
            if any(total > MAX_AMOUNT_MINOR for key, total in grown if not self.accounts[key].rolled_up):
                yield ResultCode.BALANCE_OUT_OF_RANGE
        finally:
            self.accepted.pop()

    def _refused_code(self, request: TransferRequest) -> ResultCode:
        return next(code for refused, code in self.refused if refused.transfer_id == request.transfer_id)

    def _stored_answer(self, request: TransferRequest, code: ResultCode) -> Answer:
        place = next(place for place, row in enumerate(self.accepted) if row.request.transfer_id == request.transfer_id)
        row = self.accepted[place]
        then = replace(self, accepted=self.accepted[: place + 1])
        versions, balances = [], []
        for key in keys_of(request):
            known = None if self.accounts[key].rolled_up else then.balance(key)
            versions.append(None if known is None else known.version)
            balances.append(None if known is None else known.balance_minor)
        return Answer(code, None, row.amount_minor, (versions[0], versions[1]), (balances[0], balances[1]), row.recorded_at)


def _is_repetition(row: Accepted, request: TransferRequest) -> bool:
    before = row.request
    if request.balancing is not None:
        return row.amount_minor <= request.amount_minor and before == replace(
            request, occurred_at=before.occurred_at, amount_minor=before.amount_minor
        )
    return before == replace(request, occurred_at=before.occurred_at)


def _first(faults: set[ResultCode]) -> ResultCode:
    return min(faults, key=_ORDER.index)


def _first_fault(faults_of_legs: list[set[ResultCode]]) -> tuple[int, ResultCode] | None:
    return next(((place, _first(faults)) for place, faults in enumerate(faults_of_legs) if faults), None)


def _fail(count: int, place: int, code: ResultCode, refused_code: ResultCode | None) -> list[Answer]:
    answers = [Answer(ResultCode.LINKED_FAILED) for _ in range(count)]
    answers[place] = Answer(code, refused_code)
    return answers
