"""Frauds and their harmless likenesses, planted so that the truth is known: card testing, takeover, mules, friendly fraud."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from demo.activity import Holder
from demo.declines import Attempt, make_decline
from demo.disputed import plant_friendly_fraud
from demo.fees import price_minor
from demo.merchants import Merchant
from demo.people import Beneficiary, record_id
from demo.planted import Incident, Planted, Stage, add_device, add_payee, pay_out, sign_in
from demo.transactions import Transaction, make_card_payment

_CARD_TESTS, _TAKEOVERS, _FAN_OUTS, _REPEAT_DISPUTERS = 14, 20, 12, 16
_TICKET_SALES, _NEW_HOMES, _SHARED_BILLS = 8, 26, 14
_FIRST_PAYMENTS = 320
_FOREIGN = ("BR", "NG", "VN", "TR", "PL")
_TEST_DECLINES = ("three_ds_failed", "suspected_fraud", "incorrect_pin", "insufficient_funds", "too_many_attempts")


def plant_fraud(
    stage: Stage, holders: Iterable[Holder], transactions: Sequence[Transaction], *, spared: frozenset[str]
) -> Planted:
    """Make the stories on active accounts older than the year. No customer lives through two of them; the spared ones have none.

    `transactions` are the ordinary ones: friendly fraud disputes real purchases.
    """
    free = [
        holder
        for holder in holders
        if holder.card is not None
        and holder.account.status == "active"
        and holder.account.product != "savings"
        and holder.account.opened_at < stage.as_of - timedelta(days=370)
        and holder.customer.customer_id not in spared
    ]
    stage.random.shuffle(free)
    cast = _Cast(free)
    planted = Planted()
    for index in range(_TAKEOVERS):
        _take_over(stage, planted, cast.next_one(), stage.moment(index, _TAKEOVERS, first_hour=0, last_hour=23))
    for index in range(_FAN_OUTS):
        _fan_out(stage, planted, cast.next_one(), stage.moment(index, _FAN_OUTS, first_hour=7, last_hour=14))
    for index in range(_NEW_HOMES):
        _move_house(stage, planted, cast.next_one(), stage.moment(index, _NEW_HOMES, first_hour=8, last_hour=19))
    for index in range(_SHARED_BILLS):
        _share_a_bill(stage, planted, cast.next_with_payees(), stage.moment(index, _SHARED_BILLS, first_hour=18, last_hour=22))
    plant_friendly_fraud(stage, planted, [cast.next_one() for _ in range(_REPEAT_DISPUTERS)], transactions)
    ordinary = cast.rest()
    for index in range(_FIRST_PAYMENTS):
        _pay_someone_new(
            stage, planted, stage.random.choice(ordinary), stage.moment(index, _FIRST_PAYMENTS, first_hour=7, last_hour=22)
        )
    crowd = [holder for holder in cast.rest() if holder.account.currency == "EUR"]
    for index in range(_CARD_TESTS):
        _test_cards(stage, planted, crowd, stage.moment(index, _CARD_TESTS, first_hour=1, last_hour=5))
    for index in range(_TICKET_SALES):
        _sell_tickets(stage, planted, crowd, stage.moment(index, _TICKET_SALES, first_hour=9, last_hour=20))
    return planted


class _Cast:
    """Give out customers, each once."""

    def __init__(self, holders: Iterable[Holder]) -> None:
        self._holders = list(holders)
        self._taken: set[str] = set()

    def next_one(self) -> Holder:
        return self._take(self.rest()[0])

    def next_with_payees(self) -> Holder:
        return self._take(next(holder for holder in self.rest() if holder.beneficiaries))

    def rest(self) -> list[Holder]:
        return [holder for holder in self._holders if holder.customer.customer_id not in self._taken]

    def _take(self, holder: Holder) -> Holder:
        self._taken.add(holder.customer.customer_id)
        return holder


def _take_over(stage: Stage, planted: Planted, holder: Holder, moment: datetime) -> None:
    """Guess or steal the password, come in on a device of one's own, add a payee, empty the account."""
    random = stage.random
    country = random.choice(_FOREIGN) if random.random() < 0.75 else holder.customer.country
    for _ in range(random.randrange(3, 7) if random.random() < 0.75 else random.randrange(0, 2)):
        planted.logins.append(sign_in(random, holder, moment, outcome="failed", country=country))
        moment = stage.after(moment, 1, 6)
    planted.logins.append(sign_in(random, holder, moment, outcome="challenged", country=country))
    entered_at = stage.after(moment, 2, 15)
    device = add_device(random, holder, entered_at)
    planted.devices.append(device)
    planted.logins.append(sign_in(random, holder, entered_at, outcome="success", country=country, device_id=device["device_id"]))
    payee = add_payee(random, holder, stage.after(entered_at, 3, 45))
    planted.beneficiaries.append(payee)
    paid_at, paid = payee.added_at, []
    for _ in range(random.randrange(1, 4)):
        paid_at = stage.after(paid_at, 4, 50)
        amount_minor = price_minor(random.randrange(42_000, 390_000), holder.account.currency)
        paid.append(pay_out(random, holder, payee, amount_minor=amount_minor, occurred_at=paid_at))
    _record(stage, planted, holder, paid, [payee], pattern="account_takeover", source="customer_report", known_days=(7, 13))


