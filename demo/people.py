"""The demo bank's customers with their accounts, cards and payees, and its operators. All invented."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import Any

from demo.names import CULTURES, Culture
from demo.numbers import make_iban, make_national_id, make_pan, make_phone
from demo.places import HOME_CURRENCY, language_of, make_address

CUSTOMER_COUNT = 340


@dataclass(frozen=True, slots=True)
class Customer:
    """Hold one customer, unmasked: this exists in the generator and in its files only."""

    customer_id: str
    name: str
    email: str
    phone: str
    birth_date: date
    address: str
    national_id: str | None
    country: str
    language: str
    segment: str
    kyc_status: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """Hold one account."""

    account_id: str
    customer_id: str
    number: str
    product: str
    currency: str
    status: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Card:
    """Hold one card."""

    card_id: str
    account_id: str
    pan: str
    scheme: str
    status: str
    expires_on: date


@dataclass(frozen=True, slots=True)
class Beneficiary:
    """Hold one payee of a customer. Its screening state is ours to find out, so no file carries it."""

    beneficiary_id: str
    customer_id: str
    name: str
    account_number: str
    currency: str
    added_at: datetime
    verified_at: datetime | None


@dataclass(frozen=True, slots=True)
class Operator:
    """Hold one member of staff. Passwords are made when the demo is loaded, never here."""

    operator_id: str
    username: str
    display_name: str
    roles: tuple[str, ...]


def record_id(random: Random, prefix: str) -> str:
    """Make a bank's record id: prefix and 12 hex digits."""
    return f"{prefix}_{random.getrandbits(48):012x}"


def make_customers(random: Random, as_of: datetime) -> tuple[Customer, ...]:
    """Make the customers, every culture in turn, no two of the same name."""
    customers: list[Customer] = []
    names: set[str] = set()
    while len(customers) < CUSTOMER_COUNT:
        culture = CULTURES[len(customers) % len(CULTURES)]
        name, email = _make_name(random, culture)
        if name in names:
            continue
        names.add(name)
        customers.append(_make_customer(random, as_of, name=name, email=email, country=random.choice(culture.countries)))
    return tuple(customers)


def _make_customer(random: Random, as_of: datetime, *, name: str, email: str, country: str) -> Customer:
    birth_date = (as_of - timedelta(days=random.randrange(19 * 365, 82 * 365))).date()
    is_new = random.random() < 0.05
    opened_days = random.randrange(3, 60) if is_new else random.randrange(400, 3_000)
    return Customer(
        customer_id=record_id(random, "cus"),
        name=name,
        email=email,
        phone=make_phone(random, country),
        birth_date=birth_date,
        address=make_address(random, country),
        national_id=make_national_id(random, country),
        country=country,
        language=language_of(country),
        segment=random.choices(("standard", "plus", "business"), (62, 26, 12))[0],
        kyc_status=random.choices(("verified", "pending", "review"), (20, 60, 20))[0] if is_new else "verified",
        opened_at=as_of - timedelta(days=opened_days, minutes=random.randrange(60, 700)),
    )


def _make_name(random: Random, culture: Culture) -> tuple[str, str]:
    given, family = random.choice(culture.given), random.choice(culture.family)
    local = f"{_ascii(given)}.{_ascii(family)}{random.randrange(10, 100)}"
    email = f"{local}@example.{random.choice(('com', 'org', 'net'))}"
    return (f"{family} {given}" if culture.family_first else f"{given} {family}"), email


# These letters have no plain form that Unicode knows of.
_NO_DECOMPOSITION = {ord("ß"): "ss", ord("ı"): "i", ord("ł"): "l", ord("đ"): "d", ord("ø"): "o"}


def _ascii(name: str) -> str:
    spelled = name.lower().translate(_NO_DECOMPOSITION)
    plain = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain if letter.isalnum() or letter == "-")


def make_accounts(random: Random, customers: tuple[Customer, ...]) -> tuple[Account, ...]:
    """Make a current account for every customer, and for some a second currency or a savings account."""
    accounts: list[Account] = []
    for customer in customers:
        home = HOME_CURRENCY.get(customer.country, "EUR")
        wanted = [("current", home)]
        if random.random() < 0.10:
            wanted.append(("current", random.choice([other for other in ("EUR", "GBP", "USD") if other != home])))
        if random.random() < 0.15:
            wanted.append(("savings", home))
        for index, (product, currency) in enumerate(wanted):
            is_blocked = random.random() < 0.015
            accounts.append(
                Account(
                    account_id=record_id(random, "acc"),
                    customer_id=customer.customer_id,
                    number=make_iban(random, customer.country),
                    product="business" if customer.segment == "business" and product == "current" else product,
                    currency=currency,
                    status="blocked" if is_blocked else "active",
                    opened_at=customer.opened_at + timedelta(hours=index + 1),
                )
            )
    return tuple(accounts)


