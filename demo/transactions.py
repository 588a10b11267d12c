"""One transaction of the bank's own record, as the generator holds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from demo.merchants import Merchant
from demo.people import Account, Card, record_id

TraceStep = dict[str, Any]
_REFERENCE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True)
class Transaction:
    """Hold one transaction. Amounts are positive; `kind` says the direction."""

    transaction_id: str
    account_id: str
    kind: str
    status: str
    amount_minor: int
    currency: str
    descriptor: str
    occurred_at: datetime
    reference: str | None = None
    card_id: str | None = None
    merchant_id: str | None = None
    posted_at: datetime | None = None
    decline_code: str | None = None
    decline_trace: tuple[TraceStep, ...] | None = None
    related_transaction_id: str | None = None
    settles_on: date | None = None
    beneficiary_id: str | None = None


def make_reference(random: Random) -> str:
    """Make an authorisation reference. Letters and digits mixed, so that it never reads as a card number."""
    return "A" + "".join(random.choices(_REFERENCE_LETTERS, k=7))


def settle(occurred_at: datetime, as_of: datetime) -> tuple[str, datetime | None]:
    """Return status and posting time: a payment posts in the night after the next day, and is pending until then."""
    posted_at = occurred_at.replace(hour=4, minute=30, second=0, microsecond=0) + timedelta(days=1)
    return ("posted", posted_at) if posted_at < as_of else ("pending", None)


def make_card_payment(
    random: Random, account: Account, card: Card, merchant: Merchant, *, amount_minor: int, occurred_at: datetime, as_of: datetime
) -> Transaction:
    """Make one accepted card payment."""
    status, posted_at = settle(occurred_at, as_of)
    return Transaction(
        transaction_id=record_id(random, "txn"),
        account_id=account.account_id,
        kind="card_payment",
        status=status,
        amount_minor=amount_minor,
        currency=account.currency,
        descriptor=merchant.descriptor,
        occurred_at=occurred_at,
        reference=make_reference(random),
        card_id=card.card_id,
        merchant_id=merchant.merchant_id,
        posted_at=posted_at,
    )


def make_fee(
    random: Random, account: Account, descriptor: str, *, amount_minor: int, occurred_at: datetime, related: str | None = None
) -> Transaction:
    """Make one fee, posted at once; `related` names the transaction that caused it."""
    return Transaction(
        transaction_id=record_id(random, "txn"),
        account_id=account.account_id,
        kind="fee",
        status="posted",
        amount_minor=amount_minor,
        currency=account.currency,
        descriptor=descriptor,
        occurred_at=occurred_at,
        posted_at=occurred_at,
        related_transaction_id=related,
    )


def add_business_days(start: date, days: int) -> date:
    """Return the day that lies so many working days after `start`. Weekends count as closed, holidays do not."""
    current = start
    while days:
        current += timedelta(days=1)
        if current.weekday() < 5:
            days -= 1
    return current
