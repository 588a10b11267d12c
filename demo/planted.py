"""What a planted pattern leaves behind: records, and the incident that says what they truly are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from demo.activity import Holder, Market
from demo.names import CULTURES
from demo.numbers import make_iban, make_ip
from demo.people import Beneficiary, record_id
from demo.transactions import Transaction, make_reference

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Incident:
    """Hold one planted story. `pattern` is None where it only looks like one. Its truth is known `known_days` after its end."""

    incident_id: str
    pattern: str | None
    likeness: str
    customer_id: str | None
    merchant_id: str | None
    started_at: datetime
    ended_at: datetime
    source: str
    known_days: int
    transaction_ids: tuple[str, ...] = ()
    beneficiary_ids: tuple[str, ...] = ()
    dispute_ids: tuple[str, ...] = ()


@dataclass(slots=True)
class Planted:
    """Gather what the patterns make, by kind of record."""

    beneficiaries: list[Beneficiary] = field(default_factory=list)
    devices: list[Row] = field(default_factory=list)
    logins: list[Row] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    disputes: list[Row] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Stage:
    """Hold what every pattern draws from: its own stream, the merchants, the day after the last record."""

    random: Random
    market: Market
    as_of: datetime

    def moment(self, index: int, count: int, *, first_hour: int, last_hour: int) -> datetime:
        """Return a time for the story `index` of `count`: evenly over the year, so that early and late ones exist."""
        day = 341 - index * 338 // (count - 1) - self.random.randrange(0, 6)
        return (
            self.as_of
            - timedelta(days=max(day, 2))
            + timedelta(seconds=self.random.randrange(first_hour * 3_600, last_hour * 3_600))
        )

    def after(self, moment: datetime, low_minutes: int, high_minutes: int) -> datetime:
        """Return a time so many minutes later."""
        return moment + timedelta(seconds=self.random.randrange(low_minutes * 60, high_minutes * 60))


def pay_out(
    random: Random,
    holder: Holder,
    beneficiary: Beneficiary,
    *,
    amount_minor: int,
    occurred_at: datetime,
    reference: str | None = None,
) -> Transaction:
    """Make one transfer to a payee, posted at once."""
    return Transaction(
        transaction_id=record_id(random, "txn"),
        account_id=holder.account.account_id,
        kind="transfer_out",
        status="posted",
        amount_minor=amount_minor,
        currency=holder.account.currency,
        descriptor="Transfer to new payee",
        occurred_at=occurred_at,
        posted_at=occurred_at,
        reference=reference or make_reference(random),
        beneficiary_id=beneficiary.beneficiary_id,
    )


def add_payee(random: Random, holder: Holder, added_at: datetime) -> Beneficiary:
    """Make a payee that nobody verified."""
    culture = random.choice(CULTURES)
    given, family = random.choice(culture.given), random.choice(culture.family)
    return Beneficiary(
        beneficiary_id=record_id(random, "ben"),
        customer_id=holder.customer.customer_id,
        name=f"{family} {given}" if culture.family_first else f"{given} {family}",
        account_number=make_iban(random, random.choice(culture.countries)),
        currency=holder.account.currency,
        added_at=added_at,
        verified_at=None,
    )


def add_device(random: Random, holder: Holder, first_seen_at: datetime) -> Row:
    """Make a device that was never seen before."""
    return {
        "device_id": record_id(random, "dev"),
        "customer_id": holder.customer.customer_id,
        "platform": random.choice(("ios", "android", "web")),
        "first_seen_at": first_seen_at,
        "trusted": False,
    }


def sign_in(
    random: Random, holder: Holder, occurred_at: datetime, *, outcome: str, country: str, device_id: str | None = None
) -> Row:
    """Make one login attempt."""
    return {
        "login_id": record_id(random, "lgn"),
        "customer_id": holder.customer.customer_id,
        "device_id": device_id,
        "ip": make_ip(random),
        "country": country,
        "outcome": outcome,
        "occurred_at": occurred_at,
    }


def name_payees(random: Random, transactions: Iterable[Transaction], holders: Iterable[Holder]) -> tuple[Transaction, ...]:
    """Say of every ordinary transfer to a saved payee which one it was: mostly the customer's first."""
    payees = {holder.account.account_id: sorted(holder.beneficiaries, key=lambda payee: payee.added_at) for holder in holders}
    named: list[Transaction] = []
    for item in transactions:
        if item.kind != "transfer_out":
            named.append(item)
            continue
        known = [payee for payee in payees[item.account_id] if payee.added_at < item.occurred_at]
        payee = random.choices(known, [3] + [1] * (len(known) - 1))[0]
        named.append(replace(item, beneficiary_id=payee.beneficiary_id))
    return tuple(named)
