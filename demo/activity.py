"""An account's ordinary year: salary, bills, shopping, cash, transfers, payouts, and the fees that follow from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from demo.declines import Attempt, make_decline, pick_decline_code
from demo.fees import (
    BUSINESS_PLAN_FEE_MINOR,
    FREE_WITHDRAWALS_PER_MONTH,
    PLUS_PLAN_FEE_MINOR,
    RETURNED_DEBIT_FEE_MINOR,
    WITHDRAWAL_FEE_MINOR,
    fx_fee_minor,
    price_minor,
)
from demo.merchants import CATEGORIES, Category, Merchant
from demo.people import Account, Beneficiary, Card, Customer, record_id
from demo.transactions import Transaction, add_business_days, make_card_payment, make_fee, make_reference, settle

YEAR_DAYS = 365
_PURCHASES_PER_DAY = ((0, 1, 2, 3), (80, 13, 5, 2))
_DECLINE_SHARE = 0.035
_ABROAD_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Market:
    """Hold the merchants by currency area and category."""

    shops: dict[tuple[str, str], tuple[Merchant, ...]]
    abroad: tuple[Merchant, ...]

    def pick(self, random: Random, currency: str, category_key: str) -> Merchant:
        """Draw a merchant that bills in this currency."""
        return random.choice(self.shops[currency, category_key])


def make_market(merchants: tuple[Merchant, ...]) -> Market:
    """Sort the merchants for drawing."""
    shops: dict[tuple[str, str], tuple[Merchant, ...]] = {}
    for merchant in merchants:
        key = (merchant.currency, merchant.category.key)
        shops[key] = (*shops.get(key, ()), merchant)
    return Market(shops=shops, abroad=tuple(merchant for merchant in merchants if merchant.currency == "ABROAD"))


@dataclass(frozen=True, slots=True)
class Holder:
    """Hold everything about one account that its year follows from."""

    customer: Customer
    account: Account
    card: Card | None
    beneficiaries: tuple[Beneficiary, ...]


def make_year(random: Random, holder: Holder, market: Market, as_of: datetime) -> list[Transaction]:
    """Make one account's transactions of the year before `as_of`, unsorted."""
    end = as_of - timedelta(days=10) if holder.account.status == "blocked" else as_of
    start = max(as_of - timedelta(days=YEAR_DAYS), holder.account.opened_at)
    if holder.card is None:
        return list(_savings(random, holder, start, end))
    made = list(_shopping(random, holder, holder.card, market, start=start, end=end, as_of=as_of))
    made += _monthly(random, holder, market, start=start, end=end, as_of=as_of)
    made += _cash(random, holder, start=start, end=end, as_of=as_of)
    made += _transfers(random, holder, start, end)
    if holder.customer.segment == "business" and holder.account.product == "business":
        made += _payouts(random, holder, start=start, end=end, as_of=as_of)
    return made


def _shopping(
    random: Random, holder: Holder, card: Card, market: Market, *, start: datetime, end: datetime, as_of: datetime
) -> Iterator[Transaction]:
    account = holder.account
    favourites = [_draw_shop(random, market, account.currency) for _ in range(14)]
    for day in _days(start, end):
        for _ in range(random.choices(*_PURCHASES_PER_DAY)[0]):
            is_abroad = random.random() < _ABROAD_SHARE
            merchant = random.choice(market.abroad) if is_abroad else random.choice(favourites)
            occurred_at = day + timedelta(seconds=random.randrange(6 * 3_600, 22 * 3_600))
            if not start <= occurred_at < end:
                continue
            amount_minor = _draw_price(random, merchant.category, account.currency)
            attempt = Attempt(account=account, card=card, merchant=merchant, amount_minor=amount_minor, occurred_at=occurred_at)
            if random.random() < _DECLINE_SHARE:
                yield make_decline(random, attempt, pick_decline_code(random))
                continue
            payment = make_card_payment(
                random, account, card, merchant, amount_minor=amount_minor, occurred_at=occurred_at, as_of=as_of
            )
            yield payment
            yield from _consequences(random, account, payment, is_abroad=is_abroad, as_of=as_of)


def _consequences(
    random: Random, account: Account, payment: Transaction, *, is_abroad: bool, as_of: datetime
) -> Iterator[Transaction]:
    if payment.posted_at is None:
        return
    if is_abroad and fx_fee_minor(payment.amount_minor):
        yield make_fee(
            random,
            account,
            "Foreign payment fee 1.75 %",
            amount_minor=fx_fee_minor(payment.amount_minor),
            occurred_at=payment.posted_at,
            related=payment.transaction_id,
        )
    elif random.random() < 0.012:
        refunded_at = payment.occurred_at + timedelta(days=random.randrange(2, 11), minutes=random.randrange(0, 300))
        if refunded_at < as_of:
            yield make_merchant_refund(random, payment, refunded_at)


