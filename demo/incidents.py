"""What customers write to support about: charges taken twice, rare declines, disputes. Planted, so that the truth is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any

from demo.activity import Market, make_merchant_refund
from demo.declines import Attempt, make_decline
from demo.fees import price_minor
from demo.people import SUPPORT_REFUND_LIMIT_MINOR, Account, Card, record_id
from demo.transactions import Transaction, make_card_payment, make_reference

DUPLICATE_WINDOW = timedelta(minutes=10)
"""Two posted payments of one account to one merchant over one amount within this time are the same purchase taken twice."""
RECENT_DAYS = 30
_CHANCE_WINDOW = timedelta(hours=26)
_RECENT_SMALL, _RECENT_LARGE, _RECENT_REFUNDED, _OLD = 52, 8, 4, 70
_LARGE_RANGE_CENTS = (32_000, 96_000)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Hold one true duplicate: the second charge is the one to refund."""

    first: Transaction
    second: Transaction
    is_recent: bool
    is_above_limit: bool
    merchant_refund: Transaction | None = None


def drop_chance_duplicates(transactions: Iterable[Transaction]) -> list[Transaction]:
    """Return the transactions in order of time, less those that repeat an accepted payment within the day by chance."""
    kept: list[Transaction] = []
    dropped: set[str] = set()
    last_seen: dict[tuple[str, str | None, int], datetime] = {}
    for transaction in sorted(transactions, key=lambda item: (item.occurred_at, item.transaction_id)):
        if transaction.related_transaction_id in dropped:
            continue
        if transaction.kind == "card_payment" and transaction.status != "declined":
            key = (transaction.account_id, transaction.merchant_id, transaction.amount_minor)
            before = last_seen.get(key)
            if before is not None and transaction.occurred_at - before < _CHANCE_WINDOW:
                dropped.add(transaction.transaction_id)
                continue
            last_seen[key] = transaction.occurred_at
        kept.append(transaction)
    return kept


def make_duplicates(
    random: Random,
    transactions: list[Transaction],
    accounts: dict[str, Account],
    market: Market,
    cards: dict[str, Card],
    as_of: datetime,
) -> tuple[Duplicate, ...]:
    """Charge some payments twice: at most one per customer, on active accounts older than the year.

    Recent small ones lie far below a support operator's limit, recent large ones above it.
    """
    refunded = {item.related_transaction_id for item in transactions if item.kind == "merchant_refund"}
    candidates = [
        item
        for item in transactions
        if item.kind == "card_payment"
        and item.status == "posted"
        and item.transaction_id not in refunded
        and accounts[item.account_id].status == "active"
        and accounts[item.account_id].opened_at < as_of - timedelta(days=365)
    ]
    random.shuffle(candidates)
    recent = [item for item in candidates if timedelta(days=3) < as_of - item.occurred_at < timedelta(days=RECENT_DAYS - 4)]
    old = [item for item in candidates if timedelta(days=45) < as_of - item.occurred_at < timedelta(days=350)]
    small = _each_currency_first([item for item in recent if item.amount_minor * 3 < _limit(item)])
    taken: set[str] = set()
    made = [_charge_again(random, item, is_recent=True) for item in _of_other_customers(small, _RECENT_SMALL, accounts, taken)]
    for item in _of_other_customers(small, _RECENT_REFUNDED, accounts, taken):
        again = _charge_again(random, item, is_recent=True)
        refund_at = again.second.occurred_at + timedelta(days=2)
        made.append(replace(again, merchant_refund=make_merchant_refund(random, again.second, refund_at)))
    made += [
        _charge_again(random, _large_purchase(random, item, accounts, market, cards, as_of), is_recent=True)
        for item in _of_other_customers(recent, _RECENT_LARGE, accounts, taken)
    ]
    for index, item in enumerate(_of_other_customers(old, _OLD, accounts, taken)):
        again = _charge_again(random, item, is_recent=False)
        refund_at = again.second.occurred_at + timedelta(days=random.randrange(3, 9))
        made.append(replace(again, merchant_refund=make_merchant_refund(random, again.second, refund_at)) if index % 2 else again)
    return tuple(made)


def _limit(item: Transaction) -> int:
    return SUPPORT_REFUND_LIMIT_MINOR[item.currency]


def _each_currency_first(items: list[Transaction]) -> list[Transaction]:
    # Most customers hold euros: without this a seed could leave a currency with no case at all.
    front: list[Transaction] = []
    for currency in SUPPORT_REFUND_LIMIT_MINOR:
        front += [item for item in items if item.currency == currency][:3]
    chosen = {item.transaction_id for item in front}
    return front + [item for item in items if item.transaction_id not in chosen]