def _fan_out(stage: Stage, planted: Planted, holder: Holder, moment: datetime) -> None:
    """Receive what others lost, and pass it on to many new payees within hours."""
    random = stage.random
    euro_cents = random.randrange(180_000, 720_000)
    arrived = Transaction(
        transaction_id=record_id(random, "txn"),
        account_id=holder.account.account_id,
        kind="transfer_in",
        status="posted",
        amount_minor=price_minor(euro_cents, holder.account.currency),
        currency=holder.account.currency,
        descriptor="Incoming transfer",
        occurred_at=moment,
        posted_at=moment,
    )
    payees: list[Beneficiary] = []
    paid: list[Transaction] = []
    count = random.randrange(5, 10)
    added_at = stage.after(moment, 20, 120)
    for _ in range(count):
        payees.append(add_payee(random, holder, added_at))
        share = euro_cents * random.randrange(75, 98) // (100 * count)
        amount_minor = price_minor(share - random.randrange(0, 900), holder.account.currency)
        paid.append(pay_out(random, holder, payees[-1], amount_minor=amount_minor, occurred_at=stage.after(added_at, 4, 40)))
        added_at = stage.after(added_at, 6, 35)
    planted.beneficiaries += payees
    planted.transactions.append(arrived)
    _record(stage, planted, holder, paid, payees, pattern="mule_fan_out", source="investigation", known_days=(8, 21))


def _move_house(stage: Stage, planted: Planted, holder: Holder, moment: datetime) -> None:
    """Look like a takeover and be none: a new phone, one slip of the finger, a new landlord and his deposit."""
    random = stage.random
    country = holder.customer.country
    device = add_device(random, holder, moment)
    planted.devices.append(device)
    if random.random() < 0.5:
        planted.logins.append(sign_in(random, holder, moment, outcome="failed", country=country))
    entered_at = stage.after(moment, 1, 9)
    planted.logins.append(sign_in(random, holder, entered_at, outcome="success", country=country, device_id=device["device_id"]))
    payee = add_payee(random, holder, stage.after(entered_at, 10, 600))
    planted.beneficiaries.append(payee)
    amount_minor = price_minor(random.randrange(45_000, 240_000), holder.account.currency)
    deposit = pay_out(
        random, holder, payee, amount_minor=amount_minor, occurred_at=stage.after(payee.added_at, 5, 300), reference="Deposit"
    )
    _record(stage, planted, holder, [deposit], [], likeness="account_takeover", source="investigation", known_days=(7, 12))


def _share_a_bill(stage: Stage, planted: Planted, holder: Holder, moment: datetime) -> None:
    """Look like a fan-out and be none: an evening's shares, to friends who are payees of old and to one who is new."""
    random = stage.random
    new = add_payee(random, holder, moment)
    planted.beneficiaries.append(new)
    paid = []
    for payee in (*(payee for payee in holder.beneficiaries if payee.added_at < moment), new):
        moment = stage.after(moment, 2, 25)
        amount_minor = price_minor(random.randrange(900, 7_500), holder.account.currency)
        paid.append(pay_out(random, holder, payee, amount_minor=amount_minor, occurred_at=moment, reference="Dinner"))
    _record(stage, planted, holder, paid, [], likeness="mule_fan_out", source="review", known_days=(7, 9))