def make_cards(random: Random, accounts: tuple[Account, ...], as_of: datetime) -> tuple[Card, ...]:
    """Make one active card for every account that pays, and for some an old one that is expired or blocked."""
    cards: list[Card] = []
    pans: set[str] = set()
    for account in accounts:
        if account.product == "savings":
            continue
        has_old_one = random.random() < 0.12 and (as_of - account.opened_at).days > 400
        for status in ("active", random.choice(("expired", "blocked")))[: 2 if has_old_one else 1]:
            scheme = random.choice(("visa", "mastercard"))
            pan = make_pan(random, scheme)
            while pan in pans:
                pan = make_pan(random, scheme)
            pans.add(pan)
            months = -random.randrange(1, 9) if status == "expired" else random.randrange(4, 40)
            cards.append(
                Card(
                    card_id=record_id(random, "crd"),
                    account_id=account.account_id,
                    pan=pan,
                    scheme=scheme,
                    status=status,
                    expires_on=_end_of_month(as_of.date(), months),
                )
            )
    return tuple(cards)


def _end_of_month(start: date, months: int) -> date:
    index = start.year * 12 + start.month + months
    return date(index // 12, index % 12 + 1, 1) - timedelta(days=1)


def make_beneficiaries(random: Random, customers: tuple[Customer, ...], as_of: datetime) -> tuple[Beneficiary, ...]:
    """Make one to three payees for each customer; one in eight was added in the last days and isn't verified."""
    beneficiaries: list[Beneficiary] = []
    for customer in customers:
        for _ in range(random.randrange(1, 4)):
            culture = random.choice(CULTURES)
            name, _ = _make_name(random, culture)
            is_new = random.random() < 0.12
            known_days = max(2, (as_of - customer.opened_at).days)
            days = random.randrange(0, 3) if is_new else random.randrange(1, known_days)
            added_at = as_of - timedelta(days=days, minutes=random.randrange(1, 900))
            beneficiaries.append(
                Beneficiary(
                    beneficiary_id=record_id(random, "ben"),
                    customer_id=customer.customer_id,
                    name=name,
                    account_number=make_iban(random, random.choice(culture.countries)),
                    currency=HOME_CURRENCY.get(customer.country, "EUR"),
                    added_at=added_at,
                    verified_at=None if is_new else added_at + timedelta(minutes=3),
                )
            )
    return tuple(beneficiaries)


_STAFF = (
    ("ada", "Ada Lindqvist", ("support",)),
    ("ben", "Ben Achterberg", ("support",)),
    ("cleo", "Cleo Marchetti", ("approver",)),
    ("dan", "Dan Oyelowo-Finch", ("approver",)),
    ("eli", "Eli Brandström", ("investigator",)),
    ("fay", "Fay Kurosawa-Hill", ("investigator",)),
    ("gus", "Gus Petrakis", ("onboarding",)),
    ("hana", "Hana Dvořáková", ("onboarding",)),
    ("ira", "Ira Solomons", ("auditor",)),
    ("jon", "Jon Aspinall", ("auditor",)),
    ("kim", "Kim Castellanos", ("admin",)),
    ("lee", "Lee Ravensdale", ("admin",)),
)

SUPPORT_REFUND_LIMIT_MINOR = MappingProxyType({"EUR": 20_000, "GBP": 17_000, "USD": 22_000, "JPY": 32_000, "KWD": 66_000})
APPROVER_REFUND_LIMIT_MINOR = MappingProxyType({"EUR": 500_000, "GBP": 430_000, "USD": 500_000, "JPY": 750_000, "KWD": 1_500_000})
INVESTIGATOR_LIMIT_MINOR = MappingProxyType({"EUR": 100_000, "GBP": 86_000, "USD": 100_000, "JPY": 150_000, "KWD": 300_000})
_LIMITED_KINDS = ("refund", "fee_reversal", "goodwill_credit", "payment", "provisional_credit", "dispute_writeoff")


def make_operators(random: Random) -> tuple[Operator, ...]:
    """Make two operators of each role."""
    return tuple(
        Operator(operator_id=record_id(random, "opr"), username=username, display_name=name, roles=roles)
        for username, name, roles in _STAFF
    )


def make_operator_limits(operators: tuple[Operator, ...]) -> tuple[dict[str, Any], ...]:
    """Make the limits per act and currency; goodwill ends at a tenth of a refund. No limit means: may not."""
    limits_of_role = {
        "support": SUPPORT_REFUND_LIMIT_MINOR,
        "investigator": INVESTIGATOR_LIMIT_MINOR,
        "approver": APPROVER_REFUND_LIMIT_MINOR,
    }
    return tuple(
        {
            "operator_id": operator.operator_id,
            "action_kind": kind,
            "currency": currency,
            "limit_minor": limit_minor // 10 if kind == "goodwill_credit" else limit_minor,
        }
        for operator in operators
        for currency, limit_minor in limits_of_role.get(operator.roles[0], {}).items()
        for kind in _LIMITED_KINDS
    )
