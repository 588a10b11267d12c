"""Disputes with a story: goods that arrived and are disputed all the same, and disputes at every turn of their clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from demo.activity import Holder
from demo.incidents import NETWORK_REASON_CODES
from demo.people import record_id
from demo.planted import Incident, Planted, Stage
from demo.transactions import Transaction

_CLOSED_AFTER = timedelta(days=45)
_NOT_RECEIVED = {"visa": "13.1", "mastercard": "4853"}
CLOCK_AGES_DAYS = (1, 8, 18, 52)
"""How old the open disputes of `make_clock_disputes` are: fresh, before the provisional credit is due, after it, and overdue."""


def plant_friendly_fraud(stage: Stage, planted: Planted, holders: Sequence[Holder], transactions: Sequence[Transaction]) -> None:
    """Let these customers dispute two to four purchases that reached them, one after the other over the year."""
    by_account = _disputable(transactions, {holder.account.account_id for holder in holders})
    for holder in holders:
        purchases = by_account[holder.account.account_id]
        first = stage.random.randrange(0, max(1, len(purchases) // 2))
        count = stage.random.randrange(2, 5)
        step = max(1, (len(purchases) - first) // count)
        for item in purchases[first::step][:count]:
            _dispute_delivered(stage, planted, holder, item)


def _disputable(transactions: Iterable[Transaction], accounts: set[str]) -> dict[str, list[Transaction]]:
    refunded = {item.related_transaction_id for item in transactions}
    found: dict[str, list[Transaction]] = {account: [] for account in accounts}
    for item in transactions:
        is_purchase = item.kind == "card_payment" and item.status == "posted" and item.card_id is not None
        if is_purchase and item.account_id in accounts and item.transaction_id not in refunded:
            found[item.account_id].append(item)
    # The dear half: nobody disputes a coffee.
    for account, items in found.items():
        middle = sorted(item.amount_minor for item in items)[len(items) // 2]
        found[account] = [item for item in items if item.amount_minor >= middle]
    return found


def _dispute_delivered(stage: Stage, planted: Planted, holder: Holder, item: Transaction) -> None:
    opened_at = item.occurred_at + timedelta(days=stage.random.randrange(9, 40), minutes=stage.random.randrange(0, 600))
    if opened_at >= stage.as_of:
        return
    assert holder.card is not None
    is_closed = opened_at + _CLOSED_AFTER < stage.as_of
    dispute_id = record_id(stage.random, "dsp")
    dispute = {
        "dispute_id": dispute_id,
        "transaction_id": item.transaction_id,
        "state": "lost" if is_closed else stage.random.choice(("open", "evidence", "submitted")),
        "network_reason_code": _NOT_RECEIVED[holder.card.scheme],
        "opened_at": opened_at,
        "due_on": (opened_at + timedelta(days=30)).date(),
    }
    planted.disputes.append(dispute)
    planted.incidents.append(
        Incident(
            incident_id=record_id(stage.random, "inc"),
            pattern="friendly_fraud",
            likeness="friendly_fraud",
            customer_id=holder.customer.customer_id,
            merchant_id=item.merchant_id,
            started_at=item.occurred_at,
            ended_at=opened_at,
            source="chargeback",
            known_days=_CLOSED_AFTER.days,
            transaction_ids=(item.transaction_id,),
            dispute_ids=(dispute_id,),
        )
    )


def make_clock_disputes(
    stage: Stage, holders: Iterable[Holder], transactions: Iterable[Transaction], *, spared: frozenset[str]
) -> tuple[dict[str, Any], ...]:
    """Open one dispute of each age, in dollars and in euros: of a purchase made two days before, each by another customer."""
    by_account = {holder.account.account_id: holder for holder in holders if holder.account.status == "active"}
    wanted = [(currency, days) for currency in ("USD", "EUR") for days in CLOCK_AGES_DAYS]
    rows: list[dict[str, Any]] = []
    taken = set(spared)
    candidates = [item for item in transactions if item.account_id in by_account and item.kind == "card_payment" and item.card_id]
    for currency, days in wanted:
        latest = stage.as_of - timedelta(days=days + 1)
        for item in reversed(candidates):
            holder = by_account[item.account_id]
            if item.currency != currency or item.status != "posted" or item.occurred_at > latest:
                continue
            if holder.customer.customer_id in taken or holder.card is None:
                continue
            taken.add(holder.customer.customer_id)
            rows.append(_open_dispute(stage, holder, item, days))
            break
    return tuple(rows)


def _open_dispute(stage: Stage, holder: Holder, item: Transaction, days: int) -> dict[str, Any]:
    assert holder.card is not None
    opened_at = stage.as_of - timedelta(days=days) + timedelta(minutes=stage.random.randrange(10, 300))
    return {
        "dispute_id": record_id(stage.random, "dsp"),
        "transaction_id": item.transaction_id,
        "state": stage.random.choice(("open", "evidence")),
        "network_reason_code": stage.random.choice(NETWORK_REASON_CODES[holder.card.scheme]),
        "opened_at": opened_at,
        "due_on": (opened_at + timedelta(days=30)).date(),
    }