def make_merchant_refund(random: Random, payment: Transaction, occurred_at: datetime) -> Transaction:
    """Make the merchant's own refund of a whole payment."""
    return replace(
        payment,
        transaction_id=record_id(random, "txn"),
        kind="merchant_refund",
        status="posted",
        descriptor=f"REFUND {payment.descriptor}",
        occurred_at=occurred_at,
        posted_at=occurred_at,
        reference=make_reference(random),
        related_transaction_id=payment.transaction_id,
    )


def _monthly(
    random: Random, holder: Holder, market: Market, *, start: datetime, end: datetime, as_of: datetime
) -> Iterator[Transaction]:
    account = holder.account
    bills = [
        (market.pick(random, account.currency, key), random.randrange(1, 28))
        for key, share in (("landlord", 0.6), ("utility", 0.75), ("telecom", 0.8), ("gym", 0.35))
        if random.random() < share
    ]
    prices = [_draw_price(random, merchant.category, account.currency) for merchant, _ in bills]
    salary_minor = price_minor(random.randrange(160_000, 520_000), account.currency)
    employer = (
        f"{random.choice(('Kestrelby', 'Solvane', 'Nordhafen', 'Quillstone'))} {random.choice(('Works', 'Care', 'Logistics'))}"
    )
    streaming = market.pick(random, account.currency, "streaming") if random.random() < 0.7 else None
    streaming_minor = _draw_price(random, streaming.category, account.currency) if streaming else 0
    plan_fees = {
        "plus": ("Plus plan, monthly fee", PLUS_PLAN_FEE_MINOR),
        "business": ("Business plan, monthly fee", BUSINESS_PLAN_FEE_MINOR),
    }
    for day in _days(start, end):
        moment = day + timedelta(hours=5, minutes=random.randrange(0, 50))
        if not start <= moment < end:
            continue
        for (merchant, day_of_month), price in zip(bills, prices, strict=True):
            if day.day == day_of_month:
                yield from _direct_debit(random, account, merchant, amount_minor=price, occurred_at=moment)
        if day.day == 26 and account.product == "current":
            yield _incoming(
                random, account, "salary", f"SALARY {employer}".upper(), amount_minor=salary_minor, occurred_at=moment
            )
        if day.day == 12 and streaming is not None and holder.card is not None:
            yield make_card_payment(
                random, account, holder.card, streaming, amount_minor=streaming_minor, occurred_at=moment, as_of=as_of
            )
        if day.day == 1 and holder.customer.segment in plan_fees:
            label, amounts = plan_fees[holder.customer.segment]
            yield make_fee(random, account, label, amount_minor=amounts[account.currency], occurred_at=moment)


def _direct_debit(
    random: Random, account: Account, merchant: Merchant, *, amount_minor: int, occurred_at: datetime
) -> Iterator[Transaction]:
    is_returned = random.random() < 0.012
    debit = Transaction(
        transaction_id=record_id(random, "txn"),
        account_id=account.account_id,
        kind="direct_debit",
        status="reversed" if is_returned else "posted",
        amount_minor=amount_minor,
        currency=account.currency,
        descriptor=f"DIRECT DEBIT {merchant.name}".upper(),
        occurred_at=occurred_at,
        posted_at=occurred_at,
        reference=f"MANDATE {make_reference(random)}",
        merchant_id=merchant.merchant_id,
    )
    yield debit
    if is_returned:
        yield make_fee(
            random,
            account,
            "Returned direct debit fee",
            amount_minor=RETURNED_DEBIT_FEE_MINOR[account.currency],
            occurred_at=occurred_at + timedelta(minutes=2),
            related=debit.transaction_id,
        )


def _incoming(
    random: Random, account: Account, kind: str, descriptor: str, *, amount_minor: int, occurred_at: datetime
) -> Transaction:
    return Transaction(
        transaction_id=record_id(random, "txn"),
        account_id=account.account_id,
        kind=kind,
        status="posted",
        amount_minor=amount_minor,
        currency=account.currency,
        descriptor=descriptor,
        occurred_at=occurred_at,
        posted_at=occurred_at,
        reference=make_reference(random),
    )


