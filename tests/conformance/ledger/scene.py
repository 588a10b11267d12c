"""A small house on an empty ledger: short ways to ask, to allow and to look."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.transfer import ResultCode, TransferCode, TransferKind, TransferRequest, TransferResult
from ledger.port import AccountBalance, Ledger

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIFETIME = timedelta(seconds=60)
BANK = "house:bank:main"
"""Rolled up."""
ALICE = "customer:alice"
BOB = "customer:bob"
PURSE = "escrow:purse"
"""Its debits must not exceed its credits."""
LOAN = "customer:loan"
"""Its credits must not exceed its debits."""


def make_request(**changes: Any) -> TransferRequest:
    """EUR 1.00 from Alice to Bob, at once; a fresh id unless one is given."""
    request = TransferRequest(
        transfer_id=uuid4(),
        kind=TransferKind.POSTED,
        debit=ALICE,
        credit=BOB,
        amount_minor=100,
        currency="EUR",
        code=TransferCode.REFUND,
        occurred_at=NOW,
    )
    return replace(request, **changes)


def make_hold(**changes: Any) -> TransferRequest:
    return make_request(kind=TransferKind.PENDING, **changes)


def make_post(hold: TransferRequest, **changes: Any) -> TransferRequest:
    return _make_answer(hold, TransferKind.POST, **changes)


def make_void(hold: TransferRequest, **changes: Any) -> TransferRequest:
    return _make_answer(hold, TransferKind.VOID, **changes)


def _make_answer(hold: TransferRequest, kind: TransferKind, **changes: Any) -> TransferRequest:
    asked = {
        "kind": kind, "debit": hold.debit, "credit": hold.credit, "amount_minor": hold.amount_minor, "currency": hold.currency,
        "target_id": hold.transfer_id,
    }  # fmt: skip
    return make_request(**{**asked, **changes})


def make_reversal(target: TransferRequest, **changes: Any) -> TransferRequest:
    asked = {
        "kind": TransferKind.REVERSE, "debit": target.credit, "credit": target.debit, "amount_minor": target.amount_minor,
        "currency": target.currency, "target_id": target.transfer_id,
    }  # fmt: skip
    return make_request(**{**asked, **changes})


def chain(*legs: TransferRequest) -> list[TransferRequest]:
    """Link all but the last to the next."""
    return [replace(leg, linked=place < len(legs) - 1) for place, leg in enumerate(legs)]


def codes_of(results: list[TransferResult]) -> list[ResultCode]:
    return [result.code for result in results]


class Scene:
    """One ledger and what tests keep asking of it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        ledger.open_account(BANK, "EUR", rolled_up=True)
        ledger.open_account(ALICE, "EUR")
        ledger.open_account(BOB, "EUR")
        ledger.open_account(PURSE, "EUR", debits_must_not_exceed_credits=True)
        ledger.open_account(LOAN, "EUR", credits_must_not_exceed_debits=True)

    def allow(self, *requests: TransferRequest, now: datetime = NOW) -> str:
        return self.ledger.authorize(requests, valid_from=now, valid_until=now + LIFETIME)

    def ask(self, *requests: TransferRequest, now: datetime = NOW) -> list[TransferResult]:
        """Without a decision."""
        results = self.ledger.apply(requests, now=now)
        for request, result in zip(requests, results, strict=True):
            assert result.transfer_id == request.transfer_id
            assert (result.refused_code is not None) == (result.code is ResultCode.REFUSED_BEFORE)
            is_there = result.code in (ResultCode.ACCEPTED, ResultCode.ALREADY_ACCEPTED)
            assert all(
                (value is not None) == is_there for value in (result.amount_minor, result.debit_version, result.recorded_at)
            )
        return results

    def put(self, *requests: TransferRequest, now: datetime = NOW) -> list[TransferResult]:
        """Under a decision, in one call."""
        self.allow(*requests, now=now)
        return self.ask(*requests, now=now)

    def do(self, *requests: TransferRequest, now: datetime = NOW) -> list[TransferResult]:
        """Under a decision, and each has to be accepted."""
        results = self.put(*requests, now=now)
        assert codes_of(results) == [ResultCode.ACCEPTED] * len(requests)
        return results

    def fund(self, account: str, amount_minor: int, *, currency: str = "EUR") -> TransferRequest:
        request = make_request(debit=BANK, credit=account, amount_minor=amount_minor, currency=currency)
        self.do(request)
        return request

    def balance(self, account: str, currency: str = "EUR") -> AccountBalance:
        balance = self.ledger.find_balance(account, currency)
        assert balance is not None
        return balance

    def picture(self) -> object:
        """All that can be seen of the money: to compare before and after what must change nothing."""
        accounts = (BANK, ALICE, BOB, PURSE, LOAN)
        lines = [self.ledger.list_entries(account, "EUR", after=None, limit=1000) for account in accounts]
        return [self.balance(account) for account in accounts], lines, self.ledger.list_trial_balance()

    def hold_state(self, hold: TransferRequest) -> str:
        found = self.ledger.find_hold(hold.transfer_id)
        assert found is not None
        return found.state.value


def unknown_id() -> UUID:
    return uuid4()
