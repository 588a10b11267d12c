"""Named cases whose truth is known by construction, for tests, docs and the first minutes with the product."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from demo.declines import STEP_OF_CODE
from demo.incidents import Duplicate
from demo.people import Account
from demo.transactions import Transaction

Scenario = dict[str, Any]


def make_scenarios(
    *,
    transactions: tuple[Transaction, ...],
    accounts: Mapping[str, Account],
    duplicates: tuple[Duplicate, ...],
    repeats: tuple[tuple[Transaction, Transaction], ...],
    disputes: tuple[dict[str, Any], ...],
    as_of: datetime,
) -> dict[str, Scenario]:
    """Pick one case for each name. Raises: LookupError when the records hold no such case."""
    by_id = {item.transaction_id: item for item in transactions}
    scenarios = _duplicate_scenarios(duplicates, accounts)
    scenarios |= _decline_scenarios(transactions, accounts)
    scenarios["legitimate_repeat"] = _pair(
        next(pair for pair in sorted(repeats, key=_by_age, reverse=True) if pair[1].status == "posted"), accounts
    )
    scenarios["payout_pending"] = _single(
        _latest(transactions, lambda item: item.kind == "payout" and item.status == "pending"), accounts
    )
    scenarios["payout_settled"] = _single(
        _latest(transactions, lambda item: item.kind == "payout" and item.status == "posted"), accounts
    )
    for name, label in (
        ("fee_foreign_payment", "Foreign payment fee"),
        ("fee_cash_withdrawal", "Cash withdrawal fee"),
        ("fee_returned_debit", "Returned direct debit fee"),
        ("fee_plan", "Plus plan, monthly fee"),
    ):
        scenarios[name] = _fee(_latest(transactions, _is_fee(label)), accounts)
    scenarios["fee_question"] = scenarios["fee_foreign_payment"]
    scenarios["payment_pending"] = _single(
        _latest(transactions, lambda item: item.kind == "card_payment" and item.status == "pending"), accounts
    )
    scenarios["dispute_open"] = _dispute(disputes, by_id, accounts)
    scenarios["other_customer_transaction"] = _foreign(duplicates, accounts)
    scenarios["unknown_transaction"] = {
        "customer_id": scenarios["duplicate_small"]["customer_id"],
        "transaction_id": "txn_000000000000",
    }
    scenarios["amount_nobody_knows"] = _unknown_amount(scenarios["duplicate_small"], transactions, accounts, as_of)
    return scenarios


def _duplicate_scenarios(duplicates: tuple[Duplicate, ...], accounts: Mapping[str, Account]) -> dict[str, Scenario]:
    recent = [item for item in duplicates if item.is_recent]
    small = sorted(
        (item for item in recent if not item.is_above_limit and not item.merchant_refund), key=_by_second, reverse=True
    )
    in_euro = [item for item in small if item.second.currency == "EUR" and item.second.amount_minor >= 1_000]
    chosen = {
        "duplicate_small": in_euro[0],
        "duplicate_small_2": in_euro[1],
        "duplicate_small_3": in_euro[2],
        "duplicate_above_limit": next(item for item in recent if item.is_above_limit and item.second.currency == "EUR"),
        "duplicate_refunded_by_merchant": next(item for item in recent if item.merchant_refund),
        "duplicate_old": next(item for item in duplicates if not item.is_recent and not item.merchant_refund),
    }
    for currency in ("GBP", "USD", "JPY", "KWD"):
        chosen[f"duplicate_{currency.lower()}"] = next(item for item in small if item.second.currency == currency)
    scenarios = {name: _pair((item.first, item.second), accounts) for name, item in chosen.items()}
    refund = chosen["duplicate_refunded_by_merchant"].merchant_refund
    assert refund is not None
    scenarios["duplicate_refunded_by_merchant"]["merchant_refund_id"] = refund.transaction_id
    return scenarios


def _decline_scenarios(transactions: tuple[Transaction, ...], accounts: Mapping[str, Account]) -> dict[str, Scenario]:
    scenarios: dict[str, Scenario] = {}
    for code in STEP_OF_CODE:
        declined = _latest(transactions, _is_declined_for(code))
        scenarios[f"decline_{code}"] = _single(declined, accounts) | {"decline_code": code}
    return scenarios


def _is_declined_for(code: str) -> Callable[[Transaction], bool]:
    return lambda item: item.decline_code == code


def _is_fee(label: str) -> Callable[[Transaction], bool]:
    return lambda item: item.kind == "fee" and item.descriptor.startswith(label)


def _by_second(item: Duplicate) -> tuple[datetime, str]:
    return item.second.occurred_at, item.second.transaction_id


def _by_age(pair: tuple[Transaction, Transaction]) -> tuple[datetime, str]:
    return pair[1].occurred_at, pair[1].transaction_id


def _latest(transactions: tuple[Transaction, ...], is_wanted: Callable[[Transaction], bool]) -> Transaction:
    for item in reversed(transactions):
        if is_wanted(item):
            return item
    raise LookupError("the records hold no transaction for a scenario: choose another seed or more customers")


def _single(item: Transaction, accounts: Mapping[str, Account]) -> Scenario:
    scenario: Scenario = {
        "customer_id": accounts[item.account_id].customer_id,
        "account_id": item.account_id,
        "transaction_id": item.transaction_id,
        "amount_minor": item.amount_minor,
        "currency": item.currency,
        "status": item.status,
        "occurred_at": item.occurred_at,
    }
    if item.settles_on is not None:
        scenario["settles_on"] = item.settles_on
    return scenario


def _pair(pair: tuple[Transaction, Transaction], accounts: Mapping[str, Account]) -> Scenario:
    first, second = pair
    scenario = _single(second, accounts)
    scenario["transaction_ids"] = [first.transaction_id, second.transaction_id]
    scenario["merchant_id"] = second.merchant_id
    scenario["descriptor"] = second.descriptor
    return scenario


def _fee(fee: Transaction, accounts: Mapping[str, Account]) -> Scenario:
    return _single(fee, accounts) | {"descriptor": fee.descriptor, "related_transaction_id": fee.related_transaction_id}


def _dispute(disputes: Iterable[dict[str, Any]], by_id: Mapping[str, Transaction], accounts: Mapping[str, Account]) -> Scenario:
    row = next(item for item in disputes if item["state"] in {"open", "evidence"})
    return _single(by_id[row["transaction_id"]], accounts) | {"dispute_id": row["dispute_id"], "due_on": row["due_on"]}


def _foreign(duplicates: tuple[Duplicate, ...], accounts: Mapping[str, Account]) -> Scenario:
    own, other = [item for item in duplicates if item.is_recent and item.second.currency == "EUR"][-2:]
    return _single(other.second, accounts) | {
        "customer_id": accounts[own.first.account_id].customer_id,
        "owner_customer_id": accounts[other.first.account_id].customer_id,
    }


def _unknown_amount(
    duplicate: Scenario, transactions: tuple[Transaction, ...], accounts: Mapping[str, Account], as_of: datetime
) -> Scenario:
    known = {
        item.amount_minor
        for item in transactions
        if accounts[item.account_id].customer_id == duplicate["customer_id"] and as_of - item.occurred_at < timedelta(days=365)
    }
    amount_minor = next(amount for amount in range(duplicate["amount_minor"] - 1, 0, -1) if amount not in known)
    return {
        "customer_id": duplicate["customer_id"],
        "transaction_id": duplicate["transaction_id"],
        "amount_minor": amount_minor,
        "currency": duplicate["currency"],
    }