def _pay_someone_new(stage: Stage, planted: Planted, holder: Holder, moment: datetime) -> None:
    """An ordinary invoice of somebody new: no story, so nobody ever labels it."""
    random = stage.random
    payee = add_payee(random, holder, moment)
    planted.beneficiaries.append(replace(payee, verified_at=moment + timedelta(minutes=3)))
    euro_cents = min(random.randrange(1_500, 140_000), random.randrange(1_500, 140_000))
    amount_minor = price_minor(euro_cents, holder.account.currency)
    paid_at = stage.after(moment, 4, random.choice((30, 300, 2_000)))
    if paid_at < stage.as_of:
        planted.transactions.append(pay_out(random, holder, payee, amount_minor=amount_minor, occurred_at=paid_at))


def _test_cards(stage: Stage, planted: Planted, crowd: Sequence[Holder], moment: datetime) -> None:
    """Try stolen cards for small change at one web shop, and spend on some of those that work."""
    random = stage.random
    merchant = stage.market.pick(random, "EUR", random.choice(("online", "books")))
    tried: list[Transaction] = []
    for holder in random.sample(crowd, random.randrange(8, 15)):
        assert holder.card is not None
        moment += timedelta(seconds=random.randrange(12, 56))
        attempt = Attempt(holder.account, holder.card, merchant, amount_minor=random.randrange(99, 350), occurred_at=moment)
        if random.random() < 0.65:
            tried.append(make_decline(random, attempt, random.choice(_TEST_DECLINES)))
            continue
        tried.append(_buy(stage, holder, merchant, amount_minor=attempt.amount_minor, occurred_at=moment))
        if random.random() < 0.4:
            shop = stage.market.pick(random, "EUR", "electronics")
            amount_minor = random.randrange(18_000, 64_000)
            tried.append(_buy(stage, holder, shop, amount_minor=amount_minor, occurred_at=stage.after(moment, 40, 300)))
    _record(stage, planted, merchant, tried, [], pattern="card_testing", source="chargeback", known_days=(7, 17))


def _sell_tickets(stage: Stage, planted: Planted, crowd: Sequence[Holder], moment: datetime) -> None:
    """Look like card testing and be none: many customers at one shop within minutes, at the price of a concert."""
    random = stage.random
    merchant = stage.market.pick(random, "EUR", random.choice(("online", "travel")))
    sold: list[Transaction] = []
    for holder in random.sample(crowd, random.randrange(6, 12)):
        moment += timedelta(seconds=random.randrange(20, 150))
        sold.append(_buy(stage, holder, merchant, amount_minor=random.randrange(3_900, 9_900), occurred_at=moment))
    _record(stage, planted, merchant, sold, [], likeness="card_testing", source="investigation", known_days=(7, 10))


def _buy(stage: Stage, holder: Holder, merchant: Merchant, *, amount_minor: int, occurred_at: datetime) -> Transaction:
    assert holder.card is not None
    return make_card_payment(
        stage.random, holder.account, holder.card, merchant,
        amount_minor=amount_minor, occurred_at=occurred_at, as_of=stage.as_of,
    )  # fmt: skip


def _record(
    stage: Stage,
    planted: Planted,
    about: Holder | Merchant,
    transactions: list[Transaction],
    beneficiaries: list[Beneficiary],
    *,
    source: str,
    known_days: tuple[int, int],
    pattern: str | None = None,
    likeness: str = "",
) -> None:
    """Keep the records of a story and what it truly was."""
    transactions.sort(key=lambda item: item.occurred_at)
    planted.transactions += transactions
    planted.incidents.append(
        Incident(
            incident_id=record_id(stage.random, "inc"),
            pattern=pattern,
            likeness=pattern or likeness,
            customer_id=about.customer.customer_id if isinstance(about, Holder) else None,
            merchant_id=about.merchant_id if isinstance(about, Merchant) else None,
            started_at=transactions[0].occurred_at,
            ended_at=transactions[-1].occurred_at,
            source=source,
            known_days=stage.random.randrange(*known_days),
            transaction_ids=tuple(item.transaction_id for item in transactions),
            beneficiary_ids=tuple(item.beneficiary_id for item in beneficiaries),
        )
    )
