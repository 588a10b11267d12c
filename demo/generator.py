"""Make the whole demo tenant from a seed and a day. Nothing here reads a clock, a file or the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from random import Random
from typing import Any

from demo.access import make_devices, make_logins
from demo.activity import Holder, make_market, make_year
from demo.disputed import make_clock_disputes
from demo.fraud import plant_fraud
from demo.incidents import (
    Duplicate,
    drop_chance_duplicates,
    make_disputes,
    make_duplicates,
    make_legitimate_repeats,
    make_rare_declines,
)
from demo.labels import make_labels, make_screening
from demo.merchants import Merchant, make_merchants
from demo.people import (
    Account,
    Card,
    Customer,
    make_accounts,
    make_beneficiaries,
    make_cards,
    make_customers,
    make_operator_limits,
    make_operators,
)
from demo.planted import Planted, Stage, name_payees
from demo.policy_scenarios import make_policy_scenarios
from demo.scenarios import make_scenarios
from demo.transactions import Transaction

DEFAULT_SEED = 20261031
GENERATOR_VERSION = "2"
"""Raise it when the same seed gives other records: the loader tells a loaded demo by seed and version."""
_STREAM_VERSION = "1"
"""Stays when records are added: a section that draws as before keeps its ids."""
KINDS = (
    "merchants", "operators", "operator_limits", "customers", "accounts", "cards", "beneficiaries", "devices", "logins",
    "transactions", "disputes", "labels",
)  # fmt: skip
"""In the order in which they load: parents before what refers to them."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Hold the records by kind, ready to write, and the manifest of what is known about them by construction.

    `screening` is what an earlier screening said of each payee. No file carries it: a bank's file has no say in it.
    """

    records: Mapping[str, tuple[Row, ...]]
    manifest: Mapping[str, Any]
    screening: Mapping[str, str]


def generate(*, seed: int, as_of: date) -> Dataset:
    """Make a year of records that ends where `as_of` begins (UTC). The same arguments give the same dataset."""
    moment = datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC)

    def stream(section: str) -> Random:
        # A stream per section: a change in one doesn't shift the draws of the others.
        return Random(f"{_STREAM_VERSION}:{seed}:{section}")

    customers = make_customers(stream("customers"), moment)
    accounts = make_accounts(stream("accounts"), customers)
    cards = make_cards(stream("cards"), accounts, moment)
    beneficiaries = make_beneficiaries(stream("beneficiaries"), customers, moment)
    devices = make_devices(stream("devices"), customers, moment)
    merchants = make_merchants(stream("merchants"))
    operators = make_operators(stream("operators"))
    holders = _join_holders(customers, accounts, cards, beneficiaries)
    market = make_market(merchants)
    ordinary = drop_chance_duplicates(
        item for holder in holders for item in make_year(stream(holder.account.account_id), holder, market, moment)
    )
    accounts_by_id = {account.account_id: account for account in accounts}
    active_cards = {card.account_id: card for card in cards if card.status == "active"}
    duplicates = make_duplicates(stream("duplicates"), ordinary, accounts_by_id, market, active_cards, moment)
    in_duplicates = {accounts_by_id[item.first.account_id].customer_id for item in duplicates}
    untouched = [item for item in ordinary if accounts_by_id[item.account_id].customer_id not in in_duplicates]
    repeats = make_legitimate_repeats(stream("repeats"), untouched, count=40)
    rare = make_rare_declines(stream("rare_declines"), accounts_by_id, market, cards, moment)
    disputes = make_disputes(stream("disputes"), untouched, cards, moment, count=18)
    transactions = name_payees(stream("payees"), _merge(ordinary, duplicates, (again for _, again in repeats), rare), holders)
    scenarios = make_scenarios(
        transactions=transactions,
        accounts=accounts_by_id,
        duplicates=duplicates,
        repeats=repeats,
        disputes=disputes,
        as_of=moment,
    )
    spared = frozenset(in_duplicates | {case["customer_id"] for case in scenarios.values()})
    stages = (Stage(stream("fraud"), market, moment), Stage(stream("clock_disputes"), market, moment))
    planted, clocks = _plant(stages, holders, untouched, disputes, spared=spared)
    every_payee = (*beneficiaries, *planted.beneficiaries)
    screening = make_screening(stream("screening"), every_payee, moment)
    records: dict[str, tuple[Row, ...]] = {
        "merchants": tuple(_merchant_row(merchant) for merchant in merchants),
        "operators": _rows(operators),
        "operator_limits": make_operator_limits(operators),
        "customers": _rows(customers),
        "accounts": _rows(accounts),
        "cards": _rows(cards),
        "beneficiaries": _rows(every_payee),
        "devices": (*devices, *planted.devices),
        "logins": _in_order((*make_logins(stream("logins"), customers, devices, moment), *planted.logins), "login_id"),
        "transactions": _rows(_by_time((*transactions, *planted.transactions))),
        "disputes": (*disputes, *planted.disputes, *clocks),
    }
    records["labels"] = _label(stream("labels"), planted, records, moment)
    manifest = {
        "format": "tellergate-demo/1",
        "generator_version": GENERATOR_VERSION,
        "seed": seed,
        "as_of": as_of.isoformat(),
        "counts": {kind: len(records[kind]) for kind in KINDS},
        "scenarios": scenarios,
        "policy_scenarios": make_policy_scenarios(
            accounts_by_id, every_payee, screening, transactions, clocks, planted.incidents, moment
        ),
        "duplicates": [_duplicate_row(item, accounts_by_id) for item in duplicates],
        "incidents": [asdict(incident) for incident in sorted(planted.incidents, key=lambda item: item.started_at)],
    }
    return Dataset(records=records, manifest=manifest, screening=screening)


def _plant(
    stages: tuple[Stage, Stage],
    holders: tuple[Holder, ...],
    transactions: Iterable[Transaction],
    disputes: Iterable[Row],
    *,
    spared: frozenset[str],
) -> tuple[Planted, tuple[Row, ...]]:
    """Plant the stories and the disputes at every turn of their clock, in different customers' lives."""
    disputed = {row["transaction_id"] for row in disputes}
    undisputed = [item for item in transactions if item.transaction_id not in disputed]
    planted = plant_fraud(stages[0], holders, undisputed, spared=spared)
    cast = frozenset(incident.customer_id for incident in planted.incidents if incident.customer_id)
    return planted, make_clock_disputes(stages[1], holders, undisputed, spared=spared | cast)