def _of_other_customers(
    items: Iterable[Transaction], count: int, accounts: dict[str, Account], taken: set[str]
) -> Iterable[Transaction]:
    for item in items:
        customer_id = accounts[item.account_id].customer_id
        if not count:
            return
        if customer_id not in taken:
            taken.add(customer_id)
            count -= 1
            yield item


def _large_purchase(
    random: Random, near: Transaction, accounts: dict[str, Account], market: Market, cards: dict[str, Card], as_of: datetime
) -> Transaction:
    account = accounts[near.account_id]
    return make_card_payment(
        random,
        account,
        cards[account.account_id],
        market.pick(random, account.currency, random.choice(("electronics", "travel", "hotel"))),
        amount_minor=price_minor(random.randrange(*_LARGE_RANGE_CENTS), account.currency),
        occurred_at=near.occurred_at + timedelta(minutes=37),
        as_of=as_of,
    )


def _charge_again(random: Random, first: Transaction, *, is_recent: bool) -> Duplicate:
    gap = timedelta(seconds=random.randrange(20, 280))
    second = replace(
        first, transaction_id=record_id(random, "txn"), occurred_at=first.occurred_at + gap, reference=make_reference(random)
    )
    return Duplicate(first=first, second=second, is_recent=is_recent, is_above_limit=first.amount_minor > _limit(first))


def make_legitimate_repeats(
    random: Random, transactions: list[Transaction], *, count: int
) -> tuple[tuple[Transaction, Transaction], ...]:
    """Make second visits: the same coffee at the same price some hours later. These are no duplicates."""
    small = [
        item for item in transactions if item.kind == "card_payment" and item.status == "posted" and item.occurred_at.hour < 12
    ]
    pairs: list[tuple[Transaction, Transaction]] = []
    for item in random.sample(small, count):
        later = item.occurred_at + timedelta(minutes=random.randrange(190, 420))
        again = replace(item, transaction_id=record_id(random, "txn"), occurred_at=later, reference=make_reference(random))
        pairs.append((item, again))
    return tuple(pairs)


def make_rare_declines(
    random: Random, accounts: dict[str, Account], market: Market, cards: tuple[Card, ...], as_of: datetime
) -> tuple[Transaction, ...]:
    """Make the declines that need a cause of their own: old cards used again, and gambling shops."""
    made: list[Transaction] = []
    for card in cards:
        account = accounts[card.account_id]
        is_worn_out = card.status != "active"
        if account.opened_at > as_of - timedelta(days=60) or not (is_worn_out or random.random() < 0.06):
            continue
        code = {"blocked": "card_blocked", "expired": "card_expired"}.get(card.status, "merchant_category_blocked")
        merchant = market.pick(random, account.currency, "groceries" if is_worn_out else "gambling")
        amount_minor = price_minor(random.randint(merchant.category.low_cents, merchant.category.high_cents), account.currency)
        occurred_at = as_of - timedelta(days=random.randrange(1, 20), minutes=random.randrange(60, 800))
        attempt = Attempt(account=account, card=card, merchant=merchant, amount_minor=amount_minor, occurred_at=occurred_at)
        made.append(make_decline(random, attempt, code))
    return tuple(made)


# Source: the schemes' reason codes: duplicate, fraud without the card, not received, not as described, credit not processed.
NETWORK_REASON_CODES = MappingProxyType(
    {"visa": ("12.6.1", "10.4", "13.1", "13.3", "13.6"), "mastercard": ("4834", "4837", "4853", "4853", "4853")}
)


def make_disputes(
    random: Random, transactions: Iterable[Transaction], cards: tuple[Card, ...], as_of: datetime, *, count: int
) -> tuple[dict[str, Any], ...]:
    """Make disputes of earlier card payments, open ones and closed ones, each with the day by which the next step is due."""
    scheme_of_card = {card.card_id: card.scheme for card in cards}
    candidates = [
        item
        for item in transactions
        if item.kind == "card_payment"
        and item.status == "posted"
        and timedelta(days=12) < as_of - item.occurred_at < timedelta(days=110)
    ]
    rows: list[dict[str, Any]] = []
    for item in random.sample(candidates, count):
        assert item.card_id is not None
        opened_at = item.occurred_at + timedelta(days=random.randrange(3, 11), minutes=random.randrange(0, 300))
        is_running = as_of - opened_at < timedelta(days=30)
        rows.append(
            {
                "dispute_id": record_id(random, "dsp"),
                "transaction_id": item.transaction_id,
                "state": random.choice(("open", "evidence", "submitted") if is_running else ("won", "lost", "withdrawn")),
                "network_reason_code": random.choice(NETWORK_REASON_CODES[scheme_of_card[item.card_id]]),
                "opened_at": opened_at,
                "due_on": (opened_at + timedelta(days=30)).date(),
            }
        )
    return tuple(rows)
