"""A fact sheet for tests without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from agents.support.duplicates import find_duplicates
from agents.support.facts import AccountFact, EarlierDecision, FactSheet, TransactionFact

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def transaction(handle: str, **more: Any) -> TransactionFact:
    values: dict[str, Any] = {
        "handle": handle,
        "account_id": "acc_1",
        "merchant_id": "mrc_books",
        "kind": "card_payment",
        "status": "posted",
        "amount_minor": 1290,
        "currency": "EUR",
        "descriptor": "NORDWIND BOOKS 0815",
        "merchant_name": "Nordwind Books",
        "occurred_at": NOW - timedelta(days=2),
        "posted_at": NOW,
        "decline_code": None,
        "decline_trace": None,
        "related_handle": None,
        "settles_on": None,
    }
    return TransactionFact(**{**values, **more})


def cafe(handle: str, **more: Any) -> TransactionFact:
    return transaction(handle, **{"merchant_id": "mrc_cafe", "merchant_name": "Cafe Azur", "descriptor": "CAFE AZUR", **more})


def sheet(*transactions: TransactionFact, earlier: tuple[EarlierDecision, ...] = ()) -> FactSheet:
    return FactSheet(
        customer_id="cus_1",
        language="en",
        accounts=(AccountFact(handle="A1", product="current", currency="EUR", status="active"),),
        transactions=transactions,
        duplicates=find_duplicates(transactions),
        disputes=(),
        earlier=earlier,
        outside=("X1",),
    )


def usual() -> FactSheet:
    """T1 payout, T2 repeats T3, T4 declined, T5 fee, T6 large at the cafe, T7 small at the cafe."""
    return sheet(
        transaction("T1", kind="payout", status="pending", amount_minor=250000, merchant_id=None, merchant_name=None,
                    descriptor="MARKET PAYOUT", occurred_at=NOW - timedelta(hours=12)),
        transaction("T2", occurred_at=NOW - timedelta(days=2)),
        transaction("T3", occurred_at=NOW - timedelta(days=2, minutes=4)),
        cafe("T4", status="declined", amount_minor=8000, decline_code="card_blocked", occurred_at=NOW - timedelta(days=3)),
        transaction("T5", kind="fee", amount_minor=300, merchant_id=None, merchant_name=None, descriptor="Card replacement fee",
                    occurred_at=NOW - timedelta(days=4)),
        cafe("T6", amount_minor=64000, occurred_at=NOW - timedelta(days=20)),
        cafe("T7", amount_minor=450, occurred_at=NOW - timedelta(days=21)),
    )  # fmt: skip