def _label(random: Random, planted: Planted, records: Mapping[str, tuple[Row, ...]], as_of: datetime) -> tuple[Row, ...]:
    happened_at = {row["transaction_id"]: row["occurred_at"] for row in records["transactions"]}
    happened_at |= {payee.beneficiary_id: payee.added_at for payee in planted.beneficiaries}
    return make_labels(random, planted.incidents, records["disputes"], happened_at, as_of)


def _join_holders(
    customers: tuple[Customer, ...], accounts: tuple[Account, ...], cards: tuple[Card, ...], beneficiaries: Iterable[Any]
) -> tuple[Holder, ...]:
    by_id = {customer.customer_id: customer for customer in customers}
    active = {card.account_id: card for card in cards if card.status == "active"}
    payees: dict[str, list[Any]] = {}
    for beneficiary in beneficiaries:
        payees.setdefault(beneficiary.customer_id, []).append(beneficiary)
    return tuple(
        Holder(
            customer=by_id[account.customer_id],
            account=account,
            card=active.get(account.account_id),
            beneficiaries=tuple(payees.get(account.customer_id, ())),
        )
        for account in accounts
    )


def _merge(
    ordinary: Iterable[Transaction], duplicates: Iterable[Duplicate], repeats: Iterable[Transaction], rare: Iterable[Transaction]
) -> tuple[Transaction, ...]:
    merged = {item.transaction_id: item for item in (*ordinary, *repeats, *rare)}
    for duplicate in duplicates:
        for item in (duplicate.first, duplicate.second, duplicate.merchant_refund):
            if item is not None:
                merged[item.transaction_id] = item
    return _by_time(merged.values())


def _by_time(items: Iterable[Transaction]) -> tuple[Transaction, ...]:
    return tuple(sorted(items, key=lambda item: (item.occurred_at, item.transaction_id)))


def _in_order(rows: Iterable[Row], key: str) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=lambda row: (row["occurred_at"], row[key])))


def _rows(items: Iterable[Any]) -> tuple[Row, ...]:
    rows: list[Row] = []
    for item in items:
        names = [field.name for field in fields(item)]
        rows.append({name: getattr(item, name) for name in names if getattr(item, name) is not None})
    return tuple(rows)


def _merchant_row(merchant: Merchant) -> Row:
    return {
        "merchant_id": merchant.merchant_id,
        "name": merchant.name,
        "category_code": merchant.category.code,
        "country": merchant.country,
    }


def _duplicate_row(item: Duplicate, accounts: Mapping[str, Account]) -> Row:
    return {
        "customer_id": accounts[item.first.account_id].customer_id,
        "first_transaction_id": item.first.transaction_id,
        "second_transaction_id": item.second.transaction_id,
        "amount_minor": item.second.amount_minor,
        "currency": item.second.currency,
        "is_recent": item.is_recent,
        "is_above_limit": item.is_above_limit,
        "merchant_refund_id": item.merchant_refund.transaction_id if item.merchant_refund else None,
    }