def _cash(random: Random, holder: Holder, *, start: datetime, end: datetime, as_of: datetime) -> Iterator[Transaction]:
    taken: dict[tuple[int, int], int] = {}
    account = holder.account
    for day in _days(start, end):
        occurred_at = day + timedelta(seconds=random.randrange(8 * 3_600, 21 * 3_600))
        if random.random() > 0.055 or not start <= occurred_at < end:
            continue
        status, posted_at = settle(occurred_at, as_of)
        withdrawal = replace(
            _incoming(
                random,
                account,
                "cash_withdrawal",
                "CASH MACHINE",
                amount_minor=price_minor(random.randrange(2, 31) * 1_000, account.currency),
                occurred_at=occurred_at,
            ),
            status=status,
            posted_at=posted_at,
            card_id=holder.card.card_id if holder.card else None,
        )
        yield withdrawal
        month = (day.year, day.month)
        taken[month] = taken.get(month, 0) + 1
        if taken[month] > FREE_WITHDRAWALS_PER_MONTH and posted_at is not None:
            yield make_fee(
                random,
                account,
                f"Cash withdrawal fee, no. {taken[month]} this month",
                amount_minor=WITHDRAWAL_FEE_MINOR[account.currency],
                occurred_at=posted_at,
                related=withdrawal.transaction_id,
            )


def _transfers(random: Random, holder: Holder, start: datetime, end: datetime) -> Iterator[Transaction]:
    for day in _days(start, end):
        occurred_at = day + timedelta(seconds=random.randrange(7 * 3_600, 23 * 3_600))
        if not start <= occurred_at < end:
            continue
        is_payee_known = any(payee.added_at < occurred_at for payee in holder.beneficiaries)
        amount_minor = price_minor(random.randrange(1_000, 45_000), holder.account.currency)
        draw = random.random()
        if draw < 0.035 and is_payee_known:
            outgoing = _incoming(
                random,
                holder.account,
                "transfer_out",
                "Transfer to saved payee",
                amount_minor=amount_minor,
                occurred_at=occurred_at,
            )
            yield replace(outgoing, reference=random.choice(("Shared rent", "Dinner", "Invoice", "Holiday", "Thank you")))
        elif draw > 0.98:
            yield _incoming(
                random, holder.account, "transfer_in", "Incoming transfer", amount_minor=amount_minor, occurred_at=occurred_at
            )


def _savings(random: Random, holder: Holder, start: datetime, end: datetime) -> Iterator[Transaction]:
    amount_minor = price_minor(random.randrange(5_000, 60_000), holder.account.currency)
    for day in _days(start, end):
        moment = day + timedelta(hours=6)
        if day.day == 28 and start <= moment < end:
            yield _incoming(
                random, holder.account, "transfer_in", "Standing order to savings", amount_minor=amount_minor, occurred_at=moment
            )


def _payouts(random: Random, holder: Holder, *, start: datetime, end: datetime, as_of: datetime) -> Iterator[Transaction]:
    # One a week, and always one on the eve of `as_of`, so that some are on their way whenever the demo is loaded.
    weeks = (as_of - start).days // 7
    for week in range(weeks, -1, -1):
        occurred_at = as_of - timedelta(days=1 + 7 * week) + timedelta(hours=17, minutes=random.randrange(0, 60))
        if not start <= occurred_at < end:
            continue
        settles_on = add_business_days(occurred_at.date(), 2)
        arrived_at = datetime(settles_on.year, settles_on.month, settles_on.day, 6, tzinfo=occurred_at.tzinfo)
        yield replace(
            _incoming(
                random,
                holder.account,
                "payout",
                f"Card sales payout {occurred_at.strftime('%G week %V')}",
                amount_minor=price_minor(random.randrange(45_000, 620_000), holder.account.currency),
                occurred_at=occurred_at,
            ),
            status="posted" if arrived_at < as_of else "pending",
            posted_at=arrived_at if arrived_at < as_of else None,
            settles_on=settles_on,
        )


def _draw_shop(random: Random, market: Market, currency: str) -> Merchant:
    category = random.choices(CATEGORIES, [category.weight for category in CATEGORIES])[0]
    return market.pick(random, currency, category.key)


def _draw_price(random: Random, category: Category, currency: str) -> int:
    # Small amounts are commoner than large ones: the lower of two draws.
    cents = min(random.randint(category.low_cents, category.high_cents), random.randint(category.low_cents, category.high_cents))
    return price_minor(cents, currency)


def _days(start: datetime, end: datetime) -> Iterator[datetime]:
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < end:
        yield day
        day += timedelta(days=1)
